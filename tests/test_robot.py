"""A robot as its author uses it: real threads, a real ledger, the paper exchange or a client."""

import asyncio
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fillbook import AsyncRobot, NewOrder, Robot, Settings, open_reader
from fillbook.audit.verify import verify
from fillbook.brokers import ClientBroker, PaperBroker
from fillbook.brokers.live import Capabilities
from fillbook.brokers.paper_server import PaperServer
from fillbook.core.client_ids import FORMS, HEAD_BYTES, parse
from fillbook.core.policies import PartialFills
from fillbook.core.values import Side
from fillbook.errors import BadRequest, LedgerInUse, NotOverYet, RobotClosed, TradingHalted
from fillbook.feedback.settings import SECOND
from fillbook.wiring.books import reducer_fingerprint

NOTHING: Any = None
"""What a computation that went wrong hands over as a name or a price."""

QUICK = Settings(poll_ns=SECOND // 2, call_timeout_ns=SECOND // 2, ask_again_ns=SECOND // 20)


class Client:
    """A client with four methods; `fate` says what becomes of the next order."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.fate = "filled"
        self.canceled: set[str] = set()
        self.release = threading.Event()

    def place_order(self, order: dict[str, Any]) -> dict[str, Any]:
        self.orders.append(order)
        if self.fate == "hang":
            self.release.wait(30)
        if self.fate == "cut":
            raise ConnectionResetError("cut")
        return {"order_id": str(len(self.orders)), "status": "pending"}

    def get_order_status(self, order_id: str) -> dict[str, Any]:
        order = self.orders[int(order_id) - 1]
        if order_id in self.canceled:
            return {"order_id": order_id, "status": "cancelled", "filled_quantity": 0}
        if order["type"].lower() == "limit":
            return {"order_id": order_id, "status": "pending", "filled_quantity": 0}
        return {
            "order_id": order_id, "status": "filled", "filled_quantity": order["quantity"],
            "average_price": "275.5",
        }  # fmt: skip

    def cancel_order(self, order_id: str) -> bool:
        self.canceled.add(order_id)
        return True

    def get_positions(self) -> list[dict[str, Any]]:
        return []


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    return str(tmp_path / "a.ledger")


def types(ledger: str) -> list[str]:
    with open_reader(ledger) as reader:
        assert not verify(reader).problems
        return [record.type for record in reader.records()]


def test_the_quick_start(ledger: str):
    with Robot.open(ledger, broker=PaperBroker(seed=7)) as robot:
        order = robot.submit(NewOrder.market("SBER", "BUY", "100"))

        assert order.wait(timeout_s=20)
        assert (str(order.order_status), order.cum_qty) == ("FILLED", Decimal(100))
        assert order.avg_px is not None
        assert order.submitted_at is not None
        position = robot.position("SBER")
        assert position is not None
        assert position.position_qty == Decimal(100)

    assert types(ledger)[-1] == "robot.stopped"


@pytest.mark.parametrize("make", [lambda: None, lambda: PaperBroker(seed=7)], ids=["none", "7"])
def test_a_second_run_finds_the_same_account(ledger: str, make: Any):
    with Robot.open(ledger, broker=make()) as robot:
        robot.submit(NewOrder.market("SBER", "BUY", 10)).wait(20)
    with Robot.open(ledger, broker=make()) as robot:
        assert robot.wait_until(lambda: robot.summary()["positions_in_sync"] is not None, 20)
        assert robot.summary()["positions_in_sync"]
        order = robot.submit(NewOrder.market("SBER", "SELL", 10))
        assert order.wait(20)
        position = robot.position("SBER")

    assert position is not None
    assert position.position_qty == 0


def test_a_client_that_only_answers_polls(ledger: str):
    with Robot.open(ledger, broker=ClientBroker(Client()), settings=QUICK) as robot:
        order = robot.submit(NewOrder.market("SBER", "BUY", 5))
        assert order.wait(20)

        assert order.avg_px == Decimal("275.5")


def test_a_call_that_hangs_holds_up_nobody(ledger: str):
    client = Client()
    with Robot.open(ledger, broker=ClientBroker(client), settings=QUICK) as robot:
        client.fate = "hang"
        stuck = robot.submit(NewOrder.market("SBER", "BUY", 5))
        assert robot.wait_until(lambda: stuck.order_status == "UNKNOWN", 20)
        client.fate = "filled"
        other = robot.submit(NewOrder.market("GAZP", "BUY", 1))
        assert other.wait(20)
        with pytest.raises(TradingHalted):  # this client cannot be asked about an order by our id
            robot.submit(NewOrder.market("SBER", "BUY", 5))
        client.release.set()
        assert robot.wait_until(lambda: stuck.venue_order_id is not None, 20)
    assert len(client.orders) == 2


def test_callbacks_are_told_in_order_and_one_that_raises_stops_nothing(ledger: str):
    told: list[tuple[str, Any]] = []
    with Robot.open(
        ledger, broker=PaperBroker(seed=7),
        on_fill=lambda order, event: told.append(("fill", event.cum_qty)),
        on_status=lambda order, event: told.append(("status", str(event.order_status))),
        on_halt=lambda event: told.append(("halt", event.type)),
    ) as robot:  # fmt: skip
        robot.on_event(lambda event: 1 / 0 if event.type == "order.filled" else None)
        robot.submit(NewOrder.market("SBER", "BUY", 10)).wait(20)
        robot.halt("odd", by="olga")
        robot.resume("fine", by="olga")

    statuses = [what for kind, what in told if kind == "status"]
    assert statuses[0] == "PENDING_NEW"
    assert statuses[-1] == "FILLED"
    assert [what for kind, what in told if kind == "fill"][-1] == Decimal(10)
    assert [what for kind, what in told if kind == "halt"] == ["trading.halted", "trading.resumed"]
    assert "callback.failed" in types(ledger)


@pytest.mark.parametrize("exc", [SystemExit(1), ValueError("\ud83d")], ids=["exit", "surrogate"])
def test_a_callback_ends_only_its_own_turn(ledger: str, exc: BaseException):
    told: list[Any] = []

    def fail(event: Any) -> None:
        raise exc

    with Robot.open(ledger, broker=PaperBroker(seed=7)) as robot:
        robot.on_event(fail)
        robot.on_event(told.append)
        robot.submit(NewOrder.market("SBER", "BUY", 10)).wait(20)

    heard = [event.type for event in told]  # a late turn may fail, and say so, after the stop
    assert "robot.stopped" in heard
    assert "callback.failed" in types(ledger)


def test_a_cancel_of_a_resting_order(ledger: str):
    with Robot.open(ledger, broker=PaperBroker(seed=7)) as robot:
        order = robot.submit(NewOrder.limit("SBER", "BUY", 10, "100"))
        assert robot.wait_until(lambda: order.order_status == "NEW", 20)
        robot.replace(order, limit_px="101")
        robot.cancel(order)
        assert order.wait(20)

        assert str(order.order_status) == "CANCELED"
        with pytest.raises(BadRequest, match="CANCELED"):
            robot.cancel(order)


def test_one_robot_per_ledger(ledger: str):
    with Robot.open(ledger, broker=PaperBroker()), pytest.raises(LedgerInUse):
        Robot.open(ledger, broker=PaperBroker())


def test_a_closed_robot_takes_nothing(ledger: str):
    with Robot.open(ledger, broker=PaperBroker()) as robot:
        pass

    with pytest.raises(RobotClosed):
        robot.submit(NewOrder.market("SBER", "BUY", 1))


@pytest.mark.parametrize("form", sorted(FORMS))
def test_an_order_goes_by_an_id_in_the_form_its_broker_takes(ledger: str, form: str):
    """It says which run made it, which number it is, and which history it was sent from."""
    can = Capabilities(name="c", client_id_form=form, can_look_up_by_venue_id=True)
    client, texts = Client(), []
    for _ in range(2):
        with Robot.open(ledger, broker=ClientBroker(client, capabilities=can)) as robot:
            order = robot.submit(NewOrder.limit("SBER", "BUY", 1, "100"))
            texts.append(order.client_order_id)
    with open_reader(ledger) as reader:
        records = {record.seq: record for record in reader.records()}

    ids = [parse(form, text) for text in texts]
    assert len({each.run for each in ids if each is not None}) == 2
    for text, said in zip(texts, ids, strict=True):
        assert said is not None, text
        assert getattr(records[said.seq].event, "client_order_id", None) == text
        if form in ("TEXT", "UUID"):
            assert said.head == records[said.seq - 1].event_hash[:HEAD_BYTES]


def test_what_an_order_does_not_say_is_the_robots_policy(ledger: str):
    settings = Settings(partial_fills=PartialFills("CANCEL_REST"))
    with Robot.open(ledger, broker=PaperBroker(seed=7), settings=settings) as robot:
        robot.submit(NewOrder.market("SBER", "BUY", 1))
        robot.submit(NewOrder.market("SBER", "BUY", 1, partial_fills="MINIMUM:1"))

    with open_reader(ledger) as reader:
        sent = [each.event for each in reader.records() if each.type == "order.submitted"]
    assert [event.partial_fills for event in sent] == ["CANCEL_REST", "MINIMUM:1"]


def test_a_robot_that_ended_in_order_left_a_snapshot(ledger: str):
    with Robot.open(ledger, broker=PaperBroker(seed=7)) as robot:
        robot.submit(NewOrder.market("SBER", "BUY", 10)).wait(20)

    with open_reader(ledger) as reader:
        saved = reader.load_snapshot(reducer_fingerprint())
        assert saved is not None
        assert saved[0] == reader.head().seq


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: NewOrder.limit("SBER", "BUY", 1.5, "100"), "order_qty is 1.5"),
        (lambda: NewOrder.limit("SBER", "BUY", "0", "100"), "above 0"),
        (lambda: NewOrder.limit("SBER", "BUY", "ten", "100"), "not a decimal number"),
        (lambda: NewOrder.limit("SBER", "buy", "1", "100"), "side 'buy'"),
        (lambda: NewOrder.market("SBER", "BUY", 1, time_in_force="NOW"), "time_in_force 'NOW'"),
        (lambda: NewOrder.market("SBER", "BUY", 1, time_in_force="GTD"), "expire_time"),
        (lambda: NewOrder.market("SBER", "BUY", 1, partial_fills="SOMETIMES"), "SOMETIMES"),
        (lambda: NewOrder.market("", "BUY", 1), "instrument_id is empty"),
        (lambda: NewOrder.market("A\nB", "BUY", 1), "instrument_id .* control character"),
        (lambda: NewOrder.market(NOTHING, "BUY", 1), "instrument_id is None"),
        (lambda: NewOrder.market("SBER", "BUY", 1, account_id="a" * 257), "account_id .* longer"),
        (lambda: NewOrder.market("SBER", "BUY", 1, client_order_id=7), "client_order_id is 7"),
        (lambda: NewOrder.limit("SBER", "BUY", 1, NOTHING), "needs a limit_px"),
        (lambda: NewOrder.stop("SBER", "BUY", 1, NOTHING), "needs a stop_px"),
        (
            lambda: NewOrder.market("SBER", "BUY", 1, time_in_force="GTD", expire_time="noon"),
            "expire_time is 'noon'",
        ),
        (
            lambda: NewOrder(
                instrument_id="SBER",
                side=Side.BUY,
                order_type="MARKET",
                order_qty=Decimal(1),
                stop_px=Decimal(1),
            ),
            "has no stop_px",
        ),
        (
            lambda: NewOrder(
                instrument_id="SBER", side=Side.BUY, order_type="ICEBERG", order_qty=Decimal(1)
            ),
            "order_type 'ICEBERG'",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: Any, words: str):
    with pytest.raises(BadRequest, match=words):
        wrong()


def test_a_client_that_is_no_broker_is_told_how_to_become_one(tmp_path: Path):
    client: Any = object()

    with pytest.raises(TypeError, match=r"ClientBroker\(client\)"):
        Robot.open(str(tmp_path / "x.ledger"), broker=client)

    assert list(tmp_path.iterdir()) == []


def test_the_summary_says_how_it_stands(ledger: str):
    with Robot.open(ledger, broker=PaperBroker(seed=7)) as robot:
        order = robot.submit(NewOrder.limit("SBER", "BUY", 10, "100"))
        assert robot.wait_until(lambda: order.order_status == "NEW", 20)
        robot.halt("look at this", "SBER", by="olga")
        told = robot.summary()

        assert robot.wait_until(lambda: robot.summary()["positions_in_sync"] is not None, 20)

    assert told["state"] == "TRADING"
    assert set(told["last_checks"]) >= {"open_orders", "fills_since"}
    assert told["active_orders"] == 1
    assert told["online"] is True
    assert [(halt["instrument_id"], halt["by"]) for halt in told["halts"]] == [("SBER", "olga")]


def test_a_robot_described_by_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("fillbook.toml").write_text(
        '[robot]\nledger = "my.ledger"\n[broker]\nkind = "paper"\nseed = 3\naccount = "acc"\n'
        '[partial_fills]\npolicy = "cancel_after"\nafter_s = 5\n[halts]\nmax_rejects = 0\n'
    )
    with Robot.configured() as robot:
        settings = robot._runner.tracker.settings
        order = robot.submit(NewOrder.market("SBER", "BUY", 10))
        assert order.wait(20)
        assert robot.position("SBER", "acc") is not None

    assert str(settings.partial_fills) == "CANCEL_AFTER:5"
    assert settings.most_rejects is None
    assert Path("my.ledger").exists()


def test_a_file_may_name_a_paper_server(tmp_path: Path):
    """The account is the server's: none is kept beside the ledger."""
    server = PaperServer(PaperBroker(seed=3))
    server.start()
    try:
        file = tmp_path / "robot.toml"
        file.write_text(f'[broker]\nurl = "{server.url}"\n')
        with Robot.configured(str(file)) as robot:
            assert robot.summary()["state"] == "TRADING"
    finally:
        server.close()

    assert not (tmp_path / "robot.ledger.paper").exists()


def test_a_program_compares_with_its_broker(ledger: str):
    """Dry first: nothing is written.  What somebody sold by hand explains it, and is booked."""
    paper = PaperBroker(seed=7)
    with Robot.open(ledger, broker=paper) as robot:
        assert robot.submit(NewOrder.market("SBER", "BUY", 100)).wait(20)
        paper.trade_by_hand("SBER", Side.SELL, Decimal(30))
        head = robot.summary()["head_seq"]

        dry = robot.reconcile()
        assert [row["explained_by"] for row in dry["positions"]]
        assert (dry["outcome"], dry["is_applied"]) == ("AGREED", False)
        assert robot.summary()["head_seq"] == head

        done = robot.reconcile(apply=True, by="olga")
        held = robot.position("SBER")
        assert held is not None
        assert held.position_qty == 70
        assert (done["by"], done["seq"]) == ("olga", robot.summary()["head_seq"])
        assert robot.reconcile(adopt="SBER")["positions"] == []
    with pytest.raises(RobotClosed):
        robot.reconcile()


def test_a_comparison_that_takes_too_long_is_not_waited_for(ledger: str):
    client = Client()
    with Robot.open(ledger, broker=ClientBroker(client)) as robot:
        client.get_positions = lambda: client.release.wait(20) or []  # type: ignore[method-assign]
        with pytest.raises(NotOverYet, match="nothing was written"):
            robot.reconcile(timeout_s=0.2)
        client.release.set()


def test_the_same_verbs_awaited(ledger: str):
    async def trade() -> list[str]:
        seen: list[str] = []
        async with await AsyncRobot.open(ledger, broker=PaperBroker(seed=7)) as robot:
            listening = asyncio.Event()

            async def listen() -> None:
                listening.set()
                async for event in robot.events():
                    seen.append(event.type)

            task = asyncio.create_task(listen())
            await listening.wait()
            order = await robot.submit(NewOrder.market("SBER", "BUY", 10))
            assert await order.wait(20)
            resting = await robot.submit(NewOrder.limit("SBER", "BUY", 10, "100"))
            assert not await resting.wait(0.2)
            await robot.cancel(resting)
            assert await resting.wait(20)
            assert (await robot.reconcile())["outcome"] == "AGREED"
        await asyncio.wait_for(task, 10)
        return seen

    seen = asyncio.run(trade())

    assert "order.filled" in seen
    assert seen[-1] == "robot.stopped"


def test_sigterm_stops_in_order(tmp_path: Path):
    """A real process, ended as systemd ends it; it tells systemd that it is ready and stopping."""
    import os
    import signal
    import socket
    import subprocess
    import sys

    program = (
        "from fillbook import Robot, NewOrder\n"
        "from fillbook.brokers import PaperBroker\n"
        f"robot = Robot.open({str(tmp_path / 'a.ledger')!r}, broker=PaperBroker(seed=7))\n"
        "robot.submit(NewOrder.limit('SBER', 'BUY', 10, '100'))\n"
        "print(robot.run())\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "n"))
        heard.settimeout(30)
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "n")},
        )  # fmt: skip
        try:
            assert heard.recv(100) == b"READY=1"
            assert heard.recv(100) == b"WATCHDOG=1"
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=30)
            while (state := heard.recv(100)) == b"WATCHDOG=1":
                pass
        finally:
            process.kill()
            process.wait()

    assert (process.returncode, out) == (0, "SIGTERM\n")
    assert state == b"STOPPING=1"
    assert types(str(tmp_path / "a.ledger"))[-1] == "robot.stopped"


