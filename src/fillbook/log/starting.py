"""Find out where a ledger stands before its writer goes on, or begin one.

The last event must follow from the one before it, and the ledger must reach the last head that was
written down outside it.  Nothing is written to a ledger that exists already.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from attrs import evolve, frozen

from fillbook.core.events import LedgerCreated
from fillbook.core.operator_events import TailLossAccepted
from fillbook.errors import BadInput, HeadBehindCheckpoint, LedgerDamaged
from fillbook.log._sqlite import Connection, Error
from fillbook.log.chain import CHAIN_DOMAIN, genesis, hash_of_record
from fillbook.log.heads import Checkpoint, HeadsFile, read_checkpoint
from fillbook.log.opening import Durability, connect_writer, opening_error
from fillbook.log.port import LEDGER_STREAM, Draft, Head, Record, Run
from fillbook.log.queries import RECORD_SQL, RUN_SQL
from fillbook.log.schema import FORMAT_VERSION, format_of, migrate
from fillbook.log.seen import Seen
from fillbook.log.staging import prepare
from fillbook.log.writer import Writer

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["Start", "begin_in_memory", "random_id", "start_writer"]


@frozen(kw_only=True)
class Start:
    """What a writer brings along; see `SqliteLog.open`."""

    durability: Durability
    robot: str
    on_tail_loss: Literal["refuse", "accept"]
    accepted: tuple[str, str] | None
    run: Run
    clock: Callable[[], int]
    mono: Callable[[], int]
    new_id: "Callable[[], UUID]"
    new_salt: Callable[[int], bytes]


def random_id() -> "UUID":
    """Return a new random id."""
    from uuid import uuid4  # slow to import, and a reader needs none

    return uuid4()


def begin_in_memory(start: Start) -> Writer:
    """Begin a ledger that is gone when its connection closes."""
    connection = connect_writer(":memory:", "none")
    return _begin(connection, ":memory:", start)


def start_writer(path: str, start: Start) -> Writer:
    """Return the writer of the ledger at *path*; the caller holds its lock."""
    connection = connect_writer(path, start.durability)
    try:
        checkpoint, problem = read_checkpoint(path)
        is_new = (
            format_of(connection, path) == 0
            or connection.execute("SELECT count(*) FROM meta").fetchone()[0] == 0
        )
        if is_new:
            may_lose = start.durability == "relaxed" or start.on_tail_loss == "accept"
            if checkpoint is not None and not may_lose:
                raise HeadBehindCheckpoint(path, 0, checkpoint.seq)
            writer = _begin(connection, path, start)
        elif start.durability == "bulk":
            raise BadInput(
                f"{path}: durability 'bulk' is only for a new ledger", "use strict or relaxed"
            )
        else:
            writer = _resume(connection, path, start)
        writer.heads = HeadsFile(path, writer.ledger_id)
        if is_new:
            if checkpoint is not None:
                writer.warnings.append(
                    f"{path}.heads knew seq {checkpoint.seq} of a ledger that is gone"
                )
            if start.durability != "bulk":
                writer.note_head()
        elif checkpoint is None:
            writer.warnings.append(problem)
        else:
            _compare(writer, checkpoint, start)
        return writer
    except Error as exc:
        connection.close()
        raise opening_error(path, exc) from exc
    except BaseException:
        connection.close()
        raise


def _begin(connection: Connection, path: str, start: Start) -> Writer:
    """Make the schema where it is missing, and append the first event."""
    connection.execute("BEGIN IMMEDIATE")
    if format_of(connection, path) == 0:
        migrate(connection)
    ledger_id = start.new_id()
    connection.execute(
        "INSERT INTO meta (id, ledger_id, robot, format_version, chain_domain)"
        " VALUES (1, ?, ?, ?, ?)",
        (ledger_id.bytes, start.robot, FORMAT_VERSION, CHAIN_DOMAIN),
    )
    writer = _writer(connection, path, start, ledger_id.bytes, None, 1)
    writer.stage.seen = Seen()
    created = LedgerCreated(
        ledger_id=ledger_id.hex,
        robot=start.robot,
        format_version=FORMAT_VERSION,
        created_by=f"fillbook {start.run.program_version}",
    )
    _append(writer, Draft(event=created, stream=LEDGER_STREAM, actor="ROBOT"), start)
    return writer


def _append(writer: Writer, draft: Draft, start: Start) -> None:
    writer.stage.add((prepare(draft, start.new_salt),), start.clock(), start.mono())
    writer.flush()


def _resume(connection: Connection, path: str, start: Start) -> Writer:
    """Go on from the last event, which must be what its hash says."""
    ledger_id, robot = connection.execute("SELECT ledger_id, robot FROM meta").fetchone()
    last_two = [
        Record(*row)
        for row in connection.execute(f"{RECORD_SQL} ORDER BY seq DESC LIMIT 2").fetchall()
    ]
    if not last_two:
        raise LedgerDamaged(path, "it has an identity and no events")
    last = last_two[0]
    before = last_two[1].event_hash if len(last_two) == 2 else genesis(ledger_id)
    run = connection.execute(f"{RUN_SQL} WHERE epoch = ?", (last.epoch,)).fetchone()
    if run is None or hash_of_record(ledger_id, before, last, Run(*run)) != last.event_hash:
        raise LedgerDamaged(path, f"the last event, seq {last.seq}, does not fit its hash")
    (epoch,) = connection.execute("SELECT max(epoch) + 1 FROM runs").fetchone()
    head = Head(last.seq, last.event_hash)
    writer = _writer(connection, path, start, ledger_id, head, epoch)
    if start.robot and start.robot != robot:
        writer.warnings.append(f"{path} is the ledger of robot {robot!r}, not {start.robot!r}")
    return writer


def _writer(
    connection: Connection,
    path: str,
    start: Start,
    ledger_id: bytes,
    head: Head | None,
    epoch: int,
) -> Writer:
    return Writer(
        path=path,
        durability=start.durability,
        connection=connection,
        run=evolve(start.run, epoch=epoch),
        ledger_id=ledger_id,
        head=head or Head(0, genesis(ledger_id)),
        clock=start.clock,
        mono=start.mono,
    )


def _compare(writer: Writer, checkpoint: Checkpoint, start: Start) -> None:
    """Hold the ledger against the last head that was written down outside it."""
    path, head = writer.path, writer.head
    assert writer.heads is not None
    writer.heads.started(checkpoint.seq, start.mono())
    if checkpoint.ledger_id != writer.ledger_id:
        raise LedgerDamaged(
            path, f"{path}.heads is of another ledger (move it away if this is the right one)"
        )
    if checkpoint.seq > head.seq:
        if start.durability != "relaxed" and start.on_tail_loss != "accept":
            raise HeadBehindCheckpoint(path, head.seq, checkpoint.seq)
        writer.warnings.append(
            f"{path}: seq {head.seq + 1} to {checkpoint.seq} were lost; it goes on at {head.seq}"
        )
        if start.accepted is not None:
            by, reason = start.accepted
            loss = TailLossAccepted(
                ts_event=start.clock(), by=by, reason=reason, head_seq=head.seq,
                checkpoint_seq=checkpoint.seq,
            )  # fmt: skip
            _append(writer, Draft(event=loss, stream=LEDGER_STREAM, actor="OPERATOR"), start)
        writer.note_head()  # what comes next takes the seqs of what was lost
        return
    found = writer.connection.execute(
        "SELECT event_hash FROM events WHERE seq = ?", (checkpoint.seq,)
    ).fetchone()
    if found != (checkpoint.event_hash,):
        raise LedgerDamaged(
            path, f"seq {checkpoint.seq} is not the event that {path}.heads has under it"
        )
