"""Reach a paper server over HTTP: one connection per call, and one that stays for the stream.

A call whose connection could not be made was not sent, and that is certain because no connection is
ever used twice.  The stream goes on after the last message that came, so a broken connection loses
nothing that the server still has.
"""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from fillbook.brokers.live import BrokerRefused, Listener, NotSent
from fillbook.brokers.paper_calls import body_of, deed_body_of, messages_of
from fillbook.brokers.paper_sim import BrokerTrouble
from fillbook.brokers.port import Message

__all__ = ["OverHttp"]

_SILENCE_S = 5.0
"""A stream that says nothing for so long is dead: the server gives a sign each second."""

_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.05, 2.0
_STOP_S = 5.0


class OverHttp:
    """A paper broker in another process."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        parts = urlsplit(url)
        assert parts.scheme == "http", f"{url} is no http address"
        assert parts.hostname, f"{url} names no host"
        self._host, self._port = parts.hostname, parts.port or 80
        self._timeout_s = timeout_s
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._streaming: socket.socket | None = None
        self._session = ""
        self._number: int | None = None

    def call(self, method: str, *args: Any) -> list[Message]:
        return messages_of(self._request("POST", f"/{method}", body_of(method, args)))

    def instruments(self) -> list[Message]:
        return messages_of(self._request("GET", "/instruments"))

    def truth(self) -> dict[str, list[dict[str, Any]]]:
        truth: dict[str, list[dict[str, Any]]] = json.loads(self._request("GET", "/truth"))
        return truth

    def have_done(self, deed: str, **told: Any) -> str | None:
        done: str | None = json.loads(self._request("POST", f"/{deed}", deed_body_of(told)))["id"]
        return done

    def settle(self) -> None:
        self._request("POST", "/settle", b"{}")

    def connect(self, listener: Listener) -> None:
        assert self._thread is None, "it has a listener already"
        self._thread = threading.Thread(
            target=self._follow, args=(listener,), name="paper-stream", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        streaming = self._streaming
        if streaming is not None:
            with suppress(OSError):  # it may be gone already
                streaming.shutdown(socket.SHUT_RDWR)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_S)

    # ---- calls

    def _request(self, verb: str, path: str, body: bytes | None = None) -> bytes:
        connection = self._connect(self._timeout_s)
        try:
            connection.request(verb, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise _failure(response.status, data)
        return data

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
        try:
            connection.connect()
        except OSError as problem:
            raise NotSent(f"no connection to {self._host}:{self._port}: {problem}") from problem
        return connection

    # ---- the stream

    def _follow(self, listener: Listener) -> None:
        wait_s = _SHORTEST_WAIT_S
        is_up: bool | None = None
        while not self._closing.is_set():
            problem = "the server ended it"
            try:
                for message in self._stream():
                    if message is not None:
                        listener.hear(message)
                    elif not is_up:
                        is_up, wait_s = True, _SHORTEST_WAIT_S
                        listener.line(True)
                    if self._closing.is_set():
                        return
            except (NotSent, BrokerTrouble, OSError, http.client.HTTPException, ValueError) as bad:
                problem = str(bad) or type(bad).__name__
            if is_up or is_up is None:
                is_up = False
                listener.line(False, problem)
            self._closing.wait(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _stream(self) -> Iterator[Message | None]:
        """Yield the messages of one connection as they come; None for a sign of life."""
        connection = self._connect(_SILENCE_S)
        self._streaming = connection.sock
        try:
            path = "/stream"
            if self._number is not None:
                path += f"?after={self._number}&session={self._session}"
            connection.request("GET", path)
            response = connection.getresponse()
            if response.status != 200:
                raise _failure(response.status, response.read())
            while line := response.readline():
                row = json.loads(line)
                if "session" in row:
                    self._session, self._number = row["session"], row["number"]
                if "message" in row:
                    data = json.dumps(row["message"], separators=(",", ":")).encode()
                    (message,) = messages_of(data)
                    yield message
                    self._number = row["number"]
                else:
                    yield None
        finally:
            self._streaming = None
            connection.close()


def _failure(http_status: int, data: bytes) -> Exception:
    """Return what an answer other than 200 means."""
    try:
        told = json.loads(data)
        reason, text = told.get("reason"), told.get("text")
    except (ValueError, AttributeError):
        reason, text = None, None
    if 400 <= http_status < 500 and isinstance(reason, str):
        return BrokerRefused(reason, str(text or ""), data)
    return BrokerTrouble(http_status, str(text or data[:200].decode(errors="replace")))
