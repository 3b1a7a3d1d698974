"""List everything that can have happened: one frozen class per event type and version.

An event is past tense and complete in itself.  `type` and `version` are the stored names and never
follow a class rename; a published version never changes (add the next one, its schema in
`ledger/events/` and an upcaster).  What the log adds (seq, stream, recorded time, hashes) is on the
record.  `ts_event` and `ts_received` are columns of the record too and not repeated in the body.

An order's event also carries the order as it stands after it (`order_status`, `order_qty`,
`cum_qty`, `leaves_qty`, `avg_px`), so that a reader without our code sees the truth at any seq;
`verify` folds the log again and compares.
"""

from decimal import Decimal
from typing import ClassVar

from attrs import field, fields, frozen

from fillbook.core.values import Contract, OrderStatus, Side, Source

__all__ = [
    "AmendmentHeld",
    "CashMoved",
    "CommissionChanged",
    "Event",
    "FillBusted",
    "FillCorrected",
    "FillInferred",
    "GapSeen",
    "ImportProgressed",
    "InferredFillReleased",
    "InstrumentDefined",
    "InstrumentMarked",
    "InstrumentSplit",
    "LedgerCreated",
    "MessageSetAside",
    "OrderAccepted",
    "OrderCalculated",
    "OrderCancelPending",
    "OrderCancelRequested",
    "OrderCanceled",
    "OrderDiscovered",
    "OrderDisputed",
    "OrderDoneForDay",
    "OrderEvent",
    "OrderExpired",
    "OrderFilled",
    "OrderFilledV1",
    "OrderLost",
    "OrderReceived",
    "OrderRejected",
    "OrderReplacePending",
    "OrderReplaceRequested",
    "OrderReplaced",
    "OrderRestated",
    "OrderStopped",
    "OrderSubmitted",
    "OrderSuspended",
    "OrderTriggered",
    "OrderUpdated",
    "PositionReported",
    "Replacement",
    "RequestRejected",
]

COLUMN = {"column": True}
"""Marks a field that lives in a column of the record and not in the body."""


@frozen(kw_only=True, eq=False, repr=False)
class Event:
    """Anything that happened.

    Attributes:
        ts_event: When it happened, as its author says; ns since 1970, UTC.
        ts_received: When our adapter got the message.
    """

    type: ClassVar[str]
    version: ClassVar[int] = 1

    ts_event: int | None = field(default=None, metadata=COLUMN)
    ts_received: int | None = field(default=None, metadata=COLUMN)

    # Written once here: generated for each of forty classes they cost 30 ms at every start.

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Event)
            and type(other) is type(self)
            and _values(self) == _values(other)
        )

    def __hash__(self) -> int:
        return hash((type(self), _values(self)))

    def __repr__(self) -> str:
        pairs = zip((each.name for each in fields(type(self))), _values(self), strict=True)
        told = ", ".join(f"{name}={value!r}" for name, value in pairs if value is not None)
        return f"{type(self).__name__}({told})"


def _values(event: Event) -> tuple[object, ...]:
    return tuple(getattr(event, each.name) for each in fields(type(event)))


# ---- the ledger itself


@frozen(kw_only=True, eq=False, repr=False)
class LedgerCreated(Event):
    """The first event of every ledger: which ledger this is."""

    type: ClassVar[str] = "ledger.created"

    ledger_id: str
    robot: str
    format_version: int
    created_by: str


@frozen(kw_only=True, eq=False, repr=False)
class MessageSetAside(Event):
    """A message that could not be read or tied to anything; the raw message is kept beside it."""

    type: ClassVar[str] = "message.set_aside"

    kind: str
    problem: str
    name: str | None = None
    line: int | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ImportProgressed(Event):
    """So much of a file has been read: its first `length` bytes have this SHA-256.

    `checksum` tells how messages with a wrong one were read: REFUSE, WARN, or "" where the format
    has none.  Another reading of the same bytes begins at their beginning.
    """

    type: ClassVar[str] = "import.progressed"

    name: str
    format: str
    checksum: str = ""
    length: int
    sha256: str
    line: int
    message_count: int


# ---- instruments and money


