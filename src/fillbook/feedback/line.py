"""Know whether the broker can be reached, and when to try again.

One failed call says little; several in a row, of whatever kind, say that the line is down.  While
it is down one call at a time tries it, with a wait that doubles and a little chance in it, so that
a line that flaps does not multiply the requests.
"""

from random import Random

from attrs import define, field

__all__ = ["Line"]

_REPEATS = 3
"""One order that cannot be asked about is a lost line after so many times as many failures."""


@define
class Line:
    """The line to one broker.

    Attributes:
        is_up: As far as calls tell.
        since_ns: Since when.
        failures: Calls in a row that failed; of those about one order only the first counts, so
            that one bad order does not bring the line down, unless nothing else is asked.
        problem: The last failure, in words.
        try_ns: While it is down, when to try it next.
        stream_is_up: What the stream's adapter says; None before it said anything.
        heard_ns: When the stream last brought anything.
        answer_ns: When a call was last answered.
    """

    most_failures: int
    first_wait_ns: int
    most_wait_ns: int
    random: Random
    is_up: bool = True
    since_ns: int = 0
    failures: int = 0
    problem: str = ""
    try_ns: int = 0
    stream_is_up: bool | None = None
    heard_ns: int = 0
    answer_ns: int = 0
    _wait_ns: int = 0
    _failed_ns: int = 0
    _repeats: int = 0
    _orders: set[int] = field(factory=set)

    def answered(self, now: int) -> bool:
        """Note that a call was answered, whatever the answer; True where the line came back."""
        self.failures = self._repeats = 0
        self._orders.clear()
        self.answer_ns = now
        if now - self._failed_ns >= self.most_wait_ns:  # a line that flaps keeps its long waits
            self._wait_ns = 0
        if self.is_up:
            return False
        self.is_up, self.since_ns = True, now
        return True

    def failed(self, problem: str, now: int, order: int | None = None) -> bool:
        """Note that a call, about *order* where it names one, got no answer.

        True where the line is lost by that.
        """
        if order is None or order not in self._orders:
            self.failures += 1
        else:
            self._repeats += 1
        if order is not None:
            self._orders.add(order)
        if self._repeats >= _REPEATS * self.most_failures:
            self.failures = max(self.failures, self.most_failures)
        self._failed_ns = now
        self.problem = problem
        if self.is_up and self.failures < self.most_failures:
            return False
        self.try_ns = now + self.wait_ns()
        if not self.is_up:
            return False
        self.is_up, self.since_ns = False, now
        return True

    def wait_ns(self) -> int:
        """Return the next wait: twice the last, up to the most, between half of it and all."""
        self._wait_ns = min(max(2 * self._wait_ns, self.first_wait_ns), self.most_wait_ns)
        return self._wait_ns // 2 + self.random.randrange(self._wait_ns // 2 + 1)
