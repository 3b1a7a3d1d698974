"""Let the day's troubles happen: each scene brings one of them about, with an order of its own.

A scene is a generator: it yields how long to wait and returns whether its trouble came about.  One
that did not (the market was not so) is played again later, so every day has every trouble.
"""

from collections.abc import Callable, Generator
from decimal import Decimal
from enum import StrEnum
from functools import partial
from random import Random
from typing import TypeGuard

from attrs import evolve, frozen

from brokers.paper_carrier import Carrier, delayed
from brokers.paper_trader import MINUTE, OwnOrder, Trader, between
from fillbook.brokers.paper_market import Listing
from fillbook.brokers.paper_orders import VenueOrder
from fillbook.brokers.paper_wire import SECOND, VenueMessage
from fillbook.core.commands import SubmitOrder
from fillbook.core.exact import EXACT, quotient
from fillbook.core.reports import CancelReject, OrderReport
from fillbook.core.values import Contract, ExecType, OrderStatus, Side

__all__ = ["Occurrence", "Scenes", "Trouble"]

Scene = Generator[int, None, bool]

_HOUR = 60 * MINUTE
_BLINK = SECOND // 100


class Trouble(StrEnum):
    """What can be odd about a day."""

    DUPLICATE_REPORT = "DUPLICATE_REPORT"
    REORDERED = "REORDERED"
    LATE_FILL = "LATE_FILL"
    LOST_FILL = "LOST_FILL"
    LATE_COMMISSION = "LATE_COMMISSION"
    BUST = "BUST"
    CORRECTION = "CORRECTION"
    OVERFILL = "OVERFILL"
    CONTRADICTION = "CONTRADICTION"
    CANCEL_TOO_LATE = "CANCEL_TOO_LATE"
    REPLACED = "REPLACED"
    REPLACE_REFUSED = "REPLACE_REFUSED"
    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    BAD_PRICE = "BAD_PRICE"
    TOO_LARGE = "TOO_LARGE"
    EXTERNAL_ORDER = "EXTERNAL_ORDER"
    FUNDING = "FUNDING"


@frozen
class Occurrence:
    """One trouble that came about: what, when, and with which order and trade."""

    trouble: Trouble
    ts_ns: int
    client_order_id: str | None = None
    venue_order_id: str | None = None
    trade_id: str | None = None


