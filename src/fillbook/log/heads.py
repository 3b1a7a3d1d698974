"""Write the log's head down outside the log, so that a missing tail does not go unnoticed.

A database file cannot know that its own end is gone: what is left is consistent.  So every so
often, and at a clean stop, one JSON line with the head goes into `<path>.heads`.  It is written
after the head itself is safe on the disk, so that the file may be behind and is never ahead.
"""

import json
import os
from typing import Any
from zlib import crc32

from attrs import define, frozen

from fillbook.log.port import Head

__all__ = ["Checkpoint", "HeadsFile", "read_checkpoint"]

_MAX_BYTES = 1 << 16
"""Above this the file is written anew, atomically, with its last lines only."""
_KEPT_LINES = 32


@frozen(kw_only=True)
class Checkpoint:
    """A head that was on the disk at `ts`."""

    seq: int
    event_hash: bytes
    ledger_id: bytes
    epoch: int
    ts: int


def read_checkpoint(path: str) -> tuple[Checkpoint | None, str]:
    """Return the last whole checkpoint beside the ledger at *path*, and what is wrong in words.

    The words are empty where nothing is wrong.  A line torn by a crash at the very end is normal
    and passed over.
    """
    try:
        with open(path + ".heads", "rb") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return None, f"{path}.heads is missing: a lost tail of the ledger would go unnoticed"
    except OSError as exc:
        return None, f"{path}.heads cannot be read ({exc.strerror})"
    for line in reversed(lines):
        checkpoint = _parse(line)
        if checkpoint is not None:
            return checkpoint, ""
    return None, f"{path}.heads holds no whole checkpoint: a lost tail would go unnoticed"


@define
class HeadsFile:
    """Decide when a checkpoint is due, and append it.

    Attributes:
        every_events, every_ns: Due after so many events or so much time, whichever comes first;
            looked at when something is appended.
    """

    path: str
    ledger_id: bytes
    every_events: int = 1000
    every_ns: int = 5 * 10**9
    _seq: int = 0
    _mono_ns: int = 0
    _needs_newline: bool = True

    def started(self, seq: int, mono_ns: int) -> None:
        """Count from *seq*, which is written down."""
        self._seq, self._mono_ns = seq, mono_ns

    def is_due(self, seq: int, mono_ns: int) -> bool:
        """Tell whether the head at *seq* should be written down now."""
        return seq - self._seq >= self.every_events or (
            mono_ns - self._mono_ns >= self.every_ns and seq > self._seq
        )

    def is_behind(self, seq: int) -> bool:
        """Tell whether the head at *seq* has not been written down."""
        return seq != self._seq

    def write(self, head: Head, epoch: int, ts: int, mono_ns: int) -> None:
        """Append *head* and sync it.  `OSError` leaves the file as it was, or with a torn line."""
        line = _line(head, self.ledger_id, epoch, ts)
        if self._needs_newline:  # an earlier writer may have left a torn line
            line = b"\n" + line
        fd = os.open(
            self.path + ".heads", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666
        )
        try:
            self._needs_newline = True
            os.write(fd, line)
            os.fsync(fd)
            self._needs_newline = False
            size = os.fstat(fd).st_size
        finally:
            os.close(fd)
        self.started(head.seq, mono_ns)
        if size > _MAX_BYTES:
            self._shorten()

    def _shorten(self) -> None:
        with open(self.path + ".heads", "rb") as file:
            lines = [line for line in file.read().splitlines() if _parse(line) is not None]
        new = self.path + ".heads.new"
        with open(new, "wb") as file:
            file.write(b"\n".join(lines[-_KEPT_LINES:]) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path + ".heads")
        folder = os.open(os.path.dirname(self.path) or ".", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _line(head: Head, ledger_id: bytes, epoch: int, ts: int) -> bytes:
    fields: dict[str, str | int] = {
        "epoch": epoch,
        "event_hash": head.event_hash.hex(),
        "ledger_id": ledger_id.hex(),
        "seq": head.seq,
        "ts": ts,
    }
    crc = _crc(fields)
    return _json({"crc": crc, **fields}) + b"\n"


def _parse(line: bytes) -> Checkpoint | None:
    """Return the checkpoint in *line*, None where it is not whole."""
    try:
        fields: Any = json.loads(line)
        crc = fields.pop("crc")
        if crc != _crc(fields):
            return None
        return Checkpoint(
            seq=int(fields["seq"]),
            event_hash=bytes.fromhex(str(fields["event_hash"])),
            ledger_id=bytes.fromhex(str(fields["ledger_id"])),
            epoch=int(fields["epoch"]),
            ts=int(fields["ts"]),
        )
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _crc(fields: dict[str, str | int]) -> str:
    return f"{crc32(_json(fields)):08x}"


def _json(fields: dict[str, str | int]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
