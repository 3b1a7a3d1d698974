"""Say what a value in the configuration may be.

Each check takes what TOML made of a value and returns what the program goes on with; it raises
`BadValue` with what is wrong.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fillbook.brokers.bounds import id_of, shown
from fillbook.configuration.lines import nearest
from fillbook.core.exact import decimal_of, plain
from fillbook.errors import BadInput, BadValue

__all__ = [
    "PAPER_KEYS",
    "Check",
    "broker_kind_of",
    "count_of",
    "factory_name_of",
    "limit_s_of",
    "one_of",
    "qty_of",
    "seconds_of",
    "text_of",
    "yes_or_no_of",
]

_LONGEST_S = 10 * 24 * 3600

Check = Callable[[Any], Any]


def text_of(value: Any) -> str:
    """Return *value*, text that can be stored as a name."""
    if not isinstance(value, str):
        raise BadValue("", f"found {shown(value)}, expected text in quotes")
    return id_of(value)


def one_of(*words: str) -> Check:
    """Return a check that a value is one of *words*."""

    def check(value: Any) -> str:
        if value in words:
            return str(value)
        raise BadValue("", f"found {shown(value)}, expected {_or(words)}{nearest(value, words)}")

    return check


def yes_or_no_of(value: Any) -> bool:
    """Return *value*, true or false."""
    if not isinstance(value, bool):
        raise BadValue("", f"found {shown(value)}, expected true or false")
    return value


def number_of(value: Any) -> Decimal:
    """Return *value*, a finite number, exactly."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise BadValue("", f"found {shown(value)}, expected a number")
    return decimal_of(str(value))


def qty_of(value: Any) -> Decimal:
    """Return *value*, a number not below 0."""
    number = number_of(value)
    if number < 0:
        raise BadValue("", f"{plain(number)} is negative")
    return number


def seconds_of(value: Any) -> Decimal:
    """Return *value*, a duration above 0 and up to ten days."""
    number = number_of(value)
    if not 0 < number <= _LONGEST_S:
        raise BadValue("", f"{plain(number)} is not between 0 and {_LONGEST_S} seconds (ten days)")
    return number


def limit_s_of(value: Any) -> Decimal:
    """Return *value*, a duration, or 0 for no limit."""
    return Decimal(0) if number_of(value) == 0 else seconds_of(value)


def count_of(value: Any) -> int:
    """Return *value*, a whole number from 0 to a million."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1_000_000:
        raise BadValue("", f"found {shown(value)}, expected a whole number from 0 to 1000000")
    return value


def broker_kind_of(value: Any) -> str:
    """Return *value*: `paper`, `client`, or a factory."""
    text = text_of(value)
    if text in ("paper", "client"):
        return text
    if ":" not in text:
        words = ("paper", "client")
        raise BadValue(
            "", f"found {shown(text)}, expected paper, client or module:factory"
            f"{nearest(text, words)}"
        )  # fmt: skip
    return factory_name_of(text)


def factory_name_of(value: Any) -> str:
    """Return *value*, which has the form `module:factory`; nothing is imported."""
    module, _, name = text_of(value).partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), name]):
        raise BadValue("", f"{shown(value)} is not of the form module:factory")
    return f"{module}:{name}"


def faults_of(value: Any) -> str:
    """Return *value*, a plan of the paper exchange's faults."""
    from fillbook.brokers.paper_faults import FaultPlan

    text = text_of(value)
    try:
        FaultPlan.parse(text)
    except BadInput as bad:
        raise BadValue("", str(bad)) from bad
    return text


def url_of(value: Any) -> str:
    """Return *value*, an address without encryption: the paper exchange has none."""
    text = text_of(value)
    if not text.startswith("http://"):
        raise BadValue("", f"{shown(text)} does not begin with http://")
    return text


PAPER_KEYS: dict[str, Check] = {
    "seed": count_of,
    "faults": faults_of,
    "path": text_of,
    "url": url_of,
}
"""The further keys of the paper exchange, which is ours: those of other brokers are their own."""


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
