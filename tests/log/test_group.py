"""Callers that wait together share a commit, and never each other's trouble."""

import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fillbook.errors import AppendRefused, IdempotencyConflict, LogError, VersionConflict
from fillbook.log import group as grouping
from fillbook.log.group import Group, Request
from fillbook.log.port import Record
from fillbook.log.sqlite import SqliteLog
from fillbook.log.staging import Stage
from log.making import a_fill, draft, new_order, open_fixed
from log.test_chain import by_the_book

THREADS = 16


@pytest.fixture
def log(tmp_path: Path) -> Any:
    with open_fixed(tmp_path / "x.ledger") as opened:
        yield opened


class Queue(deque[Request]):
    """A queue that tells when so many have come."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count
        self.is_long = threading.Event()

    def append(self, request: Request) -> None:
        super().append(request)
        if len(self) >= self._count:
            self.is_long.set()


class Stall:
    """Has the writer at work until so many callers have queued up; then counts each commit's."""

    def __init__(self, log: SqliteLog, callers: int) -> None:
        self.sizes: list[int] = []
        self._commit = log._group._commit
        self._log = log
        self._queue = log._group._waiting = Queue(callers - 1)  # the first of them leads
        log._group._commit = self
        log._mutex.acquire()
        threading.Thread(target=self._let_go).start()

    def _let_go(self) -> None:
        self._queue.is_long.wait(60)
        self._log._mutex.release()

    def __call__(self, requests: list[Request]) -> None:
        self.sizes.append(len(requests))
        self._commit(requests)


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Run each call in a thread of its own; return what came of it, results and errors."""
    outcomes: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        try:
            outcomes[number] = calls[number]()
        except LogError as exc:
            outcomes[number] = exc

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return outcomes


def test_sixteen_threads_append_everything_once(log: SqliteLog) -> None:
    each = 25
    streams = [log.append([new_order(f"R-{n}")])[0].seq for n in range(THREADS)]

    def work(stream: int) -> list[Record]:
        return [
            log.append([draft(a_fill(n), stream, expected_version=n)])[0]
            for n in range(1, each + 1)
        ]

    outcomes = together(*[lambda stream=stream: work(stream) for stream in streams])

    seqs = sorted(record.seq for records in outcomes for record in records)
    assert seqs == list(range(THREADS + 2, THREADS + 2 + THREADS * each))
    assert [log.stream_version(stream) for stream in streams] == [each + 1] * THREADS
    assert by_the_book(log.fetch) == log.head().event_hash


def test_who_waits_meanwhile_shares_the_next_commit(log: SqliteLog) -> None:
    stall = Stall(log, THREADS)
    outcomes = together(*[lambda: log.append([draft(), draft()])] * THREADS)

    assert stall.sizes == [THREADS]
    for first, second in outcomes:
        assert second.seq == first.seq + 1, "nobody gets in between"
    assert log.head().seq == 1 + 2 * THREADS


def test_one_request_that_fails_spoils_no_other(log: SqliteLog) -> None:
    log.append([new_order("R-1"), draft(idempotency_key="k", input_hash=b"1")])
    Stall(log, 7)

    outcomes = together(
        lambda: log.append([draft()]),
        lambda: log.append([draft(a_fill(), 2, expected_version=7)]),
        lambda: log.append([draft(), draft(idempotency_key="k", input_hash=b"2")]),
        lambda: log.append([draft(), new_order("R-1")]),
        lambda: log.append([draft(a_fill(), 2, expected_version=1)]),
        lambda: log.append([draft(idempotency_key="k", input_hash=b"1")]),
        lambda: log.append([draft(a_fill(), 99)]),
    )

    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [
        list, VersionConflict, IdempotencyConflict, AppendRefused, list, list, AppendRefused
    ]  # fmt: skip
    assert outcomes[5][0].seq == 3
    assert log.head().seq == 5
    assert by_the_book(log.fetch) == log.head().event_hash


def test_a_row_that_the_file_refuses_spoils_no_other(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only the file itself finds wrong comes out when everything is written already."""
    wrong = draft(correlation="x")
    Stall(log, 3)
    add = Stage._add

    def corrupt(stage: Stage, prepared: Any, *rest: Any) -> Record:
        record = add(stage, prepared, *rest)
        if prepared.draft is wrong:
            stage.rows[-1] = (record.seq, 9, *stage.rows[-1][2:])
        return record

    monkeypatch.setattr(Stage, "_add", corrupt)
    outcomes = together(
        lambda: log.append([draft()]),
        lambda: log.append([wrong]),
        lambda: log.append([draft()]),
    )

    assert [type(outcome) for outcome in outcomes] == [list, AppendRefused, list]
    assert "CHECK" in str(outcomes[1])
    assert log.head().seq == 3


def test_of_many_that_want_the_same_version_one_gets_it(log: SqliteLog) -> None:
    log.append([new_order("R-1")])
    outcomes = together(*[lambda: log.append([draft(a_fill(), 2, expected_version=1)])] * THREADS)
    assert sum(isinstance(outcome, list) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, VersionConflict) for outcome in outcomes) == THREADS - 1


def test_of_many_with_the_same_key_all_get_the_first_record(log: SqliteLog) -> None:
    one = draft(idempotency_key="k", input_hash=b"1")
    outcomes = together(*[lambda: log.append([one])] * THREADS)
    assert {records[0].seq for records in outcomes} == {2}
    assert log.head().seq == 2


def test_appends_wait_while_a_batch_is_open(log: SqliteLog) -> None:
    with log.batch() as batch:
        outcomes: list[Any] = []
        thread = threading.Thread(target=lambda: outcomes.extend(log.append([draft()])))
        thread.start()
        batch.add(draft())
        assert batch.flush().seq == 2
        batch.add(draft())
    thread.join(60)
    assert [record.seq for record in outcomes] == [4]


