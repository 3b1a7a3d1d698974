"""Find the function that a configuration names as `module:factory`."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from fillbook.errors import BadInput

__all__ = ["factory_at"]


def factory_at(where: str) -> Callable[..., Any]:
    """Return what *where* names; it is imported, which runs the module's own code.

    Raises `BadInput` where there is no such module or nothing to call; what the module itself
    raises comes as it is.
    """
    module_name, _, name = where.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{module_name}.".startswith(f"{exc.name}."):
            raise  # the module is there, and one that it needs is not
        raise BadInput(
            f"{where}: there is no module {exc.name}",
            "install it, or name its folder in PYTHONPATH",
        ) from exc
    found = getattr(module, name, None)
    if not callable(found):
        raise BadInput(f"{where}: {module_name} has no function {name}", "name one that it has")
    factory: Callable[..., Any] = found
    return factory
