"""The door of a running robot, and the file for one that hangs: real sockets, real processes."""

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from feedback.robot_process import Client, RobotProcess
from fillbook import NewOrder, Robot
from fillbook.brokers import ClientBroker
from fillbook.errors import BadInput, OperatorRefused, TradingHalted
from fillbook.feedback.door import Door
from fillbook.feedback.doorbell import Closed, Refused, Silent, ask, reach
from fillbook.feedback.halt_file import HaltFile, HaltRequest
from fillbook.feedback.verbs import Key, RobotBusy, Verbs
from fillbook.log.sqlite import SqliteLog
from fillbook.operating import operate, status
from fillbook.reconcile.choices import Choices
from fillbook.reconcile.wishes import SECOND, Patience

WHO = {"by": "olga", "reason": "it trades oddly"}
ORDER = NewOrder.limit("SBER", "BUY", "10", "275.5")


@contextmanager
def now() -> Iterator[int]:
    yield time.time_ns()


@pytest.fixture
def verbs() -> Verbs:
    verbs = Verbs(now)
    verbs.add("echo", lambda now, **told: {"told": told}, {"text": Key()})
    verbs.add("fail", lambda now: {}[1])
    return verbs


@pytest.fixture
def door(verbs: Verbs, tmp_path: Path) -> Iterator[Door]:
    door = Door(str(tmp_path / "x.sock"), verbs)
    yield door
    door.close()


def sent(door: Door, data: bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(15)
        channel.connect(door.path)
        channel.sendall(data)
        with channel.makefile("rb") as file:
            answer: dict[str, Any] = json.loads(file.readline())
            return answer


# ---- the socket


def test_it_is_its_owners_alone_and_goes_with_the_robot(door: Door):
    assert stat.S_IMODE(os.stat(door.path).st_mode) == 0o600
    assert ask(door.path, "echo", {"text": "hallo"}) == {"told": {"text": "hallo"}}

    door.close()

    assert not os.path.lexists(door.path)
    with pytest.raises(Closed):
        ask(door.path, "echo", {})


def test_the_mask_of_the_process_is_as_it_was(verbs: Verbs, tmp_path: Path):
    before = os.umask(0o022)
    try:
        Door(str(tmp_path / "x.sock"), verbs).close()
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


@pytest.mark.parametrize("where", ["folder", "name"])
def test_a_path_longer_than_an_address_works(verbs: Verbs, tmp_path: Path, where: str):
    """The kernel takes 107 bytes; a ledger may lie as deep as it likes."""
    folder = tmp_path.joinpath(*["a-long-folder-name" * 3] * 3) if where == "folder" else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    name = "x.ledger.sock" if where == "folder" else "x" * 200 + ".ledger.sock"
    path = str(folder / name)
    assert len(path) > 107
    door = Door(path, verbs)
    try:
        assert ask(path, "echo", {}) == {"told": {}}
        with pytest.raises(OperatorRefused, match="answers"):
            Door(path, verbs)
    finally:
        door.close()
    assert os.listdir(folder) == []


def test_a_stale_socket_is_replaced_and_one_that_answers_is_not(verbs: Verbs, tmp_path: Path):
    path = str(tmp_path / "x.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)

    door = Door(path, verbs)
    try:
        with pytest.raises(OperatorRefused):
            Door(path, verbs)
        assert ask(path, "echo", {}) == {"told": {}}
    finally:
        door.close()


def test_a_socket_behind_which_nobody_listens_is_replaced(verbs: Verbs, tmp_path: Path):
    """A forked child of a robot that died holds on to it, and does not know."""
    path = str(tmp_path / "x.sock")
    with socket.socket(socket.AF_UNIX) as inherited:
        inherited.bind(path)
        inherited.listen(1)

        door = Door(path, verbs)
        try:
            assert ask(path, "echo", {}) == {"told": {}}
        finally:
            door.close()


def test_what_is_no_socket_is_not_touched(verbs: Verbs, tmp_path: Path):
    path = tmp_path / "x.sock"
    path.write_text("mine")

    with pytest.raises(FileExistsError):
        Door(str(path), verbs)
    assert path.read_text() == "mine"


# ---- questions


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"hallo\n", "one JSON object"),
        (b"[]\n", "one JSON object"),
        (b"\xff\n", "one JSON object"),
        (b"[" * 9000 + b"\n", "one JSON object"),
        (b'{"args": {}}\n', "verb"),
        (b'{"verb": "echo", "arg": {}}\n', "'arg'"),
        (b'{"verb": "ech"}\n', "none of echo"),
        (b'{"verb": "echo", "args": {"texd": "a"}}\n', "is text meant?"),
        (b'{"verb": "echo", "args": {"text": 1}}\n', "no text"),
        (b'{"verb": "echo", "args": {"text": " "}}\n', "empty"),
        (b'{"verb": "echo", "args": {"text": "\\ud800"}}\n', "stored"),
        (b'{"verb": "echo", "valid_until": 1.5}\n', "integer"),
        (b'{"verb": "fail"}\n', "KeyError"),
        (b"a" * 20_000, "at most"),
    ],
)
def test_a_bad_question_gets_one_clear_answer(door: Door, data: bytes, words: str):
    answer = sent(door, data)

    assert answer["ok"] is False
    assert words in answer["error"]
    assert ask(door.path, "echo", {}) == {"told": {}}


