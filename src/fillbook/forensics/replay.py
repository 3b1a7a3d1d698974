"""Answer for a moment in the past: what the robot could know then, or what had happened by then.

Two clocks.  *Known at*: the log up to that moment (received time, else recorded time), nothing that
came later; when a file was imported says nothing about when its messages were known.  *Happened
by*: by the venue's time, with all we know now (or up to a seq), each fill in its place and at the
figures it had then.  Corrections never erase what was believed before them.
"""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import groupby
from operator import attrgetter

from attrs import define, frozen

from fillbook.core.book import Book
from fillbook.core.events import (
    CashMoved,
    InstrumentMarked,
    InstrumentSplit,
    OrderCancelRequested,
    OrderEvent,
    OrderReplaceRequested,
    OrderSubmitted,
)
from fillbook.core.exact import EXACT
from fillbook.core.folding import apply_states, fold_order, open_order
from fillbook.core.holdings import PositionView
from fillbook.core.operator_events import PositionAdjusted
from fillbook.core.orders import Order
from fillbook.core.positions import Position
from fillbook.core.values import Contract, Flag
from fillbook.log.port import LEDGER_STREAM, Reader, Record

__all__ = ["Moment", "happened_by", "known_seq", "orders_upto"]

_REQUESTS = {each.type for each in (OrderSubmitted, OrderCancelRequested, OrderReplaceRequested)}


def known_seq(reader: Reader, ts: int) -> int:
    """Return the last seq that was known at *ts*: up to the first record that was not.

    An imported request was known when we made it.  The ledger's own notes, and imported messages
    without any time of ours, were known as soon as anything that stands after them.
    """
    last = 0
    for record in reader.records():
        known = _known(record)
        if known is None:
            if record.ts_recorded > ts:
                continue
        elif known > ts:
            break
        last = record.seq
    return last


def _known(record: Record) -> int | None:
    """Return when we knew of *record*; None where only what stands after it can tell."""
    if record.ts_received is not None:
        return record.ts_received
    if record.stream == LEDGER_STREAM:
        return None
    if record.actor != "IMPORT":
        return record.ts_recorded
    return record.ts_event if record.type in _REQUESTS else None


def orders_upto(reader: Reader, book: Book, upto: int | None = None) -> Iterator[Order]:
    """Yield every order as of *upto*, one at a time, by first appearance."""
    for stream, records in groupby(reader.order_records(upto), attrgetter("stream")):
        order: Order | None = None
        for record in records:
            event = record.event
            assert isinstance(event, OrderEvent)
            if order is None:
                order = open_order(stream, event)
            fold_order(order, event, book.machine)
        assert order is not None
        yield order


@frozen
class _Entry:
    """One thing that moved a position: a trade, a fee, a split, cash or an adjustment."""

    ts: int
    seq: int
    move: Callable[[Position], None]


@define
class Moment:
    """What had happened by a time.

    Attributes:
        orders: Each order as the venue had it then, by first appearance.
        positions: Each position, its fills in the order in which they happened.
    """

    orders: list[Order]
    positions: list[PositionView]


def happened_by(
    reader: Reader, book: Book, ts: int, *, upto: int | None = None, marks: dict[str, Decimal]
) -> Moment:
    """Return orders and positions as they had happened by *ts* (ns), as far as seq *upto* knows.

    What carries no venue time counts from when it was recorded.  *book* is the fold up to *upto*.
    """
    entries: dict[tuple[str, str], list[_Entry]] = {}
    orders = []
    for stream, records in groupby(reader.order_records(upto), attrgetter("stream")):
        order = _order_at(stream, records, ts, entries)
        if order is not None:
            orders.append(order)
    _other_entries(reader, ts, upto, entries)
    marks = _marks_at(reader, book, ts, upto) | marks
    views = []
    for position in book.positions.all():
        key = (position.account_id, position.instrument_id)
        moved = sorted(entries.get(key, []), key=lambda entry: (entry.ts, entry.seq))
        if not moved:
            continue
        definition = book.instruments.get(position.instrument_id)
        twin = Position(
            position.number,
            position.account_id,
            position.instrument_id,
            Contract.LINEAR if definition is None else definition.contract,
            None if definition is None else definition.base_currency,
        )
        for entry in moved:
            entry.move(twin)
        views.append(twin.view(definition, marks.get(position.instrument_id)))
    return Moment(orders, views)


