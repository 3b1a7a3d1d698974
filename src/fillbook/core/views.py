"""Turn an order into plain data that any door can print: JSON, a table, a page.

Keys and order are those of the public contract; amounts are decimal text, times RFC 3339 in UTC.
"""

from decimal import Decimal
from typing import Any

from fillbook.core.exact import plain
from fillbook.core.orders import Order
from fillbook.core.times import time_text

__all__ = ["amount", "order_json", "order_state_json"]


def amount(value: Decimal | None) -> str | None:
    """Return *value* as plain text; None stays None."""
    return None if value is None else plain(value)


def order_state_json(order: Order | None) -> dict[str, Any]:
    """Return how an order stands, as a trace line shows it; all None where there is none."""
    if order is None:
        keys = ("client_order_id", "order_status", "order_qty", "cum_qty", "leaves_qty", "avg_px")
        return dict.fromkeys(keys)
    now = order.standing
    return {
        "client_order_id": order.client_order_id,
        "order_status": str(order.order_status),
        "order_qty": amount(now.order_qty),
        "cum_qty": amount(now.cum_qty),
        "leaves_qty": amount(now.leaves_qty()),
        "avg_px": amount(now.avg_px()),
    }


def order_json(order: Order) -> dict[str, Any]:
    """Return one order as `fillbook orders --json` prints it."""
    now = order.standing
    return {
        "client_order_id": order.client_order_id,
        "client_order_ids": list(order.client_order_ids),
        "venue_order_ids": list(order.venue_order_ids),
        "account_id": order.account_id,
        "instrument_id": order.instrument_id,
        "side": str(order.side),
        "order_type": order.order_type,
        "order_qty": amount(now.order_qty),
        "limit_px": amount(order.limit_px),
        "order_status": str(order.order_status),
        "cum_qty": amount(now.cum_qty),
        "leaves_qty": amount(now.leaves_qty()),
        "avg_px": amount(now.avg_px()),
        "commissions": {
            currency: plain(total) for currency, total in sorted(order.commissions.items()) if total
        },
        "origin": str(order.origin),
        "is_open": not order.is_closed,
        "flags": [str(flag) for flag in order.flags],
        "ts_submitted": time_text(order.ts_submitted),
        "ts_closed": time_text(order.ts_closed),
    }
