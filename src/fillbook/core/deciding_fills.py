"""Decide what a report says was filled, taken back, corrected, or must be inferred.

Money facts are booked whatever the order's status.  A cumulative claim is judged as of its own
time: against the fills known to have happened by then, so that messages out of order lead to the
same book.
"""

import hashlib
from collections.abc import Set as AbstractSet
from decimal import Decimal

from attrs import evolve

from fillbook.core.draft import Draft
from fillbook.core.events import (
    AmendmentHeld,
    CommissionChanged,
    FillBusted,
    FillCorrected,
    FillInferred,
    GapSeen,
    InferredFillReleased,
    OrderFilled,
    Replacement,
)
from fillbook.core.exact import EXACT, ROUNDED, plain
from fillbook.core.orders import Fill, Held, Inferred
from fillbook.core.reports import OrderReport
from fillbook.core.values import ExecType, Flag, OrderStatus

__all__ = ["amend_fill", "book_trade", "close_gap", "infer", "settle_inferred"]

_ZERO = Decimal(0)
_INFERRED = "inferred-"
"""What the ids of inferred fills begin with; the log refuses a second fill under one."""
_BEFORE_FILLS = {ExecType.NEW, ExecType.PENDING_NEW, ExecType.TRIGGERED}


def book_trade(draft: Draft, report: OrderReport) -> bool:
    """Book the fill that *report* carries, if it carries one that is new.

    Returns True where the report's fill was known already with the same content.
    """
    if report.last_qty is not None and not report.last_qty:
        return False  # 0 is no fill, whatever the type says
    qty = _traded_qty(draft, report)
    identity = report.trade_id or report.exec_id
    known = draft.find_fill(report.trade_id) if report.trade_id else draft.find_fill(report.exec_id)
    if known is not None and report.exec_type is ExecType.TRADE:
        if not _same_content(known, report):
            draft.dispute("FILL_DIFFERS", _told(identity, report.last_qty, report.last_px),
                          _told(known.trade_id, known.reported_qty, known.reported_px))  # fmt: skip
            return False
        _learn_fee(draft, known, report)
        return True
    if qty is None or qty <= 0 or known is not None:
        return False
    if identity is not None and identity.startswith(_INFERRED):
        draft.dispute("FILL_DIFFERS", _told(identity, report.last_qty, report.last_px),
                      "an id that only inferred fills have")  # fmt: skip
        return False
    px = _traded_px(draft, report, qty)
    if identity is None:
        identity = _derived_id(report, qty, px)
        if draft.find_fill(identity) is not None:
            return True
    _add_fill(draft, report, identity, qty, px)
    return False


def _learn_fee(draft: Draft, fill: Fill, report: OrderReport) -> None:
    """Take the fee of a fill that was told without one; a stream often knows less than a list."""
    currency = report.commission_currency
    if fill.commissions or not report.commission or currency is None:
        return
    if fill.is_fee_news(currency, report.ts_event):
        draft.emit(
            CommissionChanged,
            fill_no=fill.fill_no,
            trade_id=fill.trade_id,
            commission=report.commission,
            commission_currency=currency,
        )


def _traded_qty(draft: Draft, report: OrderReport) -> Decimal | None:
    """Return the quantity of the report's own execution, None where it carries none."""
    if report.exec_type in (ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT) or report.is_snapshot:
        return None
    moved = _moved(draft, report)
    if report.exec_type is ExecType.TRADE:
        if report.last_qty is None:
            return moved
        # a guarantee of execution (FIX 4.4 volume 4, L.1.a) is not an execution
        is_stopped = report.order_status is OrderStatus.STOPPED
        if is_stopped and report.cum_qty is not None:
            held = draft.cum_qty_at(report.ts_event)
            return report.last_qty if report.cum_qty > held else None
        return report.last_qty
    # another type may carry a fill too, but only where the total shows that something traded
    if report.last_qty and moved is not None and moved > 0 and report.exec_id is not None:
        return min(report.last_qty, moved)
    return None


