"""Ask a log, page by page.

A page is one short read: a long one would keep SQLite from reusing the WAL, which would then grow
for as long as the reader reads.  Paging by seq loses nothing, because the log only ever grows at
its end.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from fillbook.core.events import Event
from fillbook.log.chain import genesis
from fillbook.log.columns import COLUMNS
from fillbook.log.port import LEDGER_STREAM, Head, Raw, Record, Row, Run
from fillbook.log.snapshot import LOAD_SQL

__all__ = ["RECORD_SQL", "RUN_SQL", "Queries"]

_RECORDS_PER_PAGE = 1000
"""Part of the text, never bound: a LIMIT that is bound has SQLite compile anew at every use."""
_ROWS_PER_PAGE = 400
_SEQS_PER_LOOK = 10_000
"""Passed over in one read where few of them are wanted."""
_LAST = 2**63 - 1

_STREAM, _VERSION = COLUMNS.index("stream"), COLUMNS.index("version")

RECORD_SQL = f"SELECT {', '.join(COLUMNS)} FROM events"

RUN_SQL = "SELECT epoch, run_id, boot_id, pid, host, program_version, ts_opened FROM runs"

_ROWS_SQL = """\
SELECT seq, op, stream, status, position, qty, px, fee, fee_currency
FROM events WHERE seq BETWEEN ? AND ? ORDER BY seq"""

_ORDERS_SQL = f"""\
{RECORD_SQL} WHERE (stream, version) > (?, ?) AND seq <= ? AND status IS NOT NULL
ORDER BY stream, version LIMIT {_RECORDS_PER_PAGE}"""

_RANGE_SQL = f"""\
{RECORD_SQL} WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT {_RECORDS_PER_PAGE}"""

_TYPES_SQL = f"{RECORD_SQL} WHERE seq BETWEEN ? AND ? AND type IN ({{}}) ORDER BY seq"

_STREAM_SQL = f"""\
{RECORD_SQL} WHERE stream = ? AND version > ? AND seq > ? AND seq <= ?
ORDER BY version LIMIT {_RECORDS_PER_PAGE}"""

_POSITION_SQL = f"""\
{RECORD_SQL} WHERE position = ?1 AND seq > ?2 AND seq <= ?3
UNION ALL
{RECORD_SQL} WHERE op = 2 AND position IS NULL AND seq > ?2 AND seq <= ?3
  AND json_extract(body, '$.instrument_id') =
    (SELECT json_extract(body, '$.instrument_id') FROM events WHERE seq = ?1)
