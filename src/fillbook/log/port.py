"""Say what a log takes and what it hands out; everyone but the composition root knows only this.

A `Draft` is an event with what its author knows about it; appended, it becomes a `Record`, which
adds what the log decides: the seq, the version in its stream, the recorded time, the hash.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple, Protocol

from attrs import define, field, frozen

from fillbook.core.events import Event

__all__ = [
    "LEDGER_STREAM",
    "Actor",
    "Batch",
    "Draft",
    "Finding",
    "Head",
    "Log",
    "Raw",
    "Reader",
    "Record",
    "Row",
    "Run",
]

Actor = Literal["ROBOT", "VENUE", "OPERATOR", "RECONCILER", "IMPORT"]
"""Who is speaking."""

LEDGER_STREAM = 0
"""The ledger's own stream; every other one is named by the seq of its first event."""

Row = tuple[
    int, int, int, int | None, int | None, int | None, int | None, int | None, str | None
]  # fmt: skip
"""What the fast fold reads: ``(seq, op, stream, status, position, qty, px, fee, fee_currency)``.
The few events that need more are read as records."""


class Head(NamedTuple):
    """Where the log ends; seq 0 and the genesis hash where it is empty."""

    seq: int
    event_hash: bytes


@frozen(kw_only=True, slots=True)
class Draft:
    """One event to append.

    `stream`, `position` and `causation` may point at an earlier draft of the same append, whose
    seq nobody knows yet: -1 means the stream, the position, the seq of the first one, -2 of the
    second.

    Attributes:
        event: What happened.
        stream: Seq of the stream's first event, 0 the ledger's own; None opens a stream.
        expected_version: Version the stream must be at; None takes any.
        position: Seq of the first event that touched this account and instrument; 0 where this
            is the first; None where it concerns none.
        correlation: Where the message came from, as in ``day.fix:123``.
        causation: Seq of the event that led to this one.
        raw: The venue's message; of one over 1 MiB the log keeps the first 64 KiB.
        raw_length, raw_sha256: Of the whole message, where `raw` is only its beginning.
        idempotency_key: Appended once for ever; see `Log.append`.
        input_hash: Digest of what was asked under that key.
        client_order_id: Only where this event brings this id into the book.
        venue_order_id: Likewise.
    """

    event: Event
    stream: int | None
    actor: Actor
    expected_version: int | None = None
    position: int | None = None
    correlation: str | None = None
    causation: int | None = None
    raw: bytes | None = None
    raw_length: int | None = None
    raw_sha256: bytes | None = None
    idempotency_key: str | None = None
    input_hash: bytes | None = None
    client_order_id: str | None = None
    venue_order_id: str | None = None


@define(slots=True, eq=False)
class Record:
    """One event as the log holds it, in the order of the table's columns.

    Attributes:
        op: 0 an order's event that moves no position, 1 a plain fill, 2 moves positions and needs
            the body, 3 neither an order's nor a position's.
        status: Code of the order's status after it; None where it is no order's event.
        qty, px, fee: In units of 1e-8, only where `op` is 1; `qty` > 0 buys.
        body: Canonical JSON, as hashed.
    """

    seq: int
    op: int
    stream: int
    status: int | None
    position: int | None
    qty: int | None
    px: int | None
    fee: int | None
    fee_currency: str | None
    fill_no: int | None
    version: int
    type: str
    type_version: int
    ts_event: int | None
    ts_received: int | None
    ts_recorded: int
    mono_ns: int
    epoch: int
    actor: str
    correlation: str | None
    causation: int | None
    client_order_id: str | None
    venue_order_id: str | None
    idempotency_key: str | None
    input_hash: bytes | None
    raw_digest: bytes | None
    event_hash: bytes
    body: str
    _event: Event | None = field(default=None, repr=False)

    @property
    def event(self) -> Event:
        """The event in its newest version.

        Raises `UnknownEventVersion` where this program does not know it, `BadValue` where the
        body is not what its type demands.
        """
        if self._event is None:
            from fillbook.log.codec import decode_record

            self._event = decode_record(self)
        return self._event


@frozen
class Raw:
    """The message behind an event; all but `length` is None once it was erased.

    `raw` is the whole message where it is `length` bytes long, else its beginning.
    """

    length: int
    salt: bytes | None
    sha256: bytes | None
    raw: bytes | None


@frozen
class Run:
    """One writer's time at the ledger; its `epoch` is on every event it appended."""

    epoch: int
    run_id: str
    boot_id: str | None
    pid: int
    host: str
    program_version: str
    ts_opened: int


