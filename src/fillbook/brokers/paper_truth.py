"""Say what is true on the paper exchange: its orders, fills and positions, as plain data.

The words are those of every other table here, so that a book can be compared with it key by key.
The arithmetic is sums and nothing else, and shares nothing with the code that decides or folds.
Where there were splits, it is done in the order of the exchange's own time.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from fillbook.brokers.paper_orders import VenueFill, VenueOrder
from fillbook.core.exact import EXACT, plain, unscaled
from fillbook.core.reports import CashReport, SplitReport, TransferReport
from fillbook.core.times import time_text
from fillbook.core.values import ExecType

__all__ = ["Activity", "Cash", "balances_of", "positions_of", "truth_of"]

Activity = SplitReport | TransferReport | CashReport
"""What moves positions or money without an order."""

Cash = Mapping[tuple[str, str], Mapping[str, Decimal]]
"""By (account, instrument) and currency, what came without a trade."""


_PLACES = 20
"""More decimal places than this no reader takes."""


def truth_of(
    orders: Iterable[VenueOrder], cash: Cash, activities: Sequence[Activity] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Return `orders` and `fills` in order of arrival, and `positions`, flat ones included.

    Amounts are decimal text (an average has at most 28 digits), times RFC 3339.  A busted fill is
    gone, a corrected one stands as corrected.  A position is the signed sum of the fills, less the
    fees where those are taken out of what is held, with what was transferred; a split multiplies
    what was held when it came.
    """
    known = list(orders)
    return {
        "orders": [_order_row(order) for order in known],
        "fills": [_fill_row(order, fill) for order in known for fill in order.standing],
        "positions": positions_of(known, cash, activities),
    }


def positions_of(
    orders: Iterable[VenueOrder], cash: Cash, activities: Sequence[Activity] = ()
) -> list[dict[str, Any]]:
    """Return `positions` as `truth_of` does, and nothing else."""
    held: dict[tuple[str, str], dict[str, Any]] = {}
    moves: dict[tuple[str, str], list[tuple[int, Decimal]]] = {}
    for order in orders:
        if order.fills:
            _add_to_position(held, moves, order)
    splits: dict[str, list[tuple[int, Fraction]]] = {}
    for each in activities:
        if isinstance(each, TransferReport):
            key = each.account_id, each.instrument_id
            _position(held, key)
            moves.setdefault(key, []).append((each.ts_event or 0, each.transferred_qty))
        elif isinstance(each, SplitReport):
            ratio = Fraction(each.numerator) / Fraction(each.denominator)
            splits.setdefault(each.instrument_id, []).append((each.ts_event or 0, ratio))
    for key, moved in moves.items():
        held[key]["position_qty"] = _sum_of(moved, splits.get(key[1], ()))
    for key, amounts in cash.items():
        for currency, amount in amounts.items():
            _add(_position(held, key)["cash"], currency, amount)
    return [_printed(row) for row in held.values()]


def balances_of(orders: Iterable[VenueOrder], cash: Cash) -> list[dict[str, Any]]:
    """Return what each account has taken in, less what it paid: `account_id`, `currency`, `amount`.

    It began with nothing.  A fill moves its whole value (`Listing.cash_flow`) and its fee, save one
    taken out of what is held; at most 20 decimal places, half even.
    """
    balances: dict[tuple[str, str], Fraction] = {}

    def add(account_id: str, currency: str, amount: Fraction) -> None:
        key = account_id, currency
        balances[key] = balances.get(key, Fraction(0)) + amount

    for order in orders:
        for fill in order.standing:
            listing, steps = order.known_listing, fill.steps if order.is_buy else -fill.steps
            flow = listing.cash_flow(steps, fill.ticks)
            add(order.account_id, listing.settlement_currency, flow)
            if not listing.has_base_fee:
                add(order.account_id, listing.fee_currency, -Fraction(fill.commission))
    for (account_id, _), amounts in cash.items():
        for currency, amount in amounts.items():
            add(account_id, currency, Fraction(amount))
    return [
        {"account_id": account_id, "currency": currency, "amount": plain(_decimal(amount))}
        for (account_id, currency), amount in sorted(balances.items())
    ]


def _sum_of(
    moved: Iterable[tuple[int, Decimal]], splits: Sequence[tuple[int, Fraction]]
) -> Decimal:
    """Return what is held after all that *moved*, each with its time, and the *splits*."""
    if not splits:
        total = Decimal(0)
        for _, qty in moved:
            total = EXACT.add(total, qty)
        return total
    held = Fraction(0)
    for _, split_first, amount in sorted(
        [(ns, 0, ratio) for ns, ratio in splits] + [(ns, 1, Fraction(qty)) for ns, qty in moved]
    ):
        held = held + amount if split_first else held * amount
    return _decimal(held)


def _decimal(amount: Fraction) -> Decimal:
    return unscaled(round(amount * 10**_PLACES), _PLACES)


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


def _add_to_position(
    held: dict[tuple[str, str], dict[str, Any]],
    moves: dict[tuple[str, str], list[tuple[int, Decimal]]],
    order: VenueOrder,
) -> None:
    listing, key = order.known_listing, (order.account_id, order.instrument_id)
    row, moved_here = _position(held, key), moves.setdefault(key, [])
    for fill in order.standing:
        moved = listing.qty(fill.steps if order.is_buy else -fill.steps)
        if listing.has_base_fee:
            moved = EXACT.subtract(moved, fill.commission)
        moved_here.append((fill.ts_event, moved))
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
