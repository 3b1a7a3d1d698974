"""Say which calls to the broker may start now: by urgency, under its rate limit, side by side.

Nothing here knows time or threads: every method takes the moment it is called at.
"""

from collections import deque
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Any, Literal

from attrs import define, field

from fillbook.brokers.live import Capabilities, OrderRef
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder

__all__ = ["Call", "Kind", "Schedule"]

Kind = Literal[
    "submit", "cancel", "replace", "look_up", "open_orders", "fills_since", "positions",
    "instruments", "activities_since", "cash",
]  # fmt: skip

_URGENCY: dict[str, int] = {
    "cancel": 0, "submit": 1, "replace": 1, "look_up": 2, "fills_since": 2, "open_orders": 2,
    "positions": 2, "instruments": 2, "activities_since": 2, "cash": 2,
}  # fmt: skip
"""Questions go first come, first served: more look-ups than the rate allows would else keep the
others out for ever, and with them the end of a recovery."""


@define(eq=False)
class Call:
    """One request to the broker, from when it is wanted until it is answered.

    Attributes:
        command: What is sent, of a submit, cancel or replace.
        order: The order it is about, as the broker knows it.
        stream: The same order in the ledger; None where it is about none.
        since: Of a `fills_since` or an `activities_since`.
        not_before: It must not start earlier.
        purpose: `recovery` where trading waits for it, `probe` where it tries the line.
        started_ns, deadline_ns: Set when it starts.
        is_over: Nobody waits for it any more; what it still brings is a message like any other.
    """

    kind: Kind
    command: SubmitOrder | CancelOrder | ReplaceOrder | None = None
    order: OrderRef | None = None
    stream: int | None = None
    since: int = 0
    not_before: int = 0
    purpose: str = ""
    started_ns: int = 0
    deadline_ns: int = 0
    is_over: bool = False

    def arguments(self) -> tuple[Any, ...]:
        """Return what the broker's method of this name is called with (`live.Broker`)."""
        if self.kind == "submit":
            return (self.command,)
        if self.kind in ("cancel", "replace"):
            return (self.command, self.order)
        if self.kind == "look_up":
            return (self.order,)
        return (self.since,) if self.kind in ("fills_since", "activities_since") else ()

    @property
    def is_intent(self) -> bool:
        """True where it changes something at the broker."""
        return self.command is not None


@define
class Schedule:
    """The calls that wait and those under way.

    Attributes:
        waiting: Heap of (not before, urgency, number, call).
        under_way: Started and not over.
        is_open: Intents may start; without, only questions do.
        is_probing: Only a probe may start.
    """

    capabilities: Capabilities
    timeout_ns: int
    is_open: bool = False
    is_probing: bool = False
    waiting: list[tuple[int, int, int, Call]] = field(factory=list)
    under_way: list[Call] = field(factory=list)
    _wanted: dict[tuple[str, int | None], Call] = field(factory=dict)
    _count: int = 0
    _starts: deque[int] = field(factory=deque)

    def want(self, call: Call) -> Call:
        """Let *call* be made as soon as it may."""
        self._count += 1
        self._wanted[call.kind, call.stream] = call
        heappush(self.waiting, (call.not_before, _URGENCY[call.kind], self._count, call))
        return call

    def is_wanted(self, kind: str, stream: int | None = None) -> bool:
        """Tell whether such a call waits or is under way."""
        call = self._wanted.get((kind, stream))
        return call is not None and not call.is_over

    def is_waiting(self, like: Call) -> bool:
        """Tell whether a call of that kind, about the same order, waits and has not started."""
        call = self._wanted.get((like.kind, like.stream))
        return call is not None and not call.is_over and not call.started_ns

    def all(self) -> Iterator[Call]:
        """Yield every call that waits or is under way."""
        for *_, call in self.waiting:
            yield call
        yield from self.under_way

    def is_busy(self) -> bool:
        """Tell whether a call is under way, or an intent only waits for its turn."""
        return bool(self.under_way) or any(
            call.is_intent and not call.is_over and self._may_start(call)
            for *_, call in self.waiting
        )

    def withdraw(self, call: Call) -> None:
        """Forget a call that waits; it is never made."""
        call.is_over = True
        self._forget(call)

    def finish(self, call: Call) -> None:
        """Note that *call* is answered, failed or given up."""
        call.is_over = True
        self._forget(call)
        if call in self.under_way:
            self.under_way.remove(call)

    def _forget(self, call: Call) -> None:
        if self._wanted.get((call.kind, call.stream)) is call:
            del self._wanted[call.kind, call.stream]

    def start(self, now: int) -> list[Call]:
        """Return the calls to be made at *now*, the most urgent first."""
        ready: list[tuple[int, int, int, Call]] = []
        kept: list[tuple[int, int, int, Call]] = []
        while self.waiting and self.waiting[0][0] <= now:
            entry = heappop(self.waiting)
            call = entry[3]
            if not call.is_over:
                (ready if self._may_start(call) else kept).append(entry)
        started: list[Call] = []
        for entry in sorted(ready, key=lambda entry: entry[1:3]):
            call = entry[3]
            is_free = self._free_ns(now) <= now
            if is_free and len(self.under_way) < self.capabilities.concurrency:
                self._note_start(now)
                call.started_ns, call.deadline_ns = now, now + self.timeout_ns
                self.under_way.append(call)
                started.append(call)
            else:
                kept.append(entry)
        for entry in kept:
            heappush(self.waiting, entry)
        return started

    def _may_start(self, call: Call) -> bool:
        if self.is_probing:
            return call.purpose == "probe"
        return self.is_open or not call.is_intent or call.kind == "cancel"

    def overdue(self, now: int) -> list[Call]:
        """Return the calls under way whose deadline has passed."""
        return [call for call in self.under_way if call.deadline_ns <= now]

    def due_ns(self, now: int) -> int | None:
        """Return when something is to be done here next; None where nothing waits.

        That may be *now* or earlier.
        """
        moments = [call.deadline_ns for call in self.under_way]
        startable = [entry for entry in self.waiting if self._may_start(entry[3])]
        if startable and len(self.under_way) < self.capabilities.concurrency:
            moments.append(max(min(entry[0] for entry in startable), self._free_ns(now)))
        return min(moments, default=None)

    def _note_start(self, now: int) -> None:
        self._starts.append(now)
        if len(self._starts) > self.capabilities.calls:
            self._starts.popleft()

    def _free_ns(self, now: int) -> int:
        """Return when the next call may start under the rate limit; *now* where it is free.

        In no stretch of `per_ns` do more than `calls` start, wherever the stretch begins; and as
        some calls take longer than others to reach the broker, it is taken longer by an eighth.
        """
        starts = self._starts
        if len(starts) < self.capabilities.calls:
            return now
        return max(now, starts[0] + self.capabilities.per_ns * 9 // 8)

    def clear(self) -> list[Call]:
        """Take out and return every call that waits."""
        calls = [call for *_, call in self.waiting if not call.is_over]
        self.waiting.clear()
        heapify(self.waiting)
        return calls
