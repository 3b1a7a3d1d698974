"""Turn drafts into rows: everything the log itself decides about an event, before it is written.

`prepare` does what depends on the draft alone and may run in any thread.  A `Stage` then gives out
seq, version and hash, one draft after the other; it runs ahead of the file until its rows are
written, and can be taken back to any mark.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from struct import Struct
from struct import error as StructError
from typing import Any

from attrs import define, field, frozen

from fillbook.core.events import Event
from fillbook.errors import AppendRefused, IdempotencyConflict, VersionConflict
from fillbook.log.chain import (
    RAW_KEPT,
    RAW_LIMIT,
    event_hash,
    hashed_rest,
    hashed_type_and_run,
    raw_digest,
    utf8,
)
from fillbook.log.codec import encode
from fillbook.log.columns import HotColumns, hot_columns
from fillbook.log.port import Draft, Head, Record
from fillbook.log.seen import Seen
from fillbook.log.upcast import UPCASTERS

__all__ = ["Lookup", "Prepared", "Stage", "prepare"]

_MOST_VERSIONS = 1 << 16
_FITS = Struct(">7q").pack
_ACTORS = {
    actor: actor.encode() for actor in ("ROBOT", "VENUE", "OPERATOR", "RECONCILER", "IMPORT")
}


@define(eq=False)
class Prepared:
    """A draft with all that can be known of it before its seq.

    Attributes:
        rest: What the chain takes of it besides the seq, see `chain.hashed_rest`.
        raw: (length, salt, sha256, what is kept) of the raw message.
    """

    draft: Draft
    body: str
    hot: HotColumns
    rest: bytes
    raw: tuple[int, bytes, bytes, bytes] | None
    raw_digest: bytes | None


def prepare(draft: Draft, new_salt: Callable[[int], bytes]) -> Prepared:
    """Encode *draft*; `TypeError` or `BadValue` where it holds what the log cannot store."""
    event = draft.event
    body = encode(event)
    hot = hot_columns(event)
    try:
        _FITS(
            event.ts_event or 0,
            event.ts_received or 0,
            draft.stream or 0,
            draft.position or 0,
            draft.causation or 0,
            draft.raw_length or 0,
            hot.fill_no or 0,
        )
    except StructError as exc:
        raise TypeError(f"{event.type}: a column takes integers of 64 bits: {exc}") from exc
    if draft.client_order_id is not None:
        utf8(draft.client_order_id)
    if draft.venue_order_id is not None:
        utf8(draft.venue_order_id)
    raw = digest = None
    if draft.raw is not None:
        whole = len(draft.raw) if draft.raw_length is None else draft.raw_length
        of_whole = sha256(draft.raw).digest() if draft.raw_sha256 is None else draft.raw_sha256
        kept = draft.raw if whole <= RAW_LIMIT else draft.raw[:RAW_KEPT]
        salt = new_salt(16)
        raw = whole, salt, of_whole, kept
        digest = raw_digest(salt, whole, of_whole)
    rest = hashed_rest(
        _ACTORS[draft.actor],
        None if draft.correlation is None else utf8(draft.correlation),
        None if draft.idempotency_key is None else utf8(draft.idempotency_key),
        draft.input_hash,
        digest,
        utf8(body),
    )
    return Prepared(draft, body, hot, rest, raw, digest)


@frozen
class Lookup:
    """How a stage asks the file."""

    version_of: Callable[[int], int]
    """Last version of a stream, 0 where there is none."""
    by_key: Callable[[str], Record | None]
    """The record with an idempotency key."""
    by_client_order: Callable[[str], int | None]
    """Seq of the event that brought a client id into the book."""


@define
class Stage:
    """The log's head as it will be, and the rows that are to be written to get there.

    Attributes:
        records, rows, raws: What is not yet written, as records and as rows of the tables.
        is_careful: Ask the file about unique keys.  Without, a key that is there already comes out
            when the rows are written, as the file's own refusal.
        seen: Every key and id in the file and on its way there; None where the file was not begun
            by this writer, so that only the file itself knows.
    """

    ledger_id: bytes
    epoch: int
    run_id: str
    boot_id: str | None
    lookup: Lookup
    head: Head
    is_careful: bool = True
    seen: Seen | None = None
    records: list[Record] = field(factory=list)
    rows: list[tuple[Any, ...]] = field(factory=list)
    raws: list[tuple[Any, ...]] = field(factory=list)
    _versions: dict[int, int] = field(factory=dict)
    _keys: dict[str, Record] = field(factory=dict)
    _client_orders: dict[str, int] = field(factory=dict)
    _kinds: dict[type[Event], tuple[str, int, bool, bytes]] = field(factory=dict)

    def add(self, drafts: Sequence[Prepared], ts_recorded: int, mono_ns: int) -> list[Record]:
        """Stage *drafts* together and return their records; where one is refused, none is staged.

        Raises `VersionConflict`, `IdempotencyConflict`, `AppendRefused`.
        """
        mark = self.head, len(self.records), len(self.raws)
        done: list[Record] = []
        try:
            for prepared in drafts:
                done.append(self._add(prepared, done, ts_recorded, mono_ns))
        except BaseException:
            self._back_to(*mark)
            raise
        return done

    def may_hold(self, text: str) -> bool:
        """Tell whether *text* may be a key or id in the file; False is certain."""
        return self.seen is None or self.seen.may_hold(text)

    def written(self) -> None:
        """Forget the rows: they are in the file."""
        self.records.clear()
        self.rows.clear()
        self.raws.clear()
        self._keys.clear()
        self._client_orders.clear()
        if len(self._versions) > _MOST_VERSIONS:
            self._versions.clear()

    def restart(self, head: Head) -> None:
        """Forget the rows and go on from *head*: they are not in the file."""
        self._back_to(head, 0, 0)
        self._versions.clear()

    def _first_with_key(self, draft: Draft, *, is_careful: bool) -> Record | None:
        """Return what was appended under the draft's key, None where nothing was, or it has none.

        Raises `IdempotencyConflict` where that was something else.
        """
        key = draft.idempotency_key
        if key is None:
            return None
        first = self._keys.get(key)
        if first is None and is_careful and self.may_hold(key):
            first = self.lookup.by_key(key)
        if first is not None and first.input_hash != draft.input_hash:
            raise IdempotencyConflict(key, first.seq)
        return first

    def _add(
        self, prepared: Prepared, done: list[Record], ts_recorded: int, mono_ns: int
    ) -> Record:
        draft = prepared.draft
        event = draft.event
        if draft.idempotency_key is not None:
            first = self._first_with_key(draft, is_careful=self.is_careful)
            if first is not None:
                return first
        last_seq, last_hash = self.head
        seq = last_seq + 1
        stream, version = draft.stream, 0
        if stream is None:
            stream = seq
        else:
            if stream < 0:
                stream = _earlier(stream, done).stream
            known_version = self._versions.get(stream)
            version = self.lookup.version_of(stream) if known_version is None else known_version
            if version == 0 and stream != 0:
                raise AppendRefused(f"there is no stream {stream}")
        if draft.expected_version is not None and draft.expected_version != version:
            # A repeated draft finds its stream moved on, by itself: that is no conflict.
            first = self._first_with_key(draft, is_careful=True)
            if first is not None:
                return first
            raise VersionConflict(stream, draft.expected_version, version)
        client_order_id = draft.client_order_id
        if client_order_id is not None:
            known = self._client_orders.get(client_order_id)
            if known is None and self.is_careful and self.may_hold(client_order_id):
                known = self.lookup.by_client_order(client_order_id)
            if known is not None:
                raise AppendRefused(
                    f"client_order_id {client_order_id!r} came into the book at seq {known}"
                )
        version += 1
        causation, position = draft.causation, draft.position
        if causation is not None and causation < 0:
            causation = _earlier(causation, done).seq
        if position == 0:
            position = seq
        elif position is not None and position < 0:
            position = _earlier(position, done).position
        kind = self._kinds.get(event.__class__)
        if kind is None:
            kind = self._kinds[event.__class__] = self._kind_of(event)
        type_, type_version, is_newest, type_and_run = kind
        ts_event, ts_received = event.ts_event, event.ts_received
        hashed = event_hash(
            self.ledger_id,
            last_hash,
            seq,
            stream,
            version,
            type_version,
            ts_event,
            ts_received,
            ts_recorded,
            mono_ns,
            self.epoch,
            causation,
            type_and_run,
            prepared.rest,
        )
        op, status, qty, px, fee, fee_currency, fill_no = prepared.hot
        row = (
            seq,
            op,
            stream,
            status,
            position,
            qty,
            px,
            fee,
            fee_currency,
            fill_no,
            version,
            type_,
            type_version,
            ts_event,
            ts_received,
            ts_recorded,
            mono_ns,
            self.epoch,
            draft.actor,
            draft.correlation,
            causation,
            client_order_id,
            draft.venue_order_id,
            draft.idempotency_key,
            draft.input_hash,
            prepared.raw_digest,
            hashed,
            prepared.body,
        )
        record = Record(*row, event if is_newest else None)
        self.rows.append(row)
        self.records.append(record)
        if prepared.raw is not None:
            self.raws.append((seq, *prepared.raw))
        if draft.idempotency_key is not None:
            self._keys[draft.idempotency_key] = record
        if client_order_id is not None:
            self._client_orders[client_order_id] = seq
        self._versions[stream] = version
        if self.seen is not None:
            for each in (draft.idempotency_key, client_order_id, draft.venue_order_id):
                if each is not None:
                    self.seen.note(each)
        self.head = Head(seq, hashed)
        return record

    def _kind_of(self, event: Event) -> tuple[str, int, bool, bytes]:
        """Return what is the same for all events of a class: names, newest or not, for the hash."""
        is_newest = (event.type, event.version) not in UPCASTERS
        hashed = hashed_type_and_run(event.type, self.run_id, self.boot_id)
        return event.type, event.version, is_newest, hashed

    def _back_to(self, head: Head, record_count: int, raw_count: int) -> None:
        for record in self.records[record_count:]:
            self._versions.pop(record.stream, None)
            if record.idempotency_key is not None:
                self._keys.pop(record.idempotency_key, None)
            if record.client_order_id is not None:
                self._client_orders.pop(record.client_order_id, None)
        del self.records[record_count:]
        del self.rows[record_count:]
        del self.raws[raw_count:]
        for record in self.records:  # what stays staged is not in the file to be asked for
            self._versions[record.stream] = record.version
        self.head = head


def _earlier(reference: int, done: list[Record]) -> Record:
    """Return the record that a negative *reference* means: -1 is the append's first draft."""
    if -reference > len(done):
        raise AppendRefused(f"draft {-reference} of this append is not before the one naming it")
    return done[-reference - 1]
