"""Instants as they are printed can be read back."""

from datetime import UTC, datetime, timedelta

import pytest

from fillbook.brokers.jsonkinds import instant_of
from fillbook.cli.common import instant_ns
from fillbook.core.times import time_text


def ns_of(year: int, month: int = 1, day: int = 1, hour: int = 0) -> int:
    since = datetime(year, month, day, hour, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(seconds=1) * 1_000_000_000


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (ns_of(1), "0001-01-01T00:00:00.000Z"),
        (ns_of(999, 12, 31), "0999-12-31T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (ns_of(2026, 3, 13, 7), "2026-03-13T07:00:00.000Z"),
        (ns_of(2026, 3, 13, 7) + 100_000_000, "2026-03-13T07:00:00.100Z"),
        (ns_of(2026, 3, 13, 7) + 1_000, "2026-03-13T07:00:00.000001Z"),
        (ns_of(2026, 3, 13, 7) + 123_456_789, "2026-03-13T07:00:00.123456789Z"),
        (ns_of(2026, 3, 13, 7) + 999_999_990, "2026-03-13T07:00:00.999999990Z"),
        (ns_of(9999, 12, 31), "9999-12-31T00:00:00.000Z"),
    ],
)
def test_a_time_has_a_full_year_and_the_digits_it_needs(ns: int, text: str):
    assert time_text(ns) == text
    assert instant_ns(text) == ns
    if 0 <= ns < ns_of(2262):  # what a message may carry
        assert instant_of(text) == ns


def test_no_time_is_no_text():
    assert time_text(None) is None
