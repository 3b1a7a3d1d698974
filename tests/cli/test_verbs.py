"""Every verb as a person meets it: help, output, exit status."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.running import COMMAND, Done, day, environment, fill, jsonl, order, run, run_each

VERBS = [
    "demo", "init", "paper", "doctor", "orders", "positions", "state", "tail", "import", "export",
    "backup", "verify", "status", "watch", "reconcile", "halt", "resume", "cancel-all", "resolve",
    "adjust", "accept-tail-loss",
]  # fmt: skip


def test_help_has_an_example_and_fits():
    for verb, done in zip(VERBS, run_each(*([verb, "--help"] for verb in VERBS)), strict=True):
        assert done.status == 0, verb
        assert f"Example: fillbook {verb}" in " ".join(done.out.split())
        assert max(map(len, done.out.splitlines())) <= 80, verb
        assert "--json" in done.out, verb


def test_the_command_lists_its_verbs():
    done = run("--help")

    assert done.status == 0
    assert re.findall(r"^  ([a-z][a-z-]+)  .*\.$", done.out, re.MULTILINE) == VERBS
    assert max(map(len, done.out.splitlines())) <= 80
    assert run("--version").out == "fillbook 0.1.0\n"


def test_trace_says_what_came_of_each_message(tmp_path: Path):
    done = run("import", "-", "--ledger", tmp_path / "a.ledger", "--trace", stdin=jsonl(day()))

    assert done.status == 0
    assert [line["line"] for line in done.lines] == [1, 2, 3, 4, 5, 6, 7]
    assert {line["outcome"] for line in done.lines} == {"RECORDED"}
    assert done.lines[3] == {
        "line": 4, "kind": "report", "outcome": "RECORDED", "events": ["order.filled"],
        "flags": [], "client_order_id": "R-1", "order_status": "PARTIALLY_FILLED",
        "order_qty": "10", "cum_qty": "4", "leaves_qty": "6", "avg_px": "275.4",
    }  # fmt: skip


def test_orders_and_positions(ledger: Path):
    orders = run("orders", "--ledger", ledger, "--json").json
    positions = run("positions", "--ledger", ledger, "--json", "--mark", "SBER=276").json

    assert [row["order_status"] for row in orders] == ["FILLED", "CANCELED"]
    assert orders[0]["avg_px"] == "275.52"
    assert orders[0]["commissions"] == {"RUB": "0.5"}
    assert orders[0]["ts_closed"] == "2026-03-13T07:00:03.000Z"
    (position,) = positions
    assert position["position_qty"] == "10"
    assert position["avg_px"] == "275.52"
    assert position["realized_pnl"] == "-0.5"
    assert position["unrealized_pnl"] == "4.8"
    assert run("orders", "--ledger", ledger, "--json", "--status", "canceled").json == orders[1:]
    assert run("orders", "--ledger", ledger, "--json", "--open").json == []


@pytest.mark.parametrize("method", ["fifo", "lifo"])
def test_lots(ledger: Path, method: str):
    (position,) = run("positions", "--ledger", ledger, "--json", "--method", method).json

    assert position["lots_closed"] == []
    assert position["lots_open"] == [
        {"lot_qty": "4", "entry_px": "275.4"},
        {"lot_qty": "6", "entry_px": "275.6"},
    ]


def test_every_json_is_json(ledger: Path, tmp_path: Path):
    verbs: list[list[object]] = [
        ["orders"], ["positions"], ["state"], ["verify"], ["doctor"], ["tail"],
        ["backup", tmp_path / "b.ledger"],
        ["export", "--format", "csv", "--out", tmp_path / "csv"],
    ]  # fmt: skip
    each = run_each(*([*words, "--ledger", ledger, "--json"] for words in verbs))
    for words, done in zip(verbs, each, strict=True):
        assert done.status == 0, done
        for line in done.out.splitlines() if words == ["tail"] else [done.out]:
            json.loads(line)


def test_verify_tells_the_head_and_finds_a_flipped_byte(ledger: Path):
    import sqlite3

    whole = run("verify", "--ledger", ledger, "--json")
    assert whole.status == 0
    assert whole.json["is_whole"] is True
    assert whole.json["head_seq"] == sum(whole.json["counts"].values())

    connection = sqlite3.connect(ledger)
    connection.execute("DROP TRIGGER events_no_update")
    connection.execute("UPDATE events SET body = replace(body, '275.4', '275.3') WHERE seq = 5")
    connection.commit()
    connection.close()
    found = run("verify", "--ledger", ledger)
    assert found.status == 1
    assert "seq 5" in found.out
    assert "go on from the newest backup that verifies" in found.err


def test_verify_knows_the_head_that_was_written_down_beside(ledger: Path):
    """A tail that is cut off cannot be missed from inside the file."""
    before = ledger.read_bytes()
    run("import", "-", "--ledger", ledger, stdin=jsonl([order("R-3")]))
    ledger.write_bytes(before)

    found = run("verify", "--ledger", ledger, "--json")

    assert found.status == 1
    assert [each["what"] for each in found.json["problems"]] == ["checkpoint"]


def test_verify_does_not_advise_to_run_verify(ledger: Path):
    """Where nothing can be listed, the next step has to be another one."""
    content = bytearray(ledger.read_bytes())
    content[4096 * 3 : 4096 * 3 + 8] = b"\xff" * 8  # the page of `meta`
    ledger.write_bytes(content)

    run("orders", "--ledger", ledger).refused("malformed", "run `fillbook verify`")
    refused = run("verify", "--ledger", ledger)

    refused.refused(
        "malformed", "nothing was changed", "keep this file as it is", "the newest backup",
        "import the last export into a new ledger",
    )  # fmt: skip
    assert "`fillbook verify`" not in refused.err


def test_a_backup_is_the_same_ledger(ledger: Path, tmp_path: Path):
    copy = tmp_path / "copy.ledger"

    assert run("backup", "--ledger", ledger, copy).status == 0
    assert (
        run("verify", "--ledger", copy, "--json").json["head"]
        == run("verify", "--ledger", ledger, "--json").json["head"]
    )
    again = run("backup", "--ledger", ledger, copy)
    again.refused("copy.ledger", "not touched")


def test_export_and_import_give_the_same_head(ledger: Path, tmp_path: Path):
    exported = run("export", "--ledger", ledger, "--with-raw")
    assert exported.status == 0

    again = tmp_path / "again.ledger"
    done = run("import", "-", "--ledger", again, stdin=exported.out.encode())

    assert done.status == 0, done
    keys = ("ledger_id", "head", "head_seq", "counts", "is_whole")
    left, right = (run("verify", "--ledger", path, "--json").json for path in (ledger, again))
    assert {key: left[key] for key in keys} == {key: right[key] for key in keys}
    assert run("export", "--ledger", again, "--with-raw").out == exported.out


def test_a_changed_export_makes_no_ledger(ledger: Path, tmp_path: Path):
    text = run("export", "--ledger", ledger).out.replace("275.4", "275.3")

    done = run("import", "-", "--ledger", tmp_path / "no.ledger", stdin=text.encode())

    done.refused("no ledger was made")
    assert not (tmp_path / "no.ledger").exists()


def test_csv_holds_the_fills_of_a_day(ledger: Path, tmp_path: Path):
    words = ("export", "--ledger", ledger, "--format", "csv", "--tz", "Europe/Moscow")

    assert run(*words, "--out", tmp_path / "in", "--day", "2026-03-13").status == 0
    assert run(*words, "--out", tmp_path / "off", "--day", "2026-03-14").status == 0

    assert len((tmp_path / "in/fills.csv").read_text().splitlines()) == 3
    assert len((tmp_path / "in/orders.csv").read_text().splitlines()) == 3
    assert len((tmp_path / "off/fills.csv").read_text().splitlines()) == 1
    again = run(*words, "--out", tmp_path / "in", "--day", "2026-03-13")
    again.refused("in", "nothing was written")


def test_tail_shows_the_message_behind_an_event(ledger: Path):
    done = run("tail", "--ledger", ledger, "-n", "3", "--raw", "--json")

    assert [line["type"] for line in done.lines][-1] == "import.progressed"
    assert json.loads(done.lines[-2]["raw"])["client_order_id"] == "R-2"


_LOADED = """
import sys
from fillbook.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "not_needed"),
    [
        (["import", "-"], {"sqlite_utils", "rich", "fillbook.audit", "fillbook.brokers.paper"}),
        (["orders"], {"sqlite_utils", "fillbook.audit", "fillbook.brokers", "fillbook.feedback"}),
        (["orders", "--json"], {"rich", "tempfile", "subprocess", "fillbook.core.reports"}),
    ],
    ids=["import", "orders", "orders-json"],
)
def test_a_verb_loads_what_it_uses(tmp_path: Path, words: list[str], not_needed: set[str]):
    """Starting costs more than the work on a small ledger: see docs/performance.md."""
    path = tmp_path / "x.ledger"
    if words[0] != "import":
        run("import", "-", "--ledger", path, stdin=jsonl(day()))

    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *words, "--ledger", str(path)],
        input=jsonl(day()), capture_output=True, env=environment(), timeout=60,
    )  # fmt: skip

    assert done.returncode == 0
    loaded = set(done.stderr.decode().split())
    assert "fillbook.log.reader" in loaded
    assert "fillbook.configuration" not in loaded
    assert loaded & not_needed == set()


