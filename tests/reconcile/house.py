"""A robot with its reconciliation, and a broker played by the test: what it holds, what it says."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from attrs import evolve

from feedback.desk import ABLE, Desk, filled, told
from fillbook.brokers.port import Message
from fillbook.core.orders import Order
from fillbook.core.reports import OrderReport, PositionReport
from fillbook.core.values import ExecType, OrderStatus, Side
from fillbook.feedback.schedule import Call
from fillbook.feedback.settings import SECOND
from fillbook.reconcile.choices import Choices
from fillbook.reconcile.policies import DEFAULT, Action, Policies, Size
from fillbook.reconcile.reconciler import Rhythm
from fillbook.reconcile.wishes import Patience, Wish
from fillbook.wiring.reconciling import reconcile_task

TELLS = evolve(ABLE, has_positions=True, positions_lag_ns=10 * SECOND)
"""A broker that tells its positions, and what would explain them."""


def policies(
    rounding: Action = Action.ADOPT,
    minor: Action = Action.ALERT,
    critical: Action = Action.HALT,
    **more: Any,
) -> Policies:
    """What is done, by size."""
    actions = {Size.ROUNDING: rounding, Size.MINOR: minor, Size.CRITICAL: critical}
    return Policies(actions={DEFAULT: actions}, **more)


class House(Desk):
    """A tracker with its reconciliation, in virtual time.

    Attributes:
        theirs: What the broker says that the account holds; an instrument left out is not named.
        untold: What it tells of fills only when it is asked.
        asked: Every question that was put to it, by kind.
        tell: Answers a question in place of the broker where it is set and gives something.
    """

    def __init__(
        self,
        said: Policies | None = None,
        rhythm: Rhythm | None = None,
        capabilities: Any = TELLS,
        path: str = ":memory:",
        **theirs: str,
    ) -> None:
        self.theirs = {name: Decimal(qty) for name, qty in theirs.items()}
        self.untold: list[OrderReport] = []
        self.asked: list[str] = []
        self.tell: Callable[[Call], Sequence[Message] | BaseException | None] = lambda call: None
        self.choices = Choices(
            policies=said or Policies(), patience=Patience(), rhythm=rhythm or Rhythm()
        )
        super().__init__(capabilities, path=path, start=False)

    def _open(self) -> None:
        super()._open()
        self.task = reconcile_task(self.tracker, self.choices)
        self.tracker.task = self.task

    def begin(self, seconds: float = 90) -> None:
        """Start, and let the first reconciliation come to its end."""
        self.tracker.start(self.now)
        self.live(seconds)

    def live(self, seconds: float) -> None:
        """Let time pass; the broker answers each question at once."""
        self.pass_time(seconds, self.respond)

    def respond(self, call: Call) -> None:
        self.asked.append(call.kind)
        own = self.tell(call)
        if isinstance(own, BaseException):
            self.fail(call, own)
            return
        if own is None:
            own = self._told(call)
        self.tracker.answered(call, own, self.now)

    def _told(self, call: Call) -> list[Message]:
        if call.kind == "positions":
            return statement(self.theirs)
        if call.kind == "fills_since":
            return [Message(0, "report", report, b"{}") for report in self.untold]
        if call.kind in ("submit", "look_up", "open_orders"):
            orders = [self.tracker.book.order(call.stream)] if call.stream is not None else []
            if call.kind == "open_orders":
                orders = [each for each in self.tracker.book.open_orders() if each.asked]
            return [Message(0, "report", self.as_it_is(each), b"{}") for each in orders]
        return []

    def as_it_is(self, order: Order) -> OrderReport:
        """What a poll says of an order that we know: the same that we do."""
        status = "NEW" if not order.standing.cum_qty else str(order.order_status)
        return told(
            order, status, exec_type=ExecType.ORDER_STATUS, cum_qty=str(order.standing.cum_qty)
        )

    # ---- what happens

    def hold(self, qty: str, name: str = "SBER", px: str = "100") -> None:
        """Let the robot trade until it holds *qty*, with the broker knowing of it."""
        amount = Decimal(qty)
        side = Side.BUY if amount > 0 else Side.SELL
        order = self.submit(str(abs(amount)), px, side=side, instrument_id=name)
        self.live(0)
        self.hear(filled(order, f"T{self._ids}", str(abs(amount)), str(abs(amount)), px))
        self.theirs[name] = self.theirs.get(name, Decimal(0)) + amount
        self.live(0)

    def by_hand(self, qty: str, name: str = "SBER", px: str = "101", *, is_told: bool) -> None:
        """Let somebody trade on the account; the broker tells of it when asked, or never."""
        amount = Decimal(qty)
        self.theirs[name] = self.theirs.get(name, Decimal(0)) + amount
        if is_told:
            self._ids += 1
            self.untold.append(
                OrderReport(
                    venue_order_id=f"HAND-{self._ids}", exec_id=f"HE-{self._ids}",
                    trade_id=f"HT-{self._ids}", exec_type=ExecType.TRADE,
                    order_status=OrderStatus.FILLED, instrument_id=name,
                    side=Side.BUY if amount > 0 else Side.SELL, order_qty=abs(amount),
                    cum_qty=abs(amount), last_qty=abs(amount), last_px=Decimal(px),
                    ts_event=self.now,
                )
            )  # fmt: skip

    def reconcile(self, seconds: float = 70, **wish: Any) -> Any:
        """Ask for a run, let it come to its end, and return its event."""
        count = len(self.runs())
        self.task.want(Wish(cause="OPERATOR", **wish), self.now)
        self.live(seconds)
        return self.runs()[count]

    # ---- what is to be seen

    def held(self, name: str = "SBER") -> str:
        """What the book holds."""
        for view in self.tracker.book.position_views():
            if view.instrument_id == name:
                return str(view.position_qty)
        return "0"

    def runs(self) -> list[Any]:
        return self.of_type("book.reconciled")

    def outcomes(self) -> list[str]:
        return [run.outcome for run in self.runs()]

    def restoring(self) -> list[Any]:
        """The orders that traded an adoption back."""
        ids = {each.restore_client_order_id for each in self.of_type("position.adopted")}
        return [each for each in self.of_type("order.submitted") if each.client_order_id in ids]

    def halts(self) -> list[str]:
        return sorted(self.tracker.book.control.halts)


def statement(theirs: dict[str, Decimal]) -> list[Message]:
    """What a broker answers that holds this."""
    return [
        Message(
            0,
            "position",
            PositionReport(instrument_id=name, position_qty=qty),
            f'{{"instrument_id":"{name}","position_qty":"{qty}"}}'.encode(),
        )
        for name, qty in theirs.items()
    ]
