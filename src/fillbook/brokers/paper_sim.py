"""Be a live broker in virtual time: calls and the stream, with all that goes wrong between.

The clock is an argument, nothing waits and no thread runs, so days go by in seconds.  The paper
broker in its own process or over HTTP is this one, driven by a real clock: the same seed, the same
calls at the same times give the same answers and the same faults at all three.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Any

from attrs import evolve

from fillbook.brokers.live import BrokerRefused, Capabilities, NotSent, OrderRef
from fillbook.brokers.paper_desk import Desk
from fillbook.brokers.paper_faults import Dice, FaultPlan
from fillbook.brokers.paper_hands import Hands
from fillbook.brokers.paper_market import LISTINGS, Listing
from fillbook.brokers.paper_open import OpenExchange
from fillbook.brokers.paper_positions import PositionMemory
from fillbook.brokers.paper_stream import Event, LineChange, Stream, message_of, understated
from fillbook.brokers.paper_wire import MICROSECOND, SECOND, VenueMessage
from fillbook.brokers.port import Message
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.reports import OrderReport, Report
from fillbook.core.values import ExecType, Side

__all__ = [
    "PAPER",
    "BrokerTrouble",
    "LineChange",
    "SimulatedBroker",
    "is_declared",
    "known_ids",
]

PAPER = Capabilities(
    name="paper",
    has_stream=True,
    can_look_up=True,
    can_look_up_by_venue_id=True,
    has_open_orders=True,
    has_fills_since=True,
    has_positions=True,
    has_instruments=True,
    has_activities=True,
    has_cash=True,
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
    "instruments": ("has_instruments",),
    "activities_since": ("has_activities",),
    "cash": ("has_cash",),
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


Outcome = list[Message] | Exception


class SimulatedBroker:
    """The paper broker in virtual time.

    Attributes:
        capabilities: What it declares.
        plan: What goes wrong, and how often.
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
        self._desk = Desk(seed, opens_ns=opens_ns, path=path, listings=listings, pace_ns=pace_ns)
        self._dice = Dice(seed, self.plan)
        self._random = Random(f"{seed}/latency")
        self._now_ns = self._opens_ns = self._desk.exchange.now_ns
        self._is_settled = False
        self._agenda: list[tuple[int, int, Callable[[], object]]] = []
        self._stream = Stream(self._dice, self._at, self._desk.exchange.listings, self._now_ns)
        self._count = 0
        self._call_counts: dict[tuple[str, str], int] = {}
        self._call_times: deque[int] = deque()
        self._arrivals: dict[str, int] = {}
        self._amended: set[str] = set()
        self._offline_until_ns = 0
        self._memory = PositionMemory(self._dice)
        self._hands = Hands(self._desk, self._dice, self._at, lambda: self._tell(self._desk.keep()))
        self._tell([])
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
        if method == "instruments":  # nothing goes wrong with it
            return self._now_ns, self.instruments()
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
        events = self._stream.take()
        return events if self.capabilities.has_stream else []

    def settle(self) -> None:
        """Let nothing more go wrong; what is under way still comes as it was going to."""
        self._is_settled = self._stream.is_settled = self._hands.is_settled = True

    def truth(self) -> dict[str, list[dict[str, Any]]]:
        """Return what is so; see `OpenExchange.truth`."""
        return dict(self._desk.truth())

    def instruments(self) -> list[Message]:
        """Return what each instrument is; a book needs it where fees are taken out of the base."""
        listings = self._desk.exchange.listings.values()
        return [message_of(each.described(self._now_ns), self._now_ns) for each in listings]

    @property
    def is_line_up(self) -> bool:
        """Tell whether the stream is connected."""
        return self._stream.is_up

    @property
    def now_ns(self) -> int:
        """The broker's clock, which never goes back."""
        return self._now_ns

    @property
    def market(self) -> OpenExchange:
        """The exchange, only to look at: quotes, what is held."""
        return self._desk.exchange

    @property
    def next_ns(self) -> int:
        """When something happens next; never before the clock."""
        return max(min(self._next_ns(), self._stream.next_ns), self._now_ns)

    def close(self) -> None:
        """Let go of the account's file."""
        self._desk.close()

    # ---- what a test may have done to the account; see `paper_hands`

    def pass_time(self, to_ns: int) -> None:
        """Let time pass; what the stream brings meanwhile waits for `advance`."""
        self._run(to_ns)

    def trade_by_hand(
        self, instrument_id: str, side: Side, qty: Decimal, *, is_told: bool = False
    ) -> str:
        """Trade at the market as somebody else would, and return the venue's id of the order.

        The order names no client id; the stream tells of it only where *is_told*.
        """
        return self._hands.trade(instrument_id, side, qty, is_told=is_told)

    def liquidate(self, instrument_id: str) -> str | None:
        """Let the broker close a position with an order of its own, which the stream tells.

        Returns the venue's id of the order, None where nothing is held.  What the book does not
        take at once stays open in the position.
        """
        return self._hands.liquidate(instrument_id)

    def split(self, instrument_id: str, numerator: Decimal, denominator: Decimal) -> None:
        """Let *denominator* units become *numerator*: what is held, and the price.

        Open orders in it are canceled, fills stay what they were.  `activities_since` tells it.
        """
        self._hands.split(instrument_id, numerator, denominator)

    def transfer(self, instrument_id: str, qty: Decimal, px: Decimal | None = None) -> str:
        """Move signed *qty* in or out at *px*, and return the transfer's id.

        `activities_since` tells it.
        """
        return self._hands.transfer(instrument_id, qty, px)

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
        if method == "positions" and not self._is_settled:
            answer = self._memory.told(answer, self._now_ns, count)
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
            return understated(report, self._desk.exchange.listings)
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
        self._stream.deliver(self._now_ns)

    def _tell(self, messages: Sequence[VenueMessage]) -> None:
        exchange = self._desk.exchange
        self._memory.note(self._now_ns, exchange.move_count, partial(self._desk.ask, "positions"))
        for message in messages:
            if getattr(message, "venue_order_id", None) in self._hands.untold:
                continue
            if isinstance(message, OrderReport) and message.exec_type is ExecType.TRADE:
                self._plan_amendment(message.trade_id or "")
            if self.capabilities.has_stream:
                self._stream.send(message)

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
        self._stream.break_off(for_ns)


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


def _about(args: Sequence[Any]) -> str:
    """Return which order a call is about, or which request."""
    for each in args:
        if isinstance(each, SubmitOrder | CancelOrder | ReplaceOrder):
            return each.client_order_id
        if isinstance(each, OrderRef):
            return each.first_client_order_id or each.venue_order_id or ""
    return ""
