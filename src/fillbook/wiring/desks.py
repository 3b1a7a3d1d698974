"""Give a reconciliation its desk: the robot's own, or one over a ledger that no robot works on.

Here feedback and reconcile meet: the calls of a run go out with the robot's other calls, and what
it decides is recorded by the robot's keeper.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from fillbook.brokers.live import Capabilities
from fillbook.brokers.port import Message
from fillbook.core.agreement import Agreement, Key
from fillbook.core.book import Book
from fillbook.core.client_ids import RUN_BITS, client_order_id
from fillbook.core.commands import SubmitOrder
from fillbook.core.exact import EXACT
from fillbook.core.holdings import pnl_currency
from fillbook.core.orders import Order
from fillbook.core.values import Contract, Source
from fillbook.errors import RequestRefused
from fillbook.feedback.gate import refuse_if_halted
from fillbook.feedback.keeper import Keeper
from fillbook.feedback.schedule import Call, Kind
from fillbook.feedback.tracker import Tracker
from fillbook.feedback.watching import is_unanswered, ref_of, unanswered_requests
from fillbook.log.port import Record
from fillbook.reconcile.desk import Question, Resolution
from fillbook.reconcile.reconciler import Reconciler
from fillbook.reconcile.run import Run
from fillbook.reconcile.wishes import Wish

__all__ = ["DryDesk", "KeeperDesk", "ReconcileTask", "RobotDesk"]

_NOBODY = "no robot is running that would send it"


class KeeperDesk:
    """A desk over what a keeper keeps; nothing is sent from it.

    Attributes:
        questions: What was asked and nobody has taken up yet: kind, since, positions.
    """

    def __init__(
        self, keeper: Keeper, capabilities: Capabilities, account_ids: Iterable[str]
    ) -> None:
        self.keeper = keeper
        self.questions: list[tuple[Question, int, Sequence[Key]]] = []
        self._capabilities = capabilities
        self._account_ids = frozenset(account_ids)
        self._begun_ns: int | None = None
        self._waiting: dict[Key, str] = {}
        self._waiting_at: tuple[Book, int] | None = None

    @property
    def book(self) -> Book:
        return self.keeper.book

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def ledger_id(self) -> bytes:
        return self.keeper.log.ledger_id

    @property
    def account_ids(self) -> frozenset[str]:
        return self._account_ids

    @property
    def agreement(self) -> Agreement:
        return self.book.agreements.of(self._account_ids)

    @property
    def begun_ns(self) -> int:
        if self._begun_ns is None:
            first = next(iter(self.keeper.log.records(upto=1)), None)
            self._begun_ns = 0 if first is None else first.ts_recorded
        return self._begun_ns

    def ask(self, kind: Question, since: int = 0, keys: Sequence[Key] = ()) -> bool:
        if kind == "orders" and not self.orders_to_ask_about(keys):
            return False
        self.questions.append((kind, since, keys))
        return True

    def orders_to_ask_about(self, keys: Sequence[Key]) -> list[Order]:
        """Return the open orders of the positions *keys* that the broker can look up."""
        can, wanted = self._capabilities, set(keys)
        return [
            order
            for order in self.book.open_orders()
            if (order.account_id, order.instrument_id) in wanted
            and (can.can_look_up or (order.venue_order_id and can.can_look_up_by_venue_id))
        ]

    def hear(self, message: Message) -> None:
        """Record what explains a difference."""
        self.keeper.hear(message, Source.RECONCILED)

    def under_way(self, account_id: str, instrument_id: str) -> str | None:
        book, at = self.book, self._waiting_at
        if at is None or at[0] is not book or at[1] != book.seq:
            # Looked through once for all that differs: an empty answer may make that thousands.
            self._waiting, self._waiting_at = _waiting(book), (book, book.seq)
        return self._waiting.get((account_id, instrument_id))

    def position_records(self, account_id: str, instrument_id: str, after: int) -> Iterable[Record]:
        number = self.book.positions.number(account_id, instrument_id)
        return () if number is None else self.keeper.log.records(after, position=number)

    def cash_flows(self) -> Mapping[str, Decimal]:
        self.book.refresh_positions()
        flows: dict[str, Decimal] = {}

        def add(currency: str | None, amount: Decimal | None) -> None:
            if currency is not None and amount:
                flows[currency] = EXACT.add(flows.get(currency, Decimal(0)), amount)

        for position in self.book.positions.all():
            if position.account_id not in self._account_ids:
                continue
            instrument = self.book.instruments.get(position.instrument_id)
            if instrument is not None and position.contract is not Contract.INVERSE:
                flow = position.cash_flow
                traded = None if flow is None else EXACT.multiply(flow, instrument.multiplier)
                add(pnl_currency(instrument), traded)
            for currency, paid in position.commissions.items():
                if currency != position.base_currency or position.contract is not Contract.SPOT:
                    add(currency, paid.copy_negate())
            for currency, received in position.cash.items():
                add(currency, received)
        return flows

    def why_no_order(self, order: SubmitOrder) -> str | None:
        return _NOBODY

    def order_id(self, digest: bytes, seq: int) -> str:
        run = int.from_bytes(digest[: RUN_BITS // 8], "big")
        return client_order_id(self._capabilities.client_id_form, run, seq, digest[8:])

    def commit(self, resolution: Resolution) -> None:
        self.keeper.reconcile(
            resolution.run, resolution.raw, resolution.adoptions, resolution.halts
        )


def _waiting(book: Book) -> dict[Key, str]:
    """Return what is in flight, in words, by position; of several the first."""
    found: dict[Key, str] = {}
    for order in book.open_orders():
        name = order.client_order_id or order.venue_order_id
        if is_unanswered(order):
            text = f"order {name} is not answered yet"
        elif unanswered_requests(order):
            text = f"a request for order {name} is not answered yet"
        else:
            continue
        found.setdefault((order.account_id, order.instrument_id), text)
    return found


class RobotDesk(KeeperDesk):
    """The desk of a running robot: its calls go out with the robot's, its orders are tracked."""

    def __init__(self, tracker: Tracker) -> None:
        super().__init__(tracker.keeper, tracker.capabilities, [tracker.settings.account_id])
        self._tracker = tracker

    def why_no_order(self, order: SubmitOrder) -> str | None:
        tracker = self._tracker
        if tracker.is_stopping:
            return "the robot is stopping"
        if tracker.keeper.storage_problem is not None:
            return tracker.keeper.storage_problem
        try:
            refuse_if_halted(tracker.book, order)
        except RequestRefused as exc:
            return str(exc)
        return None

    def commit(self, resolution: Resolution) -> None:
        now = resolution.run.ts_event or 0
        orders = self.keeper.reconcile(
            resolution.run, resolution.raw, resolution.adoptions, resolution.halts
        )
        commands = [command for _, command in resolution.adoptions if command is not None]
        for order, command in zip(orders, commands, strict=True):
            self._tracker.requests.send_recorded(order, command, now)