def _moved(draft: Draft, report: OrderReport) -> Decimal | None:
    """Return by how much the report's total is above ours; None where it tells no total.

    A total that is dated before fills we know is above ours only if it is above all we hold.
    """
    claimed = report.cum_qty
    if claimed is None:
        return None
    if draft.is_late(report.ts_event) and claimed <= draft.now.cum_qty:
        return _ZERO
    return EXACT.subtract(claimed, draft.counted_by(claimed, report.ts_event)[0])


def _traded_px(draft: Draft, report: OrderReport, qty: Decimal) -> Decimal | None:
    if report.last_px is not None and report.last_qty is not None:
        return report.last_px
    claimed = report.cum_qty
    if claimed is not None and EXACT.add(draft.cum_qty_at(report.ts_event), qty) == claimed:
        px = _px_from_average(draft, report, qty)
        if px is not None:
            return px
    return report.last_px


def _px_from_average(draft: Draft, report: OrderReport, qty: Decimal) -> Decimal | None:
    """Return the price at which *qty* makes our average the venue's.

        px = (cum_qty * avg_px - known notional) / qty

    None where the venue told no average or a price we hold is unknown.  Linear: AvgPx (tag 6) is
    taken as the plain quantity-weighted mean.

    Source: AvgPx (tag 6) and CumQty (tag 14), FIX 4.4 volume 4.
    """
    if report.avg_px is None or report.cum_qty is None:
        return None
    known = draft.counted_by(report.cum_qty, report.ts_event)[1]
    if known is None:
        return None
    total = EXACT.multiply(report.cum_qty, report.avg_px)
    return ROUNDED.divide(EXACT.subtract(total, known), qty)


def _same_content(fill: Fill, report: OrderReport) -> bool:
    """Tell whether the report says of *fill* what we hold.

    A price without a quantity is the last execution's, and what moved may have been several.
    """

    def same(told: Decimal | None, first: Decimal | None, now: Decimal | None) -> bool:
        return told is None or told in (first, now)

    return same(report.last_qty, fill.reported_qty, fill.qty) and (
        report.last_qty is None
        or fill.reported_px is None
        or same(report.last_px, fill.reported_px, fill.px)
    )


def _derived_id(report: OrderReport, qty: Decimal, px: Decimal | None) -> str:
    """Return an id made of the fill's content, for venues that give none."""
    parts = (report.side, qty, px, report.cum_qty, report.ts_event)
    text = "|".join("" if part is None else str(part) for part in parts)
    return f"content-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def _told(identity: object, qty: Decimal | None, px: Decimal | None) -> str:
    return f"{identity}: {_or_unknown(qty)} @ {_or_unknown(px)}"


def _or_unknown(value: Decimal | None) -> str:
    return "?" if value is None else plain(value)


def _add_fill(
    draft: Draft, report: OrderReport, identity: str, qty: Decimal, px: Decimal | None
) -> None:
    """Book one true fill, let it take inferred quantity's place, and apply what waited for it."""
    fill_no = draft.next_fill_no
    draft.next_fill_no += 1
    ts = report.ts_event
    fill = Fill(fill_no, identity, report.exec_id, qty, px, qty, px, ts)
    before = draft.cum_qty_at(ts)
    draft.fills[fill_no] = fill
    draft.fill_ids[identity] = fill_no
    if report.exec_id is not None:
        draft.fill_ids[report.exec_id] = fill_no

    waiting = _waiting(draft, fill, frozenset())
    held_ts = waiting[1].ts if waiting is not None and waiting[1].qty is None else None
    parts = _replaced_by(draft, report, fill, before, held_ts) if draft.inferred else ()
    taken = _ZERO
    for part in parts:
        taken = EXACT.add(taken, part.qty)
        _shrink(draft, part)
    draft.now.add(qty, px)
    fill.counted = draft.now.cum_qty

    flags: list[str] = []
    if qty > taken and draft.was_over:
        flags.append(Flag.LATE_FILL)
    limit = draft.now.order_qty
    if qty > taken and limit is not None and draft.now.cum_qty > limit:
        flags.append(Flag.OVERFILL)
    if px is None:
        flags.append(Flag.UNKNOWN_PRICE)
    draft.emit(
        OrderFilled,
        tuple(flags),
        fill_no=fill_no,
        trade_id=identity,
        last_qty=qty,
        last_px=px,
        commission=report.commission,
        commission_currency=report.commission_currency if report.commission is not None else None,
        liquidity=report.liquidity,
        last_mkt=report.last_mkt,
        replaces=parts,
    )
    _apply_waiting(draft, fill_no, set())
    if draft.inferred:
        settle_inferred(draft)


