"""Ask the robot at work on a ledger, through the socket beside it, and know who is silent.

One JSON object a line, a question and its answer:

    {"verb": "halt", "args": {"by": "olga", "reason": "odd"}, "valid_until": 1768000000000000000}
    {"ok": true, "result": {…}}
    {"ok": false, "kind": "REFUSED", "error": "everything is not halted; nothing was changed"}

A question that comes after `valid_until` (ns since 1970, UTC) is not acted on, because whoever
asked has been told that there was no answer; a halt is, because too much of it does no harm.
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = [
    "MOST_ANSWER_BYTES",
    "MOST_QUESTION_BYTES",
    "Closed",
    "Refused",
    "Silent",
    "ask",
    "reach",
]

MOST_QUESTION_BYTES = 1 << 14
MOST_ANSWER_BYTES = 1 << 24

_LONGEST_ADDRESS = 100
"""Bytes of a path that every system takes as a socket's address (Linux 107, macOS 103)."""


class Closed(Exception):
    """Nobody is behind the door."""


class Silent(Exception):
    """Somebody is there, and gave no answer in time."""


class Refused(Exception):
    """The answer was no.

    Attributes:
        kind: `REFUSED` where it cannot be done, `BAD_REQUEST` where the question is none, `FAILED`
            where doing it failed.
    """

    def __init__(self, kind: str, error: str) -> None:
        super().__init__(error)
        self.kind = kind


def ask(path: str, verb: str, args: Mapping[str, object], timeout_s: float = 2.0) -> dict[str, Any]:
    """Return what the robot behind the socket at *path* answers.

    Raises `Closed` where there is none, `Silent` where it does not answer within *timeout_s*,
    `Refused` where it says no.
    """
    deadline = time.monotonic() + timeout_s
    question = {
        "verb": verb,
        "args": dict(args),
        "valid_until": time.time_ns() + int(timeout_s * 1e9),
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(timeout_s)
        try:
            with reach(path) as address:
                channel.connect(address)
        except (BlockingIOError, TimeoutError) as exc:  # nobody takes what others have brought
            raise Silent from exc
        except OSError as exc:
            if isinstance(exc, PermissionError):
                raise Refused("REFUSED", f"{path}: {exc.strerror}: it is another user's") from exc
            raise Closed from exc
        try:
            channel.sendall(json.dumps(question).encode() + b"\n")
            line = _line(channel, deadline)
        except TimeoutError as exc:
            raise Silent from exc
        except OSError as exc:  # it ended before it answered
            raise Closed from exc
    return _result(line)


def _line(channel: socket.socket, deadline: float) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(left)
        chunk = channel.recv(1 << 16)
        if not chunk or len(data) > MOST_ANSWER_BYTES:
            raise ConnectionError("the answer broke off")
        data += chunk
    return bytes(data)


def _result(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
        if answer["ok"] is True:
            result: dict[str, Any] = answer["result"]
            return result
        kind, error = str(answer["kind"]), str(answer["error"])
    except (ValueError, KeyError, TypeError) as exc:
        raise Refused("FAILED", f"the robot's answer cannot be read: {line[:100]!r}") from exc
    if kind == "BUSY":
        raise Silent
    raise Refused(kind, error)


@contextmanager
def reach(path: str) -> Iterator[str]:
    """Give an address for the socket that lies at *path*, however long that is.

    The kernel takes some hundred bytes.  Longer ones are reached through a descriptor of the file
    itself, by its short name in ``/proc`` (Linux); elsewhere `OSError` says that it is too long.
    """
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS or not hasattr(os, "O_PATH"):
        yield path
        return
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)
