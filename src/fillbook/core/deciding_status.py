"""Decide what a report says of the order's terms and of the states it is in.

What a venue tells is a change with a time.  Each aspect of an order (how it closed, what is
pending, whether it rests, its terms) keeps the time it was last told; what was said earlier and
arrives later changes nothing.
"""

from decimal import Decimal

from fillbook.core.draft import Draft
from fillbook.core.events import (
    OrderAccepted,
    OrderCalculated,
    OrderCanceled,
    OrderCancelPending,
    OrderDiscovered,
    OrderDoneForDay,
    OrderEvent,
    OrderExpired,
    OrderLost,
    OrderReceived,
    OrderRejected,
    OrderReplaced,
    OrderReplacePending,
    OrderRestated,
    OrderStopped,
    OrderSuspended,
    OrderTriggered,
    OrderUpdated,
    RequestRejected,
)
from fillbook.core.exact import plain
from fillbook.core.orders import Order, Standing
from fillbook.core.reports import OrderReport
from fillbook.core.values import ExecType, OrderStatus

__all__ = [
    "amend_terms",
    "apply_status",
    "learn_ids",
    "learn_terms",
    "reject_request",
]

_S = OrderStatus
_E = ExecType

_OPEN = {_S.NEW, _S.PARTIALLY_FILLED, _S.FILLED}
_PENDING = {_S.PENDING_CANCEL: OrderCancelPending, _S.PENDING_REPLACE: OrderReplacePending}
_KIND_OF = {_S.PENDING_CANCEL: "CANCEL", _S.PENDING_REPLACE: "REPLACE"}
_CLOSING: dict[OrderStatus, type[OrderEvent]] = {
    _S.CANCELED: OrderCanceled,
    _S.EXPIRED: OrderExpired,
    _S.REJECTED: OrderRejected,
}
_PASSING: dict[OrderStatus, type[OrderEvent]] = {
    _S.STOPPED: OrderStopped,
    _S.SUSPENDED: OrderSuspended,
}
_FILL_REPORTS = {_E.TRADE, _E.TRADE_CANCEL, _E.TRADE_CORRECT}
_TYPE_SAYS = {
    _E.NEW: _S.NEW,
    _E.TRIGGERED: _S.NEW,
    _E.CANCELED: _S.CANCELED,
    _E.REJECTED: _S.REJECTED,
    _E.EXPIRED: _S.EXPIRED,
    _E.PENDING_NEW: _S.PENDING_NEW,
    _E.PENDING_CANCEL: _S.PENDING_CANCEL,
    _E.PENDING_REPLACE: _S.PENDING_REPLACE,
    _E.DONE_FOR_DAY: _S.DONE_FOR_DAY,
    _E.STOPPED: _S.STOPPED,
    _E.SUSPENDED: _S.SUSPENDED,
    _E.CALCULATED: _S.CALCULATED,
}


# ---- ids


def learn_ids(draft: Draft, report: OrderReport) -> None:
    """Note which of the report's ids are new to the order's chain."""
    order = draft.order
    mine = report.client_order_id
    if mine is not None and mine != order.client_order_id:
        draft.request_id = mine
        if mine not in order.client_order_ids:
            draft.new_client_id = mine
    theirs = report.venue_order_id
    if theirs is None or theirs in order.venue_order_ids:
        return
    renames = report.is_snapshot or report.exec_type in (_E.NEW, _E.REPLACED, _E.RESTATED)
    if not order.venue_order_ids or renames:
        draft.new_venue_id = theirs


# ---- terms


def amend_terms(draft: Draft, report: OrderReport) -> None:
    """Apply what changes the order itself: an accepted replacement, a restatement."""
    if report.exec_type is _E.REPLACED:
        _replace(draft, report)
    elif report.exec_type is _E.RESTATED:
        _restate(draft, report)


def _reopens(draft: Draft, report: OrderReport) -> bool:
    """Tell whether the report brings the order back from a closing or resting state."""
    now = draft.now
    rests = now.day_leaves_qty is not None or now.passing is not None or now.is_calculated
    if now.closed is None and not rests:
        return False
    if not now.admits("CLOSED", report.ts_event):
        return False
    told = report.order_status
    return told in _OPEN or told in _PENDING or (told is None and now.closed is not None)


