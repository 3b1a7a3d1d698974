"""Kill a robot at a named moment of an order, let it come back, and compare with the broker.

The paper server lives on in a process of its own.  The robot's process kills itself with SIGKILL at
the gap it is told:

    before commit     the intent is not durable yet
    before send       it is durable, and has not left
    before answer     it has left, and the answer is not read
    before record     the answer is read, and not recorded
"""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fillbook import open_reader
from fillbook.audit.verify import verify
from fillbook.simulated_day import differences
from fillbook.wiring import recover

__all__ = ["GAPS", "kill_and_come_back", "paper_server"]

GAPS = ("before commit", "before send", "before answer", "before record")
TIMEOUT_S = 120

ROBOT = '''
import os, random, signal, sys, threading, time
from fillbook import NewOrder, Robot, Settings
from fillbook.brokers import PaperBroker
from fillbook.errors import RequestRefused
from fillbook.feedback.settings import SECOND

ledger, url, seed, gap, after = sys.argv[1:6]
left = int(after)
random.seed(seed)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def now_and_then(what, before=False):
    """Wrap *what*: the process ends at its call number *after*, before it or after it."""
    def wrapped(*args, **kwargs):
        global left
        is_due = left == 0
        left -= 1
        if is_due and before:
            die()
        result = what(*args, **kwargs)
        if is_due:
            die()
        return result
    return wrapped


broker = PaperBroker(url=url, hang_s=5)
settings = Settings(poll_ns=SECOND, call_timeout_ns=5 * SECOND, ask_again_ns=SECOND // 10)
robot = Robot.open(ledger, broker=broker, settings=settings)
if gap == "before commit":
    from fillbook.log.batch import SqliteBatch
    SqliteBatch.flush = now_and_then(SqliteBatch.flush, before=True)
elif gap == "before send":
    broker.submit = now_and_then(broker.submit, before=True)
elif gap == "before answer":
    import http.client
    http.client.HTTPConnection.getresponse = now_and_then(
        http.client.HTTPConnection.getresponse, before=True
    )
elif gap == "before record":
    broker.submit = now_and_then(broker.submit)
sent = []
for number in range(12 if gap != "none" else 2):
    side = random.choice(["BUY", "SELL"])
    name = random.choice(["SBER", "GAZP"])
    try:
        if random.random() < 0.6:
            sent.append(robot.submit(NewOrder.market(name, side, 10 * random.randrange(1, 9))))
        else:
            px = "1" if side == "BUY" else "100000"
            sent.append(robot.submit(NewOrder.limit(name, side, 10, px, time_in_force="GTC")))
            if random.random() < 0.5:
                robot.cancel(sent[-1])
    except RequestRefused as exc:
        print(exc, file=sys.stderr)
    time.sleep(random.random() / 50)
tracker = robot._runner.tracker


def come_to(what, is_so):
    if not robot.wait_until(is_so, 40):
        watches = list(tracker._work.watches.values())
        sys.exit(f"{what} did not come: {robot.summary()} {watches} {tracker.schedule}")


come_to("every answer", lambda: tracker.schedule.is_open and not tracker.unanswered_count())
robot.cancel_all()
come_to("the end of every order", lambda: not tracker.book.open)
tracker.questions.poll_ns = 0  # once more, whatever the stream told
time.sleep(1.5)
robot.close()
'''


@contextmanager
def paper_server(folder: Path, seed: int) -> Iterator[str]:
    """Run a paper server in a process of its own; yield its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fillbook", "paper", "--port", "0", "--seed", str(seed),
         "--account", str(folder / "paper"), "--json"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.kill()
        process.communicate()


def kill_and_come_back(folder: Path, gap: str, number: int) -> list[str]:
    """Kill a robot at *gap*, its run *number*; return how its book differs when it came back."""
    ledger = str(folder / "a.ledger")
    with paper_server(folder, number) as url:
        after = number % 7 if gap != "before answer" else 1 + number % 9
        if gap == "before commit":
            after = number % 20
        first = _run(ledger, url, number, gap, after)
        assert first.returncode == -signal.SIGKILL, (gap, number, first.stderr)
        second = _run(ledger, url, number + 1000, "none", 0)
        assert second.returncode == 0, second.stderr
        with urllib.request.urlopen(f"{url}/truth", timeout=30) as answer:
            truth: dict[str, list[dict[str, Any]]] = json.load(answer)
    theirs = [row["client_order_id"] for row in truth["orders"]]
    with open_reader(ledger) as reader:
        problems = [str(problem) for problem in verify(reader).problems]
        ours = set(_sent(reader))
        problems += [f"{each} was never recorded here" for each in theirs if each not in ours]
        return problems + differences(recover(reader), truth)


def _sent(reader: Any) -> list[str]:
    return [
        record.event.client_order_id
        for record in reader.records()
        if record.type == "order.submitted"
    ]


def _run(
    ledger: str, url: str, seed: int, gap: str, after: int
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", ROBOT, ledger, url, str(seed), gap, str(after)],
        capture_output=True, text=True, timeout=TIMEOUT_S, env=dict(os.environ),
    )  # fmt: skip
