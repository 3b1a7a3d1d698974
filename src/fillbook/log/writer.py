"""Put staged rows into the file, and stop where the disk does.

One thread at a time uses a `Writer`; who that is, its owner sees to.  A commit that raises is in
doubt: whether it is in the file is found out by reading the head again, and it is never tried again
on the connection that raised.
"""

from collections.abc import Callable
from contextlib import suppress
from copy import copy

from attrs import astuple, define, field

from fillbook.errors import AppendRefused, LedgerDamaged, LedgerInUse, LogError, StorageFailed
from fillbook.log._sqlite import Connection, Error, IntegrityError, trouble
from fillbook.log.group import Request
from fillbook.log.heads import HeadsFile
from fillbook.log.inserting import insert_events, insert_raws
from fillbook.log.opening import Ballast, Durability, connect_writer
from fillbook.log.port import Head, Record, Run
from fillbook.log.queries import RECORD_SQL
from fillbook.log.schema import FORMAT_VERSION
from fillbook.log.staging import Lookup, Stage

__all__ = ["Writer"]

_INSERT_RUN = (
    "INSERT INTO runs (epoch, run_id, boot_id, pid, host, program_version, ts_opened)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)

_ONLY_FEEDBACK = "nothing of this was written, and only feedback is still recorded"


@define(eq=False)
class Writer:
    """The writing connection, what is staged on it, and whether it still may be used.

    Attributes:
        run: This writer's time at the ledger; its row is written with the first event, so that
            opening alone changes nothing.
        head: Where the file ends, as committed.
        problem: Why the handle stopped; empty while it works.
        is_for_feedback: The disk ran full and the ballast is gone: only feedback is still taken.
        warnings: What is amiss without stopping anything.
    """

    path: str
    durability: Durability
    connection: Connection
    run: Run
    ledger_id: bytes
    head: Head
    clock: Callable[[], int]
    mono: Callable[[], int]
    heads: HeadsFile | None = None
    ballast: Ballast | None = None
    problem: str = ""
    is_for_feedback: bool = False
    warnings: list[str] = field(factory=list)
    stage: Stage = field(init=False)
    _is_run_written: bool = False
    _staged: list[tuple[Request, list[Record] | LogError]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.stage = Stage(
            self.ledger_id,
            self.run.epoch,
            self.run.run_id,
            self.run.boot_id,
            Lookup(self._version_of, self._by_key, self._by_client_order),
            self.head,
        )

    # ---- one transaction

    def begin(self) -> None:
        """Begin a transaction where none is open; nobody else can write until it ends."""
        if not self.connection.in_transaction:
            self.connection.execute("BEGIN IMMEDIATE")

    def flush(self) -> None:
        """Write what is staged and commit; without anything staged only end the transaction."""
        stage = self.stage
        if not stage.records:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            return
        connection = self.connection
        if (
            len(stage.records) == 1
            and not stage.raws
            and self._is_run_written
            and not connection.in_transaction
        ):
            # A lone INSERT is a transaction, and takes the write lock before it does anything.
            insert_events(connection, stage.rows)
        else:
            self.begin()
            if not self._is_run_written:
                connection.execute(_INSERT_RUN, astuple(self.run))
            insert_events(connection, stage.rows)
            insert_raws(connection, stage.raws)
            connection.execute("COMMIT")
        self._is_committed()
        if (
            self.heads is not None
            and self.durability != "bulk"  # nothing there is safe before the end
            and self.heads.is_due(self.head.seq, self.mono())
        ):
            self.note_head()

    def discard(self) -> None:
        """Roll back and forget what is staged, unless it is found to be in the file."""
        if self.problem:
            self.stage.restart(self.head)
            return
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        if self.stage.records:  # an interrupt may have come right after the commit
            self._find_out()

    def note_head(self) -> None:
        """Write the head down outside the file, once it is safe in it."""
        assert self.heads is not None
        try:
            if self.durability != "strict":  # there every commit has synced the WAL already
                self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self.heads.write(self.head, self.run.epoch, self.clock(), self.mono())
        except (OSError, Error) as exc:
            self.heads.started(self.head.seq, self.mono())
            self.warnings.append(f"{self.path}.heads could not be written ({exc})")

    def finish(self) -> None:
        """Make the file complete, write its head down and close; a stopped handle is closed."""
        if self.problem:
            return
        if self.durability == "bulk":
            self._sync_all()
        if self.heads is not None and self.heads.is_behind(self.head.seq):
            self.note_head()
        self._close_quietly()

    # ---- many requests, one transaction

    def commit(self, requests: list[Request]) -> None:
        """Settle every request: append it whole, or give it its error."""
        todo = requests
        if self.problem or self.is_for_feedback:
            for request in requests:
                request.error = self.refusal(request.is_feedback)
            todo = [request for request in requests if not request.is_settled]
            if not todo:
                return
        try:
            try:
                self._commit_together(todo, is_careful=False)
            except IntegrityError:
                self._commit_carefully(todo)
        except Error as exc:
            self._stop(exc, todo)
            self._staged = []
        except BaseException:
            self.discard()
            self._staged = []
            raise

    def refusal(self, is_feedback: bool) -> LogError | None:
        """Return why nothing can be appended, None where it can."""
        if self.problem:
            return StorageFailed(self.path, self.problem)
        if self.is_for_feedback and not is_feedback:
            return StorageFailed(self.path, "the disk is full", _ONLY_FEEDBACK)
        return None

    def stop(self, exc: Error) -> LogError:
        """Undo what is staged, take the handle out of use where *exc* means so, say what it means.

        With the disk full and the ballast there, the handle goes on, on a new connection and for
        feedback only.
        """
        kind = trouble(exc)
        if kind in ("", "busy", "constraint"):
            self.discard()
            if kind == "busy":
                return LedgerInUse(self.path, "another program")
            return AppendRefused(str(exc))
        if kind == "full" and self._reopen_without_ballast():
            return StorageFailed(self.path, "the disk is full", _ONLY_FEEDBACK)
        self.problem = "the disk is full" if kind == "full" else str(exc)
        self.stage.restart(self.head)
        self._close_quietly()
        if kind in ("damaged", "not a database"):
            return LedgerDamaged(self.path, f"SQLite found it damaged ({exc})")
        return StorageFailed(self.path, self.problem)

    def _commit_carefully(self, todo: list[Request]) -> None:
        """Settle requests of which at least one repeats a key, or breaks a rule of the file."""
        self.discard()
        try:
            self._commit_together(todo, is_careful=True)
        except IntegrityError as exc:
            self.discard()
            for request in todo:
                if len(todo) == 1:
                    request.error = AppendRefused(str(exc))
                else:
                    self._commit_carefully([request])

    def _commit_together(self, todo: list[Request], *, is_careful: bool) -> None:
        self._staged = []
        if is_careful:
            self.begin()  # lookups are cheaper inside a transaction
        self.stage.is_careful = is_careful
        try:
            for request in todo:
                try:
                    done = self.stage.add(request.drafts, self.clock(), self.mono())
                except LogError as exc:
                    # Not final: what it runs into may itself be refused by the file.
                    self._staged.append((request, exc))
                else:
                    self._staged.append((request, done))
        finally:
            self.stage.is_careful = True
        self.flush()
        self._settle()

    def _settle(self) -> None:
        for request, outcome in self._staged:
            if isinstance(outcome, LogError):
                request.error = outcome
            else:
                request.records = outcome
        self._staged = []

    def _stop(self, exc: Error, todo: list[Request]) -> None:
        had_room = not self.is_for_feedback
        error = self.stop(exc)
        left = [request for request in todo if not request.is_settled]
        if had_room and self.is_for_feedback:
            # On the new connection, whose head has shown that they are not in the file.
            self.commit([request for request in left if request.is_feedback])
        for request in left:
            if not request.is_settled:
                request.error = copy(error)  # each caller raises its own

    # ---- after trouble

    def _reopen_without_ballast(self) -> bool:
        """Give the ballast back and go on, for feedback only; False where there is none left."""
        if self.ballast is None or self.is_for_feedback or not self.ballast.release():
            return False
        self._close_quietly()
        try:
            self.connection = connect_writer(self.path, self.durability)
            self._find_out()
        except (LogError, Error):
            return False
        self.is_for_feedback = True
        self.warnings.append(
            f"{self.path}: the disk is full; the ballast was released, only feedback is recorded"
        )
        return True

    def _find_out(self) -> None:
        """Learn from the file whether what was staged got into it."""
        found = self.connection.execute(
            "SELECT seq, event_hash FROM events ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        if self.stage.records and found == self.stage.head:
            self._is_committed()
        else:
            # Where another program appended, this head is not the file's: it then refuses our rows.
            self.stage.restart(self.head)

    def _sync_all(self) -> None:
        """Sync a file that was written without; one more commit makes SQLite sync the WAL."""
        try:
            for statement in (
                "PRAGMA synchronous=FULL",
                "BEGIN IMMEDIATE",
                f"PRAGMA user_version={FORMAT_VERSION}",
                "COMMIT",
                "PRAGMA wal_checkpoint(TRUNCATE)",
            ):
                self.connection.execute(statement)
        except Error as exc:
            raise self.stop(exc) from exc

    def _is_committed(self) -> None:
        """Note that what is staged is in the file.

        Its requests are settled before it is forgotten: an interrupt in between, or while the head
        is written down, must not have them appended again.
        """
        self._is_run_written = True
        self.head = self.stage.head
        self._settle()
        self.stage.written()

    def _close_quietly(self) -> None:
        """Close a connection that failed; what it could say about that is known already."""
        with suppress(Error):
            self.connection.close()

    # ---- what the stage asks

    def _version_of(self, stream: int) -> int:
        version: int = self.connection.execute(
            "SELECT coalesce(max(version), 0) FROM events WHERE stream = ?", (stream,)
        ).fetchone()[0]
        return version

    def _by_key(self, key: str) -> Record | None:
        # Nearly always there is none, and asking for one column is three times as fast.
        found = self.connection.execute(
            "SELECT seq FROM events WHERE idempotency_key = ?", (key,)
        ).fetchone()
        if found is None:
            return None
        return Record(*self.connection.execute(f"{RECORD_SQL} WHERE seq = ?", found).fetchone())

    def _by_client_order(self, client_order_id: str) -> int | None:
        row = self.connection.execute(
            "SELECT seq FROM events WHERE client_order_id = ?", (client_order_id,)
        ).fetchone()
        return None if row is None else row[0]
