"""The witness judges whatever file it is given, by what FORMAT.md says and nothing of our code."""

import ast
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from fillbook.audit.export import export_events
from fillbook.audit.lines import day_of
from fillbook.audit.reimport import reimport
from fillbook.core.event_types import EVENT_TYPES
from fillbook.core.values import OrderStatus
from fillbook.log import chain, columns
from fillbook.log._sqlite import connect
from fillbook.log.reader import open_reader
from fillbook.log.schema import migrate
from fillbook.log.sqlite import SqliteLog
from ledger.playing import GOLDEN, START, play
from ledger.tampering import altered, chained_anew, untyped

WITNESS = GOLDEN.parent / "witness.py"
STORY = GOLDEN / "v1" / "07-replaced-chain"


AS_NOBODY = """
import json, os, runpy, sys
witness = runpy.run_path(sys.argv[1])
if os.geteuid() == 0:  # root may write everywhere
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print(json.dumps(witness["examine"](sys.argv[2])))
"""


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the witness as anyone would, in a process of its own."""
    command = [sys.executable, "-I", "-B", str(WITNESS), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def report_of(path: Path, *arguments: object) -> dict[str, Any]:
    ran = run(path, "--json", *arguments)
    assert ran.returncode in (0, 1), ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    assert ran.returncode == (1 if report["problem_count"] else 0)
    return report


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "a.ledger"
    play(STORY, path)
    return path


# ---- what it knows


def test_it_needs_nothing_but_the_standard_library():
    tree = ast.parse(WITNESS.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])

    assert "sqlite3" in names
    assert names <= sys.stdlib_module_names


def test_it_knows_the_schema_that_the_migrations_make():
    """Its digests are its own; they must be those of the text that is in every new file."""
    connection = connect(":memory:")
    connection.execute("BEGIN IMMEDIATE")
    migrate(connection)
    made = {
        (kind, name): sha256(sql.encode()).hexdigest()[:16]
        for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master")
        if sql is not None and "_sqlite_migrations" not in name
    }
    connection.close()

    assert len(made) > 20
    assert vars_of_witness()["SCHEMA"] == made


def test_it_knows_every_type_and_status_and_the_limits():
    known = vars_of_witness()

    assert known["KNOWN"] == set(EVENT_TYPES)
    assert known["STATUS_CODES"] == {str(s): columns.STATUS_CODES[s] for s in OrderStatus}
    assert known["CHAIN_DOMAIN"] == chain.CHAIN_DOMAIN
    assert known["RAW_KEPT"] == chain.RAW_KEPT


def vars_of_witness() -> dict[str, Any]:
    from runpy import run_path

    return run_path(str(WITNESS))


# ---- what it says of a good file


def test_a_good_ledger_has_its_head_printed(ledger: Path):
    with open_reader(ledger) as reader:
        head, ledger_id = reader.head(), reader.ledger_id

    ran = run(ledger)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"head: seq {head.seq}, hash {head.event_hash.hex()}" in ran.stdout
    assert f"ledger {ledger_id.hex()} of robot golden" in ran.stdout
    assert "order.filled 2" in ran.stdout
    assert ran.stdout.endswith("nothing is wrong\n")


def test_it_leaves_nothing_beside_the_file(ledger: Path):
    """SQLite would make a -wal and a -shm for a reader that may not take them away again."""
    before = sorted(os.listdir(ledger.parent))

    run(ledger)

    assert sorted(os.listdir(ledger.parent)) == before


def test_it_reads_beside_a_writer_what_is_only_in_the_wal(tmp_path: Path):
    path = tmp_path / "live.ledger"
    with SqliteLog.open(path, robot="live") as log:
        report = report_of(path)

        assert os.path.getsize(f"{path}-wal") > 0
        assert report["head"]["seq"] == log.head().seq == 1
    assert report["problems"] == []


def test_it_reads_where_nothing_can_be_written(tmp_path: Path):
    """A WAL without its -shm in a folder that is read-only: it looks at a copy of both."""
    evidence = Path(mkdtemp(prefix="evidence-"))
    try:
        with SqliteLog.open(tmp_path / "live.ledger", robot="live"):
            for name in ("live.ledger", "live.ledger-wal"):
                shutil.copy(tmp_path / name, evidence / name)
                (evidence / name).chmod(0o444)
        evidence.chmod(0o555)
        ran = subprocess.run(
            [sys.executable, "-I", "-B", "-c", AS_NOBODY, WITNESS, evidence / "live.ledger"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        report = json.loads(ran.stdout)

        assert (report["head"]["seq"], report["problems"]) == (1, []), ran.stderr
        assert len(os.listdir(evidence)) == 2
    finally:
        evidence.chmod(0o755)
        shutil.rmtree(evidence)


def test_an_erased_message_is_no_problem(ledger: Path):
    before = report_of(ledger)
    database = sqlite3.connect(ledger)
    database.execute("UPDATE raws SET salt = NULL, sha256 = NULL, raw = NULL")
    database.commit()
    database.close()

    after = report_of(ledger)

    assert before["raw_messages"] > 3
    assert after["problems"] == []
    assert after["head"] == before["head"]


def test_a_type_it_does_not_know_is_told_and_its_chain_checked(ledger: Path):
    """A newer program's event: the witness cannot compare its columns, and says so."""
    chained_anew(ledger, "UPDATE events SET type = 'order.dreamed' WHERE seq = 5")
    Path(f"{ledger}.heads").unlink()

    report = report_of(ledger)

    assert report["problems"] == []
    assert any("order.dreamed 1" in note for note in report["notes"])


