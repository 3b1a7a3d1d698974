"""A position is set right by hand: the quantity moves, nothing is realized, it can be undone."""

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from fillbook.audit.verify import verify
from fillbook.brokers.port import Message
from fillbook.core.book import Book, fold
from fillbook.core.events import InstrumentDefined
from fillbook.core.lots import LotBook
from fillbook.core.operator_events import PositionAdjusted
from fillbook.core.replaying import book_state
from fillbook.core.reports import BalanceReport, OrderReport, SplitReport, TransferReport
from fillbook.core.values import ExecType, OrderStatus, Side
from fillbook.feedback.recorder import Recorder
from fillbook.forensics.replay import happened_by
from fillbook.log.port import Draft, Record
from fillbook.log.sqlite import SqliteLog
from fillbook.wiring import LogHistory, recover


class Hand:
    """A ledger in memory into which a test writes fills and adjustments."""

    def __init__(self) -> None:
        self.log = SqliteLog.open(":memory:")
        self.book = Book(LogHistory(self.log))
        for record in self.log.records():
            self.book.apply(record)
        self.recorder = Recorder(
            self.book, lambda draft: self.log.append([draft])[0], lambda key: False,
            actor="OPERATOR",
        )  # fmt: skip
        self._count = 0

    def trade(self, qty: str, px: str, **more: Any) -> None:
        self._count += 1
        amount = Decimal(qty)
        self.recorder.record(
            Message(0, "report", OrderReport(
                client_order_id=f"R-{self._count}", venue_order_id=f"V-{self._count}",
                instrument_id="SBER", side=Side.BUY if amount > 0 else Side.SELL,
                order_qty=abs(amount), exec_type=ExecType.TRADE, order_status=OrderStatus.FILLED,
                trade_id=f"T-{self._count}", exec_id=f"E-{self._count}",
                last_qty=abs(amount), last_px=Decimal(px), cum_qty=abs(amount), **more,
            ), b"")
        )  # fmt: skip

    def adjust(self, qty: str, px: str | None = None) -> None:
        self.recorder.note_adjustment(
            PositionAdjusted(
                account_id="default", instrument_id="SBER", adjusted_qty=Decimal(qty),
                px=None if px is None else Decimal(px), by="olga", reason="the broker's statement",
                ts_event=1_768_000_000 * 10**9,
            )
        )  # fmt: skip

    def split(self, numerator: str) -> None:
        report = SplitReport(
            instrument_id="SBER", numerator=Decimal(numerator), denominator=Decimal(1)
        )
        self.recorder.record(Message(0, "split", report, b""))

    def figures(self) -> dict[str, object]:
        (view,) = self.book.position_views()
        return view.as_json()


@pytest.mark.parametrize(
    ("qty", "px", "position_qty", "avg_px"),
    [
        ("5", "300", "15", "100"),
        ("-4", None, "6", "100"),
        ("-10", None, "0", None),
        ("-12", "90", "-2", "90"),
        ("-12", None, "-2", None),
    ],
)
def test_it_moves_the_quantity_at_the_average_and_realizes_nothing(qty, px, position_qty, avg_px):
    """What was never traded by this book made it no profit; only what opens needs a price."""
    hand = Hand()
    hand.trade("20", "100")
    hand.trade("-10", "110")

    hand.adjust(qty, px)

    figures = hand.figures()
    assert (figures["position_qty"], figures["avg_px"]) == (position_qty, avg_px)
    assert figures["realized_pnl_gross"] == (None if qty == "-12" and px is None else "100")
    assert figures["trade_count"] == 2


@pytest.mark.parametrize(
    ("qty", "back"), [("5", None), ("-4", None), ("-10", "100"), ("-15", "100")]
)
def test_its_opposite_takes_it_back(qty: str, back: str | None):
    hand = Hand()
    hand.trade("10", "100")
    before = hand.figures()

    hand.adjust(qty, "90")
    assert hand.figures() != before
    hand.adjust(str(-Decimal(qty)), back)

    assert hand.figures() == before


def test_it_opens_a_position_that_never_was():
    hand = Hand()
    hand.adjust("100", "275.5")

    figures = hand.figures()
    assert (figures["position_qty"], figures["avg_px"]) == ("100", "275.5")
    assert figures["realized_pnl_gross"] == "0"