def _waiting(draft: Draft, fill: Fill, done: AbstractSet[str]) -> tuple[str, Held] | None:
    """Return the amendment that waits for *fill* under one of its ids, if one is not *done*."""
    for fill_id in (fill.exec_id, fill.trade_id):
        if fill_id is not None and fill_id not in done and fill_id in draft.order.held:
            return fill_id, draft.order.held[fill_id]
    return None


def _apply_waiting(draft: Draft, fill_no: int, done: set[str]) -> None:
    """Apply what waited for the fill, and what waited for that in its turn."""
    waiting = _waiting(draft, draft.fill(fill_no), done)
    while waiting is not None:
        exec_ref_id, amendment = waiting
        done.add(exec_ref_id)
        _apply_amendment(draft, fill_no, exec_ref_id, amendment)
        waiting = _waiting(draft, draft.fill(fill_no), done)


# ---- inferred quantity


def _replaced_by(
    draft: Draft, report: OrderReport, fill: Fill, before: Decimal, busted_ts: int | None
) -> tuple[Replacement, ...]:
    """Return which inferred quantity the true *fill* takes the place of.

    A fill that happened before the evidence is part of what was inferred from it: what is left is
    what the evidence still does not account for.  A later one (or one without time) replaces,
    unless its own `cum_qty` counts it on top.
    """
    left_of_fill = fill.qty
    overlap = None
    if report.cum_qty is not None:
        overlap = EXACT.subtract(EXACT.add(before, fill.qty), report.cum_qty)
    parts = []
    earlier = _ZERO
    for inferred in draft.inferred:
        if fill.ts is not None and inferred.ts is not None and fill.ts < inferred.ts:
            known = draft.true_qty_at(inferred.ts)
            if busted_ts is not None and busted_ts <= inferred.ts:
                known = EXACT.subtract(known, fill.qty)
            still = EXACT.subtract(EXACT.subtract(inferred.claimed_qty, known), earlier)
            take = EXACT.subtract(inferred.qty, min(inferred.qty, max(still, _ZERO)))
        else:
            take = inferred.qty if overlap is None else min(inferred.qty, max(overlap, _ZERO))
        take = min(take, left_of_fill)
        if take > 0:
            left_of_fill = EXACT.subtract(left_of_fill, take)
            if overlap is not None:
                overlap = EXACT.subtract(overlap, take)
            parts.append(_replacement(inferred, take, fill.px))
            earlier = EXACT.add(earlier, parts[-1].left_qty)
        else:
            earlier = EXACT.add(earlier, inferred.qty)
    return tuple(parts)


def _replacement(inferred: Inferred, take: Decimal, px: Decimal | None) -> Replacement:
    """Return what is left of *inferred*, priced anew so that the whole costs what it did."""
    left = EXACT.subtract(inferred.qty, take)
    left_px = inferred.px if left else None
    if left and inferred.px is not None and px is not None:
        rest = EXACT.subtract(EXACT.multiply(inferred.qty, inferred.px), EXACT.multiply(take, px))
        repriced = ROUNDED.divide(rest, left)
        if (repriced > 0) == (inferred.px > 0):
            left_px = repriced
    return Replacement(fill_no=inferred.fill_no, qty=take, left_qty=left, left_px=left_px)


def _shrink(draft: Draft, part: Replacement) -> None:
    """Take the replaced quantity out of the standing and out of what is still inferred."""
    old = draft.fill(part.fill_no)
    draft.now.add(old.qty.copy_negate(), old.px)
    if part.left_qty:
        draft.now.add(part.left_qty, part.left_px)
    draft.fills[part.fill_no] = evolve(old, qty=part.left_qty, px=part.left_px)
    draft.inferred = [
        evolve(item, qty=part.left_qty, px=part.left_px) if item.fill_no == part.fill_no else item
        for item in draft.inferred
        if item.fill_no != part.fill_no or part.left_qty
    ]