# ---- the checkpoint


def test_a_missing_tail_is_seen_by_the_checkpoint(ledger: Path):
    head = report_of(ledger)["head"]["seq"]
    altered(
        ledger, f"DELETE FROM raws WHERE seq = {head}", f"DELETE FROM events WHERE seq = {head}"
    )

    report = report_of(ledger)

    assert [(one["seq"], one["what"]) for one in report["problems"]] == [(0, "checkpoint")]


def test_a_missing_tail_goes_unnoticed_without_one_and_that_is_said(ledger: Path):
    head = report_of(ledger)["head"]["seq"]
    altered(
        ledger, f"DELETE FROM raws WHERE seq = {head}", f"DELETE FROM events WHERE seq = {head}"
    )
    Path(f"{ledger}.heads").unlink()

    report = report_of(ledger)

    assert report["problems"] == []
    assert any("missing tail" in note for note in report["notes"])


def test_another_history_under_the_same_seq_is_seen(ledger: Path):
    """A file rolled back and written on: every hash holds, but not the one that was seen before."""
    chained_anew(ledger, "UPDATE events SET ts_recorded = ts_recorded + 1 WHERE seq = 4")

    report = report_of(ledger)

    assert [(one["seq"], one["what"]) for one in report["problems"]] == [(0, "checkpoint")]


def test_the_checkpoint_of_another_ledger_is_seen(tmp_path: Path, ledger: Path):
    other = tmp_path / "b.ledger"
    play(GOLDEN / "v1" / "02-rejected", other)

    report = report_of(ledger, "--heads", f"{other}.heads")

    assert [one["what"] for one in report["problems"]] == ["checkpoint"]


def test_a_torn_line_of_the_checkpoint_file_is_passed_over(ledger: Path):
    with open(f"{ledger}.heads", "ab") as file:
        file.write(b'\n{"crc":"00000000","seq":999999')

    report = report_of(ledger)

    assert report["checkpoint"]["seq"] == report["head"]["seq"]
    assert report["problems"] == []


# ---- exports


