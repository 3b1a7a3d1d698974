"""Say what a task is: something that asks the broker beside the loop, and that trading waits for.

Comparing book and broker is one; it lives in a room of its own and is handed in from above.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from fillbook.brokers.port import Message
from fillbook.feedback.schedule import Call

__all__ = ["Idle", "Task"]


class Task(Protocol):
    """What the tracker does for it: its calls are those whose purpose is `task`."""

    @property
    def is_ready(self) -> bool:
        """Trading may go on."""
        ...

    def begin(self, now: int) -> None:
        """Start, or start again after the line was lost; what became of each order is known."""
        ...

    def tick(self, now: int) -> None:
        """Do what time asks for."""
        ...

    def due_ns(self) -> int | None:
        """Return when `tick` has something to do next; None for never."""
        ...

    def answered(self, call: Call, messages: Sequence[Message], now: int) -> None:
        """Take the answer to a call of its own; what is recorded of it is in the book."""
        ...

    def failed(self, call: Call, problem: str, now: int) -> None:
        """Take note that a call of its own has no answer."""
        ...

    def line_lost(self, problem: str, now: int) -> None:
        """Take note that the broker cannot be reached, and that calls which waited are gone."""
        ...

    def summary(self) -> dict[str, Any]:
        """Return how it stands, as plain data."""
        ...


class Idle:
    """No task."""

    is_ready = True

    def begin(self, now: int) -> None: ...

    def tick(self, now: int) -> None: ...

    def due_ns(self) -> int | None:
        return None

    def answered(self, call: Call, messages: Sequence[Message], now: int) -> None: ...

    def failed(self, call: Call, problem: str, now: int) -> None: ...

    def line_lost(self, problem: str, now: int) -> None: ...

    def summary(self) -> dict[str, Any]:
        return {}