def settle_inferred(draft: Draft) -> None:
    """Release inferred quantity that the facts account for now (an amendment came)."""
    parts = []
    earlier = _ZERO
    for inferred in draft.inferred:
        if inferred.ts is None:
            continue
        known = EXACT.add(draft.true_qty_at(inferred.ts), earlier)
        still = max(EXACT.subtract(inferred.claimed_qty, known), _ZERO)
        if still < inferred.qty:
            parts.append(_replacement(inferred, EXACT.subtract(inferred.qty, still), inferred.px))
        earlier = EXACT.add(earlier, min(still, inferred.qty))
    _release(draft, parts)


def _release(draft: Draft, parts: list[Replacement]) -> None:
    if not parts:
        return
    for part in parts:
        _shrink(draft, part)
    draft.emit(InferredFillReleased, releases=tuple(parts))


# ---- busts and corrections


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
    _apply_waiting(draft, fill.fill_no, {reference})
    settle_inferred(draft)
    return False


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
                parts.append(_replacement(inferred, take, inferred.px))
        _release(draft, parts)
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


# ---- the cumulative claim


def close_gap(draft: Draft, report: OrderReport) -> None:
    """Judge the report's cumulative quantity: infer what is missing, dispute what is too little."""
    claimed = report.cum_qty
    if claimed is None:
        if not (report.is_snapshot and report.order_status is OrderStatus.FILLED):
            return
        claimed = draft.now.order_qty  # a filled order is filled for what it asked for
        if claimed is None:
            return
    ts = report.ts_event
    if draft.is_late(ts) and claimed <= draft.now.cum_qty:
        return  # older than what we hold, and not more than it
    gap = EXACT.subtract(claimed, draft.counted_by(claimed, ts)[0])
    if gap > 0:
        if draft.policy.wait_ns == 0:
            infer(draft, gap, claimed, _px_from_average(draft, report, gap), report.avg_px)
        elif draft.order.gap is None or draft.order.gap[0] < claimed:
            draft.emit(
                GapSeen, (Flag.GAP,), claimed_qty=claimed, claimed_avg_px=report.avg_px, gap_qty=gap
            )
    elif gap < 0 and not _is_explained(draft, report):
        draft.dispute("CUM_QTY_BELOW", f"cum_qty {plain(claimed)}",
                      f"cum_qty {plain(EXACT.subtract(claimed, gap))}")  # fmt: skip


def _is_explained(draft: Draft, report: OrderReport) -> bool:
    """Tell whether a claim below ours is no contradiction: older, or of a time before the fills."""
    if report.exec_type in _BEFORE_FILLS:
        return True
    ts, said = report.ts_event, draft.order.ts_said
    if ts is not None and said is not None and ts < said:
        return True
    if report.exec_type is ExecType.TRADE:
        replaced = any(isinstance(e, OrderFilled) and e.replaces for e in draft.events)
        return replaced or (ts is not None and ts == draft.order.ts_fact)
    return False


def infer(
    draft: Draft, qty: Decimal, claimed: Decimal, px: Decimal | None, claimed_px: Decimal | None
) -> None:
    """Book *qty* that the venue counts and nobody told us of, at *px* (None is unknown)."""
    fill_no = draft.next_fill_no
    draft.next_fill_no += 1
    held = EXACT.subtract(claimed, qty)
    identity = f"{_INFERRED}{fill_no}:{plain(held)}-{plain(claimed)}"
    draft.fills[fill_no] = Fill(
        fill_no, identity, None, qty, px, qty, px, draft.ts_event, claimed, is_inferred=True
    )
    draft.inferred = [*draft.inferred, Inferred(fill_no, qty, px, claimed, draft.ts_event)]
    draft.now.add(qty, px)
    flags: list[str] = [Flag.INFERRED]
    if draft.was_over:
        flags.append(Flag.LATE_FILL)
    if draft.now.order_qty is not None and draft.now.cum_qty > draft.now.order_qty:
        flags.append(Flag.OVERFILL)
    if px is None:
        flags.append(Flag.UNKNOWN_PRICE)
    draft.emit(
        FillInferred,
        tuple(flags),
        exec_id=None,
        fill_no=fill_no,
        trade_id=identity,
        last_qty=qty,
        last_px=px,
        claimed_qty=claimed,
        claimed_avg_px=claimed_px,
    )