@frozen(kw_only=True, eq=False, repr=False)
class InstrumentDefined(Event):
    """What an instrument is; the latest definition holds for its whole history."""

    type: ClassVar[str] = "instrument.defined"

    instrument_id: str
    contract: Contract = Contract.LINEAR
    multiplier: Decimal = Decimal(1)
    base_currency: str | None = None
    quote_currency: str | None = None
    settlement_currency: str | None = None
    qty_step: Decimal | None = None
    px_step: Decimal | None = None
    lot_size: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class InstrumentSplit(Event):
    """Every open position in the instrument is multiplied by numerator/denominator."""

    type: ClassVar[str] = "instrument.split"

    instrument_id: str
    numerator: Decimal
    denominator: Decimal


@frozen(kw_only=True, eq=False, repr=False)
class InstrumentMarked(Event):
    """A price to value positions with."""

    type: ClassVar[str] = "instrument.marked"

    instrument_id: str
    px: Decimal


@frozen(kw_only=True, eq=False, repr=False)
class PositionReported(Event):
    """What the broker said we hold.  It moves nothing."""

    type: ClassVar[str] = "position.reported"

    account_id: str
    instrument_id: str
    position_qty: Decimal
    avg_px: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class CashMoved(Event):
    """Money without a trade; `amount` > 0 was received."""

    type: ClassVar[str] = "cash.moved"

    account_id: str
    instrument_id: str
    amount: Decimal
    currency: str
    reason: str


# ---- orders


@frozen(kw_only=True, eq=False, repr=False)
class OrderEvent(Event):
    """Something that happened to one order, and the order as it stands after it.

    Attributes:
        client_order_id: First id of the order's chain; None where the venue gave none.
        request_id: The client id the message came under, where it is another one of the chain.
        venue_order_id: The venue's id for the order as it stands.
        exec_id: The execution message's own id (tag 17).
        order_status: Status after this event.
        order_qty, cum_qty, leaves_qty: After this event, base units.
        avg_px: After this event; None while `cum_qty` is 0 or a price is unknown.
        flags: What this event showed.
        source: How we know.
    """

    account_id: str
    instrument_id: str
    side: Side
    client_order_id: str | None
    order_status: OrderStatus
    order_qty: Decimal | None
    cum_qty: Decimal
    leaves_qty: Decimal | None
    avg_px: Decimal | None = None
    request_id: str | None = None
    venue_order_id: str | None = None
    exec_id: str | None = None
    flags: tuple[str, ...] = ()
    source: Source = Source.IMPORT


@frozen(kw_only=True, eq=False, repr=False)
class OrderSubmitted(OrderEvent):
    """Our intent, durable before the request leaves (35=D)."""

    type: ClassVar[str] = "order.submitted"

    order_type: str
    asked_qty: Decimal | None = None
    cash_order_qty: Decimal | None = None
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    time_in_force: str | None = None
    expire_time: int | None = None
    venue: str | None = None
    partial_fills: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class OrderDiscovered(OrderEvent):
    """An order that we never sent came up in a report."""

    type: ClassVar[str] = "order.discovered"

    order_type: str | None = None
    cash_order_qty: Decimal | None = None
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    time_in_force: str | None = None
    expire_time: int | None = None
    venue: str | None = None


# An event without a field of its own is not decorated: it is what `OrderEvent` is, by another name.


class OrderReceived(OrderEvent):
    """The venue has the order and has not accepted it yet (39=A)."""

    __slots__ = ()

    type: ClassVar[str] = "order.received"


class OrderAccepted(OrderEvent):
    """The venue accepted the order (150=0)."""

    __slots__ = ()

    type: ClassVar[str] = "order.accepted"


class OrderTriggered(OrderEvent):
    """The stop price was reached (150=L)."""

    __slots__ = ()

    type: ClassVar[str] = "order.triggered"


@frozen(kw_only=True, eq=False, repr=False)
class OrderCancelRequested(OrderEvent):
    """We asked for a cancel (35=F); `request_id` is the request's own id."""

    type: ClassVar[str] = "order.cancel_requested"

    orig_client_order_id: str


