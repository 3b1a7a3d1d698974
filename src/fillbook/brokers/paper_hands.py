"""Do to the paper account what its robot did not ask for.

Somebody trades by hand, the broker liquidates, an instrument is split, a position is transferred:
by a test's own word, or minute by minute as the dice say.  All of it is true and stays true; the
question for fills tells the first two, that for activities the others.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import partial

from fillbook.brokers.paper_desk import Desk
from fillbook.brokers.paper_faults import DEEDS, Deed, Dice
from fillbook.brokers.paper_market import Listing
from fillbook.brokers.paper_wire import SECOND
from fillbook.core.commands import SubmitOrder
from fillbook.core.exact import plain
from fillbook.core.values import Contract, Side
from fillbook.errors import BadInput

__all__ = ["Hands"]

_MINUTE = 60 * SECOND
_RATIOS = ((2, 1), (3, 1), (1, 2), (5, 1))
_LOWEST_PART = 10
"""A split that takes the price below this part of where the listing began does not happen."""


class Hands:
    """Everybody who may do something to the account beside its robot.

    Attributes:
        untold: The venue's ids of orders that the stream says nothing of.
        is_settled: Nothing more happens of its own accord.
    """

    def __init__(
        self,
        desk: Desk,
        dice: Dice,
        at: Callable[[int, Callable[[], object]], None],
        tell: Callable[[], object],
    ) -> None:
        """Act at *desk*; *at* has something done at a time, *tell* passes on what was told."""
        self.untold: set[str] = set()
        self.is_settled = False
        self._exchange = desk.exchange
        self._dice = dice
        self._at = at
        self._tell = tell
        opens_ns = self._exchange.now_ns
        if any(getattr(dice.plan, word) for word in DEEDS):
            at(opens_ns, partial(self._plan, opens_ns, 0))

    # ---- what may be done

    def trade(self, instrument_id: str, side: Side, qty: Decimal, *, is_told: bool) -> str:
        """Trade at the market, with an order that names no client; return the venue's id of it."""
        listing = self._listing(instrument_id)
        if qty <= 0 or not listing.steps(qty) or qty > listing.max_order_qty:
            raise _no_qty(qty, listing)
        command = SubmitOrder(
            client_order_id="hand",
            instrument_id=instrument_id,
            side=side,
            order_type="MARKET",
            order_qty=qty,
        )
        order = self._exchange.enter_by_phone(command)
        assert order.venue_order_id is not None, f"it was refused: {order.ended_text}"
        if not is_told:
            self.untold.add(order.venue_order_id)
        self._tell()
        return order.venue_order_id

    def liquidate(self, instrument_id: str) -> str | None:
        """Let the broker close a position; return the venue's id of its order."""
        order = self._exchange.liquidate(self._listing(instrument_id).instrument_id)
        self._tell()
        return None if order is None else order.venue_order_id

    def split(self, instrument_id: str, numerator: Decimal, denominator: Decimal) -> None:
        """Let *denominator* units of an instrument become *numerator*."""
        if numerator <= 0 or denominator <= 0:
            terms = f"{plain(numerator)} for {plain(denominator)}"
            raise BadInput(f"{terms} is no split", "give two numbers above 0")
        self._exchange.split(self._listing(instrument_id).instrument_id, numerator, denominator)
        self._tell()

    def transfer(self, instrument_id: str, qty: Decimal, px: Decimal | None) -> str:
        """Move a position in, or out where *qty* < 0; return the transfer's id."""
        listing = self._listing(instrument_id)
        if not listing.steps(qty):
            raise _no_qty(qty, listing)
        transfer_id = self._exchange.transfer(instrument_id, qty, px)
        self._tell()
        return transfer_id

    def _listing(self, instrument_id: str) -> Listing:
        listings = self._exchange.listings
        if instrument_id not in listings:
            raise BadInput(
                f"{instrument_id} is not listed here", f"there are {', '.join(listings)}"
            )
        return listings[instrument_id]

    # ---- what happens of its own accord

    def _plan(self, opens_ns: int, minute: int) -> None:
        begins_ns = opens_ns + minute * _MINUTE
        for word in DEEDS:
            deed = self._dice.deed_in_minute(word, minute)
            if deed is not None:
                self._at(begins_ns + deed.after_ns, partial(self._do, word, deed))
        self._at(begins_ns + _MINUTE, partial(self._plan, opens_ns, minute + 1))

    def _do(self, word: str, deed: Deed) -> None:
        listings = list(self._exchange.listings.values())
        if word in ("liquidation", "split"):
            listings = [each for each in listings if self._is_held(each)]
        if word == "split":
            listings = [each for each in listings if _is_share(each)]
        if self.is_settled or not listings:
            return
        listing = listings[int(deed.place * len(listings))]
        qty = listing.qty(1 + int(deed.size * listing.level_steps))
        if word == "external":
            side = Side.BUY if deed.is_up else Side.SELL
            self.trade(listing.instrument_id, side, qty, is_told=False)
        elif word == "liquidation":
            self.liquidate(listing.instrument_id)
        elif word == "split":
            self._split_some(listing, deed)
        else:
            px = self._exchange.mark(listing.instrument_id).px if int(2 * deed.size) else None
            signed_qty = qty if deed.is_up else qty.copy_negate()
            self.transfer(listing.instrument_id, signed_qty, px)

    def _split_some(self, listing: Listing, deed: Deed) -> None:
        numerator, denominator = _RATIOS[int(deed.size * len(_RATIOS))]
        last_px = self._exchange.mark(listing.instrument_id).px
        if last_px * denominator * _LOWEST_PART > listing.start_px * numerator:
            self.split(listing.instrument_id, Decimal(numerator), Decimal(denominator))

    def _is_held(self, listing: Listing) -> bool:
        return bool(self._exchange.held_qty(listing.instrument_id))


def _no_qty(qty: Decimal, listing: Listing) -> BadInput:
    step = plain(listing.qty_step)
    return BadInput(
        f"{plain(qty)} of {listing.instrument_id} cannot be moved at once",
        f"give a multiple of {step}, of an order up to {plain(listing.max_order_qty)}",
    )


def _is_share(listing: Listing) -> bool:
    return listing.contract is Contract.LINEAR and listing.base_currency is None