def _order_at(
    stream: int, records: Iterable[Record], ts: int, entries: dict[tuple[str, str], list[_Entry]]
) -> Order | None:
    """Return an order as of *ts* by the venue's clock, and note what its fills moved by then."""
    timed: list[tuple[int, int, OrderEvent]] = []
    known: Order | None = None
    seqs: dict[int, tuple[int, int]] = {}
    machine = Book().machine
    for record in records:
        event = record.event
        assert isinstance(event, OrderEvent)
        if known is None:
            known = open_order(stream, event)
        before = len(known.fills)
        fold_order(known, event, machine)
        when = event.ts_event if event.ts_event is not None else record.ts_recorded
        if len(known.fills) > before:
            seqs[len(known.fills)] = (when, record.seq)
        timed.append((when, record.seq, event))
    assert known is not None
    past = [event for when, _, event in sorted(timed, key=lambda each: each[:2]) if when <= ts]
    if not past:
        return None
    order = open_order(stream, past[0])
    for event in past:
        apply_states(order, event)
    for fill_no, fill in known.fills.items():
        when, seq = seqs[fill_no]
        qty = fill.qty if fill.is_inferred else fill.qty_at(ts)
        if when > ts or not qty:
            continue
        px = fill.px_at(ts)
        order.standing.add(qty, px)
        if fill.is_inferred and Flag.INFERRED not in order.flags:
            order.flags.append(Flag.INFERRED)
        for currency, fee in fill.commissions.items():
            paid = order.commissions.get(currency, Decimal(0))
            order.commissions[currency] = EXACT.add(paid, fee)
        key = (order.account_id, order.instrument_id)
        signed = qty if order.sign > 0 else qty.copy_negate()
        entries.setdefault(key, []).append(
            _Entry(when, seq, _trade(signed, px, dict(fill.commissions)))
        )
    order.order_status = order.standing.status()
    order.ts_closed = order.ts_closed if order.is_closed else None
    return order


def _trade(
    qty: Decimal, px: Decimal | None, fees: dict[str, Decimal]
) -> Callable[[Position], None]:
    def move(position: Position) -> None:
        position.trade_exact(qty, px)
        for currency, fee in fees.items():
            position.charge(currency, fee, px)

    return move


def _other_entries(
    reader: Reader, ts: int, upto: int | None, entries: dict[tuple[str, str], list[_Entry]]
) -> None:
    """Note the splits, the cash and the adjustments that had happened by *ts*."""
    for row in reader.rows(upto=upto):
        seq, op, status = row[0], row[1], row[3]
        if op != 2 or status is not None:
            continue
        for record in reader.records(after=seq - 1, upto=seq):
            event = record.event
            when = record.ts_recorded if event.ts_event is None else event.ts_event
            if when > ts:
                continue
            if isinstance(event, CashMoved):
                entries.setdefault((event.account_id, event.instrument_id), []).append(
                    _Entry(when, seq, _receive(event))
                )
            elif isinstance(event, PositionAdjusted):
                entries.setdefault((event.account_id, event.instrument_id), []).append(
                    _Entry(when, seq, _shift(event))
                )
            elif isinstance(event, InstrumentSplit):
                for key in entries:
                    if key[1] == event.instrument_id:
                        entries[key].append(_Entry(when, seq, _split(event)))


def _marks_at(reader: Reader, book: Book, ts: int, upto: int | None) -> dict[str, Decimal]:
    """Return the last price of each instrument by *ts*."""
    if not book.marks:
        return {}
    found: dict[str, tuple[int, Decimal]] = {}
    for row in reader.rows(upto=upto):
        seq, op, stream, status = row[:4]
        if op != 3 or status is not None or stream == LEDGER_STREAM:
            continue
        for record in reader.records(after=seq - 1, upto=seq):
            if record.type != InstrumentMarked.type:
                continue
            event = record.event
            assert isinstance(event, InstrumentMarked)
            when = record.ts_recorded if event.ts_event is None else event.ts_event
            if when <= ts and when >= found.get(event.instrument_id, (when,))[0]:
                found[event.instrument_id] = when, event.px
    return {instrument_id: px for instrument_id, (_, px) in found.items()}


def _receive(event: CashMoved) -> Callable[[Position], None]:
    return lambda position: position.receive(event.currency, event.amount)


def _shift(event: PositionAdjusted) -> Callable[[Position], None]:
    return lambda position: position.shift(event.adjusted_qty, event.px)


def _split(event: InstrumentSplit) -> Callable[[Position], None]:
    return lambda position: position.split(event.numerator, event.denominator)
