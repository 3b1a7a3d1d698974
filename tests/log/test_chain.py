"""The chain is what FORMAT.md says it is, byte for byte."""

import hashlib
import struct
from pathlib import Path
from typing import Any

import pytest

from fillbook._resources import ledger_path
from fillbook.log.chain import RAW_KEPT, RAW_LIMIT, genesis, hash_of_record
from fillbook.log.reader import open_reader
from fillbook.log.sqlite import SqliteLog
from log.making import a_fill, a_submission, draft, new_order, open_fixed

HEAD = "9b5ed04224d404ffb3c6a6361e636ae1c1457c1ba1a3fda7a33ef6c4d3e62e73"
"""Of the ledger that `written` makes; its first event is the worked example of FORMAT.md."""


def written(path: Any) -> SqliteLog:
    """A ledger of three events that never changes."""
    log = open_fixed(path)
    log.append(
        [
            new_order("R-1", correlation="day.fix:1"),
            draft(
                a_fill(ts_event=1_700_000_000_000_000_000, ts_received=None),
                -1,
                position=0,
                actor="VENUE",
                causation=-1,
                correlation="day.fix:2",
                raw=b"8=FIX.4.4|",
                idempotency_key="fill:T-1:2",
                input_hash=b"\x07" * 32,
            ),
        ]
    )
    return log


def by_the_book(fetch: Any) -> bytes:
    """Hash a whole ledger as a reader in another language would: from the columns alone."""
    ((ledger_id,),) = fetch("SELECT ledger_id FROM meta")
    runs = {epoch: rest for epoch, *rest in fetch("SELECT epoch, run_id, boot_id FROM runs")}
    prev: bytes = hashlib.sha256(b"fillbook.genesis.v1\0" + ledger_id).digest()
    for row in fetch(
        "SELECT seq, stream, version, type_version, ts_event, ts_received, ts_recorded, mono_ns,"
        " epoch, causation, type, actor, correlation, idempotency_key, input_hash, raw_digest,"
        " body, event_hash FROM events ORDER BY seq"
    ):
        ints, (type_, actor, *others, event_hash) = row[:10], row[10:]
        run_id, boot_id = runs[row[8]]
        content = b"fillbook.event.v1\0" + ledger_id + prev
        for number in ints:
            content += struct.pack(">q", -(2**63) if number is None else number)
        for part in (type_, run_id, boot_id, actor, *others):
            if part is None:
                content += b"\xff\xff\xff\xff"
            else:
                data = part.encode() if isinstance(part, str) else part
                content += struct.pack(">I", len(data)) + data
        prev = hashlib.sha256(content).digest()
        assert prev == event_hash
    return prev


def test_the_hashes_are_those_of_the_format() -> None:
    with written(":memory:") as log:
        assert log.head().seq == 3
        assert by_the_book(log.fetch) == log.head().event_hash


def test_a_fixed_ledger_has_a_fixed_head() -> None:
    """Another head here means that no released ledger verifies any more."""
    with written(":memory:") as log:
        assert log.head().event_hash.hex() == HEAD


def test_the_format_shows_the_same_example() -> None:
    """Whoever writes a reader checks it against that page."""
    page = (ledger_path() / "FORMAT.md").read_text()
    with written(":memory:") as log:
        first = next(log.records())
        shown = {
            "its hash": first.event_hash.hex(),
            "the genesis": genesis(log.ledger_id).hex(),
            "its body": first.body,
            "its length": f"{len(first.body):08x}` and {len(first.body)} bytes",
            "its times": f"{first.ts_recorded:016x} {first.mono_ns:016x}",
        }
    for what, text in shown.items():
        assert text in page, what


def test_hash_of_record_agrees() -> None:
    with written(":memory:") as log:
        prev = genesis(log.ledger_id)
        (run,) = log.runs()
        for record in log.records():
            prev = hash_of_record(log.ledger_id, prev, record, run)
            assert prev == record.event_hash


OTHER = {
    "stream": 77, "version": 77, "type_version": 77, "ts_event": 77, "ts_received": 77,
    "ts_recorded": 77, "mono_ns": 77, "epoch": 77, "causation": None, "type": "order.dreamt",
    "actor": "ROBOT", "correlation": "day.fix:3", "idempotency_key": "fill:T-2:2",
    "input_hash": None, "raw_digest": None, "body": "{}",
}  # fmt: skip


@pytest.mark.parametrize("column", OTHER)
def test_every_hashed_column_changes_the_hash(column: str) -> None:
    with written(":memory:") as log:
        (run,) = log.runs()
        *_, before, record = log.records()
        assert getattr(record, column) != OTHER[column]
        setattr(record, column, OTHER[column])
        assert hash_of_record(log.ledger_id, before.event_hash, record, run) != record.event_hash


def test_null_is_not_the_empty_text() -> None:
    hashes = []
    for correlation in (None, ""):
        with open_fixed(":memory:") as log:
            (record,) = log.append([draft(correlation=correlation)])
            hashes.append(record.event_hash)
    assert hashes[0] != hashes[1]


def test_the_raw_message_is_kept_with_its_salt() -> None:
    with written(":memory:") as log:
        raw = log.raw(3)
        (record,) = log.records(after=2)
        assert raw is not None
        assert raw.raw == b"8=FIX.4.4|"
        assert raw.sha256 == hashlib.sha256(b"8=FIX.4.4|").digest()
        content = b"fillbook.raw.v1\0" + bytes(range(16)) + struct.pack(">Q", 10) + raw.sha256
        assert record.raw_digest == hashlib.sha256(content).digest()
        assert log.raw(2) is None


def test_of_a_huge_message_the_beginning_is_kept() -> None:
    huge = bytes(range(256)) * (RAW_LIMIT // 256) + b"!"
    with open_fixed(":memory:") as log:
        log.append([draft(raw=huge)])
        log.append([draft(raw=huge[:-1])])
        log.append([draft(raw=b"start", raw_length=10**9, raw_sha256=b"\1" * 32)])

        first, whole, told = log.raw(2), log.raw(3), log.raw(4)

    assert first is not None
    assert whole is not None
    assert told is not None
    assert (first.length, first.raw) == (RAW_LIMIT + 1, huge[:RAW_KEPT])
    assert first.sha256 == hashlib.sha256(huge).digest()
    assert (whole.length, whole.raw) == (RAW_LIMIT, huge[:-1])
    assert (told.length, told.raw, told.sha256) == (10**9, b"start", b"\1" * 32)


def test_every_run_is_in_the_hashes(tmp_path: Path) -> None:
    """The same events by another run are another history."""
    path = tmp_path / "x.ledger"
    written(path).close()
    with SqliteLog.open(path) as log:
        log.append([draft(a_submission("R-2"), None)])
    with open_reader(path) as reader:
        assert [run.epoch for run in reader.runs()] == [1, 2]
        assert by_the_book(reader.fetch) == reader.head().event_hash
