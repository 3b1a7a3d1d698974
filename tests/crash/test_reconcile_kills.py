"""A robot killed while it trades a difference back comes back, and trades nothing back twice."""

import json
import signal
import subprocess
import sys
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crash.kills import TIMEOUT_S, paper_server
from fillbook import open_reader
from fillbook.audit.verify import verify
from fillbook.wiring import recover

ROBOT = """
import os, signal, sys
from attrs import evolve
from fillbook import NewOrder, Robot, Settings
from fillbook.brokers import PaperBroker
from fillbook.feedback.settings import SECOND
from fillbook.reconcile.choices import Choices
from fillbook.reconcile.policies import DEFAULT, Action, Policies, Size
from fillbook.reconcile.reconciler import Rhythm
from fillbook.reconcile.wishes import Patience

ledger, url, gap = sys.argv[1:4]
broker = PaperBroker(url=url, hang_s=5)
# It tells its positions, and nothing that would explain what somebody else traded.
able = evolve(broker.capabilities, has_fills_since=False, has_activities=False, positions_lag_ns=0)
type(broker).capabilities = property(lambda self: able)
submit = broker.submit


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def deadly(order):
    if gap == "before send":
        die()
    answer = submit(order)
    if gap == "before record":
        die()
    return answer


broker.submit = deadly
always = Policies(
    actions={DEFAULT: dict.fromkeys(Size, Action.RESTORE)}, most_restore_qty={DEFAULT: 1000}
)
choices = Choices(
    policies=always, patience=Patience(between_ns=SECOND // 10), rhythm=Rhythm(soon_ns=SECOND)
)
settings = Settings(poll_ns=SECOND, call_timeout_ns=5 * SECOND, ask_again_ns=SECOND // 10)
robot = Robot.open(ledger, broker=broker, settings=settings, reconciliation=choices)
if gap == "buy":
    robot.submit(NewOrder.market("SBER", "BUY", 100))


def is_done():
    said = robot.summary()
    return (
        said["positions_outcome"] == "AGREED" and not said["unanswered_requests"]
        and not said["active_orders"] and not said["positions_unconfirmed"]
    )


if not robot.wait_until(is_done, 60):
    sys.exit(f"it did not come to rest: {robot.summary()}")
robot.close()
"""


def run(ledger: str, url: str, gap: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", ROBOT, ledger, url, gap],
        capture_output=True, text=True, timeout=TIMEOUT_S,
    )  # fmt: skip


def post(url: str, **body: Any) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("gap", ["before send", "before record"])
def test_a_robot_killed_while_it_trades_back_does_so_once(tmp_path: Path, gap: str):
    ledger = str(tmp_path / "a.ledger")
    with paper_server(tmp_path, 7) as url:
        bought = run(ledger, url, "buy")
        assert bought.returncode == 0, bought.stderr
        post(f"{url}/trade_by_hand", instrument_id="SBER", side="SELL", qty="30")
        assert run(ledger, url, gap).returncode == -signal.SIGKILL
        again = run(ledger, url, "none")
        assert again.returncode == 0, again.stderr
        with urllib.request.urlopen(f"{url}/truth", timeout=30) as answer:
            truth = json.load(answer)

    with open_reader(ledger) as reader:
        assert verify(reader).problems == []
        events = [record.event for record in reader.records()]
        views = {view.instrument_id: view for view in recover(reader).position_views()}
    adopted: list[Any] = [each for each in events if each.type == "position.adopted"]
    assert [(each.adjusted_qty, each.held_qty) for each in adopted] == [(-30, 100)]
    restoring = adopted[0].restore_client_order_id
    sent = [row for row in truth["orders"] if row["client_order_id"] == restoring]
    assert len(sent) == (1 if gap == "before record" else 0)
    assert views["SBER"].position_qty == (100 if sent else 70)
    theirs = {row["instrument_id"]: row["position_qty"] for row in truth["positions"]}
    assert Decimal(theirs["SBER"]) == views["SBER"].position_qty
