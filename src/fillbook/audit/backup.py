"""Let a copy of a ledger count only once it has been verified.

The copy lies under a name of its own until its chain has been verified to the head that was seen;
only then it takes its name.  Nothing is ever overwritten.
"""

import os
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from fillbook.errors import BadInput, LedgerNotWritable
from fillbook.log.port import Head

__all__ = ["Backup", "back_up"]


@frozen
class Backup:
    """A copy that counts: where it is and where it ends."""

    path: str
    head: Head
    byte_count: int


def back_up(
    target: str, make_copy: Callable[[str], None], head_of_verified: Callable[[str], Head]
) -> Backup:
    """Make the new file *target* of a verified copy.

    Args:
        make_copy: Writes the copy to the path it is given, synced.
        head_of_verified: Verifies the ledger at a path and returns its head, or raises.

    Raises `BadInput` where *target* exists or has no folder, `LedgerNotWritable` where it cannot
    be written, and what the two functions raise; nothing is left at *target* then.
    """
    if os.path.lexists(target):
        raise BadInput(f"{target}: there is a file already; it was not touched", "name a new one")
    folder = Path(target).resolve().parent
    if not folder.is_dir():
        raise BadInput(f"{target}: its folder does not exist", "make the folder first")
    partial = f"{target}.partial-{os.uname().nodename}-{os.getpid()}"
    try:
        make_copy(partial)
        head = head_of_verified(partial)
        os.link(partial, target)  # unlike a rename this never replaces a file
        return Backup(target, head, os.stat(target).st_size)
    except OSError as exc:
        raise LedgerNotWritable(target, f"it cannot be written ({exc.strerror})") from exc
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(partial + suffix).unlink(missing_ok=True)