def test_peers_that_say_nothing_keep_nobody_out(door: Door):
    idle = [socket.socket(socket.AF_UNIX) for _ in range(8)]
    try:
        for each in idle:
            with reach(door.path) as address:
                each.connect(address)
        assert ask(door.path, "echo", {}) == {"told": {}}
    finally:
        for each in idle:
            each.close()


def test_one_peer_may_ask_again(door: Door):
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(5)
        channel.connect(door.path)
        channel.sendall(b'{"verb": "echo"}\n{"verb": "echo", "args": {"text": "2"}}\n')
        with channel.makefile("rb") as file:
            told = [json.loads(file.readline())["result"]["told"] for _ in range(2)]
    assert told == [{}, {"text": "2"}]


def test_what_comes_too_late_is_not_done_but_a_halt_is(verbs: Verbs):
    """Whoever asked was told that there was no answer; he must not be surprised by it later."""
    verbs.add("halt", lambda now: {"halted": True}, is_safe_late=True)
    past = time.time_ns() - 1

    assert verbs.do("halt", {}, past) == {"halted": True}
    with pytest.raises(OperatorRefused, match="too late"):
        verbs.do("echo", {}, past)


def test_a_busy_robot_is_silent(verbs: Verbs, door: Door):
    def busy(now: int) -> dict[str, Any]:
        raise RobotBusy("busy")

    verbs.add("busy", busy)
    with pytest.raises(Silent):
        ask(door.path, "busy", {})


# ---- a robot behind it


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    return str(tmp_path / "a.ledger")


def test_a_running_robot_is_halted_canceled_and_resumed_through_its_door(ledger: str):
    client = Client()
    with Robot.open(ledger, broker=ClientBroker(client)) as robot:
        order = robot.submit(ORDER)
        assert robot.wait_until(lambda: order.venue_order_id is not None, 10)

        done = operate(ledger, "halt", WHO)
        assert (done.how, done.result["halts"][0]["by"]) == ("ROBOT", "olga")
        with pytest.raises(TradingHalted):
            robot.submit(ORDER)
        assert status(ledger)["active_orders"] == 1
        asked = operate(ledger, "cancel_all", WHO).result
        assert asked["cancels_asked"] == [order.client_order_id]
        assert robot.wait_until(lambda: client.cancels == 1, 10)
        operate(ledger, "resume", WHO)
        assert robot.submit(ORDER)
        with pytest.raises(BadInput, match="not halted"):
            operate(ledger, "resume", WHO)
        assert status(ledger)["answers"] is True
    assert status(ledger)["state"] == "NOT_RUNNING"


def test_a_lock_that_is_held_for_long_leaves_the_halt_beside_the_ledger(ledger: str):
    """The process is alive and its door answers `busy`: for an operator that is silence."""
    with Robot.open(ledger, broker=ClientBroker(Client())) as robot:
        held, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            with robot._runner.lock:
                held.set()
                go_on.wait(30)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(10)
        try:
            assert operate(ledger, "halt", WHO).how == "LEFT"
            with pytest.raises(OperatorRefused, match="no answer"):
                operate(ledger, "cancel_all", WHO)
        finally:
            go_on.set()
            thread.join()
        assert robot.wait_until(lambda: robot.summary()["halts"] != [], 10)
        assert robot.wait_until(lambda: not HaltFile(ledger).is_there(), 10)


# ---- a robot that hangs


@pytest.mark.crash
def test_a_hung_robot_sends_nothing_that_was_halted_meanwhile(ledger: str):
    """The order is recorded and on its way to the broker when the process hangs."""
    with RobotProcess(Path(ledger)) as robot:
        assert robot.say("slow", "1.5") == "ok"
        order_id = robot.say("submit").split()[0]
        robot.stop()
        try:
            assert status(ledger)["state"] == "SILENT"
            done = operate(ledger, "halt", WHO)
            assert done.how == "LEFT"
            assert stat.S_IMODE(os.stat(ledger + ".halt").st_mode) == 0o600
            assert status(ledger)["halts_left"] == 1
            with pytest.raises(OperatorRefused, match="no answer"):
                operate(ledger, "resume", WHO)
        finally:
            robot.go_on()

        assert robot.say("wait", order_id, "REJECTED") == "REJECTED"
        assert robot.say("sent") == "[0, 0]"
        assert "olga" in robot.say("submit")
        assert not HaltFile(ledger).is_there()
        assert status(ledger)["halts"][0]["reason"] == "it trades oddly"
    with SqliteLog.open(ledger) as log:
        (rejected,) = [r for r in log.records() if r.type == "order.rejected"]
        assert "it was not sent" in json.loads(rejected.body)["text"]


