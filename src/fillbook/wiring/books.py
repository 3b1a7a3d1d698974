"""Fold a ledger into its book, from a snapshot where one fits, and save the next snapshot."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from fillbook import __version__
from fillbook.core.book import Book
from fillbook.core.exact import plain
from fillbook.core.replaying import book_state, replay, restore
from fillbook.log.columns import STATUS_OF_CODE
from fillbook.log.port import Log, Reader, Record

__all__ = ["LogHistory", "recover", "reducer_fingerprint", "save_state"]

_READ_AHEAD = 50
"""Records read with the second of a run."""

REDUCERS = (
    "agreement", "book", "control", "event", "events", "exact", "fill_events", "folding",
    "folding_fills", "folding_status", "holdings", "instrument_events", "ledger_events",
    "lifecycle", "lots", "operator_events", "order_events", "orders", "position_book", "positions",
    "reconciled_events", "replaying", "robot_events", "standing", "values",
)  # fmt: skip
"""The modules of `core` that a fold goes through."""


class LogHistory:
    """What a book asks its log again; the records are the log's own."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._run: dict[int, Record] = {}
        self._last_seq = -1

    def record(self, seq: int) -> Record:
        """Return one record; `LookupError` where the log has none.

        A replay asks for whole runs (every instrument is defined, then marked), so the second of
        a run is read with what follows it.
        """
        record = self._run.pop(seq, None)
        if record is None:
            upto = seq + _READ_AHEAD if seq == self._last_seq + 1 else seq
            self._run = {each.seq: each for each in self._reader.records(seq - 1, upto)}
            record = self._run.pop(seq, None)
            if record is None:
                raise LookupError(f"the log has no seq {seq}")
        self._last_seq = seq
        return record

    def stream_records(self, stream: int, upto: int) -> Iterable[Record]:
        """Return the records of one stream up to *upto*."""
        return self._reader.records(stream=stream, upto=upto)

    def position_records(self, number: int, upto: int) -> Iterable[Record]:
        """Return the records of one position up to *upto*."""
        return self._reader.records(position=number, upto=upto)

    def find_client_order(self, client_order_id: str) -> int | None:
        """Return the stream whose chain has this id."""
        return self._reader.find_client_order(client_order_id)

    def find_venue_orders(self, venue_order_id: str) -> list[int]:
        """Return the streams that ever had this venue id."""
        return self._reader.find_venue_orders(venue_order_id)

    def find_trades(self, trade_id: str) -> list[int]:
        """Return the streams with a fill of this id."""
        return self._reader.find_trades(trade_id)


@cache
def reducer_fingerprint() -> str:
    """Return what tells this program's fold from any other one's: a digest of its source."""
    digest = hashlib.sha256(__version__.encode())
    core = Path(__file__).parents[1] / "core"
    for name in REDUCERS:
        digest.update((core / f"{name}.py").read_bytes())
    return digest.hexdigest()[:32]


def recover(reader: Reader, upto: int | None = None, *, use_snapshot: bool = True) -> Book:
    """Return the book as of *upto* (default: the head): from the snapshot, then the rows after.

    A snapshot that does not fit this program or this chain is ignored.
    """
    history = LogHistory(reader)
    book = Book(history)
    if upto is None and use_snapshot:
        saved = reader.load_snapshot(reducer_fingerprint())
        if saved is not None:
            book = restore(json.loads(saved[1]), history)
    replay(book, reader.rows(after=book.seq, upto=upto), history, STATUS_OF_CODE)
    return book


def save_state(log: Log, book: Book) -> None:
    """Save a snapshot of *book*, the fold of *log* up to its head, and the derived positions."""
    book.refresh_positions()
    state = json.dumps(book_state(book), separators=(",", ":"))
    log.save_snapshot(book.seq, reducer_fingerprint(), state)
    log.refresh_positions(list(_position_rows(book)), book.seq)


def _position_rows(book: Book) -> Iterator[tuple[str | int | None, ...]]:
    for view in book.position_views():
        row = view.as_json()
        yield (
            view.account_id, view.instrument_id, plain(view.position_qty), _text(row["avg_px"]),
            _text(row["realized_pnl_gross"]), _text(row["realized_pnl"]), view.pnl_currency,
            view.trade_count,
        )  # fmt: skip


def _text(value: object) -> str | None:
    return None if value is None else str(value)
