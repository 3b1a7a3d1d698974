"""Fold what an event says of an order's fills: their quantities, prices, fees, what is inferred.

`FILL_FOLDS` gives for each kind of event the function that applies it to the order; `folding`
calls it, and does what is done at every event.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from attrs import evolve

from fillbook.core.events import (
    AmendmentHeld,
    CommissionChanged,
    Event,
    FillBusted,
    FillCorrected,
    FillInferred,
    InferredFillReleased,
    OrderFilled,
    Replacement,
)
from fillbook.core.exact import EXACT
from fillbook.core.orders import Fill, Held, Inferred, Order, is_after

__all__ = ["FILL_FOLDS"]


def _filled(order: Order, event: OrderFilled) -> None:
    fill = Fill(
        event.fill_no, event.trade_id, event.exec_id, event.last_qty, event.last_px,
        event.last_qty, event.last_px, event.ts_event, event.cum_qty,
    )  # fmt: skip
    order.fills[event.fill_no] = fill
    order.fill_ids[event.trade_id] = event.fill_no
    if event.exec_id is not None:
        order.fill_ids[event.exec_id] = event.fill_no
    for part in event.replaces:
        _shrink(order, part)
    order.standing.add(event.last_qty, event.last_px)
    if event.commission is not None:
        _charge(order, fill, event.commission_currency or "UNKNOWN", event.commission)
    _close_gap(order)


def _shrink(order: Order, part: Replacement) -> None:
    fill = order.fills[part.fill_no]
    order.standing.add(fill.qty.copy_negate(), fill.px)
    if part.left_qty:
        order.standing.add(part.left_qty, part.left_px)
    order.fills[part.fill_no] = evolve(fill, qty=part.left_qty, px=part.left_px)
    order.inferred = [
        evolve(item, qty=part.left_qty, px=part.left_px) if item.fill_no == part.fill_no else item
        for item in order.inferred
        if item.fill_no != part.fill_no or part.left_qty
    ]


def _inferred(order: Order, event: FillInferred) -> None:
    order.fills[event.fill_no] = Fill(
        event.fill_no, event.trade_id, None, event.last_qty, event.last_px, event.last_qty,
        event.last_px, event.ts_event, event.claimed_qty, is_inferred=True,
    )  # fmt: skip
    order.inferred = [
        *order.inferred,
        Inferred(event.fill_no, event.last_qty, event.last_px, event.claimed_qty, event.ts_event),
    ]
    order.standing.add(event.last_qty, event.last_px)
    _close_gap(order)


def _released(order: Order, event: InferredFillReleased) -> None:
    for part in event.releases:
        _shrink(order, part)


def _busted(order: Order, event: FillBusted) -> None:
    fill = order.fills[event.fill_no]
    order.standing.add(fill.qty.copy_negate(), fill.px)
    zero = Decimal(0)
    kept, voided = {}, fill.voided.copy()
    for currency, amount in fill.commissions.items():
        if is_after(fill.fee_ts.get(currency), event.ts_event):
            kept[currency] = amount
        else:
            voided[currency] = amount
            _charge(order, fill, currency, amount.copy_negate())
    order.fills[event.fill_no] = evolve(
        fill, qty=zero, is_busted=True, history=[*fill.history, (event.ts_event, zero, None)],
        commissions=kept, voided=voided,
    )  # fmt: skip
    order.held.pop(event.exec_ref_id, None)


def _corrected(order: Order, event: FillCorrected) -> None:
    fill = order.fills[event.fill_no]
    order.standing.add(fill.qty.copy_negate(), fill.px)
    order.standing.add(event.last_qty, event.last_px)
    commissions = fill.voided | fill.commissions
    for currency in [each for each in fill.voided if each not in fill.commissions]:
        _charge(order, fill, currency, fill.voided[currency])
    order.fills[event.fill_no] = evolve(
        fill, qty=event.last_qty, px=event.last_px, is_busted=False,
        exec_id=event.exec_id or fill.exec_id,
        history=[*fill.history, (event.ts_event, event.last_qty, event.last_px)],
        commissions=commissions, voided={},
    )  # fmt: skip
    if event.exec_id is not None:
        order.fill_ids[event.exec_id] = event.fill_no
    order.held.pop(event.exec_ref_id, None)
    _close_gap(order)


def _held(order: Order, event: AmendmentHeld) -> None:
    order.held[event.exec_ref_id] = Held(
        event.exec_id, event.last_qty, event.last_px, event.ts_event
    )


def _commission_changed(order: Order, event: CommissionChanged) -> None:
    fill = order.fills[event.fill_no]
    prior = fill.commissions.get(event.commission_currency)
    if prior is not None:
        _charge(order, fill, event.commission_currency, prior.copy_negate())
    _charge(order, fill, event.commission_currency, event.commission)
    fill.commissions[event.commission_currency] = event.commission
    fill.fee_ts[event.commission_currency] = event.ts_event


def _charge(order: Order, fill: Fill, currency: str, amount: Any) -> None:
    held = order.commissions.get(currency)
    total = amount if held is None else EXACT.add(held, amount)
    order.commissions[currency] = total
    fill.commissions.setdefault(currency, amount)


def _close_gap(order: Order) -> None:
    if order.gap is not None and order.standing.cum_qty >= order.gap[0]:
        order.gap = None


FILL_FOLDS: dict[type[Event], Callable[[Order, Any], None]] = {
    OrderFilled: _filled,
    FillInferred: _inferred,
    InferredFillReleased: _released,
    FillBusted: _busted,
    FillCorrected: _corrected,
    AmendmentHeld: _held,
    CommissionChanged: _commission_changed,
}
"""By the event's type, the function that changes the order in place; it returns nothing."""
