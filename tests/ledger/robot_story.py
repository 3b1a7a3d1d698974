"""Play a story that a robot lives: what it wants, what its calls bring, how time passes.

A `story.robot` has one step a line:

    {"do": "compares", "minor": "RESTORE"}             first: the broker tells its positions
    {"do": "start"}                                    the robot takes up its work
    {"do": "wait", "seconds": 10}                      time passes; calls start when they are due
    {"do": "submit", "order": {…}}                     as in `story.jsonl`
    {"do": "cancel", "order": "R-1"}
    {"do": "replace", "order": "R-1", "limit_px": "101"}
    {"do": "answer", "call": "submit", "rows": […]}    the oldest such call is answered
    {"do": "fail", "call": "submit", "text": "…"}      … or fails
    {"do": "refuse", "call": "submit", "reason": "…", "text": "…"}   … or is refused
    {"do": "hear", "rows": […]}                        the stream brings messages
    {"do": "halt", "level": "HALTED", "by": "…", "reason": "…"}
    {"do": "resume", "by": "…", "reason": "…"}
    {"do": "operator", "verb": "adjust", "by": "…", "reason": "…", …}   see `feedback.operator`
    {"do": "accept_tail_loss", "by": "…", "reason": "…", "head_seq": 7, "checkpoint_seq": 9}
    {"do": "raise", "callback": "on_fill", "problem": "…"}           the robot's own code raised
    {"do": "stop", "reason": "…"}

What a step must not lead to fails the story: a call that is named must be under way.  `$restore` in
a row is the id of the order that trades the last adoption back.
"""

import io
import json
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from attrs import evolve

from fillbook.brokers.jsonlines import read_jsonl
from fillbook.brokers.live import BrokerRefused, Capabilities
from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.commands import SubmitOrder
from fillbook.core.operator_events import TailLossAccepted
from fillbook.core.orders import Order
from fillbook.core.reconciled_events import PositionAdopted
from fillbook.core.robot_events import CallbackFailed, HaltDeclared, HaltLifted
from fillbook.errors import RequestRefused
from fillbook.feedback.keeper import Keeper
from fillbook.feedback.operator import Operator
from fillbook.feedback.schedule import Call
from fillbook.feedback.settings import SECOND, Settings
from fillbook.feedback.tracker import Tracker
from fillbook.log.sqlite import SqliteLog
from fillbook.reconcile.choices import Choices
from fillbook.reconcile.policies import DEFAULT, Action, Policies, Size
from fillbook.wiring import LogHistory
from fillbook.wiring.reconciling import reconcile_task

__all__ = ["play_robot"]

BROKER = Capabilities(
    name="golden", has_stream=True, can_look_up=True, has_open_orders=True, can_replace=True
)
SETTINGS = Settings(offline="QUEUE", queue_ns=20 * SECOND, poll_ns=600 * SECOND)


def play_robot(file: Path, log: SqliteLog, chance: Any) -> None:
    """Play the steps of *file* into *log*; *chance* keeps the time."""
    _Player(log, chance).play([json.loads(line) for line in file.read_text("utf-8").splitlines()])


