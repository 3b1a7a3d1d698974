"""Make a ledger anew from events that were in one: the same events, the same hashes, the same head.

Nothing is taken on trust: each event must follow from the one before it and be what its hash says,
and the columns that repeat a body are worked out from the body.  The file lies under a name of its
own until it is complete; only then it takes the one that was asked for, and never another file's
place.
"""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from attrs import astuple, define, field

from fillbook.core.events import (
    CashMoved,
    CommissionChanged,
    Event,
    FillBusted,
    FillCorrected,
    FillInferred,
    InferredFillReleased,
    OrderEvent,
    OrderFilled,
    OrderFilledV1,
)
from fillbook.core.operator_events import PositionAdjusted
from fillbook.errors import BadInput, BadValue, LedgerNotWritable
from fillbook.log._sqlite import Connection, Error, IntegrityError
from fillbook.log.chain import CHAIN_DOMAIN, genesis, hash_of_record, raw_digest
from fillbook.log.codec import decode, encode
from fillbook.log.columns import COLUMNS, hot_columns
from fillbook.log.heads import HeadsFile, read_checkpoint
from fillbook.log.inserting import insert_events, insert_raws
from fillbook.log.opening import check_path, connect_writer
from fillbook.log.port import Head, Raw, Record, Run
from fillbook.log.schema import FORMAT_VERSION, migrate

__all__ = ["Restoration", "Sealed"]

