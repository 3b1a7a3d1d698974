"""Decide what a report that concerns no order means: an instrument, money, a holding, a price.

As with `decide` a claim goes in and an event comes out, and nothing is touched.  What is told each
time anew and may be booked only once comes with a key: whether that is on record the log alone can
tell.
"""

from attrs import frozen

from fillbook.core.book import Book
from fillbook.core.events import (
    CashMoved,
    Event,
    InstrumentDefined,
    InstrumentMarked,
    InstrumentSplit,
    PositionReported,
)
from fillbook.core.exact import plain
from fillbook.core.holdings import FARTHEST_SPLITS
from fillbook.core.operator_events import PositionAdjusted
from fillbook.core.reports import (
    BalanceReport,
    CashReport,
    InstrumentReport,
    MarkReport,
    PositionReport,
    SplitReport,
    TransferReport,
)

__all__ = ["Decided", "OtherReport", "decide_other"]

OtherReport = (
    InstrumentReport
    | SplitReport
    | CashReport
    | TransferReport
    | PositionReport
    | MarkReport
    | BalanceReport
)


@frozen(kw_only=True)
class Decided:
    """The event that a report leads to, unless its key is on record.

    Attributes:
        key: What the log knows it by; None where it is news however often it is told.
        stream: The stream that it goes to; None where it begins one.
        position: The number of the position that it moves, 0 for a new one; None for none.
        problem: Why the message is set aside instead; None where the event can be booked.
    """

    event: Event
    key: str | None = None
    stream: int | None = None
    position: int | None = None
    problem: str | None = None


def decide_other(book: Book, report: OtherReport) -> Decided | None:
    """Return what *report* adds to *book*; None where it says what is on record already."""
    if isinstance(report, InstrumentReport):
        return _instrument(book, report)
    if isinstance(report, SplitReport):
        return _split(book, report)
    if isinstance(report, CashReport):
        return _cash(book, report)
    if isinstance(report, TransferReport):
        return _transfer(book, report)
    if isinstance(report, PositionReport):
        return _position(book, report)
    if isinstance(report, MarkReport):
        return _mark(book, report)
    assert isinstance(report, BalanceReport)  # a sum of what is told one by one: only compared
    return None


def _instrument(book: Book, report: InstrumentReport) -> Decided | None:
    event = InstrumentDefined(
        instrument_id=report.instrument_id,
        contract=report.contract,
        multiplier=report.multiplier,
        base_currency=report.base_currency,
        quote_currency=report.quote_currency,
        settlement_currency=report.settlement_currency,
        qty_step=report.qty_step,
        px_step=report.px_step,
        lot_size=report.lot_size,
        **_times(report),
    )
    held = book.instruments.get(report.instrument_id)
    if held is not None and _same_definition(held, event):
        return None
    return Decided(event=event, stream=book.instrument_streams.get(report.instrument_id))


def _same_definition(held: InstrumentDefined, new: InstrumentDefined) -> bool:
    return all(
        getattr(held, name) == getattr(new, name)
        for name in (
            "contract", "multiplier", "base_currency", "quote_currency", "settlement_currency",
            "qty_step", "px_step", "lot_size",
        )
    )  # fmt: skip


def _split(book: Book, report: SplitReport) -> Decided:
    key = problem = None
    if report.ts_event is not None:
        ratio = f"{plain(report.numerator)}/{plain(report.denominator)}"
        key = f"split:{report.instrument_id}:{ratio}:{report.ts_event}"
    event = InstrumentSplit(
        instrument_id=report.instrument_id,
        numerator=report.numerator,
        denominator=report.denominator,
        **_times(report),
    )
    if book.reach_with(event) > FARTHEST_SPLITS:
        problem = (
            f"numerator and denominator: with the earlier splits of {report.instrument_id!r} "
            "quantities would move by a factor of more than 1e60; check the ratio and the times"
        )
    return Decided(event=event, key=key, problem=problem)


def _cash(book: Book, report: CashReport) -> Decided:
    key = None
    if report.ts_event is not None:
        key = (
            f"cash:{report.account_id}:{report.instrument_id}:{report.reason}:"
            f"{plain(report.amount)}:{report.currency}:{report.ts_event}"
        )
    event = CashMoved(
        account_id=report.account_id,
        instrument_id=report.instrument_id,
        amount=report.amount,
        currency=report.currency,
        reason=report.reason,
        **_times(report),
    )
    return Decided(event=event, key=key, position=_number(book, report))


def _transfer(book: Book, report: TransferReport) -> Decided:
    key = f"transfer:{report.account_id}:{report.instrument_id}:{report.transfer_id}"
    event = PositionAdjusted(
        account_id=report.account_id,
        instrument_id=report.instrument_id,
        adjusted_qty=report.transferred_qty,
        by="the venue",
        reason=f"transfer {report.transfer_id}",
        px=report.px,
        **_times(report),
    )
    return Decided(event=event, key=key, position=_number(book, report))


def _position(book: Book, report: PositionReport) -> Decided | None:
    event = PositionReported(
        account_id=report.account_id,
        instrument_id=report.instrument_id,
        position_qty=report.position_qty,
        avg_px=report.avg_px,
        **_times(report),
    )
    if book.reported.get((report.account_id, report.instrument_id)) == event:
        return None
    return Decided(event=event)


def _mark(book: Book, report: MarkReport) -> Decided | None:
    if book.marks.get(report.instrument_id) == report.px:
        return None
    event = InstrumentMarked(instrument_id=report.instrument_id, px=report.px, **_times(report))
    return Decided(event=event)


def _number(book: Book, report: CashReport | TransferReport) -> int:
    return book.positions.number(report.account_id, report.instrument_id) or 0


def _times(report: OtherReport) -> dict[str, int | None]:
    return {"ts_event": report.ts_event, "ts_received": report.ts_received}