@frozen(kw_only=True, eq=False, repr=False)
class OrderReplaceRequested(OrderEvent):
    """We asked for other terms (35=G); `request_id` is the request's own id."""

    type: ClassVar[str] = "order.replace_requested"

    orig_client_order_id: str
    asked_qty: Decimal | None = None
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None


class OrderCancelPending(OrderEvent):
    """The venue works on a cancel (39=6)."""

    __slots__ = ()

    type: ClassVar[str] = "order.cancel_pending"


class OrderReplacePending(OrderEvent):
    """The venue works on a replacement (39=E)."""

    __slots__ = ()

    type: ClassVar[str] = "order.replace_pending"


@frozen(kw_only=True, eq=False, repr=False)
class RequestRejected(OrderEvent):
    """The venue refused a cancel or a replacement (35=9)."""

    type: ClassVar[str] = "order.request_rejected"

    orig_client_order_id: str | None = None
    reason: str | None = None
    text: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class OrderReplaced(OrderEvent):
    """A replacement became real (150=5); `reopened` where the order was closed or resting."""

    type: ClassVar[str] = "order.replaced"

    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    orig_client_order_id: str | None = None
    reopened: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class OrderRestated(OrderEvent):
    """The venue changed the order of its own accord (150=D).

    `rescaled_from` is the `cum_qty` before a corporate action put the order's fills into new
    units; None where it did not.  `reopened` where the order was closed or resting before.
    """

    type: ClassVar[str] = "order.restated"

    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    restatement_reason: str | None = None
    rescaled_from: Decimal | None = None
    text: str | None = None
    reopened: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class OrderUpdated(OrderEvent):
    """A report showed other terms, another id, or that a state is over (`cleared`).

    `cleared` holds `PENDING`, `DAY`, `PASSING`, or `NEVER_ARRIVED` where the order is there after
    all.
    """

    type: ClassVar[str] = "order.updated"

    order_type: str | None = None
    time_in_force: str | None = None
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    cleared: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class OrderCanceled(OrderEvent):
    """The rest of the order is gone (39=4)."""

    type: ClassVar[str] = "order.canceled"

    reason: str | None = None
    text: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class OrderRejected(OrderEvent):
    """The venue refused the order (39=8), or proof of ours that it never got it."""

    type: ClassVar[str] = "order.rejected"

    reason: str | None = None
    text: str | None = None
    never_arrived: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class OrderExpired(OrderEvent):
    """The order's time ran out (39=C)."""

    type: ClassVar[str] = "order.expired"

    reason: str | None = None
    text: str | None = None


class OrderDoneForDay(OrderEvent):
    """No more today (39=3); `leaves_qty` is what the venue says."""

    __slots__ = ()

    type: ClassVar[str] = "order.done_for_day"


class OrderStopped(OrderEvent):
    """A guarantee of execution at a price (39=7)."""

    __slots__ = ()

    type: ClassVar[str] = "order.stopped"


class OrderSuspended(OrderEvent):
    """The order is not working for now (39=9)."""

    __slots__ = ()

    type: ClassVar[str] = "order.suspended"


class OrderCalculated(OrderEvent):
    """The order is complete and its figures are settled (39=B)."""

    __slots__ = ()

    type: ClassVar[str] = "order.calculated"


@frozen(kw_only=True, eq=False, repr=False)
class OrderLost(OrderEvent):
    """Nothing tells any more whether the venue has the order."""

    type: ClassVar[str] = "order.lost"

    text: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class OrderDisputed(OrderEvent):
    """A claim contradicts the record; it is neither believed nor dropped.

    Attributes:
        why: What contradicts: `CUM_QTY_BELOW`, `ORDER_QTY_BELOW_FILLED`, `CLOSED_BEFORE`,
            `FILL_DIFFERS`, `ORDER_DIFFERS`, `INSTRUMENT_DIFFERS`, `SIDE_DIFFERS`,
            `SECOND_ORDER`, `REQUEST_DIFFERS`, `AMENDMENT_UNNAMED`.
        claim: What was claimed, in words.
        held: What the record holds against it, in words.
    """

    type: ClassVar[str] = "order.disputed"

    why: str
    claim: str
    held: str


