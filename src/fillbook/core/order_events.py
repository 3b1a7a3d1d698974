"""List what can happen to an order besides its fills.

An order's event also carries the order as it stands after it (`order_status`, `order_qty`,
`cum_qty`, `leaves_qty`, `avg_px`), so that a reader without our code sees the truth at any seq;
`verify` folds the log again and compares.
"""

from decimal import Decimal
from typing import ClassVar

from attrs import frozen

from fillbook.core.event import Event
from fillbook.core.values import OrderStatus, Side, Source

__all__ = [
    "GapSeen",
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
    "RequestRejected",
]


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
