"""List what can happen to the ledger itself: it is made, fed, and given what it cannot read.

All of it is on the ledger's own stream.
"""

from typing import ClassVar

from attrs import frozen

from fillbook.core.event import Event

__all__ = ["ImportProgressed", "LedgerCreated", "MessageSetAside"]


@frozen(kw_only=True, eq=False, repr=False)
class LedgerCreated(Event):
    """The first event of every ledger: which ledger this is."""

    type: ClassVar[str] = "ledger.created"

    ledger_id: str
    robot: str
    format_version: int
    created_by: str


@frozen(kw_only=True, eq=False, repr=False)
class MessageSetAside(Event):
    """A message that could not be read or tied to anything; the raw message is kept beside it."""

    type: ClassVar[str] = "message.set_aside"

    kind: str
    problem: str
    name: str | None = None
    line: int | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ImportProgressed(Event):
    """So much of a file has been read: its first `length` bytes have this SHA-256.

    `checksum` tells how messages with a wrong one were read: REFUSE, WARN, or "" where the format
    has none.  Another reading of the same bytes begins at their beginning.
    """

    type: ClassVar[str] = "import.progressed"

    name: str
    format: str
    checksum: str = ""
    length: int
    sha256: str
    line: int
    message_count: int