@frozen
class Finding:
    """One thing looked at beneath a log: `ok`, a `warning` to know of, or a `problem` to mend."""

    what: str
    level: Literal["ok", "warning", "problem"]
    found: str
    remedy: str = ""


class Reader(Protocol):
    """Read a log; what is appended meanwhile may be seen or not, never half."""

    @property
    def ledger_id(self) -> bytes: ...

    @property
    def robot(self) -> str: ...

    def head(self) -> Head: ...

    def records(
        self,
        after: int = 0,
        upto: int | None = None,
        stream: int | None = None,
        position: int | None = None,
    ) -> Iterator[Record]:
        """Yield records with ``after < seq <= upto``, in the order of seq.

        With *stream* those of one stream; with *position* those that touched it, and the events
        of its instrument as such (definition, split), which touch every position in it.
        """
        ...

    def order_records(self, upto: int | None = None) -> Iterator[Record]:
        """Yield the records of all orders with ``seq <= upto``, one order after the other.

        Orders come by first appearance, the records of each in the order of seq.
        """
        ...

    def records_of(self, kinds: Sequence[type[Event]], upto: int | None = None) -> Iterator[Record]:
        """Yield the records of these types, all versions, with ``seq <= upto``, in order of seq."""
        ...

    def rows(self, after: int = 0, upto: int | None = None) -> Iterator[Row]:
        """Yield the columns that the fast fold needs, in the order of seq."""
        ...

    def find_client_order(self, client_order_id: str) -> int | None:
        """Return the stream of the order that ever had this client id."""
        ...

    def find_venue_orders(self, venue_order_id: str) -> list[int]:
        """Return the streams of all orders that ever had this venue id."""
        ...

    def find_trades(self, trade_id: str) -> list[int]:
        """Return the streams with a fill of this trade id."""
        ...

    def find_key(self, idempotency_key: str) -> int | None:
        """Return the seq of the event with this idempotency key, None where there is none."""
        ...

    def stream_version(self, stream: int) -> int:
        """Return the last version of *stream*, 0 where there is none."""
        ...

    def imports(self) -> Iterator[Record]:
        """Yield the `import.progressed` records."""
        ...

    def raw(self, seq: int) -> Raw | None:
        """Return the message behind *seq*, None where it never had one."""
        ...

    def runs(self) -> list[Run]:
        """Return every writer that ever appended, oldest first."""
        ...

    def load_snapshot(self, reducer: str) -> tuple[int, str] | None:
        """Return (seq, state) of the last snapshot, None where it was not *reducer* that folded it
        or another history lies under its seq."""
        ...

    def close(self) -> None: ...


class Batch(Protocol):
    """A writer's exclusive stretch of appends, made durable flush by flush."""

    def add(self, draft: Draft) -> Record:
        """Take one draft and return its record at once; it is durable after the next `flush`."""
        ...

    def flush(self) -> Head:
        """Write and commit what was added, all of it or nothing."""
        ...


class Log(Reader, Protocol):
    """Read and write a log."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is amiss without stopping anything, in words."""
        ...

    def append(self, drafts: Sequence[Draft], *, feedback: bool = False) -> list[Record]:
        """Append *drafts*, all of them or none, and return their records once they are durable.

        A draft whose idempotency key is in the log already, with the same `input_hash`, appends
        nothing and yields the first record.  Raises `IdempotencyConflict` where the hash differs,
        `VersionConflict` where `expected_version` is not met, `AppendRefused` where a rule of the
        file is broken, `StorageFailed` where the disk fails.

        With *feedback* (what a venue said, never a new intent) it is taken even after the disk
        ran full, as long as the ballast gives room.
        """
        ...

    def batch(self, *, feedback: bool = False) -> AbstractContextManager[Batch]:
        """Open a batch; other appends wait until it ends.

        Leaving it flushes; an exception discards what was added since the last flush.  *feedback*
        is that of `append`.
        """
        ...

    def save_snapshot(self, seq: int, reducer: str, state: str) -> None:
        """Keep *state* (JSON), folded up to *seq* by code of the fingerprint *reducer*."""
        ...

    def refresh_positions(self, rows: Sequence[Sequence[Any]], as_of_seq: int) -> None:
        """Replace the derived table `positions`, which only other programs read.

        Each row is ``(account_id, instrument_id, position_qty, avg_px, realized_pnl_gross,
        realized_pnl, pnl_currency, trade_count)``, amounts as plain decimal text.
        """
        ...
