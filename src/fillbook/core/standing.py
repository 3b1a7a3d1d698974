"""Hold the states one order is in, and conclude its status from them.

What the venue said and what follows from the fills are kept apart, and `status` is a conclusion: of
all the states the order is in, the one of highest FIX precedence.  `decide` works on a copy of the
standing, the fold on the order's own, through the same few methods, so the two cannot disagree.
"""

from collections.abc import Iterable
from decimal import Decimal

from fillbook.core.exact import EXACT, ROUNDED
from fillbook.core.values import OrderStatus

__all__ = ["Standing"]

_S = OrderStatus
_ZERO = Decimal(0)


class Standing:
    """The states an order is in and the quantities they follow from; plain slots, cheap to copy.

    Attributes:
        order_qty: Base units; None while only a cash amount is known.
        cum_qty, notional: Sum of the fills, and of quantity times price over those with a price.
        unpriced_qty: Filled at a price nobody told yet.
        is_received, is_accepted: The venue has it; the venue works it.
        closed: How the venue ended it: CANCELED, EXPIRED, REJECTED, or None.
        pending: Requests the venue works on: id → PENDING_CANCEL or PENDING_REPLACE.
        day_leaves_qty: What the venue said is left when it was done for the day, else None.
        passing: STOPPED, SUSPENDED or None.
        is_calculated, is_lost: The venue settled the figures; we lost track.
        is_absent: It is closed because it never reached the venue, on evidence of our own.
        told: When each of these was last told, by the venue's clock: `CLOSED`, `PENDING`,
            `PASSING`, `DAY`, `TERMS`, `TRIGGERED`, `LOST`.  What was said earlier and comes later
            changes nothing, so the order of arrival does not matter.
    """

    __slots__ = (
        "closed",
        "cum_qty",
        "day_leaves_qty",
        "is_absent",
        "is_accepted",
        "is_calculated",
        "is_lost",
        "is_received",
        "notional",
        "order_qty",
        "passing",
        "pending",
        "told",
        "unpriced_qty",
    )

    def __init__(self) -> None:
        self.told: dict[str, int] = {}
        self.order_qty: Decimal | None = None
        self.cum_qty: Decimal = _ZERO
        self.notional: Decimal = _ZERO
        self.unpriced_qty: Decimal = _ZERO
        self.is_received = False
        self.is_accepted = False
        self.closed: OrderStatus | None = None
        self.pending: dict[str, OrderStatus] = {}
        self.day_leaves_qty: Decimal | None = None
        self.passing: OrderStatus | None = None
        self.is_calculated = False
        self.is_lost = False
        self.is_absent = False

    def copy(self) -> "Standing":
        """Return a standing that can be changed without touching this one."""
        twin = Standing.__new__(Standing)
        twin.told = self.told.copy()
        twin.order_qty = self.order_qty
        twin.cum_qty = self.cum_qty
        twin.notional = self.notional
        twin.unpriced_qty = self.unpriced_qty
        twin.is_received = self.is_received
        twin.is_accepted = self.is_accepted
        twin.closed = self.closed
        twin.pending = self.pending.copy() if self.pending else {}
        twin.day_leaves_qty = self.day_leaves_qty
        twin.passing = self.passing
        twin.is_calculated = self.is_calculated
        twin.is_lost = self.is_lost
        twin.is_absent = self.is_absent
        return twin

    def is_same(self, other: "Standing") -> bool:
        """Tell whether this standing is the other in everything."""
        return all(getattr(self, name) == getattr(other, name) for name in Standing.__slots__)

    # ---- what follows from the states

    def status(self) -> OrderStatus:
        """Return the state of highest precedence.

        Source: FIX 4.4 volume 4, order state changes: pending cancel, pending replace, done for
        day, calculated, filled, stopped, suspended, canceled or expired, partially filled,
        rejected, new, pending new.  `UNKNOWN` is ours: it hides what is open and nothing that is
        over.
        """
        if self.pending:
            kinds = self.pending.values()
            return _S.PENDING_CANCEL if _S.PENDING_CANCEL in kinds else _S.PENDING_REPLACE
        if self.day_leaves_qty is not None:
            return _S.DONE_FOR_DAY
        if self.is_calculated:
            return _S.CALCULATED
        if self.is_full():
            return _S.FILLED
        if self.closed is _S.CANCELED or self.closed is _S.EXPIRED:
            return self.passing or self.closed
        if self.is_lost:
            return _S.UNKNOWN
        if self.passing is not None:
            return self.passing
        if self.cum_qty:
            return _S.PARTIALLY_FILLED
        if self.closed is not None:
            return self.closed
        return _S.NEW if self.is_accepted else _S.PENDING_NEW

    def is_full(self) -> bool:
        """Tell whether the fills reach the order's quantity."""
        qty = self.order_qty
        return qty is not None and self.cum_qty >= qty and bool(self.cum_qty)

    def is_over(self) -> bool:
        """Tell whether nothing of the order is open, whatever request is still pending."""
        if self.closed is _S.REJECTED:
            return not self.cum_qty or self.is_full()
        return self.closed is not None or self.is_calculated or self.is_full()

    def leaves_qty(self) -> Decimal | None:
        """Return what is still open, base units; None where the order's quantity is not known."""
        if self.is_over():
            return _ZERO
        if self.order_qty is None:
            return None
        left = EXACT.subtract(self.order_qty, self.cum_qty)
        if left < 0:
            return _ZERO
        if self.day_leaves_qty is not None and self.day_leaves_qty < left:
            return self.day_leaves_qty
        return left

    def avg_px(self) -> Decimal | None:
        """Return the average price of the fills; None while there is none or a price is unknown."""
        if not self.cum_qty or self.unpriced_qty:
            return None
        return ROUNDED.divide(self.notional, self.cum_qty)

    # ---- what changes them

    def add(self, qty: Decimal, px: Decimal | None) -> None:
        """Count *qty* (negative takes back) at *px*; a fill proves that the venue has the order."""
        self.cum_qty = EXACT.add(self.cum_qty, qty)
        if px is None:
            self.unpriced_qty = EXACT.add(self.unpriced_qty, qty)
        else:
            self.notional = EXACT.add(self.notional, EXACT.multiply(qty, px))
        self.is_received = self.is_accepted = True
        self.is_lost = False

    def admits(self, aspect: str, ts: int | None) -> bool:
        """Tell whether something said at *ts* may still change *aspect*."""
        if ts is None:
            return True
        said = self.told.get(aspect)
        return said is None or ts >= said

    def _tell(self, aspect: str, ts: int | None) -> None:
        if ts is not None and ts > self.told.get(aspect, -1):
            self.told[aspect] = ts

    def receive(self) -> None:
        """Note that the venue has the order."""
        self.is_received = True
        self.is_lost = False

    def accept(self) -> None:
        """Note that the venue works the order."""
        self.is_received = self.is_accepted = True
        self.is_lost = False

    def triggers_anew(self, ts: int | None) -> bool:
        """Tell whether being triggered at *ts* is not on record yet."""
        return ts is None or self.told.get("TRIGGERED") != ts

    def trigger(self, ts: int | None) -> None:
        """Note that a stop order was triggered, which the status does not show."""
        self._tell("TRIGGERED", ts)

    def set_terms(self, order_qty: Decimal | None, ts: int | None) -> None:
        """Note what the order asks for."""
        self.order_qty = order_qty
        self._tell("TERMS", ts)

    def close(self, how: OrderStatus, ts: int | None) -> None:
        """Note that the venue ended the order; that answers every request and ends what passes."""
        self.closed = how
        self.pending = {}
        self.passing = None
        self.day_leaves_qty = None
        self.receive()
        for aspect in ("CLOSED", "PENDING", "PASSING", "DAY"):
            self._tell(aspect, ts)

    def reopen(self, ts: int | None) -> None:
        """Note that the venue works the order again: every passing and closing state is over."""
        self.closed = None
        self.passing = None
        self.day_leaves_qty = None
        self.is_calculated = False
        self.accept()
        for aspect in ("CLOSED", "PASSING", "DAY"):
            self._tell(aspect, ts)

    def pend(self, request_id: str, kind: OrderStatus) -> None:
        """Note that the venue works on a request."""
        self.pending[request_id] = kind
        self.receive()

    def answer(self, request_ids: Iterable[str], ts: int | None) -> None:
        """Note that these requests are answered."""
        for request_id in request_ids:
            self.pending.pop(request_id, None)
        self._tell("PENDING", ts)

    def pass_through(self, state: OrderStatus | None, ts: int | None) -> None:
        """Note that the order is STOPPED or SUSPENDED, or with None that it is so no more."""
        self.passing = state
        if state is not None:
            self.accept()
        self._tell("PASSING", ts)

    def finish_day(self, leaves_qty: Decimal | None, ts: int | None) -> None:
        """Note that the order is done for the day, or with None that a new day began for it."""
        self.day_leaves_qty = leaves_qty
        self.accept()
        self._tell("DAY", ts)

    def calculate(self, ts: int | None) -> None:
        """Note that the venue settled the order's figures."""
        self.is_calculated = True
        self.accept()
        self._tell("CLOSED", ts)

    def lose(self, ts: int | None) -> None:
        """Note that nothing tells whether the venue has the order."""
        self.is_lost = True
        self._tell("LOST", ts)

    def miss(self) -> None:
        """Note that the order ended because the venue never got it."""
        self.close(_S.REJECTED, None)
        self.is_received = False
        self.is_absent = True

    def reappear(self) -> None:
        """Note that the venue has the order after all."""
        self.is_absent = False
        self.closed = None
        self.accept()

    def rescale(self, cum_qty: Decimal) -> None:
        """Put the fills into new units (a corporate action); what was paid stays what it was."""
        if self.unpriced_qty:
            ratio = ROUNDED.divide(cum_qty, self.cum_qty)
            self.unpriced_qty = ROUNDED.multiply(self.unpriced_qty, ratio)
        self.cum_qty = cum_qty
