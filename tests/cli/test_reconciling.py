"""A person compares book and broker: with a robot at work, at rest, or from a statement."""

import fcntl
import hashlib
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from cli.running import COMMAND, Done, environment, run
from cli.test_operator_verbs import until
from feedback.robot_process import RobotProcess
from fillbook.log.reader import open_reader

WITNESS = Path(__file__).resolve().parents[2] / "ledger" / "witness.py"
BY = ("--by", "olga")


def statement(folder: Path, *rows: str, name: str = "broker.csv") -> Path:
    """A statement in our own CSV; a row is INSTRUMENT,QTY,PX."""
    path = folder / name
    path.write_text("\n".join(["instrument_id,position_qty,avg_px", *rows]) + "\n")
    return path


def reconcile(ledger: Path, *words: object, cwd: Path | None = None) -> Done:
    done = run("reconcile", "--ledger", ledger, *BY, *words, cwd=cwd)
    assert "Traceback" not in done.err, done
    return done


def told(ledger: Path, *words: object, cwd: Path | None = None) -> dict[str, Any]:
    result: dict[str, Any] = reconcile(ledger, *words, "--json", cwd=cwd).json
    return result


def prose(done: Done) -> str:
    """What was printed, without its line breaks."""
    return " ".join(done.out.split())


