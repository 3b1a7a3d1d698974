"""Hold what the robot wants: an order, its cancel, its replacement.

A command is imperative and not yet a fact; its event (`OrderSubmitted`, `OrderCancelRequested`,
`OrderReplaceRequested`) is, and is durable before a request leaves.
"""

from decimal import Decimal

from attrs import frozen

from fillbook.core.values import Side

__all__ = ["CancelOrder", "Command", "ReplaceOrder", "SubmitOrder"]


@frozen(kw_only=True)
class SubmitOrder:
    """Send a new order (35=D).  One of `order_qty` (base units) and `cash_order_qty` is given.

    `partial_fills` is the text of a `policies.PartialFills`: what the robot itself will do about a
    part that was filled; the venue is not told.
    """

    client_order_id: str
    instrument_id: str
    side: Side
    order_type: str
    order_qty: Decimal | None = None
    cash_order_qty: Decimal | None = None
    account_id: str = "default"
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    time_in_force: str | None = None
    expire_time: int | None = None
    venue: str | None = None
    partial_fills: str | None = None
    ts_event: int | None = None


@frozen(kw_only=True)
class CancelOrder:
    """Ask for the cancel (35=F) of the order that `orig_client_order_id` names."""

    client_order_id: str
    orig_client_order_id: str
    ts_event: int | None = None


@frozen(kw_only=True)
class ReplaceOrder:
    """Ask for other terms (35=G); what is None stays as it is."""

    client_order_id: str
    orig_client_order_id: str
    order_qty: Decimal | None = None
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    ts_event: int | None = None


Command = SubmitOrder | CancelOrder | ReplaceOrder