@frozen(kw_only=True, eq=False, repr=False)
class GapSeen(OrderEvent):
    """The venue counts `gap_qty` more than we do; the policy waits for the true fills."""

    type: ClassVar[str] = "order.gap_seen"

    claimed_qty: Decimal
    claimed_avg_px: Decimal | None = None
    gap_qty: Decimal


# ---- fills


@frozen(kw_only=True)
class Replacement:
    """How much of an inferred fill a true one replaces, and what is left of it.

    Attributes:
        fill_no: The inferred fill.
        qty: Replaced, base units, > 0.
        left_qty: Still inferred after this, base units.
        left_px: Price of what is left; None where unknown.
    """

    fill_no: int
    qty: Decimal
    left_qty: Decimal
    left_px: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class OrderFilledV1(OrderEvent):
    """One execution of an order, as version 1 told it: the trade's id served as the execution's."""

    type: ClassVar[str] = "order.filled"
    version: ClassVar[int] = 1

    fill_no: int
    trade_id: str
    last_qty: Decimal
    last_px: Decimal | None = None
    commission: Decimal | None = None
    commission_currency: str | None = None
    replaces: tuple[Replacement, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class OrderFilled(OrderEvent):
    """One execution of an order, as the venue reported it.

    Attributes:
        fill_no: The order's own count of its fills, from 1; busts and corrections point at it.
        trade_id: The venue's id for this match, else the execution's id, else derived from the
            content.  Dedupe key.
        exec_id: The execution message's id (tag 17); a bust names it.
        last_qty: Quantity of this execution, base units, > 0.
        last_px: Price of this execution, quote per base unit.  None is unknown.
        commission: Fee in `commission_currency`; negative is a rebate, None is not yet known.
        replaces: Inferred quantity whose place this fill takes.

    Source: FIX ExecutionReport (35=8) with ExecType=F; tags 880, 17, 32, 31, 12, 479, 851, 30.
    """

    type: ClassVar[str] = "order.filled"
    version: ClassVar[int] = 2

    fill_no: int
    trade_id: str
    last_qty: Decimal
    last_px: Decimal | None = None
    commission: Decimal | None = None
    commission_currency: str | None = None
    liquidity: str | None = None
    last_mkt: str | None = None
    replaces: tuple[Replacement, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class FillInferred(OrderEvent):
    """The venue counts more than we were told of: the difference, as one fill.

    `claimed_qty` and `claimed_avg_px` are the evidence.  `last_px` is the price that makes our
    average the venue's; None where the venue told none.
    """

    type: ClassVar[str] = "order.fill_inferred"

    fill_no: int
    trade_id: str
    last_qty: Decimal
    last_px: Decimal | None = None
    claimed_qty: Decimal
    claimed_avg_px: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class InferredFillReleased(OrderEvent):
    """Later facts account for inferred quantity, or take it back, without a fill of their own."""

    type: ClassVar[str] = "order.inferred_fill_released"

    releases: tuple[Replacement, ...]


@frozen(kw_only=True, eq=False, repr=False)
class FillBusted(OrderEvent):
    """The venue took a fill back, whole; quantity and price are those of our own record."""

    type: ClassVar[str] = "order.fill_busted"

    fill_no: int
    exec_ref_id: str
    last_qty: Decimal
    last_px: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class FillCorrected(OrderEvent):
    """The venue put another quantity and price in a fill's place."""

    type: ClassVar[str] = "order.fill_corrected"

    fill_no: int
    exec_ref_id: str
    last_qty: Decimal
    last_px: Decimal | None = None
    prior_qty: Decimal
    prior_px: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class AmendmentHeld(OrderEvent):
    """A bust (`last_qty` None) or correction came before its fill and waits for `exec_ref_id`."""

    type: ClassVar[str] = "order.amendment_held"

    exec_ref_id: str
    last_qty: Decimal | None = None
    last_px: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class CommissionChanged(OrderEvent):
    """What a fill cost in one currency, in all, told late or corrected."""

    type: ClassVar[str] = "order.commission_changed"

    fill_no: int
    trade_id: str
    commission: Decimal
    commission_currency: str
    prior: Decimal | None = None
