"""Days on which the account moves behind the robot's back end agreed, or halted, or on record.

`tools/simulate --reconcile 1-500` lives more of them; a day that fails is lived again by its seed,
its policy and its broker.
"""

from collections import Counter
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import pytest
from attrs import evolve

from fillbook.audit.verify import verify
from fillbook.brokers.paper_faults import FaultPlan
from fillbook.brokers.paper_sim import PAPER
from fillbook.core.commands import SubmitOrder
from fillbook.core.reconciled_events import PositionAdopted
from fillbook.core.values import Side
from fillbook.feedback.settings import SECOND
from fillbook.log.reader import open_reader
from fillbook.reconcile import closing
from fillbook.reconcile import run as runs
from fillbook.reconcile import settle as settling
from fillbook.reconcile.choices import Choices
from fillbook.reconcile.reconciler import Rhythm
from fillbook.simulated_day import OPENS_NS, Wishes
from fillbook.simulated_reconciliation import (
    BROKERS,
    POLICIES,
    ComparingRobot,
    ReconciledDay,
    live_reconciled,
)
from fillbook.wiring import MEMORY

EVERY = [(policy, broker) for policy in POLICIES for broker in BROKERS]

lived = lru_cache(maxsize=None)(live_reconciled)


@pytest.mark.parametrize(("policy", "broker"), EVERY, ids=map("/".join, EVERY))
def test_a_day_keeps_what_comparing_promises(policy: str, broker: str):
    day = lived(EVERY.index((policy, broker)), policy, broker)

    assert day.problems == []
    assert day.events["book.reconciled"] > 5


def test_days_are_as_bad_as_they_are_meant_to_be():
    """A simulation in which nothing differs would hold nothing."""
    days = [lived(seed, *each) for seed, each in enumerate(EVERY)]

    seen = sum((day.events for day in days), Counter[str]())
    for type_ in (
        "position.adopted", "trading.halted", "trading.resumed", "instrument.split", "line.lost",
        "position.adjusted", "order.fill_busted",
    ):  # fmt: skip
        assert seen[type_], type_
    assert sum(day.restore_count for day in days) > 5
    assert sum(day.mistaken_count for day in days)
    assert sum(day.crash_count for day in days)
    assert {day.broker for day in days if day.explained_count} >= {"everything", "lags"}


def test_the_same_seed_is_the_same_day():
    one, two = (live_reconciled(3, "restore", "chapter") for _ in range(2))

    assert (one.events, one.calls, one.heard) == (two.events, two.calls, two.heard)


def test_the_ledger_of_such_a_day_is_whole(tmp_path: Path):
    path = str(tmp_path / "day.ledger")
    day = live_reconciled(1, "restore", "chapter", ledger=path)
    reader = open_reader(path)
    verdict = verify(reader)
    reader.close()

    assert verdict.is_whole, verdict.problems
    assert verdict.counts["position.adopted"] == day.events["position.adopted"] > 0


# ---- single faults, all the time


@pytest.mark.parametrize("policy", ["adopt", "restore", "mixed", "halts-all"])
@pytest.mark.parametrize("faults", ["empty_positions=1", "partial_positions=1"])
def test_an_answer_that_is_not_whole_never_takes_a_position_away(policy: str, faults: str):
    """Whatever the policy: an instrument that is left out is not flat.

    One that is named is as the book has it, so nothing at all is adopted.
    """
    day = live_reconciled(2, policy, "everything", FaultPlan.parse(faults))

    assert day.problems == []
    assert day.events["order.filled"] > 5
    assert day.events["position.adopted"] == 0


@pytest.mark.parametrize("policy", ["adopt", "restore"])
@pytest.mark.parametrize("lag_s", [25, 40])
def test_a_broker_that_lags_longer_than_it_says_does_not_make_it_swing(policy: str, lag_s: int):
    """Adopted for a fill that was not counted yet, and set right again: by fill, and never more.

    A restoring order is a fill too: it must not bring on the next one.
    """
    day = ReconciledDay(1, FaultPlan.parse(f"lag_positions={lag_s}"))
    rhythm = Rhythm(interval_ns=45 * SECOND)
    choices = Choices(policies=POLICIES[policy], rhythm=rhythm)
    robot = ComparingRobot(day, Wishes(capabilities=PAPER, choices=choices), MEMORY, "robot")
    robot.begin()
    robot.live_until(OPENS_NS + 30 * SECOND)
    buy(robot, 8)
    robot.live_until(robot.now + 3600 * SECOND)
    adopted = adoptions(robot)
    robot.live_until(robot.now + 3600 * SECOND)

    assert len(adopted) <= 2
    assert adoptions(robot) == adopted
    robot.broker.settle()
    robot.live_until(robot.now + 600 * SECOND)
    robot.judge()
    assert day.problems == []


def test_what_others_do_is_explained_where_the_broker_tells_it():
    """Then nothing is adopted, under no policy, however often it happens."""
    plan = FaultPlan.parse("external=1,liquidation=0.3,transfer=0.5,forget=0.1,lag_positions=10")
    day = live_reconciled(4, "adopt", "lags", plan)

    assert day.problems == []
    assert day.explained_count > 2
    assert day.events["position.adopted"] == 0
    assert day.halt_count == 0


# ---- the judge can say no


def test_a_rule_that_believes_one_reading_is_found_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runs.Run, "_why_waiting", lambda self, difference, reading: None)

    day = live_reconciled(1, "restore", "chapter")

    assert any("told was" in each for each in day.problems)


def test_a_rule_that_adopts_again_and_again_is_found_out(monkeypatch: pytest.MonkeyPatch):
    settle = settling.settle

    def forgetful(difference, case, *rest):  # type: ignore[no-untyped-def]
        return settle(difference, evolve(case, unconfirmed_seq=0), *rest)

    monkeypatch.setattr(closing, "settle", forgetful)
    days = [live_reconciled(seed, "adopt", "lags-longer") for seed in (7, 9, 13)]

    assert any("before it agreed" in each for day in days for each in day.problems)


def test_a_rule_that_takes_absence_for_flat_is_found_out(monkeypatch: pytest.MonkeyPatch):
    settle = settling.settle

    def gullible(difference, *rest):  # type: ignore[no-untyped-def]
        return settle(evolve(difference, reported_qty=Decimal(0)), *rest)

    monkeypatch.setattr(closing, "settle", gullible)
    day = live_reconciled(2, "adopt", "everything", FaultPlan.parse("empty_positions=1"))

    assert any("does not name" in each for each in day.problems)


# ---- little things


def buy(robot: ComparingRobot, qty: int) -> None:
    command = SubmitOrder(
        client_order_id=robot.tracker.make_id(), instrument_id="CRM6", side=Side.BUY,
        order_type="MARKET", order_qty=Decimal(qty), ts_event=robot.now,
    )  # fmt: skip
    robot.tracker.intents.submit(command, robot.now)


def adoptions(robot: ComparingRobot) -> list[PositionAdopted]:
    events = [record.event for record in robot.log.records()]
    return [event for event in events if isinstance(event, PositionAdopted)]
