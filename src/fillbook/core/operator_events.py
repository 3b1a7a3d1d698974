"""List what an operator can have done that no other event tells: who did it, and why.

All but the adjustment are on the ledger's own stream.  Halts are in `robot_events`: rules declare
them too.
"""

from decimal import Decimal
from typing import ClassVar

from attrs import frozen

from fillbook.core.event import Event

__all__ = ["CancelAllRequested", "OrderResolved", "PositionAdjusted", "TailLossAccepted"]


@frozen(kw_only=True, eq=False, repr=False)
class CancelAllRequested(Event):
    """An operator wants every open order canceled; the requests to do so follow.

    Attributes:
        instrument_id: Whose orders; left out where it is all of them.
        order_count: How many were open or waited for the line.
    """

    type: ClassVar[str] = "trading.cancel_all_requested"

    by: str
    reason: str
    order_count: int
    instrument_id: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class OrderResolved(Event):
    """An operator looked up what became of an order that nobody could tell of.

    What follows from it for the order is the event after it.

    Attributes:
        client_order_id: The order.
        verdict: `IDENTIFIED` where the venue has it, `NEVER_ARRIVED` where it does not.
        venue_order_id: The venue's id for it, where it has it.
    """

    type: ClassVar[str] = "trading.order_resolved"

    client_order_id: str
    verdict: str
    by: str
    reason: str
    venue_order_id: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class PositionAdjusted(Event):
    """A position was set right by hand, or transferred: no trade; its opposite takes it back.

    The quantity moves at the position's average and realizes nothing.  What opens, or what is left
    once zero is crossed, has the price `px`.

    Attributes:
        account_id: Whose position.
        instrument_id: In what.
        adjusted_qty: Added to the position, base units, signed.
        px: Quote per base unit; None where it is unknown.
    """

    type: ClassVar[str] = "position.adjusted"

    account_id: str
    instrument_id: str
    adjusted_qty: Decimal
    by: str
    reason: str
    px: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class TailLossAccepted(Event):
    """An operator accepted that the end of the ledger is gone; what comes next takes its seqs.

    Attributes:
        head_seq: Where the ledger ended.
        checkpoint_seq: Where the checkpoint beside it says that it had ended.
    """

    type: ClassVar[str] = "ledger.tail_loss_accepted"

    by: str
    reason: str
    head_seq: int
    checkpoint_seq: int
