"""Hold one order: its ids, its terms, its fills and requests, and the states it is in (`Standing`).

An order is a slotted value that only the fold mutates.
"""

from decimal import Decimal

from attrs import define, field, frozen

from fillbook.core.exact import EXACT
from fillbook.core.standing import Standing
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
