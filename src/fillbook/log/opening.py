"""Get hold of the one connection that writes a ledger, in the mode that its durability asks for.

Everything that can be wrong with a path is found out here, before anything is written, and said in
this package's own errors.
"""

import os
from pathlib import Path
from typing import Literal

from fillbook.errors import (
    FillbookError,
    LedgerDamaged,
    LedgerInUse,
    LedgerNotFound,
    LedgerNotWritable,
    LogError,
    NotALedger,
)
from fillbook.log._sqlite import Connection, Error, connect, trouble
from fillbook.log.lock import refuse_network
from fillbook.log.reader import look_at
from fillbook.log.schema import format_of

__all__ = [
    "Ballast",
    "Durability",
    "boot_id",
    "check_path",
    "connect_writer",
    "opening_error",
]

Durability = Literal["strict", "relaxed", "bulk", "none"]
"""What a power loss may take: nothing acknowledged, a tail, the file, all."""

_SYNCHRONOUS = {"strict": 2, "relaxed": 1, "bulk": 0, "none": 0}

AUTOCHECKPOINT_PAGES = 1000
"""Pages in the WAL after which a commit moves them into the file.

A WAL that is let grow costs every commit more (1.5x where nothing is ever moved), and a thread of
its own that moves them is slower still; moving them much oftener buys nothing and syncs more.
"""
_CACHE_KIB = 16 * 1024
_WAL_KEPT_BYTES = 16 << 20
"""A WAL that grew beyond this, behind a long reader, is cut back once it has been moved."""


def check_path(path: str, *, create: bool) -> int | None:
    """Return the size of the ledger at *path*, None where one is to be made.

    Raises `LedgerNotFound`, `NotALedger`, `LedgerTooNew`, `LedgerNotWritable`.
    """
    size = look_at(path)
    folder = os.path.dirname(path)
    if size is None and not create:
        raise LedgerNotFound(path)
    if not os.path.isdir(folder):
        raise LedgerNotWritable(path, "its folder does not exist", "make the folder first")
    refuse_network(path)
    if size:
        _sniff(path)
    elif os.path.exists(path + "-wal") and os.path.getsize(path + "-wal"):
        # SQLite would throw it away, and with it the last thing that is left of a ledger.
        raise LedgerDamaged(path, "it is missing or empty, but its -wal is there")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise LedgerNotWritable(path, "its folder cannot be written")
    if size is not None and not os.access(path, os.R_OK | os.W_OK):
        raise LedgerNotWritable(path, "the file cannot be written")
    return size


def connect_writer(path: str, durability: Durability) -> Connection:
    """Open the writing connection to the file at *path*, or to ``:memory:``.

    The pragmas are read back: SQLite answers one that it cannot follow with silence.
    """
    target = path if path == ":memory:" else f"{Path(path).as_uri()}?mode=rwc"
    try:
        connection = connect(target, uri=True)
    except Error as exc:
        raise opening_error(path, exc) from exc
    try:
        format_of(connection, path)
        mode = "memory" if durability == "none" else "wal"
        level = _SYNCHRONOUS[durability]
        found_mode = connection.execute(f"PRAGMA journal_mode={mode}").fetchone()[0]
        connection.execute(f"PRAGMA synchronous={level}")
        found_level = connection.execute("PRAGMA synchronous").fetchone()[0]
        if (found_mode, found_level) != (mode, level):
            raise LedgerNotWritable(
                path,
                f"SQLite went into journal_mode {found_mode}, synchronous {found_level} "
                f"instead of {mode}, {level}",
                "close every other program that has it open",
            )
        connection.execute("PRAGMA fullfsync=ON")  # macOS: elsewhere it says nothing
        connection.execute(f"PRAGMA wal_autocheckpoint={AUTOCHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_KEPT_BYTES}")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.execute("PRAGMA trusted_schema=OFF")
    except Error as exc:
        connection.close()
        raise opening_error(path, exc) from exc
    except FillbookError:
        connection.close()
        raise
    return connection


def opening_error(path: str, exc: Error) -> LogError:
    """Return what an SQLite error met while opening for writing means."""
    kind = trouble(exc)
    if kind == "not a database":
        return NotALedger(path, "no SQLite database")
    if kind == "busy":
        return LedgerInUse(path, "another program")
    if kind == "damaged":
        return LedgerDamaged(path, f"SQLite finds it damaged ({exc})")
    if kind == "full":
        return LedgerNotWritable(path, "the disk is full", "make room and try again")
    return LedgerNotWritable(path, f"SQLite cannot open it for writing ({exc})")


def boot_id() -> str | None:
    """Return what tells this boot of the machine from another, None where it cannot be known."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


class Ballast:
    """Room on the disk that is kept, to be given back once when the disk is full."""

    def __init__(self, path: str, size: int) -> None:
        self.path = path + ".ballast"
        self._size = size

    def take(self) -> str:
        """Take the room where it is not taken yet; return what is wrong in words, or nothing."""
        try:
            if os.path.exists(self.path) and os.path.getsize(self.path) >= self._size:
                return ""
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                _allocate(fd, self._size)
            finally:
                os.close(fd)
        except OSError as exc:
            return f"{self.path}: no room could be kept for a full disk ({exc.strerror})"
        return ""

    def release(self) -> bool:
        """Give the room back; False where there was none."""
        try:
            os.truncate(self.path, 0)  # frees it even where someone has the file open
            os.remove(self.path)
        except OSError:
            return False
        return True


def _allocate(fd: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
    else:
        os.pwrite(fd, bytes(size), 0)
        os.fsync(fd)


def _sniff(path: str) -> None:
    """Raise where the file is clearly no ledger, before a lock file is put beside it.

    Through SQLite, because opening and closing the file ourselves would drop the locks of any
    other handle in this process; as `immutable`, because that leaves no files behind.
    """
    try:
        connection = connect(f"{Path(path).as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            format_of(connection, path)
        finally:
            connection.close()
    except Error as exc:
        if trouble(exc) == "not a database":
            raise NotALedger(path, "no SQLite database") from exc
        # Anything else is judged by the connection that may also read the WAL.