def test_an_empty_table_says_so(tmp_path: Path):
    path = tmp_path / "x.ledger"
    run("import", "-", "--ledger", path, stdin=jsonl(day()[:2]))

    out = run("state", "--ledger", path, "--at", "1").out

    assert out.splitlines()[1:] == ["", "Orders: none", "", "Positions: none"]


def on_terminal(*words: object) -> Done:
    """Run under a terminal of 80 columns and return what it showed."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)], stdin=slave, stdout=slave, stderr=slave,
        env=environment() | {"TERM": "xterm", "COLUMNS": "80"},
    )  # fmt: skip
    os.close(slave)
    shown = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            shown += data
        elif process.poll() is not None:
            break
    status = process.wait(timeout=60)
    os.close(master)
    return Done(status, shown.decode(), "")


def test_tables_fit_eighty_columns(tmp_path: Path):
    """Long ids, long averages and several currencies are what a night at the desk looks like."""
    path = tmp_path / "wide.ledger"
    long_id = "ROBOT-20260313-ALPHA-0000000000000001"
    rows = [
        {"kind": "instrument", "instrument_id": "BTCUSDT-PERPETUAL-LINEAR",
         "quote_currency": "USDT"},
        order(long_id, instrument_id="BTCUSDT-PERPETUAL-LINEAR", order_qty="30"),
        fill("T-1", "10", "10", "71559.52293412", client_order_id=long_id,
             order_status="PARTIALLY_FILLED", commission="0.00041362", commission_currency="BNB"),
        fill("T-2", "20", "30", "71560.1", client_order_id=long_id, order_status="FILLED",
             commission="1.5", commission_currency="USDT"),
        {"kind": "report", "client_order_id": long_id, "order_status": "CANCELED",
         "cum_qty": "31", "avg_px": "71559.9"},
    ]  # fmt: skip
    run("import", "-", "--ledger", path, stdin=jsonl(rows))

    for verb in ("orders", "positions", "state"):
        shown = on_terminal(verb, "--ledger", path)
        assert shown.status == 0
        lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.out).replace("\r", "").splitlines()
        tables = [line for line in lines if not line.startswith(str(path))]
        assert max(map(len, tables)) <= 80, verb
        assert "71559" in shown.out


def test_progress_is_for_terminals_only(tmp_path: Path):
    rows = jsonl([order(f"R-{number}") for number in range(1100)])
    file = tmp_path / "many.jsonl"
    file.write_bytes(rows)

    shown = on_terminal("import", file, "--ledger", tmp_path / "a.ledger")
    piped = run("import", file, "--ledger", tmp_path / "b.ledger")

    assert "\r1000 messages" in shown.out
    assert piped.err == ""
    assert "\r" not in piped.out


def test_a_closed_pipe_ends_cleanly(tmp_path: Path):
    path = tmp_path / "many.ledger"
    more_than_a_pipe_holds = jsonl([order(f"R-{number}") for number in range(600)])
    run("import", "-", "--ledger", path, stdin=more_than_a_pipe_holds)

    process = subprocess.Popen(
        [*COMMAND, "orders", "--ledger", str(path), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_ctrl_c_ends_a_follower(ledger: Path):
    process = subprocess.Popen(
        [*COMMAND, "tail", "--ledger", str(ledger), "--follow"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert b"Traceback" not in err
    assert b"interrupted" in err


def test_a_follower_sees_what_comes(ledger: Path):
    process = subprocess.Popen(
        [*COMMAND, "tail", "--ledger", str(ledger), "--follow", "-n", "0", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        time.sleep(0.5)  # let it look once before anything new comes
        run("import", "-", "--ledger", ledger, stdin=jsonl([order("R-9")]))
        seen = json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert seen["event"]["client_order_id"] in ("R-9", "R-1", "R-2")


@pytest.mark.parametrize("seed", [1, 2])
def test_the_demo_agrees_with_the_exchange(tmp_path: Path, seed: int):
    path = tmp_path / "demo.ledger"

    done = run("demo", "--seed", seed, "--ledger", path, "--json")

    assert (done.status, done.err) == (0, ""), done
    assert done.json["agrees_with_exchange"]
    assert done.json["is_whole"]
    assert sum(done.json["orders"].values()) >= 290
    assert len(done.json["survived"]) >= 10
    assert done.json["flags"]["INFERRED"] >= 1


def test_the_demo_shows_its_day_and_writes_it_anew(tmp_path: Path):
    for _ in range(2):
        shown = run("demo", "--ledger", tmp_path / "demo.ledger", "--orders", "40")

    assert (shown.status, shown.err) == (0, "")
    for words in ("Orders by status", "Positions", "What it survived", "is whole", "Try next"):
        assert words in shown.out


def test_the_demo_touches_no_other_file(tmp_path: Path):
    mine = tmp_path / "mine.ledger"
    mine.write_text("notes")

    run("demo", "--ledger", mine).refused("not touched")
    assert mine.read_text() == "notes"