@pytest.mark.crash
def test_a_halt_that_was_left_for_a_robot_that_then_died_holds_when_it_comes_back(ledger: str):
    with RobotProcess(Path(ledger)) as robot:
        robot.stop()
        assert operate(ledger, "halt", WHO).how == "LEFT"
    with Robot.open(ledger, broker=ClientBroker(Client())) as again:
        with pytest.raises(TradingHalted, match="olga"):
            again.submit(ORDER)
        assert not HaltFile(ledger).is_there()
    with SqliteLog.open(ledger) as log:
        types = [record.type for record in log.records()]
    assert types[types.index("trading.halted") + 1] == "robot.started"  # before it does anything


# ---- comparing with the broker


def over(sock: str, number: str) -> dict[str, Any]:
    """What came of a reconciliation, once it is over."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        told = ask(sock, "reconciled", {"number": number})
        if told["is_over"]:
            return told
        assert told["result"] is None
        assert told["stage"] in ("READING", "ASKING", "WAITING")
        time.sleep(0.02)
    raise AssertionError("it is not over")


def test_a_comparison_is_begun_at_the_door_and_told_when_it_is_over(ledger: str):
    client = Client()
    soon = Choices(patience=Patience(between_ns=SECOND // 10))
    with Robot.open(ledger, broker=ClientBroker(client), reconciliation=soon) as robot:
        client.held["SBER"] = "5"
        head = robot.summary()["head_seq"]
        sock = f"{ledger}.sock"

        dry = over(sock, str(ask(sock, "reconcile", {"by": "olga"})["number"]))["result"]
        assert (dry["outcome"], dry["is_applied"], dry["seq"]) == ("DIFFERS", False, None)
        assert robot.summary()["head_seq"] == head

        wanted = {"by": "olga", "apply": True, "adopt": "GAZP\nSBER"}
        done = over(sock, str(ask(sock, "reconcile", wanted)["number"]))["result"]
        assert (done["outcome"], done["by"], done["seq"]) == ("ADOPTED", "olga", head + 1)
        assert robot.summary()["positions_unconfirmed"] == ["SBER"]

        for number in ("99", "x", "\u0663"):
            with pytest.raises(Refused, match="no reconciliation"):
                ask(sock, "reconciled", {"number": number})
        with pytest.raises(Refused, match="by is missing"):
            ask(sock, "reconcile", {"apply": True})


def test_a_robot_that_does_not_reach_its_broker_says_so_at_once(
    ledger: str, monkeypatch: pytest.MonkeyPatch
):
    client = Client()

    def get_positions() -> list[dict[str, Any]]:
        raise ConnectionResetError("cut")

    monkeypatch.setattr(client, "get_positions", get_positions)
    broker = ClientBroker(client)
    with Robot.open(ledger, broker=broker, recover_timeout_s=3) as robot:
        robot.wait_until(lambda: not robot.summary()["online"], 20)
        with pytest.raises(Refused, match=r"does not reach its broker.*cut"):
            ask(f"{ledger}.sock", "reconcile", {"by": "olga"})


# ---- the file


def test_halts_that_were_left_are_added_to_each_other_and_taken_once(tmp_path: Path):
    left = HaltFile(str(tmp_path / "a.ledger"))
    left.leave(HaltRequest(by="olga", reason="one", ts=1))
    left.leave(HaltRequest(by="ivan", reason="two", ts=2, instrument_id="SBER"))
    taken: list[HaltRequest] = []

    assert [request.reason for request in left.read()] == ["one", "two"]
    assert left.take(taken.append) == 2
    assert left.take(taken.append) == 0
    assert [request.by for request in taken] == ["olga", "ivan"]
    assert os.listdir(tmp_path) == []


def test_one_that_could_not_be_recorded_stays_and_none_is_lost_meanwhile(tmp_path: Path):
    """The disk fails in the middle; then another one is left before the robot tries again."""
    left = HaltFile(str(tmp_path / "a.ledger"))
    left.leave(HaltRequest(by="olga", reason="one", ts=1))

    def fail(_: HaltRequest) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        left.take(fail)
    assert left.is_there()
    left.leave(HaltRequest(by="ivan", reason="two", ts=2))
    taken: list[HaltRequest] = []
    left.take(taken.append)

    assert [request.reason for request in taken] == ["one", "two"]


@pytest.mark.parametrize(
    "data",
    [b"", b"hallo", b"[]", b"{}", b'{"requests": []}', b'{"requests": [{"by": 1, "reason": "a"}]}',
     b'{"requests": [{"by": "a", "reason": "\\ud800"}]}',
     b'{"requests": [{"by": "a", "reason": "b", "level": "GO"}]}'],
)  # fmt: skip
def test_one_that_cannot_be_read_halts_everything(tmp_path: Path, data: bytes):
    """Somebody wanted something halted; to guess less than everything would be a risk."""
    left = HaltFile(str(tmp_path / "a.ledger"))
    Path(left.path).write_bytes(data)

    (request,) = left.read()

    assert (request.level, request.instrument_id) == ("HALTED", None)
    assert "cannot be read" in request.reason
