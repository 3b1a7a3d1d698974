"""List every event type and version ever released: what a stored name means."""

from fillbook.core.events import (
    AmendmentHeld,
    CashMoved,
    CommissionChanged,
    Event,
    FillBusted,
    FillCorrected,
    FillInferred,
    GapSeen,
    ImportProgressed,
    InferredFillReleased,
    InstrumentDefined,
    InstrumentMarked,
    InstrumentSplit,
    LedgerCreated,
    MessageSetAside,
    OrderAccepted,
    OrderCalculated,
    OrderCanceled,
    OrderCancelPending,
    OrderCancelRequested,
    OrderDiscovered,
    OrderDisputed,
    OrderDoneForDay,
    OrderExpired,
    OrderFilled,
    OrderFilledV1,
    OrderLost,
    OrderReceived,
    OrderRejected,
    OrderReplaced,
    OrderReplacePending,
    OrderReplaceRequested,
    OrderRestated,
    OrderStopped,
    OrderSubmitted,
    OrderSuspended,
    OrderTriggered,
    OrderUpdated,
    PositionReported,
    RequestRejected,
)
from fillbook.core.operator_events import (
    CancelAllRequested,
    OrderResolved,
    PositionAdjusted,
    TailLossAccepted,
)
from fillbook.core.reconciled_events import BookReconciled, PositionAdopted
from fillbook.core.robot_events import (
    CallbackFailed,
    FeedbackCounted,
    HaltDeclared,
    HaltLifted,
    LineLost,
    LineRestored,
    OrderQueued,
    QueuedOrderDropped,
    RobotStarted,
    RobotStopped,
)

__all__ = ["EVENT_TYPES"]

EVENT_TYPES: dict[tuple[str, int], type[Event]] = {
    (cls.type, cls.version): cls
    for cls in (
        LedgerCreated, MessageSetAside, ImportProgressed,
        InstrumentDefined, InstrumentSplit, InstrumentMarked, PositionReported, CashMoved,
        OrderSubmitted, OrderDiscovered, OrderReceived, OrderAccepted, OrderTriggered,
        OrderCancelRequested, OrderReplaceRequested, OrderCancelPending, OrderReplacePending,
        RequestRejected, OrderReplaced, OrderRestated, OrderUpdated, OrderCanceled, OrderRejected,
        OrderExpired, OrderDoneForDay, OrderStopped, OrderSuspended, OrderCalculated, OrderLost,
        OrderDisputed, GapSeen, OrderFilledV1, OrderFilled, FillInferred, InferredFillReleased,
        FillBusted, FillCorrected, AmendmentHeld, CommissionChanged,
        RobotStarted, RobotStopped, LineLost, LineRestored, HaltDeclared, HaltLifted,
        OrderQueued, QueuedOrderDropped, CallbackFailed, FeedbackCounted,
        CancelAllRequested, OrderResolved, PositionAdjusted, TailLossAccepted,
        BookReconciled, PositionAdopted,
    )
}  # fmt: skip
"""Every (type, version) ever released."""
