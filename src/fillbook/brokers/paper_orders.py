"""Keep an order as the paper exchange has it, and say which terms the exchange takes.

A book is compared with the exchange, so an order's figures are worked out in the plainest way: from
the list of the fills that stand, anew each time.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from attrs import Factory, define

from fillbook.brokers.paper_book import Resting
from fillbook.brokers.paper_market import Listing
from fillbook.core.commands import CancelOrder, ReplaceOrder
from fillbook.core.exact import EXACT, plain, unscaled
from fillbook.core.reports import CommissionReport, OrderReport
from fillbook.core.values import ExecType, OrderStatus, Side

__all__ = ["VENUE", "VenueFill", "VenueOrder", "objection_to", "objection_to_terms", "wanted_terms"]

VENUE = "PAPER"

_PLACES = 20
"""More decimal places than this no reader takes."""

_ORDER_TYPES = ("MARKET", "LIMIT", "STOP", "STOP_LIMIT")
_TIMES_IN_FORCE = ("DAY", "GTC", "IOC", "FOK", "GTD")
_RESTING = ("DAY", "GTC", "GTD")


@define(eq=False, kw_only=True)
class VenueFill:
    """One side of one match.

    Attributes:
        exec_id: Of the message that told it last: the trade's own, or its latest correction's.
        steps, ticks: As it stands, corrections included.
        is_busted: Taken back; it counts nowhere.
    """

    trade_id: str
    exec_id: str
    steps: int
    ticks: int
    commission: Decimal
    is_maker: bool
    ts_event: int
    is_busted: bool = False

    @property
    def liquidity(self) -> str:
        return "MAKER" if self.is_maker else "TAKER"


@define(eq=False, kw_only=True)
class VenueOrder:
    """An order as the venue has it.

    Attributes:
        number: The exchange's own count, from 0.
        listing: None where the instrument is unknown here; such an order is refused.
        client_order_ids: The id it came under, then that of each accepted replacement; empty for
            an order entered by phone.
        ended: How it closed, unless by its last fill.
        ended_reason, ended_text: What was said of it then.
        request: A cancel or replacement that the venue has acknowledged and not yet answered.
        resting: Its place in the book, where it has one.
        is_waiting: A stop order whose price has not been reached.
    """

    number: int
    listing: Listing | None
    client_order_ids: list[str]
    venue_order_id: str | None = None
    account_id: str
    instrument_id: str
    side: Side
    order_type: str
    time_in_force: str
    order_qty: Decimal | None
    limit_px: Decimal | None
    stop_px: Decimal | None
    expire_time: int | None = None
    is_accepted: bool = False
    ended: OrderStatus | None = None
    ended_reason: str | None = None
    ended_text: str | None = None
    ended_ns: int = 0
    request: CancelOrder | ReplaceOrder | None = None
    resting: Resting | None = None
    is_waiting: bool = False
    fills: list[VenueFill] = Factory(list)

    @property
    def client_order_id(self) -> str | None:
        """The id it goes by now."""
        return self.client_order_ids[-1] if self.client_order_ids else None

    @property
    def known_listing(self) -> Listing:
        assert self.listing is not None, f"{self.instrument_id} is not listed"
        return self.listing

    @property
    def is_buy(self) -> bool:
        return self.side is Side.BUY

    @property
    def size(self) -> int:
        """Ordered, in steps; 0 for an order whose quantity was refused."""
        if self.listing is None or self.order_qty is None:
            return 0
        return self.listing.steps(self.order_qty) or 0

    @property
    def standing(self) -> list[VenueFill]:
        return [fill for fill in self.fills if not fill.is_busted]

    @property
    def cum(self) -> int:
        """Filled, in steps."""
        return sum(fill.steps for fill in self.standing)

    @property
    def leaves(self) -> int:
        """Still open, in steps; 0 once the order is closed, however it closed."""
        return 0 if self.ended is not None else max(self.size - self.cum, 0)

    @property
    def is_full(self) -> bool:
        return 0 < self.size <= self.cum

    @property
    def is_closed(self) -> bool:
        return self.ended is not None or self.is_full

    @property
    def can_rest(self) -> bool:
        return self.order_type in ("LIMIT", "STOP_LIMIT") and self.time_in_force in _RESTING

    @property
    def limit_ticks(self) -> int | None:
        """The worst price it may trade at, None for any."""
        if self.limit_px is None or self.order_type not in ("LIMIT", "STOP_LIMIT"):
            return None
        return self.known_listing.ticks(self.limit_px)

    def is_triggered_by(self, last_px: int) -> bool:
        """Tell whether a trade at *last_px* ticks reaches the stop price."""
        assert self.stop_px is not None, f"{self.venue_order_id} has no stop price"
        stop_px = self.known_listing.ticks(self.stop_px)
        assert stop_px is not None, f"{self.stop_px} is no price of {self.instrument_id}"
        return last_px >= stop_px if self.is_buy else last_px <= stop_px

    @property
    def order_status(self) -> OrderStatus:
        """The status of highest precedence among those the order is in.

        Source: OrdStatus (tag 39), the precedence table in FIX 4.4 volume 4.
        """
        if self.request is not None and self.ended is None:
            cancels = isinstance(self.request, CancelOrder)
            return OrderStatus.PENDING_CANCEL if cancels else OrderStatus.PENDING_REPLACE
        if self.is_full:
            return OrderStatus.FILLED
        if self.ended is not None:
            return self.ended
        if self.cum:
            return OrderStatus.PARTIALLY_FILLED
        return OrderStatus.NEW if self.is_accepted else OrderStatus.PENDING_NEW

    @property
    def avg_px(self) -> Decimal | None:
        if self.listing is None:
            return None
        return self.listing.avg_px((fill.steps, fill.ticks) for fill in self.standing)

    def report(self, exec_type: ExecType, **facts: Any) -> OrderReport:
        """Return the order as it stands, with the *facts* of one message about it."""
        told: dict[str, Any] = {
            "client_order_id": self.client_order_id,
            "venue_order_id": self.venue_order_id,
            "account_id": self.account_id,
            "instrument_id": self.instrument_id,
            "side": self.side,
            "exec_type": exec_type,
            "order_status": self.order_status,
            "order_qty": self.order_qty,
            "cum_qty": self.listing.qty(self.cum) if self.listing else Decimal(0),
            "leaves_qty": self.listing.qty(self.leaves) if self.listing else Decimal(0),
            "avg_px": _printed(self.avg_px),
            "order_type": self.order_type,
            "limit_px": self.limit_px,
            "stop_px": self.stop_px,
            "time_in_force": self.time_in_force,
            "expire_time": self.expire_time,
            "venue": VENUE,
        }
        return OrderReport(**(told | facts))

    def fee_report(self, fill: VenueFill) -> CommissionReport:
        """Return what *fill* costs as a message of its own."""
        return CommissionReport(
            instrument_id=self.instrument_id,
            trade_id=fill.trade_id,
            commission=fill.commission,
            commission_currency=self.known_listing.fee_currency,
            account_id=self.account_id,
            venue_order_id=self.venue_order_id,
            side=self.side,
        )


def _printed(avg_px: Decimal | None) -> Decimal | None:
    """Return an average as the venue prints it: at most 20 decimal places, half even."""
    exponent = 0 if avg_px is None else avg_px.as_tuple().exponent
    assert isinstance(exponent, int)
    if avg_px is None or exponent >= -_PLACES:
        return avg_px
    return unscaled(int(avg_px.scaleb(_PLACES, EXACT).to_integral_value(ROUND_HALF_EVEN)), _PLACES)


def objection_to(order: VenueOrder, now_ns: int) -> tuple[str, str] | None:
    """Return why the venue does not take a new order, as (reason, text); None where it does."""
    if order.listing is None:
        return "UNKNOWN_SYMBOL", f"{order.instrument_id} is not listed here"
    if order.order_type not in _ORDER_TYPES or order.time_in_force not in _TIMES_IN_FORCE:
        return "OTHER", f"{order.order_type} {order.time_in_force} is not taken here"
    if order.time_in_force == "GTD":
        if order.expire_time is None:
            return "OTHER", "expire_time is missing: a GTD order needs it"
        if order.expire_time <= now_ns:
            return "OTHER", "expire_time is past"
    return objection_to_terms(
        order.listing,
        order.order_type,
        order_qty=order.order_qty,
        limit_px=order.limit_px,
        stop_px=order.stop_px,
    )


def objection_to_terms(
    listing: Listing,
    order_type: str,
    *,
    order_qty: Decimal | None,
    limit_px: Decimal | None,
    stop_px: Decimal | None,
) -> tuple[str, str] | None:
    """Return why the venue does not take these terms, as (reason, text); None where it does."""
    if order_qty is None:
        return "OTHER", "order_qty is missing: orders by cash amount are not taken here"
    steps = listing.steps(order_qty)
    if not steps or steps < 0:
        return "OTHER", f"quantity {plain(order_qty)} is no multiple of {plain(listing.qty_step)}"
    if order_qty > listing.max_order_qty:
        most = plain(listing.max_order_qty)
        return "EXCEEDS_LIMIT", f"quantity {plain(order_qty)} is above the limit of {most}"
    needed = {
        "limit_px": limit_px if order_type in ("LIMIT", "STOP_LIMIT") else listing.px_step,
        "stop_px": stop_px if order_type in ("STOP", "STOP_LIMIT") else listing.px_step,
    }
    for key, px in needed.items():
        if px is None:
            return "OTHER", f"{key} is missing: a {order_type} order needs it"
        ticks = listing.ticks(px)
        if ticks is None or ticks <= 0:
            return "OTHER", f"{key} {plain(px)} is no multiple of {plain(listing.px_step)}"
    return None


def wanted_terms(order: VenueOrder, command: ReplaceOrder) -> dict[str, Decimal | None]:
    """Return the terms that *command* asks for; what it leaves out stays as it is."""
    return {
        "order_qty": order.order_qty if command.order_qty is None else command.order_qty,
        "limit_px": order.limit_px if command.limit_px is None else command.limit_px,
        "stop_px": order.stop_px if command.stop_px is None else command.stop_px,
    }
