"""The paper server over real sockets: what a robot meets when its broker is another process."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from decimal import Decimal

import pytest
from attrs import evolve

from brokers.paper_builders import SECOND, SHARE, STILL, an_order
from contract.broker_suite import Ear, ref_to, reports_in
from fillbook.brokers import paper_client
from fillbook.brokers.live import BrokerRefused, NotSent
from fillbook.brokers.paper_live import PaperBroker
from fillbook.brokers.paper_server import PaperServer, StreamLog, serve
from fillbook.brokers.paper_sim import PAPER, BrokerTrouble, SimulatedBroker
from fillbook.brokers.port import Message
from fillbook.core.values import ExecType, Side
from fillbook.errors import BadInput

SETTINGS = {"seed": 1, "listings": [evolve(SHARE, level_steps=100)], "pace_ns": STILL}


@pytest.fixture
def house():
    """Start servers and clients, and stop them all."""
    opened = []

    class House:
        def server(self, port: int = 0, **settings) -> PaperServer:
            opened.append(PaperServer(PaperBroker(**(SETTINGS | settings)), port=port))
            opened[-1].start()
            return opened[-1]

        def client(self, url: str, ear: Ear | None = None, hang_s: float = 10) -> PaperBroker:
            opened.append(PaperBroker(url=url, hang_s=hang_s))
            if ear is not None:
                opened[-1].connect(ear)
                ear.wait(lambda ear: ear.lines)
            return opened[-1]

    yield House()
    for each in reversed(opened):
        each.close()


def ask(server: PaperServer, verb: str, path: str, body: str = "") -> tuple[int, object]:
    """Ask as any program would, without the client."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(verb, path, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


def test_an_order_goes_all_the_way_and_back(house):
    server, ear = house.server(), Ear()
    client = house.client(server.url, ear)

    answer = client.submit(an_order(qty="3"))

    ear.wait(lambda ear: ear.reports(ExecType.TRADE))
    lines = [json.loads(line)["message"] for line in server._stream._lines]
    assert [json.loads(message.raw) for message in ear.messages] == lines
    assert b"".join(server._stream._lines).count(ear.messages[0].raw) == 1
    assert [message.content.exec_id for message in ear.messages] == [
        message.content.exec_id for message in answer
    ]
    for message in (*answer, *ear.messages):
        row = json.loads(message.raw)
        assert (row["kind"], row["exec_id"]) == ("report", message.content.exec_id)
        assert (message.line, message.start, message.problem) == (0, 0, None)
    (fill,) = client.truth()["fills"]
    assert (fill["client_order_id"], fill["last_qty"], fill["last_px"]) == ("R-1", "3", "101")


def test_the_instruments_are_the_same_over_http(house):
    server = house.server()
    (told,) = house.client(server.url).instruments()
    (own,) = PaperBroker(**SETTINGS).instruments()
    assert told.kind == "instrument"
    assert evolve(told.content, ts_event=None) == evolve(
        own.content, ts_event=None, ts_received=None
    )
    assert told.content.instrument_id == "SHARE"


def test_the_truth_can_be_asked_by_anybody(house):
    server = house.server()
    house.client(server.url).submit(an_order(limit_px="90"))
    status, truth = ask(server, "GET", "/truth")
    assert status == 200
    assert list(truth) == ["orders", "fills", "positions", "activities", "balances"]
    assert [row["client_order_id"] for row in truth["orders"]] == ["R-1"]
    status, capabilities = ask(server, "GET", "/capabilities")
    assert (status, capabilities["has_stream"]) == (200, True)


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/submit", "", 400, "order: missing"),
        ("/submit", "[1]", 400, "not an object"),
        ("/submit", "{", 400, "not JSON"),
        ("/submit", '{"order":{"kind":"order"}}', 400, "order: client_order_id: missing"),
        (
            "/submit",
            '{"order":{"kind":"cancel","client_order_id":"C","orig_client_order_id":"R"}}',
            400,
            "order: found cancel, which is no submit",
        ),
        ("/look_up", "{}", 400, "order: missing"),
        ("/look_up", '{"order":{"client_order_id":1}}', 400, "order.client_order_id"),
        ("/fills_since", '{"ts_event":"yesterday"}', 400, "not a time"),
        ("/activities_since", "{}", 400, "ts_event: missing"),
        ("/liquidate", "{", 400, "not JSON"),
        ("/liquidate", "[]", 400, "give instrument_id"),
        ("/liquidate", '{"instrument_id":"NONE"}', 400, "NONE is not listed here"),
        ("/split", '{"instrument_id":"SHARE","numerator":"2"}', 400, "give instrument_id, num"),
        ("/transfer", '{"instrument_id":"SHARE","qty":5}', 400, "qty: not text"),
        ("/transfer", '{"instrument_id":"SHARE","qty":"five"}', 400, "qty: "),
        ("/transfer", '{"instrument_id":"SHARE","qty":"5","to":"me"}', 400, "give instrument_id"),
        (
            "/trade_by_hand",
            '{"instrument_id":"SHARE","side":"HOLD","qty":"5"}',
            400,
            "side: found 'HOLD', which is no side",
        ),
        (
            "/trade_by_hand",
            '{"instrument_id":"SHARE","side":"BUY","qty":"5","is_told":"yes"}',
            400,
            "is_told: not true or false",
        ),
        ("/hack", "{}", 404, "there is no /hack"),
    ],
)
def test_a_request_that_makes_no_sense_is_answered(house, path, body, status, text):
    told_status, told = ask(house.server(), "POST", path, body)
    assert told_status == status
    assert text in told["text"]
    assert "reason" not in told, "it is no refusal of an order: the venue never saw one"


def test_the_account_is_the_same_in_virtual_time_in_process_and_over_http(house):
    """What is done to it, at the same times, has the same ids, times and consequences."""
    opens_ns, told = 1_000 * SECOND, []

    def ask_all(broker) -> list:
        ids = [broker.trade_by_hand("SHARE", Side.BUY, Decimal(9))]
        broker.split("SHARE", Decimal(2), Decimal(1))
        ids.append(broker.transfer("SHARE", Decimal(-4), Decimal("50.5")))
        ids += [broker.transfer("SHARE", Decimal(1)), broker.liquidate("SHARE")]
        return ids

    virtual = SimulatedBroker(
        opens_ns=opens_ns, capabilities=PAPER, faults="partial_positions=0.5", **SETTINGS
    )
    settings = {"clock": lambda: opens_ns, "faults": "partial_positions=0.5"}
    server, own = house.server(**settings), PaperBroker(**SETTINGS, **settings)
    for broker in (virtual, own, house.client(server.url)):
        ids = ask_all(broker)
        answers = [
            broker.call(opens_ns, method, *args)[1]
            if broker is virtual
            else getattr(broker, method)(*args)
            for method, args in (
                *[("positions", ())] * 6, ("activities_since", (opens_ns,)), ("cash", ()),
                ("fills_since", (0,)),
            )
        ]  # fmt: skip
        contents = [[evolve(m.content, ts_received=None) for m in each] for each in answers]
        told.append((ids, contents, broker.truth()))
    own.close()
    assert told[0] == told[1] == told[2]
    assert {len(each) for each in told[0][1][:6]} == {0, 1}
    assert [len(each) for each in told[0][1][6:8]] == [3, 1]


def test_what_is_done_over_http_may_be_told_on_the_stream(house):
    server, ear = house.server(), Ear()
    client = house.client(server.url, ear)
    client.trade_by_hand("SHARE", Side.BUY, Decimal(1))
    venue_order_id = client.trade_by_hand("SHARE", Side.SELL, Decimal(2), is_told=True)
    ear.wait(lambda ear: ear.reports(ExecType.TRADE))
    assert {each.venue_order_id for each in ear.reports()} == {venue_order_id}
    assert client.liquidate("SHARE") is not None
    assert client.liquidate("SHARE") is None


def test_a_refusal_says_why(house):
    client = house.client(house.server().url)
    with pytest.raises(BrokerRefused) as refusal:
        client.submit(an_order(qty="100000"))
    assert refusal.value.reason == "EXCEEDS_LIMIT"
    assert refusal.value.text
    assert json.loads(refusal.value.raw)["answer"]["client_order_id"] == "R-1"


def test_where_nobody_listens_nothing_was_sent(house):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = house.client(f"http://127.0.0.1:{port}")
    with pytest.raises(NotSent, match="no connection to 127"):
        client.submit(an_order())


def test_a_line_that_breaks_after_sending_is_no_evidence(house):
    """The request was read and the connection closed: nobody knows what became of it."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def hang_up() -> None:
            connection, _ = door.accept()
            connection.recv(100_000)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        client = house.client(f"http://127.0.0.1:{door.getsockname()[1]}")
        with pytest.raises((OSError, http.client.HTTPException)) as error:
            client.submit(an_order())
        thread.join(5)
    assert not isinstance(error.value, (BrokerRefused, NotSent))


@pytest.mark.parametrize(("word", "http_status", "count"), [("before", 503, 0), ("after", 502, 1)])
def test_a_5xx_comes_over_http(house, word, http_status, count):
    server = house.server(faults=f"error_{word}=1")
    client = house.client(server.url)
    with pytest.raises(BrokerTrouble) as trouble:
        client.submit(an_order(limit_px="90"))
    assert trouble.value.http_status == http_status
    assert len(client.truth()["orders"]) == count


def test_a_call_that_hangs_is_not_answered(house):
    client = house.client(house.server(faults="hang=1").url, hang_s=0.3)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        client.submit(an_order())
    assert time.monotonic() - begun > 0.25


def test_settling_reaches_the_server(house):
    client = house.client(house.server(faults="error_before=1").url)
    client.settle()
    assert client.submit(an_order(limit_px="90"))


# ---- the stream


def test_a_stream_that_was_cut_goes_on_without_loss(house):
    server, ear = house.server(), Ear()
    client = house.client(server.url, ear)
    client.submit(an_order("R-1", limit_px="90"))
    ear.wait(lambda ear: ear.messages)

    server._stream.line(False, "cut")
    ear.wait(lambda ear: ear.lines[-1] is False)
    client.submit(an_order("R-2", limit_px="90"))
    client.submit(an_order("R-3", limit_px="90"))
    time.sleep(0.2)
    server._stream.line(True)

    ear.wait(lambda ear: any(each.client_order_id == "R-3" for each in ear.reports(ExecType.NEW)))
    assert ear.lines == [True, False, True]
    assert [each.client_order_id for each in ear.reports(ExecType.NEW)] == ["R-1", "R-2", "R-3"]
    assert len({each.exec_id for each in ear.reports()}) == len(ear.messages)


def test_a_new_client_hears_only_what_is_new(house):
    """A robot that was killed learns what it missed by asking; as at any broker."""
    server = house.server()
    first = Ear()
    client = house.client(server.url, first)
    client.submit(an_order("R-1", limit_px="90"))
    first.wait(lambda ear: ear.messages)

    second = Ear()
    house.client(server.url, second).submit(an_order("R-2", limit_px="90"))

    second.wait(lambda ear: ear.messages)
    assert {each.client_order_id for each in second.reports()} == {"R-2"}


def test_a_server_that_comes_back_is_found_again(house, tmp_path, monkeypatch):
    """Another process, the same account: the stream begins anew and the orders are there."""
    monkeypatch.setattr(paper_client, "_LONGEST_WAIT_S", 0.1)
    path = tmp_path / "account"
    server, ear = house.server(path=path), Ear()
    client = house.client(server.url, ear)
    client.submit(an_order("R-1", limit_px="90"))
    ear.wait(lambda ear: ear.messages)
    server.close()
    ear.wait(lambda ear: ear.lines == [True, False])
    with pytest.raises(NotSent):
        client.open_orders()

    house.server(port=server.port, path=path)

    ear.wait(lambda ear: ear.lines == [True, False, True])
    assert [each.client_order_id for each in reports_in(client.open_orders())] == ["R-1"]
    client.submit(an_order("R-2", limit_px="90"))
    ear.wait(lambda ear: any(each.client_order_id == "R-2" for each in ear.reports()))


def test_a_silent_stream_is_taken_for_dead(house, monkeypatch):
    """A server that is gone without a word sends no end of the stream either."""
    monkeypatch.setattr(paper_client, "_SILENCE_S", 0.2)
    ear = Ear()
    with socket.create_server(("127.0.0.1", 0)) as door:
        house.client(f"http://127.0.0.1:{door.getsockname()[1]}", ear)
        ear.wait(lambda ear: ear.lines == [False])


def test_the_stream_gives_a_sign_of_life(house):
    server = house.server()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", "/stream")
        response = connection.getresponse()
        first, second = response.readline(), response.readline()
    finally:
        connection.close()
    assert json.loads(first) == {"session": server._stream.session, "number": 0}
    assert json.loads(second) == {}


def test_a_stream_keeps_so_much_and_no_more(monkeypatch):
    monkeypatch.setattr("fillbook.brokers.paper_server._KEPT_MESSAGES", 3)
    log = StreamLog()
    log.line(True)
    for number in range(1, 6):
        log.hear(Message(0, "mark", None, b'{"n":%d}' % number))
    after, cut_count = log.begin(0, log.session)
    assert after == 2
    assert [json.loads(line)["message"]["n"] for line in log.next(after, cut_count)] == [3, 4, 5]
    assert log.begin(4, log.session)[0] == 4
    assert log.begin(4, "of another server")[0] == 2
    assert log.begin(None, "")[0] == 5


# ---- serve


def test_serve_says_its_port_and_stops_when_told(tmp_path, capsys):
    ports, stop, is_ready = [], threading.Event(), threading.Event()

    def ready(port: int) -> None:
        ports.append(port)
        is_ready.set()

    thread = threading.Thread(
        target=serve,
        args=(0, 3, "none", tmp_path / "account"),
        kwargs={"ready": ready, "stop": stop},
    )
    thread.start()
    try:
        assert is_ready.wait(10)
        client = PaperBroker(url=f"http://127.0.0.1:{ports[0]}")
        order = an_order(qty="10", instrument_id="SBER", limit_px="200")
        client.submit(order)
        assert reports_in(client.look_up(ref_to(order, None)))[-1].leaves_qty == 10
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(NotSent):
        client.positions()
    assert capsys.readouterr() == ("", "")


@pytest.mark.crash
def test_a_server_that_was_killed_knows_every_order_that_it_answered(tmp_path):
    program = (
        "import sys; from fillbook.brokers.paper_server import serve\n"
        "serve(path=sys.argv[1], ready=lambda port: print(port, flush=True))\n"
    )
    answered = []
    for number in range(3):
        server = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "account")],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        try:
            client = PaperBroker(url=f"http://127.0.0.1:{int(server.stdout.readline())}")
            assert [row["client_order_id"] for row in client.truth()["orders"]] == answered
            for each in range(4):
                order = an_order(
                    f"R-{number}-{each}", qty="10", instrument_id="SBER", limit_px="200"
                )
                client.submit(order)
                answered.append(order.client_order_id)
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait(10)
            server.stdout.close()


def test_serve_refuses_what_it_cannot_have(tmp_path):
    with pytest.raises(BadInput, match="no fault 'hnag'"):
        serve(faults="hnag")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        serve(taken.getsockname()[1], path=tmp_path / "account")
    serve_again = threading.Event()
    serve_again.set()
    serve(path=tmp_path / "account", stop=serve_again)  # the failed one let go of the account