class DryDesk(KeeperDesk):
    """A desk over a fork: whatever is written to it is thrown away with it."""

    def __init__(self, keeper: Keeper, real: KeeperDesk) -> None:
        super().__init__(keeper, real.capabilities, real.account_ids)
        self._real = real

    def why_no_order(self, order: SubmitOrder) -> str | None:
        return self._real.why_no_order(order)


class ReconcileTask:
    """The reconciliation as a task of the tracker (`feedback.task.Task`)."""

    def __init__(self, tracker: Tracker, make: Callable[[RobotDesk], Reconciler]) -> None:
        self._tracker = tracker
        self.desk = RobotDesk(tracker)
        self.reconciler = make(self.desk)
        self._calls: dict[Call, Run] = {}
        self._look_up_problem: str | None = None

    @property
    def is_ready(self) -> bool:
        return self.reconciler.is_ready

    def begin(self, now: int) -> None:
        self.reconciler.begin(now)
        self._send(now)

    def tick(self, now: int) -> None:
        self.reconciler.tick(now)
        self._send(now)

    def due_ns(self) -> int | None:
        return self.reconciler.due_ns()

    def want(self, wish: Wish, now: int, desk: KeeperDesk | None = None) -> int:
        """Have a run made, see `Reconciler.want`."""
        number = self.reconciler.want(wish, now, desk)
        self._send(now)
        return number

    def answered(self, call: Call, messages: Sequence[Message], now: int) -> None:
        run = self.reconciler.run
        if run is None or self._calls.get(call) is not run:
            return  # it was asked by a run that is over
        if call.purpose == "look" and call.kind not in ("positions", "cash"):
            assert isinstance(run.desk, KeeperDesk)
            for message in messages:
                run.desk.hear(message)
        if call.kind == "look_up":
            self._looked_up(call, None, now)
        else:
            self.reconciler.answered(cast(Question, call.kind), messages, call.started_ns, now)
        self._send(now)

    def failed(self, call: Call, problem: str, now: int) -> None:
        run = self.reconciler.run
        if run is None or self._calls.get(call) is not run:
            return
        if call.kind == "look_up":
            self._looked_up(call, problem, now)
        else:
            self.reconciler.failed(cast(Question, call.kind), problem, now)
        self._send(now)

    def line_lost(self, problem: str, now: int) -> None:
        self._calls.clear()
        self.reconciler.line_lost(problem, now)

    def summary(self) -> dict[str, Any]:
        run = self.reconciler.run
        return {
            "is_ready": self.reconciler.is_ready,
            "reconciling": None if run is None else run.stage,
        }

    # ---- calls

    def _send(self, now: int) -> None:
        """Hand the run's questions to the robot's schedule."""
        run = self.reconciler.run
        if run is None:
            self._calls.clear()
            return
        self._calls = {call: whose for call, whose in self._calls.items() if whose is run}
        desk = run.desk
        assert isinstance(desk, KeeperDesk)
        questions, desk.questions[:] = list(desk.questions), []
        purpose = "task" if desk is self.desk else "look"
        schedule = self._tracker.schedule
        for kind, since, keys in questions:
            if kind != "orders":
                call = Call(cast(Kind, kind), since=since, purpose=purpose)
                self._calls[schedule.want(call)] = run
                continue
            self._look_up_problem = None
            for order in desk.orders_to_ask_about(keys):
                call = Call("look_up", order=ref_of(order), stream=order.stream, purpose=purpose)
                self._calls[schedule.want(call)] = run

    def _looked_up(self, call: Call, problem: str | None, now: int) -> None:
        del self._calls[call]
        self._look_up_problem = self._look_up_problem or problem
        run = self.reconciler.run
        if any(each.kind == "look_up" and whose is run for each, whose in self._calls.items()):
            return
        if self._look_up_problem is None:
            self.reconciler.answered("orders", (), call.started_ns, now)
        else:
            self.reconciler.failed("orders", self._look_up_problem, now)
