"""Open a ledger for writing or reading, copy it, and look at what it stands on."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fillbook.errors import LedgerDamaged
from fillbook.log.port import Finding, Head, Log

if TYPE_CHECKING:
    from fillbook.audit.backup import Backup
    from fillbook.log.heads import Checkpoint

__all__ = [
    "MEMORY",
    "Durability",
    "back_up",
    "checkpoint_beside",
    "examine",
    "open_log",
    "open_reader",
]

MEMORY = ":memory:"

Durability = Literal["strict", "relaxed", "bulk", "none"]


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


def open_reader(path: str, *, leaves_nothing: bool = False) -> Any:
    """Open the ledger at *path* for reading, beside whoever writes it.

    SQLite makes files of its own beside it, except with *leaves_nothing*.
    """
    from fillbook.log.reader import open_reader as open_it

    return open_it(path, leaves_nothing=leaves_nothing)


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
