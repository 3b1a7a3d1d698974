"""Decide what a claim or a command means for one order.

A report is a claim, an event is a fact; `decide` turns the first into the second and touches
nothing else.  Live tracking, imports, reconciliation and replay all call it, so they cannot
disagree.  Every function here is total: whatever the report, whatever the order's state, the answer
is events or nothing.
"""

from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.deciding_amendments import amend_fill
from fillbook.core.deciding_fills import book_trade
from fillbook.core.deciding_inferred import close_gap, infer, price_inferred, settle_inferred
from fillbook.core.deciding_status import (
    amend_terms,
    apply_status,
    learn_ids,
    learn_terms,
    reject_request,
)
from fillbook.core.draft import Draft
from fillbook.core.events import (
    CommissionChanged,
    OrderCancelRequested,
    OrderDiscovered,
    OrderEvent,
    OrderReplaceRequested,
    OrderSubmitted,
    OrderUpdated,
)
from fillbook.core.exact import EXACT, ROUNDED
from fillbook.core.orders import Order
from fillbook.core.policies import AT_ONCE, FillPolicy
from fillbook.core.reports import CancelReject, CommissionReport, OrderReport
from fillbook.core.values import ExecType, Flag, OrderStatus, Origin, Side, Source

__all__ = [
    "decide",
    "decide_cancel_reject",
    "decide_commission",
    "decide_overdue",
    "decide_request",
    "decide_submit",
    "is_older",
    "why_unplaced",
]

_AMENDMENTS = {ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT}


# ---- reports


def decide(
    order: Order | None,
    report: OrderReport,
    policy: FillPolicy = AT_ONCE,
    source: Source = Source.IMPORT,
) -> tuple[OrderEvent, ...]:
    """Return what *report* adds to *order*, in append order; empty when nothing is new.

    Amendments come first, then fills, then the states.  *order* None is an order met for the first
    time; where the report cannot open one the answer is empty and `why_unplaced` says why.
    """
    if order is None:
        return _discover(report, policy, source)
    draft = Draft(order, report, policy, source)
    if _is_another_thing(draft, report):
        return tuple(draft.events)
    if _is_seen(order, report) and report.exec_type is not ExecType.TRADE:
        return ()
    if _is_second_order(draft, report):
        return tuple(draft.events)
    learn_ids(draft, report)
    _decide_known(draft, report)
    return tuple(draft.events)


def _decide_known(draft: Draft, report: OrderReport) -> None:
    if draft.now.is_absent and report.order_status is not OrderStatus.REJECTED:
        draft.now.reappear()
        draft.emit(OrderUpdated, cleared=("NEVER_ARRIVED",))
    amend_terms(draft, report)
    if report.exec_type in _AMENDMENTS:
        if amend_fill(draft, report):
            return
    elif book_trade(draft, report):
        return
    close_gap(draft, report)
    apply_status(draft, report)
    learn_terms(draft, report)
    if not draft.events and (draft.new_client_id is not None or draft.new_venue_id is not None):
        draft.emit(OrderUpdated)


def why_unplaced(report: OrderReport) -> str | None:
    """Return why *report*, of an order we do not know, cannot open one; None where it can."""
    if report.order_status is OrderStatus.REJECTED and report.reason == "UNKNOWN_ORDER":
        return "the venue says that it does not know this order, and neither do we"
    missing = [
        key for key in ("instrument_id", "side") if getattr(report, key) is None
    ]  # fmt: skip
    if missing:
        return f"it names no order that we know, and without {' and '.join(missing)} it opens none"
    return None


def _discover(report: OrderReport, policy: FillPolicy, source: Source) -> tuple[OrderEvent, ...]:
    """Open an order that we never sent, with everything its first report tells."""
    if why_unplaced(report) is not None or report.instrument_id is None or report.side is None:
        return ()
    order = Order(
        0, report.account_id or "default", report.instrument_id, report.side, Origin.EXTERNAL
    )
    order.client_order_ids = [report.client_order_id] if report.client_order_id else []
    order.venue_order_ids = [report.venue_order_id] if report.venue_order_id else []
    order.time_in_force = report.time_in_force
    order.limit_px = report.limit_px
    order.stop_px = report.stop_px
    draft = Draft(order, report, policy, source)
    draft.now.receive()
    draft.now.set_terms(report.order_qty, None)
    draft.emit(
        OrderDiscovered,
        (Flag.EXTERNAL,),
        order_type=report.order_type,
        cash_order_qty=report.cash_order_qty,
        limit_px=report.limit_px,
        stop_px=report.stop_px,
        time_in_force=report.time_in_force,
        expire_time=report.expire_time,
        venue=report.venue,
    )
    _decide_known(draft, report)
    return tuple(draft.events)


def is_older(order: Order, ts_event: int | None) -> bool:
    """Tell whether *ts_event* is known to be before what the venue said last of this order."""
    return ts_event is not None and order.ts_said is not None and ts_event < order.ts_said


