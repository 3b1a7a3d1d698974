"""What an operator's own run does beside the robot's: its reason, its dry look, and what rests."""

from decimal import Decimal

from attrs import evolve

from fillbook.feedback.schedule import Call
from fillbook.reconcile.policies import Action
from fillbook.reconcile.wishes import Wish
from fillbook.wiring.reconciling import dry_desk
from reconcile.house import TELLS, House, policies


def test_a_reason_is_kept_with_what_is_adopted():
    house = House()
    house.begin()
    house.hold("10")
    house.by_hand("-2", is_told=False)

    run = house.reconcile(by="olga", reason="sold by phone", adopt=frozenset({"SBER"}))

    assert (run.outcome, run.by) == ("ADOPTED", "olga")
    (adopted,) = house.of_type("position.adopted")
    assert (adopted.by, adopted.adjusted_qty) == ("olga", Decimal(-2))
    assert adopted.reason.endswith(": sold by phone")


def test_one_position_that_never_rests_holds_up_no_other():
    mute = evolve(
        TELLS, can_look_up=False, can_look_up_by_venue_id=False, has_open_orders=False,
        has_fills_since=False,
    )  # fmt: skip
    house = House(policies(minor=Action.ADOPT), capabilities=mute)
    house.begin()
    house.hold("10")
    house.by_hand("-2", is_told=False)
    house.tell = lambda call: TimeoutError("no answer") if call.kind == "submit" else None
    order = house.submit("5", instrument_id="GAZP")
    house.by_hand("3", "GAZP", is_told=False)

    run = house.reconcile(seconds=100)

    assert run.outcome == "UNSETTLED"
    texts = {gap.instrument_id: (gap.action, gap.text) for gap in run.gaps}
    assert texts["SBER"] == ("ADOPT", None)
    assert texts["GAZP"] == ("WAIT", f"order {order.client_order_id} is not answered yet")
    assert house.held() == "8"


def test_a_dry_look_at_an_order_is_no_evidence_that_it_never_arrived():
    """Nothing of what a dry run hears is kept, so what it does not hear counts for nothing."""
    house = House(capabilities=evolve(TELLS, has_open_orders=False))
    house.begin()
    house.tell = lambda call: TimeoutError("no answer") if call.kind == "submit" else None
    order = house.submit("5")
    house.live(0)
    house.tell = lambda call: [] if call.kind == "look_up" else None
    house.by_hand("3", is_told=False)
    watch = house.tracker.work.watches[order.stream]
    looks: list[int] = []
    respond = house.respond

    def counted(call: Call) -> None:
        before = watch.misses
        respond(call)
        if (call.kind, call.purpose) == ("look_up", "look"):
            looks.append(watch.misses - before)

    house.respond = counted  # type: ignore[method-assign]
    house.live(6)
    house.task.want(Wish(cause="OPERATOR"), house.now, dry_desk(house.task.desk))
    house.live(5)

    assert looks
    assert not any(looks)