def seen(folder: Path) -> dict[str, str]:
    """Every file of a folder and a digest of it."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


def types(ledger: Path, after: int = 0) -> list[str]:
    with open_reader(ledger) as reader:
        return [record.type for record in reader.records(after=after)]


def head(ledger: Path) -> int:
    with open_reader(ledger) as reader:
        return reader.head().seq


def held(ledger: Path) -> dict[str, str]:
    rows = run("positions", "--ledger", ledger, "--json").json
    return {row["instrument_id"]: row["position_qty"] for row in rows}


# ---- a statement


def test_what_differs_is_shown_and_nothing_is_written(ledger: Path, tmp_path: Path):
    file = statement(tmp_path, "SBER,8,275.5", "GAZP,50,130")
    before = seen(tmp_path)

    done = reconcile(ledger, "--positions", file)

    assert seen(tmp_path) == before
    assert (done.status, done.err) == (1, "")
    assert "put on record" in done.out
    assert "halt" in done.out
    assert "seq 5  2026-03-13T07:00:02Z  BUY 4 at 275.4  order R-1  trade T-1" in done.out
    assert "does not tell: open orders, fills since, activities, cash" in prose(done)
    assert "2 differences in 2 positions: 2 left; a dry run" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_what_agrees_is_one_sentence(ledger: Path, tmp_path: Path):
    before = seen(tmp_path)
    done = reconcile(ledger, "--positions", statement(tmp_path, "SBER,10,275.52"))

    assert (done.status, done.err) == (0, "")
    assert "agree on 1 position; a dry run, nothing was written" in prose(done)
    assert "Differences" not in done.out
    assert {"broker.csv": seen(tmp_path)["broker.csv"]} | before == seen(tmp_path)


def test_machines_are_told_everything(ledger: Path, tmp_path: Path):
    result = told(ledger, "--positions", statement(tmp_path, "SBER,8,275.5"))

    assert (result["how"], result["is_applied"], result["seq"]) == ("STATEMENT", False, None)
    assert result["ledger"] == str(ledger)
    assert (result["outcome"], result["by"], result["compared"]) == ("DIFFERS", "olga", 1)
    assert result["can_tell"] == {
        "open_orders": False, "fills_since": False, "activities_since": False, "cash": False,
    }  # fmt: skip
    (row,) = result["positions"]
    assert (row["held_qty"], row["reported_qty"], row["gap_qty"]) == ("10", "8", "-2")
    assert (row["size"], row["left_qty"], row["action"]) == ("MINOR", "-2", "ALERT")
    assert [move["trade_id"] for move in row["look_at"]] == ["T-1", "T-2"]


def test_applied_it_is_one_event_and_the_second_time_nothing_but_its_own(
    ledger: Path, tmp_path: Path
):
    file = statement(tmp_path, "SBER,9.9995,275.5")  # rounding: adopted where nothing is said
    start = head(ledger)

    first = reconcile(ledger, "--positions", file, "--apply")
    assert (first.status, first.err) == (0, "")
    assert "1 adopted; written as seq" in first.out
    middle = head(ledger)
    assert types(ledger, start) == ["ledger.opened", "book.reconciled", "position.adopted"] or (
        types(ledger, start) == ["book.reconciled", "position.adopted"]
    )
    assert held(ledger) == {"SBER": "9.9995"}

    second = told(ledger, "--positions", file, "--apply")
    assert second["outcome"] == "AGREED"
    added = [each for each in types(ledger, middle) if each != "ledger.opened"]
    assert added == ["book.reconciled"]
    assert second["seq"] == head(ledger)
    assert run("verify", "--ledger", ledger).status == 0
    checked = subprocess.run([sys.executable, WITNESS, ledger], capture_output=True, timeout=60)
    assert checked.returncode == 0, checked


def test_an_operator_adopts_whatever_the_policy_says(ledger: Path, tmp_path: Path):
    """A critical gap, and one that the statement does not even name."""
    file = statement(tmp_path, "GAZP,50,130")
    wanted = ("--positions", file, "--adopt", "SBER", "--adopt", "GAZP", "--adopt", "NONE")
    before = head(ledger)

    dry = reconcile(ledger, *wanted)
    assert (dry.status, head(ledger)) == (1, before)
    assert "2 to be adopted; a dry run" in dry.out
    assert "NONE does not differ" in dry.err

    done = reconcile(ledger, *wanted, "--apply", "--reason", "sold by phone")
    assert done.status == 0
    assert held(ledger) == {"GAZP": "50", "SBER": "0"}
    with open_reader(ledger) as reader:
        bodies = [json.loads(r.body) for r in reader.records() if r.type == "position.adopted"]
    assert [(body["by"], body["reason"].split(": ")[-1]) for body in bodies] == [
        ("olga", "sold by phone")
    ] * 2


def test_an_older_statement_moves_nothing_and_accounts_for_nothing_later(
    ledger: Path, tmp_path: Path
):
    def of(time: str, qty: str) -> Path:
        path = tmp_path / "broker.json"
        path.write_text(
            json.dumps([{"instrument_id": "SBER", "position_qty": qty, "ts_event": time}])
        )
        return path

    older = of("2026-03-13T07:00:02.500Z", "9.9999")
    assert (
        "it moved (seq 6) after the statement was made"
        in reconcile(ledger, "--positions", older).out
    )
    before = head(ledger)
    reconcile(ledger, "--positions", older, "--apply").refused("seq 6", "newer", "--adopt SBER")
    assert head(ledger) == before

    newer = of("2026-03-14T00:00:00Z", "10")
    result = told(ledger, "--positions", newer, "--apply")
    assert (result["outcome"], result["started"]) == ("AGREED", "2026-03-14T00:00:00.000Z")


def test_rows_that_tell_of_no_position_are_named(ledger: Path, tmp_path: Path):
    file = statement(tmp_path, "SBER,10,1", *(f"TOTAL {n},1,1" for n in range(7)))
    mapping = tmp_path / "mine.toml"
    mapping.write_text('like = "fillbook-csv"\npass_over = { instrument_id = ["Total*"] }\n')
    words = ("--positions", file, "--mapping", mapping)

    done = reconcile(ledger, *words)
    assert done.status == 0
    assert "row 3 tells of no position: instrument_id is 'TOTAL 0'" in done.out
    assert "2 more rows were passed over" in done.out
    assert [each["line"] for each in told(ledger, *words)["passed_over"]] == list(range(3, 10))


def test_on_a_narrow_terminal_columns_that_say_nothing_go_before_a_number_breaks(
    ledger: Path, tmp_path: Path
):
    file = statement(tmp_path, "BTC-PERPETUAL-USDT,-0.123456789,", "SBER,12345.678901,")
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, "reconcile", "--ledger", ledger, "--positions", file],
        env=environment() | {"TERM": "xterm"}, stdout=theirs,
    )  # fmt: skip
    os.close(theirs)
    try:
        drawn = until(mine, "a dry run")
        assert process.wait(timeout=30) == 1
    finally:
        process.kill()
        process.wait(timeout=30)
        os.close(mine)
    assert "explained by" not in drawn
    for whole in ("BTC-PERPETUAL-USDT", "-0.123456789", "+12335.678901", "put on record"):
        assert whole in drawn


def test_the_mappings_are_listed():
    listed = run("reconcile", "--list-mappings", "--json").json
    assert "fillbook-csv" in [each["mapping"] for each in listed]
    assert "binance-futures" in run("reconcile", "--list-mappings").out


# ---- what cannot be done


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "--config"),
        (["--positions", "none.csv"], "none.csv"),
        (["--positions", "bad.csv"], "mend"),
        (["--positions", "bad.csv", "--mapping", "fillbok"], "did you mean fillbook"),
        (["--mapping", "fillbook"], "--positions"),
        (["--positions", "good.csv", "--account", "U1"], "--account default"),
        (["--positions", "good.csv", "--timeout", "0"], "timeout"),
    ],
)
def test_it_is_refused_in_one_sentence_and_changes_nothing(
    ledger: Path, tmp_path: Path, words: list[str], named: str
):
    statement(tmp_path, "SBER,10,1", name="good.csv")
    statement(tmp_path, "SBER,ten,1", name="bad.csv")
    before = seen(tmp_path)

    for more in ([], ["--apply"]):
        reconcile(ledger, *words, *more, cwd=tmp_path).refused(named)

    assert seen(tmp_path) == before


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path):
    file = statement(tmp_path, "SBER,10,1")
    for more in ((), ("--apply",)):
        reconcile(tmp_path / "none.ledger", "--positions", file, *more).refused("no such ledger")
    assert os.listdir(tmp_path) == ["broker.csv"]


# ---- at rest, with the broker of a configuration

SHOP = """
import time

