"""What every log promises its callers: the ledger file, the one in memory and the overlay alike."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from fillbook.core.events import ImportProgressed, InstrumentSplit, LedgerCreated
from fillbook.errors import AppendRefused, IdempotencyConflict, VersionConflict
from fillbook.log import queries
from fillbook.log.overlay import OverlayLog
from fillbook.log.port import Head, Log, Reader
from fillbook.log.reader import SqliteReader
from fillbook.log.sqlite import SqliteLog
from fillbook.log.writer import Writer
from log.making import (
    a_cancel,
    a_fill,
    a_note,
    a_submission,
    an_instrument,
    draft,
    events_of,
    new_order,
    open_fixed,
    ticking,
)


@pytest.fixture(params=["file", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteLog]:
    """One ledger of each kind."""
    path = ":memory:" if request.param == "memory" else tmp_path / "x.ledger"
    with open_fixed(path) as opened:
        yield opened


class LaidOver:
    """A log whose first append goes into a ledger, and what follows into an overlay over it."""

    def __init__(self, ledger: SqliteLog) -> None:
        self._log: Any = ledger

    def append(self, *drafts: Any) -> Any:
        try:
            return self._log.append(*drafts)
        finally:
            self._lay_over()

    def batch(self) -> Any:
        self._lay_over()
        return self._log.batch()

    def _lay_over(self) -> None:
        if isinstance(self._log, SqliteLog):
            self._log = an_overlay(self._log)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


def an_overlay(base: Reader) -> OverlayLog:
    return OverlayLog(base, clock=ticking(), mono=ticking(5_000))


@pytest.fixture(params=["file", "memory", "overlay", "overlay over history", "beside a writer"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """One log of each kind, and overlays over a base that ends at different places."""
    path = ":memory:" if request.param == "memory" else tmp_path / "x.ledger"
    with open_fixed(path) as opened:
        if request.param == "overlay":
            yield an_overlay(opened)
        elif request.param == "overlay over history":
            yield LaidOver(opened)
        elif request.param == "beside a writer":
            with SqliteReader(path) as reader:
                overlay = an_overlay(reader)
                _go_on_elsewhere(opened)
                yield overlay
        else:
            yield opened


def _go_on_elsewhere(base: SqliteLog) -> None:
    """Append what the tests append, under the same ids; the overlay must see nothing of it."""
    base.append([draft(), new_order("R-1", venue_order_id="V-1"), new_order("R-2")])
    base.append([new_order("R-0"), draft(an_instrument("SBER"), None), draft(_split("GAZP"), None)])
    base.append([draft(a_fill(n), 3, position=0 if n == 1 else 8) for n in range(1, 9)])
    base.append([key(name, b"9") for name in ("k", "a", "b", "fill:T-1:3", "fill:T-1:2", "old")])
    base.append([draft(_progress(), raw=b"8=FIX")])


def key(name: str, content: bytes = b"1", **told: Any) -> Any:
    return draft(idempotency_key=name, input_hash=content * 32, **told)


def test_the_first_event_says_which_ledger_this_is(log: Log) -> None:
    (first,) = log.records()
    assert first.event == LedgerCreated(
        ledger_id=log.ledger_id.hex(), robot="tester", format_version=1, created_by="fillbook test"
    )
    assert (first.seq, first.stream, first.version) == (1, 0, 1)
    assert log.robot == "tester"
    assert log.head() == Head(1, first.event_hash)


def test_an_append_adds_what_the_log_decides(log: Log) -> None:
    (record,) = log.append([new_order("R-1", correlation="day.fix:7")])

    assert (record.seq, record.stream, record.version, record.epoch) == (2, 2, 1, 1)
    assert record.event == a_submission("R-1")
    assert (record.actor, record.correlation) == ("ROBOT", "day.fix:7")
    assert (record.op, record.status) == (0, 1)
    assert log.head() == Head(2, record.event_hash)


def test_what_is_read_is_what_was_returned(log: Log) -> None:
    returned = log.append([new_order("R-1"), draft(a_fill(), -1, position=0, actor="VENUE")])
    read = list(log.records(after=1))
    fields = [name for name in type(read[0]).__slots__ if name not in ("_event", "__weakref__")]
    for there, here in zip(read, returned, strict=True):
        assert [getattr(there, name) for name in fields] == [getattr(here, name) for name in fields]
        assert there.event == here.event


def test_streams_count_their_own_versions(log: Log) -> None:
    log.append([new_order("R-1"), new_order("R-2")])
    log.append([draft(a_fill(1), 2), draft(a_fill(1), 3), draft(a_fill(2), 2)])
    log.append([draft()])

    assert [record.seq for record in log.records(stream=2)] == [2, 4, 6]
    assert [record.version for record in log.records(stream=2)] == [1, 2, 3]
    assert [log.stream_version(stream) for stream in (0, 2, 3, 99)] == [2, 3, 2, 0]


def test_a_draft_may_point_at_an_earlier_one_of_the_same_append(log: Log) -> None:
    """Nobody knows the seq of an event before it is appended."""
    log.append([draft(), draft()])
    order, fill, other, more = log.append(
        [
            new_order("R-1"),
            draft(a_fill(1), -1, position=0, causation=-1),
            new_order("R-2"),
            draft(a_fill(2), -2, position=-2, causation=-3),
        ]
    )
    assert (fill.stream, fill.position, fill.causation) == (order.seq, fill.seq, order.seq)
    assert (more.stream, more.position, more.causation) == (order.seq, fill.seq, other.seq)


def test_a_draft_cannot_point_at_a_later_one(log: Log) -> None:
    with pytest.raises(AppendRefused, match="draft 2 of this append is not before"):
        log.append([draft(a_fill(), -2), new_order("R-1")])
    assert log.head().seq == 1


def test_a_stream_must_have_been_opened(log: Log) -> None:
    with pytest.raises(AppendRefused, match="no stream 77"):
        log.append([draft(a_fill(), 77)])
    assert log.head().seq == 1


def test_the_expected_version_must_be_met(log: Log) -> None:
    log.append([new_order("R-1")])
    log.append([draft(a_fill(), 2, expected_version=1)])
    with pytest.raises(VersionConflict, match="at version 2, expected 1; nothing was written"):
        log.append([draft(a_cancel(), 2, expected_version=1)])
    assert log.head().seq == 3


def test_an_append_is_all_or_nothing(log: Log) -> None:
    before = log.head()
    with pytest.raises(VersionConflict):
        log.append([new_order("R-1"), key("k"), draft(a_fill(), -1, expected_version=9)])
    assert log.head() == before
    assert list(events_of(log)) == [(1, "ledger.created")]

    log.append([new_order("R-1"), key("k")])
    assert log.head().seq == 3


def test_the_same_key_again_appends_nothing(log: Log) -> None:
    (first,) = log.append([key("fill:T-1:2")])
    (again,) = log.append([key("fill:T-1:2")])

    assert (again.seq, again.event_hash) == (first.seq, first.event_hash)
    assert log.head().seq == first.seq


def test_the_same_key_twice_in_one_append(log: Log) -> None:
    first, again, third = log.append([key("k"), key("k"), draft()])
    assert (first.seq, again.seq, third.seq) == (2, 2, 3)


def test_the_same_key_again_is_no_conflict_of_versions(log: Log) -> None:
    """Its stream moved on by the first time, which is what the second one finds."""
    (opened,) = log.append([new_order("R-1")])
    fill = draft(a_fill(), opened.seq, expected_version=1, idempotency_key="k", input_hash=b"1")
    (first,) = log.append([fill])

    (again,) = log.append([fill])
    assert again.seq == first.seq
    with pytest.raises(IdempotencyConflict):
        log.append([evolve(fill, input_hash=b"2")])


def test_the_same_key_with_other_content_is_a_conflict(log: Log) -> None:
    log.append([key("k", b"1")])
    with pytest.raises(IdempotencyConflict, match="'k' was used at seq 2"):
        log.append([draft(), key("k", b"2")])
    with pytest.raises(IdempotencyConflict):
        log.append([draft(idempotency_key="k")])
    assert log.head().seq == 2


def test_new_and_known_keys_in_one_append(log: Log) -> None:
    log.append([key("a")])
    assert [record.seq for record in log.append([draft(), key("a"), key("b")])] == [3, 2, 4]


def test_a_client_id_comes_into_the_book_once(log: Log) -> None:
    log.append([new_order("R-1")])
    with pytest.raises(AppendRefused, match="client_order_id 'R-1' came into the book at seq 2"):
        log.append([new_order("R-1")])
    with pytest.raises(AppendRefused, match="seq 3"):
        log.append([new_order("R-2"), new_order("R-2")])
    assert log.head().seq == 2


def test_ids_find_their_orders(log: Log) -> None:
    log.append([new_order("R-1", venue_order_id="V-1"), new_order("R-2", venue_order_id="V-1")])
    log.append(
        [
            draft(a_cancel(), 2, client_order_id="R-1-cancel", venue_order_id="V-2"),
            key("fill:T-1:2"),
            key("fill:T-1:3"),
            key("fill:T-1:33:2"),
            key("fill:T-1"),
        ]
    )
    assert [log.find_client_order(name) for name in ("R-1", "R-1-cancel", "R-2", "R")] == [
        2, 2, 3, None
    ]  # fmt: skip
    assert [log.find_venue_orders(name) for name in ("V-1", "V-2", "V")] == [[2, 3], [2], []]


def test_a_trade_finds_its_streams_and_no_longer_id(log: Log) -> None:
    """A trade id may hold colons: T-1 must not find the fills of T-1:2."""
    streams = [log.append([new_order(f"R-{n}")])[0].stream for n in range(3)]
    for trade_id, stream in [("T-1", 2), ("T-1", 4), ("T-1:2", 3), ("T-10", 3), ("", 3)]:
        fill = a_fill(trade_id=trade_id)
        log.append([draft(fill, stream, idempotency_key=f"fill:{trade_id}:{stream}")])

    assert streams == [2, 3, 4]
    assert log.find_trades("T-1") == [2, 4]
    assert log.find_trades("T-1:2") == [3]
    assert log.find_trades("") == [3]
    assert log.find_trades("T") == []


def test_records_of_a_position_come_with_those_of_its_instrument(log: Log) -> None:
    log.append([draft(an_instrument("GAZP"), None), draft(an_instrument("SBER"), None)])
    log.append([new_order("R-1"), draft(a_fill(1), -1, position=0), draft(), new_order("R-2")])
    log.append([draft(a_fill(1, instrument_id="GAZP"), 7, position=0)])
    log.append([draft(a_fill(2), 4, position=5)])
    for name in ("SBER", "GAZP"):
        log.append([draft(_split(name), None)])

    assert [record.seq for record in log.records(position=5)] == [3, 5, 9, 10]
    assert [record.seq for record in log.records(position=8)] == [2, 8, 11]
    assert [record.seq for record in log.records(position=5, after=3, upto=9)] == [5, 9]


def _split(instrument_id: str) -> InstrumentSplit:
    return InstrumentSplit(
        instrument_id=instrument_id, numerator=Decimal(2), denominator=Decimal(1)
    )


def test_ranges_leave_out_their_beginning_and_have_their_end(log: Log) -> None:
    log.append([draft() for _ in range(9)])
    assert [record.seq for record in log.records(after=3, upto=6)] == [4, 5, 6]
    assert [row[0] for row in log.rows(after=3, upto=6)] == [4, 5, 6]
    assert [record.seq for record in log.records(after=8, stream=0)] == [9, 10]
    assert list(log.records(after=10)) == []


def test_long_logs_are_read_page_by_page(log: Log) -> None:
    """Pages are no boundary: nothing is left out and nothing comes twice."""
    count = 5200
    log.append([new_order("R-1"), draft(a_fill(1), -1, position=0)])
    log.append([draft(a_fill(n), 2, position=3) for n in range(2, count)])

    everything = list(range(1, count + 2))
    assert [record.seq for record in log.records()] == everything
    assert [row[0] for row in log.rows()] == everything
    assert [record.seq for record in log.records(stream=2)] == everything[1:]
    assert [record.seq for record in log.records(position=3)] == everything[2:]


def test_orders_come_one_after_the_other_whatever_came_between(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the log their events are mixed, with one another and with those that are no order's."""
    log.append([new_order("R-1"), draft(an_instrument(), None), new_order("R-2"), draft()])
    for n in (1, 2, 3):
        log.append([draft(a_fill(n), 2), draft(a_fill(n), 4)])
    whole = [2, 6, 8, 10, 4, 7, 9, 11]

    for size in (1, 2, 3, 4, 8, 1000):
        monkeypatch.setattr(queries, "_RECORDS_PER_PAGE", size)
        assert [record.seq for record in log.order_records()] == whole
        assert [record.seq for record in log.order_records(upto=8)] == [2, 6, 8, 4, 7]
    assert list(log.order_records(upto=1)) == []


