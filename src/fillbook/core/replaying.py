"""Fold a whole log quickly: statuses and positions from columns, orders when they are asked for.

A row is what the log keeps beside each event for this purpose (`log.port.Row`).  Every order's
status goes through the lifecycle machine, every fill into its position; what an open order holds
beyond its status is folded from its own events when somebody asks for it, and so is a closed one.
The result is the book that `Book.apply` builds record by record.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fillbook.core.book import Book, History
from fillbook.core.events import OrderEvent
from fillbook.core.lifecycle import INITIAL, TRIGGERS
from fillbook.core.values import CLOSED, OrderStatus

__all__ = ["book_state", "replay", "restore"]

_Row = tuple[Any, ...]


class _Status:
    """All of an order that the quick fold keeps."""

    __slots__ = ("order_status",)

    def __init__(self, order_status: OrderStatus) -> None:
        self.order_status = order_status


def replay(
    book: Book, rows: Iterable[_Row], history: History, statuses: Mapping[int, OrderStatus]
) -> None:
    """Fold *rows* into *book*, which holds no order in memory.

    Args:
        rows: ``(seq, op, stream, status, position, qty, px, fee, fee_currency, body, …)`` from the
            one after `book.seq` on.
        history: Where the few events that need their body come from.
        statuses: The order's status for each code.
    """
    by_code: list[OrderStatus] = [INITIAL] * (max(statuses) + 1)
    for code, status in statuses.items():
        by_code[code] = status
    triggers = {status: book.machine.events[name].trigger for status, name in TRIGGERS.items()}
    orders = {stream: _Status(status) for stream, status in book.open.items()}
    positions = book.positions
    known, stale = positions.by_number, positions.stale_numbers
    seq = book.seq
    for row in rows:
        seq, op, stream, code, number, qty, px, fee, currency = row[:9]
        if code is not None:
            order = orders.get(stream)
            if order is None:
                order = orders[stream] = _Status(_status_before(history, stream, seq))
            new = by_code[code]
            if order.order_status is not new:
                triggers[new](order)
            if new in CLOSED:
                del orders[stream]
        if op == 1:
            position = known.get(number)
            if position is None:
                event = history.record(seq).event
                assert isinstance(event, OrderEvent)
                position = positions.opened(number, event.account_id, event.instrument_id)
            if number in stale:
                continue
            if fee is None:
                position.trade(qty, px)
            elif currency is None or currency == position.base_currency:
                record = history.record(seq)
                positions.apply(seq, stream, number, record.event)
            else:
                position.trade(qty, px)
                position.charge_units(currency, fee)
        elif op == 2 and code is not None:
            positions.apply(seq, stream, number, history.record(seq).event)
        elif code is None:
            book.apply_other(history.record(seq))
    book.seq = seq
    book.open = {stream: order.order_status for stream, order in sorted(orders.items())}


def _status_before(history: History, stream: int, seq: int) -> OrderStatus:
    """Return the status an order had before *seq*: it is new, or was closed and speaks again."""
    last = INITIAL
    if stream == seq:
        return last
    for record in history.stream_records(stream, seq - 1):
        if isinstance(record.event, OrderEvent):
            last = record.event.order_status
    return last


def book_state(book: Book) -> dict[str, Any]:
    """Return *book* as data that JSON can hold; its orders are in the log."""
    return {
        "seq": book.seq,
        "open": {str(stream): str(status) for stream, status in sorted(book.open.items())},
        "context": sorted(book.context.values()),
        "positions": book.positions.state(),
    }


def restore(state: Mapping[str, Any], history: History) -> Book:
    """Return the book that `book_state` was taken of."""
    book = Book(history)
    for seq in state["context"]:
        book.apply_other(history.record(seq))
    book.positions.restore(state["positions"])
    book.open = {int(stream): OrderStatus(status) for stream, status in state["open"].items()}
    book.seq = state["seq"]
    return book
