"""Fold a whole log quickly: statuses and positions from columns, orders when they are asked for.

A row is what the log keeps beside each event for this purpose (`log.port.Row`).  Every order's
status goes through the lifecycle machine, every fill into its position; what an open order holds
beyond its status is folded from its own events when somebody asks for it, and so is a closed one.
The result is the book that `Book.apply` builds record by record.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from fillbook.core.book import Book, History, Recorded
from fillbook.core.events import OrderEvent
from fillbook.core.lifecycle import INITIAL, TRIGGERS, Lifecycle
from fillbook.core.values import CLOSED, OrderStatus

__all__ = ["book_state", "fork_book", "replay", "restore"]

_Row = tuple[Any, ...]


class _Status:
    """An order's status alone, for a step that the machine has to judge itself."""

    __slots__ = ("order_status",)

    def __init__(self, order_status: OrderStatus) -> None:
        self.order_status = order_status


def replay(
    book: Book, rows: Iterable[_Row], history: History, statuses: Mapping[int, OrderStatus]
) -> None:
    """Fold *rows* into *book*, which holds no order in memory.

    Args:
        rows: ``(seq, op, stream, status, position, qty, px, fee, fee_currency)`` from the one
            after `book.seq` on.
        history: Where the few events that need their body come from.
        statuses: The order's status for each code.
    """
    codes = {status: code for code, status in statuses.items()}
    is_open_after = _steps(book.machine, codes)
    initial = codes[INITIAL]
    orders = {stream: codes[status] for stream, status in book.open.items()}
    code_of = orders.get
    positions = book.positions
    position_of, stale = positions.by_number.get, positions.stale_numbers
    seq = before = book.seq
    for seq, op, stream, code, number, qty, px, fee, currency in rows:
        if code is not None:
            old = code_of(stream)
            if old != code:  # an order that is open and stays as it is needs nothing
                if old is None:  # it is new, or was closed and speaks again
                    old = initial if stream == seq else codes[_status_before(history, stream, seq)]
                is_open = is_open_after[old][code]
                if is_open is None:
                    book.machine.move(_Status(statuses[old]), statuses[code])
                    is_open = statuses[code] not in CLOSED
                if is_open:
                    orders[stream] = code
                else:
                    orders.pop(stream, None)
            if not op:
                continue
        elif op != 1:
            book.apply_other(history.record(seq))
            continue
        if op == 1:
            position = position_of(number)
            if position is None:
                event = history.record(seq).event
                assert isinstance(event, OrderEvent)
                position = positions.opened(number, event.account_id, event.instrument_id)
            if stale and number in stale:
                continue
            position.trade(qty, px, fee, currency or "UNKNOWN")
        elif op == 2:
            positions.apply(seq, stream, number, history.record(seq).event)
    book.control.sent(history.find_client_order)
    if seq != before:
        positions.stale_where_split()
    book.seq = seq
    book.open = {stream: statuses[code] for stream, code in sorted(orders.items())}


def _steps(machine: Lifecycle, codes: Mapping[OrderStatus, int]) -> list[list[bool | None]]:
    """Return for each pair of codes whether the order is open after that step.

    None where it leads elsewhere and the machine's table alone does not answer for it.
    """
    events: dict[str, Any] = dict(machine.events)
    size = max(codes.values()) + 1
    steps: list[list[bool | None]] = [[None] * size for _ in range(size)]
    for new, name in TRIGGERS.items():
        plain = events[name].plain
        for old in TRIGGERS:
            if old is new or plain.get(old) is new:
                steps[codes[old]][codes[new]] = new not in CLOSED
    return steps


def _status_before(history: History, stream: int, seq: int) -> OrderStatus:
    """Return the status that an order of which there is more had before *seq*."""
    last = INITIAL
    for record in history.stream_records(stream, seq - 1):
        if isinstance(record.event, OrderEvent):
            last = record.event.order_status
    return last


def book_state(book: Book) -> dict[str, Any]:
    """Return *book* as data that JSON can hold; its orders are in the log."""
    return {
        "seq": book.seq,
        "open": {str(stream): str(status) for stream, status in sorted(book.open.items())},
        "context": sorted([*book.context.values(), *book.control.since.values()]),
        "splits": {key: str(reach) for key, reach in sorted(book.splits.items())},
        "last_splits": dict(sorted(book.positions.last_splits.items())),
        "positions": book.positions.state(),
        "agreements": book.agreements.state(),
    }


def restore(state: Mapping[str, Any], history: History) -> Book:
    """Return the book that `book_state` was taken of."""
    book = Book(history)
    for seq in state["context"]:
        book.apply_other(history.record(seq))
    book.splits = {key: Decimal(reach) for key, reach in state["splits"].items()}
    book.positions.restore(state["positions"])
    book.positions.last_splits = dict(state["last_splits"])
    book.agreements.restore(state["agreements"], lambda seq: history.record(seq).event)
    book.open = {int(stream): OrderStatus(status) for stream, status in state["open"].items()}
    book.seq = state["seq"]
    return book


def fork_book(book: Book, history: History, later: Iterable[Recorded] = ()) -> Book:
    """Return a book equal to *book* that goes its own way; *book* stays as it is.

    It costs what a snapshot costs, open orders and positions: closed orders, and what open ones
    hold beyond their status, are folded again when somebody asks for them.

    Args:
        history: Has the records that *book* was folded of, and from then on what the fork is given.
        later: What *history* has after `book.seq` already, in sequence; it is applied.
    """
    fork = restore(book_state(book), history)
    for record in later:
        fork.apply(record)
    return fork
