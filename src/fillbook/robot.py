"""A robot's side of the feedback loop: submit, wait, ask, halt; every answer comes from the ledger.

    with Robot.open("sber.ledger", broker=PaperBroker(seed=7)) as robot:
        order = robot.submit(NewOrder.limit("SBER", "BUY", "100", "275.50"))
        order.wait(timeout_s=30)

Every method may be called from any thread.  `AsyncRobot` has the same verbs, awaited.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from fillbook.brokers.live import Broker
from fillbook.core.commands import SubmitOrder
from fillbook.core.events import Event, FillInferred, OrderEvent, OrderFilled
from fillbook.core.holdings import PositionView
from fillbook.core.orders import Order
from fillbook.core.policies import KEEP
from fillbook.core.robot_events import HaltDeclared, HaltLifted
from fillbook.errors import BadRequest, NotOverYet, RobotClosed
from fillbook.feedback.keeper import News
from fillbook.feedback.runner import Runner
from fillbook.feedback.settings import Settings
from fillbook.feedback.summary import summary
from fillbook.feedback.systemd import notify
from fillbook.new_order import Amount, NewOrder, amount_of, positive_of
from fillbook.order_handle import OrderHandle

if TYPE_CHECKING:
    from fillbook.reconcile.choices import Choices
    from fillbook.wiring import Durability

__all__ = ["Robot"]

_TO_END_S = 15
"""Longer than the end takes once the answers are in."""


class Robot:
    """One robot on one ledger; `open` makes it, leaving the `with` block stops it in order."""

    def __init__(self, runner: Runner, at_end: Callable[[], None]) -> None:
        self._runner = runner
        self._at_end = at_end
        self._is_closed = False
        self._closing = threading.RLock()
        self._ended = threading.Event()

    @classmethod
    def open(
        cls,
        ledger: str,
        *,
        broker: Broker | None = None,
        settings: Settings | None = None,
        reconciliation: "Choices | None" = None,
        durability: "Durability" = "strict",
        name: str = "",
        recover_timeout_s: float = 30,
        on_fill: "Callable[[OrderHandle, Event], None] | None" = None,
        on_status: "Callable[[OrderHandle, Event], None] | None" = None,
        on_halt: "Callable[[Event], None] | None" = None,
    ) -> "Robot":
        """Open *ledger* (made if missing), find out what became of everything, then trade.

        Without a *broker* it is the paper exchange, whose account lies beside the ledger.  Before
        it trades, and on schedule, it is compared with the broker (*reconciliation*).  Where
        the broker cannot be asked within *recover_timeout_s* the robot is open and offline: new
        orders are refused or queued until the line is back.

        Raises what `open_log` raises.
        """
        from fillbook.wiring import open_robot

        runner, at_end = open_robot(
            ledger, broker, settings or Settings(), durability, name, reconciliation
        )
        robot = cls(runner, at_end)
        if on_fill is not None:
            robot.on_fill(on_fill)
        if on_status is not None:
            robot.on_status(on_status)
        if on_halt is not None:
            robot.on_halt(on_halt)
        return robot._started(recover_timeout_s)

    @classmethod
    def configured(cls, path: str = "fillbook.toml", **options: Any) -> "Robot":
        """Open the robot that the file *path* describes (`fillbook init` writes one).

        *options* are those of `open` that no file can say: the callbacks and the patience.
        Raises `BadInput` naming file and line of what is wrong.
        """
        from fillbook.wiring import configured_robot

        said = configured_robot(path)
        return cls.open(
            said.ledger,
            broker=said.broker,
            settings=said.settings,
            reconciliation=said.choices,
            durability=said.durability,
            name=said.name,
            **options,
        )

    def _started(self, recover_timeout_s: float) -> "Robot":
        runner = self._runner
        try:
            runner.start()
            line = runner.tracker.line
            self.wait_until(  # that it was down when the last run ended says nothing of now
                lambda: runner.tracker.schedule.is_open or (not line.is_up and line.failures > 0),
                recover_timeout_s,
            )
        except BaseException:
            self.close(drain_s=0)
            raise
        notify("READY=1")
        return self

    def __enter__(self) -> "Robot":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self, reason: str = "the program ended", drain_s: float = 10) -> None:
        """Stop: no new intents, answers until *drain_s* have passed, a snapshot, a clean end.

        Where another thread is at it already, wait for that; a callback does not, it is waited for.
        """
        with self._closing:
            is_first, self._is_closed = not self._is_closed, True
        if not is_first:
            if not self._runner.is_telling():
                self._ended.wait(drain_s + _TO_END_S)
            return
        notify("STOPPING=1")
        try:
            self._runner.stop(reason, drain_s)
        finally:
            try:
                self._at_end()
            finally:
                self._ended.set()

    def run(self) -> str:
        """Work until SIGTERM or SIGINT comes, then stop in order; return the signal's name.

        Only for the main thread.  Under systemd the watchdog is fed as long as the robot works.
        """
        came: list[int] = []
        arrived = threading.Event()

        def note(number: int, _: object) -> None:
            came.append(number)
            arrived.set()

        before = {each: signal.signal(each, note) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            while not arrived.wait(1) and self._runner.trouble is None:
                notify("WATCHDOG=1")
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
        name = signal.Signals(came[0]).name if came else "trouble"
        self.close(name)
        return name

    # ---- orders

    def submit(self, order: NewOrder) -> OrderHandle:
        """Record the intent durably, have it sent, and return a handle on what becomes of it.

        Raises `TradingHalted`, `OfflineRefused`, `BadRequest` or `RobotClosed`, and nothing was
        sent or recorded; `StorageFailed` where it could not be made durable and so was not sent.
        """
        tracker = self._runner.tracker
        settings = tracker.settings
        policy = order.partial_fills or settings.partial_fills
        with self._step() as now:
            command = SubmitOrder(
                client_order_id=order.client_order_id or tracker.make_id(),
                instrument_id=order.instrument_id,
                side=order.side,
                order_type=order.order_type,
                order_qty=order.order_qty,
                account_id=order.account_id or settings.account_id,
                limit_px=order.limit_px,
                stop_px=order.stop_px,
                time_in_force=order.time_in_force,
                expire_time=order.expire_time,
                partial_fills=None if policy == KEEP else str(policy),
                ts_event=now,
            )
            tracker.intents.submit(command, now)
        return self._handle(command.client_order_id)

    def cancel(self, order: OrderHandle) -> None:
        """Have the rest of *order* canceled; it is asked for until it is known to be over.

        Raises `BadRequest` where nothing of it is open.
        """
        with self._step() as now:
            if not self._runner.tracker.intents.cancel_queued(order.client_order_id, now):
                self._runner.tracker.intents.cancel(self._known(order), now)

    def replace(
        self,
        order: OrderHandle,
        *,
        order_qty: Amount | None = None,
        limit_px: Amount | None = None,
        stop_px: Amount | None = None,
    ) -> None:
        """Ask for other terms of *order*; they are real when the venue accepted them."""
        terms: dict[str, Any] = {}
        if order_qty is not None:
            terms["order_qty"] = positive_of("order_qty", order_qty)
        if limit_px is not None:
            terms["limit_px"] = amount_of("limit_px", limit_px)
        if stop_px is not None:
            terms["stop_px"] = amount_of("stop_px", stop_px)
        if not terms:
            raise BadRequest("a replacement needs another quantity or price")
        with self._step() as now:
            self._runner.tracker.intents.replace(self._known(order), now, **terms)

    def cancel_all(self, instrument_id: str | None = None) -> int:
        """Cancel every open order, or those of one instrument; return how many."""
        with self._step() as now:
            return self._runner.tracker.intents.cancel_all(now, instrument_id)

    def order(self, client_order_id: str) -> OrderHandle:
        """Return the order that has or had this id; `LookupError` where there is none."""
        with self._runner.lock:
            book = self._runner.tracker.book
            known = book.find_order(client_order_id, None) is not None
            if not known and client_order_id not in book.control.queued:
                raise LookupError(f"no order {client_order_id!r} in this ledger")
        return self._handle(client_order_id)

    def open_orders(self) -> list[OrderHandle]:
        """Return every order of which something is open, by first appearance."""
        with self._runner.lock:
            ids = [order.client_order_id for order in self._runner.tracker.book.open_orders()]
        return [self._handle(each) for each in ids if each is not None]

    def _handle(self, client_order_id: str) -> OrderHandle:
        return OrderHandle(self, self._runner, client_order_id)

    # ---- positions

    def position(self, instrument_id: str, account_id: str | None = None) -> PositionView | None:
        """Return the position, the fold of the ledger; None where there never was one."""
        account_id = account_id or self._runner.tracker.settings.account_id
        for view in self.positions():
            if (view.account_id, view.instrument_id) == (account_id, instrument_id):
                return view
        return None

    def positions(self) -> list[PositionView]:
        """Return every position that ever moved."""
        with self._runner.lock:
            return self._runner.tracker.book.position_views()

    def reconcile(
        self,
        *,
        apply: bool = False,
        adopt: Iterable[str] = (),
        by: str = "the robot's program",
        reason: str | None = None,
        timeout_s: float = 90,
    ) -> dict[str, Any]:
        """Compare the book with the broker now, and return what was found (`docs/reconcile.md`).

        Without *apply* it works on a fork of the book: nothing is written and nothing done.

        Args:
            adopt: Instruments that are set to what the broker says, whatever the policy.
            by: Who wants it; it is put on record with the *reason*.

        Raises `OperatorRefused` where the broker cannot be asked, `NotOverYet` where that took
        longer than *timeout_s*; with *apply* it may still be done then.
        """
        from fillbook.wiring.reconciling import begin_run, run_of

        runner = self._runner
        with self._step() as now:
            number = begin_run(runner, now, by, apply=apply, adopt=adopt, reason=reason)
        if not self.wait_until(lambda: run_of(runner, number)[0] is not None, timeout_s):
            raise NotOverYet(
                f"the comparison is not over after {timeout_s:g} s",
                "what comes of it is a book.reconciled of the ledger"
                if apply
                else "nothing was written; ask again, and wait longer",
            )
        with runner.lock:
            result, _ = run_of(runner, number)
        assert result is not None
        return result

    # ---- halts

    def halt(
        self,
        reason: str,
        instrument_id: str | None = None,
        *,
        by: str = "the program",
        level: str = "HALTED",
    ) -> None:
        """Let nothing new out, or with level `REDUCE_ONLY` only what takes a position down."""
        if level not in ("HALTED", "REDUCE_ONLY"):
            raise BadRequest(f"level {level!r} is none of HALTED, REDUCE_ONLY")
        with self._step() as now:
            event = HaltDeclared(
                ts_event=now, level=level, cause="OPERATOR", by=by, reason=reason,
                instrument_id=instrument_id,
            )  # fmt: skip
            self._runner.tracker.keeper.note_other(event, "OPERATOR")

    def resume(self, reason: str, instrument_id: str | None = None, *, by: str) -> None:
        """Lift the halt of *instrument_id*, or the one of everything; *by* names the operator.

        Raises `BadRequest` where there is none.
        """
        with self._step() as now:
            if (instrument_id or "") not in self._runner.tracker.book.control.halts:
                raise BadRequest(f"{instrument_id or 'everything'} is not halted")
            event = HaltLifted(ts_event=now, by=by, reason=reason, instrument_id=instrument_id)
            self._runner.tracker.keeper.note_other(event, "OPERATOR")

    # ---- being told

    def on_fill(self, told: Callable[[OrderHandle, Event], None]) -> None:
        """Have *told* called with every fill once it is durable, one after the other."""
        self._on("on_fill", told, lambda news: isinstance(news.event, OrderFilled | FillInferred))

    def on_status(self, told: Callable[[OrderHandle, Event], None]) -> None:
        """Have *told* called whenever an order's status has changed."""

        def is_change(news: News) -> bool:
            event = news.event
            return isinstance(event, OrderEvent) and event.order_status is not news.was

        self._on("on_status", told, is_change)

    def on_halt(self, told: Callable[[Event], None]) -> None:
        """Have *told* called when trading is halted or resumed."""

        def tell(news: News) -> None:
            if isinstance(news.event, HaltDeclared | HaltLifted):
                told(news.event)

        self._runner.when_told("on_halt", tell)

    def on_event(self, told: Callable[[Event], None]) -> None:
        """Have *told* called with every event of the ledger from now on."""
        self._runner.when_told("on_event", lambda news: told(news.event))

    def _on(
        self,
        name: str,
        told: Callable[[OrderHandle, Event], None],
        concerns: Callable[[News], bool],
    ) -> None:
        def tell(news: News) -> None:
            if concerns(news) and news.order is not None:
                told(self._handle(news.order.client_order_id or ""), news.event)

        self._runner.when_told(name, tell)

    # ---- what is the case

    def summary(self) -> dict[str, Any]:
        """Return how the robot stands, as plain data; see `docs/feedback.md` for the keys."""
        with self._runner.lock:
            return summary(self._runner.tracker, self._runner.trouble, time.time_ns())

    def wait_until(self, is_so: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Wait until *is_so*, asked after every change; False where *timeout_s* passed first.

        Raises `RobotClosed` where the robot was closed and it is not so.
        """
        runner = self._runner
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with runner.lock:
            while not is_so():
                self._must_live()
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                runner.changed.wait(left)
        return True

    def _must_live(self) -> None:
        """Raise where nothing will change any more."""
        if self._runner.trouble is not None:
            raise self._runner.trouble
        if self._runner.is_over:
            raise RobotClosed

    def _known(self, order: OrderHandle) -> Order:
        found = self._runner.tracker.book.find_order(order.client_order_id, None)
        if found is None:
            raise BadRequest(f"no order {order.client_order_id!r} in this ledger")
        return found

    def _step(self) -> Any:
        if self._is_closed:
            raise RobotClosed
        if self._runner.trouble is not None:
            raise self._runner.trouble
        return self._runner.step()
