"""Open a ledger for reading only: beside its writer, after it, and where nothing can be written.

Never writes to the ledger and never checkpoints.  SQLite reads a WAL through the `-shm` beside it
and makes that file where it is missing; in a folder that we may not write to it cannot.  There the
file is read as it lies (`immutable`), which is right only while there is no WAL, else a copy of it
and its WAL is read.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from stat import S_ISREG
from typing import Any

from fillbook.errors import (
    ForkedHandle,
    LedgerDamaged,
    LedgerInUse,
    LedgerNotFound,
    LedgerNotWritable,
    LogError,
    NotALedger,
)
from fillbook.log._sqlite import Connection, Error, connect, trouble
from fillbook.log.lock import leak, tell_of_forks
from fillbook.log.queries import Queries
from fillbook.log.schema import format_of

__all__ = ["SqliteReader", "look_at", "open_reader", "reading_error"]

_COPY_TRIES = 5
_COPY_TIMEOUT_S = 600


def open_reader(path: str | os.PathLike[str], *, leaves_nothing: bool = False) -> "SqliteReader":
    """Open the ledger at *path* for reading; with *leaves_nothing* no file is made beside it.

    Raises `LedgerNotFound`, `NotALedger`, `LedgerTooNew`, `LedgerDamaged`.
    """
    real = os.path.realpath(os.fspath(path))
    if look_at(real) is None:
        raise LedgerNotFound(real)
    return SqliteReader(real, leaves_nothing=leaves_nothing)


class SqliteReader(Queries):
    """A ledger that is only read.  Threads may share it; forked children may not."""

    def __init__(self, path: str, *, leaves_nothing: bool = False) -> None:
        self.path = path
        self._leaves_nothing = leaves_nothing
        self._lock = threading.Lock()
        self._is_forked = False
        self._copied_to: str | None = None
        self._immutable_of: tuple[int, ...] | None = None
        self._connection: Connection | None = None
        self._open()
        tell_of_forks(self)

    def close(self) -> None:
        """Close; a second time does nothing."""
        if self._is_forked:
            return
        with self._lock:
            self._close()

    def forked(self) -> None:
        """Give up in a forked child; the connection is the parent's."""
        self._is_forked = True
        if self._connection is not None:
            leak(self._connection)

    def __enter__(self) -> "SqliteReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """Return all rows of *sql*, read at one moment."""
        if self._is_forked:
            raise ForkedHandle(self.path)
        with self._lock:
            if self._immutable_of is not None and self._immutable_of != _state_of(self.path):
                self._close()  # a writer came after all
                self._open()
            if self._connection is None:
                raise ValueError(f"{self.path}: the reader is closed")
            try:
                return self._connection.execute(sql, parameters).fetchall()
            except Error as exc:
                raise reading_error(self.path, exc) from exc

    def copy_to(
        self, target: Connection, pages: int, progress: Callable[[int, int, int], None]
    ) -> None:
        """Copy everything, as of one moment, into the empty database *target*."""
        with self._lock:
            assert self._connection is not None, "the reader is closed"
            self._connection.execute("BEGIN")  # so that a writer's commits do not start it anew
            try:
                self._connection.execute("SELECT count(*) FROM meta").fetchall()
                self._connection.backup(target, pages=pages, progress=progress)
            except Error as exc:
                raise reading_error(self.path, exc) from exc
            finally:
                self._connection.execute("ROLLBACK")

    def _open(self) -> None:
        try:
            if self._leaves_nothing and not self._has_company():
                self._open_as_it_lies()
            else:
                self._connection = _checked(self.path, self.path, "mode=ro")
        except Error as exc:
            if trouble(exc) not in ("cannot open", "read-only"):
                raise reading_error(self.path, exc) from exc
            self._open_where_nothing_can_be_written()

    def _open_where_nothing_can_be_written(self) -> None:
        try:
            if _size(self.path + "-wal") == 0:
                self._open_as_it_lies()
            else:
                self._copied_to = _copy_aside(self.path)
                copy = os.path.join(self._copied_to, "ledger")
                self._connection = _checked(copy, self.path, "mode=rw")
        except Error as exc:
            self._close()
            raise reading_error(self.path, exc) from exc

    def _open_as_it_lies(self) -> None:
        before = _state_of(self.path)
        self._connection = _checked(self.path, self.path, "mode=ro&immutable=1")
        self._immutable_of = before

    def _has_company(self) -> bool:
        """Tell whether SQLite's files are there already: a writer's, or what a reader left."""
        return any(os.path.lexists(self.path + end) for end in ("-wal", "-shm"))

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._immutable_of = None
        if self._copied_to is not None:
            import shutil

            shutil.rmtree(self._copied_to, ignore_errors=True)
            self._copied_to = None


def look_at(path: str) -> int | None:
    """Return the size of the file at *path*, None where there is none; it is not opened.

    Raises `NotALedger` for what cannot be a database by its kind or size, `LedgerNotWritable`
    where even looking is not allowed.
    """
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise LedgerNotWritable(path, f"it cannot be reached ({exc.strerror})") from exc
    if os.path.isdir(path):
        raise NotALedger(path, "a directory")
    if not S_ISREG(found.st_mode):
        raise NotALedger(path, "a device or a pipe")
    if 0 < found.st_size < 100:  # SQLite would take one byte for an empty database
        raise NotALedger(path, f"a file of {found.st_size} bytes")
    return found.st_size


def reading_error(path: str, exc: Error) -> LogError:
    """Return what an SQLite error met while reading means."""
    kind = trouble(exc)
    if kind == "not a database":
        return NotALedger(path, "no SQLite database")
    if kind == "busy":
        return LedgerInUse(path, "another process")
    if kind == "cannot open":
        return LedgerNotWritable(path, "it cannot be opened", "check who may read it")
    if kind == "read-only":
        return LedgerNotWritable(path, "it is open for reading only", "open it for writing")
    return LedgerDamaged(path, f"reading it failed ({exc})")


def _checked(file: str, path: str, how: str) -> Connection:
    """Return a connection to *file*, known to be a ledger; errors name *path*."""
    connection = connect(f"{Path(file).as_uri()}?{how}", uri=True)
    try:
        if format_of(connection, path) == 0:
            raise NotALedger(path, "an empty database")
        if connection.execute("SELECT count(*) FROM meta").fetchone() == (0,):
            raise NotALedger(path, "a ledger's schema in which no ledger was begun")
    except BaseException:
        connection.close()
        raise
    return connection


def _copy_aside(path: str) -> str:
    """Copy a ledger and its WAL to a new folder and return it; SQLite makes the -shm anew.

    Another process does it: closing a database file in this one would drop the locks that a
    handle of ours may hold on it.
    """
    import shutil  # these three are slow to import and hardly ever needed
    import subprocess
    import tempfile

    folder = tempfile.mkdtemp(prefix="fillbook-")
    try:
        for _ in range(_COPY_TRIES):
            before = _state_of(path)
            for source, target in ((path, "ledger"), (path + "-wal", "ledger-wal")):
                subprocess.run(
                    ["cp", "--", source, os.path.join(folder, target)],
                    check=True,
                    capture_output=True,
                    timeout=_COPY_TIMEOUT_S,
                )
            if before == _state_of(path):
                return folder
    except (OSError, subprocess.SubprocessError) as exc:
        shutil.rmtree(folder, ignore_errors=True)
        raise LedgerNotWritable(
            path,
            "its folder cannot be written, and it cannot be copied aside",
            "copy the ledger and its -wal to a folder of your own, then read that",
        ) from exc
    shutil.rmtree(folder, ignore_errors=True)
    raise LedgerInUse(path, "another process")


def _state_of(path: str) -> tuple[int, ...]:
    """Return what changes whenever someone writes: size and time of the file and its WAL."""
    state: list[int] = []
    for name in (path, path + "-wal"):
        try:
            found = os.stat(name)
            state += (found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError:
            state += (0, 0, 0)
    return tuple(state)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
