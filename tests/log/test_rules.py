"""The file defends itself: against another process, with no code of ours, through plain SQLite."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fillbook.errors import AppendRefused
from fillbook.log.sqlite import SqliteLog
from log.making import a_fill, draft, events_of, new_order, open_fixed, start_python

SHELL = """
    import json, sqlite3, sys

    def content(connection):
        return [line for line in connection.iterdump() if line.startswith("INSERT")]

    for line in sys.stdin:
        path, statement = json.loads(line)
        connection = sqlite3.connect(path, isolation_level=None)
        before = content(connection)
        try:
            connection.execute(statement)
            said = "done"
        except sqlite3.Error as exc:
            said = str(exc)
        print(json.dumps([said, content(connection) == before]), flush=True)
        connection.close()
"""
"""The standard library's sqlite3, which is a shell that every machine has."""

COLUMNS = (
    "seq, stream, version, op, type, type_version, ts_recorded, mono_ns, epoch, actor, "
    "event_hash, body, idempotency_key, client_order_id"
)
NEXT = {
    "seq": "6", "stream": "6", "version": "1", "op": "3", "type": "'x'", "type_version": "1",
    "ts_recorded": "1", "mono_ns": "1", "epoch": "1", "actor": "'ROBOT'",
    "event_hash": "zeroblob(32)", "body": "'{}'", "idempotency_key": "NULL",
    "client_order_id": "NULL",
}  # fmt: skip
"""A row that carries on where `ledger` ends."""


class Shell:
    """Another process with a connection that knows nothing of us."""

    def __init__(self) -> None:
        self.process = start_python(SHELL)

    def __call__(self, path: Path, statement: str) -> tuple[str, bool]:
        """Return what SQLite said to *statement*, and whether all is as it was before."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([str(path), statement]), file=self.process.stdin, flush=True)
        said, is_unchanged = json.loads(self.process.stdout.readline())
        return said, is_unchanged


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    one = Shell()
    yield one
    one.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five events, every kind of unique key among them."""
    path = tmp_path_factory.mktemp("rules") / "x.ledger"
    with open_fixed(path) as log:
        log.append([new_order("R-1"), new_order("R-2")])
        log.append([draft(a_fill(), 2, idempotency_key="fill:T-1:2", raw=b"8=FIX", position=0)])
        log.append([draft()])
    return path


@pytest.fixture
def ledger(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(template, tmp_path))


def insert(how: str = "INSERT", **changed: str) -> str:
    values = ", ".join((NEXT | changed)[name.strip()] for name in COLUMNS.split(","))
    return f"{how} INTO events ({COLUMNS}) VALUES ({values})"


HOWS = ["INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE", "INSERT OR ROLLBACK"]


def test_a_row_that_carries_on_is_taken(ledger: Path, shell: Shell) -> None:
    """Else the refusals below would prove nothing."""
    assert shell(ledger, insert()) == ("done", False)
    assert shell(ledger, insert(seq="7", stream="2", version="3")) == ("done", False)
    assert shell(ledger, insert(seq="8", stream="0", version="3")) == ("done", False)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"seq": "5"}, "events: seq must be the last seq + 1"),
        ({"seq": "8"}, "events: seq must be the last seq + 1"),
        ({"seq": "NULL"}, "events: seq must be the last seq + 1"),
        ({"stream": "2", "version": "2"}, "events: version must be the last version of the stream"),
        ({"stream": "2", "version": "4"}, "events: version must be the last version of the stream"),
        ({"version": "2"}, "events: version must be the last version of the stream"),
        ({"stream": "77"}, "events: a stream is named by the seq of its first event"),
        ({"epoch": "0"}, "events: epoch must be the current writer epoch"),
        ({"epoch": "2"}, "events: epoch must be the current writer epoch"),
        ({"idempotency_key": "'fill:T-1:2'"}, "events: idempotency_key is in the ledger already"),
        ({"client_order_id": "'R-1'"}, "events: client_order_id is in the ledger already"),
        ({"event_hash": "zeroblob(31)"}, "CHECK constraint failed"),
        ({"actor": "'NOBODY'"}, "CHECK constraint failed"),
        ({"op": "4"}, "CHECK constraint failed"),
    ],
    ids=str,
)
def test_no_row_breaks_a_rule(
    ledger: Path, shell: Shell, how: str, changed: dict[str, str], rule: str
) -> None:
    said, is_unchanged = shell(ledger, insert(how, **changed))
    if how == "INSERT OR IGNORE" and rule.startswith("CHECK"):
        assert said == "done", "SQLite leaves such a row out in silence"
    else:
        assert rule in said
    assert is_unchanged


@pytest.mark.parametrize("how", ["INSERT OR REPLACE", "REPLACE"])
@pytest.mark.parametrize(
    ("unique", "statement"),
    [
        ("events.seq", insert("{how}", seq="2", stream="2")),
        ("events.stream,version", insert("{how}", stream="2", version="1")),
        ("events.idempotency_key", insert("{how}", idempotency_key="'fill:T-1:2'")),
        ("events.client_order_id", insert("{how}", client_order_id="'R-2'")),
        ("runs.epoch", "{how} INTO runs SELECT 1, run_id, boot_id, 7, host, '9', 1 FROM runs"),
        ("raws.seq", "{how} INTO raws VALUES (4, 5, zeroblob(16), zeroblob(32), x'00')"),
        ("meta.id", "{how} INTO meta VALUES (1, zeroblob(16), 'thief', 1, 'x')"),
    ],
    ids=lambda value: value if "." in value and " " not in value else "",
)
def test_replace_deletes_no_row_by_any_unique_key(
    ledger: Path, shell: Shell, how: str, unique: str, statement: str
) -> None:
    """REPLACE deletes the row that holds the key without asking any DELETE trigger."""
    said, is_unchanged = shell(ledger, statement.replace("{how}", how))
    assert said.startswith(unique.split(".")[0] + ":"), said
    assert is_unchanged


def test_those_are_all_the_unique_keys_there_are(ledger: Path) -> None:
    with SqliteLog.open(ledger) as log:
        unique = {
            f"{table}.{','.join(row[2] for row in log.fetch(f'PRAGMA index_info({index})'))}"
            for (table,) in log.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")
            for _, index, is_unique, *_ in log.fetch(f"PRAGMA index_list({table})")
            if is_unique
        } | {
            f"{table}.{column}"
            for (table,) in log.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")
            for _, column, kind, _, _, primary in log.fetch(f"PRAGMA table_info({table})")
            if primary and kind == "INTEGER"
        }
    disposable = {"snapshots.seq", "positions.account_id,instrument_id"}
    of_sqlite_utils = {"_sqlite_migrations.id", "_sqlite_migrations.migration_set,name"}
    assert unique - disposable - of_sqlite_utils == {
        "events.seq", "events.stream,version", "events.idempotency_key", "events.client_order_id",
        "runs.epoch", "raws.seq", "meta.id",
    }  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET body = '{}' WHERE seq = 2",
        "UPDATE OR REPLACE events SET seq = 3 WHERE seq = 2",
        "UPDATE events SET body = body",
        "DELETE FROM events WHERE seq = 5",
        "DELETE FROM events",
        "UPDATE runs SET boot_id = 'x'",
        "DELETE FROM runs",
        "UPDATE meta SET robot = 'thief'",
        "DELETE FROM meta",
        "DELETE FROM raws",
        "UPDATE raws SET raw = x'00'",
        "UPDATE raws SET raw = NULL",
        "UPDATE raws SET salt = NULL, sha256 = NULL",
        "UPDATE raws SET salt = NULL, sha256 = NULL, raw = NULL, length = 0",
        "UPDATE OR REPLACE raws SET salt = NULL, sha256 = NULL, raw = NULL, seq = 3",
        "INSERT INTO raws VALUES (3, 5, zeroblob(16), zeroblob(32), x'00')",
        "INSERT INTO runs SELECT 5, run_id, boot_id, pid, host, '1', 1 FROM runs",
        insert(seq="5") + " ON CONFLICT (seq) DO UPDATE SET body = '{}'",
    ],
)
def test_nothing_written_is_changed_or_taken_away(
    ledger: Path, shell: Shell, statement: str
) -> None:
    said, is_unchanged = shell(ledger, statement)
    assert said.split(":")[0] in {"events", "runs", "meta", "raws"}, said
    assert is_unchanged


def test_a_raw_message_can_be_erased_and_the_chain_holds(ledger: Path, shell: Shell) -> None:
    erase = "UPDATE raws SET salt = NULL, sha256 = NULL, raw = NULL WHERE seq = 4"
    assert shell(ledger, erase) == ("done", False)
    with SqliteLog.open(ledger) as log:
        raw = log.raw(4)
        assert raw is not None
        assert (raw.length, raw.salt, raw.sha256, raw.raw) == (5, None, None, None)
        assert log.append([draft()])[0].seq == 6


def test_a_writer_of_an_older_epoch_is_locked_out(ledger: Path, shell: Shell) -> None:
    """It may still believe that it holds the lock, after a pause or on a copied lock file."""
    with SqliteLog.open(ledger) as log:
        log.append([draft()])
        said, _ = shell(ledger, insert(seq="7", epoch="1"))
        assert said == "events: epoch must be the current writer epoch"
        assert [seq for seq, _ in events_of(log)] == [1, 2, 3, 4, 5, 6]


def test_a_row_that_another_program_appended_stops_the_writer_in_the_open(
    ledger: Path, shell: Shell
) -> None:
    """It kept to the rules, so the file took it; the writer's own next row does not fit then."""
    with SqliteLog.open(ledger) as log:
        log.append([draft()])
        assert shell(ledger, insert(seq="7", stream="7", epoch="2"))[0] == "done"
        with pytest.raises(AppendRefused, match="seq must be the last seq"):
            log.append([draft()])
