"""Trade as a simple robot would: orders of every kind, some canceled, some replaced, some refused.

It sees the market's best prices, remembers what it was told of its own orders, and knows nothing
that a report has not told it.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from random import Random
from typing import TypeVar

from attrs import define

from brokers.paper_carrier import Carrier
from fillbook.brokers.paper_market import Listing
from fillbook.brokers.paper_wire import SECOND, VenueMessage
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.exact import EXACT, quotient
from fillbook.core.reports import OrderReport
from fillbook.core.values import CLOSED, ExecType, Side

__all__ = ["MINUTE", "OwnOrder", "Trader", "between"]

MINUTE = 60 * SECOND

T = TypeVar("T")

_HABITS: Mapping[tuple[str, str, str], int] = {
    ("LIMIT", "DAY", "near"): 33,
    ("LIMIT", "GTC", "near"): 8,
    ("LIMIT", "DAY", "crossing"): 18,
    ("MARKET", "DAY", "crossing"): 14,
    ("LIMIT", "IOC", "crossing"): 7,
    ("LIMIT", "FOK", "crossing"): 6,
    ("STOP", "DAY", "crossing"): 5,
    ("STOP_LIMIT", "DAY", "crossing"): 5,
    ("LIMIT", "DAY", "unknown"): 1,
    ("LIMIT", "DAY", "off tick"): 2,
    ("LIMIT", "DAY", "too large"): 1,
}
"""How often the robot sends which kind of order, in per cent."""


@define(eq=False)
class OwnOrder:
    """What the robot knows of one of its orders.

    Attributes:
        first_id: The id it was sent under.
        live_id: The id it goes by, as far as the robot was told.
        is_closed: As far as the robot was told.
        request_count: Cancels and replacements asked for.
    """

    command: SubmitOrder
    first_id: str
    live_id: str
    is_closed: bool = False
    request_count: int = 0


class Trader:
    """The robot of a day."""

    def __init__(self, seed: int, carrier: Carrier) -> None:
        self.carrier = carrier
        self.orders: list[OwnOrder] = []
        self._seed = seed
        self._random = Random(f"{seed}/robot")
        self._by_id: dict[str, OwnOrder] = {}
        carrier.on_seen = self._note

    # ---- what it does

    def act(self) -> None:
        """Send one order by habit, and plan what may become of it."""
        order_type, time_in_force, where = weighted(self._random, _HABITS)
        listing = self._any_listing()
        own = self.send(
            listing,
            order_type=order_type,
            time_in_force=time_in_force,
            where=where,
            steps=1 + self._random.randrange(listing.level_steps * 3 // 2),
        )
        if where == "near" or order_type in ("STOP", "STOP_LIMIT"):
            self._plan(own)

    def send(
        self,
        listing: Listing,
        *,
        steps: int,
        order_type: str = "MARKET",
        time_in_force: str = "DAY",
        where: str = "crossing",
        side: Side | None = None,
    ) -> OwnOrder:
        """Send a new order.

        Args:
            where: Its price: `near` rests close to the best price, `far` where nothing will reach
                it for a while, `crossing` trades at once; `unknown`, `off tick` and `too large`
                are refused.
        """
        side = side or self._side(listing)
        limit_px, stop_px = self._prices(listing, order_type, where, is_buy=side is Side.BUY)
        too_large = EXACT.add(listing.max_order_qty, listing.qty(steps))
        first_id = f"R{self._seed}-{len(self.orders) + 1:04}"
        command = SubmitOrder(
            client_order_id=first_id,
            instrument_id="YNDX" if where == "unknown" else listing.instrument_id,
            side=side,
            order_type=order_type,
            order_qty=too_large if where == "too large" else listing.qty(steps),
            limit_px=limit_px,
            stop_px=stop_px,
            time_in_force=time_in_force,
        )
        own = OwnOrder(command, first_id, first_id)
        self.orders.append(own)
        self._by_id[first_id] = own
        self.carrier.send(command)
        return own

    def cancel(self, own: OwnOrder) -> str:
        """Ask for the cancel of *own*; return the request's id."""
        own.request_count += 1
        request_id = f"{own.first_id}-C{own.request_count}"
        self._by_id[request_id] = own
        self.carrier.send(CancelOrder(client_order_id=request_id, orig_client_order_id=own.live_id))
        return request_id

    def replace(
        self, own: OwnOrder, *, order_qty: Decimal | None = None, limit_px: Decimal | None = None
    ) -> str:
        """Ask for other terms of *own*; return the request's id."""
        own.request_count += 1
        request_id = f"{own.first_id}-R{own.request_count}"
        self._by_id[request_id] = own
        self.carrier.send(
            ReplaceOrder(
                client_order_id=request_id,
                orig_client_order_id=own.live_id,
                order_qty=order_qty,
                limit_px=limit_px,
            )
        )
        return request_id

    def poll_open(self) -> None:
        """Ask for the state of every order that is open as far as the robot knows."""
        for own in self.orders:
            if not own.is_closed:
                self.carrier.exchange.poll(client_order_id=own.live_id)

    # ---- what it plans

    def _plan(self, own: OwnOrder) -> None:
        fate = self._random.randrange(100)
        if fate < 40:
            wait_ns = between(self._random, 20 * SECOND, 15 * MINUTE)
            self.carrier.after(wait_ns, partial(self._if_open, own, self.cancel))
        elif fate < 65:
            wait_ns = between(self._random, 10 * SECOND, 10 * MINUTE)
            self.carrier.after(wait_ns, partial(self._if_open, own, self._move))
        elif fate < 75:
            wait_ns = between(self._random, 30 * SECOND, 5 * MINUTE)
            self.carrier.after(wait_ns, partial(self._if_open, own, self._poll))

    def _if_open(self, own: OwnOrder, action: Callable[[OwnOrder], object]) -> None:
        if not own.is_closed:
            action(own)

    def _poll(self, own: OwnOrder) -> None:
        self.carrier.exchange.poll(client_order_id=own.live_id)

    def _move(self, own: OwnOrder) -> None:
        """Ask for a better price, half more, or half."""
        listing = self.carrier.exchange.listings[own.command.instrument_id]
        steps = listing.steps(own.command.order_qty or Decimal(0)) or 1
        what = self._random.randrange(3)
        if what == 0 and own.command.order_type == "LIMIT":
            is_buy = own.command.side is Side.BUY
            limit_px, _ = self._prices(listing, "LIMIT", "near", is_buy=is_buy)
            self.replace(own, limit_px=limit_px)
        else:
            more = max(steps * 3 // 2, steps + 1)
            self.replace(own, order_qty=listing.qty(more if what == 1 else max(steps // 2, 1)))

    # ---- what it sees

    def _note(self, message: VenueMessage) -> None:
        if not isinstance(message, OrderReport):
            return
        own = self._by_id.get(message.client_order_id or "")
        if own is None:
            return
        own.is_closed = message.order_status in CLOSED
        if message.exec_type is ExecType.REPLACED and message.client_order_id is not None:
            own.live_id = message.client_order_id

    def _any_listing(self) -> Listing:
        listings = list(self.carrier.exchange.listings.values())
        return listings[self._random.randrange(len(listings))]

    def _side(self, listing: Listing) -> Side:
        """Return a side: either, unless so much is held that it is time to take some off."""
        held = self.carrier.exchange.held_qty(listing.instrument_id)
        much = listing.qty(5 * listing.level_steps)
        is_buy = bool(self._random.randrange(2))
        if abs(held) > much and self._random.randrange(5):
            is_buy = held < 0
        if is_buy:
            return Side.BUY
        return Side.SELL_SHORT if listing.shorts and held <= 0 else Side.SELL

    def _prices(
        self, listing: Listing, order_type: str, where: str, *, is_buy: bool
    ) -> tuple[Decimal | None, Decimal | None]:
        """Return a limit price and a stop price, as the order type needs them."""
        bid_px, ask_px = self.carrier.exchange.quote(listing.instrument_id)
        last_px = self.carrier.exchange.mark(listing.instrument_id).px
        bid = listing.ticks(bid_px or last_px) or 0
        ask = listing.ticks(ask_px or last_px) or 0
        ahead = 1 if is_buy else -1
        if order_type in ("STOP", "STOP_LIMIT"):
            stop = (ask if is_buy else bid) + ahead * (3 + self._random.randrange(10))
            limit_px = listing.px(stop + 3 * ahead) if order_type == "STOP_LIMIT" else None
            return limit_px, listing.px(stop)
        if order_type == "MARKET":
            return None, None
        if where == "crossing":
            return listing.px((ask if is_buy else bid) + ahead * self._random.randrange(4)), None
        away = self._random.randrange(2 * (listing.swing + listing.depth))
        if where == "far":
            away = 3 * (listing.swing + listing.depth)
        limit_px = listing.px((bid if is_buy else ask) - ahead * away)
        if where == "off tick":
            limit_px = EXACT.add(limit_px, quotient(listing.px_step, Decimal(2)))
        return limit_px, None


def between(random: Random, least: int, most: int) -> int:
    """Return a whole number of microseconds, in ns, from *least* up to *most*."""
    return least + random.randrange((most - least) // 1_000) * 1_000


def weighted(random: Random, weights: Mapping[T, int]) -> T:
    """Return one of the keys of *weights*, each as often as its weight says."""
    place = random.randrange(sum(weights.values()))
    for choice, weight in weights.items():
        if place < weight:
            return choice
        place -= weight
    raise AssertionError("the place is below the sum of the weights")