def test_rows_hold_what_the_fast_fold_reads(log: Log) -> None:
    log.append(
        [
            new_order("R-1"),
            draft(a_fill(1), -1, position=0),
            draft(a_fill(2), -1, position=-2),
            draft(a_fill(3, last_px=None), -1, position=-2),
        ]
    )
    rows = {row[0]: row for row in log.rows()}

    assert rows[2] == (2, 0, 2, 1, None, None, None, None, None)
    assert rows[3] == (3, 1, 2, 3, 3, 400_000_000, 10_140_000_000, 12_000_000, "RUB")
    assert rows[5] == (5, 2, 2, 3, 3, None, None, None, None)  # its body is in its record


def test_imports_are_found(log: Log) -> None:
    progress = _progress()
    log.append([draft(), draft(progress), draft()])
    assert [record.event for record in log.imports()] == [progress]


def _progress() -> ImportProgressed:
    return ImportProgressed(
        name="day.fix", format="fix", length=10, sha256="00", line=1, message_count=1
    )


# ---- batches


def test_a_batch_gives_seqs_at_once_and_is_durable_after_a_flush(log: Log) -> None:
    with log.batch() as batch:
        order = batch.add(new_order("R-1"))
        fill = batch.add(draft(a_fill(), order.stream, expected_version=1, position=0))
        assert (order.seq, fill.seq, fill.version) == (2, 3, 2)
        assert log.head().seq == 1
        assert batch.flush() == log.head() == Head(3, fill.event_hash)
        batch.add(draft())
    assert log.head().seq == 4


