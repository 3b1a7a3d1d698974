"""Open a ledger file for writing, and be its one writer until `close`.

`append` returns once the events are durable; threads that wait at the same time share a commit.
Reading goes through a connection of its own, so that a reader never waits for the disk.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal

from fillbook import __version__
from fillbook.errors import BadInput, ForkedHandle
from fillbook.log import snapshot
from fillbook.log._sqlite import Connection, Error
from fillbook.log.batch import SqliteBatch
from fillbook.log.group import Group, Request
from fillbook.log.lock import WriterLock, leak, tell_of_forks
from fillbook.log.opening import Ballast, Durability, boot_id, check_path
from fillbook.log.port import Draft, Head, Record, Run
from fillbook.log.queries import Queries
from fillbook.log.reader import SqliteReader, reading_error
from fillbook.log.staging import prepare
from fillbook.log.starting import Start, begin_in_memory, random_id, start_writer
from fillbook.log.writer import Writer

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["SqliteLog"]

MEMORY = ":memory:"


class SqliteLog(Queries):
    """The writer's handle on a ledger.  Threads may share it; forked children may not."""

    def __init__(
        self, writer: Writer, lock: WriterLock | None, new_salt: Callable[[int], bytes]
    ) -> None:
        """Take over what `open` has found; nobody else calls this."""
        self._writer = writer
        self._file_lock = lock
        self._new_salt = new_salt
        self._mutex = threading.Lock()
        self._reader_lock = threading.Lock()
        self._group = Group(self._commit, self._mutex)
        self._batching: int | None = None
        self._reader: SqliteReader | None = None
        self._is_closed = False
        self._is_forked = False
        tell_of_forks(self)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        create: bool = True,
        durability: Durability = "strict",
        robot: str = "",
        on_tail_loss: Literal["refuse", "accept"] = "refuse",
        accepted: tuple[str, str] | None = None,
        ballast_bytes: int = 1 << 20,
        clock: Callable[[], int] = time.time_ns,
        mono: Callable[[], int] = time.monotonic_ns,
        new_id: "Callable[[], UUID]" = random_id,
        new_salt: Callable[[int], bytes] = os.urandom,
        boot: Callable[[], str | None] = boot_id,
        program: str = __version__,
    ) -> "SqliteLog":
        """Open the ledger at *path* for writing, and begin it where there is none.

        Args:
            path: A file, or ``:memory:`` (which is `none`, whatever *durability* says).
            create: False raises `LedgerNotFound` where there is no file.
            durability: See `ledger/FORMAT.md`; `bulk` is for new files only.
            robot: Whose ledger it is, kept in a new one.
            on_tail_loss: What to do where the file ends before its checkpoint; at `relaxed` it is
                always accepted, with a warning.
            accepted: Who accepts that, and why; it is the first event of what follows.
            ballast_bytes: Room kept for a full disk; 0 keeps none.
            clock, mono, new_id, new_salt, boot, program: Where times, ids, salts and names come
                from.

        Raises:
            BadInput, LedgerNotFound, NotALedger, LedgerTooNew, LedgerInUse, LedgerNotWritable,
            LedgerDamaged, HeadBehindCheckpoint; the ledger is as it was.
        """
        name = os.fspath(path)
        if durability not in ("strict", "relaxed", "bulk", "none"):
            raise BadInput(f"{durability!r} is no durability", "use strict, relaxed or bulk")
        if name == MEMORY:
            durability = "none"
        elif durability == "none":
            raise BadInput("durability 'none' keeps nothing in a file", f"use {MEMORY}")
        run_id, ts_opened = new_id().hex, clock()
        start = Start(
            durability=durability,
            robot=robot,
            on_tail_loss=on_tail_loss,
            accepted=accepted,
            run=Run(0, run_id, boot(), os.getpid(), os.uname().nodename, program, ts_opened),
            clock=clock,
            mono=mono,
            new_id=new_id,
            new_salt=new_salt,
        )
        if name == MEMORY:
            return cls(begin_in_memory(start), None, new_salt)
        name = os.path.realpath(name)
        check_path(name, create=create)
        lock = WriterLock(name, ts_opened)
        try:
            writer = start_writer(name, start)
        except BaseException:
            lock.release()
            raise
        if durability == "strict" and ballast_bytes:
            writer.ballast = Ballast(name, ballast_bytes)
            if problem := writer.ballast.take():
                writer.warnings.append(problem)
        return cls(writer, lock, new_salt)

    @property
    def path(self) -> str:
        """The file, with links resolved; ``:memory:`` where there is none."""
        return self._writer.path

    @property
    def durability(self) -> Durability:
        """What a power loss may take."""
        return self._writer.durability

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is amiss without stopping anything, in words."""
        return tuple(self._writer.warnings)

    @property
    def ledger_id(self) -> bytes:
        """The ledger's UUID, 16 bytes."""
        return self._writer.ledger_id

    def head(self) -> Head:
        """Return where the log ends."""
        return self._writer.head

    # ---- appending

    def append(self, drafts: Sequence[Draft], *, feedback: bool = False) -> list[Record]:
        """Append *drafts*, all of them or none; see `Log.append`."""
        if self._is_forked or self._is_closed or self._batching is not None:
            self._must_be_usable()
        if not drafts:
            return []
        request = Request(list(map(prepare, drafts, repeat(self._new_salt))), feedback)
        if self._group.has_leader or self._mutex.locked():
            self._group.submit(request)
        else:
            with self._mutex:  # between its taking and its block no interrupt can come
                self._commit([request])
        return request.outcome()

    @contextmanager
    def batch(self, *, feedback: bool = False) -> Iterator[SqliteBatch]:
        """Open a batch; see `Log.batch`."""
        with self._alone():
            writer = self._writer
            if (error := writer.refusal(feedback)) is not None:
                raise error
            self._batching = threading.get_ident()
            try:
                batch = SqliteBatch(writer, self._new_salt)
                yield batch
                batch.flush()
            finally:
                self._batching = None
                writer.discard()

    def release_ballast(self) -> bool:
        """Give the kept room back to the disk; False where there is none.

        The handle does it by itself when the disk is full, and then takes feedback only.
        """
        self._must_be_usable()
        return self._writer.ballast is not None and self._writer.ballast.release()

    # ---- what may be thrown away

    def save_snapshot(self, seq: int, reducer: str, state: str) -> None:
        """Keep *state* as of *seq* in the place of earlier ones; see `Log.save_snapshot`."""
        with self._alone():
            self._write(lambda connection: snapshot.save_snapshot(connection, seq, reducer, state))

    def refresh_positions(self, rows: Sequence[Sequence[Any]], as_of_seq: int) -> None:
        """Replace the derived table `positions`; see `Log.refresh_positions`."""
        with self._alone():
            self._write(lambda connection: snapshot.refresh_positions(connection, rows, as_of_seq))

    def close(self) -> None:
        """Write the head down and let the ledger go; a second time does nothing."""
        if self._is_forked or self._is_closed:
            return
        with self._alone():
            self._is_closed = True
            writer = self._writer
            if self._reader is not None:
                self._reader.close()  # first, so that SQLite finds nobody left and clears the WAL
            try:
                writer.finish()
            finally:
                if self._file_lock is not None:
                    self._file_lock.release()

    def forked(self) -> None:
        """Give up in a forked child: the connection and the lock are the parent's."""
        self._is_forked = True
        leak(self._writer.connection)
        if self._file_lock is not None:
            self._file_lock.drop()

    def __enter__(self) -> "SqliteLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _commit(self, requests: list[Request]) -> None:
        """Settle *requests*; the mutex is held, and who waited for it may find the log closed."""
        if self._is_closed:
            self._must_be_open()
        self._writer.commit(requests)

    def _write(self, work: Callable[[Connection], None]) -> None:
        """Do *work* in a transaction of its own."""
        writer = self._writer
        if (error := writer.refusal(is_feedback=False)) is not None:
            raise error
        try:
            writer.begin()
            work(writer.connection)
            writer.connection.execute("COMMIT")
        except Error as exc:
            raise writer.stop(exc) from exc
        finally:
            writer.discard()

    # ---- questions that need no file where an id is surely new

    def find_client_order(self, client_order_id: str) -> int | None:
        """Return the stream of the order that ever had this client id."""
        self._must_be_open()
        if not self._writer.stage.may_hold(client_order_id):
            return None
        return super().find_client_order(client_order_id)

    def find_venue_orders(self, venue_order_id: str) -> list[int]:
        """Return the streams of all orders that ever had this venue id, oldest first."""
        self._must_be_open()
        if not self._writer.stage.may_hold(venue_order_id):
            return []
        return super().find_venue_orders(venue_order_id)

    def find_key(self, idempotency_key: str) -> int | None:
        """Return the seq of the event with this idempotency key."""
        self._must_be_open()
        if not self._writer.stage.may_hold(idempotency_key):
            return None
        return super().find_key(idempotency_key)

    def fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        self._must_be_open()
        if self.path != MEMORY:
            with self._reader_lock:
                if self._reader is None:
                    self._reader = SqliteReader(self.path)
            return self._reader.fetch(sql, parameters)
        is_ours = self._batching == threading.get_ident()
        with nullcontext() if is_ours else self._mutex:
            try:
                return self._writer.connection.execute(sql, parameters).fetchall()
            except Error as exc:
                raise reading_error(MEMORY, exc) from exc

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold off every other appender; what it guards is no part of a batch."""
        self._must_be_usable()
        with self._mutex:
            self._must_be_usable()
            yield

    def _must_be_open(self) -> None:
        if self._is_forked:
            raise ForkedHandle(self.path)
        if self._is_closed:
            raise ValueError(f"{self.path}: the log is closed")

    def _must_be_usable(self) -> None:
        self._must_be_open()
        if self._batching == threading.get_ident():
            raise RuntimeError("inside a batch, append through the batch")
