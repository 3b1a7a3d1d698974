"""What holds of runs whatever the broker answers: any number, none, nothing at all, or false."""

from collections import Counter
from decimal import Decimal
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.desk import filled
from fillbook.core.exact import plain
from fillbook.reconcile.policies import Action
from reconcile.house import TELLS, House, policies, statement

NAMES = ("SBER", "GAZP")
numbers = st.integers(-12, 12)
answers = st.lists(
    st.sampled_from(["empty", "fails", "truth", "truth", "stuck"])
    | st.dictionaries(st.sampled_from(NAMES), numbers, max_size=2),
    min_size=1, max_size=12,
)  # fmt: skip
happenings = st.lists(
    st.tuples(
        st.sampled_from(["hand", "told hand", "trade", "fill", "wait", "wait", "want"]),
        st.sampled_from(NAMES), numbers.filter(bool),
    ),
    min_size=1, max_size=8,
)  # fmt: skip
each_action = st.sampled_from(list(Action))


class Days:
    """A house whose broker answers as it was drawn."""

    def __init__(self, chosen: list[Action], said: list[Any], lag_s: int) -> None:
        capabilities = evolve(TELLS, positions_lag_ns=lag_s * 10**9)
        self.house = House(policies(*chosen), capabilities=capabilities)
        self.said, self.count = said, 0
        self.stuck = dict(self.house.theirs)
        self.named: list[set[str]] = []
        self.house.tell = self.tell

    def tell(self, call: Any) -> Any:
        if call.kind != "positions":
            return None
        self.count += 1
        said = self.said[self.count % len(self.said)]
        if said == "fails":
            return ConnectionError("no answer")
        if said == "empty":
            told: dict[str, Decimal] = {}
        elif said == "truth":
            told = self.stuck = dict(self.house.theirs)
        elif said == "stuck":
            told = self.stuck
        else:
            told = {name: Decimal(qty) for name, qty in said.items()}
        self.named.append(set(told))
        return statement(told)

    def happen(self, what: str, name: str, number: int) -> None:
        house = self.house
        if what in ("hand", "told hand"):
            house.by_hand(str(number), name, is_told=what == "told hand")
        elif what == "fill":
            self.fill_restoring()
        elif what == "want":
            house.reconcile(90)
        elif what == "trade" and house.tracker.schedule.is_open and not house.halts():
            house.hold(str(number), name)
        house.live(100 + abs(number) * 30)

    def fill_restoring(self) -> None:
        house = self.house
        ids = {each.restore_client_order_id for each in house.of_type("position.adopted")}
        for order in list(house.tracker.book.open_orders()):
            if order.client_order_id in ids:
                qty = plain(order.standing.order_qty or Decimal(0))
                held = house.theirs.get(order.instrument_id, Decimal(0))
                house.theirs[order.instrument_id] = held + order.sign * Decimal(qty)
                house.hear(filled(order, f"R-{order.client_order_id}", qty, qty))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(each_action, min_size=3, max_size=3), answers, happenings,
    st.sampled_from([0, 10]),
)  # fmt: skip
def test_whatever_is_answered_nothing_is_done_twice_or_without_evidence(
    chosen, said, happened, lag_s
):
    days = Days(chosen, said, lag_s)
    house = days.house
    house.begin(90)
    for what, name, number in happened:
        days.happen(what, name, number)

    runs, adopted = house.runs(), house.of_type("position.adopted")
    # One order for one difference, and none without an adoption beside it.
    ids = [each.restore_client_order_id for each in adopted if each.restore_client_order_id]
    assert len(ids) == len(set(ids)) == len(house.restoring())
    assert len({each.adjustment_id for each in adopted}) == len(adopted)
    # What is adopted was named, by a run that says so, and the book was then where that says.
    assert all(each.reported_qty is not None for each in adopted)
    assert all(each.held_qty + each.adjusted_qty == each.reported_qty for each in adopted)
    assert sum(run.adopted + run.restored for run in runs) == len(adopted)
    assert {each.instrument_id for each in adopted} <= set().union(*days.named, set())
    # No halt beside another of the same thing; every run counts what it lists.
    halts = Counter(
        each.instrument_id
        for each in house.of_type("trading.halted")
        if each.cause == "RECONCILIATION"
    )
    assert all(count == 1 for count in halts.values())
    for run in runs:
        gaps = Counter(gap.action for gap in run.gaps)
        assert gaps == +Counter(
            ALERT=run.alerted, ADOPT=run.adopted, RESTORE=run.restored, HALT=run.halted,
            WAIT=run.unsettled,
        )  # fmt: skip
        assert run.rounding + run.minor + run.critical + run.unsettled == len(run.gaps)
        assert (run.outcome == "AGREED") is (not run.gaps and run.outcome != "UNANSWERED")


@settings(deadline=None, max_examples=40)
@given(st.lists(each_action, min_size=3, max_size=3), st.dictionaries(
    st.sampled_from(NAMES), numbers), st.dictionaries(st.sampled_from(NAMES), numbers))  # fmt: skip
def test_a_second_run_of_an_unchanged_broker_adds_only_its_own_event(chosen, ours, theirs):
    house = House(policies(*chosen))
    house.begin()
    for name, qty in ours.items():
        if qty:
            house.hold(str(qty), name)
    house.live(15)
    house.theirs = {name: Decimal(qty) for name, qty in theirs.items()}
    first = house.reconcile()
    before = len(house.events())
    count = len(house.runs())
    house.reconcile()

    assert len(house.events()) - before == len(house.runs()) - count >= 1
    last = house.runs()[-1]
    if first.outcome in ("AGREED", "ADOPTED"):
        assert (last.outcome, last.gaps) == ("AGREED", ())
    else:
        left = {gap.instrument_id for gap in first.gaps if gap.action not in ("ADOPT", "RESTORE")}
        assert {gap.instrument_id for gap in last.gaps} == left
    for name in NAMES:
        if name not in theirs:
            assert house.held(name) == plain(Decimal(ours.get(name, 0)))


@settings(deadline=None, max_examples=30)
@given(st.lists(each_action, min_size=3, max_size=3), numbers.filter(bool), st.booleans())
def test_an_answer_that_leaves_a_position_out_never_changes_the_book(chosen, held, is_empty):
    house = House(policies(*chosen))
    house.begin()
    house.hold(str(held))
    house.theirs = {} if is_empty else {"GAZP": Decimal(0)}
    house.live(1000)
    assert house.held() == plain(Decimal(held))
    assert not house.of_type("position.adopted")
    assert not house.restoring()
