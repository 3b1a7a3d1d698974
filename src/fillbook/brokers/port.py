"""Say what a source of messages hands over: one message at a time, read or set aside.

Adapters in this folder translate a venue's claim into the values of `core`; nothing here decides.
"""

from collections.abc import Iterator
from typing import Protocol

from attrs import field, frozen

from fillbook.core.commands import Command
from fillbook.core.reports import Report

__all__ = ["Message", "MessageSource"]


@frozen
class Message:
    """One message of a file or a wire.

    Attributes:
        line: Line of the file, from 1.
        kind: `order`, `cancel`, `replace`, `report`, `cancel_reject`, `commission`, `position`,
            `instrument`, `split`, `cash`, `mark`, or of FIX logs also `status_request`,
            `refusal`, `dont_know`; `unreadable` where not even that is known.
        content: The command or report; None where there is nothing to decide.
        raw: The bytes as they came: a line, or of a FIX log the message without the log's prefix
            (of an oversized line the first 64 KiB).
        problem: Why the message is set aside, with the key's name; None where it could be read.
        start: Offset in the file of the message's line; FIX messages may share a line.
        raw_length, raw_sha256: Length and SHA-256 of the whole message, where `raw` is only its
            beginning; else None.
    """

    line: int
    kind: str
    content: Command | Report | None
    raw: bytes
    problem: str | None = None
    start: int = 0
    raw_length: int | None = field(default=None)
    raw_sha256: bytes | None = field(default=None)


class MessageSource(Protocol):
    """A reader of one format."""

    def __iter__(self) -> Iterator[Message]:
        """Yield every message in file order; raise nothing for what is in the file."""
        ...