def _interrupted(log: Log) -> None:
    with log.batch() as batch:
        batch.add(new_order("R-1"))
        batch.flush()
        batch.add(draft(a_fill(), 2))
        batch.add(new_order("R-2"))
        batch.add(key("k"))
        raise KeyboardInterrupt


def _interrupted(log: Log) -> None:
    with log.batch() as batch:
        batch.add(new_order("R-1"))
        batch.flush()
        batch.add(draft(a_fill(), 2))
        batch.add(new_order("R-2"))
        batch.add(key("k"))
        raise KeyboardInterrupt


def test_an_exception_discards_what_came_after_the_last_flush(log: Log) -> None:
    with pytest.raises(KeyboardInterrupt):
        _interrupted(log)
    assert log.head().seq == 2

    records = log.append([new_order("R-2"), key("k", b"2"), draft(a_fill(), 2, expected_version=1)])
    assert [record.seq for record in records] == [3, 4, 5]


def test_a_refused_draft_leaves_the_batch_as_it_was(log: Log) -> None:
    log.append([key("old")])
    with log.batch() as batch:
        batch.add(new_order("R-1"))
        batch.add(key("new"))
        for refused, error in [
            (key("old", b"2"), IdempotencyConflict),
            (key("new", b"2"), IdempotencyConflict),
            (new_order("R-1"), AppendRefused),
            (draft(a_fill(), 3, expected_version=0), VersionConflict),
        ]:
            with pytest.raises(error):
                batch.add(refused)
        assert batch.add(key("old")).seq == 2
        assert batch.add(key("new")).seq == 4
        batch.add(draft(a_fill(), 3, expected_version=1))
    assert [seq for seq, _ in events_of(log)] == [1, 2, 3, 4, 5]


