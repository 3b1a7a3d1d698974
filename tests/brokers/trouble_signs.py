"""Find each trouble of a paper day in its messages alone, whatever the day says of itself."""

from collections.abc import Callable
from decimal import Decimal

from brokers.paper_day import Day
from brokers.paper_scenes import Trouble
from fillbook.core.commands import CancelOrder, ReplaceOrder
from fillbook.core.reports import CancelReject, CashReport, CommissionReport, OrderReport
from fillbook.core.values import ExecType, OrderStatus


def reports(day: Day) -> list[OrderReport]:
    return [each for each in day.messages if isinstance(each, OrderReport)]


def trades(day: Day) -> list[OrderReport]:
    return [each for each in reports(day) if each.exec_type is ExecType.TRADE]


def has_duplicate(day: Day) -> bool:
    ids = [each.exec_id for each in reports(day) if each.exec_id]
    return len(ids) > len(set(ids))


def has_reordered(day: Day) -> bool:
    latest: dict[str, int] = {}
    for each in reports(day):
        known = latest.get(each.venue_order_id, 0)
        is_late_fill = each.order_status is OrderStatus.CANCELED
        if each.exec_id and each.ts_event < known and not is_late_fill and not each.poss_dup:
            return True
        latest[each.venue_order_id] = max(known, each.ts_event)
    return False


def has_late_fill(day: Day) -> bool:
    canceled: dict[str, OrderReport] = {}
    for each in reports(day):
        if each.exec_type is ExecType.CANCELED:
            canceled[each.venue_order_id] = each
        cancel = canceled.get(each.venue_order_id)
        if cancel is None or each.exec_type is not ExecType.TRADE:
            continue
        if each.cum_qty > cancel.cum_qty and each.ts_event < cancel.ts_event:
            return True
    return False


def has_lost_fill(day: Day) -> bool:
    """A poll shows more than every report before it, and no report ever tells that fill."""
    told = {each.trade_id for each in trades(day)}
    lost = {row["venue_order_id"]: Decimal(row["last_qty"])
            for row in day.exchange.truth()["fills"] if row["trade_id"] not in told}  # fmt: skip
    cum: dict[str, Decimal] = {}
    for each in reports(day):
        known = cum.get(each.venue_order_id, Decimal(0))
        if each.is_snapshot and each.cum_qty - known == lost.get(each.venue_order_id, -1):
            return True
        cum[each.venue_order_id] = max(known, each.cum_qty)
    return False


def has_late_commission(day: Day) -> bool:
    bare = {each.trade_id for each in trades(day) if each.commission is None}
    told = {each.trade_id for each in day.messages if isinstance(each, CommissionReport)}
    return bool(bare) and bare <= told


def has_amendment(exec_type: ExecType) -> Callable[[Day], bool]:
    def has(day: Day) -> bool:
        known = {each.exec_id for each in trades(day)}
        named = [each.exec_ref_id for each in reports(day) if each.exec_type is exec_type]
        return bool(named) and set(named) <= known

    return has


def has_overfill(day: Day) -> bool:
    return any(each.cum_qty > each.order_qty for each in trades(day))


def has_contradiction(day: Day) -> bool:
    latest: dict[str, OrderReport] = {}
    for each in reports(day):
        known = latest.get(each.venue_order_id)
        is_later = known is not None and each.ts_event > known.ts_event
        if each.is_snapshot and is_later and each.cum_qty < known.cum_qty:
            return True
        latest[each.venue_order_id] = each
    return False


def has_cancel_too_late(day: Day) -> bool:
    cancels = {each.client_order_id for each in day.messages if isinstance(each, CancelOrder)}
    return any(
        isinstance(each, CancelReject)
        and each.reason == "TOO_LATE_TO_CANCEL"
        and each.order_status is OrderStatus.FILLED
        and each.client_order_id in cancels
        for each in day.messages
    )


def has_replaced(day: Day) -> bool:
    asked = {each.client_order_id for each in day.messages if isinstance(each, ReplaceOrder)}
    done = {e.client_order_id for e in reports(day) if e.exec_type is ExecType.REPLACED}
    return bool(done) and done <= asked


def has_replace_refused(day: Day) -> bool:
    asked = {each.client_order_id for each in day.messages if isinstance(each, ReplaceOrder)}
    refused = {e.client_order_id for e in day.messages if isinstance(e, CancelReject)}
    return bool(asked & refused)


def has_rejection(reason: str, text: str) -> Callable[[Day], bool]:
    def has(day: Day) -> bool:
        return any(
            each.order_status is OrderStatus.REJECTED
            and each.reason == reason
            and text in each.text
            for each in reports(day)
        )

    return has


def has_external_order(day: Day) -> bool:
    return any(each.client_order_id is None and each.venue_order_id for each in trades(day))


def has_funding(day: Day) -> bool:
    paid = [each for each in day.messages if isinstance(each, CashReport)]
    return any(
        (each.instrument_id, each.currency, each.reason) == ("BTCUSD", "BTC", "FUNDING")
        and each.amount
        for each in paid
    )


SIGNS: dict[Trouble, Callable[[Day], bool]] = {
    Trouble.DUPLICATE_REPORT: has_duplicate,
    Trouble.REORDERED: has_reordered,
    Trouble.LATE_FILL: has_late_fill,
    Trouble.LOST_FILL: has_lost_fill,
    Trouble.LATE_COMMISSION: has_late_commission,
    Trouble.BUST: has_amendment(ExecType.TRADE_CANCEL),
    Trouble.CORRECTION: has_amendment(ExecType.TRADE_CORRECT),
    Trouble.OVERFILL: has_overfill,
    Trouble.CONTRADICTION: has_contradiction,
    Trouble.CANCEL_TOO_LATE: has_cancel_too_late,
    Trouble.REPLACED: has_replaced,
    Trouble.REPLACE_REFUSED: has_replace_refused,
    Trouble.UNKNOWN_INSTRUMENT: has_rejection("UNKNOWN_SYMBOL", "not listed"),
    Trouble.BAD_PRICE: has_rejection("OTHER", "no multiple"),
    Trouble.TOO_LARGE: has_rejection("EXCEEDS_LIMIT", "above the limit"),
    Trouble.EXTERNAL_ORDER: has_external_order,
    Trouble.FUNDING: has_funding,
}