@pytest.mark.parametrize("with_raw", [False, True])
def test_an_export_has_the_head_of_its_ledger(tmp_path: Path, ledger: Path, with_raw: bool):
    path = exported(ledger, tmp_path / "x.jsonl", with_raw=with_raw)

    report = report_of(path)

    assert (report["form"], report["problems"]) == ("export", [])
    assert report["head"] == report_of(ledger)["head"]
    assert report["raw_messages"] == report_of(ledger)["raw_messages"]


def test_a_day_of_an_export_is_a_part(tmp_path: Path, ledger: Path):
    """It begins and ends anywhere; every line is tied to the hash before it."""
    day = day_of("2026-03-13", "UTC")
    assert day.start < START < day.end
    lines = exported(ledger, tmp_path / "x.jsonl", day=day).read_bytes().splitlines(keepends=True)
    path = tmp_path / "part.jsonl"
    path.write_bytes(b"".join([lines[0], *lines[3:6], *lines[8:]]))

    report = report_of(path)

    assert (report["is_part"], report["problems"]) == (True, [])
    assert report["events"] == len(lines) - 5


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("hash", lambda lines: swap_text(lines, 4, '"actor":"IMPORT"', '"actor":"VENUE"')),
        ("hash", lambda lines: swap_text(lines, 4, '"side":"BUY"', '"side":"SELL"')),
        ("line", lambda lines: swap_text(lines, 4, '"side":"BUY"', '"side": "BUY"')),
        ("line", lambda lines: swap_text(lines, 4, '"seq":5', '"seq":5.0')),
        ("line", lambda lines: swap_text(lines, 4, '"seq":5', '"oid":1,"seq":5')),
        ("line", lambda lines: [*lines[:4], "{", *lines[5:]]),
        ("seq", lambda lines: [*lines[:4], *lines[5:]]),
        ("seq", lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]]),
        ("head", lambda lines: lines[:-1]),
        ("raw", lambda lines: swap_text(lines, 4, '"raw":"e', '"raw":"f')),
    ],
)
def test_a_changed_export_is_found(tmp_path: Path, ledger: Path, what: str, change: Any):
    path = exported(ledger, tmp_path / "x.jsonl", with_raw=True)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(change(lines)) + "\n", encoding="utf-8")

    report = report_of(path)

    assert what in [one["what"] for one in report["problems"]]


def swap_text(lines: list[str], number: int, old: str, new: str) -> list[str]:
    assert old in lines[number + 1], lines[number + 1]
    changed = lines[number + 1].replace(old, new, 1)
    return [*lines[: number + 1], changed, *lines[number + 2 :]]


# ---- files made to hurt


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"SQLite format 3\0",
        b"SQLite format 3\0" + bytes(4080),
        b"not a database at all" * 100,
        b'{"format":"fillbook.export.v1"}\n',
        b'{"format":"something else"}\n',
        b"[" * 100_000,
        b"{" * 100_000,
    ],
    ids=lambda content: repr(content[:24]),
)
def test_what_is_no_ledger_is_said_to_be_unreadable(tmp_path: Path, content: bytes):
    path = tmp_path / "x"
    path.write_bytes(content)

    ran = run(path)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert "cannot be read" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_directory_a_missing_file_and_another_database_are_unreadable(tmp_path: Path):
    other = tmp_path / "other.db"
    database = sqlite3.connect(other)
    database.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY)")
    database.close()

    for path in (tmp_path, tmp_path / "nothing", other):
        ran = run(path)
        assert (ran.returncode, "Traceback" in ran.stderr) == (2, False), path


@pytest.mark.parametrize(
    "statements",
    [
        ["PRAGMA user_version = 2"],
        ["PRAGMA application_id = 1"],
        ["DROP TABLE meta"],
        ["DROP TABLE events"],
        ["DROP TABLE runs"],
        ["DELETE FROM meta"],
        ["DROP TABLE events", "CREATE VIEW events AS SELECT 1 AS seq"],
        ["UPDATE meta SET ledger_id = zeroblob(16)"],
        ["DROP TABLE raws"],
        ["DELETE FROM runs"],
        ["DELETE FROM events"],
        ["DELETE FROM events WHERE seq = 1"],
        ["INSERT INTO events SELECT 1 << 60, op, stream, status, position, qty, px, fee,"
         " fee_currency, fill_no, version + 1000, type, type_version, ts_event, ts_received,"
         " ts_recorded, mono_ns, epoch, actor, correlation, causation, NULL, NULL, NULL, NULL,"
         " NULL, event_hash, body FROM events WHERE seq = 5"],
        ["UPDATE events SET stream = -9223372036854775808 WHERE seq = 5"],
        ["UPDATE events SET ts_event = -9223372036854775808 WHERE seq = 5"],
        ["UPDATE events SET body = replace(hex(zeroblob(50000)), '0', '[') WHERE seq = 5"],
        ["UPDATE events SET body = '{\"a\":' || replace(hex(zeroblob(5000)), '0', '9') || '}'"
         " WHERE seq = 5"],
        ["UPDATE events SET body = CAST(x'7b22ff227d' AS TEXT) WHERE seq = 5"],
        ["UPDATE events SET body = '{\"a\":1e5}' WHERE seq = 5"],
        ["UPDATE events SET body = '{\"a\":null}' WHERE seq = 5"],
        ["UPDATE events SET body = '{\"order_status\":[],\"side\":{}}' WHERE seq = 5"],
        ["UPDATE events SET body = zeroblob(1) WHERE seq = 5"],
        ["UPDATE events SET type = char(27) || '[31m' WHERE seq = 5"],
    ],
    ids=lambda statements: statements[-1][:50],
)  # fmt: skip
def test_a_hostile_ledger_is_found_out_and_survived(ledger: Path, statements: list[str]):
    untyped(ledger, *statements)

    ran = run(ledger)

    assert ran.returncode in (1, 2)
    assert "Traceback" not in ran.stderr
    assert "\x1b" not in ran.stdout


@pytest.mark.parametrize("seed", range(30))
def test_a_file_with_broken_pages_is_found_out_and_survived(ledger: Path, seed: int):
    chance = random.Random(seed)
    content = bytearray(ledger.read_bytes())
    if seed % 3 == 0:
        content = content[: chance.randrange(100, len(content))]
    else:
        for _ in range(200):
            content[chance.randrange(100, len(content))] = chance.randrange(256)
    ledger.write_bytes(content)

    ran = run(ledger)

    assert ran.returncode in (1, 2), seed
    assert "Traceback" not in ran.stderr


def test_a_flood_of_problems_is_counted_and_not_kept(tmp_path: Path, ledger: Path):
    path = exported(ledger, tmp_path / "x.jsonl")
    with path.open("a", encoding="utf-8") as file:
        file.writelines("{}\n" for _ in range(3000))

    report = report_of(path)

    assert report["problem_count"] >= 3000
    assert len(report["problems"]) == 1000


# ---- helpers


def exported(ledger: Path, path: Path, **options: Any) -> Path:
    with open_reader(ledger) as reader, path.open("wb") as file:
        export_events(reader, file, **options)
    return path


def test_the_helpers_leave_a_good_ledger_good(ledger: Path):
    """Else every tampering test would find the helper and not the tampering."""
    head = report_of(ledger)["head"]

    altered(ledger)
    untyped(ledger)
    chained_anew(ledger)

    report = report_of(ledger)
    assert (report["problems"], report["head"]) == ([], head)


def test_a_ledger_made_from_its_export_is_as_good(tmp_path: Path, ledger: Path):
    path = exported(ledger, tmp_path / "x.jsonl")
    again = tmp_path / "again.ledger"
    with path.open("rb") as file:
        reimport(file, "x.jsonl", str(again))

    report = report_of(again)

    assert (report["problems"], report["head"]) == ([], report_of(ledger)["head"])
