"""What a table shows of whatever it is given, and how it fits a terminal."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from cli.running import jsonl, run
from fillbook.cli import tables
from fillbook.cli.common import visible

POSITIONS = [
    ("instrument", "text"), ("position", "number"), ("avg px", "amount"), ("realized", "amount"),
    ("unrealized", "amount"), ("in", "text"), ("commissions", "text"), ("trades", "number"),
]  # fmt: skip
HELD = [
    ("GAZP", "15360", "130.8433251234", "-1798.085678", "-5119.8843", "RUB", "892.37 RUB", "105"),
    ("BTCUSD", "112", "71600.839284", "-0.000994123", "-0.0000451", "BTC", "0.00088 BTC", "103"),
    ("ETH/USDT", "-7.4927492", "2104.752162", "-2.09", "0.615623", "USDT", "0.02974 ETH", "85"),
]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return what is shown on a terminal of some width, line by line."""

    def shown(width: int, *table: Any) -> list[str]:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((width, 24)))
        tables.print_table("Held", *table)
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()

    return shown


def test_a_table_that_fits_is_not_touched(terminal):
    lines = terminal(100, POSITIONS, HELD)

    assert len(lines) == 3 + len(HELD)
    assert "  130.843325…  " in lines[3]
    assert "-7.4927492" in lines[5]


def test_amounts_are_shortened_before_anything_is_broken(terminal):
    lines = terminal(80, POSITIONS, HELD)

    assert len(lines) == 3 + len(HELD), "a line each"
    assert max(map(len, lines)) <= 80
    assert re.search(r"GAZP +15360 +130\.8\d+… ", lines[3])
    assert "-0.000994… " in lines[4], "three digits stay that are not leading zeros"
    assert "-7.4927492 " in lines[5], "a quantity is whole"
    assert lines[5].endswith("0.02974 ETH     85")


def test_long_ids_go_on_in_the_next_line_where_they_have_a_sign(terminal):
    columns = [("order", "text"), ("qty", "number"), ("text", "text")]
    order = "ROBOT-20260313-ALPHA-0000000000000001"

    lines = terminal(40, columns, [(order, "100", "too late to cancel this one")])

    assert max(map(len, lines)) <= 40
    cells = [line.split()[0] for line in lines[3:] if line[:1] != " "]
    assert "".join(cells) == order
    assert cells[0].endswith("-")
    assert re.search(r"\b100\b", lines[3])
    told = " ".join(line[-len("too late to") :] for line in lines[3:])
    assert all(word in told for word in ("late", "cancel", "one"))


def test_a_terminal_too_narrow_for_everything_still_shows_everything(terminal):
    lines = terminal(12, POSITIONS[:2], [("ETH/USDT-PERP", "-7.4927492")])

    assert max(map(len, lines)) <= 12
    shown = "".join(lines[lines.index("─" * 12) + 1 :]).replace(" ", "")
    assert sorted(shown) == sorted("ETH/USDT-PERP" + "-7.4927492")


@pytest.mark.parametrize("width", [1, 2, 7])
def test_no_terminal_is_too_narrow(terminal, width: int):
    columns = [("", "text"), ("order", "text"), ("qty", "number"), ("who", "text")]

    lines = terminal(width, columns, [("", "R-1", "-10.5", "株式"), ("", "", "", "")])

    shown = "".join("".join(lines).split())
    assert all(sign in shown for sign in "R-110.5株式")


def test_what_looks_like_markup_is_text(terminal):
    lines = terminal(80, [("order", "text"), ("instrument", "text")], [("a[/b]:x:", "[bold]X")])

    assert lines[3].split() == ["a[/b]:x:", "[bold]X"]


def test_letters_of_any_script_count_as_wide_as_they_are(terminal):
    lines = terminal(30, [("who", "text"), ("qty", "number")], [("株式" * 12, "1"), ("Сбер", "2")])

    assert sum(line.count("株") for line in lines) == 12
    assert max(cell_len(line) for line in lines) <= 30
    assert any(line.startswith("Сбер") for line in lines)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [words], 株 ü", "plain [words], 株 ü"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("\x9b31m", r"\x9b31m"),
        ("abc\u202edef\u2028", r"abc\u202edef\u2028"),
        ("\udc80", r"\udc80"),
    ],
)
def test_what_would_steer_a_terminal_is_shown_as_an_escape(text: str, shown: str):
    assert visible(text) == shown


def test_the_venues_words_steer_no_terminal(tmp_path: Path):
    path = tmp_path / "x.ledger"
    evil = "no \x1b[2J\x1b]0;title\x07 [/b]\n      9 forged"
    rows = [
        {"kind": "order", "client_order_id": "R-1[/b]", "instrument_id": "[red]SBER:smile:",
         "side": "BUY", "order_qty": "1", "order_type": "MARKET"},
        {"kind": "report", "client_order_id": "R-1[/b]", "exec_type": "REJECTED",
         "order_status": "REJECTED", "text": evil},
    ]  # fmt: skip
    run("import", "-", "--ledger", path, stdin=jsonl(rows))

    orders = run("orders", "--ledger", path)
    tail = run("tail", "--ledger", path)
    raw = run("tail", "--ledger", path, "--raw")
    halted = run("halt", "--ledger", path, "--reason", evil, "--by", "[/b]")
    status = run("status", "--ledger", path)

    assert [orders.status, tail.status, raw.status, halted.status, status.status] == [0] * 5
    assert "R-1[/b]  [red]SBER:smile:" in orders.out
    for each in (orders, tail, raw, halted, status):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", each.out + each.err)
    assert r"text=no \x1b[2J\x1b]0;title\x07 [/b]\n      9 forged" in tail.out
    assert not [line for line in tail.out.splitlines() if line.startswith("      9 forged")]
    assert r"\x07 [/b]\n      9 forged" in status.out
