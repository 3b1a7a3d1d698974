"""Leave word for a robot that does not answer: a halt, in a file beside its ledger.

`x.ledger.halt` is durable before whoever leaves it is told so, and the robot looks for it right
before every send, so a robot that hangs cannot trade when it comes to itself.  It becomes an event
of the ledger first, and only then the file is gone: a crash in between says it twice, never not at
all.  What cannot be read halts everything, because somebody wanted something halted.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from attrs import asdict, frozen

from fillbook.errors import OperatorRefused

__all__ = ["HaltFile", "HaltRequest"]

_MOST_BYTES = 1 << 16
_MOST_REQUESTS = 32
_LOCK_PATIENCE_S = 2.0


@frozen(kw_only=True)
class HaltRequest:
    """One halt that was asked for; `ts` is when, ns since 1970, UTC."""

    by: str
    reason: str
    ts: int | None
    instrument_id: str | None = None
    level: str = "HALTED"


class HaltFile:
    """The file beside the ledger at *ledger*, which is its real path."""

    def __init__(self, ledger: str) -> None:
        self.path = ledger + ".halt"
        self._taken = self.path + ".taken"  # what a robot is about to put on record
        self._folder = os.path.dirname(ledger) or "."

    def is_there(self) -> bool:
        """Tell whether anything was left; cheap enough to be asked before every send."""
        return os.path.lexists(self.path) or os.path.lexists(self._taken)

    def leave(self, request: HaltRequest) -> None:
        """Add *request* to what was left, durably; `OSError` where it cannot be."""
        with self._alone() as folder:
            kept = _requests_in(self.path)[1 - _MOST_REQUESTS :] if self._is_left() else []
            data = json.dumps({"requests": [asdict(each) for each in [*kept, request]]})
            new = f"{self.path}.new-{os.getpid()}"
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.fchmod(fd, 0o600)
                os.write(fd, data.encode() + b"\n")
                os.fsync(fd)
            finally:
                os.close(fd)
            os.replace(new, self.path)
            os.fsync(folder)

    def read(self) -> list[HaltRequest]:
        """Return what was left and not yet taken."""
        return [
            request
            for path in (self._taken, self.path)
            if os.path.lexists(path)
            for request in _requests_in(path)
        ]

    def take(self, record: Callable[[HaltRequest], None]) -> int:
        """Have *record* make each request durable, then remove the file; return how many.

        Where *record* raises they stay, and are taken again.
        """
        count = 0
        for path in (self._taken, self.path):
            if not os.path.lexists(path):
                continue
            if path == self.path:
                os.rename(path, self._taken)  # what is left from here on is another file
            for request in _requests_in(self._taken):
                record(request)
                count += 1
            os.unlink(self._taken)
        return count

    def _is_left(self) -> bool:
        return os.path.lexists(self.path)

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Hold off whoever else leaves something; give the folder."""
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            deadline = time.monotonic() + _LOCK_PATIENCE_S
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if time.monotonic() > deadline:
                    raise OperatorRefused(f"{self.path}: somebody else is writing it", "try again")
                time.sleep(0.01)
            yield folder
        finally:
            os.close(folder)


def _requests_in(path: str) -> list[HaltRequest]:
    """Return what the file says; one halt of everything where it says nothing that can be read."""
    try:
        with open(path, "rb") as file:
            said: Any = json.loads(file.read(_MOST_BYTES))
        return [_request(each) for each in said["requests"]] or [_unreadable("it is empty")]
    except OSError as exc:
        return [_unreadable(exc.strerror or str(exc))]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        return [_unreadable(str(exc)[:100])]


def _request(said: Any) -> HaltRequest:
    request = HaltRequest(
        by=said["by"],
        reason=said["reason"],
        ts=said.get("ts"),
        instrument_id=said.get("instrument_id"),
        level=said.get("level", "HALTED"),
    )
    texts = (request.by, request.reason, request.level, request.instrument_id or "")
    if not all(isinstance(text, str) for text in texts) or type(request.ts) not in (
        int,
        type(None),
    ):
        raise TypeError("a value is of another kind")
    "".join(texts).encode()  # a lone surrogate could not be recorded
    if request.level not in ("HALTED", "REDUCE_ONLY"):
        raise ValueError(f"level {request.level!r}")
    return request


def _unreadable(problem: str) -> HaltRequest:
    return HaltRequest(
        by="whoever left a halt request",
        reason=f"the request beside the ledger cannot be read ({problem})",
        ts=None,
    )
