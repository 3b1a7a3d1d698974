"""A robot's tracker with a broker played by the test: every call is answered by hand, time too."""

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from fillbook.brokers.live import Capabilities
from fillbook.brokers.port import Message
from fillbook.core.commands import SubmitOrder
from fillbook.core.events import Event
from fillbook.core.orders import Order
from fillbook.core.reports import CancelReject, OrderReport
from fillbook.core.values import ExecType, OrderStatus, Side
from fillbook.feedback.keeper import Keeper
from fillbook.feedback.schedule import Call
from fillbook.feedback.settings import SECOND, Settings
from fillbook.feedback.tracker import Tracker
from fillbook.log.sqlite import SqliteLog
from fillbook.wiring import recover

NOON = 1_768_000_000 * SECOND

ABLE = Capabilities(
    name="test", has_stream=True, can_look_up=True, can_look_up_by_venue_id=True,
    has_open_orders=True, has_fills_since=True, can_replace=True, settling_ns=5 * SECOND,
    calls=1000,
)  # fmt: skip


class Desk:
    """One tracker on a ledger in memory, or on the file *path* to be opened again."""

    def __init__(
        self,
        capabilities: Capabilities = ABLE,
        settings: Settings | None = None,
        path: str = ":memory:",
        *,
        start: bool = True,
    ) -> None:
        self.now = NOON
        self.capabilities = capabilities
        self.settings = settings or Settings()
        self.path = path
        self.calls: list[Call] = []
        self._ids = 0
        self._open()
        if start:
            self.start()

    def _open(self) -> None:
        durability: Any = "none" if self.path == ":memory:" else "strict"
        self.log = SqliteLog.open(self.path, durability=durability, clock=lambda: self.now)
        self.keeper = Keeper(self.log, lambda: recover(self.log), self.settings.fill_policy)
        self._runs = getattr(self, "_runs", 0) + 1
        self.tracker = Tracker(
            self.keeper, self.capabilities, self.settings, self._make_id, Random(1)
        )

    def _make_id(self) -> str:
        self._ids += 1
        return f"C{self._runs}-{self._ids}"

    def start(self) -> None:
        """Start and answer every question with nothing, so that trading is open."""
        self.tracker.start(self.now)
        while self.tracker.recovery.waits_for:
            for call in self.step():
                self.answer(call)

    def crash(self) -> None:
        """End without a word, and open again; `start` is up to the test."""
        self.log.close()
        self.calls.clear()
        self._open()

    # ---- what the robot does

    def submit(self, qty: str = "10", px: str | None = "100", **more: Any) -> Order:
        command = SubmitOrder(
            **{
                "client_order_id": self._make_id(), "instrument_id": "SBER", "side": Side.BUY,
                "order_type": "LIMIT", "order_qty": Decimal(qty),
                "limit_px": None if px is None else Decimal(px), "ts_event": self.now,
            } | more
        )  # fmt: skip
        order = self.tracker.intents.submit(command, self.now)
        assert order is not None
        return order

    # ---- what time and the broker do

    def step(self, seconds: float = 0) -> list[Call]:
        """Let time pass, and return the calls that start."""
        self.now += int(seconds * SECOND)
        self.tracker.tick(self.now)
        calls = self.tracker.start_calls(self.now)
        self.calls += calls
        return calls

    def one(self, kind: str, seconds: float = 0) -> Call:
        """Let time pass until a call of *kind* starts; others are answered with nothing."""
        end = self.now + int(seconds * SECOND)
        while True:
            for call in self.step():
                if call.kind == kind:
                    return call
                self.answer(call)
            assert self.now < end, f"no {kind} within {seconds} s"
            due = self.tracker.due_ns(self.now)
            assert due is not None
            self.now = min(max(due, self.now + SECOND // 100), end)

    def pass_time(self, seconds: float, answer: Callable[[Call], None] | None = None) -> list[Call]:
        """Let time pass, every call answered with nothing or by *answer*; return the calls."""
        end, seen = self.now + int(seconds * SECOND), []
        while True:
            for call in self.step():
                seen.append(call)
                (answer or self.answer)(call)
            if self.now >= end:
                return seen
            due = self.tracker.due_ns(self.now)
            assert due is not None
            self.now = min(max(due, self.now + SECOND // 1000), end)

    def answer(self, call: Call, *contents: Any) -> None:
        kinds = {OrderReport: "report", CancelReject: "cancel_reject"}
        messages = [Message(0, kinds[type(each)], each, b"{}") for each in contents]
        self.tracker.answered(call, messages, self.now)

    def fail(self, call: Call, error: BaseException | None = None) -> None:
        self.tracker.failed(call, error or ConnectionError("the line is cut"), self.now)

    def hear(self, content: Any) -> None:
        self.tracker.hear(Message(0, "report", content, b"{}"), self.now)

    # ---- what is to be seen

    def events(self) -> list[Event]:
        return [record.event for record in self.log.records()]

    def types(self) -> list[str]:
        return [event.type for event in self.events()]

    def of_type(self, type_: str) -> list[Any]:
        return [event for event in self.events() if event.type == type_]


def told(order: Order, status: str = "NEW", **more: Any) -> OrderReport:
    """What the venue says of *order*: that it has it, unless said otherwise."""
    exec_type = more.pop("exec_type", ExecType.NEW)
    amounts = {
        key: Decimal(value)
        for key, value in more.items()
        if key in ("cum_qty", "last_qty", "last_px", "avg_px", "order_qty", "leaves_qty")
    }
    return OrderReport(
        **{
            "client_order_id": order.client_order_id,
            "venue_order_id": f"V-{order.client_order_id}",
            "instrument_id": order.instrument_id, "side": order.side,
            "order_status": OrderStatus(status), "exec_type": exec_type,
        } | more | amounts
    )  # fmt: skip


def opened(desk: Desk, **more: Any) -> Order:
    """An order that was sent, and that the venue took."""
    order = desk.submit(**more)
    (call,) = [call for call in desk.step() if call.kind == "submit"]
    desk.answer(call, told(order))
    return order


def filled(order: Order, trade_id: str, qty: str, cum: str, px: str = "100") -> OrderReport:
    whole = Decimal(cum) == order.standing.order_qty
    return told(
        order, "FILLED" if whole else "PARTIALLY_FILLED", exec_type=ExecType.TRADE,
        trade_id=trade_id, exec_id=f"E-{trade_id}", last_qty=qty, last_px=px, cum_qty=cum,
    )  # fmt: skip


def snapshot(order: Order, status: str = "NEW", **more: Any) -> OrderReport:
    return told(order, status, exec_type=ExecType.ORDER_STATUS, **more)
