"""An overlay answers as its base would had everything been appended there, and leaves it alone."""

import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fillbook.core.events import ImportProgressed, InstrumentDefined, InstrumentSplit, OrderFilled
from fillbook.core.reconciled_events import BookReconciled
from fillbook.errors import LogError
from fillbook.log.columns import COLUMNS
from fillbook.log.overlay import OverlayLog
from fillbook.log.port import Draft, Log, Record
from fillbook.log.reader import SqliteReader
from fillbook.log.sqlite import SqliteLog
from log.making import a_cancel, a_fill, an_instrument, draft, new_order, open_fixed
from log.making import ticking as ticks

CLIENT_IDS = ["R-1", "R-2", "R-3", "R-4", "no"]
VENUE_IDS = ["V-1", "V-2", "no"]
TRADES = ["T-1", "T-1:2", "T-2", "", "no"]
KEYS = ["k", "l", "fill:7", "no"]
INSTRUMENTS = ["SBER", "GAZP"]
SALT = b"salt" * 4


class Clock:
    """A clock that stands still until it is set."""

    now = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        return self.now


def opened(clock: Clock) -> SqliteLog:
    return open_fixed(":memory:", clock=clock, mono=clock, new_salt=lambda _: SALT)


def laid_over(base: Any, clock: Clock | None = None) -> OverlayLog:
    clock = clock or Clock()
    return OverlayLog(base, clock=clock, mono=clock, new_salt=lambda _: SALT)


# ---- a random history


def a_draft(random: Random, records: list[Record]) -> Draft:
    """Return any draft, those that the log refuses among them; ids and keys repeat."""
    streams = sorted({record.stream for record in records})
    stream = random.choice([None, *streams, random.choice([-1, len(records)])])
    instrument_id = random.choice(INSTRUMENTS)
    told: dict[str, Any] = {}
    if random.random() < 0.1:
        told["expected_version"] = random.randrange(3)
    if random.random() < 0.3:
        told["venue_order_id"] = random.choice(VENUE_IDS[:-1])
    if random.random() < 0.1:
        told |= {
            "idempotency_key": random.choice(KEYS[:-1]),
            "input_hash": random.choice([b"1", b"2"]),
        }
    if random.random() < 0.1:
        told |= {"raw": b"8=FIX", "correlation": "day.fix:1", "causation": random.choice([1, -1])}
    kind = random.randrange(8)
    if kind == 0:
        return evolve(new_order(random.choice(CLIENT_IDS[:-1])), **told)
    if kind == 1:
        return draft(an_instrument(instrument_id), stream, **told)
    if kind == 2:
        split = InstrumentSplit(
            instrument_id=instrument_id, numerator=Decimal(2), denominator=Decimal(1)
        )
        return draft(split, stream, **told)
    if kind == 3:
        progress = ImportProgressed(
            name="x", format="fix", length=1, sha256="00", line=1, message_count=1
        )
        return draft(progress, 0, **told)
    if kind == 4:
        client_id = random.choice([None, *CLIENT_IDS[:-1]])
        return draft(a_cancel(), stream, client_order_id=client_id, **told)
    if kind == 5:
        return draft(None, stream, **told)
    trade_id = random.choice(TRADES[:-1])
    fill = a_fill(
        random.randrange(1, 4), trade_id=trade_id, instrument_id=instrument_id,
        last_px=random.choice([None, Decimal(5)]),
    )  # fmt: skip
    positions = sorted({record.position for record in records if record.position is not None})
    position = random.choice([0, None, -1, *positions])
    if stream is not None and stream >= 0 and random.random() < 0.7:
        told["idempotency_key"] = f"fill:{trade_id}:{stream}"
    return draft(fill, stream, position=position, actor="VENUE", **told)


def a_step(seed: int, records: list[Record]) -> list[Draft]:
    random = Random(seed)
    return [a_draft(random, records) for _ in range(random.choice([1, 1, 2, 3]))]


def take(log: Log, seed: int) -> Any:
    """Append one step, in one append or in a batch; return what came of it.

    Of several faults in one append a ledger may name another one than an overlay, which looks for
    keys and ids draft by draft, as every batch does.  So keys go through batches.
    """
    drafts = a_step(seed, list(log.records()))
    in_batch = seed % 3 == 0 or any(each.idempotency_key is not None for each in drafts)
    try:
        if not in_batch:
            return [fields(record) for record in log.append(drafts)]
        with log.batch() as batch:
            return [fields(batch.add(each)) for each in drafts]
    except LogError as exc:
        return repr(exc) if in_batch else "refused"


def fields(record: Any) -> list[Any]:
    return [getattr(record, name) for name in COLUMNS]


# ---- every question


