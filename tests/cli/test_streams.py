"""The command under terminals that lack letters, and with streams that its caller closed."""

import json
import subprocess
from pathlib import Path

import pytest

from cli.running import COMMAND, TIMEOUT_S, environment, jsonl, run

ORDERS = [
    {"kind": "order", "client_order_id": "заявка-é-😀", "instrument_id": "株式", "side": "BUY",
     "order_qty": "3", "order_type": "MARKET"},
    {"kind": "report", "client_order_id": "заявка-é-😀", "exec_type": "TRADE", "last_qty": "1",
     "order_status": "PARTIALLY_FILLED", "cum_qty": "1", "last_px": "1.12345678901",
     "exec_id": "E-1", "text": "нет"},
    {"kind": "нет"},
]  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    run("import", "-", "--ledger", tmp_path / "x.ledger", stdin=jsonl(ORDERS))
    return tmp_path / "x.ledger"


def in_encoding(name: str, *words: object) -> tuple[int, str, str]:
    done = subprocess.run(
        [*COMMAND, *map(str, words)], capture_output=True, timeout=TIMEOUT_S,
        env=environment() | {"PYTHONIOENCODING": name, "PYTHONUTF8": "0"},
    )  # fmt: skip
    return done.returncode, done.stdout.decode(name), done.stderr.decode(name)


@pytest.mark.parametrize("name", ["ascii", "latin-1", "cp1251", "koi8-r", "utf-8"])
def test_a_letter_that_the_terminal_lacks_is_an_escape(ledger: Path, name: str):
    shown = [
        in_encoding(name, verb, "--ledger", ledger)
        for verb in ("orders", "positions", "tail", "verify", "status")
    ]
    status, out, err = in_encoding(name, "orders", "--ledger", ledger, "--json")

    assert [(each[0], each[2]) for each in shown] == [(0, "")] * 5
    assert "PARTIALLY_FILLED" in shown[0][1]
    assert (status, err) == (0, "")
    assert json.loads(out)[0]["client_order_id"] == "заявка-é-😀"


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("verb", ["orders", "orders --json", "tail", "export --format events"])
def test_a_closed_stream_swallows_what_it_is_sent(ledger: Path, closed: str, verb: str):
    before = ledger.read_bytes()
    command = " ".join([*COMMAND, verb, "--ledger", str(ledger), closed])

    done = subprocess.run(
        command, shell=True, capture_output=True, timeout=TIMEOUT_S, env=environment()
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert ledger.read_bytes() == before


def test_a_ledger_is_written_whole_with_every_stream_closed(tmp_path: Path):
    """What is opened first would get the number of standard output."""
    (tmp_path / "day.jsonl").write_bytes(jsonl(ORDERS[:2]))
    command = f"{' '.join(COMMAND)} import day.jsonl --ledger y.ledger <&- >&- 2>&-"

    done = subprocess.run(command, shell=True, cwd=tmp_path, timeout=TIMEOUT_S, env=environment())

    assert done.returncode == 0
    assert run("verify", "--ledger", tmp_path / "y.ledger").status == 0
    assert len(run("orders", "--ledger", tmp_path / "y.ledger", "--json").json) == 1


def test_an_import_of_a_closed_standard_input_has_failed(tmp_path: Path):
    command = f"{' '.join(COMMAND)} import - --ledger y.ledger <&-"

    done = subprocess.run(
        command, shell=True, cwd=tmp_path, timeout=TIMEOUT_S, env=environment(), capture_output=True
    )

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"fillbook: standard input is closed")
    assert list(tmp_path.iterdir()) == []
