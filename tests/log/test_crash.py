"""Processes die and fork; what was acknowledged stays, and nobody else's file is touched."""

import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fillbook.errors import ForkedHandle
from fillbook.log.reader import open_reader
from fillbook.log.sqlite import SqliteLog
from log.making import draft, open_fixed, start_python
from log.test_chain import by_the_book

WRITER = """
    import sys
    sys.path.insert(0, sys.argv[2])
    from log.making import a_fill, draft, new_order
    from fillbook.log.sqlite import SqliteLog
    log = SqliteLog.open(sys.argv[1], durability=sys.argv[3])
    number = log.head().seq
    while True:
        number += 1
        records = log.append(
            [
                new_order(f"R-{number}"),
                draft(a_fill(1), -1, idempotency_key=f"fill:{number}", raw=b"8=FIX", position=0),
                draft(a_fill(2), -1),
            ][: 1 + number % 3]
        )
        print(records[-1].seq, records[-1].event_hash.hex(), flush=True)
"""


@pytest.mark.crash
@pytest.mark.parametrize("durability", ["strict", "relaxed"])
def test_killed_at_any_instant_it_keeps_all_that_it_acknowledged(
    tmp_path: Path, durability: str
) -> None:
    path = tmp_path / "x.ledger"
    tests = Path(__file__).parent.parent
    for lines in (1, 40, 7, 150):
        process = start_python(WRITER, path, tests, durability)
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        rest, err = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, err
        said += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        acknowledged = {int(seq): digest for seq, digest in map(str.split, said)}
        assert len(acknowledged) >= lines

        with open_reader(path) as reader:
            hashes = {record.seq: record.event_hash.hex() for record in reader.records()}
        assert acknowledged.items() <= hashes.items()
        assert sorted(hashes) == list(range(1, len(hashes) + 1))
        with SqliteLog.open(path) as log:
            assert by_the_book(log.fetch) == log.head().event_hash
            for seq, digest in log.fetch("SELECT seq, raw_digest FROM events"):
                assert (log.raw(seq) is None) == (digest is None), "event and raw come together"


def in_a_fork(work: Callable[[], str]) -> str:
    """Return what *work* returns in a forked child that ends as a Python ends, with its cleanup."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(send, work().encode())
            os.close(send)
        except BaseException as exc:
            os.write(send, repr(exc).encode())
        finally:
            gc.collect()
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


def test_a_forked_child_may_not_use_the_handle(tmp_path: Path) -> None:
    log = open_fixed(tmp_path / "x.ledger")
    reader = open_reader(tmp_path / "x.ledger")

    def child() -> str:
        said = []
        calls: list[Callable[[], Any]] = [
            lambda: log.append([draft()]),
            lambda: log.batch().__enter__(),
            lambda: list(log.records()),
            lambda: log.save_snapshot(1, "r", "{}"),
            lambda: list(reader.records()),
            log.close,
            reader.close,
        ]
        for call in calls:
            try:
                call()
                said.append("nothing")
            except ForkedHandle:
                said.append("refused")
        return " ".join(said)

    assert in_a_fork(child) == "refused refused refused refused refused nothing nothing"
    assert log.append([draft()])[0].seq == 2
    reader.close()
    log.close()


def test_what_a_child_leaves_behind_does_not_hurt_the_parent(tmp_path: Path) -> None:
    """Its copies of the connection and of the lock vanish with it, unclosed."""
    path = tmp_path / "x.ledger"
    log: SqliteLog | None = open_fixed(path)
    assert log is not None
    log.append([draft()])
    names = sorted(os.listdir(tmp_path))

    def child() -> str:
        nonlocal log
        log = None  # the garbage collector closes what it can
        return "gone"

    assert in_a_fork(child) == "gone"
    assert sorted(os.listdir(tmp_path)) == names, "no WAL was moved and removed"
    assert log.append([draft()])[0].seq == 3
    said = start_python(
        """
        import sys
        from fillbook.errors import LedgerInUse
        from fillbook.log.sqlite import SqliteLog
        try:
            SqliteLog.open(sys.argv[1])
        except LedgerInUse:
            print("in use")
        """,
        path,
    ).communicate(timeout=60)[0]
    assert said == "in use\n"
    log.close()


def test_a_child_that_lives_on_does_not_hold_the_lock(tmp_path: Path) -> None:
    """A robot that starts workers by fork and then dies must be able to start again."""
    path = tmp_path / "x.ledger"
    log = open_fixed(path)
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(send)
        os.read(receive, 1)  # until the parent says so
        os._exit(0)
    os.close(receive)
    log.close()
    with SqliteLog.open(path) as again:
        assert again.append([draft()])[0].seq == 2
    os.close(send)
    os.waitpid(child, 0)


@pytest.mark.crash
def test_a_child_that_ends_late_does_not_take_the_next_writer_s_wal_away(tmp_path: Path) -> None:
    """SQLite, closing a connection that it takes for the last, deletes the WAL by its name."""
    path = tmp_path / "x.ledger"
    log: SqliteLog | None = open_fixed(path)
    assert log is not None
    log.append([draft()])
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(send)
            os.read(receive, 1)
            log = None
            gc.collect()
        finally:
            os._exit(0)
    os.close(receive)
    log.close()
    process = start_python(WRITER, path, Path(__file__).parent.parent, "strict")
    assert process.stdout is not None
    acknowledged = [process.stdout.readline() for _ in range(5)]
    process.kill()
    process.communicate(timeout=60)
    os.close(send)
    os.waitpid(child, 0)

    with open_reader(path) as reader:
        assert reader.head().seq >= int(acknowledged[-1].split()[0])


def test_a_child_opens_the_ledger_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    log = open_fixed(path)
    log.append([draft()])

    def child() -> str:
        with open_reader(path) as reader:
            return str(reader.head().seq)

    assert in_a_fork(child) == "2"
    log.close()
