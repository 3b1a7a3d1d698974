"""Read the values of FIX fields: times, quantities, prices, ids, codes.

Each function is given a field's text, never an empty one, and returns the value, None where the
text stands for nothing, or raises `BadValue` with an empty key.

Source: FIX 4.4 volume 1, "data types".
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from re import ASCII
from re import compile as pattern

from fillbook.brokers.bounds import id_of, second_ns, shown
from fillbook.brokers.fix.tables import SIDES
from fillbook.core.exact import average_of, decimal_of
from fillbook.core.values import Side
from fillbook.errors import BadValue

__all__ = [
    "expiry_of",
    "flag",
    "id_told",
    "px_told",
    "qty_of",
    "qty_told",
    "side_of",
    "symbol_of",
    "time_of",
    "words",
]


def time_of(text: str) -> int:
    """Return a UTCTimestamp, YYYYMMDD-HH:MM:SS and decimal places, in ns; what is finer is cut."""
    try:
        return _second(text[:17]) + (_places(text[17:]) if len(text) > 17 else 0)
    except _NoTime:
        problem = f"{shown(text)} is not a time such as 20260313-07:00:00.123"
        raise BadValue("", problem) from None


class _NoTime(Exception):
    """A part of a text is not that part of a time."""


_SECOND = pattern(r"(\d{4})(\d\d)(\d\d)-(\d\d):(\d\d):(\d\d)", ASCII)
_PLACES = pattern(r"\.(\d{1,12})", ASCII)  # picoseconds from FIX 5.0 SP2 EP206


@lru_cache(maxsize=1 << 12)
def _second(text: str) -> int:
    match = _SECOND.fullmatch(text)
    if match is None:
        raise _NoTime
    return second_ns(*map(int, match.groups()))


@lru_cache(maxsize=1 << 12)
def _places(text: str) -> int:
    match = _PLACES.fullmatch(text)
    if match is None:
        raise _NoTime
    return int(match[1][:9].ljust(9, "0"))


def expiry_of(text: str) -> int | None:
    """Return a time in ns; None where the year is beyond what ns reach, which means never."""
    match = _SECOND.fullmatch(text[:17])
    return None if match is not None and int(match[1]) > 2261 else time_of(text)


@lru_cache(maxsize=1 << 12)
def qty_of(text: str) -> Decimal:
    """Return a quantity, 0 or more.

    A negative one may have been printed unsigned: -4 as 4294967292.  Whole numbers that are up to a
    million short of 2**32 or 2**64 are taken for that.
    """
    value = decimal_of(text)
    if value.is_signed():
        raise BadValue("", f"{shown(text)} is negative; a quantity is 0 or more")
    if value > 4_000_000_000:
        for wrap in (2**32, 2**64):
            if wrap - 1_000_000 <= value < wrap and value == int(value):
                problem = f"{text} is {int(value) - wrap} printed unsigned; a quantity is 0 or more"
                raise BadValue("", problem)
    return value


@lru_cache(maxsize=1 << 12)
def qty_told(text: str) -> Decimal | None:
    """Return a quantity; None where it is 0, which the field does not mean."""
    return qty_of(text) or None


@lru_cache(maxsize=1 << 12)
def px_told(text: str) -> Decimal | None:
    """Return an average price; None where it is 0, which engines print for none."""
    return average_of(text) or None


def id_told(text: str) -> str | None:
    """Return an id; None where it is NONE, FIX's own word for no id (35=9, tag 37)."""
    return None if text.upper() == "NONE" else id_of(text)


def symbol_of(text: str) -> str | None:
    """Return a symbol; None where it is `[N/A]`, the word for none (tag 55, from 4.3)."""
    return None if text == "[N/A]" else id_of(text)


def words(table: Mapping[str, str]) -> Callable[[str], str]:
    """Return a reader of an open set: what is not listed is kept as it came."""

    @lru_cache(maxsize=1 << 8)
    def read(text: str) -> str:
        return table.get(text) or id_of(text)

    return read


@lru_cache(maxsize=1 << 8)
def side_of(text: str) -> Side:
    """Return a side, or refuse one that moves no position that could be named."""
    side = SIDES.get(text)
    if side is None:
        raise BadValue("", f"{shown(text)} is no side that moves a position: 1 to 6 are")
    return side


def flag(text: str) -> bool:
    """Return a Boolean: Y is true."""
    return text == "Y"
