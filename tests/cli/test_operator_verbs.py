"""An operator at a terminal: every verb, on a robot that runs, does not, or hangs."""

import itertools
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cli.running import COMMAND, environment, fill, jsonl, order, run
from feedback.robot_process import RobotProcess
from fillbook.log.sqlite import SqliteLog

WHY = ("--reason", "it trades oddly", "--by", "olga")
WITNESS = Path(__file__).resolve().parents[2] / "ledger" / "witness.py"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "a.ledger"


def told(*words: object) -> Any:
    done = run(*words, "--json")
    assert (done.status, done.err) == (0, ""), done
    return done.json


def imported(ledger: Path, *rows: dict[str, Any]) -> None:
    assert (
        run("import", "-", "--ledger", ledger, "--format", "jsonl", stdin=jsonl(rows)).status == 0
    )


# ---- halts


@pytest.mark.crash
def test_a_halt_works_while_the_robot_runs_and_while_it_does_not_and_survives(ledger: Path):
    with RobotProcess(ledger) as robot:
        assert told("halt", "--ledger", ledger, *WHY)["how"] == "ROBOT"
        refused = robot.say("submit")
        assert "olga" in refused
        assert "it trades oddly" in refused
        assert told("status", "--ledger", ledger)["answers"] is True
    # killed: what it leaves behind is a lock that is free and a door that nobody opens
    with RobotProcess(ledger) as robot:
        assert "olga" in robot.say("submit")
        assert robot.say("sent") == "[0, 0]"

    done = told("resume", "--ledger", ledger, *WHY)
    assert (done["how"], done["halts"]) == ("LEDGER", [])
    assert told("halt", "--ledger", ledger, "--instrument", "GAZP", *WHY)["how"] == "LEDGER"
    with RobotProcess(ledger) as robot:
        assert "refused" not in robot.say("submit")
        (halt,) = told("status", "--ledger", ledger)["halts"]
        assert (halt["instrument_id"], halt["by"]) == ("GAZP", "olga")
    assert told("status", "--ledger", ledger)["state"] == "NOT_RUNNING"


@pytest.mark.crash
def test_a_robot_that_hangs_is_halted_by_word_that_is_left(ledger: Path):
    with RobotProcess(ledger) as robot:
        robot.stop()
        try:
            done = run("halt", "--ledger", ledger, *WHY)
            assert (done.status, done.err) == (0, "")
            assert "a.ledger.halt" in done.out
            assert str(robot.pid) in done.out
            run("cancel-all", "--ledger", ledger, *WHY).refused("no answer", "fillbook halt")
            assert "read before the next send" in run("status", "--ledger", ledger).out
        finally:
            robot.go_on()
        answer = robot.say("submit")
        if "olga" not in answer:  # taken before the halt was read, and held back before it left
            order_id = answer.split()[0]
            assert robot.say("wait", order_id, "REJECTED") == "REJECTED"
            assert "olga" in robot.say("submit")
        assert robot.say("sent") == "[0, 0]"


def test_only_what_reduces_may_be_let_out(ledger: Path):
    imported(ledger, order())
    (halt,) = told("halt", "--ledger", ledger, "--reduce-only", *WHY)["halts"]

    assert halt["level"] == "REDUCE_ONLY"
    assert (
        "but for orders that reduce" in run("halt", "--ledger", ledger, "--reduce-only", *WHY).out
    )


def test_who_it_was_is_the_login_name_where_nothing_is_said(ledger: Path):
    import getpass

    imported(ledger, order())
    (halt,) = told("halt", "--ledger", ledger, "--reason", "odd")["halts"]
    assert halt["by"] == getpass.getuser()


# ---- orders


def test_all_is_canceled_through_the_robot(ledger: Path):
    with RobotProcess(ledger) as robot:
        order_id = robot.say("submit").split()[0]
        assert robot.say("wait", order_id, "NEW") == "NEW"

        done = told("cancel-all", "--ledger", ledger, *WHY)

        assert (done["cancels_asked"], done["is_sent_at_next_start"]) == ([order_id], False)
        assert robot.say("wait", order_id, "CANCELED") == "CANCELED"
        assert robot.say("sent") == "[1, 1]"


def test_without_a_robot_the_cancels_wait_for_it_and_what_is_not_ours_is_named(ledger: Path):
    external = fill("T-9", "1", "1", client_order_id=None, venue_order_id="X-1", order_qty="5",
                    instrument_id="SBER", side="BUY")  # fmt: skip
    imported(ledger, order(), external)

    done = run("cancel-all", "--ledger", ledger, *WHY)

    assert done.status == 1
    assert "sends them when it starts" in done.out
    assert "X-1" in done.err


