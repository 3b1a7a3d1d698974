"""Serve a paper broker over HTTP, so that a robot can be killed while its broker lives on.

`POST /submit`, `/cancel`, `/replace`, `/look_up`, `/open_orders`, `/fills_since`, `/positions`,
`/activities_since` and `/cash` are the calls of the port; `paper_calls` says what their bodies are.
A refusal is 409 with `reason` and `text`.  `GET /stream` tells what happens as JSON lines for as
long as the client listens: first `session` and `number`, then `number` and `message` each, an empty
object each second as a sign of life; with `?after=N&session=S` it goes on after message N.
`GET /truth` is what the exchange itself knows, `GET /instruments` and `GET /capabilities` are what
it offers, and `POST /settle` lets nothing more go wrong.  `POST /trade_by_hand`, `/liquidate`,
`/split` and `/transfer` have that done to the account behind the robot's back, and answer with its
`id`.
"""

import json
import os
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from attrs import asdict

from fillbook.brokers.live import BrokerRefused, NotSent
from fillbook.brokers.paper_calls import DEEDS, METHODS, arguments_of, deed_of
from fillbook.brokers.paper_faults import FaultPlan
from fillbook.brokers.paper_live import PaperBroker
from fillbook.brokers.paper_sim import BrokerTrouble
from fillbook.brokers.paper_wire import SECOND
from fillbook.brokers.port import Message
from fillbook.errors import BadInput, BadValue

__all__ = ["PaperServer", "serve"]

_BEAT_S = 1.0
_IDLE_S = 30.0
_STOP_S = 5.0
_KEPT_MESSAGES = 100_000
"""How far back the stream can be taken up again; what is older only the polls show."""

_LONGEST_BODY = 1 << 20


def serve(
    port: int = 0,
    seed: int = 7,
    faults: FaultPlan | str | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    host: str = "127.0.0.1",
    pace_ns: int = SECOND,
    ready: Callable[[int], object] = lambda port: None,
    stop: threading.Event | None = None,
) -> None:
    """Serve a paper broker until *stop* is set, or for ever.

    *ready* is called with the port once calls are answered; port 0 takes any that is free.  Raises
    `OSError` where the port cannot be had, `BadInput` where the account or the plan cannot.
    """
    broker = PaperBroker(seed, path=path, faults=faults, pace_ns=pace_ns)
    try:
        server = PaperServer(broker, host=host, port=port)
    except BaseException:
        broker.close()
        raise
    try:
        server.start()
        ready(server.port)
        (stop or threading.Event()).wait()
    finally:
        server.close()


