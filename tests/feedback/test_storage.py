"""A full disk ends what is new; feedback goes on, and what takes risk away with it."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from decimal import Decimal
from typing import Any

import pytest

from feedback.desk import Desk, filled, opened, snapshot
from fillbook.core.commands import SubmitOrder
from fillbook.core.values import Side
from fillbook.errors import StorageFailed
from fillbook.feedback.settings import SECOND, Settings


class FullDisk:
    """The desk's log once its disk is full: the commit that finds it fails, then only feedback."""

    def __init__(self, desk: Desk) -> None:
        self._log = desk.log
        self._is_found = False
        self.is_broken = False
        desk.keeper.log = self  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    @contextmanager
    def batch(self, *, feedback: bool = False) -> Iterator[Any]:
        with self._log.batch(feedback=feedback) as batch:
            yield batch
            if self.is_broken or not (self._is_found and feedback):
                self._is_found = True
                raise StorageFailed("x.ledger", "the disk is full")


def test_what_was_decided_when_the_disk_was_found_full_is_recorded():
    """The book was folded anew meanwhile; what was decided is about an order as it is there."""
    desk = Desk()
    order_id = desk.submit().client_order_id
    (call,) = desk.step()
    FullDisk(desk)

    desk.fail(call)

    order = desk.tracker.book.find_order(order_id, None)
    assert order is not None
    assert order.order_status == "UNKNOWN"
    assert desk.types()[-1] == "order.lost"
    with pytest.raises(StorageFailed):
        desk.submit()


def test_on_a_full_disk_orders_can_still_be_canceled():
    desk = Desk()
    order = opened(desk)
    FullDisk(desk)

    desk.tracker.intents.cancel(order, desk.now)

    assert [call.kind for call in desk.step()] == ["cancel"]
    assert desk.types()[-1] == "order.cancel_requested"


def test_a_cancel_that_could_not_be_recorded_may_be_asked_for_anew():
    desk = Desk()
    order_id = opened(desk).client_order_id
    disk = FullDisk(desk)
    for disk.is_broken in (True, False):
        order = desk.tracker.book.find_order(order_id, None)
        assert order is not None
        with pytest.raises(StorageFailed) if disk.is_broken else nullcontext():
            desk.tracker.intents.cancel(order, desk.now)

    assert [call.kind for call in desk.step()] == ["cancel"]


@pytest.mark.parametrize("policy", ["CANCEL_REST", "REPRICE:101"])
def test_on_a_full_disk_a_policy_does_not_end_the_feedback(policy: str):
    """The fill is on record before the policy acts; that it cannot costs only the policy."""
    desk = Desk()
    order_id = opened(desk, partial_fills=policy).client_order_id

    def order() -> Any:
        return desk.tracker.book.find_order(order_id, None)

    disk = FullDisk(desk)
    disk._is_found = True  # by another robot's file: ours is told at its next intent
    desk.hear(filled(order(), "T1", "3", "3"))
    seen = desk.pass_time(60, lambda call: desk.answer(call, *(
        [snapshot(order(), "PARTIALLY_FILLED", cum_qty="3", avg_px="100")]
        if call.kind in ("look_up", "open_orders") else []
    )))  # fmt: skip
    desk.hear(filled(order(), "T2", "7", "10"))

    assert ("cancel" in [call.kind for call in seen]) == (policy == "CANCEL_REST")
    assert order().standing.cum_qty == 10


def test_on_a_full_disk_what_was_queued_waits_and_the_line_comes_back():
    desk = Desk(settings=Settings(offline="QUEUE", queue_ns=3600 * SECOND))
    desk.submit()
    desk.pass_time(30, desk.fail)
    assert not desk.tracker.line.is_up
    command = SubmitOrder(
        client_order_id="Q1", instrument_id="GAZP", side=Side.BUY, order_type="LIMIT",
        order_qty=Decimal(1), limit_px=Decimal(1), ts_event=desk.now,
    )  # fmt: skip
    desk.tracker.intents.submit(command, desk.now)
    disk = FullDisk(desk)
    disk._is_found = True

    seen = desk.pass_time(60)

    assert desk.tracker.line.is_up
    assert list(desk.tracker.book.control.queued) == ["Q1"]
    assert "submit" not in [call.kind for call in seen]