@pytest.mark.parametrize("is_there", [True, False])
def test_an_order_nobody_can_tell_of_is_resolved(ledger: Path, is_there: bool):
    """A broker without any way to look an order up: its instrument halts until somebody looks."""
    with RobotProcess(ledger, "mute") as robot:
        order_id = robot.say("submit").split()[0]
        assert robot.say("wait", order_id, "UNKNOWN") == "UNKNOWN"
        assert "cannot be asked" in robot.say("submit")
        verdict = ["--venue-order-id", "V-1"] if is_there else ["--never-arrived"]

        done = run("resolve", order_id, "--ledger", ledger, *verdict, *WHY)

        assert done.status == 0, done
        assert "SBER is still halted" in done.out
        status = "NEW" if is_there else "REJECTED"
        assert robot.say("wait", order_id, status) == status
        assert run("resume", "--ledger", ledger, "--instrument", "SBER", *WHY).status == 0
        assert "refused" not in robot.say("submit")


# ---- positions


def test_a_position_is_set_right_and_back_and_whoever_checks_agrees(ledger: Path):
    imported(ledger, order(), fill("T-1", "4", "4"))
    before = told("positions", "--ledger", ledger)

    done = told("adjust", "--ledger", ledger, "--instrument", "SBER", "--qty", "-1", *WHY)
    assert done["position"]["position_qty"] == "3"
    assert told("positions", "--ledger", ledger)[0]["position_qty"] == "3"
    done = run("adjust", "--ledger", ledger, "--instrument", "SBER", "--qty", "1", *WHY)
    assert "SBER: 3 is now 4 at 275.4" in done.out

    assert told("positions", "--ledger", ledger) == before
    assert run("verify", "--ledger", ledger).status == 0
    witness = [sys.executable, str(WITNESS), str(ledger)]
    checked = subprocess.run(witness, capture_output=True, timeout=60, text=True)
    assert checked.returncode == 0
    assert "does not know" not in checked.stdout  # a type that it does not know it would let pass
    again = ledger.with_name("b.ledger")
    exported = ledger.with_name("a.jsonl")
    assert run("export", "--ledger", ledger, "--out", exported).status == 0
    assert run("import", exported, "--ledger", again).status == 0
    assert told("positions", "--ledger", again) == before


# ---- a tail that is gone


def test_a_lost_tail_is_given_up_by_somebody_for_a_reason(ledger: Path):
    imported(ledger, order())
    kept = ledger.with_name("kept")
    shutil.copy(ledger, kept)
    imported(ledger, order("R-2"), order("R-3"))
    shutil.copy(kept, ledger)
    run("halt", "--ledger", ledger, *WHY).refused("accept-tail-loss")

    done = told("accept-tail-loss", "--ledger", ledger, *WHY)

    tail = told("tail", "--ledger", ledger, "-n", "1")
    assert (tail["type"], tail["actor"]) == ("ledger.tail_loss_accepted", "OPERATOR")
    assert tail["seq"] == done["lost_from_seq"] == done["head_seq"]
    assert tail["event"] == {
        "by": "olga", "reason": "it trades oddly", "head_seq": done["lost_from_seq"] - 1,
        "checkpoint_seq": done["lost_to_seq"],
    }  # fmt: skip
    assert done["lost_to_seq"] > done["lost_from_seq"]
    assert run("verify", "--ledger", ledger).status == 0
    run("accept-tail-loss", "--ledger", ledger, *WHY).refused("nothing is missing")
    assert run("halt", "--ledger", ledger, *WHY).status == 0


# ---- how it stands


def test_the_status_fits_a_terminal(ledger: Path):
    imported(ledger, order(), order("R-2"))
    run("halt", "--ledger", ledger, "--reason", "odd", "--by", "olga")

    done = run("status", "--ledger", ledger.name, cwd=ledger.parent)

    assert done.status == 0
    assert "2 open, 2 unanswered" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_watch_in_a_pipe_says_each_change_once(ledger: Path):
    """While `halt` holds the ledger the state is WRITING: a watch may see that, or miss it."""
    imported(ledger, order())
    with Watch(ledger, subprocess.PIPE) as watch:
        changes = [watch.change()]
        assert changes == ["NOT_RUNNING, seq 3, 1 open"]
        assert run("halt", "--ledger", ledger, *WHY).status == 0
        while changes[-1] != "NOT_RUNNING, seq 4, 1 open, everything HALTED":
            changes.append(watch.change())
            assert changes[-1].startswith(("WRITING, seq ", "NOT_RUNNING, seq 4"))

        assert watch.interrupted() == 0
        changes += watch.rest()
        assert all(one != next_ for one, next_ in itertools.pairwise(changes))


