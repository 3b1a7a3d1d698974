"""What every live broker must do that declares it can; an adapter is done when it passes.

An adapter's tests subclass `BrokerSuite` and give it a fixture `bench`: a broker that is connected,
and a market that stands still, so that an order rests or fills as the test wants it to.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from attrs import Factory, define, evolve

from fillbook.brokers.live import Broker, BrokerRefused, NotSent, OrderRef
from fillbook.brokers.port import Message
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.reports import (
    BalanceReport,
    CashReport,
    CommissionReport,
    OrderReport,
    PositionReport,
    SplitReport,
    TransferReport,
)
from fillbook.core.values import CLOSED, ExecType, OrderStatus, Side

WAIT_S = 10.0


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.lines: list[bool] = []
        self._changed = threading.Condition()

    def hear(self, message: Message) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def line(self, is_up: bool, problem: str = "") -> None:
        with self._changed:
            self.lines.append(is_up)
            self._changed.notify_all()

    def wait(self, is_so: Callable[["Ear"], object], wait_s: float = WAIT_S) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: is_so(self), wait_s), (self.lines, self.reports())

    def reports(self, exec_type: ExecType | None = None) -> list[OrderReport]:
        return reports_in(self.messages, exec_type)


@define
class Bench:
    """A broker under test, and what the test may ask of its market.

    Attributes:
        rests_px: A limit price at which a BUY of *qty* rests.
        fills_px: A limit price at which a BUY of *qty* fills at once, and completely.
        bad_qty: A quantity that the broker refuses.
        silent_on: Keys of a report that this broker has no word for: they are None, never a guess.
        have_moved: Has a signed quantity of the instrument moved into the account without a trade;
            None where the test cannot have that done at this broker.
    """

    broker: Broker
    ear: Ear
    instrument_id: str
    qty: Decimal
    rests_px: Decimal
    fills_px: Decimal
    bad_qty: Decimal
    silent_on: frozenset[str] = frozenset()
    have_moved: Callable[[Decimal], object] | None = None
    _count: int = 0
    refs: dict[str, OrderRef] = Factory(dict)

    def new_id(self) -> str:
        self._count += 1
        if self.broker.capabilities.client_id_form == "INTEGER":
            return str(1_000 + self._count)
        return f"R-{self._count}"

    def an_order(self, limit_px: Decimal, **terms) -> SubmitOrder:
        defaults = {
            "client_order_id": self.new_id(),
            "instrument_id": self.instrument_id,
            "side": Side.BUY,
            "order_type": "LIMIT",
            "order_qty": self.qty,
            "limit_px": limit_px,
            "time_in_force": "GTC",
        }
        return SubmitOrder(**(defaults | terms))

    def submit(self, limit_px: Decimal, **terms) -> OrderRef:
        """Submit an order and return how to name it."""
        order = self.an_order(limit_px, **terms)
        return ref_to(order, reports_in(self.broker.submit(order))[-1].venue_order_id)

    def stands(self, ref: OrderRef) -> OrderReport:
        """Return the order's state by whatever the broker has to tell it."""
        can = self.broker.capabilities
        if can.can_look_up or (can.can_look_up_by_venue_id and ref.venue_order_id is not None):
            return reports_in(self.broker.look_up(ref))[-1]
        ids = {ref.client_order_id, ref.venue_order_id}
        return [each for each in self.ear.reports() if ids & {each.client_order_id}][-1]

    def until(self, ref: OrderRef, status: OrderStatus) -> OrderReport:
        """Wait until the order has *status*."""
        deadline = time.monotonic() + WAIT_S
        while (report := self.stands(ref)).order_status is not status:
            assert time.monotonic() < deadline, report
            time.sleep(0.02)
        return report

    def says(self, report: OrderReport, **expected: object) -> None:
        """Assert what *report* says; where this broker has no word for it, that it says nothing."""
        for key, value in expected.items():
            wanted = None if key in self.silent_on else value
            assert getattr(report, key) == wanted, (key, report)


def ref_to(order: SubmitOrder, venue_order_id: str | None) -> OrderRef:
    return OrderRef(
        client_order_id=order.client_order_id,
        first_client_order_id=order.client_order_id,
        venue_order_id=venue_order_id,
        account_id=order.account_id,
        instrument_id=order.instrument_id,
    )


def reports_in(messages: Sequence[Message], exec_type: ExecType | None = None) -> list[OrderReport]:
    return [
        message.content
        for message in messages
        if isinstance(message.content, OrderReport)
        and (exec_type is None or message.content.exec_type is exec_type)
    ]


