"""Be a live broker in virtual time: calls and the stream, with all that goes wrong between.

The clock is an argument, nothing waits and no thread runs, so days go by in seconds.  The paper
broker in its own process or over HTTP is this one, driven by a real clock: the same seed, the same
calls at the same times give the same answers and the same faults at all three.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Any

from attrs import evolve, frozen

from fillbook.brokers.jsonlines_out import KINDS, to_jsonl
from fillbook.brokers.live import BrokerRefused, Capabilities, NotSent, OrderRef
from fillbook.brokers.paper import PaperExchange
from fillbook.brokers.paper_desk import Desk
from fillbook.brokers.paper_faults import Dice, FaultPlan
from fillbook.brokers.paper_market import LISTINGS, Listing
from fillbook.brokers.paper_wire import MICROSECOND, SECOND, VenueMessage
from fillbook.brokers.port import Message
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.exact import EXACT
from fillbook.core.reports import OrderReport, Report
from fillbook.core.values import CLOSED, ExecType, OrderStatus

__all__ = [
    "PAPER",
    "BrokerTrouble",
    "LineChange",
    "SimulatedBroker",
    "is_declared",
    "known_ids",
    "message_of",
]

PAPER = Capabilities(
    name="paper",
    has_stream=True,
    can_look_up=True,
    can_look_up_by_venue_id=True,
    has_open_orders=True,
    has_fills_since=True,
    has_positions=True,
    can_replace=True,
    settling_ns=2 * SECOND,
    calls=100,
    per_ns=SECOND,
    concurrency=8,
)
"""Everything; what a test wants to be without it takes away."""

_NEEDS = {
    "replace": ("can_replace",),
    "look_up": ("can_look_up", "can_look_up_by_venue_id"),
    "open_orders": ("has_open_orders",),
    "fills_since": ("has_fills_since",),
    "positions": ("has_positions",),
}
_PATIENCE = 2
"""How much more than declared the broker takes before it answers 429: requests bunch on the way."""

_MINUTE = 60 * SECOND


class BrokerTrouble(Exception):
    """The broker did not do its part: a 5xx, or 429 for too many calls.  Evidence of nothing."""

    def __init__(self, http_status: int, text: str) -> None:
        super().__init__(f"{http_status}: {text}")
        self.http_status = http_status
        self.text = text


@frozen
class LineChange:
    """The stream is connected, or it is not and why."""

    is_up: bool
    problem: str = ""


Event = Message | LineChange
Outcome = list[Message] | Exception


class SimulatedBroker:
    """The paper broker in virtual time.

    Attributes:
        capabilities: What it declares.
        plan: What goes wrong, and how often.
        is_line_up: Whether the stream is connected.
    """

    def __init__(
        self,
        seed: int = 7,
        faults: FaultPlan | str | None = None,
        opens_ns: int = 0,
        *,
        path: str | os.PathLike[str] | None = None,
        listings: Sequence[Listing] = LISTINGS,
        pace_ns: int = 30 * SECOND,
        capabilities: Capabilities = PAPER,
    ) -> None:
        """Open the exchange at *opens_ns*; see `Desk` for *path* and `PaperExchange` for the rest.

        *pace_ns* is how long everybody else sits still, on average.
        """
        self.capabilities = capabilities
        self.plan = FaultPlan.parse(faults) if isinstance(faults, str) else faults or FaultPlan()
        self.is_line_up = True
        self._desk = Desk(seed, opens_ns=opens_ns, path=path, listings=listings, pace_ns=pace_ns)
        self._dice = Dice(seed, self.plan)
        self._random = Random(f"{seed}/latency")
        self._now_ns = self._opens_ns = self._desk.exchange.now_ns
        self._is_settled = False
        self._agenda: list[tuple[int, int, Callable[[], object]]] = []
        self._under_way: list[tuple[int, int, VenueMessage]] = []
        self._dropped: list[VenueMessage] = []
        self._kept_back: list[VenueMessage] = []
        self._count = 0
        self._events: list[tuple[int, Event]] = [(self._now_ns, LineChange(True))]
        self._call_counts: dict[tuple[str, str], int] = {}
        self._call_times: deque[int] = deque()
        self._arrivals: dict[str, int] = {}
        self._amended: set[str] = set()
        self._delivered_ids: dict[str, list[str]] = {}
        self._line_back_ns = self._offline_until_ns = 0
        if self.plan.disconnect or self.plan.offline:
            self._at(self._now_ns, partial(self._plan_breaks, 0))

    # ---- what a client does

    def call(self, now_ns: int, method: str, *args: Any) -> tuple[int | None, Outcome]:
        """Call *method* of the port at *now_ns*; return when its answer comes, and the answer.

        None for when is a call that hangs.  The answer is messages, or the error as an instance.
        It is carried out at once, so a time may not be before one that was given earlier.
        """
        self._run(now_ns)
        assert is_declared(self.capabilities, method), f"{method} is not declared"
        now_ns = self._now_ns
        due_ns = now_ns + (400 + self._random.randrange(24_000)) * MICROSECOND
        if now_ns < self._offline_until_ns:
            return due_ns, NotSent("no connection could be made: the line is down")
        if self._is_too_much():
            return due_ns, BrokerTrouble(429, "too many calls")
        about, count = self._counted(method, args)
        outcome: Outcome = TimeoutError("no answer came")
        fails, arrives_ns = "", 0
        if not self._is_settled:
            fate = self._dice.call(method, about, count, self.capabilities.settling_ns)
            fails, arrives_ns = fate.fails, fate.arrives_ns or 0
            if fails == "before":
                return due_ns, BrokerTrouble(503, "the service is not available")
            if fate.arrives_ns is None:
                return None, outcome
        if arrives_ns:
            self._at(now_ns + arrives_ns, partial(self._answer, method, args, count))
        else:
            outcome = self._answer(method, args, count, due_ns)
            self._tell(self._desk.keep())
        if fails == "after":
            return due_ns, BrokerTrouble(502, "the answer was lost")
        return (None, TimeoutError("no answer came")) if fails == "hang" else (due_ns, outcome)

    def advance(self, to_ns: int) -> list[tuple[int, Event]]:
        """Let time pass and return what the stream has brought by then, each with its time."""
        self._run(to_ns)
        events, self._events = self._events, []
        return events

    def settle(self) -> None:
        """Let nothing more go wrong; what is under way still comes as it was going to."""
        self._is_settled = True

    def truth(self) -> dict[str, list[dict[str, Any]]]:
        """Return `orders`, `fills` and `positions` as they are; see `PaperExchange.truth`."""
        return dict(self._desk.truth())

    @property
    def now_ns(self) -> int:
        """The broker's clock, which never goes back."""
        return self._now_ns

    @property
    def market(self) -> PaperExchange:
        """The exchange, only to look at: quotes, what is held."""
        return self._desk.exchange

    @property
    def next_ns(self) -> int:
        """When something happens next; never before the clock."""
        next_ns = self._next_ns()
        if self._under_way and self.is_line_up:
            next_ns = min(next_ns, self._under_way[0][0])
        return max(next_ns, self._now_ns)

    def close(self) -> None:
        """Let go of the account's file."""
        self._desk.close()

    # ---- calls

    def _is_too_much(self) -> bool:
        times, capabilities = self._call_times, self.capabilities
        while times and times[0] <= self._now_ns - capabilities.per_ns:
            times.popleft()
        if len(times) >= _PATIENCE * capabilities.calls:
            return True
        times.append(self._now_ns)
        return False

    def _counted(self, method: str, args: Sequence[Any]) -> tuple[str, int]:
        about = _about(args)
        key = method, about
        count = self._call_counts[key] = self._call_counts.get(key, 0) + 1
        return about, count

    def _answer(
        self, method: str, args: Sequence[Any], count: int, due_ns: int | None = None
    ) -> Outcome:
        if method == "submit":
            self._arrivals.setdefault(args[0].client_order_id, self._now_ns)
        if method == "look_up":
            args = [known_ids(self.capabilities, args[0])]
        try:
            answer = self._desk.ask(method, *args)
        except BrokerRefused as refusal:
            return refusal
        due_ns = self._now_ns if due_ns is None else due_ns
        answer = self._seen(method, answer)
        return [message_of(self._colored(method, each, count), due_ns) for each in answer]

    def _seen(self, method: str, answer: list[Report]) -> list[Report]:
        """Leave out orders that are too new to be found."""
        if not self.plan.unseen or method not in ("look_up", "open_orders"):
            return answer
        return [each for each in answer if not self._is_unseen(each)]

    def _is_unseen(self, report: Report) -> bool:
        client_order_id = getattr(report, "client_order_id", None) or ""
        arrived_ns = self._arrivals.get(client_order_id)
        settling_ns = self.capabilities.settling_ns
        if self._is_settled or arrived_ns is None or self._now_ns > arrived_ns + settling_ns:
            return False
        return self._now_ns < arrived_ns + self._dice.unseen_ns(client_order_id, settling_ns)

    def _colored(self, method: str, report: Report, count: int) -> Report:
        """Return a snapshot that may count too little."""
        if self._is_settled or not isinstance(report, OrderReport) or not report.is_snapshot:
            return report
        about = report.client_order_id or report.venue_order_id or ""
        if self._dice.is_understated(method, about, count):
            return self._understated(report)
        return report

    # ---- time

    def _at(self, ns: int, action: Callable[[], object]) -> None:
        self._count += 1
        heappush(self._agenda, (ns, self._count, action))

    def _run(self, to_ns: int) -> None:
        while (next_ns := self._next_ns()) <= to_ns:  # so that it is all one, however long a step
            self._pass_time(next_ns)
            while self._agenda and self._agenda[0][0] <= self._now_ns:
                heappop(self._agenda)[2]()
                self._tell(self._desk.keep())
        self._pass_time(to_ns)

    def _next_ns(self) -> int:
        next_ns = self._desk.exchange.next_ns
        return min(next_ns, self._agenda[0][0]) if self._agenda else next_ns

    def _pass_time(self, to_ns: int) -> None:
        self._now_ns = max(to_ns, self._now_ns)
        self._tell(self._desk.advance(self._now_ns))
        self._deliver()

    # ---- the stream

    def _tell(self, messages: Sequence[VenueMessage]) -> None:
        for message in messages:
            if isinstance(message, OrderReport) and message.exec_type is ExecType.TRADE:
                self._plan_amendment(message.trade_id or "")
            if self.capabilities.has_stream:
                self._send(message)

    def _send(self, message: VenueMessage) -> None:
        """Put *message* under way, once or not or twice, in time or late."""
        if self._is_settled or self.plan == FaultPlan():
            self._put_under_way(message, message.ts_received or 0)
            return
        fate = self._dice.message(_identity(message))
        if fate.is_forgotten:
            return
        if fate.is_understated and isinstance(message, OrderReport):
            message = self._understated(message)
        if fate.reuses_trade_id:
            message = self._under_earlier_id(message)
        if fate.is_dropped:
            self._dropped.append(message)
            return
        if fate.is_kept_back and not fate.late_ns:
            self._kept_back.append(message)
            self._at(self._now_ns + 5 * SECOND, self._let_go)
            return
        due_ns = (message.ts_received or 0) + fate.late_ns
        self._put_under_way(message, due_ns)
        if fate.again_ns:
            copy = message
            if fate.is_marked and isinstance(message, OrderReport):
                copy = evolve(message, poss_dup=True)
            self._put_under_way(copy, due_ns + fate.again_ns)
        if self._kept_back and not fate.late_ns:
            self._let_go(due_ns + MICROSECOND)

    def _put_under_way(self, message: VenueMessage, due_ns: int) -> None:
        self._count += 1
        heappush(self._under_way, (due_ns, self._count, message))

    def _let_go(self, due_ns: int = 0) -> None:
        """Send what was kept back, at *due_ns* or now."""
        kept_back, self._kept_back = self._kept_back, []
        for message in kept_back:
            self._put_under_way(message, max(due_ns, self._now_ns))

    def _deliver(self) -> None:
        while self.is_line_up and self._under_way and self._under_way[0][0] <= self._now_ns:
            due_ns, _, message = heappop(self._under_way)
            ns = max(due_ns, self._line_back_ns)
            if isinstance(message, OrderReport) and message.trade_id is not None:
                ids = self._delivered_ids.setdefault(message.venue_order_id or "", [])
                if message.trade_id not in ids:
                    ids.append(message.trade_id)
            self._events.append((ns, message_of(message, ns)))

    def _understated(self, report: OrderReport) -> OrderReport:
        """Return *report* as it counts half of what was filled."""
        listing = self._desk.exchange.listings.get(report.instrument_id or "")
        if listing is None or not report.cum_qty or report.order_qty is None:
            return report
        cum_qty = listing.qty((listing.steps(report.cum_qty) or 0) // 2)
        is_trade = report.exec_type is ExecType.TRADE
        if is_trade and not cum_qty:
            return report
        status = report.order_status
        if status in (OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED):
            status = OrderStatus.PARTIALLY_FILLED if cum_qty else OrderStatus.NEW
        leaves_qty = report.leaves_qty
        if status not in CLOSED:
            leaves_qty = EXACT.subtract(report.order_qty, cum_qty)
        return evolve(
            report,
            order_status=status,
            cum_qty=cum_qty,
            leaves_qty=leaves_qty,
            avg_px=report.avg_px if cum_qty else None,
        )

    def _under_earlier_id(self, message: VenueMessage) -> VenueMessage:
        if not isinstance(message, OrderReport) or message.exec_type is not ExecType.TRADE:
            return message
        ids = self._delivered_ids.get(message.venue_order_id or "", [])
        return evolve(message, trade_id=ids[0]) if ids else message

    # ---- what happens at the exchange

    def _plan_amendment(self, trade_id: str) -> None:
        if self._is_settled or trade_id in self._amended:
            return
        fate = self._dice.trade(trade_id)
        if fate.amendment == "bust":
            self._at(self._now_ns + fate.after_ns, partial(self._bust, trade_id))
        elif fate.amendment:
            correct = partial(self._correct, trade_id, is_price=fate.is_price)
            self._at(self._now_ns + fate.after_ns, correct)
        self._amended.add(trade_id)

    def _bust(self, trade_id: str) -> None:
        if not self._is_settled:
            self._desk.exchange.bust(trade_id)

    def _correct(self, trade_id: str, *, is_price: bool) -> None:
        if self._is_settled:
            return
        exchange = self._desk.exchange
        order, fill = exchange.sides(trade_id)[0]
        listing, steps, ticks = order.known_listing, fill.steps, fill.ticks
        if is_price or steps == 1:
            ticks += 1
        else:
            steps -= 1
        exchange.correct(trade_id, last_qty=listing.qty(steps), last_px=listing.px(ticks))

    # ---- the line

    def _plan_breaks(self, minute: int) -> None:
        begins_ns = self._opens_ns + minute * _MINUTE
        for word in ("disconnect", "offline"):
            planned = self._dice.break_in_minute(word, minute)
            if planned is not None:
                is_offline = word == "offline"
                break_off = partial(self._break_line, planned[1], is_offline=is_offline)
                self._at(begins_ns + planned[0], break_off)
        self._at(begins_ns + _MINUTE, partial(self._plan_breaks, minute + 1))

    def _break_line(self, for_ns: int, *, is_offline: bool) -> None:
        if self._is_settled:
            return
        if is_offline:
            self._offline_until_ns = max(self._offline_until_ns, self._now_ns + for_ns)
        self._line_back_ns = max(self._line_back_ns, self._now_ns + for_ns)
        self._at(self._line_back_ns, self._mend_line)
        if self.is_line_up and self.capabilities.has_stream:
            self._events.append((self._now_ns, LineChange(False, "the connection was lost")))
        self.is_line_up = False

    def _mend_line(self) -> None:
        if self.is_line_up or self._now_ns < self._line_back_ns:
            return
        self.is_line_up = True
        if self.capabilities.has_stream:
            self._events.append((self._now_ns, LineChange(True)))
        dropped, self._dropped = self._dropped, []
        for message in dropped:
            self._put_under_way(message, self._now_ns)
        self._deliver()


def is_declared(capabilities: Capabilities, method: str) -> bool:
    """Tell whether a broker with these *capabilities* may be called so."""
    needs = _NEEDS.get(method, ())
    return not needs or any(getattr(capabilities, each) for each in needs)


def known_ids(capabilities: Capabilities, ref: OrderRef) -> OrderRef:
    """Return *ref* without the ids that such a broker does not look up by."""
    if not capabilities.can_look_up_by_venue_id:
        return evolve(ref, venue_order_id=None)
    if not capabilities.can_look_up:
        return evolve(ref, client_order_id="", first_client_order_id="")
    return ref


def message_of(content: Report, ns: int) -> Message:
    """Return *content* as a message that came at *ns*."""
    content = evolve(content, ts_received=ns)
    kind, _ = KINDS[type(content)]
    return Message(0, kind, content, to_jsonl(content).encode())


def _identity(message: VenueMessage) -> str:
    """Return what tells *message* from every other."""
    exec_id = getattr(message, "exec_id", None)
    if exec_id is not None:
        return str(exec_id)
    about = getattr(message, "client_order_id", None) or getattr(message, "trade_id", None)
    return f"{type(message).__name__}/{about}/{message.ts_event}"


def _about(args: Sequence[Any]) -> str:
    """Return which order a call is about, or which request."""
    for each in args:
        if isinstance(each, SubmitOrder | CancelOrder | ReplaceOrder):
            return each.client_order_id
        if isinstance(each, OrderRef):
            return each.first_client_order_id or each.venue_order_id or ""
    return ""
