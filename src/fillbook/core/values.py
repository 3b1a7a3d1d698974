"""Name the values that orders, fills and positions are described with.

Closed sets are `StrEnum`s: their text is what the log stores.  Sets that a venue may extend
(`order_type`, `time_in_force`, `liquidity`, every `reason`) stay plain text, kept as they came.
"""

from enum import StrEnum

__all__ = [
    "CLOSED",
    "Contract",
    "ExecType",
    "Flag",
    "OrderStatus",
    "Origin",
    "Side",
    "Source",
]


class OrderStatus(StrEnum):
    """What the venue says of an order: FIX OrdStatus (tag 39), and `UNKNOWN`, which is ours."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    PENDING_CANCEL = "PENDING_CANCEL"
    PENDING_REPLACE = "PENDING_REPLACE"
    DONE_FOR_DAY = "DONE_FOR_DAY"
    STOPPED = "STOPPED"
    SUSPENDED = "SUSPENDED"
    CALCULATED = "CALCULATED"
    UNKNOWN = "UNKNOWN"


CLOSED = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
        OrderStatus.CALCULATED,
    }
)
"""The statuses in which nothing of the order is open: `leaves_qty` is 0."""


class Side(StrEnum):
    """Which way the order trades (tag 54)."""

    BUY = "BUY"
    SELL = "SELL"
    SELL_SHORT = "SELL_SHORT"


class ExecType(StrEnum):
    """What one report tells (tag 150; FIX 4.2 says part of it in ExecTransType, tag 20)."""

    NEW = "NEW"
    TRADE = "TRADE"
    TRADE_CANCEL = "TRADE_CANCEL"
    TRADE_CORRECT = "TRADE_CORRECT"
    CANCELED = "CANCELED"
    REPLACED = "REPLACED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    PENDING_NEW = "PENDING_NEW"
    PENDING_CANCEL = "PENDING_CANCEL"
    PENDING_REPLACE = "PENDING_REPLACE"
    DONE_FOR_DAY = "DONE_FOR_DAY"
    RESTATED = "RESTATED"
    STOPPED = "STOPPED"
    SUSPENDED = "SUSPENDED"
    CALCULATED = "CALCULATED"
    TRIGGERED = "TRIGGERED"
    ORDER_STATUS = "ORDER_STATUS"


class Contract(StrEnum):
    """How price and quantity make money."""

    LINEAR = "LINEAR"
    INVERSE = "INVERSE"
    SPOT = "SPOT"


class Origin(StrEnum):
    """Whose order it is: ours, or one that we met in a report."""

    ROBOT = "ROBOT"
    EXTERNAL = "EXTERNAL"


class Source(StrEnum):
    """How we came to know."""

    STREAM = "STREAM"
    POLL = "POLL"
    IMPORT = "IMPORT"
    INFERRED = "INFERRED"
    RECONCILED = "RECONCILED"
    OPERATOR = "OPERATOR"


class Flag(StrEnum):
    """What was odd about an order."""

    LATE_FILL = "LATE_FILL"
    OVERFILL = "OVERFILL"
    INFERRED = "INFERRED"
    EXTERNAL = "EXTERNAL"
    GAP = "GAP"
    CONFLICT = "CONFLICT"
    UNKNOWN_PRICE = "UNKNOWN_PRICE"
