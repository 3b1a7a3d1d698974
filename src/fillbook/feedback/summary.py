"""Say in plain data how a robot stands."""

from typing import Any

from fillbook.core.agreement import Agreement
from fillbook.core.book import Book
from fillbook.core.exact import plain
from fillbook.core.orders import Order
from fillbook.core.times import time_text
from fillbook.core.values import OrderStatus
from fillbook.feedback.tracker import Tracker
from fillbook.feedback.watching import is_unanswered, unanswered_requests

__all__ = ["halts", "summary", "summary_at_rest"]

_SET_RIGHT = ("ADOPT", "RESTORE")


def summary(tracker: Tracker, trouble: BaseException | None, now: int) -> dict[str, Any]:
    """Return how *tracker* stands at *now*.

    Keys: `state` (`TRADING`, `RECOVERING`, `RECONCILING`, `OFFLINE`, `STOPPED`), `problem`,
    `active_orders`, `unknown_orders`, `unanswered_requests`, `in_flight`, `queued_orders`, `gaps`,
    `online`, `since`, `stream`, `last_heard`, `last_answer`, `last_checks`,
    `positions_in_sync` (book and
    broker hold the same; None before they were compared), `positions_since` (since when),
    `positions_checked`, `positions_outcome` (of the last comparison), `position_differences` (by
    instrument, what the broker holds more), `positions_unconfirmed`, `task`, `halts`, `head_seq`.
    """
    book, line = tracker.book, tracker.line
    agreement = book.agreements.of([tracker.settings.account_id])
    open_orders = list(book.open_orders())
    state = "TRADING" if tracker.schedule.is_open else "RECOVERING"
    if not line.is_up:
        state = "OFFLINE"
    elif state == "RECOVERING" and not tracker.task.is_ready:
        state = "RECONCILING"
    if trouble is not None or tracker.is_stopping:
        state = "STOPPED"
    problem = str(trouble) if trouble is not None else tracker.keeper.storage_problem
    if problem is None and state == "RECONCILING":
        problem = agreement.why_open(line.since_ns)
    return {
        "state": state,
        "problem": problem or (line.problem if not line.is_up else None),
        "active_orders": len(open_orders),
        "unknown_orders": _unknown(open_orders),
        "unanswered_requests": tracker.unanswered_count(),
        "in_flight": len(tracker.schedule.under_way),
        "queued_orders": list(book.control.queued),
        "gaps": _gaps(open_orders),
        "online": line.is_up,
        "since": time_text(line.since_ns),
        "stream": line.stream_is_up,
        "last_heard": time_text(line.heard_ns) if line.heard_ns else None,
        "last_answer": time_text(line.answer_ns) if line.answer_ns else None,
        "last_checks": {kind: time_text(ns) for kind, ns in sorted(tracker.checked_ns.items())},
        **_agreement(agreement),
        "halts": halts(book),
        "head_seq": book.seq,
    }


def summary_at_rest(book: Book) -> dict[str, Any]:
    """Return the same keys of a ledger that no robot is at work on, as far as it tells them."""
    open_orders = list(book.open_orders())
    lost = book.control.lost
    return {
        "state": "NOT_RUNNING",
        "problem": None if lost is None else lost.problem,
        "active_orders": len(open_orders),
        "unknown_orders": _unknown(open_orders),
        "unanswered_requests": sum(
            is_unanswered(order) + len(unanswered_requests(order)) for order in open_orders
        ),
        "in_flight": 0,
        "queued_orders": list(book.control.queued),
        "gaps": _gaps(open_orders),
        "online": False,
        "since": None if lost is None or lost.ts_event is None else time_text(lost.ts_event),
        "stream": None,
        "last_heard": None,
        "last_answer": None,
        "last_checks": {},
        **_agreement(book.agreements.weakest()),
        "halts": halts(book),
        "head_seq": book.seq,
    }


def _agreement(agreement: Agreement) -> dict[str, Any]:
    """Return since when book and broker agree, as far as the ledger tells."""
    last = agreement.last
    left = agreement.left  # a run that was not answered takes nothing back
    return {
        "positions_in_sync": agreement.is_so,
        "positions_since": time_text(agreement.since_ns) if agreement.since_ns else None,
        "positions_checked": None
        if last is None or not last.ts_event
        else time_text(last.ts_event),
        "positions_outcome": None if last is None else last.outcome,
        "position_differences": {
            gap.instrument_id: plain(gap.gap_qty) for gap in left if gap.action not in _SET_RIGHT
        },
        "positions_unconfirmed": sorted({key[1] for key in agreement.unconfirmed}),
    }


def halts(book: Book) -> list[dict[str, Any]]:
    """Return every halt that holds."""
    return [
        {
            "instrument_id": halt.instrument_id,
            "level": halt.level,
            "cause": halt.cause,
            "by": halt.by,
            "reason": halt.reason,
            "since": None if halt.ts_event is None else time_text(halt.ts_event),
        }
        for halt in book.control.halts.values()
    ]


def _unknown(open_orders: list[Order]) -> list[str | None]:
    return [
        order.client_order_id for order in open_orders if order.order_status is OrderStatus.UNKNOWN
    ]


def _gaps(open_orders: list[Order]) -> list[str | None]:
    return [order.client_order_id for order in open_orders if order.gap is not None]
