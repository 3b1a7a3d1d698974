"""Check a ledger from the inside: that it is whole, and that it says the truth about itself.

One pass over the records in sequence, with flat memory: chain, canonical bodies, columns, and the
fold of each order against what its events say of it.  Then the tables beside.  `ledger/witness.py`
checks the same file with none of this code, and what both look at both call by the same word; only
the fold is looked at here alone.
"""

from array import array
from collections.abc import Callable
from operator import attrgetter
from types import NoneType
from typing import Any, Protocol

from fillbook.audit.order_folds import OrderFolds
from fillbook.audit.tables import check_before, check_beside
from fillbook.audit.verdict import MOST_PROBLEMS, Problem, Verdict
from fillbook.core.event_types import EVENT_TYPES
from fillbook.core.events import (
    CashMoved,
    CommissionChanged,
    Event,
    FillBusted,
    FillCorrected,
    FillInferred,
    InferredFillReleased,
    LedgerCreated,
    OrderEvent,
    OrderFilled,
    OrderFilledV1,
)
from fillbook.core.operator_events import PositionAdjusted
from fillbook.errors import BadValue, LedgerDamaged, UnknownEventVersion
from fillbook.log.chain import genesis, hash_of_record
from fillbook.log.codec import decode, encode
from fillbook.log.columns import COLUMNS, hot_columns
from fillbook.log.heads import Checkpoint
from fillbook.log.port import Reader, Record, Run
from fillbook.log.schema import FORMAT_VERSION
from fillbook.log.upcast import upcast

__all__ = ["MOST_PROBLEMS", "Problem", "Verdict", "verify"]

_TOLD_EVERY = 10_000
_NO_INT = -(2**63)

_HOT = ("op", "status", "qty", "px", "fee", "fee_currency", "fill_no")
_FILLS = (OrderFilled, OrderFilledV1, FillInferred)
_MOVES = (
    *_FILLS, FillBusted, FillCorrected, InferredFillReleased, CommissionChanged, CashMoved,
    PositionAdjusted,
)  # fmt: skip
_BYTES = {"input_hash", "raw_digest", "event_hash"}
_TEXTS = {
    "type", "actor", "correlation", "client_order_id", "venue_order_id", "idempotency_key", "body",
    "fee_currency",
}  # fmt: skip
_NEVER_NULL = {
    "seq", "op", "stream", "version", "type", "type_version", "ts_recorded", "mono_ns", "epoch",
    "actor", "event_hash", "body",
}  # fmt: skip
_values_of = attrgetter(*COLUMNS)


class _Fetches(Reader, Protocol):
    def fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]: ...


def verify(
    reader: _Fetches,
    on_progress: Callable[[int], None] | None = None,
    *,
    checkpoint: Checkpoint | None = None,
) -> Verdict:
    """Return what *reader*'s ledger is; raises only where nothing of it can be read.

    Args:
        on_progress: Is told the seq reached, now and then.
        checkpoint: A head that was written down outside the ledger.
    """
    runs = {
        run.epoch: run
        for run in reader.runs()
        if type(run.run_id) is str and type(run.boot_id) in (str, NoneType)
    }
    head = reader.head()
    verdict = Verdict(reader.ledger_id.hex(), reader.robot, head)
    check_before(reader, verdict)
    records = _Records(reader, verdict, runs, checkpoint)
    is_all_read = False
    try:
        for record in reader.records(after=_NO_INT, upto=head.seq):
            records.take(record)
            if on_progress is not None and record.seq % _TOLD_EVERY == 0:
                on_progress(record.seq)
        is_all_read = True
    except LedgerDamaged as exc:
        verdict.note(records.seq + 1, "unreadable", "an event", exc.problem)
    records.finish(is_all_read)
    try:
        check_beside(reader, verdict, records.last_run if is_all_read else None)
    except LedgerDamaged as exc:
        verdict.note(0, "unreadable", "runs, raws and snapshots", exc.problem)
    return verdict