def test_inside_a_batch_only_the_batch_appends(log: Log) -> None:
    """Waiting for itself would be waiting for ever."""
    with log.batch():
        for forbidden in (
            lambda: log.append([draft()]),
            lambda: log.batch().__enter__(),
            lambda: log.save_snapshot(1, "r", "{}"),
        ):
            with pytest.raises(RuntimeError, match="inside a batch"):
                forbidden()
        assert log.head().seq == 1


def test_an_interrupt_right_after_a_commit_finds_what_it_did(
    ledger: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has it, and the log goes on from there instead of refusing for ever."""
    done = Writer._is_committed
    calls = []

    def interrupted(writer: Writer) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        done(writer)

    monkeypatch.setattr(Writer, "_is_committed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ledger.append([draft(), draft()])
    assert ledger.head().seq == 3
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        _one_batch(ledger)
    assert ledger.head().seq == 4
    assert ledger.append([draft()])[0].seq == 5


def _one_batch(log: SqliteLog) -> None:
    with log.batch() as batch:
        batch.add(draft())


def test_what_an_append_returns_is_decoded_already_and_up_to_date(log: Log) -> None:
    event = a_fill()
    (record,) = log.append([draft(event, None)])
    assert record.event is event
    assert next(log.records(after=1)).event == event


# ---- what may be thrown away


def test_a_snapshot_is_found_by_who_folded_it(ledger: SqliteLog) -> None:
    ledger.append([draft(), draft()])
    ledger.save_snapshot(2, "reducer-1", '{"a":1}')
    assert ledger.load_snapshot("reducer-1") == (2, '{"a":1}')
    assert ledger.load_snapshot("reducer-2") is None

    ledger.save_snapshot(3, "reducer-2", "{}")
    assert ledger.load_snapshot("reducer-2") == (3, "{}")
    assert ledger.load_snapshot("reducer-1") is None, "only the last one is kept"


def test_a_snapshot_of_nothing_is_refused_and_the_old_one_stays(ledger: SqliteLog) -> None:
    ledger.save_snapshot(1, "r", "1")
    with pytest.raises(AppendRefused, match="seq 99"):
        ledger.save_snapshot(99, "r", "2")
    assert ledger.load_snapshot("r") == (1, "1")
    ledger.append([draft()])


def test_a_snapshot_over_another_history_is_passed_over(ledger: SqliteLog) -> None:
    ledger.save_snapshot(1, "r", "1")
    ledger._writer.connection.execute("UPDATE snapshots SET event_hash = zeroblob(32)")
    assert ledger.load_snapshot("r") is None


def test_positions_are_replaced_as_a_whole(ledger: SqliteLog) -> None:
    row = ("default", "SBER", "10", "101.5", "0", "-1.2", "RUB", 3)
    ledger.refresh_positions([row, ("default", "GAZP", "0", None, "5", "5", None, 2)], 1)
    ledger.refresh_positions([row], 1)
    assert ledger.fetch("SELECT * FROM positions") == [(*row, 1)]


def test_disposable_things_do_not_touch_the_log(log: Log) -> None:
    head = log.head()
    log.save_snapshot(1, "r", "1")
    log.refresh_positions([], 1)
    assert log.head() == head
    assert log.append([draft(a_note())])[0].seq == 2


def test_nothing_to_append_appends_nothing(log: Log) -> None:
    assert log.append([]) == []
    with log.batch():
        pass
    assert log.head().seq == 1


def test_a_closed_log_says_so(log: Log) -> None:
    log.close()
    log.close()
    for call in (lambda: log.append([draft()]), lambda: list(log.records())):
        with pytest.raises(ValueError, match="closed"):
            call()