ORDER BY seq LIMIT {_RECORDS_PER_PAGE}"""


class Queries(ABC):
    """The reading half of every log; `fetch` is all that they do differently."""

    @abstractmethod
    def fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """Return all rows, read at one moment; raises this package's errors."""

    @property
    def ledger_id(self) -> bytes:
        """The ledger's UUID, 16 bytes."""
        ledger_id: bytes = self.fetch("SELECT ledger_id FROM meta")[0][0]
        return ledger_id

    @property
    def robot(self) -> str:
        """Whose ledger it is."""
        robot: str = self.fetch("SELECT robot FROM meta")[0][0]
        return robot

    def head(self) -> Head:
        """Return where the log ends."""
        rows = self.fetch("SELECT seq, event_hash FROM events ORDER BY seq DESC LIMIT 1")
        return Head(*rows[0]) if rows else Head(0, genesis(self.ledger_id))

    def records(
        self,
        after: int = 0,
        upto: int | None = None,
        stream: int | None = None,
        position: int | None = None,
    ) -> Iterator[Record]:
        """Yield records with ``after < seq <= upto``; see `Reader.records`."""
        last = self.head().seq if upto is None else upto
        if stream is not None:
            assert position is None, "records of a stream or of a position, not of both"
            yield from self._stream_records(stream, after, last)
            return
        sql = _RANGE_SQL
        key: tuple[int, ...] = ()
        if position is not None:
            sql, key = _POSITION_SQL, (position,)
        while True:
            page = self.fetch(sql, (*key, after, last))
            for row in page:
                yield Record(*row)
            if len(page) < _RECORDS_PER_PAGE:
                return
            after = page[-1][0]

    def _stream_records(self, stream: int, after: int, last: int) -> Iterator[Record]:
        version = 0
        while True:
            page = self.fetch(_STREAM_SQL, (stream, version, after, last))
            for row in page:
                yield Record(*row)
            if len(page) < _RECORDS_PER_PAGE:
                return
            version = page[-1][_VERSION]

    def order_records(self, upto: int | None = None) -> Iterator[Record]:
        """Yield the records of all orders, one after the other; see `Reader.order_records`."""
        last = self.head().seq if upto is None else upto
        at = (0, 0)  # a stream is the seq of its first event, so they come by first appearance
        while True:
            page = self.fetch(_ORDERS_SQL, (*at, last))
            for row in page:
                yield Record(*row)
            if len(page) < _RECORDS_PER_PAGE:
                return
            at = page[-1][_STREAM], page[-1][_VERSION]

    def records_of(self, kinds: Sequence[type[Event]], upto: int | None = None) -> Iterator[Record]:
        """Yield the records of these types; see `Reader.records_of`."""
        last = self.head().seq if upto is None else min(upto, self.head().seq)
        names = [kind.type for kind in kinds]
        sql = _TYPES_SQL.format(", ".join("?" * len(names)))
        for first in range(1, last + 1, _SEQS_PER_LOOK):
            for row in self.fetch(sql, (first, min(first + _SEQS_PER_LOOK - 1, last), *names)):
                yield Record(*row)

    def rows(self, after: int = 0, upto: int | None = None) -> Iterator[Row]:
        """Yield the columns that the fast fold needs; see `port.Row`."""
        return chain.from_iterable(
            self._pages_of_rows(after, upto)
        )  # no generator is woken per row

    def _pages_of_rows(self, after: int, upto: int | None) -> Iterator[list[Row]]:
        last = self.head().seq if upto is None else min(upto, self.head().seq)
        for first in range(after + 1, last + 1, _ROWS_PER_PAGE):
            yield self.fetch(_ROWS_SQL, (first, min(first + _ROWS_PER_PAGE - 1, last)))

    def find_client_order(self, client_order_id: str) -> int | None:
        """Return the stream of the order that ever had this client id."""
        rows = self.fetch("SELECT stream FROM events WHERE client_order_id = ?", (client_order_id,))
        return rows[0][0] if rows else None

    def find_venue_orders(self, venue_order_id: str) -> list[int]:
        """Return the streams of all orders that ever had this venue id, oldest first."""
        rows = self.fetch(
            "SELECT DISTINCT stream FROM events WHERE venue_order_id = ? ORDER BY stream",
            (venue_order_id,),
        )
        return [row[0] for row in rows]

    def find_trades(self, trade_id: str) -> list[int]:
        """Return the streams with a fill of this trade id, oldest first."""
        prefix = f"fill:{trade_id}:"
        rows = self.fetch(
            "SELECT stream, idempotency_key FROM events "
            "WHERE idempotency_key > ? AND idempotency_key < ? ORDER BY stream",
            (prefix, prefix[:-1] + ";"),  # the next character after the colon
        )
        # A trade id may hold colons itself: what follows ours must be a stream and nothing else.
        return [stream for stream, key in rows if key == f"{prefix}{stream}"]

    def find_key(self, idempotency_key: str) -> int | None:
        """Return the seq of the event with this idempotency key."""
        rows = self.fetch("SELECT seq FROM events WHERE idempotency_key = ?", (idempotency_key,))
        return rows[0][0] if rows else None

    def stream_version(self, stream: int) -> int:
        """Return the last version of *stream*, 0 where there is none."""
        version: int = self.fetch(
            "SELECT coalesce(max(version), 0) FROM events WHERE stream = ?", (stream,)
        )[0][0]
        return version

    def imports(self) -> Iterator[Record]:
        """Yield the `import.progressed` records."""
        for row in self.fetch(
            f"{RECORD_SQL} WHERE stream = ? AND type = 'import.progressed' ORDER BY version",
            (LEDGER_STREAM,),
        ):
            yield Record(*row)

    def raw(self, seq: int) -> Raw | None:
        """Return the message behind *seq*, None where it never had one."""
        rows = self.fetch("SELECT length, salt, sha256, raw FROM raws WHERE seq = ?", (seq,))
        return Raw(*rows[0]) if rows else None

    def load_snapshot(self, reducer: str) -> tuple[int, str] | None:
        """Return (seq, state) of the snapshot that *reducer* folded, None where none fits."""
        rows = self.fetch(LOAD_SQL, (reducer,))
        return (rows[0][0], rows[0][1]) if rows else None

    def runs(self) -> list[Run]:
        """Return every writer that ever appended, oldest first."""
        return [Run(*row) for row in self.fetch(f"{RUN_SQL} ORDER BY epoch")]
