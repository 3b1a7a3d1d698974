"""The line to a broker: how long it is left alone before it is tried again."""

from random import Random

from fillbook.feedback.line import Line
from fillbook.feedback.settings import SECOND


def a_line(seed: int = 1) -> Line:
    return Line(3, SECOND // 2, 30 * SECOND, Random(seed))


def test_waits_double_up_to_the_longest():
    """A broker that is down for an hour must not be asked every second of it."""
    line = a_line()

    waits = [line.wait_ns() for _ in range(12)]

    for number, wait in enumerate(waits):
        most = min(SECOND // 2 << number, 30 * SECOND)
        assert most // 2 <= wait <= most


def test_waits_have_chance_in_them():
    """Robots that lost the same broker at once must not all come back at once."""
    waits = {a_line(seed).wait_ns() for seed in range(20)}

    assert len(waits) > 15
