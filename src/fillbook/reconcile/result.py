"""Say in plain data what a run found and did: for the table, for JSON, for the robot's summary."""

from decimal import Decimal
from typing import Any

from fillbook.core.exact import EXACT, plain
from fillbook.core.reconciled_events import BookReconciled
from fillbook.core.times import time_text
from fillbook.reconcile.findings import Finding
from fillbook.reconcile.run import Run

__all__ = ["as_json"]


def as_json(run: Run) -> dict[str, Any]:
    """Return a run that is over as plain data; amounts are text, what is unknown is None.

    Keys: `outcome`, `cause`, `by`, `broker`, `started`, `finished`, `reads`, `compared`,
    `statement_count`, `statement_sha256`, `problem`, `can_tell` (what the broker can be asked for,
    and what it cannot), `positions` (one row per position that differed at any time), `orders`
    (`listed`: how many open ones the broker listed, `found`: those that the book had not known,
    `left`: those that are open here and not there) and `cash`.
    A row: `account_id`, `instrument_id`, `held_qty` and `reported_qty` and `gap_qty` (as first
    seen), `size`, `held_avg_px`, `reported_avg_px`, `explained_by`, `left_qty` (the gap that
    nothing explains, `"0"` without), `action`, `text`, `adjustment_id`,
    `restore_client_order_id`, `look_at` (of what is left: what moved the position since the agreed
    point, else the last that moved it before), `moved_since` (which of the two).
    """
    event = run.event
    assert event is not None, "it is not over yet"
    can = run.desk.capabilities
    return {
        "outcome": event.outcome,
        "cause": event.cause,
        "by": event.by,
        "broker": event.broker,
        "started": time_text(event.started),
        "finished": None if event.ts_event is None else time_text(event.ts_event),
        "reads": event.reads,
        "compared": event.compared,
        "statement_count": event.statement_count,
        "statement_sha256": event.statement_sha256,
        "problem": event.text,
        "can_tell": {
            "open_orders": can.has_open_orders,
            "fills_since": can.has_fills_since,
            "activities_since": can.has_activities,
            "cash": can.has_cash,
        },
        "positions": [_row(finding) for finding in run.findings],
        "orders": {
            "listed": event.open_orders,
            "found": list(event.orders_found),
            "left": list(event.orders_left),
        },
        "cash": _cash(event, run.earlier),
    }


def _row(finding: Finding) -> dict[str, Any]:
    first, left, done = finding.first, finding.left, finding.settlement
    seen = left or first
    adoption = None if done is None else done.adoption
    action = None
    if left is not None:
        action = "WAIT" if done is None else str(done.action)
    return {
        "account_id": first.account_id,
        "instrument_id": first.instrument_id,
        "held_qty": plain(first.held_qty),
        "reported_qty": _text(first.reported_qty),
        "gap_qty": plain(first.gap_qty),
        "size": None if left is None else str(left.size),
        "held_avg_px": _text(seen.held_avg_px),
        "reported_avg_px": _text(seen.reported_avg_px),
        "explained_by": finding.explained,
        "left_qty": "0" if left is None else plain(left.gap_qty),
        "action": action,
        "text": finding.why_waiting if done is None else done.text,
        "adjustment_id": None if adoption is None else adoption.adjustment_id,
        "restore_client_order_id": None if adoption is None else adoption.restore_client_order_id,
        "moved_since": finding.moved_since,
        "look_at": [
            {
                "seq": move.seq,
                "what": move.what,
                "ts_event": None if move.ts_event is None else time_text(move.ts_event),
                "client_order_id": move.client_order_id,
                "trade_id": move.trade_id,
            }
            for move in finding.moves
        ],
    }


def _cash(event: BookReconciled, earlier: BookReconciled | None) -> list[dict[str, Any]]:
    """Return what changed since the *earlier* run, on both sides; information, nothing more."""
    before = {} if earlier is None else {each.currency: each for each in earlier.cash}
    rows = []
    for count in event.cash:
        then = before.get(count.currency)
        held = reported = gap = None
        if then is not None:
            held = EXACT.subtract(count.held, then.held)
            reported = EXACT.subtract(count.reported, then.reported)
            gap = EXACT.subtract(reported, held)
        rows.append(
            {
                "currency": count.currency,
                "reported": plain(count.reported),
                "held_change": _text(held),
                "reported_change": _text(reported),
                "gap": _text(gap),
            }
        )
    return rows


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
