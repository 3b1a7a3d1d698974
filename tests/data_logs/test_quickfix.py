"""A day between two real FIX engines is imported from their own message logs.

QuickFIX plays both sides on loopback (`quickfix_peers.py`): a robot that is killed and comes back,
a venue that goes on meanwhile, and the engines' own repetition of what was missed.  The book must
say what the venue's script says it did.
"""

import json
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from data_logs.fixscan import scan, without
from fillbook.core.views import order_json
from fillbook.forensics.replay import orders_upto
from fillbook.wiring import import_file, open_reader, recover

pytest.importorskip(
    "quickfix", reason="needs quickfix-ssl, whose wheels are for CPython 3.11 on Linux x86-64 only"
)

PEERS = Path(__file__).with_name("quickfix_peers.py")
STEP_S = 30


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """Play the day once and return its folder."""
    folder = tmp_path_factory.mktemp("quickfix")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with ExitStack() as running:
        venue = start(running, folder, "venue", port)
        until(folder / "venue.up", venue)
        robot = start(running, folder, "robot", port)
        until(folder / "robot.waits", robot)
        robot.kill()
        until(folder / "venue.alone", venue)
        robot = start(running, folder, "robot-again", port)
        until(folder / "robot.done", robot)
        robot.wait(STEP_S)
        (folder / "venue.stop").touch()
        venue.wait(STEP_S)
    return folder


def start(running, folder, role, port):
    """Start a peer; it is gone when *running* ends, whatever happens."""
    said = running.enter_context(open(folder / f"{role}.said", "wb"))  # noqa: SIM115
    peer = subprocess.Popen(
        [sys.executable, str(PEERS), role, str(folder), str(port)], stdout=said, stderr=said
    )
    running.callback(stop, peer)
    return peer


def stop(peer):
    peer.kill()
    peer.wait(STEP_S)


def until(path, peer):
    """Wait for the file that is a peer's step; say what was said where it does not come."""
    end = time.monotonic() + STEP_S
    while not path.exists():
        if peer.poll() is not None or time.monotonic() > end:
            said = "".join(each.read_text(errors="replace") for each in path.parent.glob("*.said"))
            pytest.fail(f"{path.name} did not come, the peer ended with {peer.poll()}: {said}")
        time.sleep(0.02)


ROBOT_LOG = "ROBOT.log/FIX.4.4-ROBOT-VENUE.messages.current.log"
VENUE_LOG = "VENUE.log/FIX.4.4-VENUE-ROBOT.messages.current.log"
VENUE_STORE = "VENUE.store/FIX.4.4-VENUE-ROBOT.body"


def fillbook(*arguments):
    """Run the command as a process of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "fillbook", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def take_in(path, ledger):
    """Import *path* and return each message's bytes with its outcome, and the ledger's head."""
    judged = []
    result = import_file(
        str(path),
        str(ledger),
        form="fix",
        on_judgement=lambda message, judgement: judged.append((message.raw, judgement.outcome)),
    )
    return judged, result.tally.head_seq


def same(texts):
    """Return amounts so that 3 and 3.00 are equal."""
    return tuple(None if text is None else Decimal(text) for text in texts)


def the_account(folder):
    """Return what the venue says it did, by the client's first id."""
    orders = json.loads((folder / "truth.json").read_text())
    return {order["client_order_ids"][0]: order for order in orders}


def assert_book(orders, account):
    """The book's orders are those of the venue's own account."""
    assert [order["client_order_id"] for order in orders] == list(account)
    for order, true in zip(orders, account.values(), strict=True):
        for key in ("client_order_ids", "venue_order_ids", "instrument_id", "side", "order_status"):
            assert (key, order[key]) == (key, true[key])
        amounts = ("order_qty", "cum_qty", "avg_px")
        assert same(order[key] for key in amounts) == same(true[key] for key in amounts)
        assert same([order["commissions"].get("RUB", "0")]) == same([true["fees"]])
        assert set(order["commissions"]) <= {"RUB"}