def answers(log: Log, borders: list[int]) -> Iterator[tuple[Any, ...]]:
    """Ask *log* everything that the port knows, cut at each of *borders*."""
    head = log.head().seq
    yield "head", log.head(), log.ledger_id, log.robot, log.runs(), log.load_snapshot("r")
    yield "imports", [fields(record) for record in log.imports()]
    yield "events", [record.event for record in log.records()]
    between = {"after": borders[0] - 2, "upto": borders[-1] + 2}
    yield "records", between, [fields(record) for record in log.records(**between)]
    yield "rows", between, list(log.rows(**between))
    for cut in borders:
        for more in ({"after": cut}, {"upto": cut}):
            yield "records", more, [fields(record) for record in log.records(**more)]
            yield "rows", more, list(log.rows(**more))
            for number in range(head + 3):
                for of in ({"stream": number}, {"position": number}):
                    seqs = [record.seq for record in log.records(**more, **of)]
                    yield "records", more, of, seqs
        yield "orders", cut, [record.seq for record in log.order_records(cut)]
    yield "orders", [fields(record) for record in log.order_records()]
    for kinds in ([InstrumentSplit], [InstrumentDefined, OrderFilled], [BookReconciled]):
        yield kinds, [fields(record) for record in log.records_of(kinds)]
    for number in range(head + 3):
        yield "stream", number, log.stream_version(number), log.raw(number)
        yield "stream", number, [fields(record) for record in log.records(stream=number)]
        yield "position", number, [fields(record) for record in log.records(position=number)]
    for each in CLIENT_IDS:
        yield "client", each, log.find_client_order(each)
    for each in VENUE_IDS:
        yield "venue", each, log.find_venue_orders(each)
    for each in [*TRADES, "7", ":"]:
        yield "trade", each, log.find_trades(each)
    for each in [*KEYS, *[f"fill:{trade}:{stream}" for trade in TRADES for stream in range(head)]]:
        yield "key", each, log.find_key(each)


seeds = st.lists(st.integers(0, 10**6), max_size=15)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(seeds, seeds, seeds)
def test_half_in_a_ledger_and_half_over_it_is_the_whole(
    first: list[int], second: list[int], elsewhere: list[int]
) -> None:
    """Whatever the base takes in later, under the same ids: the overlay is the first two halves."""
    clock = Clock()
    with opened(clock) as whole, opened(clock) as base:
        for seed in first:
            clock.now += 1
            assert take(base, seed) == take(whole, seed)
        overlay = laid_over(base, clock)
        border = base.head().seq
        later = list(elsewhere)
        for seed in second:
            clock.now += 1
            if later:
                take(base, later.pop())
            assert take(overlay, seed) == take(whole, seed)
        for seed in later:
            take(base, seed)
        base.save_snapshot(base.head().seq, "r", "{}")
        if base.head().seq == border:
            whole.save_snapshot(border, "r", "{}")

        borders = [border - 1, border, border + 1]
        for theirs, ours in zip(answers(whole, borders), answers(overlay, borders), strict=True):
            assert ours == theirs


# ---- what a property cannot see


def test_nothing_is_written_to_the_base(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with open_fixed(path) as log:
        log.append([new_order("R-1")])
    before = path.read_bytes()

    with SqliteReader(str(path)) as reader, laid_over(reader) as overlay:
        overlay.append([draft(a_fill(), 2, position=0, raw=b"x")])
        overlay.save_snapshot(3, "r", "{}")
        overlay.refresh_positions([], 3)
        assert overlay.load_snapshot("r") is None
        assert overlay.warnings == ()
        assert (reader.head().seq, overlay.head().seq) == (2, 3)
    assert path.read_bytes() == before


def test_a_new_run_of_the_base_is_not_seen(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    open_fixed(path).close()
    with SqliteReader(str(path)) as reader:
        overlay = laid_over(reader)
        with open_fixed(path) as log:
            log.append([draft()])
        assert [run.epoch for run in reader.runs()] == [1, 2]
        assert [run.epoch for run in overlay.runs()] == [1]
        assert overlay.append([draft()])[0].epoch == 1


def test_it_closes_the_base_only_where_it_was_told(tmp_path: Path) -> None:
    with open_fixed(":memory:") as base:
        laid_over(base).close()
        assert base.append([draft()])[0].seq == 2
        overlay = OverlayLog(base, closes_base=True)
        overlay.close()
        overlay.close()
        with pytest.raises(ValueError, match="closed"):
            base.append([draft()])


def test_an_overlay_over_an_overlay_is_a_log_like_any() -> None:
    with open_fixed(":memory:") as base:
        base.append([new_order("R-1")])
        lower = laid_over(base)
        lower.append([draft(a_fill(1), 2, position=0)])
        upper = laid_over(lower)
        upper.append([draft(a_fill(2), 2, position=3)])
        lower.append([draft(a_cancel(), 2)])
        assert [record.seq for record in upper.records(position=3)] == [3, 4]
        assert [record.type for record in upper.order_records()] == [
            "order.submitted", "order.filled", "order.filled"
        ]  # fmt: skip
        assert upper.stream_version(2) == 3


def test_streams_stand_by_first_appearance_whoever_has_them() -> None:
    with open_fixed(":memory:") as base:
        base.append([new_order("R-1"), new_order("R-2")])
        told = {"venue_order_id": "V-1", "position": 0}
        base.append([draft(a_fill(), 3, idempotency_key="fill:T-1:3", **told)])
        overlay = laid_over(base)
        overlay.append([draft(a_fill(), 2, idempotency_key="fill:T-1:2", **told)])
        assert overlay.find_trades("T-1") == [2, 3]
        assert overlay.find_venue_orders("V-1") == [2, 3]


def test_others_wait_while_a_batch_is_open() -> None:
    with open_fixed(":memory:") as base:
        overlay = OverlayLog(base, clock=ticks())
        outcomes: list[Any] = []
        thread = threading.Thread(target=lambda: outcomes.extend(overlay.append([draft()])))
        with overlay.batch() as batch:
            thread.start()
            batch.add(draft())
            assert batch.flush().seq == 2
            batch.add(draft())
        thread.join(60)
        assert [record.seq for record in outcomes] == [4]
