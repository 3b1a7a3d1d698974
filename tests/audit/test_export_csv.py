"""The spreadsheets say what the book says, row by row, and never take another file's place."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from fillbook.audit.export_csv import export_csv
from fillbook.audit.lines import day_of
from fillbook.errors import BadInput
from fillbook.log.reader import open_reader
from ledger.playing import GOLDEN, play


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    play(GOLDEN / "v1" / "27-bust", tmp_path / "a.ledger")
    return tmp_path / "a.ledger"


BOOK = json.loads((GOLDEN / "v1" / "27-bust" / "book.json").read_text())


def written(ledger: Path, folder: Path, day: str | None = None) -> dict[str, list[dict[str, Any]]]:
    with open_reader(ledger) as reader:
        counts = export_csv(
            reader, str(folder), BOOK["orders"], BOOK["positions"],
            None if day is None else day_of(day),
        )  # fmt: skip
    told = {}
    for name in ("orders", "fills", "positions"):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            told[name] = list(csv.DictReader(file))
    assert {name: len(rows) for name, rows in told.items()} == counts
    return told


def test_rows_are_what_the_book_says(ledger: Path, tmp_path: Path):
    told = written(ledger, tmp_path / "out")

    assert [row["order_status"] for row in told["orders"]] == ["PARTIALLY_FILLED", "FILLED"]
    assert [row["realized_pnl_gross"] for row in told["positions"]] == ["100"]
    assert [(row["trade_id"], row["last_qty"], row["busted"]) for row in told["fills"]] == [
        ("T-1", "0", "true"), ("T-2", "10", "false"), ("T-3", "10", "false"),
    ]  # fmt: skip


def test_fills_of_another_day_are_left_out(ledger: Path, tmp_path: Path):
    assert len(written(ledger, tmp_path / "day", "2026-03-13")["fills"]) == 3
    assert written(ledger, tmp_path / "next", "2026-03-14")["fills"] == []


def test_a_folder_with_files_in_it_is_refused(ledger: Path, tmp_path: Path):
    with pytest.raises(BadInput, match="there are files in it"):
        written(ledger, tmp_path)
    with pytest.raises(BadInput, match="name a folder"):
        written(ledger, ledger)
