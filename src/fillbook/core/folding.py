"""Fold one order's events into the order: the other half of `decide`.

`fold_order` takes the events of one stream in their sequence.  Every status change goes through
the lifecycle machine.  What an event says of the order after it is not copied but worked out
again; `drift` names the first difference, and `verify` asks for it at every event.
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
    GapSeen,
    InferredFillReleased,
    OrderAccepted,
    OrderCalculated,
    OrderCanceled,
    OrderCancelPending,
    OrderCancelRequested,
    OrderDiscovered,
    OrderDisputed,
    OrderDoneForDay,
    OrderEvent,
    OrderExpired,
    OrderFilled,
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
    Replacement,
    RequestRejected,
)
from fillbook.core.exact import EXACT, ROUNDED
from fillbook.core.lifecycle import Lifecycle
from fillbook.core.orders import Fill, Held, Inferred, Order, Request, is_after
from fillbook.core.values import CLOSED, OrderStatus, Origin

__all__ = ["NOT_SAID_BY_VENUE", "apply_states", "drift", "fold_order", "open_order"]

_S = OrderStatus

NOT_SAID_BY_VENUE = (
    OrderSubmitted,
    OrderCancelRequested,
    OrderReplaceRequested,
    CommissionChanged,
    OrderDisputed,
)
"""Events whose time says nothing about when the venue last spoke of the order."""

_QUANTITIES = (
    OrderFilled,
    FillInferred,
    FillBusted,
    FillCorrected,
    InferredFillReleased,
    CommissionChanged,
    AmendmentHeld,
)
_FACTS = (OrderFilled, FillInferred, FillBusted, FillCorrected, InferredFillReleased)


def open_order(stream: int, event: OrderEvent) -> Order:
    """Return the empty order that *event*, the first of its stream, is about."""
    origin = Origin.ROBOT if isinstance(event, OrderSubmitted) else Origin.EXTERNAL
    return Order(stream, event.account_id, event.instrument_id, event.side, origin)


def fold_order(order: Order, event: OrderEvent, machine: Lifecycle) -> None:
    """Apply the next *event* of the order's stream.

    Raises `transitions.MachineError` where the event stores a status that the law does not allow.
    """
    order.version += 1
    _note_ids(order, event)
    _FOLDS[type(event)](order, event)
    machine.move(order, event.order_status)
    for flag in event.flags:
        if flag not in order.flags:
            order.flags.append(flag)
    if event.exec_id is not None and not isinstance(event, OrderDisputed):
        order.exec_ids[event.exec_id] = event.ts_event
    ts = event.ts_event
    if ts is not None and not isinstance(event, NOT_SAID_BY_VENUE):
        order.ts_said = ts if order.ts_said is None else max(order.ts_said, ts)
        if isinstance(event, _FACTS):
            order.ts_fact = ts if order.ts_fact is None else max(order.ts_fact, ts)
    if event.order_status in CLOSED:
        if order.ts_closed is None:
            order.ts_closed = ts
    elif order.standing.closed is None:
        order.ts_closed = None


def apply_states(order: Order, event: OrderEvent) -> None:
    """Apply only what *event* says of ids, terms and states; fills and the machine are left out.

    For a look at the past in another order of time, where each fill is put in its place as it
    stood; `order_status` is then `order.standing.status()`.
    """
    order.version += 1
    _note_ids(order, event)
    if isinstance(event, OrderRestated):
        event = evolve(event, rescaled_from=None)
    if not isinstance(event, _QUANTITIES):
        _FOLDS[type(event)](order, event)
    for flag in event.flags:
        if flag not in order.flags:
            order.flags.append(flag)
    if event.order_status in CLOSED:
        order.ts_closed = event.ts_event if order.ts_closed is None else order.ts_closed


def drift(order: Order, event: OrderEvent) -> str | None:
    """Return how *order*, just folded with *event*, differs from what the event says of it."""
    now = order.standing
    pairs: tuple[tuple[str, Any, Any], ...] = (
        ("order_status", event.order_status, now.status()),
        ("order_qty", event.order_qty, now.order_qty),
        ("cum_qty", event.cum_qty, now.cum_qty),
        ("leaves_qty", event.leaves_qty, now.leaves_qty()),
        ("avg_px", event.avg_px, now.avg_px()),
    )
    for name, said, folded in pairs:
        if said != folded:
            return f"{event.type} says {name} {said}, the fold gives {folded}"
    return None


def _note_ids(order: Order, event: OrderEvent) -> None:
    for client_id in (event.client_order_id, event.request_id):
        if client_id is not None and client_id not in order.client_order_ids:
            order.client_order_ids.append(client_id)
    venue_id = event.venue_order_id
    if venue_id is None or venue_id in order.venue_order_ids:
        return
    if order.venue_order_ids and is_after(order.standing.told.get("TERMS"), event.ts_event):
        # It was said before the terms that stand, and with them the id that the order has now.
        order.venue_order_ids.insert(-1, venue_id)
    else:
        order.venue_order_ids.append(venue_id)


# ---- intents and terms


def _submitted(order: Order, event: OrderSubmitted) -> None:
    order.origin = Origin.ROBOT
    order.ts_submitted = event.ts_event
    order.order_type = event.order_type
    order.time_in_force = event.time_in_force
    order.expire_time = event.expire_time
    order.venue = event.venue
    order.partial_fills = event.partial_fills
    order.cash_order_qty = event.cash_order_qty
    if order.version == 1 or order.limit_px is None:
        order.limit_px = event.limit_px
    if order.version == 1 or order.stop_px is None:
        order.stop_px = event.stop_px
    order.asked = (
        event.client_order_id, event.account_id, event.instrument_id, event.side, event.order_type,
        event.asked_qty, event.cash_order_qty, event.limit_px, event.stop_px, event.time_in_force,
        event.expire_time, event.venue,
    )  # fmt: skip
    order.standing.set_terms(event.order_qty, None)


def _discovered(order: Order, event: OrderDiscovered) -> None:
    order.ts_submitted = event.ts_event
    order.order_type = event.order_type
    order.time_in_force = event.time_in_force
    order.expire_time = event.expire_time
    order.venue = event.venue
    order.cash_order_qty = event.cash_order_qty
    order.limit_px = event.limit_px
    order.stop_px = event.stop_px
    order.standing.receive()
    order.standing.set_terms(event.order_qty, None)


def _take_prices(order: Order, event: OrderReplaced | OrderRestated | OrderUpdated) -> None:
    if event.limit_px is not None:
        order.limit_px = event.limit_px
    if event.stop_px is not None:
        order.stop_px = event.stop_px


def _requested(order: Order, event: OrderCancelRequested | OrderReplaceRequested) -> None:
    assert event.request_id is not None
    replace = isinstance(event, OrderReplaceRequested)
    order.requests[event.request_id] = Request(
        kind="REPLACE" if replace else "CANCEL",
        orig_client_order_id=event.orig_client_order_id,
        order_qty=event.asked_qty if isinstance(event, OrderReplaceRequested) else None,
        limit_px=event.limit_px if isinstance(event, OrderReplaceRequested) else None,
        stop_px=event.stop_px if isinstance(event, OrderReplaceRequested) else None,
    )


def _answer(
    order: Order,
    request_id: str | None,
    orig: str | None,
    kind: str,
    ts: int | None,
    is_accepted: bool = False,
) -> None:
    order.standing.answer(order.answered_ids(request_id, orig, kind, is_accepted), ts)
    _mark_answered(order, request_id, kind)


def _mark_answered(order: Order, request_id: str | None, kind: str = "CANCEL") -> None:
    """Note that the request had its answer, also one that we met in the answer first."""
    if request_id is None or request_id == order.client_order_id:
        return
    request = order.requests.get(request_id) or Request(kind=kind, orig_client_order_id=None)
    order.requests[request_id] = evolve(request, is_answered=True)


def _replaced(order: Order, event: OrderReplaced) -> None:
    now = order.standing
    current = now.admits("TERMS", event.ts_event)
    if current:
        now.set_terms(event.order_qty, event.ts_event)
    under = event.request_id or order.client_order_id
    if current:
        order.live_id = under
    _answer(order, under, event.orig_client_order_id, "REPLACE", event.ts_event, is_accepted=True)
    if event.reopened:
        now.reopen(event.ts_event)
    now.accept()
    _take_prices(order, event)


def _restated(order: Order, event: OrderRestated) -> None:
    now = order.standing
    if now.admits("TERMS", event.ts_event):
        now.set_terms(event.order_qty, event.ts_event)
    if event.rescaled_from is not None:
        ratio = ROUNDED.divide(event.cum_qty, event.rescaled_from)
        for fill_no, fill in order.fills.items():
            qty = ROUNDED.multiply(fill.qty, ratio)
            px = None if fill.px is None else ROUNDED.divide(fill.px, ratio)
            history = [*fill.history, (event.ts_event, qty, px)]
            order.fills[fill_no] = evolve(fill, qty=qty, px=px, history=history)
        now.rescale(event.cum_qty)
    if event.reopened:
        now.reopen(event.ts_event)
    now.accept()
    _take_prices(order, event)


def _updated(order: Order, event: OrderUpdated) -> None:
    now = order.standing
    order.order_type = event.order_type or order.order_type
    order.time_in_force = event.time_in_force or order.time_in_force
    if event.order_qty != now.order_qty:
        now.set_terms(event.order_qty, event.ts_event)
    if "NEVER_ARRIVED" in event.cleared:
        now.reappear()
    if "PENDING" in event.cleared:
        for request_id in now.pending:
            _mark_answered(order, request_id)
        now.answer(list(now.pending), event.ts_event)
    if "DAY" in event.cleared:
        now.finish_day(None, event.ts_event)
    if "PASSING" in event.cleared:
        now.pass_through(None, event.ts_event)
    _take_prices(order, event)


# ---- states


def _received(order: Order, event: OrderReceived) -> None:
    order.standing.receive()


def _accepted(order: Order, event: OrderAccepted | OrderTriggered) -> None:
    order.standing.accept()
    if isinstance(event, OrderTriggered):
        order.standing.trigger(event.ts_event)
    if order.standing.order_qty is None:
        order.standing.set_terms(event.order_qty, event.ts_event)


def _pending(order: Order, event: OrderCancelPending | OrderReplacePending) -> None:
    cancel = isinstance(event, OrderCancelPending)
    kind = _S.PENDING_CANCEL if cancel else _S.PENDING_REPLACE
    order.standing.pend(event.request_id or "", kind)


def _request_rejected(order: Order, event: RequestRejected) -> None:
    request = order.requests.get(event.request_id or "")
    kind = request.kind if request is not None else "CANCEL"
    under = event.request_id or order.client_order_id
    order.refusals.add((event.request_id, event.reason, event.text, event.ts_event))
    _answer(order, under, event.orig_client_order_id, kind, event.ts_event)


def _closed(how: OrderStatus) -> Callable[[Order, Any], None]:
    def close(order: Order, event: OrderEvent) -> None:
        order.standing.close(how, event.ts_event)
        for request_id in list(order.requests):
            _mark_answered(order, request_id)
        _mark_answered(order, event.request_id)

    return close


def _rejected(order: Order, event: OrderRejected) -> None:
    if event.never_arrived:
        order.standing.miss()
    else:
        _closed(_S.REJECTED)(order, event)


def _rests(state: OrderStatus) -> Callable[[Order, Any], None]:
    def rest(order: Order, event: OrderEvent) -> None:
        order.standing.pass_through(state, event.ts_event)

    return rest


def _done_for_day(order: Order, event: OrderDoneForDay) -> None:
    left = event.leaves_qty
    order.standing.finish_day(Decimal(0) if left is None else left, event.ts_event)


def _calculated(order: Order, event: OrderCalculated) -> None:
    order.standing.calculate(event.ts_event)


def _lost(order: Order, event: OrderLost) -> None:
    order.standing.lose(event.ts_event)


def _disputed(order: Order, event: OrderDisputed) -> None:
    order.disputes.add((event.why, event.claim, event.held))


def _gap_seen(order: Order, event: GapSeen) -> None:
    order.gap = (event.claimed_qty, event.claimed_avg_px, event.ts_event)


# ---- fills


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


_FOLDS: dict[type[Event], Callable[[Order, Any], None]] = {
    OrderSubmitted: _submitted,
    OrderDiscovered: _discovered,
    OrderReceived: _received,
    OrderAccepted: _accepted,
    OrderTriggered: _accepted,
    OrderCancelRequested: _requested,
    OrderReplaceRequested: _requested,
    OrderCancelPending: _pending,
    OrderReplacePending: _pending,
    RequestRejected: _request_rejected,
    OrderReplaced: _replaced,
    OrderRestated: _restated,
    OrderUpdated: _updated,
    OrderCanceled: _closed(_S.CANCELED),
    OrderRejected: _rejected,
    OrderExpired: _closed(_S.EXPIRED),
    OrderDoneForDay: _done_for_day,
    OrderStopped: _rests(_S.STOPPED),
    OrderSuspended: _rests(_S.SUSPENDED),
    OrderCalculated: _calculated,
    OrderLost: _lost,
    OrderDisputed: _disputed,
    GapSeen: _gap_seen,
    OrderFilled: _filled,
    FillInferred: _inferred,
    InferredFillReleased: _released,
    FillBusted: _busted,
    FillCorrected: _corrected,
    AmendmentHeld: _held,
    CommissionChanged: _commission_changed,
}
