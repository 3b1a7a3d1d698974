"""Keep what is appended in memory, over a log that is only read: what a dry run works on.

The base is seen as it stood when the overlay was made (`log.as_of`) and is never written to.  What
is appended goes through the same staging as in a file, so the rules are the same ones, and the
records are those that the base would hold had it been appended there: the next seqs, the epoch of
the base's last run, the hash chain carried on.  Nothing of it outlives the overlay.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from heapq import merge
from operator import attrgetter
from typing import Any

from attrs import define, field

from fillbook.core.events import Event
from fillbook.log.as_of import AsOf, instrument_of, is_of_instrument
from fillbook.log.port import LEDGER_STREAM, Draft, Head, Raw, Reader, Record, Row, Run
from fillbook.log.staging import Lookup, Prepared, Stage, prepare

__all__ = ["OverlayBatch", "OverlayLog"]

_BY_SEQ = attrgetter("seq")
_BY_STREAM = attrgetter("stream", "version")
_ROW: Callable[[Record], Row] = attrgetter(
    "seq", "op", "stream", "status", "position", "qty", "px", "fee", "fee_currency"
)


class OverlayLog:
    """A log over *base*.  Threads may share it, as far as they may share *base*.

    Args:
        base: Open for as long as the overlay is used.
        clock, mono, new_salt: Where times and salts come from.
        closes_base: Whether `close` closes *base* too.
    """

    def __init__(
        self,
        base: Reader,
        *,
        clock: Callable[[], int] = time.time_ns,
        mono: Callable[[], int] = time.monotonic_ns,
        new_salt: Callable[[int], bytes] = os.urandom,
        closes_base: bool = False,
    ) -> None:
        self._base = AsOf(base)
        self._clock = clock
        self._mono = mono
        self._new_salt = new_salt
        self._closes_base = closes_base
        self._lock = threading.RLock()
        self._batching: int | None = None
        self._is_closed = False
        self._kept = _Kept(self._base.head())
        runs = self._base.runs()
        assert runs, "a ledger begins with its first event, and that is of a run"
        self._stage = Stage(
            self._base.ledger_id,
            runs[-1].epoch,
            runs[-1].run_id,
            runs[-1].boot_id,
            Lookup(self.stream_version, self._by_key, self._by_client_order),
            self._base.head(),
        )

    @property
    def ledger_id(self) -> bytes:
        """The base's UUID, 16 bytes."""
        return self._base.ledger_id

    @property
    def robot(self) -> str:
        """Whose ledger the base is."""
        return self._base.robot

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is amiss: nothing ever is, in memory."""
        return ()

    def head(self) -> Head:
        """Return where the overlay ends."""
        return self._kept.head

    # ---- appending

    def append(self, drafts: Sequence[Draft], *, feedback: bool = False) -> list[Record]:
        """Append *drafts*, all of them or none; see `Log.append`."""
        self._must_be_usable()
        if not drafts:
            return []
        prepared = [prepare(draft, self._new_salt) for draft in drafts]
        with self._alone():
            done = self._add(prepared)
            self._flush()
            return done

    @contextmanager
    def batch(self, *, feedback: bool = False) -> Iterator["OverlayBatch"]:
        """Open a batch; see `Log.batch`."""
        with self._alone():
            self._batching = threading.get_ident()
            try:
                batch = OverlayBatch(self._new_salt, self._add, self._flush)
                yield batch
                batch.flush()
            finally:
                self._batching = None
                if self._stage.records:
                    self._stage.restart(self._kept.head)

    def save_snapshot(self, seq: int, reducer: str, state: str) -> None:
        """Do nothing: there will be no later start to make shorter."""
        self._must_be_usable()

    def refresh_positions(self, rows: Sequence[Sequence[Any]], as_of_seq: int) -> None:
        """Do nothing: no other program reads an overlay."""
        self._must_be_usable()

    def close(self) -> None:
        """Let everything go; a second time does nothing."""
        with self._lock:
            if self._is_closed:
                return
            self._must_be_usable()
            self._is_closed = True
            self._kept = _Kept(self._base.head())
            if self._closes_base:
                self._base.close()

    def __enter__(self) -> "OverlayLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(self, prepared: Sequence[Prepared]) -> list[Record]:
        return self._stage.add(prepared, self._clock(), self._mono())

    def _flush(self) -> Head:
        self._kept.take(self._stage)
        self._stage.written()
        return self._kept.head

    def _by_key(self, idempotency_key: str) -> Record | None:
        seq = self.find_key(idempotency_key)
        return None if seq is None else next(self.records(seq - 1, seq))

    def _by_client_order(self, client_order_id: str) -> int | None:
        record = self._client_order_record(client_order_id)
        return None if record is None else record.seq

    # ---- questions

    def records(
        self,
        after: int = 0,
        upto: int | None = None,
        stream: int | None = None,
        position: int | None = None,
    ) -> Iterator[Record]:
        """Yield records with ``after < seq <= upto``; see `Reader.records`."""
        self._must_be_open()
        assert stream is None or position is None, "records of a stream or of a position"
        kept = self._kept
        last = kept.head.seq if upto is None else upto
        if after < kept.base_seq:
            yield from self._base.records(after, last, stream, position)
        if position is not None:
            yield from self._rest_of_position(kept, after, last, position)
        elif stream is not None:
            yield from _between(kept.by_stream.get(stream, ()), after, last)
        else:
            yield from kept.between(after, last)

    def _rest_of_position(
        self, kept: "_Kept", after: int, last: int, number: int
    ) -> Iterator[Record]:
        """Yield what the base could not know to be of this position, or does not have."""
        first = next(self.records(number - 1, number), None)
        instrument_id = None if first is None else instrument_of(first)
        others: list[Record] = []
        if instrument_id is not None:
            others = [r for r in kept.of_instruments if instrument_of(r) == instrument_id]
            if number > kept.base_seq:  # there it names no position yet, whose instrument it finds
                others = self._base.instrument_records(instrument_id) + others
        own = kept.by_position.get(number, ())
        yield from merge(_between(own, after, last), _between(others, after, last), key=_BY_SEQ)

    def order_records(self, upto: int | None = None) -> Iterator[Record]:
        """Yield the records of all orders, one after the other; see `Reader.order_records`."""
        self._must_be_open()
        kept = self._kept
        last = kept.head.seq if upto is None else upto
        later = [record for record in kept.between(0, last) if record.status is not None]
        later.sort(key=_BY_STREAM)
        yield from merge(self._base.order_records(last), later, key=_BY_STREAM)

    def rows(self, after: int = 0, upto: int | None = None) -> Iterator[Row]:
        """Yield the columns that the fast fold needs; see `port.Row`."""
        self._must_be_open()
        kept = self._kept
        last = kept.head.seq if upto is None else upto
        if after < kept.base_seq:
            yield from self._base.rows(after, last)
        yield from map(_ROW, kept.between(after, last))

    def find_client_order(self, client_order_id: str) -> int | None:
        """Return the stream of the order that ever had this client id."""
        record = self._client_order_record(client_order_id)
        return None if record is None else record.stream

    def find_venue_orders(self, venue_order_id: str) -> list[int]:
        """Return the streams of all orders that ever had this venue id, oldest first."""
        self._must_be_open()
        later = self._kept.by_venue_order.get(venue_order_id, ())
        return sorted({*self._base.find_venue_orders(venue_order_id), *later})

    def find_trades(self, trade_id: str) -> list[int]:
        """Return the streams with a fill of this trade id, oldest first."""
        self._must_be_open()
        return sorted([*self._base.find_trades(trade_id), *self._kept.by_trade.get(trade_id, ())])

    def find_key(self, idempotency_key: str) -> int | None:
        """Return the seq of the event with this idempotency key."""
        self._must_be_open()
        seq = self._kept.by_key.get(idempotency_key)
        return self._base.find_key(idempotency_key) if seq is None else seq

    def stream_version(self, stream: int) -> int:
        """Return the last version of *stream*, 0 where there is none."""
        self._must_be_open()
        later = self._kept.by_stream.get(stream)
        return later[-1].version if later else self._base.stream_version(stream)

    def records_of(self, kinds: Sequence[type[Event]], upto: int | None = None) -> Iterator[Record]:
        """Yield the records of these types; see `Reader.records_of`."""
        self._must_be_open()
        names = {kind.type for kind in kinds}
        yield from self._base.records_of(kinds, upto)
        for record in self._kept.records:
            if record.type in names and (upto is None or record.seq <= upto):
                yield record

    def imports(self) -> Iterator[Record]:
        """Yield the `import.progressed` records."""
        self._must_be_open()
        kept = self._kept
        yield from self._base.imports()
        later = kept.by_stream.get(LEDGER_STREAM, ())
        yield from [record for record in later if record.type == "import.progressed"]

    def raw(self, seq: int) -> Raw | None:
        """Return the message behind *seq*, None where it never had one."""
        self._must_be_open()
        return self._kept.raws.get(seq) or self._base.raw(seq)

    def runs(self) -> list[Run]:
        """Return every writer that ever appended, oldest first; the overlay goes on in the last."""
        self._must_be_open()
        return self._base.runs()

    def load_snapshot(self, reducer: str) -> tuple[int, str] | None:
        """Return (seq, state) of the base's snapshot, where it lies under what is seen of it."""
        self._must_be_open()
        return self._base.load_snapshot(reducer)

    def _client_order_record(self, client_order_id: str) -> Record | None:
        self._must_be_open()
        later = self._kept.by_client_order.get(client_order_id)
        return self._base.client_order_record(client_order_id) if later is None else later

    # ---- who may use it

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold off every other appender."""
        self._must_be_usable()
        with self._lock:
            self._must_be_usable()
            yield

    def _must_be_open(self) -> None:
        if self._is_closed:
            raise ValueError("the overlay is closed")

    def _must_be_usable(self) -> None:
        self._must_be_open()
        if self._batching == threading.get_ident():
            raise RuntimeError("inside a batch, append through the batch")


class OverlayBatch:
    """A stretch in which one thread alone appends; nobody sees what was added before `flush`."""

    def __init__(
        self,
        new_salt: Callable[[int], bytes],
        add: Callable[[Sequence[Prepared]], list[Record]],
        flush: Callable[[], Head],
    ) -> None:
        self._new_salt = new_salt
        self._add = add
        self._flush = flush

    def add(self, draft: Draft) -> Record:
        """Stage one draft and return its record; see `Batch.add`."""
        return self._add((prepare(draft, self._new_salt),))[0]

    def flush(self) -> Head:
        """Keep what was added; see `Batch.flush`."""
        return self._flush()


@define
class _Kept:
    """What was appended, in the order of seq, and what finds it again.

    Attributes:
        head: Where it ends; where the base ends while there is nothing.
        base_seq: Where the base ends.
        of_instruments: The events of instruments as such.
    """

    head: Head
    base_seq: int = field(init=False)
    records: list[Record] = field(factory=list)
    raws: dict[int, Raw] = field(factory=dict)
    of_instruments: list[Record] = field(factory=list)
    by_stream: dict[int, list[Record]] = field(factory=dict)
    by_position: dict[int, list[Record]] = field(factory=dict)
    by_key: dict[str, int] = field(factory=dict)
    by_client_order: dict[str, Record] = field(factory=dict)
    by_venue_order: dict[str, list[int]] = field(factory=dict)
    by_trade: dict[str, list[int]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.base_seq = self.head.seq

    def take(self, stage: Stage) -> None:
        """Take over what is staged."""
        for seq, *told in stage.raws:
            self.raws[seq] = Raw(*told)
        for record in stage.records:
            self._take(record)
        self.head = stage.head

    def _take(self, record: Record) -> None:
        self.records.append(record)
        self.by_stream.setdefault(record.stream, []).append(record)
        if record.position is not None:
            self.by_position.setdefault(record.position, []).append(record)
        elif is_of_instrument(record):
            self.of_instruments.append(record)
        if record.client_order_id is not None:
            self.by_client_order[record.client_order_id] = record
        if record.venue_order_id is not None:
            self.by_venue_order.setdefault(record.venue_order_id, []).append(record.stream)
        key = record.idempotency_key
        if key is not None:
            self.by_key[key] = record.seq
            trade_id = key[len("fill:") : -len(f":{record.stream}")]  # may hold colons itself
            if key == f"fill:{trade_id}:{record.stream}":
                self.by_trade.setdefault(trade_id, []).append(record.stream)

    def between(self, after: int, upto: int) -> list[Record]:
        """Return the records with ``after < seq <= upto``."""
        return self.records[max(after - self.base_seq, 0) : max(upto - self.base_seq, 0)]


def _between(records: Iterable[Record], after: int, upto: int) -> list[Record]:
    return [record for record in records if after < record.seq <= upto]
