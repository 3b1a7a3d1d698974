"""A fork of a book goes its own way over an overlay; the book it came from notices nothing."""

from collections.abc import Iterable
from typing import Any

import pytest

from brokers.paper_day import play_day
from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.policies import AT_ONCE
from fillbook.core.replaying import book_state, fork_book
from fillbook.core.values import Source
from fillbook.errors import StorageFailed
from fillbook.feedback.keeper import Keeper
from fillbook.log.overlay import OverlayBatch, OverlayLog
from fillbook.log.port import Log
from fillbook.log.sqlite import SqliteLog
from fillbook.wiring import LogHistory, recover, save_state

DAY = play_day(7, 60).messages
CUTS = [3, len(DAY) // 3, len(DAY) // 2, len(DAY) - 5]


def hear(keeper: Keeper, contents: Iterable[Any]) -> None:
    for line, content in enumerate(contents, 1):
        keeper.hear(Message(line, "", content, repr(content).encode()), Source.STREAM)


def kept(log: Log) -> Keeper:
    return Keeper(log, lambda: recover(log), AT_ONCE)


def forked(book: Book, overlay: OverlayLog) -> Keeper:
    """Return what a dry run works with: its fold begins at *book* as it is now, whenever it folds.

    The robot's book moves on meanwhile, so what is forked again and again is a fork itself.
    """
    history = LogHistory(overlay)
    start = fork_book(book, history)
    return Keeper(
        overlay, lambda: fork_book(start, history, overlay.records(after=start.seq)), AT_ONCE
    )


def everything(thing: Any) -> Any:
    """Return *thing* down to its last attribute, as text in lists; not a book's log and machine."""
    if isinstance(thing, str):
        return str(thing)  # a flag read back from a body is text, and equal
    if isinstance(thing, dict):
        return [[everything(key), everything(value)] for key, value in thing.items()]
    if isinstance(thing, (list, tuple)):
        return [everything(each) for each in thing]
    if isinstance(thing, (set, frozenset)):
        return sorted(repr(each) for each in thing)
    names = [*getattr(thing, "__dict__", ())]
    for cls in type(thing).__mro__:
        names += getattr(cls, "__slots__", ())
    if not type(thing).__module__.startswith("fillbook") or not names:
        return repr(thing)
    names = [name for name in names if name not in ("_history", "machine", "__weakref__")]
    return [[name, everything(getattr(thing, name))] for name in names]


def said(log: Log) -> list[tuple[Any, ...]]:
    """Return what is in *log* but for the times it was recorded at."""
    return [(r.seq, r.stream, r.version, r.position, r.type, r.body) for r in log.records()]


def orders(book: Book, log: Log) -> list[Any]:
    streams = sorted({record.stream for record in log.order_records()})
    return [everything(book.order(stream)) for stream in streams]


def figures(book: Book) -> list[Any]:
    return [view.as_json() for view in book.position_views()]


@pytest.mark.parametrize("cut", CUTS)
def test_what_is_recorded_into_a_fork_leaves_the_book_untouched(cut: int) -> None:
    with SqliteLog.open(":memory:") as log:
        robot = kept(log)
        hear(robot, DAY[:cut])
        robot.book.refresh_positions()
        before, events = everything(robot.book), said(log)
        assert len(str(before)) > 1000, "there is something to compare"

        dry = forked(robot.book, OverlayLog(log))
        assert book_state(dry.book) == book_state(robot.book)
        hear(dry, DAY[cut:])
        dry.book.refresh_positions()
        assert everything(dry.book) != before

        assert everything(robot.book) == before
        assert said(log) == events


@pytest.mark.parametrize("cut", CUTS)
def test_a_dry_run_comes_to_what_the_robot_comes_to(cut: int) -> None:
    """The same recorder, the same rules, the same fold: only that it is all thrown away."""
    with SqliteLog.open(":memory:") as log:
        robot = kept(log)
        hear(robot, DAY[:cut])
        overlay = OverlayLog(log)
        dry = forked(robot.book, overlay)
        hear(dry, DAY[cut : cut + 2])
        hear(robot, DAY[cut:])  # the robot does not wait, and its log moves on beneath the overlay
        hear(dry, DAY[cut + 2 :])

        assert said(overlay) == said(log)
        assert figures(dry.book) == figures(robot.book)
        assert book_state(dry.book) == book_state(robot.book)
        assert orders(dry.book, overlay) == orders(robot.book, log)


@pytest.mark.parametrize("has_snapshot", [False, True])
def test_a_book_is_recovered_from_an_overlay(has_snapshot: bool) -> None:
    """From the base's snapshot where it has one that lies low enough, else from the rows."""
    cut = len(DAY) // 2
    with SqliteLog.open(":memory:") as log:
        robot = kept(log)
        hear(robot, DAY[:cut])
        if has_snapshot:
            save_state(log, robot.book)
        overlay = OverlayLog(log)
        dry = forked(robot.book, overlay)
        hear(dry, DAY[cut:])
        if not has_snapshot:
            hear(robot, DAY[cut : cut + 3])
            save_state(log, robot.book)  # too late for the overlay

        for use_snapshot in (True, False):
            book = recover(overlay, use_snapshot=use_snapshot)
            assert book.seq == overlay.head().seq
            assert figures(book) == figures(dry.book)
            assert book_state(book) == book_state(dry.book)
            assert orders(book, overlay) == orders(dry.book, overlay)


def test_a_fork_is_folded_anew_where_something_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was discarded is not in the book, and what was kept is, even where the robot went on."""
    cut = len(DAY) // 2
    with SqliteLog.open(":memory:") as log:
        robot = kept(log)
        hear(robot, DAY[:cut])
        overlay = OverlayLog(log)
        dry = forked(robot.book, overlay)
        hear(dry, DAY[cut:-2])
        hear(robot, DAY[cut : cut + 5])
        wanted, head = book_state(dry.book), overlay.head()

        def full(batch: OverlayBatch) -> None:
            raise StorageFailed("an overlay", "the memory is full")

        monkeypatch.setattr(OverlayBatch, "flush", full)
        with pytest.raises(StorageFailed):
            hear(dry, DAY[-2:])
        monkeypatch.undo()

        assert overlay.head() == head
        assert book_state(dry.book) == wanted
        hear(dry, DAY[-2:])
        hear(robot, DAY[cut + 5 :])
        assert said(overlay) == said(log)
        assert figures(dry.book) == figures(robot.book)


def test_a_fork_folds_no_order_before_it_is_asked_for() -> None:
    class Counted(LogHistory):
        streams = 0

        def stream_records(self, stream: int, upto: int) -> Any:
            self.streams += 1
            return super().stream_records(stream, upto)

    with SqliteLog.open(":memory:") as log:
        robot = kept(log)
        hear(robot, DAY[: len(DAY) // 2])
        history = Counted(OverlayLog(log))
        fork = fork_book(robot.book, history)
        assert history.streams == 0
        assert list(fork.resident_orders()) == []

        assert [each.stream for each in fork.open_orders()] == sorted(robot.book.open)
        assert history.streams == len(robot.book.open) > 0