def test_an_interrupted_leader_leaves_the_others_their_turn(log: SqliteLog) -> None:
    """Ctrl-C in one thread must not strand those who queued up behind it."""
    stall = Stall(log, 4)
    commit = stall._commit

    def interrupted(requests: list[Request]) -> None:
        if len(stall.sizes) == 1:
            raise KeyboardInterrupt
        if len(stall.sizes) == 2:
            requests[0].error = VersionConflict(0, 0, 0)
            return  # leaves the others unsettled, as an interrupt does
        commit(requests)

    stall._commit = interrupted

    def append() -> str:
        try:
            log.append([draft()])
        except KeyboardInterrupt:
            return "interrupted"
        except VersionConflict:
            return "refused"
        return "appended"

    outcomes = together(*[append] * 4)

    assert sorted(outcomes) == ["appended", "appended", "interrupted", "refused"]
    assert stall.sizes == [4, 3, 2]
    assert log.head().seq == 3


def test_who_comes_while_others_queue_does_not_overtake_them(log: SqliteLog) -> None:
    group = log._group
    group.has_leader = True
    queue = group._waiting = Queue(1)
    appended: list[Record] = []
    thread = threading.Thread(target=lambda: appended.extend(log.append([draft()])))
    thread.start()
    assert queue.is_long.wait(30), "it did not queue"
    assert not appended

    with group._lock:
        group._pass_on_for(Request([], False))
    thread.join(60)
    assert [record.seq for record in appended] == [2]


def test_ctrl_c_as_a_lone_caller_gets_the_writer_leaves_it_free(log: SqliteLog) -> None:
    """At the first step of `append` at which it has it."""
    code = SqliteLog.append.__code__
    interrupted: list[bool] = []

    def trace(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code is not code:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and not interrupted and log._mutex.locked():
            interrupted.append(True)
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(KeyboardInterrupt):
            log.append([draft()])
    finally:
        sys.settrace(before)

    assert interrupted
    assert not log._mutex.locked()
    assert log.append([draft()])[0].seq == 2


def test_ctrl_c_after_a_shared_commit_writes_nobodys_events_twice(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the head is written down: all of it is in the file, whoever is told so or not."""
    writer = log._writer
    notes: list[bool] = []

    def note_head() -> None:
        notes.append(True)
        if len(notes) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(type(writer), "note_head", lambda self: note_head())
    monkeypatch.setattr(type(writer.heads), "is_due", lambda *_: True)
    Stall(log, 3)

    def append() -> str:
        try:
            log.append([draft(), draft()])
        except KeyboardInterrupt:
            return "interrupted"
        return "appended"

    outcomes = together(*[append] * 3)

    assert sorted(outcomes) == ["appended", "appended", "interrupted"]
    assert log.head().seq == 1 + 3 * 2


def test_an_append_that_finds_the_log_closed_says_so(log: SqliteLog) -> None:
    """It had begun before; the log is closed when its turn comes."""

    def salt(size: int) -> bytes:
        log.close()
        return bytes(size)

    log._new_salt = salt
    with pytest.raises(ValueError, match="closed"):
        log.append([draft(raw=b"x")])


def test_a_log_in_memory_can_be_read_within_its_batch() -> None:
    with SqliteLog.open(":memory:") as log, log.batch() as batch:
        batch.add(draft())
        batch.flush()
        assert [record.seq for record in log.records()] == [1, 2]


def test_a_caller_that_is_interrupted_while_it_waits_leaves_the_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[Request] = []
    release = threading.Event()
    began = threading.Event()

    def commit(requests: list[Request]) -> None:
        began.set()
        release.wait(30)
        for request in requests:
            request.records = []
            done.append(request)

    group = Group(commit, threading.Lock())
    first = Request([], False)
    leader = threading.Thread(target=group.submit, args=(first,))
    leader.start()
    began.wait(30)

    interrupt_at_the_gate(monkeypatch, lambda: None)
    with pytest.raises(KeyboardInterrupt):
        group.submit(Request([], False))
    monkeypatch.undo()
    release.set()
    leader.join(30)

    assert done == [first]
    group.submit(Request([], False))
    assert len(done) == 2


def test_a_caller_that_is_interrupted_as_it_is_told_to_lead_passes_it_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = Group(lambda requests: None, threading.Lock())
    group.has_leader = True
    interrupted, behind = Request([], False), Request([], False)
    behind.gate = threading.Lock()
    behind.gate.acquire()

    def tell_to_lead() -> None:
        assert group._waiting.popleft() is interrupted
        group._waiting.append(behind)
        interrupted.leads = True

    interrupt_at_the_gate(monkeypatch, tell_to_lead)
    with pytest.raises(KeyboardInterrupt):
        group.submit(interrupted)

    assert behind.leads
    assert not behind.gate.locked()


def test_a_caller_that_is_interrupted_before_it_leads_leaves_the_lead_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = Group(lambda requests: None, threading.Lock())

    def interrupt(own: Request) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(group, "_lead", interrupt)
    with pytest.raises(KeyboardInterrupt):
        group.submit(Request([], False))

    assert not group.has_leader


def interrupt_at_the_gate(monkeypatch: pytest.MonkeyPatch, just_before: Callable[[], None]) -> None:
    """Let Ctrl-C come to whoever waits for its turn next."""

    class Gate:
        closed = False

        def acquire(self) -> None:
            if self.closed:
                just_before()
                raise KeyboardInterrupt
            self.closed = True

    monkeypatch.setattr(grouping, "threading", SimpleNamespace(Lock=Gate))