class Shop:
    held, fills = {"SBER": "10"}, []
    def place_order(self, order): raise AssertionError("nothing is sent")
    def get_order_status(self, order_id): return {"status": "new"}
    def cancel_order(self, order_id): raise AssertionError("nothing is sent")
    def get_positions(self):
        return [{"symbol": name, "quantity": qty} for name, qty in self.held.items()]
    def get_fills(self, since): return self.fills

def make(): return Shop()

def missed():
    shop = Shop()
    shop.held = {"SBER": "7"}
    shop.fills = [{"trade_id": "X-1", "order_id": "V-9", "symbol": "SBER", "side": "SELL",
                   "quantity": "3", "price": "276"}]
    return shop

def hangs():
    shop = Shop()
    shop.get_positions = lambda: time.sleep(60)
    return shop

def breaks(): raise RuntimeError("no token")
"""


def configured(folder: Path, broker: str) -> Path:
    (folder / "shop.py").write_text(SHOP)
    path = folder / "fillbook.toml"
    path.write_text(f'[robot]\nledger = "sber.ledger"\n[broker]\n{broker}\n')
    return path


def client(name: str) -> str:
    return f'kind = "client"\nclient = "shop:{name}"'


def test_the_broker_of_the_folders_configuration_is_asked(ledger: Path, tmp_path: Path):
    configured(tmp_path, client("make"))
    before = head(ledger)

    done = run("reconcile", *BY, cwd=tmp_path)

    assert (done.status, done.err) == (0, "")
    assert "agree on 1 position; a dry run" in prose(done)
    assert head(ledger) == before
    configured(tmp_path, client("make")).rename(tmp_path / "other.toml")
    result = told(ledger, "--config", "other.toml", cwd=tmp_path)
    assert (result["how"], result["outcome"]) == ("LEDGER", "AGREED")


def test_an_account_that_nobody_knows_is_not_found_to_agree(ledger: Path, tmp_path: Path):
    """A slip of the pen would else put on record that all up to now is accounted for."""
    config = configured(tmp_path, client("make"))
    before = head(ledger)
    done = reconcile(ledger, "--config", config, "--account", "defualt", "--apply", cwd=tmp_path)
    assert (done.status, done.out) == (2, "")
    assert "no account 'defualt'; it has default" in " ".join(done.err.split())
    assert head(ledger) == before
    assert reconcile(ledger, "--config", config, "--account", "default", cwd=tmp_path).status == 0


def test_a_missed_fill_explains_it_and_is_booked_when_applied(ledger: Path, tmp_path: Path):
    config = configured(tmp_path, client("missed"))
    before = seen(tmp_path)

    dry = told(ledger, "--config", config, cwd=tmp_path)
    assert {name: digest for name, digest in seen(tmp_path).items() if name in before} == before
    assert (dry["outcome"], dry["positions"][0]["left_qty"]) == ("AGREED", "0")
    assert dry["positions"][0]["explained_by"] == "1 fill of an order that is not ours"

    done = reconcile(ledger, "--config", config, "--apply", cwd=tmp_path)
    assert done.status == 0
    assert "booked" in done.out
    assert held(ledger) == {"SBER": "7"}
    assert told(ledger, "--config", config, "--apply", cwd=tmp_path)["positions"] == []


@pytest.mark.parametrize(
    ("broker", "named"),
    [
        (client("breaks"), "no token"),
        ('url = "http://127.0.0.1:9"', "cannot be reached"),
        ("", "no account yet"),
    ],
)
def test_a_broker_that_is_not_there_is_said_and_nothing_is_made(
    ledger: Path, tmp_path: Path, broker: str, named: str
):
    config = configured(tmp_path, broker)
    before = head(ledger)
    for more in ((), ("--apply",)):
        reconcile(ledger, "--config", config, *more, cwd=tmp_path).refused(named)
    assert head(ledger) == before
    assert not (tmp_path / "sber.ledger.paper").exists()


def test_how_far_it_is_is_shown_on_a_terminal_and_ctrl_c_ends_it(ledger: Path, tmp_path: Path):
    configured(tmp_path, client("hangs"))
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "reconcile"], cwd=tmp_path, env=environment() | {"TERM": "xterm"},
        stdout=subprocess.PIPE, stderr=theirs, text=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        until(mine, "reading positions")
        process.send_signal(signal.SIGINT)
        assert "interrupted" in until(mine, "interrupted")
        out, _ = process.communicate(timeout=30)
        assert (process.returncode, out) == (130, "")
    finally:
        process.kill()
        process.wait(timeout=30)
        os.close(mine)


# ---- a robot at work


def test_a_robot_that_runs_compares_by_itself(tmp_path: Path):
    ledger = tmp_path / "a.ledger"
    with RobotProcess(ledger) as robot:
        assert "agree: neither holds anything" in reconcile(ledger).out
        robot.say("hold", "SBER", "5")
        before = head(ledger)

        dry = told(ledger)
        assert (dry["how"], dry["outcome"], dry["is_applied"]) == ("ROBOT", "DIFFERS", False)
        assert head(ledger) == before
        assert told(ledger, "--adopt", "SBER")["positions"][0]["action"] == "ADOPT"
        assert head(ledger) == before

        done = told(ledger, "--apply", "--adopt", "SBER", "--reason", "moved in")
        assert (done["outcome"], done["by"], done["seq"]) == ("ADOPTED", "olga", before + 1)
        assert held(ledger) == {"SBER": "5"}
        assert "book and broker agree since" in run("status", "--ledger", ledger).out

        reconcile(ledger, "--account", "default").refused("--account")
        file = statement(tmp_path, "SBER,7,1")
        beside = told(ledger, "--positions", file)
        assert (beside["how"], beside["positions"][0]["gap_qty"]) == ("STATEMENT", "2")
        reconcile(ledger, "--positions", file, "--apply").refused(str(robot.pid), "stop it")


def test_the_status_says_what_differs(ledger: Path, tmp_path: Path):
    assert "never compared with the broker's" in run("status", "--ledger", ledger).out
    reconcile(ledger, "--positions", statement(tmp_path, "SBER,8,1"), "--apply")

    status = run("status", "--ledger", ledger)

    lines = status.out.splitlines()
    assert "positions  the broker differs: SBER -2" in lines
    assert [line for line in lines if line.startswith("compared   20") and "DIFFERS" in line]
    reconcile(ledger, "--positions", statement(tmp_path, "SBER,10,1"), "--apply")
    assert "positions  book and broker agree since 20" in run("status", "--ledger", ledger).out
