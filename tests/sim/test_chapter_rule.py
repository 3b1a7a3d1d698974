"""The rule of the book's chapter, in the same simulation: correcting by orders runs away.

Robot 10, broker 8: the rule sells 2, since the robot "has more".  That takes the account further
away, and the next look finds a larger difference, or the same one for ever.
"""

from decimal import Decimal

import pytest

from fillbook.brokers.paper_faults import FaultPlan
from fillbook.brokers.paper_sim import SimulatedBroker
from fillbook.core.commands import SubmitOrder
from fillbook.core.reports import OrderReport, PositionReport
from fillbook.core.values import Side
from fillbook.feedback.settings import SECOND
from fillbook.reconcile.choices import Choices
from fillbook.simulated_day import OPENS_NS, Wishes
from fillbook.simulated_reconciliation import BROKERS, POLICIES, ComparingRobot, ReconciledDay
from fillbook.wiring import MEMORY

NAME = "CRM6"  # one unit is the smallest order
CYCLE_NS = 300 * SECOND


class ChapterRule:
    """Compares once per cycle and trades the difference at the market.

    Attributes:
        held: What the robot believes.
        books_fills: What a correction traded is taken into `held`, as by a tracker of orders; the
            chapter's own order is not tracked.
    """

    def __init__(self, broker: SimulatedBroker, held: int, *, books_fills: bool) -> None:
        self.broker = broker
        self.held = held
        self.books_fills = books_fills
        self.now = OPENS_NS
        self.count = 0

    def cycle(self) -> int:
        """Look once, and return what the account holds afterwards."""
        self.now += CYCLE_NS
        difference = self.held - self.theirs()
        if 0.001 < abs(difference) <= 10:
            self.trade(-difference)
        return self.theirs()

    def theirs(self) -> int:
        _, answer = self.broker.call(self.now, "positions")
        assert isinstance(answer, list)
        found = [each.content for each in answer if isinstance(each.content, PositionReport)]
        return sum(int(each.position_qty) for each in found if each.instrument_id == NAME)

    def trade(self, qty: int) -> None:
        self.count += 1
        command = SubmitOrder(
            client_order_id=f"correction-{self.count}",
            instrument_id=NAME,
            side=Side.BUY if qty > 0 else Side.SELL,
            order_type="MARKET",
            order_qty=Decimal(abs(qty)),
        )
        _, answer = self.broker.call(self.now, "submit", command)
        assert isinstance(answer, list)
        told = [each.content for each in answer if isinstance(each.content, OrderReport)]
        assert told[-1].cum_qty == abs(qty), "the market has enough for every correction"
        if self.books_fills:
            self.held += qty


def a_broker_with_8() -> SimulatedBroker:
    """A broker whose client bought 10, of which somebody sold 2 by hand."""
    broker = SimulatedBroker(5, FaultPlan(), OPENS_NS, capabilities=BROKERS["chapter"].capabilities)
    broker.trade_by_hand(NAME, Side.BUY, Decimal(10))
    broker.trade_by_hand(NAME, Side.SELL, Decimal(2))
    return broker


@pytest.mark.parametrize(
    ("books_fills", "positions", "gaps"),
    [
        # Each correction doubles the gap, until it is "critical" and nobody does anything.
        (False, [6, 2, -6, -6, -6, -6], [4, 8, 16, 16, 16, 16]),
        # The gap never closes: two are sold in every cycle for as long as the robot runs.
        (True, [6, 4, 2, 0, -2, -4], [2, 2, 2, 2, 2, 2]),
    ],
)
def test_the_rule_of_the_chapter_runs_away(
    books_fills: bool, positions: list[int], gaps: list[int]
):
    rule = ChapterRule(a_broker_with_8(), held=10, books_fills=books_fills)
    seen = []
    for _ in positions:
        theirs = rule.cycle()
        seen.append((theirs, rule.held - theirs))

    assert seen == list(zip(positions, gaps, strict=True))


def test_restoring_in_the_same_situation_ends_at_the_target_with_one_order():
    """Adopted first, so that the order that trades it back closes the gap instead of moving it."""
    day = ReconciledDay(5, FaultPlan())
    kind = BROKERS["chapter"]
    wishes = Wishes(capabilities=kind.capabilities, choices=Choices(policies=POLICIES["restore"]))
    robot = ComparingRobot(day, wishes, MEMORY, "robot")
    robot.begin()
    robot.live_until(OPENS_NS + 10 * SECOND)
    robot.tracker.intents.submit(
        SubmitOrder(
            client_order_id=robot.tracker.make_id(), instrument_id=NAME, side=Side.BUY,
            order_type="MARKET", order_qty=Decimal(10), ts_event=robot.now,
        ),
        robot.now,
    )  # fmt: skip
    robot.live_until(robot.now + 60 * SECOND)
    robot.broker.trade_by_hand(NAME, Side.SELL, Decimal(2))
    assert robot.positions() == {NAME: Decimal(8)}
    robot.live_until(robot.now + 8 * CYCLE_NS)
    robot.judge()

    assert day.problems == []
    assert robot.positions() == {NAME: Decimal(10)}
    (view,) = robot.tracker.book.position_views()
    assert view.position_qty == 10
    assert (day.events["position.adopted"], day.events["order.submitted"]) == (1, 2)
    sent = [row for row in robot.broker.truth()["orders"] if row["client_order_id"]]
    assert [(row["side"], row["order_qty"]) for row in sent] == [("BUY", "10"), ("BUY", "2")]