def test_a_stream_that_raises_costs_only_itself(ledger: str):
    """What a broker hands over is judged; a message that cannot be read is set aside."""
    from fillbook.brokers.port import Message

    with Robot.open(ledger, broker=PaperBroker(seed=7)) as robot:
        robot._runner.hear(Message(0, "unreadable", None, b"\x00garbage", "not JSON"))
        order = robot.submit(NewOrder.market("SBER", "BUY", 10))
        assert order.wait(20)

    assert "message.set_aside" in types(ledger)


def test_closing_sends_what_was_asked_for_before(ledger: str):
    """Cancel everything and leave: what waits for the broker's rate must leave too."""
    with Robot.open(ledger, broker=PaperBroker(seed=7)) as robot:
        orders = [robot.submit(NewOrder.limit("SBER", "BUY", 10, "100")) for _ in range(150)]
        assert robot.wait_until(lambda: all(each.order_status == "NEW" for each in orders), 20)
        robot.cancel_all()

    assert {str(each.order_status) for each in orders} <= {"PENDING_CANCEL", "CANCELED"}


def test_nothing_leaves_after_the_end(ledger: str):
    """What did not leave by then is known never to have, and the end comes after that."""
    broker = PaperBroker(seed=7)
    with Robot.open(ledger, broker=broker) as robot:
        orders = [robot.submit(NewOrder.limit("SBER", "BUY", 10, "100")) for _ in range(150)]
        robot.close(drain_s=0)

    sent = [each for each in types(ledger) if each == "order.submitted"]
    assert len(sent) == 150
    assert "REJECTED" in [each.order_status for each in orders]
    assert types(ledger)[-1] == "robot.stopped"


