"""A robot's days against a broker that lies end in the broker's truth.

`tools/simulate 1-1000` lives a thousand of them; a seed that fails is lived again by its number.
"""

import pytest
from attrs import evolve

from fillbook.brokers.paper_faults import FaultPlan
from fillbook.brokers.paper_sim import PAPER
from fillbook.simulated_day import Wishes, live

SHORT = Wishes(orders=24, minutes=12)


@pytest.mark.parametrize("seed", range(1, 51))
def test_a_day_ends_in_the_brokers_truth(seed: int):
    day = live(seed, wishes=SHORT)

    assert day.problems == []
    assert day.events["order.submitted"] == day.order_count > 0


def test_days_are_as_bad_as_they_are_meant_to_be():
    """A simulation in which nothing goes wrong would hold nothing."""
    days = [live(seed, FaultPlan.parse("all,offline=1"), SHORT) for seed in range(1, 9)]

    seen = sum((day.events for day in days), days[0].events - days[0].events)
    for type_ in (
        "order.lost", "order.fill_inferred", "order.fill_busted", "order.fill_corrected",
        "order.disputed", "line.lost", "line.restored", "order.cancel_requested",
        "order.request_rejected",
    ):  # fmt: skip
        assert seen[type_], type_
    assert sum(day.crash_count for day in days)
    assert sum(day.heard["DUPLICATE"] for day in days)
    assert all(day.problems == [] for day in days)


def test_the_same_seed_is_the_same_day():
    one, two = live(3, wishes=SHORT), live(3, wishes=SHORT)

    assert (one.events, one.calls, one.heard) == (two.events, two.calls, two.heard)


def test_a_robot_that_may_ask_nothing_does_not_get_there():
    """The comparison sees what is missing: with the stream alone some days end apart."""
    deaf = evolve(
        PAPER, can_look_up=False, can_look_up_by_venue_id=False, has_open_orders=False,
        has_fills_since=False,
    )  # fmt: skip
    plan = FaultPlan.parse("forget=0.2,hang=0.1")

    assert any(live(seed, plan, evolve(SHORT, capabilities=deaf)).problems for seed in (1, 2, 3))


@pytest.mark.parametrize(
    "without",
    ["has_stream", "can_look_up", "has_open_orders", "has_fills_since", "can_replace"],
)
def test_a_broker_that_can_do_less_is_enough(without: str):
    """What the stream forgets for good needs some question that shows it; all else does not."""
    capabilities = evolve(PAPER, **{without: False})
    plan = FaultPlan.parse("all,forget=0,drop=0,bust=0,correct=0,reuse-trade-id=0")

    day = live(11, plan, evolve(SHORT, capabilities=capabilities))

    assert day.problems == []
