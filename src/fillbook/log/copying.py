"""Copy a ledger as of one moment, while its writer goes on, into one file that can be moved."""

import os
from collections.abc import Callable

from fillbook.errors import LedgerNotWritable
from fillbook.log._sqlite import Error, connect
from fillbook.log.reader import open_reader

__all__ = ["copy_ledger", "sync"]

_PAGES_PER_STEP = 2048


def copy_ledger(ledger: str, target: str, on_progress: Callable[[int, int], None] | None) -> None:
    """Write a copy of *ledger* to the new file *target*, synced; raises `LedgerNotWritable`.

    `on_progress` is told pages done and pages in all.
    """
    with open_reader(ledger) as reader:
        try:
            copy = connect(target)
        except Error as exc:
            raise LedgerNotWritable(target, f"it cannot be made ({exc})") from exc
        try:

            def progress(_: int, remaining: int, total: int) -> None:
                if on_progress is not None:
                    on_progress(total - remaining, total)

            reader.copy_to(copy, pages=_PAGES_PER_STEP, progress=progress)
            # no WAL beside it: the writer that opens it turns WAL on again
            copy.execute("PRAGMA journal_mode=DELETE")
        except Error as exc:
            raise LedgerNotWritable(target, f"the copy failed ({exc})") from exc
        finally:
            copy.close()
    sync(target)


def sync(path: str) -> None:
    """Make a file, or a folder's entries, durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
