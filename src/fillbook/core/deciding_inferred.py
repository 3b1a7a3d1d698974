"""Decide what was filled that no trade told us of, and how much of it the facts still leave open.

A cumulative claim is judged as of its own time: against the fills known to have happened by then,
so that messages out of order lead to the same book.  What it counts above them is inferred, until
later trades, busts and corrections account for it.
"""

from decimal import Decimal

from attrs import evolve

from fillbook.core.draft import Draft
from fillbook.core.events import (
    FillInferred,
    GapSeen,
    InferredFillReleased,
    OrderFilled,
    Replacement,
)
from fillbook.core.exact import EXACT, ROUNDED, plain
from fillbook.core.orders import Fill, Inferred
from fillbook.core.reports import OrderReport
from fillbook.core.values import ExecType, Flag, OrderStatus

__all__ = [
    "INFERRED_PREFIX",
    "close_gap",
    "infer",
    "price_inferred",
    "px_from_average",
    "release_inferred",
    "replaced_by",
    "replacement_of",
    "settle_inferred",
    "shrink_inferred",
]

_ZERO = Decimal(0)
INFERRED_PREFIX = "inferred-"
"""What the ids of inferred fills begin with; the log refuses a second fill under one."""
_BEFORE_FILLS = {ExecType.NEW, ExecType.PENDING_NEW, ExecType.TRIGGERED}


# ---- the cumulative claim


def close_gap(draft: Draft, report: OrderReport) -> None:
    """Judge the report's cumulative quantity: infer what is missing, dispute what is too little.

    Emits one `FillInferred` where the policy waits for nothing, else one `GapSeen` for a claim
    higher than the last one seen; an `OrderDisputed` for a claim below what it must count, unless
    its time explains that; and what `price_inferred` emits.
    """
    claimed = report.cum_qty if report.cum_qty is not None else _implied_qty(draft, report)
    if claimed is None:
        return
    ts = report.ts_event
    if draft.is_late(ts) and claimed <= draft.now.cum_qty:
        return  # older than what we hold, and not more than it
    gap = EXACT.subtract(claimed, draft.counted_by(claimed, ts)[0])
    if gap > 0:
        if draft.policy.wait_ns == 0:
            px = px_from_average(draft, claimed, report.avg_px, ts, gap)
            infer(draft, gap, claimed, px, report.avg_px)
        elif draft.order.gap is None or draft.order.gap[0] < claimed:
            draft.emit(
                GapSeen, (Flag.GAP,), claimed_qty=claimed, claimed_avg_px=report.avg_px, gap_qty=gap
            )
    elif gap < 0 and not _is_explained(draft, report):
        draft.dispute("CUM_QTY_BELOW", f"cum_qty {plain(claimed)}",
                      f"cum_qty {plain(EXACT.subtract(claimed, gap))}")  # fmt: skip
    price_inferred(draft, claimed, report.avg_px)


def _implied_qty(draft: Draft, report: OrderReport) -> Decimal | None:
    """Return what a poll without a total says was filled, base units; None where it says nothing.

    A filled order is filled for what it asked for, one in part for what is not left of it; both
    figures must be the poll's own, ours may be those before a replacement it knows of.

    Source: LeavesQty (tag 151) = OrderQty (38) - CumQty (14), FIX 4.4 volume 4.
    """
    if not report.is_snapshot:
        return None
    if report.order_status is OrderStatus.FILLED:
        return draft.now.order_qty
    if report.order_status is not OrderStatus.PARTIALLY_FILLED or report.order_qty is None:
        return None
    if report.leaves_qty is None or report.leaves_qty >= report.order_qty:
        return None
    return EXACT.subtract(report.order_qty, report.leaves_qty)


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
    """Book *qty* that the venue counts and nobody told us of, at *px* (None is unknown).

    Emits one `FillInferred`.

    Args:
        draft: The decision; its standing, fills and inferred quantity gain the fill.
        qty: Base units, > 0.
        claimed: The total that the venue told, base units; what we held of it is `claimed - qty`.
        px: Quote per base unit, at which the fill is booked.
        claimed_px: The average that the venue told with its total, quote per base; None untold.
    """
    fill_no = draft.next_fill_no
    draft.next_fill_no += 1
    held = EXACT.subtract(claimed, qty)
    identity = f"{INFERRED_PREFIX}{fill_no}:{plain(held)}-{plain(claimed)}"
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


