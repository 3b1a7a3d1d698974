"""What moved a position last: it counts wherever it stands, and is found without reading it all."""

from decimal import Decimal
from typing import Any

from feedback.desk import filled
from fillbook.feedback.settings import SECOND
from fillbook.reconcile.lately import last_moves
from fillbook.reconcile.policies import Action
from reconcile.house import TELLS, House, policies, statement

KEY = ("default", "SBER")


def test_an_answer_that_lags_behind_a_move_before_the_agreed_point_is_not_believed():
    """10, then 15, then 10 again: book and broker agree by chance, and then the 15 is told."""
    house = House(policies(Action.RESTORE, Action.RESTORE, Action.RESTORE))
    house.begin()
    house.hold("10")
    house.live(60)
    truth = [(house.now, "10")]

    def lagging(call: Any) -> Any:
        if call.kind != "positions":
            return None
        told_ns = house.now - TELLS.positions_lag_ns
        (*_, qty) = [qty for ts, qty in truth if ts <= told_ns] or ["10"]
        return statement({"SBER": Decimal(qty)})

    house.tell = lagging
    house.hold("5")
    truth.append((house.now, "15"))
    house.live(6)
    house.hold("-5")
    truth.append((house.now, "10"))
    assert house.reconcile(0.01).outcome == "AGREED"
    house.live(4.19)
    house.reconcile(60)

    assert house.held() == "10"
    assert not house.of_type("position.adopted")
    assert not house.restoring()


def test_a_difference_that_stands_is_not_looked_for_in_all_that_ever_moved_the_position():
    house = House(policies(minor=Action.ALERT))
    house.begin()
    for _ in range(500):
        house.hold("1")
    house.live(600)
    desk, count = house.task.desk, 0
    read = desk.position_records

    def counted(account_id: str, instrument_id: str, after: int) -> Any:
        nonlocal count
        for record in read(account_id, instrument_id, after):
            count += 1
            yield record

    desk.position_records = counted  # type: ignore[method-assign]
    house.by_hand("-2", is_told=False)
    run = house.reconcile()

    assert (run.outcome, run.alerted) == ("DIFFERS", 1)
    assert 0 < count < 500  # each look is a look at the end


def test_the_last_moves_are_found_however_far_back_they_are():
    house = House()
    house.begin()
    for _ in range(3):
        house.hold("1")
    moved = [move.seq for move in last_moves(house.task.desk, KEY, 100)]
    for _ in range(100):
        house.hold("1", "GAZP")
    house.hold("0.5")
    last = house.tracker.book.seq

    assert len(moved) == 3
    assert last_moves(house.task.desk, KEY)[-1].seq == last
    found = last_moves(house.task.desk, KEY, 2)
    assert [move.seq for move in found] == [*moved, last][-len(found) :]
    assert len(found) >= 2
    assert len(last_moves(house.task.desk, KEY, 1, since_ns=house.now + SECOND)) >= 1
    assert len(last_moves(house.task.desk, KEY, 1, since_ns=0)) == 4
    assert last_moves(house.task.desk, ("default", "LKOH")) == []


def test_what_is_under_way_is_looked_through_once_and_again_when_the_book_moves():
    house = House()
    house.begin()
    order = house.submit("1", "100", instrument_id="SBER")
    desk, book, count = house.task.desk, house.tracker.book, 0
    look_through = book.open_orders

    def counted() -> Any:
        nonlocal count
        count += 1
        return look_through()

    book.open_orders = counted  # type: ignore[method-assign]
    names = ["SBER", *(f"I{number}" for number in range(50))]
    said = [desk.under_way("default", name) for name in names]
    assert said == [f"order {order.client_order_id} is not answered yet", *[None] * 50]
    assert count == 1
    house.hear(filled(order, "T1", "1", "1", "100"))
    assert desk.under_way("default", "SBER") is None
