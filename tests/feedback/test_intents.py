"""What the robot wants, taken or refused; a refusal leaves nothing behind."""

from contextlib import nullcontext
from decimal import Decimal

import pytest
from attrs import evolve

from feedback.desk import ABLE, Desk, filled, opened
from fillbook.core.commands import SubmitOrder
from fillbook.core.robot_events import HaltDeclared
from fillbook.core.values import Side
from fillbook.errors import BadRequest, TradingHalted
from fillbook.feedback.settings import Settings


def test_a_second_order_under_the_same_id_is_refused_here():
    desk = Desk()
    order = desk.submit()

    with pytest.raises(BadRequest, match="used before"):
        desk.submit(client_order_id=order.client_order_id)

    assert desk.types().count("order.submitted") == 1


def test_a_second_order_under_the_id_of_one_that_waits_is_refused_here():
    """It would take the first one's place, which nobody would hear of again."""
    desk = Desk(settings=Settings(offline="QUEUE"))
    desk.submit()
    desk.pass_time(30, desk.fail)
    command = SubmitOrder(
        client_order_id="Q1", instrument_id="SBER", side=Side.BUY, order_type="MARKET",
        order_qty=Decimal(1), ts_event=desk.now,
    )  # fmt: skip
    desk.tracker.intents.submit(command, desk.now)

    with pytest.raises(BadRequest, match="used before"):
        desk.tracker.intents.submit(evolve(command, order_qty=Decimal(2)), desk.now)

    assert desk.tracker.book.control.queued["Q1"].order_qty == 1


@pytest.mark.parametrize(
    ("form", "taken", "refused"),
    [
        ("TEXT", ["a", "A-1_z", "x" * 36], ["", "x" * 37, "a b", "é", "a\n"]),
        ("INTEGER", ["0", "9" * 18], ["9" * 19, "a1", "-1"]),
        ("SHORT", ["abcdefghijk1"], ["abcdefghijkl1"]),
        ("UUID", ["9f86d081-4e07-8ad0-8000-000000000064"], ["9f86d0814e078ad08000000000000064"]),
    ],
)
def test_an_id_that_the_broker_might_cut_short_is_refused(
    form: str, taken: list[str], refused: list[str]
):
    """The order would come back under an id that nobody gave it."""
    desk = Desk(capabilities=evolve(ABLE, client_id_form=form))
    for each in taken:
        assert desk.submit(client_order_id=each)
    count = len(desk.types())
    for each in refused:
        with pytest.raises(BadRequest, match=f"of the form {form}"):
            desk.submit(client_order_id=each)
    assert len(desk.types()) == count


@pytest.mark.parametrize(
    ("terms", "is_refused"),
    [
        ({"order_qty": Decimal(5)}, False),
        ({"order_qty": Decimal(5), "limit_px": Decimal(100)}, False),
        ({"order_qty": Decimal(5), "limit_px": Decimal(101)}, True),
        ({"order_qty": Decimal(5), "stop_px": Decimal(101)}, True),
        ({"order_qty": Decimal(10)}, True),
        ({"order_qty": Decimal(10), "limit_px": Decimal(101)}, True),
        ({"limit_px": Decimal(101)}, True),
        ({"order_qty": Decimal(11)}, True),
    ],
)
def test_under_a_halt_an_order_may_only_become_smaller(terms: dict[str, Decimal], is_refused: bool):
    desk = Desk()
    order = opened(desk, qty="10")
    halt = HaltDeclared(ts_event=desk.now, level="HALTED", cause="OPERATOR", by="olga", reason="x")
    desk.keeper.note_other(halt, actor="OPERATOR")

    with pytest.raises(TradingHalted) if is_refused else nullcontext():
        desk.tracker.intents.replace(order, desk.now, **terms)

    assert ("order.replace_requested" in desk.types()) is not is_refused


def test_a_closed_order_cannot_be_canceled():
    desk = Desk()
    order = opened(desk)
    desk.hear(filled(order, "T1", "10", "10"))

    with pytest.raises(BadRequest, match="FILLED"):
        desk.tracker.intents.cancel(order, desk.now)


def test_cancel_all_takes_one_instrument_or_everything():
    desk = Desk()
    mine = [opened(desk), opened(desk, instrument_id="GAZP"), opened(desk)]

    assert desk.tracker.intents.cancel_all(desk.now, "SBER") == 2
    assert desk.tracker.intents.cancel_all(desk.now) == 3 - 2 + 2
    calls = [call for call in desk.step() if call.kind == "cancel"]

    assert sorted(call.stream for call in calls) == [order.stream for order in mine]
