"""Make one process, and one handle in it, the writer of a ledger for as long as it lives.

The lock is an advisory `flock` on a file of its own beside the ledger: opening and closing the
database file itself would drop SQLite's locks, and a lock in the database would not outlive a crash
as cleanly.  The lock file is never removed, because removing it under a waiting process would let
two in.  A fork copies the lock and the connections into the child, where neither may be used: every
open handle is told, and gives up without touching anything.
"""

import errno
import fcntl
import json
import os
import re
import time
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakSet

from fillbook.errors import LedgerInUse, LedgerNotWritable

__all__ = ["WriterLock", "leak", "network_file_system", "refuse_network", "tell_of_forks"]

_NETWORK = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.ceph-fuse", "fuse.davfs2",
        "fuse.gcsfuse", "fuse.glusterfs", "fuse.mount_davfs", "fuse.rclone", "fuse.s3fs",
        "fuse.smbnetfs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "prl_fs",
        "smb3", "smbfs", "vboxsf",
    }
)  # fmt: skip
"""File systems whose locks or shared memory SQLite's WAL cannot rely on."""

_HOLDER_PATIENCE_S = 0.2
"""How long to wait for a new holder to write down who it is; only the message depends on it."""


class WriterLock:
    """The right to write the ledger at *path*, until `release`.

    Raises `LedgerInUse` naming the holder, `LedgerNotWritable` where the lock file cannot be made.
    """

    def __init__(self, path: str, ts: int) -> None:
        self._fd = -1
        self.path = path + ".lock"
        try:
            self._fd = self._acquire(path)
        except OSError as exc:
            raise LedgerNotWritable(path, f"its lock file: {_why(exc)}") from exc
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ts // 10**9))
        note = {"host": os.uname().nodename, "pid": os.getpid(), "since": since}
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, json.dumps(note).encode() + b"\n", 0)
        except OSError as exc:
            # A full disk cannot take the note; the lock holds without it.
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                self.drop()
                raise LedgerNotWritable(path, f"its lock file: {_why(exc)}") from exc

    def release(self) -> None:
        """Give the right back; the note of who held it goes first."""
        if self._fd >= 0:
            with suppress(OSError):
                os.ftruncate(self._fd, 0)
            self.drop()

    def drop(self) -> None:
        """Close the lock file and nothing else: in a forked child the parent keeps the lock."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.drop()

    def _acquire(self, path: str) -> int:
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                _flock(fd)
                if _is_same_file(fd, self.path):
                    return fd
            except BlockingIOError as exc:
                os.close(fd)
                raise LedgerInUse(path, holder(path)) from exc
            except OSError:
                os.close(fd)
                raise
            os.close(fd)  # someone removed the lock file meanwhile: what we locked is nobody's


def _flock(fd: int) -> None:
    """Take the lock; `is_locked` holds it for an instant too, so one refusal is no refusal."""
    for _ in range(2):
        with suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.01)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def holder(path: str) -> str:
    """Return, in words, who holds the lock of the ledger at *path*; nobody may hold it any more."""
    deadline = time.monotonic() + _HOLDER_PATIENCE_S
    while True:
        try:
            with open(path + ".lock", "rb") as file:
                note: Any = json.loads(file.read(4096))
            if note["host"] == os.uname().nodename:
                os.kill(note["pid"], 0)
            return f"process {note['pid']} on {note['host']}, since {note['since']},"
        except PermissionError:
            return f"process {note['pid']} on {note['host']}, since {note['since']},"
        except (OSError, ValueError, KeyError, TypeError):
            # Nothing written yet, or still the note of one that died.
            if time.monotonic() > deadline:
                return "another process"
            time.sleep(0.01)


def is_locked(path: str) -> str | None:
    """Return, in words, who writes the ledger at *path* now; None where nobody does."""
    try:
        fd = os.open(path + ".lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return holder(path).rstrip(",")
    finally:
        os.close(fd)
    return None


def mount_of(folder: str) -> tuple[str | None, bool]:
    """Return the type of the file system *folder* is on, and whether it is a network's."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            kind = file_system(folder, file.read())
    except OSError:
        return None, False
    return kind, kind in _NETWORK


def refuse_network(path: str) -> None:
    """Raise `LedgerNotWritable` where *path* is on a network file system."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mounts = file.read()
    except OSError:
        return  # no Linux: nothing to ask
    kind = network_file_system(os.path.dirname(path), mounts)
    if kind is not None:
        raise LedgerNotWritable(
            path,
            f"it is on a network file system ({kind}), where SQLite's locks do not hold",
            "keep the ledger on a local disk and copy it with `fillbook backup`",
        )


def network_file_system(folder: str, mounts: str) -> str | None:
    """Return the type of the network file system that *folder* is on, None where it is local."""
    kind = file_system(folder, mounts)
    return kind if kind in _NETWORK else None


def file_system(folder: str, mounts: str) -> str | None:
    """Return the type of the file system that *folder* is on, None where nothing tells.

    *mounts* is the text of ``/proc/self/mountinfo``.

    Source: proc_pid_mountinfo(5): field 5 is the mount point, the type follows the lone hyphen.
    """
    best, kind = "", None
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 6 or not right:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        inside = folder == point or folder.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # a later mount on the same point hides the earlier
            best, kind = point, right.split(" ")[0]
    return kind


# ---- forks


class Forkable(Protocol):
    """A handle that must not be used in a forked child."""

    def forked(self) -> None:
        """Give up, in the child: close nothing, wait for nothing."""
        ...


_handles: "WeakSet[Forkable]" = WeakSet()


def tell_of_forks(handle: Forkable) -> None:
    """Have `forked` called on *handle* in every child forked from here on."""
    _handles.add(handle)


def _after_fork_in_child() -> None:
    for handle in list(_handles):
        handle.forked()


os.register_at_fork(after_in_child=_after_fork_in_child)


def leak(connection: object) -> None:
    """Keep *connection* from ever being closed in this process.

    Closing it in a forked child, as the garbage collector would at exit, may checkpoint a WAL
    that the parent has long replaced.
    """
    import ctypes  # only ever needed in a forked child

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _is_same_file(fd: int, path: str) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(fd), there)


def _why(exc: OSError) -> str:
    return (exc.strerror or str(exc)).lower()
