"""Figures about the book: one status change, and what an order or a fill costs in a large book."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from transitions import Machine, MachineError

from benchmarks.measure import Figure, Result, Settings, Turns, by_time, take_turns
from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.commands import SubmitOrder
from fillbook.core.lifecycle import INITIAL, TRANSITIONS, TRIGGERS, new_lifecycle
from fillbook.core.reports import OrderReport
from fillbook.core.values import ExecType, OrderStatus, Side
from fillbook.feedback.recorder import Recorder
from fillbook.log.port import Draft, Record
from fillbook.log.sqlite import SqliteLog
from fillbook.wiring import LogHistory

__all__ = ["FIGURES"]


# ---- one trigger


def plain_machine() -> Machine:
    """Return the library's own machine of the same table, with nothing added."""
    machine = Machine(
        model=None,
        states=OrderStatus,
        initial=INITIAL,
        auto_transitions=False,
        model_attribute="order_status",
    )
    for trigger, source, target in TRANSITIONS:
        machine.add_transition(trigger, source, target)
    return machine


def walk(machine: Machine, order: Any, turns: int) -> float:
    """Go through every step of the table, *turns* times."""
    steps = [(old, machine.events[name].trigger) for name, old, _ in TRANSITIONS]
    start = time.perf_counter()
    for _ in range(turns):
        for old, trigger in steps:
            order.order_status = old
            trigger(order)
    return time.perf_counter() - start


def _trigger(settings: Settings) -> Result:
    ours, plain = new_lifecycle(), plain_machine()
    order = SimpleNamespace(order_status=INITIAL)
    turns, steps = settings.size(20, 2), len(TRANSITIONS)
    pairs = [(status, name) for status in OrderStatus for name in TRIGGERS.values()]
    equal = [_answer(ours, *pair) == _answer(plain, *pair) for pair in pairs]
    assert len(pairs) == len(OrderStatus) ** 2
    taken = take_turns(
        lambda: (walk(ours, order, turns), turns * steps),
        lambda: (walk(plain, order, turns), turns * steps),
        settings.size(15, 2),
    )
    note = f"equal on {sum(equal)} of {len(pairs)} pairs of status and trigger"
    result = by_time(taken, per=1e9 / (turns * steps), at_most=1 / 50, note=note)
    assert all(equal), note
    return result


def _answer(machine: Machine, status: OrderStatus, name: str) -> OrderStatus | None:
    """Return the status that *name* leads to, None where it is refused and changes nothing."""
    order = SimpleNamespace(order_status=status)
    try:
        machine.events[name].trigger(order)
    except MachineError:
        assert order.order_status is status
        return None
    return OrderStatus(order.order_status)


# ---- a robot's orders


class Robot:
    """A recorder over a ledger file of its own, and the messages of orders to feed it.

    The file is at `bulk`: what the disk takes would hide what the book costs.
    """

    def __init__(self, path: Path, rests: Callable[[int], bool]) -> None:
        self._rests = rests
        self._log = SqliteLog.open(path, durability="bulk", robot="bench")
        self._stack = ExitStack()
        self._batch = self._stack.enter_context(self._log.batch())
        self.book = Book(LogHistory(self._log))
        for record in self._log.records():
            self.book.apply(record)
        self._keys: set[str] = set()
        self._recorder = Recorder(self.book, self._sink, self._keys.__contains__, name="bench")
        self._random = Random(1)
        self.order_count = 0
        self.fill_count = 0

    def _sink(self, draft: Draft) -> Record:
        return self._batch.add(draft)

    def orders(self, count: int) -> float:
        """Record *count* more orders, durably in one commit, and return the seconds."""
        messages = [message for _ in range(count) for message in self._order()]
        return self._record(messages)

    def fills(self, count: int) -> float:
        """Record *count* more fills of the one position, and return the seconds."""
        messages = [message for _ in range(count) for message in self._filled()]
        return self._record(messages)

    def _record(self, messages: Sequence[Message]) -> float:
        record = self._recorder.record
        start = time.perf_counter()
        for message in messages:
            judgement = record(message)
            assert judgement.outcome == "RECORDED", judgement
        self._batch.flush()
        self.book.trim()
        return time.perf_counter() - start

    def close(self) -> None:
        """Let go of the file."""
        self._stack.close()
        self._log.close()

    def _order(self) -> Iterator[Message]:
        """Yield the messages of one order: it is sent, accepted, and filled or left to rest."""
        self.order_count += 1
        n = self.order_count
        px = Decimal(10_000 + self._random.randrange(500)) / 100
        yield _said(
            "order",
            SubmitOrder(
                client_order_id=f"rb-{n}",
                instrument_id=f"SYM{n % 50:02}",
                side=Side.BUY if self._random.random() < 0.5 else Side.SELL,
                order_type="LIMIT",
                order_qty=Decimal(10),
                limit_px=px,
                ts_event=n * 1000,
            ),
        )
        yield _said("report", self._report(n, ExecType.NEW, OrderStatus.NEW, Decimal(0)))
        if not self._rests(n):
            yield _said(
                "report",
                self._report(
                    n, ExecType.TRADE, OrderStatus.FILLED, Decimal(10),
                    last_qty=Decimal(10), last_px=px, trade_id=f"T{n}", exec_id=f"E{n}",
                    commission=Decimal("0.5"), commission_currency="RUB",
                ),
            )  # fmt: skip

    def _filled(self) -> Iterator[Message]:
        """Yield one fill by an order of its own, at prices that no average comes out even for."""
        self.fill_count += 1
        n = self.fill_count
        qty = Decimal(self._random.randrange(1, 90))
        yield _said(
            "report",
            OrderReport(
                client_order_id=f"rb-{n}",
                venue_order_id=f"V{n}",
                instrument_id="SYM00",
                side=Side.BUY if n % 2 else Side.SELL,
                exec_type=ExecType.TRADE,
                order_status=OrderStatus.FILLED,
                order_qty=qty,
                cum_qty=qty,
                leaves_qty=Decimal(0),
                last_qty=qty,
                last_px=Decimal(10_000 + self._random.randrange(500)) / 100,
                trade_id=f"T{n}",
                commission=Decimal("0.5"),
                commission_currency="RUB",
                ts_event=n * 1000,
            ),
        )

    def _report(
        self, n: int, exec_type: ExecType, status: OrderStatus, cum_qty: Decimal, **more: Any
    ) -> OrderReport:
        return OrderReport(
            client_order_id=f"rb-{n}",
            venue_order_id=f"V{n}",
            exec_type=exec_type,
            order_status=status,
            order_qty=Decimal(10),
            cum_qty=cum_qty,
            leaves_qty=Decimal(10) - cum_qty,
            ts_event=n * 1000 + 500,
            **more,
        )