class Scenes:
    """The troubles of one day.

    Attributes:
        occurrences: What came about so far, in order.
        again: What did not come about and is still to be played.
    """

    def __init__(self, seed: int, carrier: Carrier, trader: Trader, *, closes_ns: int) -> None:
        self.occurrences: list[Occurrence] = []
        self.again: list[Trouble] = []
        self._random = Random(f"{seed}/scenes")
        self._carrier = carrier
        self._trader = trader
        self._exchange = carrier.exchange
        self._closes_ns = closes_ns
        self._scenes: dict[Trouble, Callable[[], Scene]] = {
            Trouble.DUPLICATE_REPORT: self._duplicate_report,
            Trouble.REORDERED: self._reordered,
            Trouble.LATE_FILL: self._late_fill,
            Trouble.LOST_FILL: self._lost_fill,
            Trouble.LATE_COMMISSION: self._late_commission,
            Trouble.BUST: self._bust,
            Trouble.CORRECTION: self._correction,
            Trouble.OVERFILL: self._overfill,
            Trouble.CONTRADICTION: self._contradiction,
            Trouble.CANCEL_TOO_LATE: self._cancel_too_late,
            Trouble.REPLACED: self._replaced,
            Trouble.REPLACE_REFUSED: self._replace_refused,
            Trouble.UNKNOWN_INSTRUMENT: partial(
                self._refused, Trouble.UNKNOWN_INSTRUMENT, "unknown"
            ),
            Trouble.BAD_PRICE: partial(self._refused, Trouble.BAD_PRICE, "off tick"),
            Trouble.TOO_LARGE: partial(self._refused, Trouble.TOO_LARGE, "too large"),
            Trouble.EXTERNAL_ORDER: self._external_order,
            Trouble.FUNDING: self._funding,
        }

    def play(self, trouble: Trouble) -> None:
        """Begin the scene of *trouble* now."""
        self._go_on(trouble, self._scenes[trouble]())

    def _go_on(self, trouble: Trouble, scene: Scene) -> None:
        try:
            wait_ns = next(scene)
        except StopIteration as end:
            if not end.value:
                self.again.append(trouble)
            return
        self._carrier.after(wait_ns, partial(self._go_on, trouble, scene))

    # ---- on the way

    def _duplicate_report(self) -> Scene:
        own = self._take()
        doubled: list[VenueMessage] = []

        def double(message: VenueMessage) -> list[VenueMessage]:
            if doubled or not is_trade(message):
                return [message]
            doubled.append(message)
            copy = evolve(message, poss_dup=bool(self._random.randrange(2)))
            return [message, delayed(copy, self._wait(SECOND, 20 * SECOND))]

        self._carrier.tamper(own.first_id, double)
        yield MINUTE
        return self._came(Trouble.DUPLICATE_REPORT, own, doubled)

    def _reordered(self) -> Scene:
        """Keep a fill back, or the acknowledgement, until what followed it has been seen."""
        late_type = ExecType.TRADE if self._random.randrange(3) else ExecType.NEW
        own = self._take(steps_of=lambda listing: 2 * listing.level_steps)
        kept: list[VenueMessage] = []
        followed: list[VenueMessage] = []

        def keep(message: VenueMessage) -> list[VenueMessage]:
            if kept and (message.ts_received or 0) < (kept[0].ts_received or 0):
                followed.append(message)
            if kept or not isinstance(message, OrderReport) or message.exec_type is not late_type:
                return [message]
            kept.append(delayed(message, self._wait(SECOND, 20 * SECOND)))
            return kept[:1]

        self._carrier.tamper(own.first_id, keep)
        yield MINUTE
        return bool(followed) and self._came(Trouble.REORDERED, own, kept)

    def _lost_fill(self) -> Scene:
        """Lose the only fill of an order, and let the robot ask some time later.

        Not where fees are taken out of what is held: a poll does not tell a fee.
        """
        own = self._take(without_base_fee=True)
        lost: list[VenueMessage] = []

        def lose(message: VenueMessage) -> list[VenueMessage]:
            if is_trade(message) and message.last_qty == message.order_qty:
                lost.append(message)
                return []
            return [message]

        self._carrier.tamper(own.first_id, lose)
        yield self._wait(30 * SECOND, 90 * SECOND)
        if lost:
            self._exchange.poll(client_order_id=own.first_id)
        return self._came(Trouble.LOST_FILL, own, lost)

    def _late_commission(self) -> Scene:
        own = self._take()
        without: list[VenueMessage] = []

        def withhold(message: VenueMessage) -> list[VenueMessage]:
            if without or not is_trade(message):
                return [message]
            without.append(message)
            order = self._order(own)
            fill = next(each for each in order.fills if each.trade_id == message.trade_id)
            told_ns = self._carrier.now_ns + self._wait(MINUTE, 5 * MINUTE)
            fee = evolve(order.fee_report(fill), ts_event=told_ns, ts_received=told_ns + _BLINK)
            return [evolve(message, commission=None, commission_currency=None), fee]

        self._carrier.tamper(own.first_id, withhold)
        yield MINUTE
        return self._came(Trouble.LATE_COMMISSION, own, without)

    def _contradiction(self) -> Scene:
        """Let a poll of a filled order claim that less of it was filled."""
        own = self._take()
        false: list[VenueMessage] = []

        def understate(message: VenueMessage) -> list[VenueMessage]:
            if not isinstance(message, OrderReport) or not message.is_snapshot:
                return [message]
            false.append(self._understated(message))
            return false[-1:]

        yield self._wait(20 * SECOND, 2 * MINUTE)
        if not self._order(own).is_full:
            return False
        self._carrier.tamper(own.first_id, understate)
        self._exchange.poll(client_order_id=own.first_id)
        yield SECOND
        return self._came(Trouble.CONTRADICTION, own, false)

    def _understated(self, report: OrderReport) -> OrderReport:
        assert report.instrument_id is not None, "the exchange names the instrument"
        assert report.order_qty is not None, "the exchange knows the quantity"
        listing = self._exchange.listings[report.instrument_id]
        cum_qty = listing.qty((listing.steps(report.order_qty) or 0) // 2)
        return evolve(
            report,
            order_status=OrderStatus.PARTIALLY_FILLED if cum_qty else OrderStatus.NEW,
            cum_qty=cum_qty,
            leaves_qty=EXACT.subtract(report.order_qty, cum_qty),
            avg_px=report.avg_px if cum_qty else None,
        )

    # ---- at the exchange

    def _late_fill(self) -> Scene:
        listing = self._listing()
        own = self._rest_far(listing)
        yield SECOND
        self._trader.cancel(own)
        yield 2 * SECOND
        order = self._order(own)
        if not self._exchange.fill_late(order, listing.qty(max(order.size // 3, 1))):
            return False
        return self._happened(Trouble.LATE_FILL, order)

    def _bust(self) -> Scene:
        own = self._take()
        yield self._wait(10 * SECOND, 5 * MINUTE)
        order = self._order(own)
        if not order.standing:
            return False
        fill = order.standing[-1]
        self._exchange.bust(fill.trade_id)
        return self._happened(Trouble.BUST, order, fill.trade_id)

    def _correction(self) -> Scene:
        """Correct a fill's price by some ticks, and now and then its quantity downward."""
        own = self._take()
        yield self._wait(10 * SECOND, 5 * MINUTE)
        order = self._order(own)
        if not order.standing:
            return False
        fill, listing = order.standing[-1], order.known_listing
        less = 0 if fill.steps == 1 or self._random.randrange(3) else 1
        ticks = fill.ticks + (1 + self._random.randrange(3)) * (1 if order.is_buy else -1)
        self._exchange.correct(
            fill.trade_id, last_qty=listing.qty(fill.steps - less), last_px=listing.px(ticks)
        )
        return self._happened(Trouble.CORRECTION, order, fill.trade_id)

    def _overfill(self) -> Scene:
        own = self._take()
        yield self._wait(2 * SECOND, 20 * SECOND)
        order = self._order(own)
        if not self._exchange.overfill(order, order.known_listing.qty_step):
            return False
        return self._happened(Trouble.OVERFILL, order)

    def _external_order(self) -> Scene:
        listing = self._listing()
        order = self._exchange.enter_by_phone(
            SubmitOrder(
                client_order_id="",
                instrument_id=listing.instrument_id,
                side=Side.BUY if self._random.randrange(2) else Side.SELL,
                order_type="MARKET",
                order_qty=listing.qty(self._some_steps(listing)),
            )
        )
        yield SECOND
        return bool(order.standing) and self._happened(Trouble.EXTERNAL_ORDER, order)

    def _funding(self) -> Scene:
        """Take a position in the perpetual and hold it until the next full hour."""
        listing = self._listing(lambda each: each.contract is Contract.INVERSE)
        held = self._exchange.held_qty(listing.instrument_id)
        side = Side.SELL if held < 0 else Side.BUY
        self._trader.send(listing, steps=self._some_steps(listing), side=side)
        wait_ns = _HOUR - self._carrier.now_ns % _HOUR
        yield wait_ns if self._carrier.now_ns + wait_ns < self._closes_ns else 10 * SECOND
        rate = Decimal(1 + self._random.randrange(30)).scaleb(-5)
        if not self._exchange.fund(listing.instrument_id, rate):
            return False
        self._note(Trouble.FUNDING)
        return True

    # ---- requests and refusals

    def _cancel_too_late(self) -> Scene:
        own = self._take(order_type="MARKET")
        yield SECOND // 1_000
        request_id = self._trader.cancel(own)
        yield 5 * SECOND
        answer = self._carrier.last_answers.get(request_id)
        if not isinstance(answer, CancelReject) or not self._order(own).is_full:
            return False
        return self._happened(Trouble.CANCEL_TOO_LATE, self._order(own))

    def _replaced(self) -> Scene:
        listing = self._listing()
        own = self._rest_far(listing)
        yield self._wait(SECOND, MINUTE)
        order = self._order(own)
        self._trader.replace(own, order_qty=listing.qty(order.size + 1 + order.size // 4))
        yield 5 * SECOND
        return len(order.client_order_ids) > 1 and self._happened(Trouble.REPLACED, order)

    def _replace_refused(self) -> Scene:
        listing = self._listing()
        own = self._rest_far(listing)
        yield self._wait(SECOND, MINUTE)
        limit_px = own.command.limit_px or listing.px_step
        off_tick = EXACT.add(limit_px, quotient(listing.px_step, Decimal(2)))
        request_id = self._trader.replace(own, limit_px=off_tick)
        yield 5 * SECOND
        answer = self._carrier.last_answers.get(request_id)
        if not isinstance(answer, CancelReject):
            return False
        return self._happened(Trouble.REPLACE_REFUSED, self._order(own))

    def _refused(self, trouble: Trouble, where: str) -> Scene:
        listing = self._listing()
        own = self._trader.send(
            listing, steps=self._some_steps(listing), order_type="LIMIT", where=where
        )
        yield SECOND
        return self._happened(trouble, self._order(own))

    # ---- what scenes are made of

    def _take(
        self,
        *,
        order_type: str | None = None,
        without_base_fee: bool = False,
        steps_of: Callable[[Listing], int] | None = None,
    ) -> OwnOrder:
        """Send an order that trades at once."""
        listing = self._listing(lambda each: not (without_base_fee and each.has_base_fee))
        if order_type is None:
            order_type = "LIMIT" if self._random.randrange(2) else "MARKET"
        steps = self._some_steps(listing) if steps_of is None else steps_of(listing)
        return self._trader.send(listing, steps=steps, order_type=order_type)

    def _rest_far(self, listing: Listing) -> OwnOrder:
        steps = 3 + self._some_steps(listing)
        return self._trader.send(listing, steps=steps, order_type="LIMIT", where="far")

    def _some_steps(self, listing: Listing) -> int:
        return 1 + self._random.randrange(max(listing.level_steps // 4, 2))

    def _listing(self, suits: Callable[[Listing], bool] = lambda each: True) -> Listing:
        choices = [each for each in self._exchange.listings.values() if suits(each)]
        return choices[self._random.randrange(len(choices))]

    def _order(self, own: OwnOrder) -> VenueOrder:
        return self._exchange.order(own.first_id)

    def _wait(self, least: int, most: int) -> int:
        return between(self._random, least, most)

    # ---- what came about

    def _came(self, trouble: Trouble, own: OwnOrder, messages: list[VenueMessage]) -> bool:
        """Note that the way was bad for one of *messages*; False where there is none."""
        for message in messages[:1]:
            trade_id = getattr(message, "trade_id", None)
            self._note(trouble, own.first_id, self._order(own).venue_order_id, trade_id)
        return bool(messages)

    def _happened(self, trouble: Trouble, order: VenueOrder, trade_id: str | None = None) -> bool:
        """Note what the exchange did with *order*; always True."""
        if trade_id is None and order.fills:
            trade_id = order.fills[-1].trade_id
        client_order_id = order.client_order_ids[0] if order.client_order_ids else None
        self._note(trouble, client_order_id, order.venue_order_id, trade_id)
        return True

    def _note(self, trouble: Trouble, *ids: str | None) -> None:
        self.occurrences.append(Occurrence(trouble, self._carrier.now_ns, *ids))


def is_trade(message: VenueMessage) -> TypeGuard[OrderReport]:
    """Tell whether *message* reports a fill."""
    return isinstance(message, OrderReport) and message.exec_type is ExecType.TRADE
