"""Carry what the paper exchange tells to whoever listens, with all that goes wrong on the way.

A message waits while the line is down; one that is dropped comes when the line is up again; one
that is forgotten never does.  What a message claims is changed only where the truth can still be
learned by asking.
"""

from collections.abc import Callable, Mapping
from heapq import heappop, heappush

from attrs import evolve, frozen

from fillbook.brokers.jsonlines_out import KINDS, to_jsonl
from fillbook.brokers.paper_faults import Dice, FaultPlan
from fillbook.brokers.paper_market import Listing
from fillbook.brokers.paper_wire import MICROSECOND, SECOND, VenueMessage
from fillbook.brokers.port import Message
from fillbook.core.exact import EXACT
from fillbook.core.reports import OrderReport, Report
from fillbook.core.values import CLOSED, ExecType, OrderStatus

__all__ = ["Event", "LineChange", "Stream", "message_of", "understated"]

_FAR_NS = 2**63
_KEPT_BACK_NS = 5 * SECOND
"""How long a message waits for one that comes before it in its stead."""


@frozen
class LineChange:
    """The stream is connected, or it is not and why."""

    is_up: bool
    problem: str = ""


Event = Message | LineChange


class Stream:
    """The line from the exchange to a listener.

    Attributes:
        is_up: Whether it is connected.
        is_settled: Nothing more goes wrong.
    """

    def __init__(
        self,
        dice: Dice,
        at: Callable[[int, Callable[[], object]], None],
        listings: Mapping[str, Listing],
        now_ns: int,
    ) -> None:
        """Connect at *now_ns*; *at* has something done at a time."""
        self.is_up = True
        self.is_settled = False
        self._dice = dice
        self._at = at
        self._listings = listings
        self._now_ns = self._back_ns = now_ns
        self._is_smooth = dice.plan == FaultPlan()
        self._events: list[tuple[int, Event]] = [(now_ns, LineChange(True))]
        self._under_way: list[tuple[int, int, VenueMessage]] = []
        self._count = 0
        self._dropped: list[VenueMessage] = []
        self._kept_back: list[VenueMessage] = []
        self._delivered_ids: dict[str, list[str]] = {}

    @property
    def next_ns(self) -> int:
        """When the next message is due; far away where none is."""
        return self._under_way[0][0] if self._under_way and self.is_up else _FAR_NS

    def send(self, message: VenueMessage) -> None:
        """Put *message* under way, once or not or twice, in time or late.

        Its `ts_received` says when it is due where nothing goes wrong.
        """
        due_ns = message.ts_received or 0
        if self.is_settled or self._is_smooth:
            self._put_under_way(message, due_ns)
            return
        fate = self._dice.message(_identity(message))
        if fate.is_forgotten:
            return
        if fate.is_understated and isinstance(message, OrderReport):
            message = understated(message, self._listings)
        if fate.reuses_trade_id:
            message = self._under_earlier_id(message)
        if fate.is_dropped:
            self._dropped.append(message)
            return
        if fate.is_kept_back and not fate.late_ns:
            self._kept_back.append(message)
            self._at(self._now_ns + _KEPT_BACK_NS, self._let_go)
            return
        due_ns += fate.late_ns
        self._put_under_way(message, due_ns)
        if fate.again_ns:
            copy = message
            if fate.is_marked and isinstance(message, OrderReport):
                copy = evolve(message, poss_dup=True)
            self._put_under_way(copy, due_ns + fate.again_ns)
        if self._kept_back and not fate.late_ns:
            self._let_go(due_ns + MICROSECOND)

    def deliver(self, now_ns: int) -> None:
        """Let time pass until *now_ns*: what is due by then arrives, where the line is up."""
        self._now_ns = now_ns
        while self.is_up and self._under_way and self._under_way[0][0] <= now_ns:
            due_ns, _, message = heappop(self._under_way)
            if isinstance(message, OrderReport) and message.trade_id is not None:
                ids = self._delivered_ids.setdefault(message.venue_order_id or "", [])
                if message.trade_id not in ids:
                    ids.append(message.trade_id)
            ns = max(due_ns, self._back_ns)
            self._events.append((ns, message_of(message, ns)))

    def take(self) -> list[tuple[int, Event]]:
        """Return what has arrived since the last time, and what became of the line."""
        events, self._events = self._events, []
        return events

    def break_off(self, for_ns: int) -> None:
        """Let the line be down for so long from now."""
        self._back_ns = max(self._back_ns, self._now_ns + for_ns)
        self._at(self._back_ns, self._mend)
        if self.is_up:
            self._events.append((self._now_ns, LineChange(False, "the connection was lost")))
        self.is_up = False

    def _mend(self) -> None:
        if self.is_up or self._now_ns < self._back_ns:
            return
        self.is_up = True
        self._events.append((self._now_ns, LineChange(True)))
        dropped, self._dropped = self._dropped, []
        for message in dropped:
            self._put_under_way(message, self._now_ns)
        self.deliver(self._now_ns)

    def _put_under_way(self, message: VenueMessage, due_ns: int) -> None:
        self._count += 1
        heappush(self._under_way, (due_ns, self._count, message))

    def _let_go(self, due_ns: int = 0) -> None:
        """Send what was kept back, at *due_ns* or now."""
        kept_back, self._kept_back = self._kept_back, []
        for message in kept_back:
            self._put_under_way(message, max(due_ns, self._now_ns))

    def _under_earlier_id(self, message: VenueMessage) -> VenueMessage:
        """Return a fill under the id of one of its order's that has been delivered.

        Of one that has not, nobody could tell that the id is wrong.
        """
        if not isinstance(message, OrderReport) or message.exec_type is not ExecType.TRADE:
            return message
        ids = self._delivered_ids.get(message.venue_order_id or "")
        return evolve(message, trade_id=ids[0]) if ids else message


def message_of(content: Report, ns: int) -> Message:
    """Return *content* as a message that came at *ns*."""
    content = evolve(content, ts_received=ns)
    kind, _ = KINDS[type(content)]
    return Message(0, kind, content, to_jsonl(content).encode())


def understated(report: OrderReport, listings: Mapping[str, Listing]) -> OrderReport:
    """Return *report* as it counts half of what was filled.

    Never more than was filled: a fill that is inferred from too much could not be taken back.
    """
    listing = listings.get(report.instrument_id or "")
    if listing is None or not report.cum_qty or report.order_qty is None:
        return report
    cum_qty = listing.qty((listing.steps(report.cum_qty) or 0) // 2)
    if report.exec_type is ExecType.TRADE and not cum_qty:
        return report
    status, leaves_qty = report.order_status, report.leaves_qty
    if status in (OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED):
        status = OrderStatus.PARTIALLY_FILLED if cum_qty else OrderStatus.NEW
    if status not in CLOSED:
        leaves_qty = EXACT.subtract(report.order_qty, cum_qty)
    return evolve(
        report,
        order_status=status,
        cum_qty=cum_qty,
        leaves_qty=leaves_qty,
        avg_px=report.avg_px if cum_qty else None,
    )


def _identity(message: VenueMessage) -> str:
    """Return what tells *message* from every other."""
    exec_id = getattr(message, "exec_id", None)
    if exec_id is not None:
        return str(exec_id)
    about = getattr(message, "client_order_id", None) or getattr(message, "trade_id", None)
    return f"{type(message).__name__}/{about}/{message.ts_event}"