def test_whoever_waits_is_told_that_the_robot_was_closed(ledger: str):
    """Nothing comes any more: a wait without a limit would keep the program for ever."""
    ends: list[BaseException] = []
    robot = Robot.open(ledger, broker=PaperBroker(seed=7))
    order = robot.submit(NewOrder.limit("SBER", "BUY", 10, "100"))

    def wait() -> None:
        try:
            order.wait()
        except RobotClosed as exc:
            ends.append(exc)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    robot.close()
    waiting.join(10)

    assert ends


def test_a_callback_may_close_the_robot_and_the_end_is_waited_for(ledger: str):
    """The program leaves its `with` block while the callback's thread is still at it."""
    with Robot.open(ledger, broker=PaperBroker(seed=7)) as robot:
        closing = threading.Event()

        def close(*_: object) -> None:
            closing.set()
            robot.close()
            robot.close()

        robot.on_fill(close)
        robot.submit(NewOrder.market("SBER", "BUY", 10))
        assert closing.wait(20)

    assert types(ledger)[-1] == "robot.stopped"


def test_trouble_ends_what_is_awaited(ledger: str):
    async def live() -> None:
        robot = await AsyncRobot.open(ledger, broker=PaperBroker(seed=7))
        order = await robot.submit(NewOrder.limit("SBER", "BUY", 10, "100"))

        async def listen() -> list[Any]:
            return [event async for event in robot.events()]

        robot.robot._runner.trouble = OSError("the disk is gone")
        with pytest.raises(OSError, match="gone"):
            await asyncio.wait_for(order.wait(), 5)
        with pytest.raises(OSError, match="gone"):
            await asyncio.wait_for(listen(), 5)
        await robot.close(drain_s=0)

    asyncio.run(live())


