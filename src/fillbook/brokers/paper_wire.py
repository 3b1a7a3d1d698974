"""Keep the paper exchange's time: what is due when, and when each message arrives.

The clock is an argument.  Everything that happens gets a time later than all before it, and each
direction is one line: what is sent later arrives later.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

from fillbook.core.reports import CancelReject, CashReport, CommissionReport, OrderReport

__all__ = ["MICROSECOND", "SECOND", "VenueMessage", "Wire"]

SECOND = 1_000_000_000
MICROSECOND = 1_000

VenueMessage = OrderReport | CancelReject | CommissionReport | CashReport


class Wire:
    """The clock, the agenda and both directions of one line to the exchange.

    Attributes:
        now_ns: The clock; `run` alone moves it.
        on_send: Called with each message as it is put on the line, before it is delivered.
    """

    def __init__(self, random: Random, now_ns: int) -> None:
        self.now_ns = now_ns
        self.on_send: Callable[[VenueMessage], object] = lambda message: None
        self._random = random
        self._agenda: list[tuple[int, int, Callable[[], object]]] = []
        self._agenda_count = 0
        self._outbound: deque[VenueMessage] = deque()
        self._ts_event = self._ts_arrival = self._ts_delivery = now_ns

    def at(self, ns: int, action: Callable[[], object]) -> None:
        """Have *action* done at *ns*; what is due at the same time is done in the order asked."""
        self._agenda_count += 1
        heappush(self._agenda, (ns, self._agenda_count, action))

    @property
    def next_ns(self) -> int | None:
        """When something is to be done next, None where nothing is."""
        return self._agenda[0][0] if self._agenda else None

    def run(self, to_ns: int) -> list[VenueMessage]:
        """Do all that is due until *to_ns* and return what has been delivered by then, in order."""
        assert to_ns >= self.now_ns, f"the clock is at {self.now_ns}, {to_ns} is before it"
        while self._agenda and self._agenda[0][0] <= to_ns:
            self.now_ns, _, action = heappop(self._agenda)
            action()
        self.now_ns = to_ns
        delivered = []
        while self._outbound and _delivery_ns(self._outbound[0]) <= to_ns:
            delivered.append(self._outbound.popleft())
        return delivered

    def arrival_ns(self, sent_ns: int | None) -> int:
        """Return when what is sent at *sent_ns*, or now, arrives at the exchange."""
        sent_ns = self.now_ns if sent_ns is None else max(sent_ns, self.now_ns)
        self._ts_arrival = max(sent_ns + self._latency_ns(), self._ts_arrival + MICROSECOND)
        return self._ts_arrival

    def moment(self) -> int:
        """Return a time for what happens now, later than any given before."""
        self._ts_event = max(self.now_ns, self._ts_event + MICROSECOND)
        return self._ts_event

    def delivery_ns(self, ts_event: int) -> int:
        """Return when what happened at *ts_event* and is sent now will be delivered."""
        sent_ns = max(ts_event, self.now_ns)
        self._ts_delivery = max(sent_ns + self._latency_ns(), self._ts_delivery + MICROSECOND)
        return self._ts_delivery

    def send(self, message: VenueMessage) -> None:
        """Put *message* on the line; its `ts_received` came from `delivery_ns`."""
        self._outbound.append(message)
        self.on_send(message)

    def _latency_ns(self) -> int:
        return (200 + self._random.randrange(12_000)) * MICROSECOND


def _delivery_ns(message: VenueMessage) -> int:
    assert message.ts_received is not None, "whoever sends a message says when it is delivered"
    return message.ts_received
