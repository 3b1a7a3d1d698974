"""An export is the ledger in another form: it comes back the same, or not at all."""

import io
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from audit.ledgers import a_long_day
from fillbook.audit.export import export_events
from fillbook.audit.lines import day_of
from fillbook.audit.reimport import is_export, reimport
from fillbook.audit.verify import verify
from fillbook.errors import BadInput, UnknownEventVersion
from fillbook.log.reader import open_reader
from fillbook.log.sqlite import SqliteLog
from ledger.playing import GOLDEN, START, play
from ledger.tampering import altered


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_long_day(tmp_path_factory.mktemp("good"))


def exported(ledger: Path, **options: Any) -> bytes:
    out = io.BytesIO()
    with open_reader(ledger) as reader:
        export_events(reader, out, **options)
    return out.getvalue()


def table(ledger: Path, name: str) -> list[Any]:
    database = sqlite3.connect(f"{ledger.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        return database.execute(f"SELECT * FROM {name}").fetchall()
    finally:
        database.close()


# ---- there and back


def test_a_ledger_comes_back_row_for_row(good: Path, tmp_path: Path):
    again = tmp_path / "again.ledger"

    head = reimport(io.BytesIO(exported(good, with_raw=True)), "x", str(again))

    assert head.seq > 200
    for name in ("events", "raws", "runs", "meta"):
        assert table(again, name) == table(good, name), name
    assert table(again, "raws") != []
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "again.ledger", "again.ledger.heads",
    ]  # fmt: skip


def test_withheld_messages_come_back_as_erased(good: Path, tmp_path: Path):
    """A stranger may check the chain without being shown what the venue wrote."""
    export = exported(good)
    again = tmp_path / "again.ledger"
    reimport(io.BytesIO(export), "x", str(again))

    assert b'"salt"' not in export
    assert table(again, "events") == table(good, "events")
    assert [row[0] for row in table(again, "raws")] == [row[0] for row in table(good, "raws")]
    assert all(row[2:] == (None, None, None) for row in table(again, "raws"))
    with open_reader(again) as reader:
        assert verify(reader).problems == []


def test_an_erased_message_goes_out_erased(good: Path, tmp_path: Path):
    ledger = tmp_path / "x.ledger"
    shutil.copy(good, ledger)
    ((seq, _),) = [row[:2] for row in table(ledger, "raws")][:1]
    altered(ledger, f"UPDATE raws SET salt = NULL, sha256 = NULL, raw = NULL WHERE seq = {seq}")

    again = tmp_path / "again.ledger"
    reimport(io.BytesIO(exported(ledger, with_raw=True)), "x", str(again))

    assert table(again, "raws") == table(ledger, "raws")


def test_a_writer_goes_on_where_the_export_ended(good: Path, tmp_path: Path):
    again = tmp_path / "again.ledger"
    head = reimport(io.BytesIO(exported(good)), "x", str(again))

    with SqliteLog.open(again, create=False) as log:
        assert log.head() == head
        assert log.warnings == ()


def test_a_second_export_is_the_same_bytes(good: Path, tmp_path: Path):
    first = exported(good, with_raw=True)
    again = tmp_path / "again.ledger"
    reimport(io.BytesIO(first), "x", str(again))

    assert exported(again, with_raw=True) == first


def test_several_writers_come_back_as_several_runs(tmp_path: Path):
    path, again = tmp_path / "a.ledger", tmp_path / "b.ledger"
    play(GOLDEN / "v1" / "01-filled", path)
    with SqliteLog.open(path, create=False) as log, open_reader(path) as reader:
        from attrs import evolve

        from fillbook.core.events import InstrumentMarked
        from fillbook.log.port import Draft

        mark = InstrumentMarked(instrument_id="SBER", px=next(
            r.event.last_px for r in reader.records() if r.type == "order.filled"
        ))  # fmt: skip
        draft = Draft(event=mark, stream=None, actor="OPERATOR")
        log.append([draft, evolve(draft, correlation="Straße 1 № 2", input_hash=b"x" * 32)])

    reimport(io.BytesIO(exported(path)), "x", str(again))

    assert len(table(again, "runs")) == 2
    assert table(again, "runs") == table(path, "runs")
    assert table(again, "events") == table(path, "events")


# ---- what is refused


def changed(lines: list[bytes], number: int, old: bytes, new: bytes) -> list[bytes]:
    assert old in lines[number], lines[number]
    return [*lines[:number], lines[number].replace(old, new, 1), *lines[number + 1 :]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: changed(lines, 4, b'"side":"BUY"', b'"side":"SELL"'), "seq 4 is not"),
        (lambda lines: changed(lines, 4, b'"IMPORT"', b'"VENUE"'), "line 5: seq 4 is not"),
        (lambda lines: [*lines[:4], *lines[5:]], "line 5: seq 5 does not follow"),
        (lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]], "does not follow"),
        (lambda lines: lines[:-1], "it ends at seq"),
        (lambda lines: lines[:1], "it ends at seq 0"),
        (lambda lines: [], "no export's header"),
        (lambda lines: lines[1:], "no export's header"),
        (lambda lines: [*lines[:4], b"{}", *lines[5:]], "line 5: it is no record"),
        (lambda lines: [*lines[:4], b"\xff\xfe", *lines[5:]], "line 5: it is no record"),
        (lambda lines: [*lines[:4], b"", *lines[5:]], "line 5: it is no record"),
        (lambda lines: changed(lines, 0, b'export.v1"', b'export.v9"'), "is unknown"),
        (lambda lines: changed(lines, 0, b'"event.v1"', b'"event.v9"')
         if b'"event.v1"' in lines[0] else changed(lines, 0, b"event.v1", b"event.v9"), "chain"),
        (lambda lines: changed(lines, 4, b'"raw":"e', b'"raw":"f'), "its raw message"),
        (lambda lines: changed(lines, 4, b'"boot_id":"boot', b'"boot_id":"root'), "its run"),
        (lambda lines: changed(lines, 4, b'"seq":4', b'"seq":4,"seq":4'), ""),
    ],
)  # fmt: skip
def test_an_export_that_does_not_hold_makes_no_ledger(
    good: Path, tmp_path: Path, change: Any, words: str
):
    lines = change(exported(good, with_raw=True).splitlines())
    content = b"\n".join(lines) + b"\n" if lines else b""
    if not words:  # the same key twice says the same: the hash holds, and that is what counts
        reimport(io.BytesIO(content), "x.jsonl", str(tmp_path / "again.ledger"))
        return

    with pytest.raises(BadInput, match=words):
        reimport(io.BytesIO(content), "x.jsonl", str(tmp_path / "again.ledger"))

    assert list(tmp_path.iterdir()) == []


