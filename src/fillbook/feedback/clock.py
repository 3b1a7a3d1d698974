"""Tell a robot the time: that of the wall clock, which may be set back, but a robot's time is not.

Every deadline, interval and rate here is a moment of this clock.  Were it set back by an hour, a
full rate limit would keep everything from the broker for that hour, cancels too.
"""

import threading
import time
from collections.abc import Callable

__all__ = ["SteadyClock"]


class SteadyClock:
    """ns since 1970, UTC; called from any thread.

    Where the wall clock was set back this one goes on, a tenth slower, until it is caught up with.
    """

    def __init__(
        self, wall: Callable[[], int] = time.time_ns, mono: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall = wall
        self._mono = mono
        self._lock = threading.Lock()
        self._told, self._since = wall(), mono()

    def __call__(self) -> int:
        """Return the time."""
        with self._lock:
            since = self._mono()
            self._told = max(self._wall(), self._told + (since - self._since) * 9 // 10)
            self._since = since
            return self._told
