"""Reading needs no writer, hinders none, and works where nothing can be written."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from fillbook.errors import BadValue, LedgerDamaged, LedgerNotWritable, UnknownEventVersion
from fillbook.log.reader import SqliteReader, open_reader
from fillbook.log.sqlite import SqliteLog
from log.making import (
    draft,
    new_order,
    open_fixed,
    open_folder,
    run_as_nobody,
    start_python,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.ledger"


def test_readers_see_whole_appends_while_the_writer_works(path: Path) -> None:
    log = open_fixed(path)
    seen: list[int] = []
    stop = threading.Event()
    with open_reader(path) as reader:

        def follow() -> None:
            last = 0
            while not stop.is_set() or reader.head().seq > last:
                for record in reader.records(after=last):
                    assert record.seq == last + 1
                    last = record.seq
                    seen.append(last)

        def look() -> None:
            while not stop.is_set():
                assert reader.head().seq % 3 == 1, "half an append was seen"

        threads = [threading.Thread(target=follow), threading.Thread(target=look)]
        for thread in threads:
            thread.start()
        for _ in range(200):
            log.append([draft(), draft(), draft()])
        stop.set()
        for thread in threads:
            thread.join(60)
    log.close()
    assert seen == list(range(1, 602))


def test_a_reader_in_another_process_sees_what_was_acknowledged(path: Path) -> None:
    process = start_python(
        """
        import sys
        from fillbook.log.reader import open_reader
        reader = None
        for line in sys.stdin:
            reader = reader or open_reader(sys.argv[1])
            print(reader.head().seq, len(list(reader.records())), flush=True)
        """,
        path,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with open_fixed(path) as log:
        for seq in range(2, 30):
            log.append([draft()])
            print("look", file=process.stdin, flush=True)
            assert process.stdout.readline() == f"{seq} {seq}\n"
    process.communicate(timeout=60)


def test_a_reader_outlives_the_writer_and_sees_the_next_one(path: Path) -> None:
    log = open_fixed(path)
    with open_reader(path) as reader:
        log.append([draft()])
        log.close()
        assert reader.head().seq == 2
        with SqliteLog.open(path) as again:
            again.append([draft()])
            assert reader.head().seq == 3


def test_a_reader_writes_nothing_into_the_ledger(path: Path) -> None:
    with open_fixed(path) as log:
        log.append([draft()])
    before = path.read_bytes()
    with open_reader(path) as reader:
        list(reader.records())
        with pytest.raises(LedgerNotWritable, match="open for reading only"):
            reader.fetch("DELETE FROM snapshots")
    assert path.read_bytes() == before


def killed_with_a_wal(folder: Path) -> Path:
    """A ledger whose newest events are only in its WAL, as a killed writer leaves it."""
    path = folder / "x.ledger"
    live = folder / "live.ledger"
    log = open_fixed(live)
    log.append([new_order("R-1"), draft()])
    for suffix in ("", "-wal"):
        shutil.copy(f"{live}{suffix}", f"{path}{suffix}")
    log.close()
    return path


def test_the_wal_of_a_killed_writer_is_read(tmp_path: Path) -> None:
    with open_reader(killed_with_a_wal(tmp_path)) as reader:
        assert reader.head().seq == 3


def test_the_wal_is_read_even_where_nothing_can_be_written(tmp_path: Path) -> None:
    """SQLite alone either fails here or, as `immutable`, leaves the WAL out in silence."""
    folder = open_folder(tmp_path) / "closed"
    folder.mkdir()
    path = killed_with_a_wal(folder)
    for name in folder.iterdir():
        name.chmod(0o444)
    folder.chmod(0o555)
    names = sorted(os.listdir(folder))

    def as_nobody() -> str:
        with open_reader(path) as reader:
            copied = reader._copied_to
            assert copied is not None
            seqs = [record.seq for record in reader.records()]
        assert not os.path.exists(copied), "the copy is taken away again"
        return str(seqs)

    assert run_as_nobody(as_nobody) == "[1, 2, 3]"
    assert sorted(os.listdir(folder)) == names
    folder.chmod(0o755)


def test_a_reader_of_a_file_at_rest_notices_the_writer_that_comes(tmp_path: Path) -> None:
    """It holds no lock there, so it looks before each page whether the file is still the same."""
    folder = open_folder(tmp_path) / "closed"
    folder.mkdir()
    path = folder / "x.ledger"
    with open_fixed(path) as log:
        log.append([draft()])
    path.chmod(0o444)
    folder.chmod(0o555)
    ask, asked = os.pipe()
    told, tell = os.pipe()

    def as_nobody() -> str:
        with open_reader(path) as reader:
            first = reader.head().seq
            assert reader._immutable_of is not None
            os.write(tell, b".")
            os.read(ask, 1)
            return f"{first} {reader.head().seq}"

    def write() -> None:
        os.read(told, 1)
        folder.chmod(0o755)
        with SqliteLog.open(path) as log:
            log.append([draft()])
        folder.chmod(0o555)
        os.write(asked, b".")

    if os.geteuid() != 0:
        pytest.skip("needs a second user")
    thread = threading.Thread(target=write)
    thread.start()
    assert run_as_nobody(as_nobody) == "2 3"
    thread.join(60)
    folder.chmod(0o755)


def with_a_row(path: Path, **changed: object) -> SqliteReader:
    """A reader of a ledger to which an event was added that this program would not write."""
    with open_fixed(path):
        pass
    import sqlite3

    row = {
        "seq": 2, "op": 3, "stream": 2, "version": 1, "type": "order.dreamt", "type_version": 1,
        "ts_recorded": 1, "mono_ns": 1, "epoch": 1, "actor": "ROBOT", "event_hash": bytes(32),
        "body": "{}",
    } | changed  # fmt: skip
    connection = sqlite3.connect(path)
    connection.execute(
        f"INSERT INTO events ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
        tuple(row.values()),
    )
    connection.commit()
    connection.close()
    return open_reader(path)


def test_an_event_from_the_future_is_listed_and_not_folded(path: Path) -> None:
    with with_a_row(path, type="order.filled", type_version=3, body='{"new":1}') as reader:
        (_, record) = reader.records()
        assert (record.type, record.type_version, record.body) == ("order.filled", 3, '{"new":1}')
        with pytest.raises(UnknownEventVersion, match=r"seq 2: event order\.filled version 3"):
            _ = record.event


def test_a_body_that_is_not_what_its_type_demands_is_named_by_its_seq(path: Path) -> None:
    with with_a_row(path, type="message.set_aside", body='{"kind":"a","problem":"b","x":1}') as r:
        (_, record) = r.records()
        with pytest.raises(BadValue, match=r"seq 2: message\.set_aside version 1: .*`x`"):
            _ = record.event


def test_text_that_is_no_text_is_damage(path: Path) -> None:
    with with_a_row(path) as reader:
        pass
    import sqlite3

    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER events_no_update")
    connection.execute("UPDATE events SET type = CAST(x'ff' AS TEXT) WHERE seq = 2")
    connection.commit()
    connection.close()
    with open_reader(path) as reader, pytest.raises(LedgerDamaged, match="UTF-8"):
        list(reader.records())


def test_a_closed_reader_says_so(path: Path) -> None:
    open_fixed(path).close()
    reader = open_reader(path)
    reader.close()
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.head()


def test_a_reader_can_be_shared_by_threads(path: Path) -> None:
    with open_fixed(path) as log:
        log.append([draft() for _ in range(3000)])
    counts: list[int] = []
    with open_reader(path) as reader:
        threads = [
            threading.Thread(target=lambda: counts.append(len(list(reader.records()))))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert counts == [3001] * 8


def test_a_reader_that_leaves_nothing_makes_no_file_and_sees_a_writer_that_comes(
    path: Path,
) -> None:
    with open_fixed(path) as log:
        log.append([draft()])
        head = log.head()
    before = sorted(os.listdir(path.parent))
    with open_reader(path, leaves_nothing=True) as reader:
        assert reader.head() == head
        assert sorted(os.listdir(path.parent)) == before
        with open_fixed(path) as log:
            log.append([draft()])
            assert reader.head() == log.head()
            with open_reader(path, leaves_nothing=True) as beside:
                assert beside.head() == log.head()
