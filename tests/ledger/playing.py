"""Play a golden story: its messages go through the import, and nothing is left to chance.

The clock, the ids and the salts follow from the story's number and the message's line alone.  A
story is a folder in `ledger/golden/vN`: `story.jsonl`, `story.fix` or `story.robot` (see
`robot_story`), `events.jsonl` (an export
with the raw messages), `book.json`, and `settings.json` where it is not played as any import is:

    wait_ns       how long the fill policy waits for true fills
    order.filled  the version in which fills are written
"""

import io
import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import evolve, fields

from fillbook.audit.export import export_events
from fillbook.audit.lines import header_line
from fillbook.brokers.fix import read_fix
from fillbook.brokers.jsonlines import read_jsonl
from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.events import OrderFilled, OrderFilledV1
from fillbook.core.lots import LotBook
from fillbook.core.policies import FillPolicy
from fillbook.core.views import order_json
from fillbook.feedback.intake import Reading, take_in
from fillbook.log.port import Draft, Record
from fillbook.log.reader import open_reader
from fillbook.log.sqlite import SqliteLog
from fillbook.wiring import LogHistory
from ledger.robot_story import play_robot

GOLDEN = Path(__file__).resolve().parents[2] / "ledger" / "golden"

START = 1_773_388_800_000_000_000  # 2026-03-13T08:00:00Z
STEP = 1_000_000_000
"""Between two messages."""


def story_folders() -> list[Path]:
    """Return the folder of every story of every version."""
    return sorted(path for path in GOLDEN.glob("v*/*") if path.is_dir())


def story_file(folder: Path) -> Path:
    """Return the file with the story's messages."""
    (found,) = folder.glob("story.*")
    return found


def play(folder: Path, path: Path) -> bytes:
    """Make the ledger *path* of the story in *folder* and return its export."""
    settings = read_settings(folder)
    number = int(re.match(r"\d+", folder.name)[0])  # type: ignore[index]
    chance = _NoChance(number)
    file = story_file(folder)
    log = SqliteLog.open(
        path,
        durability="bulk",
        robot="golden",
        clock=chance.clock,
        mono=chance.mono,
        new_id=chance.new_id,
        new_salt=chance.new_salt,
        boot=lambda: f"boot-{number}",
        program="golden",
    )
    with log:
        if file.suffix == ".robot":
            play_robot(file, log, chance)
        else:
            _play_import(file, log, chance, settings)
    with open_reader(path) as reader:
        out = io.BytesIO()
        export_events(reader, out, with_raw=True)
        runs = [evolve(run, host="golden", pid=1) for run in reader.runs()]
        header = header_line(reader.ledger_id, reader.robot, reader.head(), runs)
    return header + out.getvalue().partition(b"\n")[2]


def _play_import(file: Path, log: SqliteLog, chance: "_NoChance", settings: dict[str, Any]) -> None:
    """Take in the messages of *file* as any import does."""
    stream = io.BytesIO(file.read_bytes())
    source = read_fix(stream) if file.suffix == ".fix" else read_jsonl(stream)
    book = Book(LogHistory(log))
    for record in log.records():
        book.apply(record)
    take_in(
        _Aged(log, settings.get("order.filled", 2)),
        book,
        _Paced(source, chance),
        reading=Reading(file.name, file.suffix[1:], "REFUSE" if file.suffix == ".fix" else ""),
        policy=FillPolicy(wait_ns=settings.get("wait_ns", 0)),
    )


def read_settings(folder: Path) -> dict[str, Any]:
    """Return how the story is played, empty where it is played as any import is."""
    path = folder / "settings.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def book_of(path: Path) -> dict[str, Any]:
    """Return orders and positions of the ledger *path*, with lots where they differ in figures."""
    with open_reader(path) as reader:
        history = LogHistory(reader)
        book = Book(history, keep_closed=10**9)
        for record in reader.records():
            book.apply(record)
        book.refresh_positions()
        told: dict[str, Any] = {
            "orders": [order_json(order) for order in book.resident_orders()],
            "positions": [view.as_json() for view in book.position_views()],
        }
        for method in ("fifo", "lifo"):
            told[method] = []
            for position in book.positions.all():
                lots = LotBook(
                    method, position.account_id, position.instrument_id, position.contract,
                    position.base_currency,
                )  # fmt: skip
                records = history.position_records(position.number, book.seq)
                book.positions.fold_into(lots, position.number, records)
                view = lots.view(
                    book.instruments.get(position.instrument_id),
                    book.marks.get(position.instrument_id),
                )
                told[method].append(view.as_json())
        return told


class _NoChance:
    """What a log takes from its surroundings, all of it known beforehand."""

    def __init__(self, number: int) -> None:
        self.now = START
        self._number = number
        self._ids = 0
        self._salts = 0

    def clock(self) -> int:
        return self.now

    def mono(self) -> int:
        return self.now - START + 5_000

    def new_id(self) -> uuid.UUID:
        self._ids += 1
        return uuid.UUID(int=self._number << 64 | self._ids)

    def new_salt(self, size: int) -> bytes:
        self._salts += 1
        return sha256(f"salt {self._number} {self._salts}".encode()).digest()[:size]


class _Paced:
    """A source of messages; the clock goes on by a step before each."""

    def __init__(self, source: Any, chance: _NoChance) -> None:
        self.lines = source.lines
        self._source = source
        self._chance = chance

    def __iter__(self) -> Iterator[Message]:
        for message in self._source:
            self._chance.now += STEP
            yield message


class _Aged:
    """A log that writes fills as an older program did."""

    def __init__(self, log: SqliteLog, fill_version: int) -> None:
        self._log = log
        self._fill_version = fill_version

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    @contextmanager
    def batch(self) -> Iterator["_AgedBatch"]:
        with self._log.batch() as batch:
            yield _AgedBatch(batch, self._fill_version)


class _AgedBatch:
    def __init__(self, batch: Any, fill_version: int) -> None:
        self.flush = batch.flush
        self._batch = batch
        self._fill_version = fill_version

    def add(self, draft: Draft) -> Record:
        event = draft.event
        if isinstance(event, OrderFilled) and self._fill_version == 1:
            old = {field.name: getattr(event, field.name) for field in fields(OrderFilledV1)}
            assert (old.pop("exec_id"), event.liquidity, event.last_mkt) == (
                event.trade_id, None, None,
            ), "version 1 cannot tell this fill"  # fmt: skip
            draft = evolve(draft, event=OrderFilledV1(**old))
        record: Record = self._batch.add(draft)
        return record
