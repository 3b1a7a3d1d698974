"""The threads around a tracker: who makes a call, and what no thread may do any more."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from feedback.desk import ABLE, Desk
from fillbook.feedback.runner import Runner
from fillbook.feedback.schedule import Call
from fillbook.feedback.settings import SECOND


class Broker:
    """Notes what is asked of it; a submit hangs until it is let go."""

    capabilities = ABLE

    def __init__(self) -> None:
        self.made: list[str] = []
        self.release = threading.Event()

    def connect(self, listener: Any) -> None:
        pass

    def close(self) -> None:
        pass

    def __getattr__(self, kind: str) -> Any:
        def method(*_: Any) -> list[Any]:
            self.made.append(kind)
            if kind == "submit":
                self.release.wait(20)
            return []

        return method


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    yield broker
    broker.release.set()


def until(is_so: Any, seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(is_so())


def test_every_call_finds_a_thread_however_many_start_at_once(broker: Broker):
    """A thread that has just been given a call is not free for the next, even before it wakes."""
    desk = Desk()
    runner = Runner(desk.tracker, broker, clock=lambda: desk.now)  # type: ignore[arg-type]
    with runner.step():
        desk.tracker.schedule.want(Call("open_orders"))
    assert until(lambda: not desk.tracker.schedule.under_way and runner._idle)

    with runner.lock:
        for _ in range(2):
            desk.submit()
            runner._hand_out()
            time.sleep(0.1)  # who waited has its call by now, and cannot say so

    assert until(lambda: broker.made.count("submit") == 2)


def test_an_order_that_was_given_up_before_it_left_never_leaves(broker: Broker):
    """By then it may be said never to have arrived, and another one be there in its place."""
    desk = Desk()
    runner = Runner(desk.tracker, broker, clock=lambda: desk.now)  # type: ignore[arg-type]
    order = desk.submit()
    (call,) = [call for call in desk.tracker.start_calls(desk.now) if call.kind == "submit"]
    desk.now += 11 * SECOND

    runner._carry_out(call)

    assert broker.made == []
    assert order.order_status == "REJECTED"
    assert desk.of_type("order.rejected")[0].text == (
        "it was not sent: its time was up before it left"
    )


def test_a_late_cancel_leaves(broker: Broker):
    desk = Desk()
    runner = Runner(desk.tracker, broker, clock=lambda: desk.now)  # type: ignore[arg-type]
    desk.submit()
    call = desk.tracker.schedule.want(Call("cancel", command=desk.step()[0].command, stream=2))
    call.is_over = True

    runner._carry_out(call)

    assert broker.made == ["cancel"]
