"""Make frozen values in bulk, without a step of the interpreter per attribute.

An `OrderReport` has 35 attributes, and its `__init__` sets each through `object.__setattr__`: half
of what it costs to read a message.  A slot's own descriptor does the same in C.  It is only right
for values that check and derive nothing, which is what reports and commands are; that is asserted.
"""

from collections import deque
from collections.abc import Callable, Mapping
from itertools import repeat
from operator import call
from typing import Any, TypeVar

from attrs import NOTHING, Factory, fields

__all__ = ["maker"]

T = TypeVar("T")


def maker(cls: type[T]) -> Callable[[Mapping[str, Any]], T]:
    """Return a function that makes a *cls* from its values by name, equal to `cls(**values)`.

    Left out values take their default.  A value without a default must be there, and there must be
    no other names: the function does not look.
    """
    attributes = fields(cls)  # type: ignore[arg-type]
    assert not any(a.validator or a.converter for a in attributes), cls
    assert not any(isinstance(a.default, Factory) for a in attributes), cls  # type: ignore[arg-type]
    assert not hasattr(cls, "__attrs_post_init__"), cls
    setters = [getattr(cls, a.name).__set__ for a in attributes]
    defaults = {a.name: a.default for a in attributes}
    needed = frozenset(a.name for a in attributes if a.default is NOTHING)
    new = cls.__new__

    def make(values: Mapping[str, Any]) -> T:
        assert needed <= values.keys(), needed - values.keys()
        one = new(cls)
        deque(map(call, setters, repeat(one), {**defaults, **values}.values()), 0)
        return one

    return make