def _is_another_thing(draft: Draft, report: OrderReport) -> bool:
    """Dispute a report under our id that speaks of another instrument or the other side."""
    order = draft.order
    if report.instrument_id is not None and report.instrument_id != order.instrument_id:
        draft.dispute("INSTRUMENT_DIFFERS", report.instrument_id, order.instrument_id)
        return True
    if report.side is not None and (report.side is Side.BUY) != (order.side is Side.BUY):
        draft.dispute("SIDE_DIFFERS", str(report.side), str(order.side))
        return True
    return False


def _is_second_order(draft: Draft, report: OrderReport) -> bool:
    """Record that a second order under a known id was refused; the first stands."""
    if report.reason != "DUPLICATE_ORDER" or report.exec_type is not ExecType.REJECTED:
        return False
    if report.client_order_id not in draft.order.client_order_ids:
        return False
    now, ts = draft.now, report.ts_event
    if now.closed is OrderStatus.REJECTED and ts is not None and now.told.get("CLOSED") == ts:
        return False  # the order was met in this very rejection, told again
    draft.dispute("SECOND_ORDER", "rejected as a duplicate order", "the first order stands")
    return True


def _is_seen(order: Order, report: OrderReport) -> bool:
    """Tell whether this very execution message is on record.

    ExecIDs of some venues start anew with the engine, so a known id with another time is news.
    """
    if report.exec_id is None or report.exec_id not in order.exec_ids:
        return False
    seen = order.exec_ids[report.exec_id]
    return seen is None or report.ts_event is None or seen == report.ts_event


def decide_cancel_reject(
    order: Order, reject: CancelReject, source: Source = Source.IMPORT
) -> tuple[OrderEvent, ...]:
    """Return what the refusal of a cancel or replacement adds to *order*.

    OrdStatus in the refusal (tag 39 in 35=9) is the order's status after it; a state it tells is
    believed, except REJECTED for an order that the venue says it does not know.
    """
    unknown = reject.order_status is OrderStatus.REJECTED
    pending = reject.order_status in (OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE)
    report = OrderReport(
        client_order_id=reject.client_order_id,
        orig_client_order_id=reject.orig_client_order_id,
        venue_order_id=reject.venue_order_id,
        order_status=None if unknown or pending else reject.order_status,
        exec_type=ExecType.TRADE_CANCEL,  # so that a state it prints is no poll
        reason=reject.reason,
        text=reject.text,
        ts_event=reject.ts_event,
        ts_received=reject.ts_received,
    )
    draft = Draft(order, report, AT_ONCE, source)
    learn_ids(draft, report)
    draft.new_venue_id = None
    request = order.requests.get(reject.client_order_id)
    if request is None or not request.is_answered or _is_pending(order, reject):
        reject_request(draft, report)
    apply_status(draft, report)
    return tuple(draft.events)


def _is_pending(order: Order, reject: CancelReject) -> bool:
    return bool(
        order.answered_ids(reject.client_order_id, reject.orig_client_order_id, "CANCEL")
        and reject.client_order_id in order.standing.pending
    )


def decide_commission(
    order: Order, report: CommissionReport, source: Source = Source.IMPORT
) -> tuple[OrderEvent, ...]:
    """Return what a late or corrected fee adds: it replaces what the fill cost in that currency.

    Nothing where a later word of it is on record, nor where it was told before its fill was busted.
    What came with the fill is replaced whatever the time: a statement may be dated by its day.
    The same amount told anew is recorded for its time, which a bust or an earlier word, still on
    its way, is held against.
    """
    fill_no = order.fill_ids.get(report.trade_id)
    if fill_no is None:
        return ()
    fill = order.fills[fill_no]
    prior = fill.commissions.get(report.commission_currency)
    if not fill.is_fee_news(report.commission_currency, report.ts_event):
        return ()
    said = report.ts_event in (None, fill.fee_ts.get(report.commission_currency))
    if prior == report.commission and said:
        return ()
    draft = Draft(order, None, AT_ONCE, source)
    draft.ts_event, draft.ts_received = report.ts_event, report.ts_received
    draft.emit(
        CommissionChanged,
        fill_no=fill_no,
        trade_id=fill.trade_id,
        commission=report.commission,
        commission_currency=report.commission_currency,
        prior=prior,
    )
    return tuple(draft.events)


def decide_overdue(
    order: Order, now_ns: int, policy: FillPolicy, source: Source = Source.INFERRED
) -> tuple[OrderEvent, ...]:
    """Infer the fills of a gap that has waited for `policy.wait_ns` by *now_ns*; else nothing."""
    if order.gap is None:
        return ()
    claimed, avg_px, seen_ts = order.gap
    gap = EXACT.subtract(claimed, order.standing.cum_qty)
    if gap <= 0 or (seen_ts is not None and now_ns - seen_ts < policy.wait_ns):
        return ()
    px = None
    if avg_px is not None and not order.standing.unpriced_qty:
        total = EXACT.multiply(claimed, avg_px)
        px = ROUNDED.divide(EXACT.subtract(total, order.standing.notional), gap)
    draft = Draft(order, None, policy, source)
    draft.ts_event = seen_ts
    infer(draft, gap, claimed, px, avg_px)
    settle_inferred(draft)
    price_inferred(draft, claimed, avg_px)
    return tuple(draft.events)