def needs(bench: Bench, *names: str) -> None:
    for name in names:
        if not getattr(bench.broker.capabilities, name):
            pytest.skip(f"{name} is not declared")


def is_activity(message: Message) -> bool:
    kinds = SplitReport | CashReport | TransferReport | CommissionReport
    return isinstance(message.content, kinds) and message.content.ts_event is not None


def balances_in(messages: Sequence[Message]) -> dict[tuple[str, str], Decimal]:
    balances = {}
    for message in messages:
        report = message.content
        assert isinstance(report, BalanceReport)
        assert (report.account_id, report.currency) not in balances
        balances[report.account_id, report.currency] = report.amount
    return balances


class BrokerSuite:
    """The tests; a subclass gives the fixture `bench`."""

    # ---- submit

    def test_an_order_is_answered_with_a_report_of_it(self, bench: Bench):
        order = bench.an_order(bench.rests_px)
        messages = bench.broker.submit(order)

        assert messages
        for report in reports_in(messages):
            assert report.client_order_id == order.client_order_id
            assert report.venue_order_id
            assert report.order_status in (OrderStatus.NEW, OrderStatus.PENDING_NEW)
            assert report.ts_received if "ts_event" in bench.silent_on else report.ts_event
        assert all(message.problem is None and message.raw for message in messages)

    def test_what_is_said_can_be_read_back_from_its_bytes(self, bench: Bench):
        """The raw bytes are the evidence: they must be what the claim was read from."""
        order = bench.an_order(bench.rests_px)
        for message in bench.broker.submit(order):
            report = message.content
            assert isinstance(report, OrderReport)
            assert str(report.venue_order_id).encode() in message.raw
            if "client_order_id" not in bench.silent_on:  # then it is known from the question
                assert order.client_order_id.encode() in message.raw

    def test_a_refused_order_raises_with_a_reason(self, bench: Bench):
        order = bench.an_order(bench.rests_px, order_qty=bench.bad_qty)
        with pytest.raises(BrokerRefused) as refusal:
            bench.broker.submit(order)
        assert refusal.value.reason.isupper()
        assert refusal.value.text
        assert refusal.value.raw

    def test_an_id_makes_one_order(self, bench: Bench):
        """Sending again is how a robot would come to own twice what it wants."""
        order = bench.an_order(bench.rests_px)
        first = reports_in(bench.broker.submit(order))[-1]
        if bench.broker.capabilities.is_submit_idempotent:
            again = reports_in(bench.broker.submit(order))[-1]
            assert again.venue_order_id == first.venue_order_id
        else:
            with pytest.raises(BrokerRefused) as refusal:
                bench.broker.submit(order)
            assert refusal.value.reason == "DUPLICATE_ORDER"
        if bench.broker.capabilities.has_open_orders:
            found = reports_in(bench.broker.open_orders())
            assert [each.venue_order_id for each in found] == [first.venue_order_id]

    def test_calls_may_come_from_several_threads_at_once(self, bench: Bench):
        orders = [bench.an_order(bench.rests_px) for _ in range(8)]
        with ThreadPoolExecutor(bench.broker.capabilities.concurrency) as pool:
            answers = list(pool.map(bench.broker.submit, orders))
        found = [reports_in(answer)[-1] for answer in answers]
        assert [each.client_order_id for each in found] == [
            order.client_order_id for order in orders
        ]
        assert len({each.venue_order_id for each in found}) == 8

    # ---- cancel and replace

    def test_a_cancel_ends_the_order(self, bench: Bench):
        ref = bench.submit(bench.rests_px)
        request = CancelOrder(
            client_order_id=bench.new_id(), orig_client_order_id=ref.client_order_id
        )
        bench.broker.cancel(request, ref)

        report = bench.until(ref, OrderStatus.CANCELED)
        bench.says(report, cum_qty=0, leaves_qty=0)

    def test_a_cancel_that_comes_too_late_is_refused(self, bench: Bench):
        ref = bench.submit(bench.fills_px)
        bench.until(ref, OrderStatus.FILLED)
        request = CancelOrder(
            client_order_id=bench.new_id(), orig_client_order_id=ref.client_order_id
        )
        with pytest.raises(BrokerRefused) as refusal:
            bench.broker.cancel(request, ref)
        assert refusal.value.reason in ("TOO_LATE_TO_CANCEL", "UNKNOWN_ORDER")

    def test_a_cancel_of_an_unknown_order_is_refused(self, bench: Bench):
        ref = ref_to(bench.an_order(bench.rests_px), "404")
        request = CancelOrder(
            client_order_id=bench.new_id(), orig_client_order_id=ref.client_order_id
        )
        with pytest.raises(BrokerRefused) as refusal:
            bench.broker.cancel(request, ref)
        assert refusal.value.reason == "UNKNOWN_ORDER"

    def test_a_cancel_without_the_venues_id_goes_by_ours_or_does_not_leave(self, bench: Bench):
        """Both are evidence; a guess at which order is meant would cancel another one."""
        ref = ref_to(bench.an_order(bench.rests_px), None)
        request = CancelOrder(
            client_order_id=bench.new_id(), orig_client_order_id=ref.client_order_id
        )
        with pytest.raises((BrokerRefused, NotSent)) as refusal:
            bench.broker.cancel(request, ref)
        if isinstance(refusal.value, BrokerRefused):
            assert refusal.value.reason == "UNKNOWN_ORDER"

    def test_a_replaced_order_has_its_new_terms_under_both_ids(self, bench: Bench):
        needs(bench, "can_replace", "can_look_up")
        ref = bench.submit(bench.rests_px)
        request = ReplaceOrder(
            client_order_id=bench.new_id(),
            orig_client_order_id=ref.client_order_id,
            order_qty=2 * bench.qty,
        )
        bench.broker.replace(request, ref)

        deadline = time.monotonic() + WAIT_S
        while bench.stands(ref).order_qty != 2 * bench.qty:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        report = bench.until(ref, OrderStatus.NEW)
        bench.says(report, leaves_qty=2 * bench.qty, limit_px=bench.rests_px)

    # ---- questions

    def test_a_look_up_tells_the_fills_and_then_the_state(self, bench: Bench):
        needs(bench, "can_look_up")
        ref = bench.submit(bench.fills_px)
        bench.until(ref, OrderStatus.FILLED)

        reports = reports_in(bench.broker.look_up(ref))

        state = reports[-1]
        assert state.is_snapshot
        bench.says(
            state, order_status=OrderStatus.FILLED, cum_qty=bench.qty, leaves_qty=0,
            instrument_id=bench.instrument_id, side=Side.BUY, order_qty=bench.qty,
        )  # fmt: skip
        fills = [each for each in reports[:-1] if each.exec_type is ExecType.TRADE]
        if fills:
            assert sum(each.last_qty for each in fills) == bench.qty
            assert all(each.trade_id and each.last_px for each in fills)
        assert state.avg_px is not None

    def test_a_look_up_of_an_unknown_order_finds_nothing(self, bench: Bench):
        needs(bench, "can_look_up")
        ref = ref_to(bench.an_order(bench.rests_px), None)
        assert list(bench.broker.look_up(ref)) == []

    def test_an_order_is_found_by_the_venues_id(self, bench: Bench):
        """It is all that is known of an order that somebody else sent."""
        needs(bench, "can_look_up_by_venue_id")
        ref = bench.submit(bench.rests_px)
        by_venue_id = OrderRef(
            client_order_id="",
            first_client_order_id="",
            venue_order_id=ref.venue_order_id,
            account_id=ref.account_id,
            instrument_id=ref.instrument_id,
        )
        report = reports_in(bench.broker.look_up(by_venue_id))[-1]
        assert report.venue_order_id == ref.venue_order_id

    def test_open_orders_are_those_that_are_open(self, bench: Bench):
        needs(bench, "has_open_orders")
        assert list(bench.broker.open_orders()) == []
        resting, other = bench.submit(bench.rests_px), bench.submit(bench.rests_px)
        bench.until(bench.submit(bench.fills_px), OrderStatus.FILLED)

        reports = reports_in(bench.broker.open_orders())

        assert {each.venue_order_id for each in reports} == {
            resting.venue_order_id, other.venue_order_id,
        }  # fmt: skip
        assert all(each.order_status not in CLOSED for each in reports)
        for each in reports:
            bench.says(each, leaves_qty=bench.qty, instrument_id=bench.instrument_id)

    def test_fills_are_listed_from_a_time_on_oldest_first(self, bench: Bench):
        needs(bench, "has_fills_since")
        assert list(bench.broker.fills_since(0)) == []
        refs = [bench.submit(bench.fills_px)]
        bench.until(refs[0], OrderStatus.FILLED)
        refs.append(bench.submit(bench.fills_px))
        bench.until(refs[1], OrderStatus.FILLED)

        fills = reports_in(bench.broker.fills_since(0), ExecType.TRADE)

        times = [fill.ts_event for fill in fills]
        assert times == sorted(times)
        assert sum(fill.last_qty for fill in fills) == 2 * bench.qty
        assert {fill.venue_order_id for fill in fills} == {ref.venue_order_id for ref in refs}
        later = reports_in(bench.broker.fills_since(times[-1]), ExecType.TRADE)
        assert [fill.trade_id for fill in later] == [
            fill.trade_id for fill in fills if fill.ts_event >= times[-1]
        ]

    def test_positions_are_signed(self, bench: Bench):
        needs(bench, "has_positions")
        bench.until(bench.submit(bench.fills_px), OrderStatus.FILLED)
        held = [message.content for message in bench.broker.positions()]
        assert all(isinstance(each, PositionReport) for each in held)
        assert {each.instrument_id: each.position_qty for each in held if each.position_qty} == {
            bench.instrument_id: bench.qty
        }

    def test_positions_are_complete_once_their_lag_is_over(self, bench: Bench):
        """What is declared as the lag is what a comparison waits for, and no longer."""
        needs(bench, "has_positions")
        bench.until(bench.submit(bench.fills_px), OrderStatus.FILLED)
        deadline = time.monotonic() + bench.broker.capabilities.positions_lag_ns / 1e9
        while not (held := bench.broker.positions()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert [message.content.position_qty for message in held] == [bench.qty]

    def test_activities_are_listed_from_a_time_on_oldest_first(self, bench: Bench):
        """Whoever asks again from the last one on must not miss any, and orders are not in it."""
        needs(bench, "has_activities")
        assert list(bench.broker.activities_since(0)) == []
        bench.until(bench.submit(bench.fills_px), OrderStatus.FILLED)
        assert all(is_activity(each) for each in bench.broker.activities_since(0))
        if bench.have_moved is None:
            pytest.skip("nothing can be moved here")
        bench.have_moved(bench.qty)
        bench.have_moved(-bench.qty)

        messages = bench.broker.activities_since(0)

        assert all(is_activity(each) and each.problem is None and each.raw for each in messages)
        told = [each.content for each in messages if isinstance(each.content, TransferReport)]
        assert [each.transferred_qty for each in told] == [bench.qty, -bench.qty]
        assert {each.instrument_id for each in told} == {bench.instrument_id}
        times = [message.content.ts_event for message in messages]
        assert times == sorted(times)
        later = [message.content for message in bench.broker.activities_since(times[-1])]
        assert [each.transfer_id for each in later if isinstance(each, TransferReport)] == [
            told[-1].transfer_id
        ]
        again = [message.content for message in bench.broker.activities_since(0)]
        assert [evolve(each, ts_received=None) for each in again] == [
            evolve(message.content, ts_received=None) for message in messages
        ]

    def test_cash_is_told_for_each_currency_once(self, bench: Bench):
        needs(bench, "has_cash")
        before = balances_in(bench.broker.cash())
        bench.until(bench.submit(bench.fills_px), OrderStatus.FILLED)

        after = balances_in(bench.broker.cash())

        changed = {key for key, amount in after.items() if before.get(key, Decimal(0)) != amount}
        assert changed, "a purchase costs something"

    # ---- the stream

    def test_the_stream_tells_what_happens(self, bench: Bench):
        needs(bench, "has_stream")
        bench.ear.wait(lambda ear: ear.lines == [True])
        ref = bench.submit(bench.fills_px)

        bench.ear.wait(lambda ear: sum(e.last_qty for e in ear.reports(ExecType.TRADE)) > 0)
        bench.ear.wait(lambda ear: ear.reports()[-1].order_status is OrderStatus.FILLED)
        told = bench.ear.reports()
        assert {each.client_order_id for each in told} == {ref.client_order_id}
        assert sum(each.last_qty for each in told if each.exec_type is ExecType.TRADE) == bench.qty
        if bench.broker.capabilities.can_look_up:
            asked = reports_in(bench.broker.look_up(ref), ExecType.TRADE)
            if asked:  # one fill has one id, wherever it is told
                assert {each.trade_id for each in asked} == {
                    each.trade_id for each in told if each.exec_type is ExecType.TRADE
                }

    def test_nothing_is_heard_after_closing(self, bench: Bench):
        bench.submit(bench.rests_px)
        bench.broker.close()
        heard = len(bench.ear.messages)
        time.sleep(0.1)
        assert len(bench.ear.messages) == heard