_INSERT_RUN = (
    "INSERT INTO runs (epoch, run_id, boot_id, pid, host, program_version, ts_opened)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_PER_INSERT = 1000
_PER_COMMIT = 50_000
_MOST_STREAMS = 5000

_MOVES = (
    OrderFilled, OrderFilledV1, FillInferred, FillBusted, FillCorrected, InferredFillReleased,
    CommissionChanged, CashMoved, PositionAdjusted,
)  # fmt: skip


class Sealed(NamedTuple):
    """What the chain holds of an event, with its hash, and the raw message where it is there."""

    seq: int
    stream: int
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
    idempotency_key: str | None
    input_hash: bytes | None
    raw_digest: bytes | None
    event_hash: bytes
    body: str
    raw: Raw | None


@define(eq=False)
class Restoration:
    """A ledger that is being made; `finish` gives it its name, `discard` takes it away.

    Attributes:
        head: The last event taken.
        runs: Every writer there was, by epoch.
    """

    path: str
    ledger_id: bytes
    head: Head
    runs: dict[int, Run]
    _partial: str
    _connection: Connection
    _epoch: int = 0
    _events: list[tuple[Any, ...]] = field(factory=list)
    _raws: list[tuple[Any, ...]] = field(factory=list)
    _positions: dict[tuple[str, str], int] = field(factory=dict)
    _young: dict[int, set[tuple[str, str]]] = field(factory=dict)
    _old: dict[int, set[tuple[str, str]]] = field(factory=dict)

    @classmethod
    def begin(cls, path: str, ledger_id: bytes, robot: str, runs: list[Run]) -> "Restoration":
        """Begin a ledger that will be at *path*, where nothing may be yet.

        Raises `BadInput` where something is, and what opening a ledger for writing raises.
        """
        real = os.path.realpath(path)
        if os.path.lexists(real) or read_checkpoint(real)[0] is not None:
            raise BadInput(
                f"{path}: there is a ledger already, or the checkpoint of one; it was not touched",
                "name a new file",
            )
        check_path(real, create=True)
        partial = f"{real}.partial-{os.uname().nodename}-{os.getpid()}"
        connection = connect_writer(partial, "bulk")
        connection.execute("BEGIN IMMEDIATE")
        migrate(connection)
        connection.execute(
            "INSERT INTO meta (id, ledger_id, robot, format_version, chain_domain)"
            " VALUES (1, ?, ?, ?, ?)",
            (ledger_id, robot, FORMAT_VERSION, CHAIN_DOMAIN),
        )
        head = Head(0, genesis(ledger_id))
        by_epoch = {run.epoch: run for run in runs}
        return cls(real, ledger_id, head, by_epoch, partial, connection)

    def add(self, sealed: Sealed, prev_hash: bytes) -> None:
        """Take the next event.

        Raises `BadValue` where it does not follow, is not what its hash says, or breaks a rule of
        the file; `UnknownEventVersion` where this program does not know it.
        """
        seq = sealed.seq
        if seq != self.head.seq + 1 or prev_hash != self.head.event_hash:
            raise BadValue(
                "", f"seq {seq} does not follow seq {self.head.seq}: an event is missing"
            )
        run = self.runs.get(sealed.epoch)
        if run is None:
            raise BadValue("", f"seq {seq} is of epoch {sealed.epoch}, which runs does not have")
        record = self._record(sealed)
        if hash_of_record(self.ledger_id, prev_hash, record, run) != sealed.event_hash:
            raise BadValue("", f"seq {seq} is not what its hash says")
        raw = _checked_raw(sealed)
        try:
            if sealed.epoch != self._epoch:
                self._flush()
                self._connection.execute(_INSERT_RUN, astuple(run))
                self._epoch = sealed.epoch
            self._events.append(tuple(getattr(record, name) for name in COLUMNS))
            if raw is not None:
                self._raws.append((seq, *astuple(raw)))
            if len(self._events) >= _PER_INSERT:
                self._flush()
            if seq % _PER_COMMIT == 0:
                self._flush()
                self._connection.execute("COMMIT")
                self._connection.execute("BEGIN IMMEDIATE")
        except IntegrityError as exc:
            raise BadValue(
                "", f"about seq {seq}: the ledger's own rules refuse it ({exc})"
            ) from exc
        except Error as exc:
            raise LedgerNotWritable(self.path, f"it cannot be written ({exc})") from exc
        self.head = Head(seq, sealed.event_hash)

    def finish(self, clock: Callable[[], int], mono: Callable[[], int]) -> Head:
        """Make the ledger complete, give it its name, and write its head down beside it."""
        try:
            self._flush()
            self._connection.execute("COMMIT")
            # one file that can take a name: the writer that opens it turns WAL on again
            self._connection.execute("PRAGMA journal_mode=DELETE")
            self._connection.close()
            _sync(self._partial)
            os.link(self._partial, self.path)  # unlike a rename this never replaces a file
            HeadsFile(self.path, self.ledger_id).write(self.head, self._epoch, clock(), mono())
            _sync(os.path.dirname(self.path))
        except IntegrityError as exc:
            raise BadValue("", f"the ledger's own rules refuse it ({exc})") from exc
        except Error as exc:
            raise LedgerNotWritable(self.path, f"it cannot be written ({exc})") from exc
        except OSError as exc:
            raise LedgerNotWritable(self.path, f"it cannot be written ({exc.strerror})") from exc
        finally:
            self.discard()
        return self.head

    def discard(self) -> None:
        """Take away what was made under the passing name."""
        self._connection.close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(self._partial + suffix).unlink(missing_ok=True)

    def _record(self, sealed: Sealed) -> Record:
        """Return the whole row: the columns that repeat the body are worked out from it."""
        try:
            event = decode(sealed.type, sealed.type_version, sealed.body, seq=sealed.seq)
        except BadValue as exc:
            raise BadValue("", f"{exc.key}: {exc.problem}") from exc
        if encode(event) != sealed.body:
            raise BadValue("", f"seq {sealed.seq}: its body is not in canonical form")
        hot = hot_columns(event)
        client_order_id, venue_order_id = self._new_ids(sealed, event)
        return Record(
            sealed.seq,
            hot.op,
            sealed.stream,
            hot.status,
            self._position(sealed.seq, event),
            hot.qty,
            hot.px,
            hot.fee,
            hot.fee_currency,
            hot.fill_no,
            sealed.version,
            sealed.type,
            sealed.type_version,
            sealed.ts_event,
            sealed.ts_received,
            sealed.ts_recorded,
            sealed.mono_ns,
            sealed.epoch,
            sealed.actor,
            sealed.correlation,
            sealed.causation,
            client_order_id,
            venue_order_id,
            sealed.idempotency_key,
            sealed.input_hash,
            sealed.raw_digest,
            sealed.event_hash,
            sealed.body,
        )

    def _position(self, seq: int, event: Event) -> int | None:
        if not isinstance(event, _MOVES):
            return None
        return self._positions.setdefault((event.account_id, event.instrument_id), seq)

    def _new_ids(self, sealed: Sealed, event: Event) -> tuple[str | None, str | None]:
        """Return the client id that the event brings into the book, and the venue's."""
        if not isinstance(event, OrderEvent):
            return None, None
        known = self._known_ids(sealed.stream, sealed.version)
        client_id = venue_id = None
        for each in (event.client_order_id, event.request_id):
            if each is not None and ("client", each) not in known:
                client_id = client_id or each
                known.add(("client", each))
        if event.venue_order_id is not None and ("venue", event.venue_order_id) not in known:
            venue_id = event.venue_order_id
            known.add(("venue", venue_id))
        return client_id, venue_id

    def _known_ids(self, stream: int, version: int) -> set[tuple[str, str]]:
        """Return the ids of a stream so far: of the last few thousand from memory."""
        known = self._young.get(stream)
        if known is not None:
            return known
        known = self._old.get(stream)
        if known is None:
            known = set()
            if version > 1:
                self._flush()
                for client_id, venue_id in self._connection.execute(
                    "SELECT client_order_id, venue_order_id FROM events WHERE stream = ?", (stream,)
                ):
                    known |= {("client", client_id), ("venue", venue_id)}
        if len(self._young) >= _MOST_STREAMS:
            self._old, self._young = self._young, {}
        self._young[stream] = known
        return known

    def _flush(self) -> None:
        insert_events(self._connection, self._events)
        insert_raws(self._connection, self._raws)
        self._events.clear()
        self._raws.clear()


def _checked_raw(sealed: Sealed) -> Raw | None:
    """Return the raw message beside the event, if it is what the event's digest says."""
    raw, seq = sealed.raw, sealed.seq
    if (raw is None) != (sealed.raw_digest is None):
        raise BadValue("", f"seq {seq}: a raw message without its digest, or a digest alone")
    if raw is None or raw.raw is None or raw.salt is None or raw.sha256 is None:
        return raw
    digest = raw_digest(raw.salt, raw.length, raw.sha256)
    whole = len(raw.raw) == raw.length
    if digest != sealed.raw_digest or (whole and sha256(raw.raw).digest() != raw.sha256):
        raise BadValue("", f"seq {seq}: its raw message is not what its digest says")
    return raw


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
