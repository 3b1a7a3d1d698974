"""Put the parts together: the only place that names a concrete log.

Everything above asks here for an opened ledger, its book, or an import; everything below knows only
the ports.  What only some callers need is imported where they need it: a reader starts without the
brokers, a writer without the backup.
"""

import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from fillbook import __version__
from fillbook.core.book import Book
from fillbook.core.events import ImportProgressed
from fillbook.core.exact import plain
from fillbook.core.policies import AT_ONCE, FillPolicy
from fillbook.core.replaying import book_state, replay, restore
from fillbook.errors import BadInput, LedgerDamaged
from fillbook.log.columns import STATUS_OF_CODE
from fillbook.log.port import Finding, Head, Log, Reader, Record

if TYPE_CHECKING:
    from fillbook.audit.backup import Backup
    from fillbook.brokers.fix import FixLog
    from fillbook.brokers.jsonlines import JsonLines
    from fillbook.brokers.live import Broker
    from fillbook.brokers.port import Message
    from fillbook.feedback.door import Door
    from fillbook.feedback.intake import Progress, Tally
    from fillbook.feedback.keeper import Keeper
    from fillbook.feedback.recorder import Judgement
    from fillbook.feedback.runner import Runner
    from fillbook.feedback.settings import Settings
    from fillbook.log.heads import Checkpoint

__all__ = [
    "MEMORY",
    "Durability",
    "ImportResult",
    "LogHistory",
    "back_up",
    "checkpoint_beside",
    "configured_robot",
    "examine",
    "id_maker",
    "import_file",
    "open_log",
    "open_reader",
    "open_robot",
    "recover",
    "save_state",
    "serve_paper",
]

_LOG = logging.getLogger("fillbook.robot")

MEMORY = ":memory:"

Durability = Literal["strict", "relaxed", "bulk", "none"]

_READ_AHEAD = 50
"""Records read with the second of a run."""

SNAPSHOT_EVERY = 5000
"""Events between two snapshots that a clean stop saves."""

_REDUCERS = (
    "book", "control", "events", "exact", "folding", "holdings", "lifecycle", "operator_events",
    "orders", "position_book", "positions", "replaying", "robot_events", "values",
)  # fmt: skip


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


# ---- ledgers


def open_log(
    path: str,
    *,
    durability: Durability = "strict",
    create: bool = True,
    robot: str = "",
    accept_loss: tuple[str, str] | None = None,
) -> Log:
    """Open the ledger at *path* for writing; `:memory:` keeps nothing.

    *accept_loss* is who accepts, and why, that a tail of it is gone.

    Raises what `SqliteLog.open` raises; nothing is written then.
    """
    from fillbook.log.sqlite import SqliteLog

    if path == MEMORY:
        durability = "none"
    return SqliteLog.open(
        path,
        durability=durability,
        create=create,
        robot=robot,
        on_tail_loss="refuse" if accept_loss is None else "accept",
        accepted=accept_loss,
    )


def open_reader(path: str) -> Any:
    """Open the ledger at *path* for reading, beside whoever writes it."""
    from fillbook.log.reader import open_reader as open_it

    return open_it(path)


def back_up(
    ledger: str, target: str, on_progress: Callable[[int, int], None] | None = None
) -> "Backup":
    """Copy *ledger* to the new file *target*, verified to its head before it counts."""
    from fillbook.audit import backup
    from fillbook.audit.verify import verify
    from fillbook.log.copying import copy_ledger, sync

    def head_of_verified(path: str) -> Head:
        with open_reader(path) as reader:
            verdict = verify(reader)
            if verdict.problems:
                raise LedgerDamaged(ledger, f"its copy does not verify ({verdict.problems[0]})")
            head: Head = reader.head()
            return head

    made = backup.back_up(
        target, lambda path: copy_ledger(ledger, path, on_progress), head_of_verified
    )
    sync(str(Path(target).resolve().parent))
    return made


