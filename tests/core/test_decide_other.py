"""What concerns no order: what adds nothing, what is booked only once, what goes too far."""

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from builders import Desk, a_fill, a_split, an_instrument, an_intent, some_cash
from fillbook.core.book import Book
from fillbook.core.deciding_other import decide_other
from fillbook.core.events import CashMoved, InstrumentDefined
from fillbook.core.reports import BalanceReport, MarkReport, PositionReport, TransferReport

CASH = some_cash("-1.50", ts_event=7)
TRANSFER = TransferReport(instrument_id="INST", transfer_id="M-1", transferred_qty=Decimal(40))


@pytest.mark.parametrize(
    ("report", "other"),
    [
        (an_instrument(), {"multiplier": Decimal(10)}),
        (MarkReport(instrument_id="INST", px=Decimal(5)), {"px": Decimal(6)}),
        (PositionReport(instrument_id="INST", position_qty=Decimal(3)), {"avg_px": Decimal(2)}),
    ],
    ids=lambda each: "" if isinstance(each, dict) else type(each).__name__,
)
def test_what_says_the_same_adds_nothing(report: Any, other: dict[str, Any]):
    """They are told with every connection; only what changes is worth an event."""
    desk = Desk()
    assert decide_other(desk.book, report) is not None
    desk.say(report)

    assert decide_other(desk.book, report) is None
    assert decide_other(desk.book, evolve(report, **other)) is not None


def test_a_balance_adds_nothing():
    assert decide_other(Book(), BalanceReport(currency="USD", amount=Decimal(5))) is None


def test_an_instrument_that_changed_stays_in_its_stream():
    desk = Desk()
    desk.say(an_instrument())

    decided = decide_other(desk.book, an_instrument(multiplier="10"))

    assert decided is not None
    assert isinstance(decided.event, InstrumentDefined)
    assert decided.stream == desk.book.instrument_streams["INST"]


@pytest.mark.parametrize("report", [CASH, TRANSFER, a_split("2", "1", ts_event=7)])
def test_what_is_booked_once_has_the_same_key_however_it_is_told(report: Any):
    """A poll and the stream tell it at different moments."""
    told = decide_other(Book(), report)
    again = decide_other(Book(), evolve(report, ts_received=99))

    assert told is not None
    assert again is not None
    assert told.key is not None
    assert told.key == again.key


@pytest.mark.parametrize("report", [CASH, a_split("2", "1", ts_event=7)])
def test_without_a_time_nothing_tells_two_alike_apart(report: Any):
    """Two payments of one amount are two: what has no time of its own is news each time."""
    decided = decide_other(Book(), evolve(report, ts_event=None))

    assert decided is not None
    assert decided.key is None


def test_what_moves_a_position_names_it():
    """0 is one that nothing has moved yet."""
    desk = Desk()
    first = decide_other(desk.book, CASH)
    desk.say(an_instrument(), an_intent(), a_fill("T-1", "1", "5"))
    later = decide_other(desk.book, CASH)

    assert first is not None
    assert later is not None
    assert isinstance(later.event, CashMoved)
    assert (first.position, later.position) == (0, desk.book.positions.number("default", "INST"))
    assert later.position


def test_a_split_that_goes_too_far_is_told_by_its_key_before_its_problem():
    """It is the log that knows whether it is on record; then it is no news, however far it goes."""
    desk = Desk()
    for ts in range(3):
        desk.say(a_split("1000000000", "0.000000001", ts_event=ts))

    decided = decide_other(desk.book, a_split("1000000000", "0.000000001", ts_event=0))

    assert decided is not None
    assert decided.key == "split:INST:1000000000/0.000000001:0"
    assert "'INST'" in str(decided.problem)