def test_a_forged_export_cannot_break_the_file_s_rules(good: Path, tmp_path: Path):
    """A chain that holds over two orders with one client id: the UNIQUE key refuses it."""
    from fillbook.log import chain

    lines = [json.loads(line) for line in exported(good).splitlines()]
    names = [line["body"].get("client_order_id") for line in lines[1:]]
    first = next(name for name in names if name is not None)
    other = next(name for name in names if name not in (None, first))
    with open_reader(good) as reader:
        records, runs = list(reader.records()), {run.epoch: run for run in reader.runs()}
    before = chain.genesis(bytes.fromhex(lines[0]["ledger_id"]))
    for line, record in zip(lines[1:], records, strict=True):
        record.body = record.body.replace(json.dumps(other), json.dumps(first))
        line["body"], line["prev_hash"] = json.loads(record.body), before.hex()
        before = chain.hash_of_record(
            bytes.fromhex(lines[0]["ledger_id"]), before, record, runs[record.epoch]
        )
        line["event_hash"] = before.hex()
    lines[0]["head"]["event_hash"] = before.hex()
    text = "\n".join(
        json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        for line in lines
    )

    with pytest.raises(BadInput, match="rules refuse it"):
        reimport(io.BytesIO(text.encode()), "x.jsonl", str(tmp_path / "again.ledger"))

    assert list(tmp_path.iterdir()) == []


def test_an_unknown_type_cannot_be_made_again(good: Path, tmp_path: Path):
    content = exported(good).replace(b'"type":"order.accepted"', b'"type":"order.dreamed"')

    with pytest.raises(UnknownEventVersion):
        reimport(io.BytesIO(content), "x.jsonl", str(tmp_path / "again.ledger"))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["again.ledger", "again.ledger.heads"])
def test_nothing_is_overwritten(good: Path, tmp_path: Path, there: str):
    """Also where only a checkpoint is left: a ledger of that name is missed by somebody."""
    shutil.copy(f"{good}{there.removeprefix('again.ledger')}", tmp_path / there)
    before = (tmp_path / there).read_bytes()

    with pytest.raises(BadInput, match="there is a ledger already"):
        reimport(io.BytesIO(exported(good)), "x.jsonl", str(tmp_path / "again.ledger"))

    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_bytes() == before


# ---- a day


def test_a_day_holds_what_happened_in_it_and_says_so(good: Path, tmp_path: Path):
    everything = exported(good).splitlines()
    day = day_of("2026-03-13")
    part = exported(good, day=day).splitlines()
    header = json.loads(part[0])

    assert header["part"] == {
        "day": "2026-03-13", "from": day.start, "to": day.end, "tz": "UTC",
    }  # fmt: skip
    assert part[1:] == everything[1:]
    assert exported(good, day=day_of("2026-03-14")).count(b"\n") == 1
    with pytest.raises(BadInput, match="part"):
        reimport(io.BytesIO(b"\n".join(part)), "x.jsonl", str(tmp_path / "again.ledger"))


def test_a_day_is_somebodys_day():
    """08:00 UTC is yet the evening before in Honolulu, and Moscow's day began three hours ago."""
    moscow, honolulu = (
        day_of("2026-03-13", "Europe/Moscow"),
        day_of("2026-03-13", "Pacific/Honolulu"),
    )

    assert moscow.start == day_of("2026-03-13").start - 3 * 3600 * 10**9
    assert honolulu.start == day_of("2026-03-13").start + 10 * 3600 * 10**9
    assert moscow.start < START < honolulu.start


def test_a_day_on_which_the_clocks_change_has_as_many_hours_as_it_has():
    assert hours(day_of("2026-03-29", "Europe/Berlin")) == 23
    assert hours(day_of("2026-10-25", "Europe/Berlin")) == 25
    assert hours(day_of("2026-03-29")) == 24


def hours(day: Any) -> int:
    return (day.end - day.start) // (3600 * 10**9)


@pytest.mark.parametrize("day", ["", "13.03.2026", "2026-02-30", "9999-12-31", "2026-03-13T00:00"])
def test_what_is_no_day_is_refused(day: str):
    with pytest.raises(BadInput, match="no day"):
        day_of(day)


@pytest.mark.parametrize("tz", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd"])
def test_what_is_no_time_zone_is_refused(tz: str):
    with pytest.raises(BadInput, match="time zone"):
        day_of("2026-03-13", tz)


def test_an_export_is_known_by_its_first_line(good: Path):
    assert is_export(exported(good)[:4096])
    assert not is_export(b'{"kind":"order","text":"\\"format\\":\\"fillbook.export.v1\\""}\n')
    assert not is_export(b"")
