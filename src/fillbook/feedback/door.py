"""Open a door to a running robot: a Unix socket beside its ledger, for its owner alone.

What may be asked is a table of verbs (`Verbs`); how it is asked is in `doorbell`.  Every peer has a
thread, few at a time, with a limit on what it may send and how long it may take, so that none keeps
the others out, and none can do more than ask.
"""

import json
import logging
import os
import socket
import stat
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from fillbook.errors import FillbookError, OperatorRefused, RequestRefused
from fillbook.feedback.doorbell import MOST_QUESTION_BYTES, Closed, Refused, Silent, ask
from fillbook.feedback.verbs import BadQuestion, RobotBusy, Verbs

__all__ = ["Door"]

_LOG = logging.getLogger("fillbook.robot")
_MOST_PEERS = 16
_PEER_PATIENCE_S = 10.0


class Door:
    """The door at *path*, open from when it is made until `close`.

    Raises `OSError` where there can be none, `OperatorRefused` where somebody answers there.
    """

    def __init__(self, path: str, verbs: Verbs) -> None:
        self.path = path
        self._verbs = verbs
        self._peers = threading.BoundedSemaphore(_MOST_PEERS)
        self._channels: set[socket.socket] = set()
        self._is_closed = False
        self._socket = _listen(path)
        self._inode = os.lstat(path).st_ino
        self._thread = threading.Thread(target=self._receive, name="fillbook-door", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Shut it: no more questions, and the socket is gone."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(OSError):
            if os.lstat(self.path).st_ino == self._inode:
                os.unlink(self.path)
        for channel in [self._socket, *self._channels]:
            with suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)  # wakes who waits on it, which closing does not
        self._thread.join(timeout=5)
        self._socket.close()

    def _receive(self) -> None:
        while not self._is_closed:
            try:
                channel, _ = self._socket.accept()
            except OSError as exc:
                if self._is_closed:
                    return
                _LOG.warning("the door: %s", exc)
                time.sleep(0.1)  # no descriptors left, perhaps
                continue
            if not self._peers.acquire(blocking=False):
                with suppress(OSError):
                    channel.sendall(_no("BUSY", "too many peers at once"))
                channel.close()
                continue
            self._channels.add(channel)
            threading.Thread(
                target=self._serve, args=(channel,), name="fillbook-peer", daemon=True
            ).start()

    def _serve(self, channel: socket.socket) -> None:
        """Answer one peer, question by question, until it leaves or takes too long."""
        try:
            with channel:
                try:
                    self._converse(channel)
                except BadQuestion as exc:
                    channel.sendall(_no("BAD_REQUEST", str(exc)))
        except OSError:
            pass  # it left
        finally:
            self._channels.discard(channel)
            self._peers.release()

    def _converse(self, channel: socket.socket) -> None:
        rest = b""
        while not self._is_closed:
            line, rest = _question(channel, rest)
            if line is None:
                return
            channel.settimeout(_PEER_PATIENCE_S)
            channel.sendall(self._answer(line))

    def _answer(self, line: bytes) -> bytes:
        try:
            verb, args, valid_until = _read(line)
            result = self._verbs.do(verb, args, valid_until)
            return json.dumps({"ok": True, "result": result}).encode() + b"\n"
        except BadQuestion as exc:
            return _no("BAD_REQUEST", str(exc))
        except RobotBusy as exc:
            return _no("BUSY", str(exc))
        except (OperatorRefused, RequestRefused) as exc:
            return _no("REFUSED", str(exc))
        except FillbookError as exc:
            return _no("FAILED", str(exc))
        except Exception as exc:
            # A mistake of ours may raise anything, and must not end the way in for an operator: it
            # is logged with its traceback, and the peer is told.
            _LOG.exception("the door: a question failed")
            return _no("FAILED", f"the robot could not do it ({type(exc).__name__}: {exc})")


def _no(kind: str, error: str) -> bytes:
    return json.dumps({"ok": False, "kind": kind, "error": error}).encode() + b"\n"


def _question(channel: socket.socket, rest: bytes) -> tuple[bytes | None, bytes]:
    """Return the peer's next line and what came after it; None where it has left."""
    deadline = time.monotonic() + _PEER_PATIENCE_S
    data = rest
    while b"\n" not in data:
        if len(data) > MOST_QUESTION_BYTES:
            raise BadQuestion(f"a question has at most {MOST_QUESTION_BYTES} bytes")
        left = deadline - time.monotonic()
        if left <= 0:
            raise BadQuestion(f"no whole line within {_PEER_PATIENCE_S:g} s")
        channel.settimeout(left)
        try:
            chunk = channel.recv(1 << 14)
        except TimeoutError:
            continue
        if not chunk:
            return None, b""
        data += chunk
    line, _, rest = data.partition(b"\n")
    return line, rest


def _read(line: bytes) -> tuple[str, Mapping[str, Any], int | None]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise BadQuestion("a question is one JSON object in a line") from exc
    if not isinstance(said, dict):
        raise BadQuestion("a question is one JSON object in a line")
    unknown = sorted(set(said) - {"verb", "args", "valid_until"})
    if unknown:
        raise BadQuestion(f"{unknown[0]!r} is none of verb, args, valid_until")
    verb, args, valid_until = said.get("verb"), said.get("args", {}), said.get("valid_until")
    if not isinstance(verb, str):
        raise BadQuestion("verb: it is missing, or no text")
    if not isinstance(args, dict):
        raise BadQuestion("args: it is no object")
    if valid_until is not None and type(valid_until) is not int:
        raise BadQuestion("valid_until: it is no integer (ns since 1970, UTC)")
    return verb, args, valid_until


# ---- the socket


_UMASK = threading.Lock()


def _listen(path: str) -> socket.socket:
    """Return a listening socket at *path*, for this user alone.

    It is bound under a short name in the same folder and then takes its own: an address has some
    hundred bytes, a path may have more, and a stale socket is replaced in one step.
    """
    _refuse_if_answered(path)
    folder, _ = os.path.split(path)
    passing = f".door-{os.getpid()}-{threading.get_ident() % 10**6}"
    fd = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        through = f"/proc/self/fd/{fd}" if os.path.isdir("/proc/self/fd") else folder or "."
        with suppress(FileNotFoundError):
            os.unlink(passing, dir_fd=fd)
        with _UMASK:  # the mask is the process's, and is back before anybody waits for it
            before = os.umask(0o177)
            try:
                listener.bind(f"{through}/{passing}")
            finally:
                os.umask(before)
        listener.listen(_MOST_PEERS)
        os.replace(passing, os.path.basename(path), src_dir_fd=fd, dst_dir_fd=fd)
    except BaseException:
        listener.close()
        with suppress(OSError):
            os.unlink(passing, dir_fd=fd)
        raise
    finally:
        os.close(fd)
    return listener


def _refuse_if_answered(path: str) -> None:
    """Raise where somebody answers at *path*, or it is no socket at all.

    That somebody can be reached is no answer: a forked child of a robot that died still holds its
    socket, and nobody in it listens.
    """
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(f"{path} is no socket; it was not touched")
    except FileNotFoundError:
        return
    try:
        ask(path, "status", {}, timeout_s=1)
    except (Closed, Silent):
        return
    except Refused:
        pass
    raise OperatorRefused(f"{path}: somebody answers there already", "stop it first")
