"""Read FIX 4.0 to 5.0 SP2 logs, the format of `fillbook import --format fix`.

`wire` finds and verifies messages, `tables` lists codes, `dialect` says what a message means; here
they are put together.  Every place in the file that shows `8=FIX` is accounted for: it becomes a
`Message`, read or set aside, or it is counted as skipped.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, Literal

from fillbook.brokers.fix.dialect import meaning
from fillbook.brokers.fix.tables import KINDS, SESSION
from fillbook.brokers.fix.wire import BEGIN, Frame, begin_of, frame_at
from fillbook.brokers.lines import LIMIT_BYTES, Line, LineReader
from fillbook.brokers.port import Message
from fillbook.errors import BadValue

__all__ = ["FixLog", "read_fix", "sniff"]


def read_fix(stream: BinaryIO, checksum: Literal["refuse", "warn"] = "refuse") -> "FixLog":
    """Return the messages of a FIX log in file order; `warn` believes wrong checksums."""
    return FixLog(stream, checksum)


def sniff(beginning: bytes) -> Literal["jsonl", "fix"]:
    """Return the format that a file's first bytes look like; JSON lines where nothing tells.

    A JSON message may quote a FIX one, and a log's prefix may be in braces.
    """
    if re.match(rb"(?:\xef\xbb\xbf)?\s*\{\s*(?:\"|\})", beginning):
        return "jsonl"
    return "fix" if BEGIN in beginning else "jsonl"


class FixLog:
    """The messages of one stream, once.

    Attributes:
        lines: The reader below, which knows how much of the stream has been dealt with.
        session: Messages that only keep the session going.
        skipped: Application messages that say nothing of an order or a position, by MsgType (35).
        junk_lines: Lines without a message; blank ones do not count.
        believed: Messages with a wrong BodyLength or CheckSum that were taken all the same.
        refused: Those that were set aside for it.
    """

    def __init__(self, stream: BinaryIO, checksum: Literal["refuse", "warn"] = "refuse") -> None:
        if checksum not in ("refuse", "warn"):
            raise TypeError(f"checksum={checksum!r} is neither 'refuse' nor 'warn'")
        self.lines = LineReader(stream)
        self.session = 0
        self.skipped: Counter[str] = Counter()
        self.junk_lines = 0
        self.believed = 0
        self.refused = 0
        self._believes = checksum == "warn"

    def __iter__(self) -> Iterator[Message]:
        for line in self.lines:
            if line.length is not None:
                yield _too_long(line)
                continue
            data = line.data
            at = begin_of(data, 0)
            if at < 0 and data and not data.isspace():
                self.junk_lines += 1
            while at >= 0:
                frame, end = frame_at(data, at)
                message = self._message(line, frame)
                if message is not None:
                    yield message
                at = begin_of(data, end)

    def _message(self, line: Line, frame: Frame) -> Message | None:
        """Return what *frame* becomes; None, and a count, where it is none of ours."""
        raw, version, fields, doubt, fault, problem = frame
        msg_type = fields.get("35", "")
        kind = KINDS.get(msg_type, "unreadable")
        if problem is None and doubt is not None:
            if self._believes:
                self.believed += 1
            else:
                self.refused += 1
                problem = doubt
        if problem is None and not msg_type:
            problem = "MsgType (35): missing"
        if problem is None and msg_type not in KINDS:
            if msg_type in SESSION:
                self.session += 1
            else:
                self.skipped[msg_type] += 1
            return None
        problem = problem or fault
        if problem is not None:
            return Message(line.number, kind, None, raw, problem, line.start)
        try:
            content = meaning(fields, version)
        except BadValue as bad:
            return Message(line.number, kind, None, raw, str(bad), line.start)
        return Message(line.number, kind, content, raw, None, line.start)


def _too_long(line: Line) -> Message:
    problem = f"line too long: {line.length} bytes, at most {LIMIT_BYTES} are read"
    return Message(
        line.number, "unreadable", None, line.data, problem, line.start, line.length, line.sha256
    )
