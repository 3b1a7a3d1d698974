"""Say what every event is: past tense, frozen, and complete in itself.

`type` and `version` are the stored names and never follow a class rename; a published version never
changes (add the next one, its schema in `ledger/events/` and an upcaster).  What the log adds (seq,
stream, recorded time, hashes) is on the record.  `ts_event` and `ts_received` are columns of the
record too and not repeated in the body.
"""

from typing import ClassVar

from attrs import field, fields, frozen

__all__ = ["COLUMN", "Event"]

COLUMN = {"column": True}
"""Marks a field that lives in a column of the record and not in the body."""


@frozen(kw_only=True, eq=False, repr=False)
class Event:
    """Anything that happened.

    Attributes:
        ts_event: When it happened, as its author says; ns since 1970, UTC.
        ts_received: When our adapter got the message.
    """

    type: ClassVar[str]
    version: ClassVar[int] = 1

    ts_event: int | None = field(default=None, metadata=COLUMN)
    ts_received: int | None = field(default=None, metadata=COLUMN)

    # Written once here: generated for each of forty classes they cost 30 ms at every start.

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Event)
            and type(other) is type(self)
            and _values(self) == _values(other)
        )

    def __hash__(self) -> int:
        return hash((type(self), _values(self)))

    def __repr__(self) -> str:
        pairs = zip((each.name for each in fields(type(self))), _values(self), strict=True)
        told = ", ".join(f"{name}={value!r}" for name, value in pairs if value is not None)
        return f"{type(self).__name__}({told})"


def _values(event: Event) -> tuple[object, ...]:
    return tuple(getattr(event, each.name) for each in fields(type(event)))