def px_from_average(
    draft: Draft, claimed: Decimal, avg_px: Decimal | None, ts: int | None, qty: Decimal
) -> Decimal | None:
    """Return the price at which *qty* makes our average the venue's.

        px = (claimed * avg_px - known notional) / qty

    *claimed* is the total that the venue told at *ts* (ns UTC) with its average, *qty* what of it
    has no price yet; both base units, > 0.  The price is in quote per base unit, rounded as
    `ROUNDED` does.  None where the venue told no average or a price we hold is unknown.  Linear:
    AvgPx (tag 6) is taken as the plain quantity-weighted mean.

    Source: AvgPx (tag 6) and CumQty (tag 14), FIX 4.4 volume 4.
    """
    known = None if avg_px is None else draft.counted_by(claimed, ts)[1]
    if avg_px is None or known is None:
        return None
    return ROUNDED.divide(EXACT.subtract(EXACT.multiply(claimed, avg_px), known), qty)


def price_inferred(draft: Draft, claimed: Decimal, avg_px: Decimal | None) -> None:
    """Price what was inferred without a price, where the venue's average tells it now.

    It must count exactly what we hold, and nothing else may lack a price.  Emits one
    `InferredFillReleased` that takes no quantity away and leaves the price; several such fills get
    the same.
    """
    unpriced_qty = draft.now.unpriced_qty
    if not unpriced_qty or avg_px is None or claimed != draft.now.cum_qty:
        return
    unpriced = [each for each in draft.inferred if each.px is None]
    held = _ZERO
    for each in unpriced:
        held = EXACT.add(held, each.qty)
    if held != unpriced_qty:
        return
    total = EXACT.multiply(claimed, avg_px)
    px = ROUNDED.divide(EXACT.subtract(total, draft.now.notional), unpriced_qty)
    parts = [
        Replacement(fill_no=each.fill_no, qty=_ZERO, left_qty=each.qty, left_px=px)
        for each in unpriced
    ]
    release_inferred(draft, parts)


# ---- what takes the place of inferred quantity


def replaced_by(
    draft: Draft, report: OrderReport, fill: Fill, before: Decimal, busted_ts: int | None
) -> tuple[Replacement, ...]:
    """Return which inferred quantity the true *fill* takes the place of.

    A fill that happened before the evidence is part of what was inferred from it: what is left is
    what the evidence still does not account for.  A later one (or one without time) replaces,
    unless its own `cum_qty` counts it on top.

    Args:
        draft: The decision, with *fill* among its fills; nothing is changed or emitted here.
        report: The report that told the fill.
        fill: A true fill, its quantity in base units.
        before: What was filled by the fill's time without it, base units.
        busted_ts: When a bust that waits for the fill was said, ns UTC; None where none waits or
            it told no time.

    Returns:
        One part for each inferred fill that gives up quantity, together at most the fill's own.
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
            parts.append(replacement_of(inferred, take, fill.px))
            earlier = EXACT.add(earlier, parts[-1].left_qty)
        else:
            earlier = EXACT.add(earlier, inferred.qty)
    return tuple(parts)


def replacement_of(inferred: Inferred, take: Decimal, px: Decimal | None) -> Replacement:
    """Return what is left of *inferred*, priced anew so that the whole costs what it did.

    *take*, base units, is replaced at *px*, quote per base unit.  The rest keeps its price where
    either price is unknown, or where the new one would not be on the same side of zero.
    """
    left = EXACT.subtract(inferred.qty, take)
    left_px = inferred.px if left else None
    if left and inferred.px is not None and px is not None:
        rest = EXACT.subtract(EXACT.multiply(inferred.qty, inferred.px), EXACT.multiply(take, px))
        repriced = ROUNDED.divide(rest, left)
        if (repriced > 0) == (inferred.px > 0):
            left_px = repriced
    return Replacement(fill_no=inferred.fill_no, qty=take, left_qty=left, left_px=left_px)


def shrink_inferred(draft: Draft, part: Replacement) -> None:
    """Take the replaced quantity out of the standing and out of what is still inferred.

    Nothing is emitted: the caller tells of *part* in the event that it makes.
    """
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
    """Release inferred quantity that the facts account for now (an amendment came).

    Emits one `InferredFillReleased`, or nothing where everything inferred is still needed.
    """
    parts = []
    earlier = _ZERO
    for inferred in draft.inferred:
        if inferred.ts is None:
            continue
        known = EXACT.add(draft.true_qty_at(inferred.ts), earlier)
        still = max(EXACT.subtract(inferred.claimed_qty, known), _ZERO)
        if still < inferred.qty:
            parts.append(replacement_of(inferred, EXACT.subtract(inferred.qty, still), inferred.px))
        earlier = EXACT.add(earlier, min(still, inferred.qty))
    release_inferred(draft, parts)


def release_inferred(draft: Draft, parts: list[Replacement]) -> None:
    """Give up *parts* of the inferred quantity with no new fill in their place.

    Emits one `InferredFillReleased` of all of them; nothing where there are none.
    """
    if not parts:
        return
    for part in parts:
        shrink_inferred(draft, part)
    draft.emit(InferredFillReleased, releases=tuple(parts))
