"""Carry out orders on the paper exchange: match them, rest them, trigger them, end them.

Its rules, where venues differ: a market order and an IOC take what they can and the rest is
canceled; a FOK that cannot be filled at once is canceled; an account does not trade with itself,
the resting order is canceled.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from fillbook.brokers.paper_book import Book, Match, Resting
from fillbook.brokers.paper_market import Crowd, Listing
from fillbook.brokers.paper_orders import VENUE, VenueFill, VenueOrder
from fillbook.brokers.paper_wire import Wire
from fillbook.core.reports import OrderReport
from fillbook.core.values import ExecType, OrderStatus

__all__ = ["Floor"]


class Floor:
    """The books of one session, the orders in them, and what is told of each.

    Attributes:
        orders: Every order that came in, refused ones included, in order of arrival.
        books: By `instrument_id`.
        held: Signed steps by (account, instrument): what the fills that stand add up to, with
            transfers; a fraction only after a split that leaves one.
        move_count: How often that has changed.
        trades: Both sides of each match, by `trade_id`; the crowd's side is not kept.
        counts: How many ids of each kind have been given out.
        touched: The orders that something was told of, by number; whoever keeps them clears it.
        seed: What is in the ids that it gives out.
    """

    def __init__(
        self, seed: int, wire: Wire, listings: Sequence[Listing], *, closes_ns: int, pace_ns: int
    ) -> None:
        self.orders: list[VenueOrder] = []
        self.books: dict[str, Book] = {}
        self.held: dict[tuple[str, str], int | Fraction] = {}
        self.move_count = 0
        self.trades: dict[str, list[tuple[VenueOrder, VenueFill]]] = {}
        self.counts = {"E": 0, "T": 0, "V": 0}
        self.touched: dict[int, VenueOrder] = {}
        self.seed = seed
        self._wire = wire
        self._closes_ns = closes_ns
        self._waiting: dict[str, list[VenueOrder]] = {}
        self._crowds: dict[str, Crowd] = {}
        self._splits: dict[str, list[tuple[int, Fraction]]] = {}
        for listing in listings:
            crowd = Crowd(seed, listing, pace_ns=pace_ns)
            self._crowds[listing.instrument_id] = crowd
            book = self.books[listing.instrument_id] = Book(crowd.fair_px)
            self._waiting[listing.instrument_id] = []
            crowd.quote(book)
            self._next_step(listing.instrument_id, crowd)

    def next_id(self, kind: str) -> str:
        """Return a new id: kind E of an execution message, T of a match, V of an order."""
        self.counts[kind] += 1
        return f"{kind}{self.seed}-{self.counts[kind]}"

    def adopt(self, orders: Sequence[VenueOrder]) -> None:
        """Go on with the *orders* of an earlier session; what is open goes to work again."""
        self.orders += orders
        for order in orders:
            for fill in order.fills:
                self.trades.setdefault(fill.trade_id, []).append((order, fill))
            for fill in order.standing:
                self.hold(order, fill.steps, fill.ts_event)
        for order in orders:
            if order.is_closed:
                continue
            if order.is_waiting:
                self._waiting[order.instrument_id].append(order)
            else:
                self._work(order)
            self._trigger(order.instrument_id)

    # ---- the life of an order

    def enter(self, order: VenueOrder) -> None:
        """Put an accepted order to work, or let it wait for its stop price."""
        if order.order_type in ("STOP", "STOP_LIMIT"):
            order.is_waiting = True
            self._waiting[order.instrument_id].append(order)
        else:
            self._work(order)
        self._trigger(order.instrument_id)

    def change(self, order: VenueOrder, *, keeps_place: bool) -> None:
        """Bring the book in line with an order whose terms have changed."""
        if order.resting is not None and keeps_place:
            order.resting.leaves = order.leaves
        elif order.resting is not None:
            self._leave_book(order)
            self._work(order)
        self._trigger(order.instrument_id)

    def reopen(self, order: VenueOrder) -> None:
        """Bring the book in line with an order whose fills were taken back or corrected."""
        if order.resting is not None and order.leaves:
            order.resting.leaves = order.leaves
        elif order.resting is not None:
            self._leave_book(order)
        elif order.leaves and not order.is_waiting:
            is_as_ordered = self._ratio_since(order.instrument_id, order.fills[0].ts_event) == 1
            if self._wire.now_ns < self._closes_ns and order.can_rest and is_as_ordered:
                self._work(order)
                self._trigger(order.instrument_id)
            else:
                self.end(order, OrderStatus.CANCELED, text="not opened again")

    def end(self, order: VenueOrder, status: OrderStatus, **facts: Any) -> None:
        """Close *order* and tell it; *facts* are further fields of the report."""
        if order.resting is not None:
            self._leave_book(order)
        if order.is_waiting:
            order.is_waiting = False
            self._waiting[order.instrument_id].remove(order)
        order.ended = status
        order.ended_reason, order.ended_text = facts.get("reason"), facts.get("text")
        report = self.tell(order, ExecType(status.value), **facts)
        assert report.ts_event is not None, "what the exchange tells has a time"
        order.ended_ns = report.ts_event

    def fill(
        self,
        order: VenueOrder,
        trade_id: str,
        steps: int,
        ticks: int,
        *,
        is_maker: bool,
        ts_event: int | None = None,
    ) -> None:
        """Book one side of a match and tell it; *ts_event* where it did not happen just now."""
        listing = order.known_listing
        fill = VenueFill(
            trade_id=trade_id,
            exec_id=self.next_id("E"),
            steps=steps,
            ticks=ticks,
            commission=listing.fee(steps, ticks, is_maker=is_maker),
            is_maker=is_maker,
            ts_event=self._wire.moment() if ts_event is None else ts_event,
        )
        order.fills.append(fill)
        self.trades.setdefault(trade_id, []).append((order, fill))
        self.hold(order, steps, fill.ts_event)
        self.tell(
            order,
            ExecType.TRADE,
            exec_id=fill.exec_id,
            trade_id=trade_id,
            last_qty=listing.qty(steps),
            last_px=listing.px(ticks),
            commission=fill.commission,
            commission_currency=listing.fee_currency,
            liquidity=fill.liquidity,
            last_mkt=VENUE,
            ts_event=fill.ts_event,
        )

    def hold(self, order: VenueOrder, steps: int, ts_event: int) -> None:
        """Count *steps* more as filled at *ts_event*, or fewer, in what the account holds."""
        signed_steps = steps if order.is_buy else -steps
        self.move(order.account_id, order.instrument_id, signed_steps, ts_event)

    def move(self, account_id: str, instrument_id: str, steps: int, ts_event: int) -> None:
        """Add signed *steps* of *ts_event* to what the account holds, as splits since have them."""
        key = account_id, instrument_id
        moved = steps * self._ratio_since(instrument_id, ts_event)
        self.held[key] = self.held.get(key, 0) + moved
        self.move_count += 1

    def split(self, instrument_id: str, ratio: Fraction) -> int:
        """Let each unit become *ratio* units, and return when: what is held and the prices change.

        What is open is canceled first, as its terms are in the old units.
        """
        for order in self.orders:
            if order.instrument_id == instrument_id and not order.is_closed:
                self.end(order, OrderStatus.CANCELED, text="canceled for a split")
        ts_event = self._wire.moment()
        self.note_split(instrument_id, ratio, ts_event)
        for key in self.held:
            if key[1] == instrument_id:
                self.held[key] *= ratio
        self._crowds[instrument_id].split(self.books[instrument_id], ratio)
        return ts_event

    def note_split(self, instrument_id: str, ratio: Fraction, ts_event: int) -> None:
        """Know of a split; what is held and what the market pays are as it left them already."""
        self._splits.setdefault(instrument_id, []).append((ts_event, ratio))
        self.move_count += 1

    def _ratio_since(self, instrument_id: str, ts_event: int) -> int | Fraction:
        """Return how many units one of *ts_event* has become."""
        ratio: int | Fraction = 1
        for split_ns, each in self._splits.get(instrument_id, ()):
            if split_ns > ts_event:
                ratio *= each
        return ratio

    def tell(self, order: VenueOrder, exec_type: ExecType, **facts: Any) -> OrderReport:
        """Send a report of *order* as it stands, with the *facts* of this message."""
        if exec_type is not ExecType.ORDER_STATUS and "exec_id" not in facts:
            facts["exec_id"] = self.next_id("E")
        if "ts_event" not in facts:
            facts["ts_event"] = self._wire.moment()
        report = order.report(
            exec_type, ts_received=self._wire.delivery_ns(facts["ts_event"]), **facts
        )
        self.touched[order.number] = order
        self._wire.send(report)
        return report

    # ---- matching

    def _work(self, order: VenueOrder) -> None:
        """Match what is open of *order*, then let the rest wait in the book or end it."""
        book, limit_px = self.books[order.instrument_id], order.limit_ticks
        if order.time_in_force == "FOK":
            most = book.takeable(
                is_buy=order.is_buy, limit_px=limit_px, account_id=order.account_id
            )
            if most < order.leaves:
                self.end(order, OrderStatus.CANCELED, text="fill or kill: not enough to fill it")
                return
        matches, prevented = book.take(
            is_buy=order.is_buy, qty=order.leaves, limit_px=limit_px, account_id=order.account_id
        )
        for resting in prevented:
            assert resting.number is not None, "the crowd trades with everybody"
            own = self.orders[resting.number]
            own.resting = None
            self.end(own, OrderStatus.CANCELED, text="it would have traded with its own account")
        for match in matches:
            self._settle(match, taker=order)
        if order.leaves and not order.can_rest:
            self.end(order, OrderStatus.CANCELED, text="nothing more to trade with at once")
        elif order.leaves:
            assert limit_px is not None, f"{order.venue_order_id} rests at no price"
            order.resting = Resting(
                order.is_buy, limit_px, order.leaves, order.account_id, order.number
            )
            book.rest(order.resting)

    def _settle(self, match: Match, taker: VenueOrder | None) -> None:
        maker = None if match.resting.number is None else self.orders[match.resting.number]
        if maker is None and taker is None:
            return
        trade_id = self.next_id("T")
        if maker is not None:
            if not match.resting.leaves:
                maker.resting = None
            self.fill(maker, trade_id, match.qty, match.px, is_maker=True)
        if taker is not None:
            self.fill(taker, trade_id, match.qty, match.px, is_maker=False)

    def _trigger(self, instrument_id: str) -> None:
        """Put stop orders to work until none is left whose price has been reached."""
        book, waiting = self.books[instrument_id], self._waiting[instrument_id]
        while due := [order for order in waiting if order.is_triggered_by(book.last_px)]:
            order = due[0]
            waiting.remove(order)
            order.is_waiting = False
            self.tell(order, ExecType.TRIGGERED)
            self._work(order)

    def _leave_book(self, order: VenueOrder) -> None:
        assert order.resting is not None, f"{order.venue_order_id} is not in the book"
        self.books[order.instrument_id].remove(order.resting)
        order.resting = None

    # ---- the crowd

    def _next_step(self, instrument_id: str, crowd: Crowd) -> None:
        next_ns = self._wire.now_ns + crowd.wait_ns()
        if next_ns < self._closes_ns:
            self._wire.at(next_ns, partial(self._step, instrument_id, crowd))

    def _step(self, instrument_id: str, crowd: Crowd) -> None:
        for match in crowd.step(self.books[instrument_id]):
            self._settle(match, taker=None)
        self._trigger(instrument_id)
        self._next_step(instrument_id, crowd)
