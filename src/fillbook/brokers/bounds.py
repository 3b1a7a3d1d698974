"""Bound what comes from outside, the same for every format: ids, texts, instants, splits.

Each function returns the value or raises `BadValue` with an empty key: the caller knows the key.
"""

import re
from datetime import date
from decimal import Decimal

from fillbook.errors import BadValue

__all__ = ["MAX_ID", "MAX_TEXT", "id_of", "second_ns", "shown", "split_term", "text_of"]

MAX_ID = 256
MAX_TEXT = 4096

_MIN_SPLIT, _MAX_SPLIT = Decimal("1e-9"), Decimal(10**9)
_MAX_SPLIT_DIGITS = 18

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_SECOND_NS = 1_000_000_000
_LAST_SECOND = (2**63 - 1) // _SECOND_NS - 1  # in the year 2262; the log holds 63 bits


def id_of(text: str) -> str:
    """Return *text* if it can be an id, a currency or a venue's own word.

    Not empty, at most 256 characters, no control characters; spaces, `#` and any script are legal.
    """
    if 0 < len(text) <= MAX_ID and (text.isprintable() or not _CONTROL.search(text)):
        return text
    if not text:
        raise BadValue("", "is empty; leave it out where there is no value")
    if len(text) > MAX_ID:
        raise BadValue("", f"{shown(text)} is longer than {MAX_ID} characters")
    raise BadValue("", f"{shown(text)} has a control character")


def text_of(text: str) -> str | None:
    """Return the first 4096 characters of somebody's words; None where there are none."""
    return text[:MAX_TEXT] or None


def split_term(value: Decimal) -> Decimal:
    """Return *value*, > 0, if it can be the numerator or denominator of a split.

    Every quantity and price of the instrument is multiplied by it, split after split, and the
    digits add up: those of a ratio that nobody meant would outgrow exact arithmetic.
    """
    digits = len(value.as_tuple().digits)
    if _MIN_SPLIT <= value <= _MAX_SPLIT and digits <= _MAX_SPLIT_DIGITS:
        return value
    raise BadValue(
        "", f"{shown(str(value))} is no part of a split's ratio: 1e-9 to 1e9, at most 18 digits"
    )


def shown(value: object) -> str:
    """Return *value* as a message may quote it: on one line, and short."""
    if isinstance(value, str) and len(value) > 40:
        return f"{value[:40]!r}… ({len(value)} characters)"
    return repr(value)


def second_ns(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    """Return nanoseconds since 1970 UTC.

    A leap second, 23:59:60, is the second that follows it: POSIX time has no other place for it.
    Refuses what the log's 63 bits cannot hold: before 1970 and after 2262.
    """
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        raise BadValue("", f"there is no day {year:04}-{month:02}-{day:02}") from None
    leap = second == 60 and hour == 23 and minute == 59
    if hour > 23 or minute > 59 or (second > 59 and not leap):
        raise BadValue("", f"there is no time of day {hour:02}:{minute:02}:{second:02}")
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    if not 0 <= seconds <= _LAST_SECOND:
        raise BadValue("", f"the year {year:04} is outside 1970 to 2262")
    return seconds * _SECOND_NS