def _is_repeated(draft: Draft, before: Standing, report: OrderReport, is_current: bool) -> bool:
    """Tell whether an amendment without an id of its own says again, at its time, what we hold.

    *before* is the standing that it was applied to; with later terms on record it `is_current` no
    more.
    """
    order, now = draft.order, draft.now
    if draft.events or report.ts_event is None or draft.new_client_id or draft.new_venue_id:
        return False
    request = order.requests.get(report.client_order_id or "")
    if request is not None and not request.is_answered:
        return False
    then = now.copy()
    if report.order_status in _PENDING:  # what it prints as pending it has not answered
        then.pending = before.pending
    return (
        before.is_same(then)
        and report.ts_event <= before.told.get("TERMS", -1)
        and (not is_current or report.limit_px in (None, order.limit_px))
        and (not is_current or report.stop_px in (None, order.stop_px))
    )


def _set_terms(draft: Draft, report: OrderReport) -> bool:
    """Take over the report's quantity and prices; False where later terms are on record."""
    now = draft.now
    if not now.admits("TERMS", report.ts_event):
        return False
    now.set_terms(now.order_qty if report.order_qty is None else report.order_qty, report.ts_event)
    return True


def _replace(draft: Draft, report: OrderReport) -> None:
    now, order = draft.now, draft.order
    before = now.copy()
    reopened = _reopens(draft, report)
    current = _set_terms(draft, report)
    now.answer(
        order.answered_ids(
            report.client_order_id, report.orig_client_order_id, "REPLACE", is_accepted=True
        ),
        report.ts_event,
    )
    if reopened:
        now.reopen(report.ts_event)
    now.accept()
    if _is_repeated(draft, before, report, current):
        draft.now = before
        return
    draft.emit(
        OrderReplaced,
        limit_px=report.limit_px if current else None,
        stop_px=report.stop_px if current else None,
        orig_client_order_id=report.orig_client_order_id,
        reopened=reopened,
    )


def _restate(draft: Draft, report: OrderReport) -> None:
    now = draft.now
    before = now.copy()
    reopened = _reopens(draft, report)
    current = _set_terms(draft, report)
    rescaled_from: Decimal | None = None
    if (
        report.restatement_reason == "GT_CORPORATE_ACTION"
        and report.cum_qty
        and now.cum_qty
        and report.cum_qty != now.cum_qty
        and current
    ):
        rescaled_from = now.cum_qty
        now.rescale(report.cum_qty)
    if reopened:
        now.reopen(report.ts_event)
    now.accept()
    if _is_repeated(draft, before, report, current):
        draft.now = before
        return
    draft.emit(
        OrderRestated,
        limit_px=report.limit_px if current else None,
        stop_px=report.stop_px if current else None,
        restatement_reason=report.restatement_reason,
        rescaled_from=rescaled_from,
        text=report.text,
        reopened=reopened,
    )


def learn_terms(draft: Draft, report: OrderReport) -> None:
    """Take over what the first report of an order that is not ours left out and this one tells."""
    order = draft.order
    if order.asked is not None or any(isinstance(e, OrderDiscovered) for e in draft.events):
        return
    learned = {
        name: told
        for name in ("order_type", "time_in_force", "limit_px", "stop_px")
        if getattr(order, name) is None and (told := getattr(report, name)) is not None
    }
    for event in draft.events:
        for name in ("limit_px", "stop_px"):
            if getattr(event, name, None) is not None:
                learned.pop(name, None)
    order_qty = report.order_qty
    if draft.now.order_qty is None and order_qty is not None and order_qty >= draft.now.cum_qty:
        draft.now.set_terms(order_qty, report.ts_event)
    elif not learned:
        return
    draft.emit(OrderUpdated, **learned)


# ---- states


def apply_status(draft: Draft, report: OrderReport) -> None:
    """Apply every state the report tells, by its type and by its printed status."""
    told = report.order_status
    by_type = None if report.is_snapshot else _TYPE_SAYS.get(report.exec_type)  # type: ignore[arg-type]
    if _speaks_of_old_leg(draft.order, report):
        return
    if by_type is not None and not _is_overtaken(draft, report):
        _apply_one(draft, report, by_type)
    if told is not None and told is not by_type:
        _apply_one(draft, report, told)
    if report.is_snapshot:
        _apply_snapshot_terms(draft, report)


def _is_overtaken(draft: Draft, report: OrderReport) -> bool:
    """Tell whether the end that the report prints is on record: its type tells what was before.

    A report may say by its type that the order rests and by its status that it is over, or lost.
    """
    now, ts, told = draft.now, report.ts_event, report.order_status
    if ts is None or told is None:
        return False
    if told is _S.UNKNOWN:
        return now.is_lost and now.told.get("LOST") == ts
    return now.closed is told and now.told.get("CLOSED") == ts


