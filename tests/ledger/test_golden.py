"""The golden stories hold format and rules: same messages, same bytes, same book, for ever."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from runpy import run_path
from typing import Any

import jsonschema
import pytest

from fillbook.audit.reimport import reimport
from fillbook.audit.verify import verify
from fillbook.core.book import fold
from fillbook.core.event_types import EVENT_TYPES
from fillbook.core.views import order_json
from fillbook.log.codec import decode, encode
from fillbook.log.reader import open_reader
from ledger.playing import GOLDEN, book_of, play, story_folders

ROOT = GOLDEN.parents[1]
STORIES = story_folders()
Made = Callable[[Path], Path]
examine = run_path(str(ROOT / "ledger" / "witness.py"))["examine"]
each_story = pytest.mark.parametrize("folder", STORIES, ids=lambda path: path.name)


def test_there_are_stories_for_the_rules_and_for_every_event():
    """A check over an empty list would pass; a type without a story would be held by nothing."""
    seen = {(line["type"], line["type_version"]) for _, line in all_records()}

    assert len(STORIES) >= 25
    assert seen == set(EVENT_TYPES)


def test_the_index_names_every_story():
    for version in GOLDEN.glob("v*"):
        index = (version / "index.md").read_text(encoding="utf-8")
        for folder in version.iterdir():
            assert not folder.is_dir() or f"| `{folder.name}` |" in index


@each_story
def test_a_story_gives_the_same_bytes(folder: Path, tmp_path: Path):
    played = play(folder, tmp_path / "x.ledger")

    assert played == (folder / "events.jsonl").read_bytes()


@each_story
def test_its_bytes_make_a_ledger_with_the_same_book(folder: Path, made: Made):
    """The ledger is made from the bytes alone: no message is read, nothing is decided."""
    ledger = made(folder)
    expected = json.loads((folder / "book.json").read_text(encoding="utf-8"))

    reached = book_of(ledger)

    assert expected["orders"] or expected["positions"]
    assert {key: reached[key] for key in expected} == expected


@each_story
def test_its_records_fold_without_a_log(folder: Path, made: Made):
    """`fold` keeps all records in memory, the book of a ledger asks for them again: same book."""
    with open_reader(made(folder)) as reader:
        book = fold(list(reader.records()))
    expected = json.loads((folder / "book.json").read_text(encoding="utf-8"))

    assert [order_json(order) for order in book.resident_orders()] == expected["orders"]
    assert [view.as_json() for view in book.position_views()] == expected["positions"]


@each_story
def test_the_witness_and_verify_accept_it(folder: Path, made: Made):
    ledger = made(folder)
    told = [examine(str(ledger)), examine(str(folder / "events.jsonl"))]
    with open_reader(ledger) as reader:
        verdict = verify(reader)

    assert verdict.problems == []
    for report in told:
        assert report["problems"] == []
        assert report["head"]["seq"] == verdict.head.seq == report["events"] > 1
        assert report["head"]["event_hash"] == verdict.head.event_hash.hex()


@each_story
def test_its_bodies_are_canonical_and_fit_their_schemas(folder: Path):
    for _, line in records_of(folder):
        body = canonical(line["body"])
        event = decode(line["type"], line["type_version"], body)
        schema = schema_of(line["type"], line["type_version"])

        assert encode(event) == body
        jsonschema.validate(line["body"], schema)


def test_a_body_with_another_key_or_kind_does_not_fit_its_schema():
    """A schema that lets everything through would show nothing."""
    body = next(line["body"] for _, line in all_records() if line["type"] == "order.filled")
    schema = schema_of("order.filled", 2)
    for change in (
        {"last_qty": 4}, {"last_qty": "4.0"}, {"last_qty": "-0"}, {"last_qty": "1e3"},
        {"side": "LONG"}, {"fill_no": "1"}, {"flags": None}, {"oid": "R-1"},
    ):  # fmt: skip
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(body | change, schema)
    for key in ("trade_id", "cum_qty", "flags"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({k: v for k, v in body.items() if k != key}, schema)


@each_story
def test_the_views_in_the_file_say_what_the_book_says(folder: Path, made: Made):
    """Datasette and pandas read the views and know nothing of our fold."""
    ledger = made(folder)
    expected = json.loads((folder / "book.json").read_text(encoding="utf-8"))
    database = sqlite3.connect(f"{ledger.as_uri()}?mode=ro&immutable=1", uri=True)
    database.row_factory = sqlite3.Row
    try:
        orders = [dict(row) for row in database.execute("SELECT * FROM orders ORDER BY stream")]
        fills = [dict(row) for row in database.execute("SELECT * FROM fills ORDER BY seq")]
    finally:
        database.close()

    shared = (
        "client_order_id", "account_id", "instrument_id", "side", "order_type", "origin",
        "order_status", "order_qty", "cum_qty", "leaves_qty", "avg_px", "limit_px",
    )  # fmt: skip
    assert [{key: row[key] for key in shared} for row in orders] == [
        {key: order[key] for key in shared} for order in expected["orders"]
    ]
    if folder.name != "35-corporate-action":  # the order's figures are rescaled, a fill's are not
        held = sum(Decimal(row["last_qty"]) for row in fills)
        assert held == sum(Decimal(order["cum_qty"]) for order in expected["orders"])


@pytest.mark.parametrize("tool", ["schemas", "golden"])
def test_what_is_generated_is_what_the_classes_say(tool: str):
    ran = subprocess.run(
        [sys.executable, "-B", str(ROOT / "tools" / tool), "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout


# ---- helpers


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return the ledger of a story, made once and only read."""
    folders = tmp_path_factory.mktemp("made")

    def make(folder: Path) -> Path:
        ledger = folders / f"{folder.name}.ledger"
        if not ledger.exists():
            with (folder / "events.jsonl").open("rb") as file:
                reimport(file, folder.name, str(ledger))
        return ledger

    return make


def records_of(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    for line in lines[1:]:
        yield line, json.loads(line)


def all_records() -> Iterator[tuple[str, dict[str, Any]]]:
    for folder in STORIES:
        yield from records_of(folder)


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@cache
def schema_of(type_: str, version: int) -> dict[str, Any]:
    path = ROOT / "ledger" / "events" / f"{type_}.v{version}.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema
