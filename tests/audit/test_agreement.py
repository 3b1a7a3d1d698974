"""The witness and `verify` are two programs; about one file they must come to one conclusion.

A hundred and more times one thing in a good ledger is changed, as someone would who has the file
and SQLite.  Whatever the chain, a rule of the file or a column that repeats a body can show must be
found by both, at the same seq and by the same word.
"""

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from audit.ledgers import a_long_day
from fillbook.audit.verify import verify
from fillbook.errors import FillbookError
from fillbook.log.heads import read_checkpoint
from fillbook.log.reader import open_reader
from ledger.playing import GOLDEN
from ledger.tampering import altered, chained_anew, untyped

WITNESS = run_path(str(GOLDEN.parent / "witness.py"))

Finding = tuple[int, str]
Change = Callable[[Path, random.Random], None]

ONLY_VERIFY = {"fold", "positions", "head", "unreadable"}
"""What needs the fold, which the witness has not, or a table that is gone."""

FOLLOWS = {"client_order_id", "venue_order_id", "body"}
"""What they may say differently of an order once an event of it cannot be believed: `verify` folds
it no further, and knows more of what a body must hold."""

UNREADABLE: set[Finding] = {(0, "unreadable")}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_long_day(tmp_path_factory.mktemp("good"))


@pytest.fixture
def ledger(good: Path, tmp_path: Path) -> Path:
    for suffix in ("", ".heads"):
        shutil.copy(f"{good}{suffix}", tmp_path / f"x.ledger{suffix}")
    return tmp_path / "x.ledger"


def witness_finds(ledger: Path) -> set[Finding]:
    try:
        report = WITNESS["examine"](str(ledger))
    except (WITNESS["Unreadable"], *WITNESS["TROUBLE"]):
        return UNREADABLE
    assert report["problem_count"] == len(report["problems"])
    return {(one["seq"], one["what"]) for one in report["problems"]}


def verify_finds(ledger: Path) -> set[Finding]:
    try:
        with open_reader(ledger) as reader:
            verdict = verify(reader, checkpoint=read_checkpoint(str(ledger))[0])
    except FillbookError:
        return UNREADABLE
    assert verdict.problem_count == len(verdict.problems)
    return {(one.seq, one.what) for one in verdict.problems}


def test_both_accept_the_day_and_name_its_head(good: Path):
    report = WITNESS["examine"](str(good))
    with open_reader(good) as reader:
        verdict = verify(reader, checkpoint=read_checkpoint(str(good))[0])

    assert verdict.head.seq > 200
    assert len(verdict.counts) > 35
    assert (report["problems"], verdict.problems) == ([], [])
    assert report["head"]["seq"] == verdict.head.seq
    assert report["head"]["event_hash"] == verdict.head.event_hash.hex()
    assert {name.split()[0]: n for name, n in report["types"].items()} == verdict.counts


# ---- what may be changed


def rows(ledger: Path, sql: str) -> list[Any]:
    database = sqlite3.connect(ledger)
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()


def another(value: Any, chance: random.Random) -> Any:
    """Return a value of the same kind that differs in one byte, or by one."""
    if value is None:
        return chance.randrange(1, 100)
    if isinstance(value, int):
        return value + chance.choice([-1, 1])
    if isinstance(value, str):
        at = chance.randrange(len(value))
        other = chance.choice([c for c in "0aZ" if c != value[at]])
        return value[:at] + other + value[at + 1 :]
    changed = bytearray(value)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def field_of(table: str, column: str) -> Change:
    """Return a change of one field in a row where it is there."""

    def change(ledger: Path, chance: random.Random) -> None:
        key = "epoch" if table == "runs" else "id" if table == "meta" else "seq"
        found = rows(ledger, f"SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL")
        at, value = chance.choice(found)
        new = another(value, chance)
        if column in ("stream", "version"):  # where it does not meet another event's
            new += 1000
        altered(ledger, (f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (new, at)))

    return change


def nothing_in(column: str) -> Change:
    """Return a change that empties a field, or fills one that is empty."""

    def change(ledger: Path, chance: random.Random) -> None:
        seq, value = chance.choice(rows(ledger, f"SELECT seq, {column} FROM events"))
        new: Any = None
        if value is None:
            texts = ("fee_currency", "client_order_id", "venue_order_id", "idempotency_key",
                     "correlation")  # fmt: skip
            new = "X" if column in texts else b"x" * 32 if "h" in column else 1
        altered(ledger, (f"UPDATE events SET {column} = ? WHERE seq = ?", (new, seq)))

    return change


def deleted_event(ledger: Path, chance: random.Random) -> None:
    (seq,) = chance.choice(rows(ledger, "SELECT seq FROM events"))
    altered(ledger, ("DELETE FROM events WHERE seq = ?", (seq,)))


def swapped_events(ledger: Path, chance: random.Random) -> None:
    one, other = chance.sample([seq for (seq,) in rows(ledger, "SELECT seq FROM events")], 2)
    move = "UPDATE events SET seq = ? WHERE seq = ?"
    altered(ledger, (move, (-1, one)), (move, (one, other)), (move, (other, -1)))


def cut_tail(ledger: Path, chance: random.Random) -> None:
    ((head,),) = rows(ledger, "SELECT max(seq) FROM events")
    left = head - chance.randrange(1, 20)
    altered(
        ledger,
        f"DELETE FROM raws WHERE seq > {left}",
        f"DELETE FROM events WHERE seq > {left}",
    )


def dropped(kind: str) -> Change:
    def change(ledger: Path, chance: random.Random) -> None:
        names = rows(
            ledger,
            f"SELECT name FROM sqlite_master WHERE type = '{kind}' AND sql IS NOT NULL"
            " AND name NOT LIKE '%migrations%' AND name NOT IN ('events', 'meta', 'runs')",
        )
        database = sqlite3.connect(ledger)
        database.execute(f"DROP {kind} {chance.choice(names)[0]}")
        database.commit()
        database.close()

    return change


def added(statement: str) -> Change:
    def change(ledger: Path, chance: random.Random) -> None:
        database = sqlite3.connect(ledger)
        database.execute(statement)
        database.commit()
        database.close()

    return change


def weakened_trigger(ledger: Path, chance: random.Random) -> None:
    """The trigger is there, under its name, and lets everything pass."""
    name, sql = chance.choice(
        rows(ledger, "SELECT name, sql FROM sqlite_master WHERE name LIKE '%no_update'")
    )
    database = sqlite3.connect(ledger)
    database.execute(f"DROP TRIGGER {name}")
    database.execute(sql.replace(" BEGIN", " WHEN 0 BEGIN"))
    database.close()


def lost_raw(ledger: Path, chance: random.Random) -> None:
    (seq,) = chance.choice(rows(ledger, "SELECT seq FROM raws"))
    altered(ledger, f"DELETE FROM raws WHERE seq = {seq}")


def foreign_raw(ledger: Path, chance: random.Random) -> None:
    (seq,) = chance.choice(rows(ledger, "SELECT seq FROM events WHERE raw_digest IS NULL"))
    altered(ledger, (f"INSERT INTO raws VALUES ({seq}, 1, ?, ?, x'00')", (b"s" * 16, b"h" * 32)))


def half_erased_raw(ledger: Path, chance: random.Random) -> None:
    (seq,) = chance.choice(rows(ledger, "SELECT seq FROM raws"))
    altered(ledger, f"UPDATE raws SET salt = NULL WHERE seq = {seq}")


def foreign_run(ledger: Path, chance: random.Random) -> None:
    altered(ledger, f"INSERT INTO runs VALUES (2, '{'0' * 32}', NULL, 1, 'h', 'v', 1)")


HASHED = (
    "stream", "version", "type", "type_version", "ts_event", "ts_recorded", "mono_ns", "epoch",
    "correlation", "causation", "idempotency_key", "raw_digest", "event_hash", "body",
)  # fmt: skip
REPEATED = (
    "op", "status", "position", "qty", "px", "fee", "fee_currency", "fill_no", "client_order_id",
    "venue_order_id",
)  # fmt: skip

CHANGES: dict[str, Change] = {
    **{f"events.{column}": field_of("events", column) for column in (*HASHED, *REPEATED)},
    **{f"nothing in {column}": nothing_in(column) for column in (
        "ts_event", "ts_received", "correlation", "causation", "idempotency_key", "input_hash",
        "raw_digest", "status", "position", "qty", "px", "fee", "fee_currency", "fill_no",
        "client_order_id", "venue_order_id",
    )},
    **{f"raws.{column}": field_of("raws", column) for column in (
        "length", "salt", "sha256", "raw",
    )},
    **{f"runs.{column}": field_of("runs", column) for column in ("epoch", "run_id", "boot_id")},
    **{f"meta.{column}": field_of("meta", column) for column in (
        "ledger_id", "robot", "format_version", "chain_domain",
    )},
    **{f"drop {kind}": dropped(kind) for kind in ("trigger", "index", "view", "table")},
    "another trigger": added(
        "CREATE TRIGGER quiet BEFORE INSERT ON events BEGIN SELECT RAISE(IGNORE); END"
    ),
    "another table": added("CREATE TABLE notes (a)"),
    "another view": added("CREATE VIEW notes AS SELECT 1"),
    "weakened trigger": weakened_trigger,
    "deleted event": deleted_event,
    "swapped events": swapped_events,
    "cut tail": cut_tail,
    "lost raw": lost_raw,
    "foreign raw": foreign_raw,
    "half erased raw": half_erased_raw,
    "foreign run": foreign_run,
    "application_id": added("PRAGMA application_id = 7"),
    "user_version": added("PRAGMA user_version = 2"),
}  # fmt: skip

CASES = [(name, seed) for name in CHANGES for seed in range(3 if "events." in name else 2)]


def test_there_are_enough_cases():
    assert len(CASES) > 120


@pytest.mark.parametrize(("name", "seed"), CASES, ids=lambda part: str(part))
def test_both_find_what_was_changed(ledger: Path, name: str, seed: int):
    CHANGES[name](ledger, random.Random(f"{name} {seed}"))

    by_witness, by_verify = witness_finds(ledger), verify_finds(ledger)

    assert by_witness, "the witness saw nothing"
    assert by_verify, "verify saw nothing"
    if UNREADABLE not in (by_witness, by_verify):
        apart = ONLY_VERIFY
        if any(what in ("hash", "seq") for _, what in by_witness):
            apart = ONLY_VERIFY | FOLLOWS
        assert by_verify - named(by_verify, apart) == by_witness - named(by_witness, apart)


def named(found: set[Finding], words: set[str]) -> set[Finding]:
    return {one for one in found if one[1] in words}


# ---- rules apart from the chain: whoever has the file can work out every hash again

LAST = "(SELECT max(seq) FROM events)"
FILL = "(SELECT max(seq) FROM events WHERE type = 'order.filled' AND op = 1)"
MARK = "(SELECT max(seq) FROM events WHERE type = 'instrument.marked')"

RULES: dict[str, tuple[list[str], set[str]]] = {
    "a stream named by no event of its own": (
        [f"UPDATE events SET stream = {MARK} - 1000, version = 1 WHERE seq = {MARK}"],
        {"stream"},
    ),
    "a stream named by a later event": (
        [f"UPDATE events SET stream = seq + 1000 WHERE seq = {MARK}"],
        {"stream"},
    ),
    "a stream named by another stream's event": (
        [f"UPDATE events SET stream = {FILL}, version = 1 WHERE seq = {MARK}"],
        {"stream"},
    ),
    "a stream that begins with another event": (
        [f"UPDATE events SET stream = {MARK} - 1 WHERE seq = {MARK}"],
        {"stream"},
    ),
    "a version left out": ([f"UPDATE events SET version = version + 1 WHERE seq = {LAST}"],
                           {"version"}),
    "an epoch left out": (
        [
            f"INSERT INTO runs VALUES (2, '{'0' * 32}', NULL, 1, 'h', 'v', 1)",
            f"INSERT INTO runs VALUES (3, '{'0' * 32}', NULL, 1, 'h', 'v', 1)",
            f"UPDATE events SET epoch = 3 WHERE seq = {LAST}",
        ],
        {"epoch"},
    ),
    "an epoch that comes back": (
        [
            f"INSERT INTO runs VALUES (2, '{'0' * 32}', NULL, 1, 'h', 'v', 1)",
            f"UPDATE events SET epoch = 2 WHERE seq = {LAST} - 1",
        ],
        {"epoch"},  # both runs did append, so `runs` is as it should be
    ),
    "runs that do not begin with 1": (
        ["UPDATE runs SET epoch = 2", "UPDATE events SET epoch = 2"],
        {"epoch", "runs"},
    ),
    "a second beginning": (
        [
            "UPDATE events SET type = 'ledger.created',"
            f" body = (SELECT body FROM events WHERE seq = 1) WHERE seq = {LAST}"
        ],
        {"type"},
    ),
    "a beginning with something else": (
        [
            "UPDATE events SET type = 'message.set_aside',"
            """ body = '{"kind":"order","problem":"none"}' WHERE seq = 1"""
        ],
        {"type"},
    ),
    "another identity": (
        ["UPDATE events SET body = replace(body, 'golden\"}', 'silver\"}') WHERE seq = 1"],
        {"identity"},
    ),
    "a fill under a key of its own": (
        [f"UPDATE events SET idempotency_key = 'fill:X:1' WHERE seq = {FILL}"],
        {"idempotency_key"},
    ),
    "a number that stands for NULL": (
        [f"UPDATE events SET ts_received = -9223372036854775808 WHERE seq = {LAST}"],
        {"value"},
    ),
    "a space in a body": (
        [f"UPDATE events SET body = replace(body, ',', ', ') WHERE seq = {LAST}"],
        {"body"},
    ),
    "a null in a body": (
        [f"UPDATE events SET body = rtrim(body, '}}') || ',\"zz\":null}}' WHERE seq = {LAST}"],
        {"body"},
    ),
    "a key twice in a body": (
        [f"UPDATE events SET body = replace(body, '{{', '{{\"line\":1,') WHERE seq = {LAST}"],
        {"body"},
    ),
    "a decimal that is none": (
        [f"UPDATE events SET body = replace(body, '\"last_qty\":\"', '\"last_qty\":\"0')"
         f" WHERE seq = {FILL}"],
        {"body"},
    ),
    "an event of no run": ([f"UPDATE events SET epoch = 9 WHERE seq = {LAST}"], {"run", "epoch"}),
    "another chain": (["UPDATE meta SET chain_domain = 'x'"], {"meta"}),
    "another format": (["UPDATE meta SET format_version = 2"], {"meta"}),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_both_find_a_broken_rule_under_a_chain_that_holds(ledger: Path, name: str):
    statements, words = RULES[name]
    Path(f"{ledger}.heads").unlink()
    if words & {"run"}:  # nobody could work out such a hash
        altered(ledger, *statements)
    else:
        chained_anew(ledger, *statements)

    by_witness, by_verify = witness_finds(ledger), verify_finds(ledger)

    assert {what for _, what in by_witness} == words
    assert by_verify - named(by_verify, ONLY_VERIFY) == by_witness


def test_both_list_what_a_broken_page_leaves_to_be_seen(good: Path, ledger: Path):
    """A page that SQLite cannot get past takes little else with it: whoever verifies wants all."""
    whole = ledger.read_bytes()
    ((size,),) = rows(good, "PRAGMA page_size")
    listed = 0
    for page in range(2, len(whole) // size + 1):
        start = (page - 1) * size
        ledger.write_bytes(whole[:start] + b"\xff" * 8 + whole[start + 8 :])

        by_witness, by_verify = witness_finds(ledger), verify_finds(ledger)

        assert (by_witness == UNREADABLE) == (by_verify == UNREADABLE), page
        if by_witness != UNREADABLE:
            listed += 1
            assert (0, "integrity") in by_witness
            assert by_verify - named(by_verify, ONLY_VERIFY) == by_witness - named(
                by_witness, ONLY_VERIFY
            ), page
    assert listed > 40


@pytest.mark.parametrize("column", ["run_id", "boot_id"])
def test_both_find_a_run_whose_name_is_no_text(ledger: Path, column: str):
    """No hash can be worked out with it, and a traceback is no answer."""
    untyped(ledger, f"UPDATE runs SET {column} = x'3030'")

    by_witness, by_verify = witness_finds(ledger), verify_finds(ledger)

    assert {what for _, what in by_witness} == {"integrity", "run", "runs"}
    assert by_verify == by_witness


def test_both_find_one_id_in_two_orders(ledger: Path):
    """The UNIQUE column is left empty for the second: only the bodies tell."""
    (one, first), (other, second) = rows(
        ledger,
        "SELECT seq, client_order_id FROM events WHERE type = 'order.submitted' LIMIT 2",
    )
    Path(f"{ledger}.heads").unlink()
    chained_anew(
        ledger,
        f"UPDATE events SET body = replace(body, '\"{second}\"', '\"{first}\"')",
        f"UPDATE events SET client_order_id = NULL WHERE seq = {other}",
    )

    by_witness, by_verify = witness_finds(ledger), verify_finds(ledger)

    assert one < other
    assert by_witness == by_verify == {(other, "client_order_id")}


@pytest.mark.parametrize(
    "column", ["pid", "host", "program_version", "ts_opened"]
)  # who wrote is told, not sworn to: only run_id and boot_id are in the chain
def test_neither_can_see_what_nothing_holds(ledger: Path, column: str):
    field_of("runs", column)(ledger, random.Random(1))

    assert (witness_finds(ledger), verify_finds(ledger)) == (set(), set())


def test_both_find_a_snapshot_of_another_history(ledger: Path):
    altered(ledger, "INSERT INTO snapshots VALUES (5, zeroblob(32), 'x', '{}')")

    assert witness_finds(ledger) == verify_finds(ledger) == {(5, "snapshot")}


def test_both_find_an_index_that_does_not_have_the_table_s_rows(ledger: Path):
    """A robot that asks such an index for its order would be told that it never sent one."""
    database = sqlite3.connect(ledger, isolation_level=None)
    database.execute("PRAGMA writable_schema = ON")
    text = "sql = replace(sql, 'client_order_id IS NOT NULL', '1 = 1 AND client_order_id NOTNULL')"
    where = "WHERE name = 'events_client_order_id'"
    ((before,),) = database.execute(f"SELECT sql FROM sqlite_master {where}").fetchall()
    database.execute(f"UPDATE sqlite_master SET {text.replace('NOTNULL', 'IS NULL')} {where}")
    database.close()
    database = sqlite3.connect(ledger, isolation_level=None)
    database.execute("REINDEX events_client_order_id")
    database.execute("PRAGMA writable_schema = ON")
    database.execute(f"UPDATE sqlite_master SET sql = ? {where}", (before,))
    database.close()

    found = witness_finds(ledger)

    assert {what for _, what in found} == {"integrity"}
    assert verify_finds(ledger) == found
