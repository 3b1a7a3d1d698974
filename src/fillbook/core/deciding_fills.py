"""Decide what a report says was traded: how much, at what price, and whether we know it already.

A trade is booked once, by the venue's id for it or else by its content, and whatever the order's
status: it is money.  It takes the place of quantity that was inferred (`deciding_inferred`), and
what came before it and amends it is applied (`deciding_amendments`).
"""

import hashlib
from decimal import Decimal

from fillbook.core.deciding_amendments import apply_waiting, waiting_for
from fillbook.core.deciding_inferred import (
    INFERRED_PREFIX,
    px_from_average,
    replaced_by,
    settle_inferred,
    shrink_inferred,
)
from fillbook.core.draft import Draft
from fillbook.core.events import CommissionChanged, OrderFilled
from fillbook.core.exact import EXACT, plain
from fillbook.core.orders import Fill
from fillbook.core.reports import OrderReport
from fillbook.core.values import ExecType, Flag, OrderStatus

__all__ = ["book_trade"]

_ZERO = Decimal(0)


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
    if identity is not None and identity.startswith(INFERRED_PREFIX):
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
        px = px_from_average(draft, claimed, report.avg_px, report.ts_event, qty)
        if px is not None:
            return px
    return report.last_px


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

    waiting = waiting_for(draft, fill, frozenset())
    held_ts = waiting[1].ts if waiting is not None and waiting[1].qty is None else None
    parts = replaced_by(draft, report, fill, before, held_ts) if draft.inferred else ()
    taken = _ZERO
    for part in parts:
        taken = EXACT.add(taken, part.qty)
        shrink_inferred(draft, part)
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
    apply_waiting(draft, fill_no, set())
    if draft.inferred:
        settle_inferred(draft)
