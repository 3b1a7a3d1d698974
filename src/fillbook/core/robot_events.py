"""List what can happen to the robot itself: its runs, its line, its halts, its queue.

All of it is on the ledger's own stream.  What these events add up to is `control.Control`.
"""

from decimal import Decimal
from typing import ClassVar

from attrs import frozen

from fillbook.core.event import Event
from fillbook.core.values import Side

__all__ = [
    "CallbackFailed",
    "FeedbackCounted",
    "HaltDeclared",
    "HaltLifted",
    "LineLost",
    "LineRestored",
    "OrderQueued",
    "QueuedOrderDropped",
    "RobotStarted",
    "RobotStopped",
]


@frozen(kw_only=True, eq=False, repr=False)
class RobotStarted(Event):
    """A robot took up its work on this ledger; what it found unanswered it asks about first."""

    type: ClassVar[str] = "robot.started"

    broker: str
    open_orders: int
    unanswered: int


@frozen(kw_only=True, eq=False, repr=False)
class RobotStopped(Event):
    """The robot stopped in order; `unanswered` requests are asked about when it starts again."""

    type: ClassVar[str] = "robot.stopped"

    reason: str
    open_orders: int
    unanswered: int


@frozen(kw_only=True, eq=False, repr=False)
class LineLost(Event):
    """The broker cannot be reached: nothing new is sent until it answers again."""

    type: ClassVar[str] = "line.lost"

    problem: str


@frozen(kw_only=True, eq=False, repr=False)
class LineRestored(Event):
    """The broker answers again; what happened meanwhile is asked for before anything is sent.

    `down_ns` is how long it was not there, as far as calls told; nanoseconds.
    """

    type: ClassVar[str] = "line.restored"

    down_ns: int


@frozen(kw_only=True, eq=False, repr=False)
class HaltDeclared(Event):
    """Nothing new is sent, or only what reduces a position; cancels are always allowed.

    Attributes:
        level: `HALTED` or `REDUCE_ONLY`.
        instrument_id: What is halted; left out where all of it is.
        cause: `OPERATOR`, or the rule that halted by itself.
        by: Who, in words.
        reason: Why, in words.
    """

    type: ClassVar[str] = "trading.halted"

    level: str
    cause: str
    by: str
    reason: str
    instrument_id: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class HaltLifted(Event):
    """An operator lifted a halt."""

    type: ClassVar[str] = "trading.resumed"

    by: str
    reason: str
    instrument_id: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class OrderQueued(Event):
    """A new order waits for the line to come back; it has not been sent.

    Attributes:
        client_order_id: The id it will be sent under.
        valid_until: It is dropped if it could not be sent by then; ns since 1970, UTC.
        partial_fills: What is done about a part that was filled, see `order.submitted`.
    """

    type: ClassVar[str] = "queue.added"

    client_order_id: str
    account_id: str
    instrument_id: str
    side: Side
    order_type: str
    valid_until: int
    order_qty: Decimal | None = None
    cash_order_qty: Decimal | None = None
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    time_in_force: str | None = None
    expire_time: int | None = None
    venue: str | None = None
    partial_fills: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class QueuedOrderDropped(Event):
    """A queued order will not be sent; it never left.

    Attributes:
        reason: `EXPIRED`, `CANCELED` or `REFUSED`.
    """

    type: ClassVar[str] = "queue.dropped"

    client_order_id: str
    reason: str
    text: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class CallbackFailed(Event):
    """The robot's own code raised where it was told of an event; nothing stopped for that.

    Attributes:
        callback: Which one.
        problem: The error, in one line.
        told_seq: The event it was told of.
    """

    type: ClassVar[str] = "callback.failed"

    callback: str
    problem: str
    told_seq: int


@frozen(kw_only=True, eq=False, repr=False)
class FeedbackCounted(Event):
    """How much was heard that added nothing, since the last count or the start.

    Attributes:
        duplicates: Messages that were known already.
        stale: Messages older than what is known.
        polls: Answers to polls and look-ups, those counted above included.
    """

    type: ClassVar[str] = "feedback.counted"

    duplicates: int
    stale: int
    polls: int