def _said(kind: str, content: Any) -> Message:
    return Message(1, kind, content, b"")


def record_orders(robot: Robot, count: int) -> float:
    """Record orders through the same recorder, in a book that holds a thousand."""
    return robot.orders(count)


def record_fills(robot: Robot, count: int) -> float:
    """Record fills through the same recorder, in a position that has had a hundred."""
    return robot.fills(count)


def _order_100_000(settings: Settings) -> Result:
    late, early = settings.size(100_000, 300), settings.size(1000, 50)
    block = settings.size(20, 5)
    with ExitStack() as stack:
        robots = _robots(stack, settings, "orders", rests=lambda n: n % 2 == 0)
        for robot, before in zip(robots, (late, early), strict=True):
            while robot.order_count < before - block:
                robot.orders(min(1000, before - block - robot.order_count))
        turns = _blocks(robots, record_orders, block, settings.size(31, 3))
        note = f"at orders {early:,} and {late:,}, {len(robots[0].book.open):,} of them open"
    return by_time(turns, per=1e6 / block, at_most=1.5, note=note)


def _fill_10_000(settings: Settings) -> Result:
    late, early = settings.size(10_000, 300), settings.size(100, 50)
    block = settings.size(10, 5)
    with ExitStack() as stack:
        robots = _robots(stack, settings, "fills", rests=lambda n: False)
        for robot, before in zip(robots, (late, early), strict=True):
            while robot.fill_count < before - block:
                robot.fills(min(1000, before - block - robot.fill_count))
        turns = _blocks(robots, record_fills, block, settings.size(31, 3))
        (view,) = robots[0].book.position_views()
        assert view.trade_count == robots[0].fill_count
        note = f"at fills {early:,} and {late:,} of one position, bought and sold in turns"
    return by_time(turns, per=1e6 / block, at_most=1.2, note=note)


def _robots(
    stack: ExitStack, settings: Settings, name: str, rests: Callable[[int], bool]
) -> list[Robot]:
    robots = [Robot(settings.folder / f"{name}-{which}.ledger", rests) for which in (1, 2)]
    for robot in robots:
        stack.callback(robot.close)
    return robots


def _blocks(
    robots: Sequence[Robot], work: Callable[[Robot, int], float], block: int, turn_count: int
) -> Turns:
    late, early = robots
    return take_turns(
        lambda: (work(late, block), block), lambda: (work(early, block), block), turn_count
    )


FIGURES = (
    Figure(
        name="trigger",
        what="one lifecycle trigger against the one of the transitions library, same table",
        unit="ns",
        goal="<= 1/50",
        baselines=(plain_machine, walk),
        measure=_trigger,
    ),
    Figure(
        name="order-100000",
        what="recording order 100,000 against recording order 1,000",
        unit="µs an order",
        goal="<= 1.5",
        baselines=(record_orders, Robot),
        measure=_order_100_000,
    ),
    Figure(
        name="fill-10000",
        what="recording the 10,000th fill of one position against the 100th",
        unit="µs a fill",
        goal="<= 1.2",
        baselines=(record_fills, Robot),
        measure=_fill_10_000,
    ),
)