def test_a_transfer_that_the_broker_tells_is_one():
    """Told again, by whatever question, it is the same transfer; another id is another one."""
    hand, keys = Hand(), set()

    def sink(draft: Draft) -> Record:
        keys.add(draft.idempotency_key)
        return hand.log.append([draft])[0]

    recorder = Recorder(hand.book, sink, keys.__contains__)
    told = TransferReport(
        instrument_id="SBER", transfer_id="M-1", transferred_qty=Decimal(40), px=Decimal(50),
        ts_event=7, ts_received=9,
    )  # fmt: skip

    first = recorder.record(Message(0, "transfer", told, b"{}"))
    again = recorder.record(Message(0, "transfer", evolve(told, ts_received=11), b"{}"))
    out = evolve(told, transfer_id="M-2", transferred_qty=Decimal(-10), px=None)
    recorder.record(Message(0, "transfer", out, b"{}"))
    recorder.record(Message(0, "transfer", evolve(told, account_id="other"), b"{}"))

    assert (first.outcome, again.outcome, again.events) == ("RECORDED", "DUPLICATE", ())
    assert first.events == (
        PositionAdjusted(
            account_id="default", instrument_id="SBER", adjusted_qty=Decimal(40), px=Decimal(50),
            by="the venue", reason="transfer M-1", ts_event=7, ts_received=9,
        ),
    )  # fmt: skip
    assert "transfer:default:SBER:M-1" in keys
    held = {view.account_id: view.position_qty for view in hand.book.position_views()}
    assert held == {"default": 30, "other": 40}
    assert book_state(recover(hand.log, use_snapshot=False)) == book_state(hand.book)
    assert verify(hand.log).problems == []


def test_a_balance_is_only_compared():
    hand = Hand()
    head = hand.log.head().seq
    report = BalanceReport(currency="RUB", amount=Decimal(-5))

    judgement = hand.recorder.record(Message(0, "balance", report, b"{}"))

    assert (judgement.kind, judgement.outcome, judgement.events) == ("balance", "DUPLICATE", ())
    assert hand.log.head().seq == head


def test_every_fold_leads_to_the_same_position():
    """Live, from columns, from nothing, and folded anew after the past has changed."""
    hand = Hand()
    hand.adjust("100", "50")
    hand.trade("10", "100")
    hand.split("2")
    hand.adjust("-30")
    hand.trade("-300", "60")
    hand.adjust("7", "61")
    hand.recorder.note_other(InstrumentDefined(instrument_id="GAZP"))
    live = book_state(hand.book)["positions"]

    assert book_state(recover(hand.log, use_snapshot=False))["positions"] == live
    records = list(hand.log.records())
    assert book_state(fold(records))["positions"] == live
    number = hand.book.positions.number("default", "SBER")
    assert number is not None
    hand.book.positions.refold(number, records)
    assert book_state(hand.book)["positions"] == live
    assert [record.position for record in records if record.type == "position.adjusted"] == [2] * 3
    assert verify(hand.log).problems == []


def test_a_stale_position_counts_it_once():
    """A bust makes the position stale; what is adjusted meanwhile waits for the refold."""
    hand = Hand()
    hand.trade("10", "100")
    hand.trade("10", "200")
    hand.recorder.record(
        Message(0, "report", OrderReport(
            client_order_id="R-2", exec_type=ExecType.TRADE_CANCEL, exec_ref_id="E-2",
            exec_id="E-9", order_status=OrderStatus.NEW, cum_qty=Decimal(0)), b"")
    )  # fmt: skip
    assert hand.book.positions.stale()
    hand.adjust("5")

    assert (hand.figures()["position_qty"], hand.figures()["avg_px"]) == ("15", "100")


@pytest.mark.parametrize("method", ["fifo", "lifo"])
def test_lots_have_the_same_quantity(method: Any):
    hand = Hand()
    hand.trade("10", "100")
    hand.trade("10", "200")
    hand.adjust("-5")
    lots = LotBook(method, "default", "SBER")

    number = hand.book.positions.number("default", "SBER")
    assert number is not None
    hand.book.positions.fold_into(lots, number, hand.log.records())

    assert lots.qty == Decimal(15)
    assert lots.view(None, None).realized_pnl_gross == 0


def test_what_had_happened_by_a_time_has_it_too():
    hand = Hand()
    hand.adjust("100", "50")

    def at(seconds: int) -> list[Any]:
        return happened_by(hand.log, hand.book, seconds * 10**9, marks={}).positions

    assert at(1_767_999_999) == []
    assert [view.position_qty for view in at(1_768_000_000)] == [Decimal(100)]
