"""Say what is true on the paper exchange: its orders, fills and positions, as plain data.

The words are those of every other table here, so that a book can be compared with it key by key.
The arithmetic is sums and nothing else, and shares nothing with the code that decides or folds.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from fillbook.brokers.paper_orders import VenueFill, VenueOrder
from fillbook.core.exact import EXACT, plain
from fillbook.core.times import time_text
from fillbook.core.values import ExecType

__all__ = ["Cash", "positions_of", "truth_of"]

Cash = Mapping[tuple[str, str], Mapping[str, Decimal]]
"""By (account, instrument) and currency, what came without a trade."""


def truth_of(orders: Iterable[VenueOrder], cash: Cash) -> dict[str, list[dict[str, Any]]]:
    """Return `orders` and `fills` in order of arrival, and `positions`, flat ones included.

    Amounts are decimal text (an average has at most 28 digits), times RFC 3339.  A busted fill is
    gone, a corrected one stands as corrected.  A position is the signed sum of the fills, less the
    fees where those are taken out of what is held.
    """
    known = list(orders)
    return {
        "orders": [_order_row(order) for order in known],
        "fills": [_fill_row(order, fill) for order in known for fill in order.standing],
        "positions": positions_of(known, cash),
    }


def positions_of(orders: Iterable[VenueOrder], cash: Cash) -> list[dict[str, Any]]:
    """Return `positions` as `truth_of` does, and nothing else."""
    held: dict[tuple[str, str], dict[str, Any]] = {}
    for order in orders:
        if order.fills:
            _add_to_position(held, order)
    for key, amounts in cash.items():
        for currency, amount in amounts.items():
            _add(_position(held, key)["cash"], currency, amount)
    return [_printed(row) for row in held.values()]


def _order_row(order: VenueOrder) -> dict[str, Any]:
    commissions: dict[str, Decimal] = {}
    for fill in order.standing:
        _add(commissions, order.known_listing.fee_currency, fill.commission)
    report = order.report(ExecType.ORDER_STATUS)
    return _printed(
        {
            "client_order_id": order.client_order_ids[0] if order.client_order_ids else None,
            "venue_order_id": order.venue_order_id,
            "account_id": order.account_id,
            "instrument_id": order.instrument_id,
            "side": order.side,
            "order_type": order.order_type,
            "time_in_force": order.time_in_force,
            "order_qty": order.order_qty,
            "limit_px": order.limit_px,
            "stop_px": order.stop_px,
            "order_status": report.order_status,
            "cum_qty": report.cum_qty,
            "leaves_qty": report.leaves_qty,
            "avg_px": order.avg_px,
            "commissions": commissions,
        }
    )


def _fill_row(order: VenueOrder, fill: VenueFill) -> dict[str, Any]:
    listing = order.known_listing
    return _printed(
        {
            "trade_id": fill.trade_id,
            "exec_id": fill.exec_id,
            "client_order_id": order.client_order_ids[0] if order.client_order_ids else None,
            "venue_order_id": order.venue_order_id,
            "account_id": order.account_id,
            "instrument_id": order.instrument_id,
            "side": order.side,
            "last_qty": listing.qty(fill.steps),
            "last_px": listing.px(fill.ticks),
            "commission": fill.commission,
            "commission_currency": listing.fee_currency,
            "liquidity": fill.liquidity,
            "ts_event": time_text(fill.ts_event),
        }
    )


def _position(held: dict[tuple[str, str], dict[str, Any]], key: tuple[str, str]) -> dict[str, Any]:
    account_id, instrument_id = key
    return held.setdefault(
        key,
        {
            "account_id": account_id,
            "instrument_id": instrument_id,
            "position_qty": Decimal(0),
            "commissions": {},
            "cash": {},
        },
    )


def _add_to_position(held: dict[tuple[str, str], dict[str, Any]], order: VenueOrder) -> None:
    listing = order.known_listing
    row = _position(held, (order.account_id, order.instrument_id))
    for fill in order.standing:
        moved = listing.qty(fill.steps if order.is_buy else -fill.steps)
        if listing.has_base_fee:
            moved = EXACT.subtract(moved, fill.commission)
        row["position_qty"] = EXACT.add(row["position_qty"], moved)
        _add(row["commissions"], listing.fee_currency, fill.commission)


def _add(amounts: dict[str, Decimal], currency: str, amount: Decimal) -> None:
    amounts[currency] = EXACT.add(amounts.get(currency, Decimal(0)), amount)


def _printed(row: dict[str, Any]) -> dict[str, Any]:
    """Return *row* with its amounts as text, all else as it is."""
    printed: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):  # by currency; one never charged is left out
            printed[key] = {currency: plain(each) for currency, each in value.items() if each}
        elif isinstance(value, Decimal):
            printed[key] = plain(value)
        else:
            printed[key] = value if value is None else str(value)
    return printed
