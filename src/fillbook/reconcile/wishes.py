"""Hold why there is a comparison, what an operator wants of it, and how long it may take."""

from typing import Literal

from attrs import frozen

from fillbook.core.agreement import Key

__all__ = ["SECOND", "Patience", "Wish"]

SECOND = 1_000_000_000


@frozen(kw_only=True)
class Patience:
    """How long a run takes over it; nanoseconds.

    Attributes:
        between_ns: From an answer to the next reading.
        most_ns: After this what does not come to rest is `UNSETTLED`.
    """

    between_ns: int = 5 * SECOND
    most_ns: int = 60 * SECOND


@frozen(kw_only=True)
class Wish:
    """Why there is a run, and what an operator wants of it.

    Attributes:
        cause: `START`, `SCHEDULE` or `OPERATOR`.
        by: Who asked for it, in words.
        reason: Why an operator wants it; it is kept with what is adopted.
        adopt: Instruments that are adopted whatever the policy says.
        overdue: Positions that have not come to rest for too long already.
    """

    cause: Literal["START", "SCHEDULE", "OPERATOR"]
    by: str = "the robot"
    reason: str | None = None
    adopt: frozenset[str] = frozenset()
    overdue: frozenset[Key] = frozenset()
