"""Figures about appending: one event, a thousand at once, many callers at once.

The baseline writes the very rows that the log has just written, hash and all, into a file of its
own that the same migrations made, on a connection with the same pragmas; it is spared everything
but SQLite.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from itertools import count
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.ledgers import drafts
from benchmarks.measure import Figure, Result, Settings, Turns, by_rate, by_time, spread, take_turns
from fillbook.log._sqlite import Connection
from fillbook.log.columns import COLUMNS
from fillbook.log.opening import connect_writer
from fillbook.log.port import Draft, Record
from fillbook.log.schema import migrate
from fillbook.log.sqlite import SqliteLog

__all__ = ["FIGURES", "Pair", "bare_commit"]

_ROW = attrgetter(*COLUMNS)
_FILES = count(1)

Row = tuple[Any, ...]


def bare_commit(connection: Connection, insert: str, row: Sequence[Any]) -> float:
    """Commit one prepared row, WAL and synchronous=FULL as on the other side."""
    start = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(insert, row)
    connection.execute("COMMIT")
    return time.perf_counter() - start


def bare_executemany(connection: Connection, insert: str, rows: Sequence[Row]) -> float:
    """Commit many prepared rows in one transaction."""
    start = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(insert, rows)
    connection.execute("COMMIT")
    return time.perf_counter() - start


def without_empty(row: Row) -> tuple[str, list[Any]]:
    """Return a statement for the columns that *row* fills, and their values."""
    filled = {name: value for name, value in zip(COLUMNS, row, strict=True) if value is not None}
    insert = f"INSERT INTO events ({', '.join(filled)}) VALUES ({', '.join('?' * len(filled))})"
    values = [bytearray(each) if isinstance(each, bytes) else each for each in filled.values()]
    return insert, values


def one_caller(log: SqliteLog, waiting: Sequence[Draft]) -> float:
    """Append one event after the other, each once the one before it is durable."""
    start = time.perf_counter()
    for draft in waiting:
        log.append((draft,))
    return time.perf_counter() - start


class Pair:
    """A ledger at `strict`, and a bare file of the same schema that is given the same rows."""

    insert = f"INSERT INTO events ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"

    def __init__(self, folder: Path) -> None:
        number = next(_FILES)
        self.log = SqliteLog.open(folder / f"ours-{number}.ledger", robot="bench")
        self.bare = connect_writer(str(folder / f"bare-{number}.db"), "strict")
        self.bare.execute("BEGIN IMMEDIATE")
        migrate(self.bare)
        run = self.log.runs()[0]
        self.bare.execute(
            "INSERT INTO runs (epoch, run_id, boot_id, pid, host, program_version, ts_opened)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (run.epoch, run.run_id, run.boot_id, run.pid, run.host, run.program_version,
             run.ts_opened),
        )  # fmt: skip
        self.bare.execute(self.insert, _ROW(next(self.log.records())))
        self.bare.execute("COMMIT")
        for pragma in ("journal_mode", "synchronous", "wal_autocheckpoint", "cache_size"):
            assert self._pragma(self.log._writer.connection, pragma) == self._pragma(
                self.bare, pragma
            ), pragma
        self.rows: list[Row] = []

    def _pragma(self, connection: Connection, name: str) -> Any:
        return connection.execute(f"PRAGMA {name}").fetchone()

    def append(self, batch: Sequence[Draft]) -> tuple[float, int]:
        """Append, and keep the rows for the other side."""
        start = time.perf_counter()
        records: list[Record] = self.log.append(batch)
        seconds = time.perf_counter() - start
        self.rows = [_ROW(record) for record in records]
        return seconds, len(self.rows)

    def close(self) -> None:
        """Close both; they must hold the same events."""
        (held,) = self.bare.execute("SELECT count(*) FROM events").fetchone()
        assert held == self.log.head().seq, (held, self.log.head())
        self.bare.close()
        self.log.close()


def _durable_append(settings: Settings) -> Result:
    events = settings.size(2000, 50)

    def turns(leanly: bool) -> Turns:
        pair = Pair(settings.folder)
        waiting = drafts(1, events)

        def bare() -> tuple[float, int]:
            row = pair.rows[0]
            insert, values = without_empty(row) if leanly else (pair.insert, row)
            return bare_commit(pair.bare, insert, values), 1

        taken = take_turns(lambda: pair.append((next(waiting),)), bare, events)
        pair.close()
        return taken

    taken, lean = turns(leanly=False), turns(leanly=True)
    lean_s = median(lean.baseline)
    note = (
        f"p50 of {events} commits each; {median(lean.ours) / lean_s:.2f}x a commit that leaves out "
        f"empty columns and binds bytes as bytearray, as ours does ({lean_s * 1e6:.0f} µs)"
    )
    return by_time(taken, per=1e6, at_most=1.15, note=note)


def _append_many(settings: Settings) -> Result:
    pair = Pair(settings.folder)
    size, turn_count = settings.size(1000, 100), settings.size(25, 3)
    waiting = drafts(1, size * turn_count)

    def bare() -> tuple[float, int]:
        return bare_executemany(pair.bare, pair.insert, pair.rows), len(pair.rows)

    turns = take_turns(lambda: pair.append(_some(waiting, size)), bare, turn_count)
    pair.close()
    note = f"{size} events in one append; ours {spread(turns.ours)}"
    return by_rate(turns, of=size, at_least=0.5, note=note)


def _many_callers(settings: Settings) -> Result:
    caller_count, turn_count = 16, settings.size(7, 2)
    events = caller_count * settings.size(40, 4)
    number = next(_FILES)
    log = SqliteLog.open(settings.folder / f"ours-{number}.ledger", robot="bench")
    waiting = _lone_drafts(events * turn_count * 2)

    def together() -> tuple[float, int]:
        shares = [_some(waiting, events // caller_count) for _ in range(caller_count)]
        start = threading.Barrier(caller_count + 1)

        def call(share: Sequence[Draft]) -> None:
            start.wait()
            one_caller(log, share)

        threads = [threading.Thread(target=call, args=(share,)) for share in shares]
        for thread in threads:
            thread.start()
        start.wait()
        began = time.perf_counter()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began, events

    turns = take_turns(
        together, lambda: (one_caller(log, _some(waiting, events)), events), turn_count
    )
    assert log.head().seq == 1 + events * turn_count * 2
    log.close()
    note = f"{caller_count} threads share {events} appends, one caller makes as many"
    return by_rate(turns, of=events, at_least=2.0, note=note)


def _some(waiting: Iterator[Draft], size: int) -> list[Draft]:
    return [next(waiting) for _ in range(size)]


def _lone_drafts(size: int) -> Iterator[Draft]:
    """Yield drafts that may be appended in any order: each opens a stream."""
    for draft in drafts(1, size * 8):
        if draft.stream is None and draft.client_order_id is not None:
            yield draft


FIGURES = (
    Figure(
        name="append-durable",
        what="one durable append (p50) against a bare WAL FULL commit of the same row",
        unit="µs",
        goal="<= 1.15",
        baselines=(bare_commit,),
        measure=_durable_append,
    ),
    Figure(
        name="append-1000",
        what="1,000 events in one append against a bare executemany of the same rows",
        unit="events/s",
        goal=">= 0.5",
        baselines=(bare_executemany,),
        measure=_append_many,
    ),
    Figure(
        name="append-16-callers",
        what="16 callers that wait for each append against one caller",
        unit="events/s",
        goal=">= 2",
        baselines=(one_caller,),
        measure=_many_callers,
    ),
)