def _speaks_of_old_leg(order: Order, report: OrderReport) -> bool:
    """Tell whether the venue's id in the report is one that a replacement has left behind."""
    theirs = report.venue_order_id
    return theirs in order.venue_order_ids and theirs != order.venue_order_ids[-1]


def _apply_one(draft: Draft, report: OrderReport, state: OrderStatus) -> None:
    if state in _CLOSING:
        _close(draft, report, state)
    elif state in _PENDING:
        _pend(draft, report, state)
    elif state in _PASSING:
        _rest(draft, report, state)
    elif state is _S.DONE_FOR_DAY:
        _finish_day(draft, report)
    elif state is _S.CALCULATED:
        if not draft.now.is_calculated and draft.now.admits("CLOSED", report.ts_event):
            draft.now.calculate(report.ts_event)
            draft.emit(OrderCalculated)
    elif state is _S.UNKNOWN:
        _lose(draft, report)
    elif state is _S.PENDING_NEW:
        if not draft.now.is_received:
            draft.now.receive()
            draft.emit(OrderReceived)
    else:
        _open(draft, report, state)


def _open(draft: Draft, report: OrderReport, state: OrderStatus) -> None:
    """The venue says the order is new, partly filled or filled: it has it, and works it."""
    now = draft.now
    triggered = report.exec_type is _E.TRIGGERED
    if report.is_snapshot and _contradicts_close(draft, report, state):
        return
    is_news = triggered and now.triggers_anew(report.ts_event)
    if not now.is_accepted or now.is_lost or is_news:
        now.accept()
        if triggered:
            now.trigger(report.ts_event)
        if now.order_qty is None and report.order_qty is not None:
            now.set_terms(report.order_qty, report.ts_event)
        draft.emit(OrderTriggered if triggered else OrderAccepted)
    if now.order_qty is None and state is _S.FILLED and now.cum_qty:
        now.set_terms(now.cum_qty, report.ts_event)
        draft.emit(OrderUpdated)
    if report.exec_type in _FILL_REPORTS:
        return
    cleared = []
    if report.is_snapshot:
        if now.pending and now.admits("PENDING", report.ts_event):
            cleared.append("PENDING")
            now.answer(list(now.pending), report.ts_event)
        if now.day_leaves_qty is not None and now.admits("DAY", report.ts_event):
            cleared.append("DAY")
            now.finish_day(None, report.ts_event)
    rests = report.exec_type in (_E.STOPPED, _E.SUSPENDED)  # then its status only ranks lower
    if now.passing is not None and not rests and now.admits("PASSING", report.ts_event):
        cleared.append("PASSING")
        now.pass_through(None, report.ts_event)
    if cleared:
        draft.emit(OrderUpdated, cleared=tuple(cleared))


def _contradicts_close(draft: Draft, report: OrderReport, state: OrderStatus) -> bool:
    """Dispute a poll that calls an order open which the venue has closed, unless it is older."""
    now = draft.now
    if now.closed is None or (now.closed is _S.REJECTED and now.cum_qty) or now.is_full():
        return False
    if now.admits("CLOSED", report.ts_event):
        draft.dispute("CLOSED_BEFORE", f"order_status {state}", f"order_status {now.closed}")
    return True


def _close(draft: Draft, report: OrderReport, state: OrderStatus) -> None:
    now = draft.now
    if state is _S.REJECTED and _rejects_request(draft.order, report):
        reject_request(draft, report)
        return
    if not now.admits("CLOSED", report.ts_event):
        return
    if now.closed is state:
        return
    if now.closed is not None and not (now.closed is _S.REJECTED and now.cum_qty):
        draft.dispute("CLOSED_BEFORE", f"order_status {state}", f"order_status {now.closed}")
        return
    now.close(state, report.ts_event)
    draft.emit(_CLOSING[state], reason=report.reason or report.restatement_reason, text=report.text)


def _rejects_request(order: Order, report: OrderReport) -> bool:
    """Tell whether a rejection speaks of our cancel or replacement and not of the order."""
    request = order.requests.get(report.client_order_id or "")
    return request is not None and report.client_order_id != order.client_order_id