def examine(ledger: str | None) -> list[Finding]:
    """Return what this machine, and the ledger where one is named, stand on."""
    from fillbook.log.health import examine as examine_it

    return examine_it(ledger)


def checkpoint_beside(path: str) -> "Checkpoint | None":
    """Return the last head that was written down beside the ledger at *path*, None without any."""
    from fillbook.log.heads import read_checkpoint

    return read_checkpoint(os.path.realpath(path))[0]


@cache
def reducer_fingerprint() -> str:
    """Return what tells this program's fold from any other one's: a digest of its source."""
    digest = hashlib.sha256(__version__.encode())
    core = Path(__file__).with_name("core")
    for name in _REDUCERS:
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


# ---- robots


def open_robot(
    ledger: str, broker: "Broker | None", settings: "Settings", durability: Durability, name: str
) -> "tuple[Runner, Callable[[], None]]":
    """Return what runs a robot on *ledger*, not yet started, and what ends it: a snapshot, closing.

    Raises what `open_log` raises.
    """
    from fillbook.feedback.halt_file import HaltFile
    from fillbook.feedback.keeper import Keeper
    from fillbook.feedback.runner import Runner
    from fillbook.feedback.tracker import Tracker

    log = open_log(ledger, durability=durability, robot=name)
    try:
        if broker is None:
            from fillbook.brokers.paper_live import PaperBroker

            broker = PaperBroker()
        keep_beside = getattr(broker, "keep_beside", None)  # only paper has to be told
        if keep_beside is not None and ledger != MEMORY:
            keep_beside(ledger)
        keeper = Keeper(log, lambda: recover(log), settings.fill_policy)
        make_id = id_maker(log, broker.capabilities.client_id_form)
        tracker = Tracker(keeper, broker.capabilities, settings, make_id, Random(os.urandom(16)))
        halt_file = None if ledger == MEMORY else HaltFile(os.path.realpath(ledger))
        runner = Runner(tracker, broker, halt_file=halt_file)
        door = None if ledger == MEMORY else _open_door(ledger, runner, keeper)
    except BaseException:
        log.close()
        raise

    def end() -> None:
        if door is not None:
            door.close()
        with runner.lock:  # what somebody asked for at the door is done first
            try:
                if keeper.storage_problem is None:
                    save_state(log, keeper.book)
            finally:
                log.close()

    return runner, end


def configured_robot(path: str) -> "tuple[str, Broker | None, Settings, Durability, str]":
    """Return (ledger, broker, settings, durability, name) as the configuration *path* has them.

    Raises `BadInput` naming file and line of what is wrong.
    """
    from fillbook.configuration import factory_at, read_configuration
    from fillbook.core.policies import PartialFills
    from fillbook.feedback.settings import Settings

    said = read_configuration(path)
    feedback, halts, rest = said.feedback, said.halts, said.partial_fills
    partial_fills = {
        "keep": PartialFills(),
        "cancel": PartialFills("CANCEL_REST"),
        "cancel_after": PartialFills("CANCEL_AFTER", rest.after_s),
        "cancel_below": PartialFills("MINIMUM", rest.minimum_qty),
        "reprice": PartialFills("REPRICE_BY", rest.reprice_by),
    }[rest.policy]
    settings = Settings(
        poll_ns=_in_ns(feedback.poll_interval_s),
        position_ns=_in_ns(feedback.position_interval_s),
        call_timeout_ns=_in_ns(feedback.call_timeout_s),
        offline=feedback.offline.upper(),
        queue_ns=_in_ns(feedback.queue_expiry_s),
        most_unknown_ns=_in_ns(halts.max_unknown_s) if halts.on_unknown != "none" else None,
        most_rejects=(halts.max_rejects or None) if halts.on_rejects != "none" else None,
        most_silence_ns=_in_ns(halts.stale_s) if halts.on_stale != "none" else None,
        unknown_level=_level(halts.on_unknown),
        rejects_level=_level(halts.on_rejects),
        silence_level=_level(halts.on_stale),
        partial_fills=partial_fills,
        account_id=said.broker.account,
    )
    broker: Broker | None = None
    if said.broker.kind == "client":
        from fillbook.brokers.client import ClientBroker

        broker = ClientBroker(factory_at(said.broker.client or "")(**said.broker.resolved()))
    elif said.broker.kind == "paper":
        from fillbook.brokers.paper_live import PaperBroker

        options = said.broker.resolved()
        if "url" not in options:
            options.setdefault("path", f"{said.robot.ledger}.paper")
        broker = PaperBroker(**options)
    else:
        broker = factory_at(said.broker.kind)(**said.broker.resolved())
    durability: Durability = said.robot.durability  # type: ignore[assignment]
    return said.robot.ledger, broker, settings, durability, said.robot.name


