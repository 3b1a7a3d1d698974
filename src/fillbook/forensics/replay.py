"""Answer for a moment in the past: what the robot could know then, or what had happened by then.

Two clocks.  *Known at*: the log up to that moment (received time, else recorded time), nothing that
came later; when a file was imported says nothing about when its messages were known.  *Happened
by*: by the venue's time, with all we know now (or up to a seq), each fill in its place and at the
figures it had then.  Corrections never erase what was believed before them.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Literal

from attrs import define

from fillbook.core.book import Book
from fillbook.core.events import (
    CashMoved,
    InstrumentDefined,
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
from fillbook.core.lifecycle import Lifecycle
from fillbook.core.lots import LotBook
from fillbook.core.operator_events import PositionAdjusted
from fillbook.core.orders import Order
from fillbook.core.positions import Position
from fillbook.core.values import Contract, Flag
from fillbook.forensics.venue_time import Move, fill_stories, other_move, time_of, trade
from fillbook.log.port import LEDGER_STREAM, Reader, Record

__all__ = ["Method", "Moment", "happened_by", "known_seq", "orders_upto"]

Method = Literal["average", "fifo", "lifo"]
"""How a closing fill finds what it closes."""

_OTHERS = (CashMoved, InstrumentMarked, InstrumentSplit, PositionAdjusted)
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


@define
class Moment:
    """What had happened by a time.

    Attributes:
        orders: Each order as the venue had it then, by first appearance.
        positions: Each position, its fills in the order in which they happened.
    """

    orders: list[Order]
    positions: list[PositionView]


_Moves = dict[tuple[str, str], list[Move]]
"""What moved each position, by account and instrument."""


def happened_by(
    reader: Reader,
    book: Book,
    ts: int,
    *,
    upto: int | None = None,
    marks: dict[str, Decimal],
    method: Method = "average",
) -> Moment:
    """Return orders and positions as they had happened by *ts* (ns), as far as seq *upto* knows.

    `venue_time` says in what order.  *book* is the fold up to *upto*.
    """
    moves: _Moves = {}
    orders = []
    for stream, records in groupby(reader.order_records(upto), attrgetter("stream")):
        order = _order_at(stream, records, ts, book.machine, moves)
        if order is not None:
            orders.append(order)
    splits, told = _other_moves(reader, ts, upto, moves)
    marks = told | marks
    views = []
    for position in book.positions.all():
        moved = moves.get((position.account_id, position.instrument_id))
        if not moved:
            continue
        definition = book.instruments.get(position.instrument_id)
        twin = _empty(position, definition, method)
        moved += splits.get(position.instrument_id, ())
        for move in sorted(moved, key=lambda move: move.place):
            move.apply(twin)
        views.append(twin.view(definition, marks.get(position.instrument_id)))
    return Moment(orders, views)


def _empty(
    position: Position, definition: InstrumentDefined | None, method: Method
) -> Position | LotBook:
    """Return a position in the same, never traded."""
    contract = Contract.LINEAR if definition is None else definition.contract
    base_currency = None if definition is None else definition.base_currency
    whose = position.account_id, position.instrument_id
    if method == "average":
        return Position(position.number, *whose, contract, base_currency)
    return LotBook(method, *whose, contract, base_currency)


def _order_at(
    stream: int, records: Iterable[Record], ts: int, machine: Lifecycle, moves: _Moves
) -> Order | None:
    """Return an order as of *ts* by the venue's clock, and note what its fills moved by then."""
    timed: list[tuple[int, OrderEvent]] = []
    for record in records:
        event = record.event
        assert isinstance(event, OrderEvent)
        timed.append((time_of(record), event))
    known = open_order(stream, timed[0][1])

    def fold(event: OrderEvent) -> Order:
        fold_order(known, event, machine)
        return known

    stories = fill_stories(timed, fold)
    past = [event for when, event in sorted(timed, key=itemgetter(0)) if when <= ts]
    if not past:
        return None
    order = open_order(stream, past[0])
    for event in past:
        apply_states(order, event)
    for story in stories.values():
        if story.ts > ts:
            continue
        move = trade(story, order.sign, ts)
        if move is not None:
            moves.setdefault((order.account_id, order.instrument_id), []).append(move)
        qty, px = story.order_figures_at(ts)
        if qty or not story.is_inferred:  # one that was busted since proves the order's arrival too
            order.standing.add(qty, px)
        if qty and story.is_inferred and Flag.INFERRED not in order.flags:
            order.flags.append(Flag.INFERRED)
        for currency, fee in story.fees_at(ts).items():
            paid = order.commissions.get(currency, Decimal(0))
            order.commissions[currency] = EXACT.add(paid, fee)
    order.order_status = order.standing.status()
    order.ts_closed = order.ts_closed if order.is_closed else None
    return order


def _other_moves(
    reader: Reader, ts: int, upto: int | None, moves: _Moves
) -> tuple[dict[str, list[Move]], dict[str, Decimal]]:
    """Note the cash and the adjustments by *ts*; return splits and last prices by instrument."""
    splits: dict[str, list[Move]] = {}
    prices: dict[str, tuple[int, Decimal]] = {}
    for record in reader.records_of(_OTHERS, upto):
        event, when = record.event, time_of(record)
        if when > ts:
            continue
        if isinstance(event, InstrumentMarked):
            if when >= prices.get(event.instrument_id, (when,))[0]:
                prices[event.instrument_id] = when, event.px
            continue
        move = other_move(event, when)
        assert move is not None, event
        if isinstance(event, InstrumentSplit):
            splits.setdefault(event.instrument_id, []).append(move)
        elif isinstance(event, (CashMoved, PositionAdjusted)):
            moves.setdefault((event.account_id, event.instrument_id), []).append(move)
    return splits, {instrument_id: px for instrument_id, (_, px) in prices.items()}