# ---- our own requests


def decide_submit(
    order: Order | None, command: SubmitOrder, source: Source = Source.IMPORT
) -> tuple[OrderEvent, ...]:
    """Return our intent as an event; nothing where it is known, a dispute where it differs.

    *order* is the one known under this client id.  One that we met in a report first becomes ours
    by the intent, if they agree.
    """
    content = asked_terms(command)
    if order is None:
        order = Order(0, command.account_id, command.instrument_id, command.side, Origin.ROBOT)
        order.client_order_ids = [command.client_order_id]
        draft = Draft(order, None, AT_ONCE, source)
        draft.now.set_terms(command.order_qty, None)
        _emit_intent(draft, command)
        return tuple(draft.events)
    draft = Draft(order, None, AT_ONCE, source)
    draft.ts_event = command.ts_event
    if order.asked is None and order.client_order_id == command.client_order_id:
        whose = (order.account_id, order.instrument_id, order.side)
        if whose == (command.account_id, command.instrument_id, command.side):
            if draft.now.order_qty is None:
                draft.now.set_terms(command.order_qty, None)
            _emit_intent(draft, command)
            return tuple(draft.events)
    elif order.asked == content:
        return ()
    draft.dispute("ORDER_DIFFERS", _in_words(content), _in_words(order.asked or ("a request",)))
    return tuple(draft.events)


def asked_terms(command: SubmitOrder) -> tuple[object, ...]:
    """Return an intent's content, times apart: what makes a repetition the same."""
    return (
        command.client_order_id, command.account_id, command.instrument_id, command.side,
        command.order_type, command.order_qty, command.cash_order_qty, command.limit_px,
        command.stop_px, command.time_in_force, command.expire_time, command.venue,
    )  # fmt: skip


def _in_words(content: tuple[object, ...]) -> str:
    return " ".join(str(part) for part in content if part is not None)


def _emit_intent(draft: Draft, command: SubmitOrder) -> None:
    draft.ts_event = command.ts_event
    draft.emit(
        OrderSubmitted,
        order_type=command.order_type,
        asked_qty=command.order_qty,
        cash_order_qty=command.cash_order_qty,
        limit_px=command.limit_px,
        stop_px=command.stop_px,
        time_in_force=command.time_in_force,
        expire_time=command.expire_time,
        venue=command.venue,
        partial_fills=command.partial_fills,
    )


def decide_request(
    order: Order,
    command: CancelOrder | ReplaceOrder,
    source: Source = Source.IMPORT,
    is_taken: bool = False,
) -> tuple[OrderEvent, ...]:
    """Return our request for a cancel or replacement as an event; it changes no status.

    *is_taken* tells that the request's id belongs to another order: that is disputed.  A request
    that was met in its answer first is recorded too; it stays answered.
    """
    draft = Draft(order, None, AT_ONCE, source)
    draft.ts_event = command.ts_event
    kind = "CANCEL" if isinstance(command, CancelOrder) else "REPLACE"
    if is_taken:
        draft.dispute("REQUEST_DIFFERS", f"{kind} under {command.client_order_id}",
                      "the id of another order")  # fmt: skip
        return tuple(draft.events)
    known = order.requests.get(command.client_order_id)
    asked = (None, None, None)
    if isinstance(command, ReplaceOrder):
        asked = (command.order_qty, command.limit_px, command.stop_px)  # type: ignore[assignment]
    # Of one met in its answer it is unknown what it names, and its kind: CANCEL is a guess then.
    is_met = known is not None and known.orig_client_order_id is None
    if known is not None and not (is_met and known.kind in (kind, "CANCEL")):
        held = (known.order_qty, known.limit_px, known.stop_px)
        same = known.orig_client_order_id == command.orig_client_order_id and held == asked
        if not (same and known.kind == kind):
            draft.dispute("REQUEST_DIFFERS", f"{kind} {command.orig_client_order_id}",
                          f"{known.kind} {known.orig_client_order_id}")  # fmt: skip
        return tuple(draft.events)
    if isinstance(command, CancelOrder):
        draft.emit(
            OrderCancelRequested,
            request_id=command.client_order_id,
            orig_client_order_id=command.orig_client_order_id,
        )
    else:
        draft.emit(
            OrderReplaceRequested,
            request_id=command.client_order_id,
            orig_client_order_id=command.orig_client_order_id,
            asked_qty=command.order_qty,
            limit_px=command.limit_px,
            stop_px=command.stop_px,
        )
    return tuple(draft.events)