def test_the_robots_log_gives_the_book_that_the_venue_has(day, tmp_path):
    """Through the command, with nothing set aside and nothing disputed."""
    account = the_account(day)
    ledger = tmp_path / "day.ledger"

    summary = json.loads(fillbook("import", day / ROBOT_LOG, "--ledger", ledger, "--json"))
    orders = json.loads(fillbook("orders", "--ledger", ledger, "--json"))
    positions = json.loads(fillbook("positions", "--ledger", ledger, "--json"))

    assert summary["outcomes"]["RECORDED"] > 30
    assert summary["outcomes"]["DUPLICATE"] > 20
    assert {order: true["order_status"] for order, true in account.items()} == {
        "R-1": "FILLED",
        "R-2": "CANCELED",
        "R-5": "NEW",
        "R-6": "PARTIALLY_FILLED",
        "R-7": "REJECTED",
        "R-9": "FILLED",
        "R-10": "NEW",
    }, "the venue played another day than its script says"
    assert_book(orders, account)
    assert {order["origin"] for order in orders} == {"ROBOT"}
    assert [order["flags"] for order in orders] == [[]] * 7
    held = Counter()
    for true in account.values():
        signed = Decimal(true["cum_qty"]) * (1 if true["side"] == "BUY" else -1)
        held[true["instrument_id"]] += signed
    assert {row["instrument_id"]: Decimal(row["position_qty"]) for row in positions} == held
    profit = {row["instrument_id"]: f"{Decimal(row['realized_pnl']):.9f}" for row in positions}
    assert profit["GAZP"] == "39.642857143"  # 25 × (102.3 - 3525/35)


def test_every_message_of_an_engine_has_an_outcome(day, tmp_path):
    """What is repeated with PossDupFlag is recorded where it was missed, and else a duplicate."""
    scanned = scan((day / ROBOT_LOG).read_bytes())
    due = [each for each in scanned if not each.is_session]

    judged, _ = take_in(day / ROBOT_LOG, tmp_path / "day.ledger")

    assert all(each.is_whole for each in scanned)
    assert [raw for raw, _ in judged] == [each.raw for each in due]
    assert {outcome for _, outcome in judged} == {"RECORDED", "DUPLICATE"}
    seen, repeated = set(), Counter()
    for each, (_, outcome) in zip(due, judged, strict=True):
        told = (each.msg_type, each.field(11), each.field(17))
        assert (outcome == "DUPLICATE") == (told in seen)
        if each.field(43) == b"Y":
            repeated[outcome] += 1
        seen.add(told)
    assert repeated["RECORDED"] == 2, "two fills came while the robot was away"
    assert repeated["DUPLICATE"] == len([told for told in seen if told[0] in (b"8", b"9")])


def test_a_repetition_without_transact_time_is_known_all_the_same(day, tmp_path):
    """TransactTime (60) may be missing from a report; OrigSendingTime (122) is then its time."""
    scanned = scan((day / ROBOT_LOG).read_bytes())
    log = tmp_path / "no-transact-time.log"
    log.write_bytes(b"\n".join(without(each, 60) for each in scanned) + b"\n")

    judged, _ = take_in(log, tmp_path / "day.ledger")
    as_told, _ = take_in(day / ROBOT_LOG, tmp_path / "as-told.ledger")

    assert [outcome for _, outcome in judged] == [outcome for _, outcome in as_told]
    assert_book(orders_of(tmp_path / "day.ledger"), the_account(day))


def test_the_venues_log_tells_the_same_and_adds_nothing(day, tmp_path):
    """Either side's log is enough; one after the other is no second day."""
    alone, both = tmp_path / "venue.ledger", tmp_path / "both.ledger"
    take_in(day / VENUE_LOG, alone)
    _, head = take_in(day / ROBOT_LOG, both)

    judged, head_after = take_in(day / VENUE_LOG, both)

    assert_book(orders_of(alone), the_account(day))
    assert orders_of(alone) == orders_of(both)
    assert head_after == head
    assert {outcome for _, outcome in judged} == {"DUPLICATE"}


def test_a_message_store_is_a_log_without_lines(day, tmp_path):
    """What the venue sent, end to end in one line; to the book its orders are strangers'."""
    data = (day / VENUE_STORE).read_bytes()
    assert b"\n" not in data

    judged, _ = take_in(day / VENUE_STORE, tmp_path / "store.ledger")

    assert len(judged) == sum(not each.is_session for each in scan(data)) > 20
    assert {outcome for _, outcome in judged} == {"RECORDED"}
    orders = orders_of(tmp_path / "store.ledger")
    assert_book(orders, the_account(day))
    assert {order["origin"] for order in orders} == {"EXTERNAL"}


def orders_of(ledger):
    with open_reader(str(ledger)) as reader:
        return [order_json(order) for order in orders_upto(reader, recover(reader, upto=0))]
