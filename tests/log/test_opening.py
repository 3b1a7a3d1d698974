"""Opening says in one sentence what is wrong, and leaves everything as it was."""

import json
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from fillbook.errors import (
    BadInput,
    FillbookError,
    LedgerDamaged,
    LedgerInUse,
    LedgerNotFound,
    LedgerNotWritable,
    LedgerTooNew,
    NotALedger,
)
from fillbook.log import _sqlite
from fillbook.log.lock import holder, network_file_system
from fillbook.log.reader import open_reader
from fillbook.log.sqlite import SqliteLog
from log.making import (
    draft,
    new_order,
    open_fixed,
    open_folder,
    python,
    run_as_nobody,
    start_python,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.ledger"


def written(path: Path) -> Path:
    with open_fixed(path) as log:
        log.append([new_order("R-1"), draft()])
    return path


def is_one_sentence(error: FillbookError) -> bool:
    return "\n" not in str(error) and "Traceback" not in str(error)


# ---- what is no ledger


def a_text(path: Path) -> None:
    path.write_text("8=FIX.4.4|9=65|35=A\n" * 100)


def a_short_text(path: Path) -> None:
    path.write_text("hello")


def one_byte(path: Path) -> None:
    path.write_bytes(b"\0")


def a_directory(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def another_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE trades (id)")
    connection.commit()
    connection.close()


def another_program_s_empty_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 7")
    connection.execute("VACUUM")
    connection.close()


KINDS = [
    (a_text, "no SQLite database"),
    (a_short_text, "a file of 5 bytes"),
    (one_byte, "a file of 1 bytes"),
    (a_directory, "a directory"),
    (a_pipe, "a device or a pipe"),
    (another_database, "an SQLite database of something else"),
    (another_program_s_empty_database, "an SQLite database of something else"),
]


@pytest.mark.parametrize(("make", "found"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("open_it", [SqliteLog.open, open_reader], ids=["write", "read"])
def test_what_is_no_ledger_is_named_and_not_touched(
    path: Path, make: Any, found: str, open_it: Any
) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else None

    with pytest.raises(NotALedger, match=f"{found}, not a fillbook ledger") as caught:
        open_it(path)

    assert is_one_sentence(caught.value)
    assert os.listdir(path.parent) == [path.name], "nothing was put beside it"
    assert before is None or path.read_bytes() == before


def test_a_missing_file_is_made_or_missed(path: Path) -> None:
    for open_it in (open_reader, lambda path: SqliteLog.open(path, create=False)):
        with pytest.raises(LedgerNotFound, match="no such ledger"):
            open_it(path)
    assert not path.exists()
    assert os.listdir(path.parent) == []
    SqliteLog.open(path).close()
    assert path.exists()


def test_an_empty_file_may_become_a_ledger(path: Path) -> None:
    path.touch()
    with pytest.raises(NotALedger, match="an empty database"):
        open_reader(path)
    with SqliteLog.open(path) as log:
        assert log.head().seq == 1


def test_a_schema_without_a_ledger_may_become_one(path: Path) -> None:
    """What `sqlite-utils migrate` leaves, or a crash between the schema and the first event."""
    with open_fixed(path) as log:
        log.append([draft()])
    empty = path.with_name("empty.ledger")
    shutil.copy(path, empty)
    connection = sqlite3.connect(empty)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        connection.execute(f"DROP TRIGGER {name}")
    for table in ("events", "runs", "meta"):
        connection.execute(f"DELETE FROM {table}")
    connection.commit()
    connection.close()

    with pytest.raises(NotALedger, match="no ledger was begun"):
        open_reader(empty)
    with SqliteLog.open(empty) as log:
        assert [record.type for record in log.records()] == ["ledger.created"]


def test_a_wal_that_lost_its_ledger_is_not_thrown_away(path: Path) -> None:
    """SQLite deletes it when it opens an empty file beside it."""
    wal = Path(f"{path}-wal")
    wal.write_bytes(b"what is left")
    for _ in range(2):
        with pytest.raises(LedgerDamaged, match="missing or empty, but its -wal is there"):
            SqliteLog.open(path)
        path.touch()
    assert wal.read_bytes() == b"what is left"
    assert not Path(f"{path}.lock").exists()


def test_a_newer_format_is_left_alone(path: Path) -> None:
    written(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    before = path.read_bytes()
    for open_it in (open_reader, SqliteLog.open):
        with pytest.raises(LedgerTooNew, match="format 2, this fillbook reads up to 1"):
            open_it(path)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_not_made(path: Path) -> None:
    with pytest.raises(LedgerNotWritable, match="its folder does not exist"):
        SqliteLog.open(path / "deeper" / "x.ledger")
    assert not path.exists()


def test_damaged_pages_are_called_damage(path: Path) -> None:
    with open_fixed(path) as log:
        log.append([draft(raw=b"x" * 500) for _ in range(500)])
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    for open_it in (open_reader, SqliteLog.open):
        with pytest.raises(LedgerDamaged) as caught:
            open_it(path)
        assert is_one_sentence(caught.value)
    assert path.read_bytes() == content


def test_a_last_event_that_does_not_fit_its_hash_is_damage(path: Path) -> None:
    written(path)
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER events_no_update")
    connection.execute("UPDATE events SET body = replace(body, 'order', 'odour') WHERE seq = 3")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerDamaged, match=r"the last event, seq 3, does not fit its hash"):
        SqliteLog.open(path)


# ---- what cannot be written


def test_a_read_only_folder_is_read_and_not_written(tmp_path: Path) -> None:
    folder = open_folder(tmp_path) / "closed"
    folder.mkdir()
    path = written(folder / "x.ledger")
    for name in folder.iterdir():
        name.chmod(0o444)
    folder.chmod(0o555)

    def as_nobody() -> str:
        with pytest.raises(LedgerNotWritable, match="its folder cannot be written"):
            SqliteLog.open(path)
        with pytest.raises(LedgerNotWritable, match="its folder cannot be written"):
            SqliteLog.open(folder / "new.ledger")
        with open_reader(path) as reader:
            return f"read to seq {reader.head().seq}"

    assert run_as_nobody(as_nobody) == "read to seq 3"
    folder.chmod(0o755)


def test_a_read_only_file_is_read_and_not_written(tmp_path: Path) -> None:
    folder = open_folder(tmp_path) / "open"
    folder.mkdir()
    folder.chmod(0o777)
    path = written(folder / "x.ledger")
    path.chmod(0o444)

    def as_nobody() -> str:
        with pytest.raises(LedgerNotWritable, match="the file cannot be written"):
            SqliteLog.open(path)
        with open_reader(path) as reader:
            return f"read to seq {reader.head().seq}"

    assert run_as_nobody(as_nobody) == "read to seq 3"


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    path = written(open_folder(tmp_path) / "x.ledger")
    path.chmod(0)

    def as_nobody() -> str:
        with pytest.raises(LedgerNotWritable, match="check who may read it"):
            open_reader(path)
        return "refused"

    assert run_as_nobody(as_nobody) == "refused"


def test_durabilities_are_read_back(path: Path) -> None:
    for number, (durability, level) in enumerate({"strict": 2, "relaxed": 1, "bulk": 0}.items()):
        with open_fixed(path.with_name(f"{number}"), durability=durability) as log:
            connection = log._writer.connection
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
            log.append([draft()])
        with open_reader(path.with_name(f"{number}")) as reader:
            assert reader.head().seq == 2


def test_bulk_is_for_new_files_only(path: Path) -> None:
    written(path)
    with pytest.raises(BadInput, match="only for a new ledger"):
        SqliteLog.open(path, durability="bulk")
    with pytest.raises(BadInput, match="'none' keeps nothing"):
        SqliteLog.open(path, durability="none")
    with pytest.raises(BadInput, match="'sloppy' is no durability"):
        SqliteLog.open(path, durability="sloppy")  # type: ignore[arg-type]
    with open_fixed(path) as log:
        assert log.head().seq == 3


def test_a_pragma_that_sqlite_does_not_follow_is_noticed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers one it cannot follow with silence, and the events would be less than durable."""
    import fillbook.log.opening as opening

    class Deaf:
        def __init__(self, connection: Any) -> None:
            self.connection = connection

        def execute(self, sql: str) -> Any:
            return self.connection.execute(sql.replace("synchronous=2", "synchronous=1"))

        def close(self) -> None:
            self.connection.close()

    connect = opening.connect
    monkeypatch.setattr(opening, "connect", lambda *a, **k: Deaf(connect(*a, **k)))
    with pytest.raises(LedgerNotWritable, match="synchronous 1 instead of wal, 2"):
        SqliteLog.open(path)


def test_opening_and_doing_nothing_changes_nothing(path: Path) -> None:
    written(path)
    before = path.read_bytes()
    for _ in range(2):
        with SqliteLog.open(path) as log:
            assert len(log.runs()) == 1
    assert path.read_bytes() == before
    with SqliteLog.open(path) as log:
        log.append([draft()])
        assert [run.epoch for run in log.runs()] == [1, 2]


def test_several_ledgers_are_open_side_by_side(path: Path) -> None:
    with open_fixed(path) as one, open_fixed(path.with_name("y.ledger")) as other:
        one.append([draft()])
        other.append([draft(), draft()])
        assert (one.head().seq, other.head().seq) == (2, 3)


def test_another_robot_s_name_is_a_warning(path: Path) -> None:
    written(path)
    with SqliteLog.open(path, robot="someone") as log:
        assert any("of robot 'tester', not 'someone'" in warning for warning in log.warnings)
        assert log.robot == "tester"


# ---- one writer


def test_a_second_writer_is_told_who_the_first_is(path: Path) -> None:
    with open_fixed(path) as log:
        with pytest.raises(LedgerInUse, match=f"process {os.getpid()} on .*, since 20"):
            SqliteLog.open(path)
        said = python(
            """
            import sys
            from fillbook.errors import LedgerInUse
            from fillbook.log.sqlite import SqliteLog
            try:
                SqliteLog.open(sys.argv[1])
            except LedgerInUse as exc:
                print(exc)
            """,
            path,
        )
        assert f"process {os.getpid()}" in said
        assert "nothing was written" in said
        log.append([draft()])
    SqliteLog.open(path).close()


def test_a_link_to_a_ledger_is_that_ledger(path: Path) -> None:
    link = path.with_name("link.ledger")
    with open_fixed(path):
        link.symlink_to(path)
        with pytest.raises(LedgerInUse):
            SqliteLog.open(link)


def test_the_lock_of_the_dead_is_free(path: Path) -> None:
    """Their note is still in the lock file; nobody waits for it."""
    process = start_python(
        """
        import os, sys
        from fillbook.log.sqlite import SqliteLog
        SqliteLog.open(sys.argv[1])
        print("open", flush=True)
        sys.stdin.read()
        """,
        path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    process.kill()
    process.communicate()
    assert str(process.pid) in Path(f"{path}.lock").read_text()

    with SqliteLog.open(path):
        assert f"process {os.getpid()} on" in holder(str(path))
    assert Path(f"{path}.lock").read_text() == ""


def test_the_note_of_the_dead_is_not_shown_for_a_new_holder(path: Path) -> None:
    """Who just took the lock may not have written yet who they are."""
    process = start_python("")
    process.communicate(timeout=60)
    Path(f"{path}.lock").write_text(
        json.dumps({"host": os.uname().nodename, "pid": process.pid, "since": "2026"})
    )
    assert holder(str(path)) == "another process"
    Path(f"{path}.lock").write_text(
        json.dumps({"host": "elsewhere", "pid": process.pid, "since": "2026"})
    )
    assert holder(str(path)) == f"process {process.pid} on elsewhere, since 2026,"


def test_a_failed_opening_lets_the_lock_go(path: Path) -> None:
    written(path)
    for _ in range(2):
        with pytest.raises(BadInput):
            SqliteLog.open(path, durability="bulk")
    SqliteLog.open(path).close()


def test_four_processes_that_open_a_new_file_at_once_make_one_ledger(path: Path) -> None:
    """The schema is made once; one becomes the writer, the others are told who it is."""
    at = str(time.time() + 1.0)
    processes = [
        start_python(
            """
            import sys, time
            from fillbook.errors import LedgerInUse
            from fillbook.log.sqlite import SqliteLog
            while time.time() < float(sys.argv[2]):
                pass
            try:
                log = SqliteLog.open(sys.argv[1])
                print("writer", flush=True)
                sys.stdin.read()
                log.close()
            except LedgerInUse as exc:
                print(exc, flush=True)
            """,
            path,
            at,
        )
        for _ in range(4)
    ]
    said = [process.stdout.readline().strip() for process in processes if process.stdout]
    writers = [process for process, word in zip(processes, said, strict=True) if word == "writer"]
    assert len(writers) == 1, said
    others = [word for word in said if word != "writer"]
    assert len(others) == 3
    for word in others:
        assert f"process {writers[0].pid} on" in word
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    with open_reader(path) as reader:
        assert [record.type for record in reader.records()] == ["ledger.created"]
        assert len(reader.fetch("SELECT * FROM _sqlite_migrations")) == 1


def test_four_processes_that_migrate_a_new_file_at_once_make_one_schema(path: Path) -> None:
    """Without our lock: this is the transaction's own doing."""
    at = str(time.time() + 1.0)
    processes = [
        start_python(
            """
            import sys, time
            from fillbook.log._sqlite import connect
            from fillbook.log.schema import format_of, migrate
            connection = connect(sys.argv[1], timeout_s=30)
            while time.time() < float(sys.argv[2]):
                pass
            connection.execute("BEGIN IMMEDIATE")
            if format_of(connection, sys.argv[1]) == 0:
                migrate(connection)
                print("made")
            connection.execute("COMMIT")
            """,
            path,
            at,
        )
        for _ in range(4)
    ]
    said = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        said.append(out)
    assert sorted(said) == ["", "", "", "made\n"]


# ---- network file systems

MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /mnt/share rw,relatime shared:9 - nfs4 server:/x rw,vers=4.2
31 30 254:1 / /mnt/share/local rw - xfs /dev/vdb rw
32 22 0:30 / /mnt/with\040space rw - fuse.sshfs host: rw
33 22 0:31 / /over rw - cifs //host/x rw
34 33 254:2 / /over rw - ext4 /dev/vdc rw
35 22 0:32 / /home/c rw - 9p c rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", None),
        ("/var/lib", None),
        ("/mnt/share", "nfs4"),
        ("/mnt/share/deep/er", "nfs4"),
        ("/mnt/shared", None),
        ("/mnt/share/local/x", None),
        ("/mnt/with space/x", "fuse.sshfs"),
        ("/over", None),
        ("/home/c/x", "9p"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(folder: str, kind: str | None) -> None:
    assert network_file_system(folder, MOUNTS) == kind


def test_a_ledger_on_a_network_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fillbook.log.lock as lock

    mounts = path.with_name("mountinfo")
    mounts.write_text(MOUNTS + f"40 22 0:40 / {path.parent} rw - nfs server:/y rw\n")
    opened = open

    def instead(name: Any, *arguments: Any, **told: Any) -> Any:
        return opened(mounts if name == "/proc/self/mountinfo" else name, *arguments, **told)

    monkeypatch.setattr(lock, "open", instead, raising=False)
    with pytest.raises(LedgerNotWritable, match=r"a network file system \(nfs\).*backup"):
        SqliteLog.open(path)
    assert not path.exists()


def test_the_sqlite_in_use_is_the_one_that_sqlite_utils_takes() -> None:
    """Two SQLite libraries on one file in one process drop each other's locks."""
    from sqlite_utils.utils import sqlite3 as theirs

    assert theirs.__name__.partition(".")[0] == _sqlite.MODULE
