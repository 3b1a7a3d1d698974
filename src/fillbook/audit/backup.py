"""Copy a ledger, live or not, and let the copy count only once it has been verified.

The copy is made through SQLite from one moment's view, so the writer goes on meanwhile.  It lies
under a name of its own until its chain has been verified to the head that was seen; then it is
synced and takes its name.  Nothing is ever overwritten.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from fillbook.audit.verify import verify
from fillbook.errors import BadInput, LedgerDamaged, LedgerNotWritable
from fillbook.log._sqlite import Error, connect
from fillbook.log.port import Head
from fillbook.log.reader import open_reader

__all__ = ["Backup", "back_up"]

_PAGES_PER_STEP = 2048


@frozen
class Backup:
    """A copy that counts: where it is and where it ends."""

    path: str
    head: Head
    byte_count: int


def back_up(
    ledger: str, target: str, on_progress: Callable[[int, int], None] | None = None
) -> Backup:
    """Copy *ledger* to the new file *target* and verify the copy.

    Raises `BadInput` where *target* exists, `LedgerNotWritable` where it cannot be written,
    `LedgerDamaged` where the copy does not verify; nothing is left at *target* then.
    """
    if os.path.lexists(target):
        raise BadInput(f"{target}: there is a file already; it was not touched", "name a new one")
    folder = Path(target).resolve().parent
    if not folder.is_dir():
        raise BadInput(f"{target}: its folder does not exist", "make the folder first")
    partial = f"{target}.partial-{socket.gethostname()}-{os.getpid()}"
    try:
        _copy(ledger, partial, on_progress)
        with open_reader(partial) as reader:
            verdict = verify(reader)
            head = reader.head()
        if verdict.problems:
            raise LedgerDamaged(ledger, f"its copy does not verify ({verdict.problems[0]})")
        for suffix in ("-wal", "-shm"):
            Path(partial + suffix).unlink(missing_ok=True)
        _sync(partial)
        os.link(partial, target)  # unlike a rename this never replaces a file
        _sync(str(folder))
    except OSError as exc:
        raise LedgerNotWritable(target, f"it cannot be written ({exc.strerror})") from exc
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(partial + suffix).unlink(missing_ok=True)
    return Backup(target, head, os.stat(target).st_size)


def _copy(ledger: str, partial: str, on_progress: Callable[[int, int], None] | None) -> None:
    with open_reader(ledger) as reader:
        copy = connect(partial)
        try:

            def progress(_: int, remaining: int, total: int) -> None:
                if on_progress is not None:
                    on_progress(total - remaining, total)

            reader.copy_to(copy, pages=_PAGES_PER_STEP, progress=progress)
            # one file that can be moved about: the writer that opens it turns WAL on again
            copy.execute("PRAGMA journal_mode=DELETE")
        except Error as exc:
            raise LedgerNotWritable(partial, f"the copy failed ({exc})") from exc
        finally:
            copy.close()


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
