"""Hold one order: its ids, its fills, and the states it is in; conclude its status from them.

An order is a slotted value that only the fold mutates.  What the venue said and what follows from
the fills are kept apart (`Standing`), and `status` is a conclusion: of all the states the order is
in, the one of highest FIX precedence.  `decide` works on a copy of the standing, the fold on the
order's own, through the same few methods, so the two cannot disagree.
"""

from collections.abc import Iterable
from decimal import Decimal

from attrs import define, field, frozen

from fillbook.core.exact import EXACT, ROUNDED
from fillbook.core.values import CLOSED, OrderStatus, Origin, Side

__all__ = ["Fill", "Held", "Inferred", "Order", "Request", "Standing", "is_after"]

_S = OrderStatus
_ZERO = Decimal(0)


@define
class Fill:
    """One fill of an order as the book holds it now.

    Attributes:
        fill_no: The order's count of its fills, from 1.
        trade_id: Its identity within the order.
        exec_id: The execution's id, or its last correction's; None where only a match is known.
        qty: In the order's present figures, base units; 0 once busted or fully replaced.
        px: None is unknown.
        reported_qty, reported_px: As first told, to know the same content again.
        ts: When it happened; None is not known.
        counted: The order's `cum_qty` once this fill was booked.  A claim of as much, or more,
            counts it, whatever the clocks say.
        history: (ts, qty, px) of each later change, so that a claim can be judged as of its own
            time.
        commissions: What the fill cost, per currency.
        voided: What it cost until it was busted; a correction that restores it brings it back.
        fee_ts: When a fee apart from its fill was told last, per currency; None is not known.
    """

    fill_no: int
    trade_id: str
    exec_id: str | None
    qty: Decimal
    px: Decimal | None
    reported_qty: Decimal
    reported_px: Decimal | None
    ts: int | None
    counted: Decimal = _ZERO
    is_inferred: bool = False
    is_busted: bool = False
    history: list[tuple[int | None, Decimal, Decimal | None]] = field(factory=list)
    commissions: dict[str, Decimal] = field(factory=dict)
    voided: dict[str, Decimal] = field(factory=dict)
    fee_ts: dict[str, int | None] = field(factory=dict)

    def qty_at(self, ts: int) -> Decimal:
        """Return the quantity as the venue counted it at *ts*."""
        if self.ts is not None and self.ts > ts:
            return _ZERO
        qty = self.reported_qty
        for changed, later, _ in self.history:
            if changed is None or changed <= ts:
                qty = later
        return qty

    def is_fee_news(self, currency: str, ts: int | None) -> bool:
        """Tell whether what was told of a fee at *ts* may change what the fill costs.

        Not where a later word is on record, nor where a bust took the fee away with the fill.
        """
        if ts is None:
            return True
        told = self.fee_ts.get(currency)
        if told is not None and ts < told:
            return False
        busted = self.history[-1][0] if self.is_busted else None
        return busted is None or ts > busted


@frozen
class Inferred:
    """An inferred fill that still stands for something, with its evidence."""

    fill_no: int
    qty: Decimal
    px: Decimal | None
    claimed_qty: Decimal
    ts: int | None


@frozen
class Request:
    """A cancel or replacement that was asked for under an id of its own."""

    kind: str
    orig_client_order_id: str | None
    is_answered: bool = False
    order_qty: Decimal | None = None
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None


@frozen
class Held:
    """A bust (`qty` None) or correction that waits for its fill."""

    exec_id: str | None
    qty: Decimal | None
    px: Decimal | None
    ts: int | None


def is_after(ts: int | None, other: int | None) -> bool:
    """Tell whether *ts* is known to be later than *other*."""
    return ts is not None and other is not None and ts > other


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


