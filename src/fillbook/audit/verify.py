"""Check a ledger from the inside: that it is whole, and that it says the truth about itself.

Three passes, each with flat memory.  The records in sequence: chain, canonical bodies, columns, raw
messages.  The streams: versions, and the fold of each order against what its events say of it.
The tables beside: UNIQUE keys, runs, schema, checkpoint.  `ledger/witness.py` checks the same file
without any of this code, except for the fold.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Protocol

from attrs import define, field
from transitions import MachineError

from fillbook.core.book import Book
from fillbook.core.events import CashMoved, Event, OrderEvent
from fillbook.core.folding import drift, fold_order, open_order
from fillbook.core.orders import Order
from fillbook.errors import BadValue, UnknownEventVersion
from fillbook.log.chain import RAW_KEPT, RAW_LIMIT, genesis, hash_of_record, raw_digest
from fillbook.log.codec import decode, encode
from fillbook.log.columns import hot_columns
from fillbook.log.port import Head, Reader, Record, Run

__all__ = ["MOST_PROBLEMS", "Problem", "Verdict", "verify"]

MOST_PROBLEMS = 1000
"""How many problems are listed; the rest is only counted."""

_TOLD_EVERY = 10_000
_HOT = ("op", "status", "qty", "px", "fee", "fee_currency", "fill_no")


class _Fetches(Reader, Protocol):
    def fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]: ...


@define
class Problem:
    """One thing that is not as it must be; `seq` 0 is the file as a whole."""

    seq: int
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"seq {self.seq}: {self.what}: expected {self.expected}, found {self.found}"


@define
class Verdict:
    """What a ledger was found to be.

    Attributes:
        head: Where it ends.
        counts: Events by type.
        problems: What is wrong, in the order found; at most `MOST_PROBLEMS`.
        problem_count: All of them.
        unfolded: Orders that could not be folded because an event is of a newer version.
    """

    ledger_id: str
    robot: str
    head: Head
    counts: Counter[str] = field(factory=Counter)
    problems: list[Problem] = field(factory=list)
    problem_count: int = 0
    unfolded: int = 0

    @property
    def is_whole(self) -> bool:
        """True where nothing is wrong."""
        return not self.problem_count

    def note(self, seq: int, what: str, expected: object, found: object) -> None:
        """Add a problem."""
        self.problem_count += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(seq, what, _short(expected), _short(found)))


def verify(reader: _Fetches, on_progress: Callable[[int], None] | None = None) -> Verdict:
    """Return what *reader*'s ledger is; raises only what reading itself raises.

    `on_progress` is told the seq reached, now and then.
    """
    head = reader.head()
    verdict = Verdict(reader.ledger_id.hex(), reader.robot, head)
    _check_records(reader, verdict, on_progress)
    _check_keys(reader, verdict)
    _check_streams(reader, verdict)
    return verdict


# ---- the records, in sequence


def _check_records(
    reader: _Fetches, verdict: Verdict, on_progress: Callable[[int], None] | None
) -> None:
    runs = {run.epoch: run for run in reader.runs()}
    prev_hash = genesis(reader.ledger_id)
    seq = 0
    positions: dict[tuple[str, str], int] = {}
    epoch = 0
    for record in reader.records(upto=verdict.head.seq):
        verdict.counts[record.type] += 1
        if record.seq != seq + 1:
            verdict.note(record.seq, "sequence", f"seq {seq + 1}", f"seq {record.seq}")
        if record.epoch < epoch:
            verdict.note(record.seq, "epoch", f"at least {epoch}", record.epoch)
        seq, epoch = record.seq, record.epoch
        _check_hash(reader.ledger_id, verdict, record, prev_hash, runs)
        prev_hash = record.event_hash
        event = _decoded(verdict, record)
        if event is not None:
            _check_columns(verdict, record, event, positions)
        if on_progress is not None and seq % _TOLD_EVERY == 0:
            on_progress(seq)
    if (seq, prev_hash) != tuple(verdict.head):
        verdict.note(seq, "head", verdict.head.seq, seq)
    _check_raws(reader, verdict)


def _check_hash(
    ledger_id: bytes, verdict: Verdict, record: Record, prev_hash: bytes, runs: dict[int, Run]
) -> None:
    run = runs.get(record.epoch)
    if run is None:
        verdict.note(record.seq, "epoch", "one of the runs", record.epoch)
        return
    wanted = hash_of_record(ledger_id, prev_hash, record, run)
    if wanted != record.event_hash:
        verdict.note(record.seq, "event_hash", wanted.hex(), record.event_hash.hex())


def _decoded(verdict: Verdict, record: Record) -> Event | None:
    """Return the event as its own version; None where it cannot be read or is unknown."""
    try:
        event = decode(record.type, record.type_version, record.body)
    except UnknownEventVersion:
        return None
    except BadValue as exc:
        verdict.note(record.seq, "body", f"a body of {record.type}", exc)
        return None
    if encode(event) != record.body:
        verdict.note(record.seq, "canonical body", encode(event), record.body)
    return event


def _check_columns(
    verdict: Verdict, record: Record, event: Event, positions: dict[tuple[str, str], int]
) -> None:
    """Compare the columns that repeat the body with the body."""
    for name, wanted in zip(_HOT, hot_columns(event), strict=True):
        found = getattr(record, name)
        if found != wanted:
            verdict.note(record.seq, name, wanted, found)
    if isinstance(event, OrderEvent):
        ids = (event.client_order_id, event.request_id)
        if record.client_order_id is not None and record.client_order_id not in ids:
            verdict.note(record.seq, "client_order_id", ids, record.client_order_id)
        if record.venue_order_id is not None and record.venue_order_id != event.venue_order_id:
            found = record.venue_order_id
            verdict.note(record.seq, "venue_order_id", event.venue_order_id, found)
    if record.position is not None:
        if isinstance(event, (OrderEvent, CashMoved)):
            key = (event.account_id, event.instrument_id)
            wanted = positions.setdefault(key, record.seq)
            if record.position != wanted:
                verdict.note(record.seq, "position", wanted, record.position)
        else:
            verdict.note(record.seq, "position", None, record.position)
    elif record.op in (1, 2) and isinstance(event, (OrderEvent, CashMoved)):
        verdict.note(record.seq, "position", "a position", None)


def _check_raws(reader: _Fetches, verdict: Verdict) -> None:
    after = 0
    while True:
        rows = reader.fetch(
            "SELECT seq, raw_digest, length, salt, sha256, raw, raws.seq IS NOT NULL FROM events "
            "LEFT JOIN raws USING (seq) WHERE seq > ? AND raw_digest IS NOT NULL "
            "ORDER BY seq LIMIT 500",
            (after,),
        )
        for row in rows:
            _check_raw(verdict, *row)
        if len(rows) < 500:
            break
        after = rows[-1][0]
    for (seq,) in reader.fetch(
        "SELECT seq FROM raws WHERE seq NOT IN (SELECT seq FROM events WHERE raw_digest NOT NULL)"
    ):
        verdict.note(seq, "raw message", "none", "one that no event knows")


def _check_raw(
    verdict: Verdict,
    seq: int,
    digest: bytes,
    length: int | None,
    salt: bytes | None,
    whole: bytes | None,
    raw: bytes | None,
    is_there: int,
) -> None:
    if not is_there:
        verdict.note(seq, "raw message", "its row", "none")
        return
    if salt is None and whole is None and raw is None:
        return  # erased, which the chain allows
    if length is None or salt is None or whole is None or raw is None:
        verdict.note(seq, "raw message", "all of it or nothing", "a part")
        return
    if raw_digest(salt, length, whole) != digest:
        verdict.note(seq, "raw_digest", digest.hex(), raw_digest(salt, length, whole).hex())
    if length <= RAW_LIMIT:
        if len(raw) != length or sha256(raw).digest() != whole:
            verdict.note(seq, "raw message", whole.hex(), sha256(raw).hexdigest())
    elif len(raw) != RAW_KEPT:
        verdict.note(seq, "raw message", f"its first {RAW_KEPT} bytes", f"{len(raw)} bytes")


# ---- keys and streams


def _check_keys(reader: _Fetches, verdict: Verdict) -> None:
    for column in ("idempotency_key", "client_order_id"):
        for value, count in reader.fetch(
            f"SELECT {column}, count(*) FROM events WHERE {column} IS NOT NULL "
            f"GROUP BY {column} HAVING count(*) > 1"
        ):
            verdict.note(0, column, f"{value} once", f"{count} times")
    for stream, count, first, last, opened in reader.fetch(
        "SELECT stream, count(*), min(version), max(version), min(seq) FROM events GROUP BY stream "
        "HAVING count(*) != max(version) OR min(version) != 1 OR (stream != 0 "
        "AND stream != min(seq))"
    ):
        found = f"{count} events, versions {first} to {last}, from seq {opened}"
        verdict.note(opened, f"stream {stream}", "versions without a gap from 1", found)


def _check_streams(reader: _Fetches, verdict: Verdict) -> None:
    """Fold every order and compare it, after each event, with what the event says of it."""
    machine = Book().machine
    for stream in _order_streams(reader):
        order: Order | None = None
        try:
            for record in reader.records(stream=stream, upto=verdict.head.seq):
                event = record.event
                if not isinstance(event, OrderEvent):
                    verdict.note(record.seq, "stream", "an order's event", record.type)
                    break
                if order is None:
                    order = open_order(stream, event)
                fold_order(order, event, machine)
                differs = drift(order, event)
                if differs is not None:
                    verdict.note(record.seq, "fold", "what the event says", differs)
                    break
        except UnknownEventVersion:
            verdict.unfolded += 1
        except MachineError as exc:
            verdict.note(record.seq, "lifecycle", "a step of the law", exc)
        except (BadValue, KeyError, ArithmeticError) as exc:
            verdict.note(record.seq, "fold", "an event that can be folded", repr(exc))


def _order_streams(reader: _Fetches) -> Iterator[int]:
    after = 0
    while True:
        rows = reader.fetch(
            "SELECT DISTINCT stream FROM events WHERE stream > ? AND status IS NOT NULL "
            "ORDER BY stream LIMIT 10000",
            (after,),
        )
        yield from (row[0] for row in rows)
        if len(rows) < 10000:
            return
        after = rows[-1][0]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