class _Records:
    """Look at one record after the other.

    Attributes:
        seq: Of the last record.
        last_run: The greatest epoch that is in `runs` and on an event.
    """

    def __init__(
        self,
        reader: _Fetches,
        verdict: Verdict,
        runs: dict[int, Run],
        checkpoint: Checkpoint | None,
    ) -> None:
        self.seq = 0
        self.last_run = 0
        self._epoch = 0
        self._ledger_id = reader.ledger_id
        self._verdict = verdict
        self._runs = runs
        self._checkpoint = checkpoint
        self._held: bytes | None = None  # the hash at the checkpoint's seq
        self._hash = genesis(self._ledger_id)
        self._versions = array("q", [0])  # of each stream
        self._count = 0
        self._positions: dict[tuple[str, str], int] = {}
        self._folds = OrderFolds(reader, verdict)
        self._right: set[tuple[type, ...]] = set()

    def take(self, record: Record) -> None:
        """Look at the next record."""
        note, seq = self._verdict.note, record.seq
        self._count += 1
        if seq != self.seq + 1:
            note(seq, "seq", self.seq + 1, seq)
        self.seq = seq
        if not self._has_right_types(record):
            return
        self._verdict.counts[record.type] += 1
        self._check_hash(record)
        self._check_stream(record)
        if record.epoch != self._epoch:
            if record.epoch != self._epoch + 1:
                note(seq, "epoch", f"{self._epoch} or {self._epoch + 1}", record.epoch)
            self._epoch = record.epoch
            if record.epoch > self.last_run and record.epoch in self._runs:
                self.last_run = record.epoch
        event = self._decoded(record)
        if event is None:
            if record.status is not None:
                is_newer = (record.type, record.type_version) not in EVENT_TYPES
                self._folds.give_up(record.stream, is_newer)
            return
        self._check_columns(record, event)
        newest = upcast(event)
        if isinstance(newest, OrderEvent):
            self._folds.take(record, newest)
        elif record.client_order_id is not None or record.venue_order_id is not None:
            column = "venue_order_id" if record.client_order_id is None else "client_order_id"
            note(seq, column, None, record.client_order_id or record.venue_order_id)

    def finish(self, is_all_read: bool) -> None:
        """Say what can be said once the last record was seen, or the last that can be."""
        verdict, told = self._verdict, self._checkpoint
        verdict.unfolded = self._folds.unfolded
        if self.seq != verdict.head.seq:
            verdict.note(0, "head", f"seq {verdict.head.seq}", f"seq {self.seq}")
        if told is None:
            return
        if told.ledger_id != self._ledger_id:
            verdict.note(0, "checkpoint", verdict.ledger_id, told.ledger_id)
        elif self._held is None and not is_all_read:
            pass  # it may be in what could not be read
        elif told.seq > self.seq:
            verdict.note(0, "checkpoint", f"a head at seq {told.seq} or later", f"seq {self.seq}")
        elif self._held != told.event_hash:
            verdict.note(0, "checkpoint", f"{told.event_hash.hex()} at seq {told.seq}", self._held)

    # ---- order and chain

    def _has_right_types(self, record: Record) -> bool:
        types = tuple(map(type, _values_of(record)))
        if types in self._right:
            return True
        is_right = True
        for name, found in zip(COLUMNS, types, strict=True):
            kind = bytes if name in _BYTES else str if name in _TEXTS else int
            if found is not kind and (found is not NoneType or name in _NEVER_NULL):
                self._verdict.note(record.seq, f"type of {name}", kind.__name__, found.__name__)
                is_right = False
        if is_right:
            self._right.add(types)
        return is_right

    def _check_hash(self, record: Record) -> None:
        note, seq, before = self._verdict.note, record.seq, self._hash
        self._hash = record.event_hash
        if self._checkpoint is not None and seq == self._checkpoint.seq:
            self._held = record.event_hash
        run = self._runs.get(record.epoch)
        if run is None:
            note(seq, "run", f"epoch {record.epoch} in runs", None)
            return
        if _NO_INT in (record.ts_event, record.ts_received, record.causation):
            note(seq, "value", "anything but -2^63", "-2^63, which the chain has for NULL")
        wanted = hash_of_record(self._ledger_id, before, record, run)
        if wanted != record.event_hash:
            note(seq, "hash", wanted, record.event_hash)

    def _check_stream(self, record: Record) -> None:
        seq, stream, versions = record.seq, record.stream, self._versions
        if len(versions) <= seq < 2 * self._count + 1_000_000:
            versions.extend([0] * (seq + 1 - len(versions)))
        if not 0 <= stream < len(versions) or stream > seq:
            self._verdict.note(seq, "stream", "0 or a seq up to its own", stream)
            return
        wanted = versions[stream] + 1
        if record.version != wanted:
            self._verdict.note(seq, "version", wanted, record.version)
        elif wanted == 1 and stream not in (0, seq):
            self._verdict.note(seq, "stream", f"0 or {seq}", stream)
        versions[stream] = record.version

    # ---- the body, and the columns that repeat it

    def _decoded(self, record: Record) -> Event | None:
        """Return the event as its own version; None where it cannot be read or is unknown."""
        seq, note = record.seq, self._verdict.note
        try:
            event = decode(
                record.type, record.type_version, record.body, record.ts_event, record.ts_received
            )
        except UnknownEventVersion:
            return None
        except BadValue as exc:
            note(seq, "body", f"a body of {record.type}", exc.problem)
            return None
        if encode(event) != record.body:
            note(seq, "body", "canonical JSON", record.body)
        is_first = isinstance(event, LedgerCreated)
        if is_first != (seq == 1):
            note(seq, "type", "ledger.created at seq 1 and nowhere else", record.type)
        elif isinstance(event, LedgerCreated):
            wanted = (self._verdict.ledger_id, self._verdict.robot, FORMAT_VERSION)
            found = (event.ledger_id, event.robot, event.format_version)
            if found != wanted:
                note(seq, "identity", wanted, found)
        return event

    def _check_columns(self, record: Record, event: Event) -> None:
        seq, note = record.seq, self._verdict.note
        for name, wanted in zip(_HOT, hot_columns(event), strict=True):
            found = getattr(record, name)
            if found != wanted:
                note(seq, name, wanted, found)
        position = None
        if isinstance(event, _MOVES):
            whose = (event.account_id, event.instrument_id)
            position = self._positions.setdefault(whose, seq)
        if record.position != position:
            note(seq, "position", position, record.position)
        if isinstance(event, _FILLS):
            key = f"fill:{event.trade_id}:{record.stream}"
            if record.idempotency_key != key:
                note(seq, "idempotency_key", key, record.idempotency_key)
