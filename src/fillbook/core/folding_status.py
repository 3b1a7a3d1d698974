"""Fold what an event says of an order's terms and of the states it is in.

`STATUS_FOLDS` gives for each kind of event the function that applies it to the order; `folding`
calls it, and does what is done at every event.  `order_status` is not set here: the machine moves
it.  A restatement may rescale the fills with the terms.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from attrs import evolve

from fillbook.core.events import (
    Event,
    GapSeen,
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
    RequestRejected,
)
from fillbook.core.exact import ROUNDED
from fillbook.core.orders import Order, Request
from fillbook.core.values import OrderStatus, Origin

__all__ = ["STATUS_FOLDS"]

_S = OrderStatus


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
    met = order.requests.get(event.request_id)
    order.requests[event.request_id] = Request(
        kind="REPLACE" if replace else "CANCEL",
        orig_client_order_id=event.orig_client_order_id,
        is_answered=met is not None and met.is_answered,
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


STATUS_FOLDS: dict[type[Event], Callable[[Order, Any], None]] = {
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
}
"""By the event's type, the function that changes the order in place; it returns nothing."""
