"""Insert rows into the tables of the log, each by a statement of the columns that it fills.

SQLite's Python module asks every value that is not a plain number or text whether it adapts itself,
and raises and drops two exceptions to learn that None and bytes do not: 1.6 µs each, where a row
that is told without them takes 9 µs in all and not 39.  A column that is left out is NULL all the
same, and a bytearray is bound as it is.  Adapters would be shorter, but they are the module's, and
so every program's in this process.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from operator import is_, itemgetter
from typing import Any

from fillbook.log._sqlite import Connection
from fillbook.log.columns import COLUMNS

__all__ = ["insert_events", "insert_raws"]

_RAW_COLUMNS = ("seq", "length", "salt", "sha256", "raw")

Row = Sequence[Any]
_BLOBS = {"input_hash", "raw_digest", "event_hash", "salt", "sha256", "raw"}

Way = tuple[str, Callable[[Row], tuple[Any, ...]], tuple[int, ...]]
"""A statement, what takes its values out of a row, and where among them are bytes."""


def insert_events(connection: Connection, rows: Iterable[Row]) -> None:
    """Insert rows of `COLUMNS`, in their order."""
    _insert(connection, _event_way, rows)


def insert_raws(connection: Connection, rows: Iterable[Row]) -> None:
    """Insert rows of `(seq, length, salt, sha256, raw)`."""
    _insert(connection, _raw_way, rows)


def _insert(
    connection: Connection, way_of: Callable[[tuple[bool, ...]], Way], rows: Iterable[Row]
) -> None:
    execute = connection.execute
    for row in rows:
        statement, filled, blobs = way_of(tuple(map(is_, row, repeat(None))))
        values = list(filled(row))
        for place in blobs:
            values[place] = bytearray(values[place])
        execute(statement, values)


@lru_cache
def _event_way(is_empty: tuple[bool, ...]) -> Way:
    return _way("events", COLUMNS, is_empty)


@lru_cache
def _raw_way(is_empty: tuple[bool, ...]) -> Way:
    return _way("raws", _RAW_COLUMNS, is_empty)


def _way(table: str, columns: tuple[str, ...], is_empty: tuple[bool, ...]) -> Way:
    assert len(is_empty) == len(columns), is_empty
    places = [place for place, is_none in enumerate(is_empty) if not is_none]
    assert len(places) > 1, "of one place alone an itemgetter makes no tuple"
    names = [columns[place] for place in places]
    marks = ", ".join("?" * len(places))
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
    blobs = tuple(place for place, name in enumerate(names) if name in _BLOBS)
    return statement, itemgetter(*places), blobs