def test_a_watch_in_a_terminal_draws_and_ends_cleanly(ledger: Path):
    imported(ledger, order())
    mine, theirs = pty.openpty()
    try:
        with Watch(ledger, theirs) as watch:
            os.close(theirs)
            drawn = until(mine, "Ctrl-C ends")
            assert "NOT_RUNNING" in drawn
            assert run("halt", "--ledger", ledger, *WHY).status == 0
            assert "olga" in until(mine, "olga")
            assert watch.interrupted() == 0
    finally:
        os.close(mine)


class Watch:
    """`fillbook watch` in a process of its own."""

    def __init__(self, ledger: Path, out: int) -> None:
        words = [*COMMAND, "watch", "--ledger", str(ledger), "--every", "0.1"]
        self._process = subprocess.Popen(
            words, stdout=out, stderr=subprocess.PIPE, text=True,
            env=environment() | {"TERM": "xterm"},
        )  # fmt: skip

    def change(self) -> str:
        """Return the next line without its time of day."""
        assert self._process.stdout is not None
        watch = threading.Timer(30, self._process.kill)
        watch.start()
        try:
            return self._process.stdout.readline().strip().partition(", ")[2]
        finally:
            watch.cancel()

    def interrupted(self) -> int:
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(timeout=30)

    def rest(self) -> list[str]:
        """Return what else it said, without the times; there may be no error."""
        out, err = self._process.communicate(timeout=30)
        assert err == ""
        return [line.partition(", ")[2] for line in out.splitlines()]

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(timeout=30)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


def until(fd: int, words: str) -> str:
    """Return what a terminal was sent, up to *words*."""
    deadline, seen = time.monotonic() + 30, ""
    while words not in seen and time.monotonic() < deadline:
        if select.select([fd], [], [], 1)[0]:
            seen += os.read(fd, 4096).decode(errors="replace")
    return seen


# ---- what cannot be done


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["halt"], "--reason"),
        (["halt", "--reason", " "], "empty"),
        (["halt", "--reason", "x" * 3000], "characters"),
        (["resume", *WHY], "not halted"),
        (["resume"], "--reason"),
        (["cancel-all"], "--reason"),
        (["resolve", "R-1", *WHY], "--never-arrived"),
        (["resolve", "R-1", "--never-arrived", "--venue-order-id", "V", *WHY], "either"),
        (["resolve", "R-7", "--never-arrived", *WHY], "R-7"),
        (["resolve", "R-1", "--never-arrived", *WHY], "told of it"),
        (["adjust", "--instrument", "SBER", "--qty", "one", *WHY], "qty"),
        (["adjust", "--instrument", "SBER", "--qty", "0", *WHY], "adjusts nothing"),
        (["adjust", "--instrument", "SBER", "--qty", "NaN", *WHY], "qty"),
        (["accept-tail-loss", *WHY], "nothing is missing"),
    ],
)
def test_it_is_refused_in_one_sentence_and_changes_nothing(
    ledger: Path, words: list[str], named: str
):
    imported(ledger, order(), fill("T-1", "4", "4"))
    before = told("status", "--ledger", ledger)["head_seq"]

    run(*words, "--ledger", ledger).refused(named)

    assert told("status", "--ledger", ledger)["head_seq"] == before


@pytest.mark.parametrize("verb", ["halt", "resume", "cancel-all", "accept-tail-loss"])
def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path, verb: str):
    run(verb, "--ledger", tmp_path / "none.ledger", *WHY).refused("no such ledger")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "verb",
    [
        "halt",
        "resume",
        "cancel-all",
        "resolve",
        "adjust",
        "accept-tail-loss",
        "status",
        "watch",
        "reconcile",
    ],
)
def test_every_verb_shows_how_it_is_used(verb: str):
    done = run(verb, "--help")

    assert done.status == 0
    assert f"Example: fillbook {verb}" in done.out
    assert "--json" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_another_writer_is_named_and_a_halt_is_left_for_it(ledger: Path):
    """What writes without a door is no robot; a halt lies beside the ledger until there is one."""
    imported(ledger, order())
    with SqliteLog.open(ledger):
        assert told("status", "--ledger", ledger)["state"] == "WRITING"
        run("resume", "--ledger", ledger, *WHY).refused(f"process {os.getpid()}")
        assert told("halt", "--ledger", ledger, *WHY)["how"] == "LEFT"

    run("cancel-all", "--ledger", ledger, *WHY)
    assert told("status", "--ledger", ledger)["halts"][0]["by"] == "olga"
