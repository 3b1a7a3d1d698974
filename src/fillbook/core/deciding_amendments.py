"""Decide what a bust or a correction does to the fill that it names, now or once that fill comes.

An amendment that arrives before its fill is held under the id it names; booking the fill applies
it, and what waited for the amendment's own id in its turn.
"""

from collections.abc import Set as AbstractSet
from decimal import Decimal

from attrs import evolve

from fillbook.core.deciding_inferred import release_inferred, replacement_of, settle_inferred
from fillbook.core.draft import Draft
from fillbook.core.events import AmendmentHeld, FillBusted, FillCorrected
from fillbook.core.exact import EXACT
from fillbook.core.orders import Fill, Held
from fillbook.core.reports import OrderReport
from fillbook.core.values import ExecType, Flag

__all__ = ["amend_fill", "apply_waiting", "waiting_for"]

_ZERO = Decimal(0)


def amend_fill(draft: Draft, report: OrderReport) -> bool:
    """Take back or correct the fill that `exec_ref_id` names.

    Returns True where the same amendment is on record already.

    Source: ExecRefID (tag 19); ExecType H and G, or ExecTransType (tag 20) 1 and 2.
    """
    reference = report.exec_ref_id or report.trade_id
    bust = report.exec_type is ExecType.TRADE_CANCEL
    if reference is None:
        draft.dispute("AMENDMENT_UNNAMED", f"{report.exec_type} {report.exec_id}", "no fill named")
        return False
    amendment = Held(
        report.exec_id, None if bust else report.last_qty, report.last_px, report.ts_event
    )
    fill = draft.find_fill(reference)
    if fill is None:
        return _hold(draft, reference, amendment, bust, report)
    if bust and fill.is_busted:
        return True
    changed = fill.history[-1][0] if fill.history else None
    if changed is not None and amendment.ts is not None and amendment.ts < changed:
        return False  # a later amendment of the same fill is on record
    if not bust:
        amendment = Held(
            amendment.exec_id,
            fill.qty if amendment.qty is None else amendment.qty,
            fill.px if amendment.px is None else amendment.px,
            amendment.ts,
        )
        now_held = (fill.exec_id, fill.qty, fill.px, fill.is_busted)
        if now_held == (amendment.exec_id, amendment.qty, amendment.px, False):
            return True
    _apply_amendment(draft, fill.fill_no, reference, amendment)
    apply_waiting(draft, fill.fill_no, {reference})
    settle_inferred(draft)
    return False


def waiting_for(draft: Draft, fill: Fill, done: AbstractSet[str]) -> tuple[str, Held] | None:
    """Return the amendment that waits for *fill* under one of its ids, if one is not *done*.

    First comes the id that the amendment names: the fill's execution id, else its trade id.  *done*
    holds such ids.  None where nothing waits, or only what is done; nothing is emitted.
    """
    for fill_id in (fill.exec_id, fill.trade_id):
        if fill_id is not None and fill_id not in done and fill_id in draft.order.held:
            return fill_id, draft.order.held[fill_id]
    return None


def apply_waiting(draft: Draft, fill_no: int, done: set[str]) -> None:
    """Apply what waited for the fill, and what waited for that in its turn.

    Emits one `FillBusted` or `FillCorrected` for each, in the order they name each other.  *done*
    holds the ids whose amendments are applied already, and gains those applied here.
    """
    waiting = waiting_for(draft, draft.fill(fill_no), done)
    while waiting is not None:
        exec_ref_id, amendment = waiting
        done.add(exec_ref_id)
        _apply_amendment(draft, fill_no, exec_ref_id, amendment)
        waiting = waiting_for(draft, draft.fill(fill_no), done)


def _hold(draft: Draft, reference: str, amendment: Held, bust: bool, report: OrderReport) -> bool:
    """Keep an amendment until its fill comes."""
    waiting = draft.order.held.get(reference)
    if waiting is not None:
        if (waiting.qty, waiting.px if waiting.qty is not None else None) == (
            amendment.qty, amendment.px if amendment.qty is not None else None
        ):  # fmt: skip
            return True
        if waiting.ts is not None and amendment.ts is not None and amendment.ts < waiting.ts:
            return False
    if not bust and amendment.qty is None:
        draft.dispute("AMENDMENT_UNNAMED", f"{report.exec_type} of {reference}", "no quantity told")
        return False
    draft.emit(
        AmendmentHeld,
        exec_ref_id=reference,
        last_qty=amendment.qty,
        last_px=amendment.px if amendment.qty is not None else None,
    )
    # what was inferred may stand for the very fill that is taken back
    if bust and report.cum_qty is not None and draft.inferred:
        excess = EXACT.subtract(draft.cum_qty_at(report.ts_event), report.cum_qty)
        parts = []
        for inferred in reversed(draft.inferred):
            if excess > 0 and (
                inferred.ts is None or report.ts_event is None or inferred.ts <= report.ts_event
            ):
                take = min(excess, inferred.qty)
                excess = EXACT.subtract(excess, take)
                parts.append(replacement_of(inferred, take, inferred.px))
        release_inferred(draft, parts)
    return False


def _apply_amendment(draft: Draft, fill_no: int, reference: str, amendment: Held) -> None:
    fill = draft.fill(fill_no)
    draft.now.add(fill.qty.copy_negate(), fill.px)
    changed = (_time_of(draft, amendment), amendment.qty or _ZERO, amendment.px)
    ts = changed[0]
    if ts is not None:
        draft.ts_fact = ts if draft.ts_fact is None else max(draft.ts_fact, ts)
    history = [*fill.history, changed]
    if amendment.qty is None:
        draft.fills[fill_no] = evolve(fill, qty=_ZERO, is_busted=True, history=history)
        draft.emit(
            FillBusted, fill_no=fill_no, exec_ref_id=reference, last_qty=fill.qty, last_px=fill.px,
            exec_id=amendment.exec_id, ts_event=_time_of(draft, amendment),
        )  # fmt: skip
        return
    draft.now.add(amendment.qty, amendment.px)
    draft.fills[fill_no] = evolve(
        fill, qty=amendment.qty, px=amendment.px, is_busted=False, history=history,
        exec_id=amendment.exec_id or fill.exec_id,
    )  # fmt: skip
    if amendment.exec_id is not None:
        draft.fill_ids[amendment.exec_id] = fill_no
    limit = draft.now.order_qty
    over = limit is not None and draft.now.cum_qty > limit and amendment.qty > fill.qty
    draft.emit(
        FillCorrected,
        (Flag.OVERFILL,) if over else (),
        fill_no=fill_no,
        exec_ref_id=reference,
        last_qty=amendment.qty,
        last_px=amendment.px,
        prior_qty=fill.qty,
        prior_px=fill.px,
        exec_id=amendment.exec_id,
        ts_event=_time_of(draft, amendment),
    )


def _time_of(draft: Draft, amendment: Held) -> int | None:
    return draft.ts_event if amendment.ts is None else amendment.ts
