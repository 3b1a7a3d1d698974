"""Say in plain data how a robot stands."""

from typing import Any

from fillbook.core.values import OrderStatus
from fillbook.core.views import time_text
from fillbook.feedback.tracker import Tracker

__all__ = ["summary"]


def summary(tracker: Tracker, trouble: BaseException | None, now: int) -> dict[str, Any]:
    """Return how *tracker* stands at *now*.

    Keys: `state` (`TRADING`, `RECOVERING`, `OFFLINE`, `STOPPED`), `problem`, `active_orders`,
    `unknown_orders`, `unanswered_requests`, `in_flight`, `queued_orders`, `gaps`, `online`,
    `since`, `stream`, `last_heard`, `last_answer`, `halts`, `head_seq`.
    """
    book, line = tracker.book, tracker.line
    open_orders = list(book.open_orders())
    state = "TRADING" if tracker.schedule.is_open else "RECOVERING"
    if not line.is_up:
        state = "OFFLINE"
    if trouble is not None or tracker.is_stopping:
        state = "STOPPED"
    problem = str(trouble) if trouble is not None else tracker.keeper.storage_problem
    return {
        "state": state,
        "problem": problem or (line.problem if not line.is_up else None),
        "active_orders": len(open_orders),
        "unknown_orders": [
            order.client_order_id
            for order in open_orders
            if order.order_status is OrderStatus.UNKNOWN
        ],
        "unanswered_requests": tracker.unanswered_count(),
        "in_flight": len(tracker.schedule.under_way),
        "queued_orders": list(book.control.queued),
        "gaps": [order.client_order_id for order in open_orders if order.gap is not None],
        "online": line.is_up,
        "since": time_text(line.since_ns),
        "stream": line.stream_is_up,
        "last_heard": time_text(line.heard_ns) if line.heard_ns else None,
        "last_answer": time_text(line.answer_ns) if line.answer_ns else None,
        "halts": [
            {
                "instrument_id": halt.instrument_id,
                "level": halt.level,
                "cause": halt.cause,
                "by": halt.by,
                "reason": halt.reason,
                "since": None if halt.ts_event is None else time_text(halt.ts_event),
            }
            for halt in book.control.halts.values()
        ],
        "head_seq": book.seq,
    }
