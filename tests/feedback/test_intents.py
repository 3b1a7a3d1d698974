"""What the robot wants, taken or refused; a refusal leaves nothing behind."""

from decimal import Decimal

import pytest
from attrs import evolve

from feedback.desk import Desk, filled, opened
from fillbook.core.commands import SubmitOrder
from fillbook.core.values import Side
from fillbook.errors import BadRequest
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