class Order:
    """One order as the book holds it.  `order_status` is moved by the lifecycle machine alone."""

    __slots__ = (
        "account_id",
        "asked",
        "cash_order_qty",
        "client_order_ids",
        "commissions",
        "disputes",
        "exec_ids",
        "expire_time",
        "fill_ids",
        "fills",
        "flags",
        "gap",
        "held",
        "inferred",
        "instrument_id",
        "limit_px",
        "live_id",
        "order_status",
        "order_type",
        "origin",
        "partial_fills",
        "refusals",
        "requests",
        "side",
        "standing",
        "stop_px",
        "stream",
        "time_in_force",
        "ts_closed",
        "ts_fact",
        "ts_said",
        "ts_submitted",
        "venue",
        "venue_order_ids",
        "version",
    )

    def __init__(
        self, stream: int, account_id: str, instrument_id: str, side: Side, origin: Origin
    ) -> None:
        self.stream = stream
        self.version = 0
        self.account_id = account_id
        self.instrument_id = instrument_id
        self.side = side
        self.origin = origin
        self.order_status = _S.PENDING_NEW
        self.standing = Standing()
        self.order_type: str | None = None
        self.time_in_force: str | None = None
        self.expire_time: int | None = None
        self.venue: str | None = None
        self.partial_fills: str | None = None
        self.live_id: str | None = None
        self.limit_px: Decimal | None = None
        self.stop_px: Decimal | None = None
        self.cash_order_qty: Decimal | None = None
        self.asked: tuple[object, ...] | None = None
        self.client_order_ids: list[str] = []
        self.venue_order_ids: list[str] = []
        self.requests: dict[str, Request] = {}
        self.refusals: set[tuple[str | None, str | None, str | None, int | None]] = set()
        self.fills: dict[int, Fill] = {}
        self.fill_ids: dict[str, int] = {}
        self.inferred: list[Inferred] = []
        self.exec_ids: dict[str, int | None] = {}
        self.held: dict[str, Held] = {}
        self.disputes: set[tuple[str, str, str]] = set()
        self.flags: list[str] = []
        self.commissions: dict[str, Decimal] = {}
        self.gap: tuple[Decimal, Decimal | None, int | None] | None = None
        self.ts_submitted: int | None = None
        self.ts_closed: int | None = None
        self.ts_said: int | None = None
        self.ts_fact: int | None = None

    @property
    def client_order_id(self) -> str | None:
        """The first id of the chain; None where the venue gave none."""
        return self.client_order_ids[0] if self.client_order_ids else None

    @property
    def live_client_order_id(self) -> str | None:
        """The id it goes by: the first, or that of the last replacement that became real."""
        return self.live_id or self.client_order_id

    @property
    def venue_order_id(self) -> str | None:
        """The venue's id as it stands."""
        return self.venue_order_ids[-1] if self.venue_order_ids else None

    @property
    def is_closed(self) -> bool:
        """True where nothing of the order is open."""
        return self.order_status in CLOSED

    @property
    def sign(self) -> int:
        """1 for buying, -1 for selling."""
        return 1 if self.side is Side.BUY else -1

    def answered_ids(
        self, request_id: str | None, orig: str | None, kind: str, is_accepted: bool = False
    ) -> list[str]:
        """Return under which ids a pending request may be kept that an answer ends.

        That is the request itself, the order's own ids (a venue may acknowledge under those) and,
        for an accepted replacement, every one asked for before it: what is real now has passed
        them over.
        """
        pending = self.standing.pending
        ids = [request_id or "", self.client_order_id or "", ""]
        named = self.requests.get(orig or "")
        if named is None or named.is_answered:
            ids.append(orig or "")
        if is_accepted and request_id is not None:
            chain = self.client_order_ids
            earlier = chain[: chain.index(request_id)] if request_id in chain else chain
            ids += [each for each in earlier if pending.get(each) is _S.PENDING_REPLACE]
        wanted = _S.PENDING_CANCEL if kind == "CANCEL" else _S.PENDING_REPLACE
        return [
            each
            for each in dict.fromkeys(ids)
            if each in pending and (each == request_id or pending[each] is wanted)
        ]

    def cum_qty_at(self, ts: int | None) -> Decimal:
        """Return how much was filled by *ts*, of the fills we know and as the venue counted then.

        Inferred quantity counts from the time of its evidence.  None, or a time after everything
        known, is now.
        """
        if ts is None or self.ts_fact is None or ts >= self.ts_fact:
            return self.standing.cum_qty
        total = self.true_qty_at(ts)
        for part in self.inferred:
            if part.ts is None or part.ts <= ts:
                total = EXACT.add(total, part.qty)
        return total

    def true_qty_at(self, ts: int | None) -> Decimal:
        """Return the same without what was inferred."""
        total = _ZERO
        for fill in self.fills.values():
            if not fill.is_inferred:
                total = EXACT.add(total, fill.qty if ts is None else fill.qty_at(ts))
        return total
