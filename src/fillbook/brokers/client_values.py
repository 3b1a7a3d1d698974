"""Read single values of a client's dictionaries: amounts, ids, words, times.

A number may be an `int`, a `float`, a `Decimal` or text.  A float stands for the shortest decimal
that reads back as it, which is what its author wrote, and never for its binary expansion.  Each
function raises `BadValue` with the key; None is "was not said".
"""

import json
import operator
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from fillbook.brokers.bounds import id_of, shown, text_of
from fillbook.brokers.jsonkinds import instant_of
from fillbook.core.exact import average_of, decimal_of
from fillbook.core.values import OrderStatus, Side
from fillbook.errors import BadValue

__all__ = [
    "STATUSES",
    "amount_in",
    "average_in",
    "id_in",
    "instant_in",
    "needed",
    "qty_in",
    "raw_of",
    "side_in",
    "status_in",
    "text_in",
]

Row = Mapping[str, Any]

STATUSES: dict[str, OrderStatus] = {
    **{word.value.lower(): word for word in OrderStatus if word is not OrderStatus.UNKNOWN},
    "pending": OrderStatus.NEW,
    "cancelled": OrderStatus.CANCELED,
}
"""FIX's words and the chapter's, where `pending` is an order that waits to be filled."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_BITS = 400


def needed(row: Row, key: str) -> None:
    """Refuse a row that does not say *key*."""
    if row.get(key) is None:
        raise BadValue(key, "missing")


def amount_in(row: Row, key: str) -> Decimal | None:
    """Return a finite amount of either sign."""
    return _read(row, key, decimal_of)


def qty_in(row: Row, key: str) -> Decimal | None:
    """Return an amount of 0 or more."""
    value = amount_in(row, key)
    if value is not None and value.is_signed():
        raise BadValue(key, f"{shown(row[key])} is negative; a quantity is 0 or more")
    return value


def average_in(row: Row, key: str) -> Decimal | None:
    """Return an average price; None for 0, which is how a client says that it has none."""
    return _read(row, key, average_of) or None


def id_in(row: Row, key: str) -> str | None:
    """Return an id as text, whole numbers included."""
    value = row.get(key)
    if isinstance(value, (int, UUID)) and not isinstance(value, bool):
        value = _text_of_number(value) if isinstance(value, int) else str(value)
    if value is None or isinstance(value, str):
        return None if value is None else _named(key, id_of, value)
    raise BadValue(key, f"found {shown(value)}, expected an id")


def side_in(row: Row, key: str = "side") -> Side | None:
    """Return a side, whatever the case of its letters."""
    word = _word(row, key)
    if word is None:
        return None
    try:
        return Side(word.upper())
    except ValueError:
        raise BadValue(key, f"{shown(row[key])} is none of {', '.join(Side)}") from None


def status_in(row: Row, statuses: Mapping[str, OrderStatus]) -> OrderStatus | None:
    """Return the status that *statuses* has for the row's word."""
    word = _word(row, "status")
    if word is None:
        return None
    status = statuses.get(word)
    if status is None:
        raise BadValue("status", f"{shown(row['status'])} is none of {', '.join(statuses)}")
    return status


def text_in(row: Row, *keys: str) -> str | None:
    """Return what the first of *keys* that says anything says, for people."""
    for key in keys:
        value = row.get(key)
        if value:
            return text_of(value if isinstance(value, str) else str(value))
    return None


def instant_in(row: Row, key: str) -> int | None:
    """Return nanoseconds since 1970 of an aware `datetime` or a text in UTC.

    None for anything else: a number has no unit and a naive time no zone.  A time only explains,
    so no fill is refused for it.
    """
    value = row.get(key)
    if isinstance(value, datetime) and value.tzinfo is not None:
        ns = (value - _EPOCH) // timedelta(microseconds=1) * 1000
        return ns if 0 <= ns < 2**63 else None
    if isinstance(value, str):
        try:
            return instant_of(value)
        except BadValue:
            return None
    return None


def raw_of(answer: object) -> bytes:
    """Return *answer* as JSON, the same bytes for the same answer, to be kept as evidence."""
    try:
        text = json.dumps(answer, default=_unusual, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # keys that JSON has not, or a cycle
        text = _unusual(answer)
    return text.encode("utf-8", "backslashreplace")


# ---- helpers


def _read(row: Row, key: str, read: Callable[[str], Decimal]) -> Decimal | None:
    value = row.get(key)
    return None if value is None else _named(key, lambda it: read(_text_of_number(it)), value)


def _named(key: str, read: Callable[[Any], Any], value: object) -> Any:
    try:
        return read(value)
    except BadValue as bad:
        raise BadValue(key, bad.problem) from None


def _text_of_number(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return float.__repr__(value)  # a subclass may print itself otherwise, as numpy's does
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise BadValue("", f"found {shown(value)}, expected a number")
    number = operator.index(value)
    if number.bit_length() > _MAX_BITS:
        raise BadValue("", f"a whole number of {number.bit_length()} bits is no amount")
    return str(number)


def _word(row: Row, key: str) -> str | None:
    """Return a word in small letters; a member of an enum is its value."""
    value = row.get(key)
    if isinstance(value, Enum):
        value = value.value
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadValue(key, f"found {shown(value)}, expected a word")
    return value.lower().replace(" ", "_").replace("-", "_")


def _unusual(value: object) -> str:
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return str(value.value)
    said = repr(value)
    return f"<{type(value).__name__}>" if " at 0x" in said else said
