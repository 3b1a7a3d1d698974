"""Where the disk fails the handle stops, and what was acknowledged is in the file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fillbook.errors import LedgerDamaged, LedgerInUse, StorageFailed
from fillbook.log import _sqlite
from fillbook.log.opening import Ballast
from fillbook.log.port import Draft
from fillbook.log.reader import open_reader
from fillbook.log.sqlite import SqliteLog
from log.making import a_fill, draft, new_order, open_fixed
from log.test_chain import by_the_book

BIG = "x" * 100_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.ledger"


def full_soon(log: SqliteLog) -> None:
    """Let the database grow no further; SQLite then says what it says on a full disk."""
    connection = log._writer.connection
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")


class Failing:
    """A connection that raises at one statement, as the disk under it fails."""

    def __init__(self, connection: Any, at: str, error: Exception, before: bool = True) -> None:
        self._connection, self._at, self._error, self._before = connection, at, error, before
        self.is_closed = False

    def _run(self, method: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if not sql.startswith(self._at):
            return method(sql, *rest)
        if not self._before:
            method(sql, *rest)
        raise self._error

    def execute(self, sql: str, *rest: Any) -> Any:
        return self._run(self._connection.execute, sql, *rest)

    def executemany(self, sql: str, rows: Any) -> Any:
        return self._run(self._connection.executemany, sql, rows)

    def close(self) -> None:
        self.is_closed = True
        self._connection.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def disk_error(code: int, text: str) -> Exception:
    error = _sqlite.DatabaseError(text)
    error.sqlite_errorcode = code
    return error


IO_ERROR = disk_error(10 | 4 << 8, "disk I/O error")  # SQLITE_IOERR_FSYNC
FULL = disk_error(13, "database or disk is full")
BUSY = disk_error(5, "database is locked")
READ_ONLY = disk_error(8, "attempt to write a readonly database")
DAMAGED = disk_error(11, "database disk image is malformed")


def two() -> list[Draft]:
    return [draft(), draft()]


def fail_at(log: SqliteLog, at: str, error: Exception, before: bool = True) -> Failing:
    failing = Failing(log._writer.connection, at, error, before)
    log._writer.connection = failing  # type: ignore[assignment]
    return failing


# ---- fail-stop


@pytest.mark.parametrize("at", ["BEGIN", "INSERT", "COMMIT"])
@pytest.mark.parametrize("error", [IO_ERROR, READ_ONLY], ids=str)
def test_a_failing_disk_stops_the_handle(path: Path, at: str, error: Exception) -> None:
    log = open_fixed(path)
    log.append(two())
    failing = fail_at(log, at, error)

    with pytest.raises(StorageFailed, match=str(error)):
        log.append(two())

    assert failing.is_closed
    for feedback in (False, True):
        with pytest.raises(StorageFailed):
            log.append(two(), feedback=feedback)
    with pytest.raises(StorageFailed), log.batch():
        pass
    with pytest.raises(StorageFailed):
        log.save_snapshot(1, "r", "{}")
    log.close()

    with SqliteLog.open(path) as again:
        assert again.head().seq == 3
        assert again.append(two())[1].seq == 5


def test_a_lone_event_meets_the_failing_disk_too(path: Path) -> None:
    """It takes a shorter way, without BEGIN and COMMIT of its own."""
    log = open_fixed(path)
    log.append([draft()])
    failing = fail_at(log, "INSERT INTO events", IO_ERROR)
    with pytest.raises(StorageFailed):
        log.append([draft()])
    assert failing.is_closed
    log.close()


def test_a_commit_that_raised_is_in_doubt_and_not_tried_again(path: Path) -> None:
    """Here it did reach the file: reopening finds out, and nothing is there twice."""
    log = open_fixed(path)
    fail_at(log, "COMMIT", IO_ERROR, before=False)
    with pytest.raises(StorageFailed, match="in doubt"):
        log.append([draft(idempotency_key="k"), draft()])
    log.close()

    with SqliteLog.open(path) as again:
        assert again.head().seq == 3
        assert again.append([draft(idempotency_key="k")])[0].seq == 2


def test_a_failure_in_a_batch_stops_the_handle(path: Path) -> None:
    log = open_fixed(path)
    with pytest.raises(StorageFailed):
        _failing_batch(log)
    with pytest.raises(StorageFailed):
        log.append([draft()])
    log.close()
    with open_reader(path) as reader:
        assert reader.head().seq == 2


def _failing_batch(log: SqliteLog) -> None:
    with log.batch() as batch:
        batch.add(draft())
        batch.flush()
        fail_at(log, "COMMIT", IO_ERROR)
        batch.add(draft())


def test_damage_found_while_writing_is_called_damage(path: Path) -> None:
    log = open_fixed(path)
    fail_at(log, "INSERT", DAMAGED)
    with pytest.raises(LedgerDamaged, match="malformed"):
        log.append(two())
    log.close()


def test_another_program_at_work_in_the_file_is_only_waited_for(path: Path) -> None:
    """Nothing was written and nothing is wrong with the disk: the next append goes through."""
    with open_fixed(path) as log:
        connection = log._writer.connection
        fail_at(log, "BEGIN", BUSY)
        with pytest.raises(LedgerInUse, match="another program is writing"):
            log.append(two())
        log._writer.connection = connection
        assert log.append(two())[0].seq == 2


# ---- a full disk


def test_on_a_full_disk_feedback_is_still_recorded(path: Path) -> None:
    with open_fixed(path) as log:
        log.append([new_order("R-1")])
        full_soon(log)
        with pytest.raises(StorageFailed, match="full; nothing of this was written"):
            log.append([draft(a_fill(trade_id=BIG), 2)])

        assert not Path(f"{path}.ballast").exists()
        with pytest.raises(StorageFailed, match="only feedback"):
            log.append([new_order("R-2")])
        with pytest.raises(StorageFailed, match="only feedback"), log.batch():
            pass
        (record,) = log.append([draft(a_fill(), 2, expected_version=1)], feedback=True)
        with log.batch(feedback=True) as batch:
            batch.add(draft(a_fill(2), 2))

        assert record.seq == 3
        assert any("only feedback" in warning for warning in log.warnings)
        assert [each.seq for each in log.records()] == [1, 2, 3, 4]
        assert by_the_book(log.fetch) == log.head().event_hash


def test_the_feedback_that_found_the_disk_full_is_not_lost(path: Path) -> None:
    with open_fixed(path) as log:
        log.append([new_order("R-1")])
        full_soon(log)
        (record,) = log.append([draft(a_fill(trade_id=BIG), 2)], feedback=True)
        assert record.seq == log.head().seq == 3
    with open_reader(path) as reader:
        assert reader.head().seq == 3


def test_feedback_that_reached_the_file_is_not_written_twice(path: Path) -> None:
    """A COMMIT may raise and have happened all the same."""
    with open_fixed(path) as log:
        fail_at(log, "COMMIT", FULL, before=False)
        records = log.append(two(), feedback=True)
        assert [record.seq for record in records] == [2, 3]
        assert log.append([draft()], feedback=True)[0].seq == 4


def test_a_disk_that_is_full_again_stops_the_handle(path: Path) -> None:
    """The ballast is there once."""
    log = open_fixed(path)
    for _ in range(2):
        full_soon(log)
        with pytest.raises(StorageFailed):
            log.append([draft(raw=BIG.encode())], feedback=bool(log.warnings))
    with pytest.raises(StorageFailed):
        log.append([draft()], feedback=True)
    log.close()


def test_without_a_ballast_a_full_disk_stops_the_handle(path: Path) -> None:
    log = open_fixed(path, ballast_bytes=0)
    assert not log.release_ballast()
    full_soon(log)
    with pytest.raises(StorageFailed, match="full"):
        log.append([draft(raw=BIG.encode())], feedback=True)
    with pytest.raises(StorageFailed):
        log.append([draft()], feedback=True)
    log.close()


def test_the_ballast_is_room_on_the_disk_and_comes_back(path: Path) -> None:
    ballast = Path(f"{path}.ballast")
    with open_fixed(path) as log:
        assert ballast.stat().st_size == 1 << 20
        assert ballast.stat().st_blocks * 512 >= 1 << 20, "a hole keeps no room"
        assert log.release_ballast()
        assert not ballast.exists()
        assert not log.release_ballast()
    with SqliteLog.open(path):
        assert ballast.stat().st_size == 1 << 20


def test_a_ballast_that_cannot_be_kept_is_a_warning(path: Path) -> None:
    Path(f"{path}.ballast").mkdir()
    with open_fixed(path) as log:
        assert any("no room could be kept" in warning for warning in log.warnings)
        log.append([draft()])
    assert not Ballast(str(path), 1).release()


def test_errors_are_told_apart_by_their_code() -> None:
    assert _sqlite.trouble(IO_ERROR) == "io"
    assert _sqlite.trouble(_sqlite.DatabaseError("made by hand")) == ""
    with pytest.raises(_sqlite.DatabaseError) as caught:
        _sqlite.connect(":memory:").execute("SELECT no_such_thing")
    assert _sqlite.trouble(caught.value) == ""


@pytest.mark.parametrize(
    ("version", "has_it"),
    [((3, 6, 23), False), ((3, 7, 0), True), ((3, 51, 2), True), ((3, 51, 3), False)],
)
def test_which_sqlite_has_the_wal_reset_bug(version: tuple[int, ...], has_it: bool) -> None:
    assert _sqlite.has_wal_reset_bug(version) is has_it