def _in_ns(seconds: Decimal) -> "int | Any":
    """Return *seconds* in nanoseconds; None for 0, which means that there is no limit."""
    return int(seconds * 1_000_000_000) or None


def _level(word: str) -> str:
    return "REDUCE_ONLY" if word == "reduce_only" else "HALTED"


def _open_door(ledger: str, runner: "Runner", keeper: "Keeper") -> "Door | None":
    """Open the door beside *ledger*; where there can be none the robot works without."""
    from fillbook.feedback.door import Door
    from fillbook.feedback.operator import Operator
    from fillbook.feedback.verbs import operator_verbs

    tracker = runner.tracker
    operator = Operator(keeper, tracker.make_id, tracker, lambda: runner.trouble)
    try:
        return Door(os.path.realpath(ledger) + ".sock", operator_verbs(operator, runner.short_step))
    except OSError as exc:
        _LOG.warning("%s.sock: no control door: %s", ledger, exc.strerror or exc)
        return None


def id_maker(log: Log, form: str) -> Callable[[], str]:
    """Return what makes the client order ids of one run: numbered on from the head, never twice."""
    from fillbook.core.client_ids import RUN_BITS, client_order_id

    run = int.from_bytes(os.urandom(RUN_BITS // 8), "big")
    seq = 0

    def make_id() -> str:
        nonlocal seq
        head = log.head()
        seq = max(seq, head.seq) + 1
        return client_order_id(form, run, seq, head.event_hash)

    return make_id


def serve_paper(
    port: int, seed: int, plan: str, path: str | None, ready: Callable[[int, str], None]
) -> None:
    """Serve a paper broker until the process ends; *ready* is told the port and the faults.

    Raises `BadInput` for a plan that says nothing, `OSError` for a port that cannot be had.
    """
    from fillbook.brokers.paper_faults import FaultPlan
    from fillbook.brokers.paper_server import serve

    faults = FaultPlan.parse(plan)
    serve(port, seed, faults, path, ready=lambda actual: ready(actual, faults.text))


# ---- importing


class ImportResult:
    """What an import did, with what the reader of the file noticed.

    Attributes:
        tally: The messages by outcome, the reasons, the head afterwards.
        form: `jsonl`, `fix` or `events`.
        believed: FIX messages with a wrong checksum that were believed (`--checksum warn`).
        skipped: FIX messages of no concern, by MsgType.
        session: FIX messages that only keep the session going.
        junk_lines: Lines without a message.
        warnings: What the ledger had to say when it was opened.
    """

    def __init__(self, tally: "Tally", form: str, source: "JsonLines | FixLog | None") -> None:
        from fillbook.brokers.fix import FixLog

        self.tally = tally
        self.form = form
        self.believed = source.believed if isinstance(source, FixLog) else 0
        self.skipped = dict(source.skipped) if isinstance(source, FixLog) else {}
        self.session = source.session if isinstance(source, FixLog) else 0
        self.junk_lines = source.junk_lines if isinstance(source, FixLog) else 0
        self.warnings: list[str] = []


def import_file(
    file: str,
    ledger: str,
    *,
    form: Literal["auto", "jsonl", "fix", "events"] = "auto",
    checksum: Literal["refuse", "warn"] = "refuse",
    durability: Durability = "strict",
    policy: FillPolicy = AT_ONCE,
    on_judgement: "Callable[[Message, Judgement], None] | None" = None,
    on_flush: "Callable[[Progress], None] | None" = None,
) -> ImportResult:
    """Import *file* (`-` is standard input) into the ledger at *ledger*, which is made if missing.

    An export of events becomes a new ledger with the same events, hashes and head.

    Raises `BadInput` for a file that cannot be read, and what `open_log` raises.  What was read
    before an error is in the ledger up to the last commit, with a note of how far it reaches.
    """
    from fillbook.brokers.fix import read_fix, sniff
    from fillbook.brokers.jsonlines import read_jsonl
    from fillbook.feedback.intake import Reading, known_prefix, take_in

    with _opened(file) as raw_stream:
        beginning, stream = _beginning(raw_stream)
        if form == "events" or (form == "auto" and _is_export(beginning)):
            return _make_again(stream, ledger, file)
        log = open_log(ledger, durability=durability)
        try:
            if form == "auto":
                form = sniff(beginning)
            reading = Reading(_name(file), form, checksum.upper() if form == "fix" else "")
            events = (each.event for each in log.imports())
            noted = (each for each in events if isinstance(each, ImportProgressed))
            ahead, known = known_prefix(stream, noted, reading)
            source = read_jsonl(ahead) if form == "jsonl" else read_fix(ahead, checksum)
            book = recover(log)
            before = book.seq
            try:
                tally = take_in(
                    log,
                    book,
                    source,
                    reading=reading,
                    known_bytes=known,
                    policy=policy,
                    on_judgement=on_judgement,
                    on_flush=on_flush,
                )
            except OSError as exc:
                raise BadInput(
                    f"{file}: {exc.strerror or exc}: what was read until then is in the ledger",
                    "mend the file and import it again: it goes on where it stopped",
                ) from exc
            if book.seq > before:
                save_state(log, book)
            result = ImportResult(tally, form, source)
            result.warnings = [str(each) for each in log.warnings]
            return result
        finally:
            log.close()


def _is_export(beginning: bytes) -> bool:
    if b'"fillbook.export.' not in beginning:  # spares other files the loading of the reader
        return False
    from fillbook.audit.reimport import is_export

    return is_export(beginning)


def _make_again(stream: BinaryIO, ledger: str, file: str) -> ImportResult:
    """Make the ledger that an export is of."""
    if ledger == MEMORY:
        raise BadInput(f"{file}: this is an export of a ledger", "name a new ledger for it")
    from fillbook.audit.reimport import reimport
    from fillbook.feedback.intake import Tally

    head = reimport(stream, file, ledger)
    tally = Tally(head_seq=head.seq)
    tally.outcomes["RECORDED"] = head.seq
    return ImportResult(tally, "events", None)


def _name(file: str) -> str:
    return "standard input" if file == "-" else os.path.basename(file)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        if Path(file).is_dir():
            raise BadInput(f"{file}: this is a directory", "name a file of messages")
        stream = open(file, "rb")  # noqa: SIM115
    except OSError as exc:
        raise BadInput(
            f"{file}: {exc.strerror}", "name a file that you may read, or - for standard input"
        ) from exc
    with stream:
        yield stream


class _Rewound:
    """A stream some bytes of which were looked at."""

    def __init__(self, beginning: bytes, stream: BinaryIO) -> None:
        self._beginning = beginning
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if self._beginning:
            data = self._beginning
            if 0 <= size < len(data):
                data, self._beginning = data[:size], data[size:]
            else:
                self._beginning = b""
            return data
        return self._stream.read(size)


def _beginning(stream: BinaryIO) -> tuple[bytes, Any]:
    """Return the first few KiB of *stream*, and a stream that still has them."""
    data = b""
    while len(data) < 4096 and b"\n" not in data:
        chunk = stream.read(4096 - len(data))
        if not chunk:
            break
        data += chunk
    return data, _Rewound(data, stream)