class _Player:
    def __init__(self, log: SqliteLog, chance: Any) -> None:
        self.log = log
        self.chance = chance
        self.under_way: list[Call] = []
        self._ids = 0
        self.tracker = self._tracker(BROKER)

    def _tracker(self, capabilities: Capabilities) -> Tracker:
        keeper = Keeper(self.log, self._fold, SETTINGS.fill_policy)
        return Tracker(keeper, capabilities, SETTINGS, self._make_id, Random(1))

    def _fold(self) -> Book:
        book = Book(LogHistory(self.log))
        for record in self.log.records():
            book.apply(record)
        return book

    def _make_id(self) -> str:
        self._ids += 1
        return f"X-{self._ids}"

    @property
    def now(self) -> int:
        return int(self.chance.now)

    def play(self, steps: list[dict[str, Any]]) -> None:
        for step in steps:
            getattr(self, step.pop("do"))(**step)
            self._go_on()

    def _go_on(self) -> None:
        self.tracker.tick(self.now)
        self.under_way += self.tracker.start_calls(self.now)

    def _taken(self, kind: str) -> Call:
        call = next(each for each in self.under_way if each.kind == kind)
        self.under_way.remove(call)
        return call

    def _order(self, order_id: str) -> Order:
        order = self.tracker.book.find_order(order_id, None)
        assert order is not None, order_id
        return order

    # ---- the steps

    def compares(self, **actions: str) -> None:
        said = {Size(name.upper()): Action(action) for name, action in actions.items()}
        choices = Choices(policies=Policies(actions={DEFAULT: said}))
        tells = evolve(BROKER, has_positions=True, positions_lag_ns=10 * SECOND)
        self.tracker = self._tracker(tells)
        self.tracker.task = reconcile_task(self.tracker, choices)

    def start(self) -> None:
        self.tracker.start(self.now)

    def wait(self, seconds: int) -> None:
        end = self.now + seconds * SECOND
        while self.now < end:
            due = self.tracker.due_ns(self.now)
            self.chance.now = min(max(due or end, self.now + SECOND // 10), end)
            self._go_on()

    def submit(self, order: dict[str, Any]) -> None:
        partial_fills = order.pop("partial_fills", None)  # the robot's own, no venue is told
        (message,) = _messages([{"kind": "order", **order}])
        assert isinstance(message.content, SubmitOrder)
        try:
            self.tracker.intents.submit(
                evolve(message.content, partial_fills=partial_fills), self.now
            )
        except RequestRefused:
            assert not self.tracker.schedule.is_open or self.tracker.book.control.halts

    def cancel(self, order: str) -> None:
        if not self.tracker.intents.cancel_queued(order, self.now):
            self.tracker.intents.cancel(self._order(order), self.now)

    def replace(self, order: str, **terms: str) -> None:
        amounts = {key: Decimal(value) for key, value in terms.items()}
        self.tracker.intents.replace(self._order(order), self.now, **amounts)

    def answer(self, call: str, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if row.get("client_order_id") == "$restore":
                row["client_order_id"] = self._restoring()
        self.tracker.answered(self._taken(call), _messages(rows), self.now)

    def _restoring(self) -> str:
        ids = [
            record.event.restore_client_order_id
            for record in self.log.records()
            if isinstance(record.event, PositionAdopted)
        ]
        assert ids, "nothing was adopted"
        assert ids[-1] is not None, "the last adoption is not traded back"
        return ids[-1]

    def fail(self, call: str, text: str) -> None:
        self.tracker.failed(self._taken(call), ConnectionError(text), self.now)

    def refuse(self, call: str, reason: str, text: str) -> None:
        error = BrokerRefused(reason, text, json.dumps({"error": text}).encode())
        self.tracker.failed(self._taken(call), error, self.now)

    def hear(self, rows: list[dict[str, Any]]) -> None:
        for message in _messages(rows):
            self.tracker.hear(message, self.now)

    def halt(self, level: str, by: str, reason: str, instrument_id: str | None = None) -> None:
        event = HaltDeclared(
            ts_event=self.now, level=level, cause="OPERATOR", by=by, reason=reason,
            instrument_id=instrument_id,
        )  # fmt: skip
        self.tracker.keeper.note_other(event, "OPERATOR")

    def resume(self, by: str, reason: str, instrument_id: str | None = None) -> None:
        event = HaltLifted(ts_event=self.now, by=by, reason=reason, instrument_id=instrument_id)
        self.tracker.keeper.note_other(event, "OPERATOR")

    def operator(self, verb: str, **arguments: Any) -> None:
        for key in ("qty", "px"):
            if key in arguments:
                arguments[key] = Decimal(arguments[key])
        operator = Operator(self.tracker.keeper, self._make_id, self.tracker)
        getattr(operator, verb)(self.now, **arguments)

    def accept_tail_loss(self, **told: Any) -> None:
        self.tracker.keeper.note_other(TailLossAccepted(ts_event=self.now, **told), "OPERATOR")

    def _raised(self, callback: str, problem: str) -> None:
        event = CallbackFailed(
            ts_event=self.now, callback=callback, problem=problem, told_seq=self.tracker.book.seq
        )
        self.tracker.keeper.note_other(event)

    def stop(self, reason: str) -> None:
        self.tracker.stop_taking()
        self.tracker.stop(self.now, reason)


setattr(_Player, "raise", _Player._raised)


def _messages(rows: list[dict[str, Any]]) -> list[Message]:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    return list(read_jsonl(io.BytesIO(text.encode())))