def test_a_loop_that_is_closed_and_a_listener_that_left_cost_nothing(ledger: str):
    loop = asyncio.new_event_loop()
    robot = loop.run_until_complete(AsyncRobot.open(ledger, broker=PaperBroker(seed=7)))
    runner = robot.robot._runner
    told_before = len(runner._told)

    async def listen_once() -> None:
        events = robot.events()
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.1)
        await robot.submit(NewOrder.market("SBER", "BUY", 10))
        await first
        await events.aclose()

    loop.run_until_complete(listen_once())
    assert len(runner._told) == told_before
    events = robot.events()
    waiting = loop.create_task(anext(events))
    loop.run_until_complete(asyncio.sleep(0.1))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    robot.robot.submit(NewOrder.market("SBER", "BUY", 10)).wait(20)
    robot.robot.close()

    assert "callback.failed" not in types(ledger)
    del waiting


def test_a_robot_that_ended_offline_tries_the_line_before_it_opens(ledger: str):
    """The line may be back for hours; the first order must not be refused for what was."""
    from fillbook.core.robot_events import LineLost

    with Robot.open(ledger, broker=PaperBroker(seed=7)) as robot, robot._step() as now:
        robot._runner.tracker.keeper.note_other(LineLost(ts_event=now, problem="cut"))

    with Robot.open(ledger, broker=PaperBroker(seed=7)) as robot:
        assert robot.submit(NewOrder.market("SBER", "BUY", 10)).wait(20)
