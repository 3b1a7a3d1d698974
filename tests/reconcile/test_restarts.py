"""A robot that is dropped in the middle of a run starts again, and nothing is done twice.

The broker lives on: what reached it stays done, whether the robot read the answer or not.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from feedback.desk import filled
from fillbook.audit.verify import verify
from fillbook.brokers.port import Message
from fillbook.core.exact import plain
from fillbook.core.reports import OrderReport
from fillbook.feedback.schedule import Call
from fillbook.feedback.settings import SECOND
from fillbook.reconcile.policies import DEFAULT, Action
from fillbook.reconcile.wishes import Wish
from reconcile.house import House, policies, statement

MOMENTS = ("tick", "not sent", "no answer", "answered")


class Killed(Exception):
    """The robot is no more."""


@define
class Moment:
    """When the robot ends: at the *number*-th tick or call, and how far that came."""

    kind: str = ""
    number: int = -1
    counts: dict[str, int] = field(factory=lambda: {"tick": 0, "call": 0})

    def at(self, kind: str) -> None:
        what = "tick" if kind == "tick" else "call"
        if kind == self.kind and self.counts[what] == self.number:
            raise Killed
        if kind in ("tick", "answered"):
            self.counts[what] += 1


class Venue:
    """What lives on: the account, the orders that reached it and their fills."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.known: dict[str, OrderReport] = {}
        self.submits: list[str] = []

    def answer(self, call: Call) -> list[Message]:
        house = self.house
        found: list[OrderReport] = []
        if call.kind == "positions":
            return statement(house.theirs)
        if call.kind == "submit":
            found = [self._execute(call)]
        elif call.kind == "look_up" and call.order is not None:
            found = [
                report for name, report in self.known.items() if name == call.order.client_order_id
            ]
        elif call.kind == "fills_since":
            found = [*house.untold, *self.known.values()]
        return [Message(0, "report", report, b"{}") for report in found]

    def _execute(self, call: Call) -> OrderReport:
        order = self.house.tracker.book.order(call.stream or 0)
        name, qty = order.client_order_id or "", order.standing.order_qty or Decimal(0)
        self.submits.append(name)
        self.known[name] = filled(order, f"T-{name}", plain(qty), plain(qty))
        theirs = self.house.theirs
        held = theirs.get(order.instrument_id, Decimal(0))
        theirs[order.instrument_id] = held + order.sign * qty
        return self.known[name]


def lived(path: Path, setup: Callable[[House], None], action: Action, moment: Moment) -> House:
    """Let a robot find out what *setup* did to its account, be dropped at *moment*, and live on."""
    most = {DEFAULT: Decimal(20)}
    house = House(policies(action, action, action, most_restore_qty=most), path=str(path))
    venue = Venue(house)
    house.tell = venue.answer
    house.begin(30)
    house.submit("10")
    house.live(15)
    setup(house)
    step = house.step

    def mortal(seconds: float = 0) -> list[Call]:
        calls = step(seconds)
        moment.at("tick")
        return calls

    def respond(call: Call) -> None:
        moment.at("not sent")
        answer = venue.answer(call)
        moment.at("no answer")
        house.tracker.answered(call, answer, house.now)
        moment.at("answered")

    house.step = mortal  # type: ignore[method-assign]
    house.task.want(Wish(cause="OPERATOR", by="ann"), house.now)
    try:
        house.pass_time(60, respond)
    except Killed:
        house.crash()
        house.now += 3 * SECOND
        house.tracker.start(house.now)
    house.step = step  # type: ignore[method-assign]
    house.live(500)
    assert len(venue.submits) == len(set(venue.submits))
    return house


def differs(house: House) -> None:
    house.by_hand("-2", is_told=False)


def was_told(house: House) -> None:
    house.by_hand("-2", is_told=True)


def flips(house: House) -> None:
    house.by_hand("-13", is_told=False)
    house.theirs["GAZP"] = Decimal(-3)


CASES = [
    (Action.ALERT, flips), (Action.HALT, flips), (Action.ADOPT, flips), (Action.RESTORE, flips),
    (Action.RESTORE, differs), (Action.ADOPT, was_told),
]  # fmt: skip


def moments(path: Path, setup: Callable[[House], None], action: Action) -> Iterator[Moment]:
    """Yield every moment of the run, in which an uninterrupted one is lived first."""
    whole = Moment()
    lived(path, setup, action, whole)
    assert whole.counts["call"] >= 6
    for kind in MOMENTS:
        for number in range(whole.counts["tick" if kind == "tick" else "call"]):
            yield Moment(kind, number)


def same(house: House) -> dict[str, Any]:
    """What must be the same, however often the robot was dropped."""
    return {
        "held": {name: house.held(name) for name in ("SBER", "GAZP")},
        "adopted": [
            (each.instrument_id, plain(each.adjusted_qty))
            for each in house.of_type("position.adopted")
        ],
        "orders": [(each.instrument_id, str(each.side)) for each in house.restoring()],
        "halts": sorted(each.instrument_id for each in house.of_type("trading.halted")),
        "open": house.tracker.schedule.is_open,
        "last": house.outcomes()[-1],
    }


def is_complete(house: House) -> bool:
    """Tell whether every run has with it all that it decided, in one piece."""
    expected: list[str] = []
    for event in house.events():
        if expected:
            assert event.type == expected.pop(0)
            continue
        assert event.type != "position.adopted"
        if event.type == "book.reconciled":
            run: Any = event
            actions = [gap.action for gap in run.gaps]
            assert (run.adopted, run.restored) == (actions.count("ADOPT"), actions.count("RESTORE"))
            for action in actions:
                expected += ["position.adopted"] if action in ("ADOPT", "RESTORE") else []
                expected += ["order.submitted"] if action == "RESTORE" else []
    return not expected


@pytest.mark.parametrize(("action", "setup"), CASES)
def test_a_robot_dropped_at_any_moment_of_a_run_does_nothing_twice(
    tmp_path: Path, action: Action, setup: Callable[[House], None]
):
    whole = lived(tmp_path / "whole", setup, action, Moment())
    assert is_complete(whole)
    count = lost_count = 0
    for moment in moments(tmp_path / "count", setup, action):
        count += 1
        house = lived(tmp_path / f"{count}", setup, action, moment)
        is_lost = [
            order
            for order in house.of_type("order.rejected")
            if order.never_arrived and order.client_order_id
        ]
        expected = same(whole)
        if is_lost:
            # It was recorded, and the robot ended before it left: not sent again, and on record.
            assert action is Action.RESTORE
            expected["held"] = {
                each: plain(house.theirs.get(each, Decimal(0))) for each in ("SBER", "GAZP")
            }
        assert same(house) == expected, moment
        assert is_complete(house), moment
        assert verify(house.log).problems == [], moment
        house.log.close()
        lost_count += bool(is_lost)
    assert count > 20
    assert (lost_count > 0) is (action is Action.RESTORE)  # between the commit and the call
