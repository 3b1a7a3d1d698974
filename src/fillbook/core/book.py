"""Hold the book: every order and position, as the fold of a log and nothing else.

`Book.apply` takes records in their sequence.  Orders and positions are two folds over the same
records that know nothing of each other.  A position is kept as it would be had every fill been
from the start what it is now: when a bust, a correction or a true fill in an inferred one's place
changes the past, the position is stale and is folded anew from its own records when it is next
asked for.

Needs neither SQLite nor a clock.  Where the records come from again is `History`'s business;
without one the book keeps everything it was given.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Protocol

from fillbook.core.agreement import AGREEMENT_EVENTS, Agreements
from fillbook.core.control import CONTROL_EVENTS, Control
from fillbook.core.events import (
    Event,
    InstrumentDefined,
    InstrumentMarked,
    InstrumentSplit,
    OrderEvent,
    OrderSubmitted,
    PositionReported,
)
from fillbook.core.exact import ROUNDED
from fillbook.core.folding import fold_order, open_order
from fillbook.core.holdings import ONE, PositionView, split_reach
from fillbook.core.lifecycle import Lifecycle, new_lifecycle
from fillbook.core.orders import Order
from fillbook.core.position_book import PositionBook
from fillbook.core.values import OrderStatus

__all__ = ["Book", "History", "Recorded", "fold"]


class Recorded(Protocol):
    """One record of a log, as far as the fold reads it."""

    @property
    def seq(self) -> int: ...
    @property
    def stream(self) -> int: ...
    @property
    def position(self) -> int | None: ...
    @property
    def event(self) -> Event: ...


class History(Protocol):
    """Where a book finds again what it does not keep in memory."""

    def record(self, seq: int) -> Recorded:
        """Return one record."""
        ...

    def stream_records(self, stream: int, upto: int) -> Iterable[Recorded]:
        """Return the records of one stream up to seq *upto*, in sequence."""
        ...

    def position_records(self, number: int, upto: int) -> Iterable[Recorded]:
        """Return every record up to *upto* that moves this position, and its instrument's.

        Other records may be among them.
        """
        ...

    def find_client_order(self, client_order_id: str) -> int | None:
        """Return the stream whose chain has this id."""
        ...

    def find_venue_orders(self, venue_order_id: str) -> list[int]:
        """Return the streams that ever had this venue id, oldest first."""
        ...

    def find_trades(self, trade_id: str) -> list[int]:
        """Return the streams that have a fill with this trade id."""
        ...


class Book:
    """Orders and positions as of the last record applied.

    Attributes:
        seq: The last record applied; 0 where there was none.
        machine: The lifecycle machine that drives every order here.
        instruments: The latest definition of each instrument.
        marks: The latest price to value each instrument with.
        reported: What the broker said last that we hold.
        open: The status of every order that is not closed, in memory or not, by stream.
        context: Where the latest definition, mark and statement of each thing stand in the log.
        splits: By how much the splits of each instrument may have moved a quantity, in all.
        positions: Every position that ever moved.
        control: What the robot may do: halts, line, queue.
        agreements: Since when book and broker agree, by account.
    """

    def __init__(
        self,
        history: History | None = None,
        machine: Lifecycle | None = None,
        keep_closed: int = 10_000,
    ) -> None:
        self.seq = 0
        self.machine = machine or new_lifecycle()
        self.instruments: dict[str, InstrumentDefined] = {}
        self.instrument_streams: dict[str, int] = {}
        self.marks: dict[str, Decimal] = {}
        self.reported: dict[tuple[str, str], PositionReported] = {}
        self.open: dict[int, OrderStatus] = {}
        self.context: dict[str, int] = {}
        self.splits: dict[str, Decimal] = {}
        self.positions = PositionBook()
        self.control = Control()
        self.agreements = Agreements()
        self._history = history
        self._keep_closed = keep_closed
        self._orders: dict[int, Order] = {}
        self._closed: dict[int, None] = {}
        self._client_ids: dict[str, int] = {}
        self._venue_ids: dict[str, list[int]] = {}
        self._trade_ids: dict[str, list[int]] = {}
        self._complete: set[tuple[str, str]] = set()

    # ---- the fold

    def apply(self, record: Recorded) -> None:
        """Take in the next record."""
        event = record.event
        if isinstance(event, OrderEvent):
            self._apply_order(record.seq, record.stream, event)
            self.seq = record.seq
            if isinstance(event, OrderSubmitted):
                self.control.apply(record.seq, event)
            self.positions.apply(record.seq, record.stream, record.position, event)
        else:
            self.apply_other(record)

    def apply_other(self, record: Recorded) -> None:
        """Take in the next record where it is no order's."""
        event = record.event
        self.seq = record.seq
        if isinstance(event, InstrumentDefined):
            self.instruments[event.instrument_id] = event
            self.instrument_streams[event.instrument_id] = record.stream
            self.context[f"instrument:{event.instrument_id}"] = record.seq
        elif isinstance(event, InstrumentMarked):
            self.marks[event.instrument_id] = event.px
            self.context[f"mark:{event.instrument_id}"] = record.seq
        elif isinstance(event, PositionReported):
            self.reported[event.account_id, event.instrument_id] = event
            self.context[f"reported:{event.account_id}:{event.instrument_id}"] = record.seq
        elif isinstance(event, InstrumentSplit):
            self.splits[event.instrument_id] = self.reach_with(event)
        elif isinstance(event, CONTROL_EVENTS):
            self.control.apply(record.seq, event)
        elif isinstance(event, AGREEMENT_EVENTS):
            self.agreements.apply(record.seq, event)
        self.positions.apply(record.seq, record.stream, record.position, event)

    def reach_with(self, event: InstrumentSplit) -> Decimal:
        """Return what `splits` of its instrument would be with this one too."""
        reach = split_reach(event.numerator, event.denominator)
        return ROUNDED.multiply(self.splits.get(event.instrument_id, ONE), reach)

    def _apply_order(self, seq: int, stream: int, event: OrderEvent) -> None:
        order = self._orders.get(stream)
        if order is None and stream != seq:  # its first event is what names a stream
            order = self._load(stream)
        if order is None:
            order = open_order(stream, event)
            self._orders[stream] = order
        before = len(order.client_order_ids), len(order.venue_order_ids), len(order.fills)
        fold_order(order, event, self.machine)
        if before != (len(order.client_order_ids), len(order.venue_order_ids), len(order.fills)):
            self._index(order, before)
        if order.is_closed:
            self.open.pop(stream, None)
        else:
            self.open[stream] = order.order_status
        self._note_closed(order)

    def _note_closed(self, order: Order) -> None:
        """Note whether the order may be let go of: not while it waits for its fills."""
        if order.is_closed and order.gap is None:
            self._closed[order.stream] = None
        else:
            self._closed.pop(order.stream, None)

    def _index(self, order: Order, before: tuple[int, int, int]) -> None:
        for client_id in order.client_order_ids[before[0] :]:
            self._client_ids[client_id] = order.stream
        if len(order.venue_order_ids) > before[1]:  # one heard of late is not the last of them
            for venue_id in order.venue_order_ids:
                _list(self._venue_ids, venue_id, order.stream)
        for fill in list(order.fills.values())[before[2] :]:
            _list(self._trade_ids, fill.trade_id, order.stream)

    def _load(self, stream: int) -> Order | None:
        """Fold an order that is not in memory from its own records; None where it has none."""
        if self._history is None:
            return None
        order: Order | None = None
        for record in self._history.stream_records(stream, self.seq):
            event = record.event
            assert isinstance(event, OrderEvent)
            if order is None:
                order = open_order(stream, event)
            fold_order(order, event, self.machine)
        if order is not None:
            self._orders[stream] = order
            self._index(order, (0, 0, 0))
            self._note_closed(order)
        return order

    def trim(self) -> None:
        """Let go of the closed orders that were closed longest ago; the history has them.

        Call it only when every record applied is durable.
        """
        if self._history is None:
            return
        while len(self._closed) > self._keep_closed:
            stream = next(iter(self._closed))
            del self._closed[stream]
            order = self._orders.pop(stream)
            for client_id in order.client_order_ids:
                self._client_ids.pop(client_id, None)
            for venue_id in order.venue_order_ids:
                self._forget("venue", self._venue_ids, venue_id, stream)
            for fill in order.fills.values():
                self._forget("trade", self._trade_ids, fill.trade_id, stream)

    def _forget(self, kind: str, known: dict[str, list[int]], each: str, stream: int) -> None:
        self._complete.discard((kind, each))
        streams = [other for other in known.get(each, ()) if other != stream]
        if streams:
            known[each] = streams
        else:
            known.pop(each, None)

    # ---- questions

    def order(self, stream: int) -> Order:
        """Return one order; `KeyError` where no order has this stream."""
        order = self._orders.get(stream) or self._load(stream)
        if order is None:
            raise KeyError(stream)
        return order

    def open_orders(self) -> Iterator[Order]:
        """Yield every order that is not closed, by first appearance."""
        for stream in sorted(self.open):
            yield self.order(stream)

    def resident_orders(self) -> Iterator[Order]:
        """Yield the orders in memory, by first appearance."""
        for stream in sorted(self._orders):
            yield self._orders[stream]

    def find_order(
        self,
        client_order_id: str | None,
        venue_order_id: str | None,
        orig_client_order_id: str | None = None,
        fits: Callable[[Order], bool] | None = None,
    ) -> Order | None:
        """Return the order that one of these ids names: the client's, the venue's, the original.

        Venue ids may repeat; of several orders the latest that *fits* is meant.
        """
        order = self._by_client_id(client_order_id)
        if order is None and venue_order_id is not None:
            order = self._by_venue_id(venue_order_id, fits)
        return order or self._by_client_id(orig_client_order_id)

    def _by_client_id(self, client_order_id: str | None) -> Order | None:
        if client_order_id is None:
            return None
        stream = self._client_ids.get(client_order_id)
        if stream is None and self._history is not None:
            stream = self._history.find_client_order(client_order_id)
        return None if stream is None else self.order(stream)

    def _by_venue_id(
        self, venue_order_id: str, fits: Callable[[Order], bool] | None
    ) -> Order | None:
        for stream in reversed(self._streams("venue", self._venue_ids, venue_order_id)):
            order = self.order(stream)
            if fits is None or fits(order):
                return order
        return None

    def find_fills(self, trade_id: str) -> list[Order]:
        """Return the orders that have a fill with this trade id, by first appearance."""
        return [self.order(stream) for stream in self._streams("trade", self._trade_ids, trade_id)]

    def _streams(self, kind: str, known: dict[str, list[int]], each: str) -> tuple[int, ...]:
        """Return the streams that *each* id names, of orders in memory or not.

        Ids repeat, so those in memory may not be all: the history is asked once.
        """
        if self._history is not None and (kind, each) not in self._complete:
            ask = {"venue": self._history.find_venue_orders, "trade": self._history.find_trades}
            for stream in ask[kind](each):
                _list(known, each, stream)
            if each in known:
                self._complete.add((kind, each))
        return tuple(known.get(each, ()))

    def position_views(self, marks: dict[str, Decimal] | None = None) -> list[PositionView]:
        """Return every position as plain data, by first appearance."""
        self.refresh_positions()
        prices = self.marks | (marks or {})
        return [
            position.view(
                self.instruments.get(position.instrument_id), prices.get(position.instrument_id)
            )
            for position in self.positions.all()
        ]

    def refresh_positions(self) -> None:
        """Fold every stale position anew from its own records."""
        for number in sorted(self.positions.stale()):
            if self._history is None:
                raise LookupError("a stale position needs a history to be folded from")
            self.positions.refold(number, self._history.position_records(number, self.seq))


def _list(known: dict[str, list[int]], each: str, stream: int) -> None:
    """Note that *each* id names *stream*; streams stand by first appearance."""
    streams = known.setdefault(each, [])
    if stream not in streams:
        insort(streams, stream)


class _Listed:
    """A history that is a list of records in memory."""

    def __init__(self, records: list[Recorded]) -> None:
        self._records = records

    def record(self, seq: int) -> Recorded:
        return self._records[seq - 1]

    def stream_records(self, stream: int, upto: int) -> Iterable[Recorded]:
        return [record for record in self._records[:upto] if record.stream == stream]

    def position_records(self, number: int, upto: int) -> Iterable[Recorded]:
        return [r for r in self._records[:upto] if r.position is None or r.position == number]

    def find_client_order(self, client_order_id: str) -> int | None:
        return None

    def find_venue_orders(self, venue_order_id: str) -> list[int]:
        return []

    def find_trades(self, trade_id: str) -> list[int]:
        return []


def fold(records: Iterable[Recorded]) -> Book:
    """Return the book of *records*, which are kept in memory."""
    kept = list(records)
    book = Book(_Listed(kept), keep_closed=len(kept) + 1)
    for record in kept:
        book.apply(record)
    book.refresh_positions()
    return book
