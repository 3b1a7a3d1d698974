"""A robot's time goes on, whatever becomes of the wall clock."""

from fillbook.feedback.clock import SteadyClock
from fillbook.feedback.settings import SECOND


def test_a_clock_that_is_set_back_stops_nothing():
    """A deadline, or the next call under the rate limit, would be an hour away."""
    wall, mono = [1_000_000 * SECOND], [0]
    clock = SteadyClock(lambda: wall[0], lambda: mono[0])
    began = clock()

    wall[0] -= 3600 * SECOND
    told = []
    for _ in range(10):
        wall[0] += SECOND
        mono[0] += SECOND
        told.append(clock() - began)

    assert told == [number * 9 * SECOND // 10 for number in range(1, 11)]


def test_it_is_the_wall_clock_again_once_that_has_caught_up():
    wall, mono = [1_000_000 * SECOND], [0]
    clock = SteadyClock(lambda: wall[0], lambda: mono[0])
    wall[0] -= 10 * SECOND
    for _ in range(101):
        wall[0] += SECOND
        mono[0] += SECOND
        told = clock()

    assert told == wall[0]
    wall[0] += 3600 * SECOND  # the machine slept
    assert clock() == wall[0]


def test_a_robot_lives_by_it(tmp_path):
    from fillbook.brokers import PaperBroker
    from fillbook.feedback.settings import Settings
    from fillbook.wiring import open_robot

    runner, end = open_robot(
        str(tmp_path / "a.ledger"), PaperBroker(seed=7), Settings(), "strict", ""
    )
    end()
    assert isinstance(runner._clock, SteadyClock)