class PaperServer:
    """A paper broker behind a port of this machine.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, broker: PaperBroker, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Take the port; *broker* is the server's from now on, and is closed with it."""
        self._broker = broker
        self._stream = StreamLog()
        handler = type("Handler", (_Handler,), {"broker": broker, "stream": self._stream})
        self._server = _Server((host, port), handler)
        self.host, self.port = host, self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="paper-server", daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Begin to answer."""
        self._broker.connect(self._stream)
        self._thread.start()

    def close(self) -> None:
        """Stop; calls and streams under way are cut off."""
        self._stream.close()
        self._broker.close()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(_STOP_S)
        self._server.server_close()


class StreamLog:
    """What the stream has told, for clients that come, go and come back.

    Attributes:
        session: Tells this stream from that of an earlier server.
    """

    def __init__(self) -> None:
        self.session = secrets.token_hex(4)
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque(maxlen=_KEPT_MESSAGES)
        self._last_number = 0
        self._is_up = False
        self._is_closed = False
        self._cut_count = 0

    def hear(self, message: Message) -> None:
        with self._changed:
            self._last_number += 1
            number = str(self._last_number).encode()
            self._lines.append(b'{"number":%b,"message":%b}\n' % (number, message.raw))
            self._changed.notify_all()

    def line(self, is_up: bool, problem: str = "") -> None:
        with self._changed:
            self._is_up = is_up
            self._cut_count += 0 if is_up else 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def begin(self, after: int | None, session: str) -> tuple[int, int] | None:
        """Return where a client goes on and which connection it is on; None while down."""
        with self._changed:
            if not self._is_up or self._is_closed:
                return None
            oldest = self._last_number - len(self._lines)
            if after is None:
                after = self._last_number
            elif session != self.session:
                after = 0
            return min(max(after, oldest), self._last_number), self._cut_count

    def next(self, after: int, cut_count: int) -> list[bytes] | None:
        """Return the lines after number *after*, none after a while; None where it was cut."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._last_number > after or self._is_cut(cut_count), _BEAT_S
            )
            if self._is_cut(cut_count):
                return None
            count = self._last_number - after
            oldest = self._last_number - len(self._lines)
            return [self._lines[each - oldest] for each in range(after, after + count)]

    def _is_cut(self, cut_count: int) -> bool:
        return self._is_closed or cut_count != self._cut_count


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    disable_nagle_algorithm = True  # else an answer waits for the headers to be acknowledged
    broker: PaperBroker
    stream: StreamLog

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/truth":
            self._answer(200, _json(self.broker.truth()))
        elif address.path == "/instruments":
            self._answer(200, _lines(self.broker.instruments()))
        elif address.path == "/capabilities":
            self._answer(200, _json(asdict(self.broker.capabilities)))
        elif address.path == "/stream":
            self._tell_stream({key: each[-1] for key, each in parse_qs(address.query).items()})
        else:
            self._answer(404, _json({"text": f"there is no {address.path}"}))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _LONGEST_BODY:
            self.close_connection = True
            self._answer(413, _json({"text": "the body is too long, or has no length"}))
            return
        body = self.rfile.read(int(length))
        method = urlsplit(self.path).path.removeprefix("/")
        if method == "settle":
            self.broker.settle()
            self._answer(200, b"{}")
        elif method in METHODS:
            self._call(method, body)
        elif method in DEEDS:
            self._have_done(method, body)
        else:
            self._answer(404, _json({"text": f"there is no /{method}"}))

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: standard error is the command's."""

    def _call(self, method: str, body: bytes) -> None:
        try:
            messages = getattr(self.broker, method)(*arguments_of(method, body))
        except BadValue as bad:
            self._answer(400, _json({"text": str(bad)}))
        except BrokerRefused as refusal:
            told = {"reason": refusal.reason, "text": refusal.text}
            if refusal.raw:
                told["answer"] = json.loads(refusal.raw)
            self._answer(409, _json(told))
        except BrokerTrouble as trouble:
            self._answer(trouble.http_status, _json({"text": trouble.text}))
        except (TimeoutError, ConnectionError, NotSent):
            self.close_connection = True  # a call that hangs, or a line that is down: no answer
        else:
            self._answer(200, _lines(messages))

    def _have_done(self, deed: str, body: bytes) -> None:
        try:
            done = getattr(self.broker, deed)(**deed_of(deed, body))
        except (BadValue, BadInput) as bad:
            self._answer(400, _json({"text": str(bad)}))
        else:
            self._answer(200, _json({"id": done}))

    def _answer(self, http_status: int, body: bytes) -> None:
        self.send_response(http_status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _tell_stream(self, query: dict[str, str]) -> None:
        after = query.get("after", "")
        begun = self.stream.begin(
            int(after) if after.isdecimal() else None, query.get("session", "")
        )
        if begun is None:
            self._answer(503, _json({"text": "the stream is down"}))
            return
        number, cut_count = begun
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._send_chunk(_json({"session": self.stream.session, "number": number}) + b"\n")
        while (lines := self.stream.next(number, cut_count)) is not None:
            number += len(lines)
            self._send_chunk(b"".join(lines) or b"{}\n")
        self._send_chunk(b"")

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


def _lines(messages: Iterable[Message]) -> bytes:
    return b"".join(message.raw + b"\n" for message in messages)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