def reject_request(draft: Draft, report: OrderReport) -> None:
    """End the request that the venue refused."""
    order = draft.order
    request = order.requests.get(report.client_order_id or "")
    kind = request.kind if request is not None else "CANCEL"
    ids = order.answered_ids(report.client_order_id, report.orig_client_order_id, kind)
    told = (report.reason, report.text, report.ts_event)
    # an order without an id of ours takes the first it is named by, which is then no request's
    under = (draft.request_id, report.client_order_id)
    is_known = any((each, *told) in order.refusals for each in under)
    if not ids and (is_known or (request is not None and request.is_answered)):
        return
    draft.now.answer(ids, report.ts_event)
    draft.emit(
        RequestRejected,
        reason=report.reason,
        text=report.text,
        orig_client_order_id=report.orig_client_order_id,
    )


def _pend(draft: Draft, report: OrderReport, state: OrderStatus) -> None:
    order, now = draft.order, draft.now
    key = _pending_key(draft, report, state)
    request = order.requests.get(key)
    if now.pending.get(key) is state or (request is not None and request.is_answered):
        return
    if not now.admits("PENDING", report.ts_event):
        return
    if now.closed is not None and not now.admits("CLOSED", report.ts_event):
        return
    now.pend(key, state)
    draft.emit(_PENDING[state], request_id=key or None)


def _pending_key(draft: Draft, report: OrderReport, state: OrderStatus) -> str:
    """Return the request that is pending: the one named, else one of its kind without answer."""
    order = draft.order
    if report.exec_type is not None and _TYPE_SAYS.get(report.exec_type) is state:
        return report.client_order_id or order.client_order_id or ""
    wanted = _KIND_OF[state]
    for request_id, kind in draft.now.pending.items():
        if kind is state:
            return request_id
    unanswered = [
        each
        for each, request in order.requests.items()
        if request.kind == wanted and not request.is_answered and each != report.client_order_id
    ]
    if report.client_order_id in order.requests and not unanswered:
        return report.client_order_id or ""
    if unanswered:
        return unanswered[0]
    own = order.client_order_id or ""
    return "" if own in draft.now.pending else own  # the order's id may stand for the other kind


def _rest(draft: Draft, report: OrderReport, state: OrderStatus) -> None:
    now = draft.now
    if now.passing is state or not now.admits("PASSING", report.ts_event):
        return
    if now.closed is not None:
        if now.admits("CLOSED", report.ts_event):
            draft.dispute("CLOSED_BEFORE", f"order_status {state}", f"order_status {now.closed}")
        return
    now.pass_through(state, report.ts_event)
    draft.emit(_PASSING[state])


def _finish_day(draft: Draft, report: OrderReport) -> None:
    now = draft.now
    if now.day_leaves_qty is not None or not now.admits("DAY", report.ts_event):
        return
    left = report.leaves_qty
    if left is None:
        keeps = draft.order.time_in_force in ("GTC", "GTD")
        left = now.leaves_qty() if keeps else Decimal(0)
    rest = now.leaves_qty()  # no more of an order is left for another day than is left of it
    left = Decimal(0) if left is None else left if rest is None else min(left, rest)
    now.finish_day(left, report.ts_event)
    draft.emit(OrderDoneForDay)


def _lose(draft: Draft, report: OrderReport) -> None:
    now = draft.now
    if now.is_lost or now.is_over() or not now.admits("LOST", report.ts_event):
        return
    said = draft.order.ts_said
    if report.ts_event is not None and said is not None and report.ts_event < said:
        return
    now.lose(report.ts_event)
    draft.emit(OrderLost, text=report.text)


def _apply_snapshot_terms(draft: Draft, report: OrderReport) -> None:
    """Take over terms that a poll shows, unless it echoes a request that is still pending."""
    order, now = draft.order, draft.now
    if report.order_status in _PENDING or not now.admits("TERMS", report.ts_event):
        return
    said = order.ts_said
    if report.ts_event is not None and said is not None and report.ts_event < said:
        return
    qty = report.order_qty
    if qty is not None and qty < now.cum_qty and qty != now.order_qty:
        draft.dispute("ORDER_QTY_BELOW_FILLED", f"order_qty {plain(qty)}",
                      f"cum_qty {plain(now.cum_qty)}")  # fmt: skip
        qty = None
    new_qty = qty is not None and qty != now.order_qty
    new_limit = report.limit_px is not None and report.limit_px != order.limit_px
    new_stop = report.stop_px is not None and report.stop_px != order.stop_px
    if new_qty:
        now.set_terms(qty, report.ts_event)
    if new_qty or new_limit or new_stop:
        draft.emit(
            OrderUpdated,
            limit_px=report.limit_px if new_limit else None,
            stop_px=report.stop_px if new_stop else None,
        )
