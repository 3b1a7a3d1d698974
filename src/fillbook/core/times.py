"""Write instants down: RFC 3339 in UTC, as every door prints them and the importers read them."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import overload

__all__ = ["time_text"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@overload
def time_text(ns: int) -> str: ...
@overload
def time_text(ns: None) -> None: ...
@overload
def time_text(ns: int | None) -> str | None: ...
def time_text(ns: int | None) -> str | None:
    """Return *ns* since 1970 as RFC 3339 in UTC, with 3, 6 or 9 digits of the second."""
    if ns is None:
        return None
    seconds, rest = divmod(ns, 1_000_000_000)
    digits = f"{rest:09d}"
    while len(digits) > 3 and digits.endswith("000"):
        digits = digits[:-3]
    return f"{_second_text(seconds)}.{digits}Z"


@lru_cache(maxsize=1 << 10)
def _second_text(seconds: int) -> str:
    # `strftime` prints the year 999 in three digits, and not even that the same everywhere
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]
