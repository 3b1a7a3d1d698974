"""Check what a value of the file may be: each check returns it as it is kept, or raises `BadValue`.

The error's key is empty: who reads the file knows where the value stands.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fillbook.brokers.bounds import id_of, shown
from fillbook.configuration.lines import nearest
from fillbook.core.exact import decimal_of, plain
from fillbook.errors import BadInput, BadValue

__all__ = [
    "PAPER",
    "Check",
    "a_broker_kind",
    "a_count",
    "a_factory",
    "a_limit_s",
    "a_qty",
    "a_text",
    "one_of",
    "seconds",
    "yes_or_no",
]

_LONGEST_S = 10 * 24 * 3600

Check = Callable[[Any], Any]


def a_text(value: Any) -> str:
    """Take text of a sensible length that is not empty."""
    if not isinstance(value, str):
        raise BadValue("", f"found {shown(value)}, expected text in quotes")
    return id_of(value)


def one_of(*words: str) -> Check:
    """Return a check that takes one of *words*."""

    def check(value: Any) -> str:
        if value in words:
            return str(value)
        raise BadValue("", f"found {shown(value)}, expected {_or(words)}{nearest(value, words)}")

    return check


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def yes_or_no(value: Any) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise BadValue("", f"found {shown(value)}, expected true or false")
    return value


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise BadValue("", f"found {shown(value)}, expected a number")
    return decimal_of(str(value))


def a_qty(value: Any) -> Decimal:
    """Take a number of at least 0."""
    number = _number(value)
    if number < 0:
        raise BadValue("", f"{plain(number)} is negative")
    return number


def seconds(value: Any) -> Decimal:
    """Take a duration above 0."""
    number = _number(value)
    if not 0 < number <= _LONGEST_S:
        raise BadValue("", f"{plain(number)} is not between 0 and {_LONGEST_S} seconds (ten days)")
    return number


def a_limit_s(value: Any) -> Decimal:
    """Take a duration, or 0 for none."""
    return Decimal(0) if _number(value) == 0 else seconds(value)


def a_count(value: Any) -> int:
    """Take a whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1_000_000:
        raise BadValue("", f"found {shown(value)}, expected a whole number from 0 to 1000000")
    return value


def a_broker_kind(value: Any) -> str:
    """Take one of our brokers, or the factory of another one."""
    text = a_text(value)
    words = ("paper", "client")
    if text in words:
        return text
    if ":" not in text:
        raise BadValue(
            "", f"found {shown(text)}, expected paper, client or module:factory"
            f"{nearest(text, words)}"
        )  # fmt: skip
    return a_factory(text)


def a_factory(value: Any) -> str:
    """Take what names a function, as ``module:factory``; it is not looked for."""
    module, _, name = a_text(value).partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), name]):
        raise BadValue("", f"{shown(value)} is not of the form module:factory")
    return f"{module}:{name}"


def _faults(value: Any) -> str:
    from fillbook.brokers.paper_faults import FaultPlan

    text = a_text(value)
    try:
        FaultPlan.parse(text)
    except BadInput as bad:
        raise BadValue("", str(bad)) from bad
    return text


def _url(value: Any) -> str:
    text = a_text(value)
    if not text.startswith("http://"):
        raise BadValue("", f"{shown(text)} does not begin with http://")
    return text


PAPER: dict[str, Check] = {"seed": a_count, "faults": _faults, "path": a_text, "url": _url}
"""The further keys of the paper exchange, which is ours: those of other brokers are their own."""
