"""Read a file, a pipe or standard input line by line, whatever its size.

Memory stays flat: one chunk and one line are held.  A line longer than the limit is hashed as it
passes, and only its beginning is kept.  Errors of the stream itself (`OSError`) are let through.
"""

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

__all__ = ["HEAD_BYTES", "LIMIT_BYTES", "Line", "LineReader"]

CHUNK_BYTES = 1 << 18
LIMIT_BYTES = 16 << 20
"""The longest line that is held in memory."""

HEAD_BYTES = 64 << 10
"""What is kept of a longer one."""


class Line(NamedTuple):
    """One line without its newline; a carriage return before it stays.

    Attributes:
        number: From 1.
        start: Offset of its first byte in the stream.
        data: Its bytes; of a line over the limit the first `HEAD_BYTES`.
        length, sha256: Of the whole line, where `data` is only its beginning; else None.
    """

    number: int
    start: int
    data: bytes
    length: int | None = None
    sha256: bytes | None = None


class LineReader:
    """The lines of a blocking stream, once; it also knows how much has been dealt with.

    A line counts as dealt with when the next one is asked for, so what `consumed` and `sha256` say
    while a line is in hand leaves that line out: whoever stops there judges it again, never skips
    it.  A last line without a newline is handed out but not counted: it may still be growing.
    """

    def __init__(
        self, stream: BinaryIO, *, limit: int = LIMIT_BYTES, chunk: int = CHUNK_BYTES
    ) -> None:
        # `read1` returns what a pipe has; `read` would wait until the chunk is full.
        self._read = getattr(stream, "read1", stream.read)
        self._limit = limit
        self._chunk = chunk
        self._hash = hashlib.sha256()  # of everything before `_block`
        self._hashed = 0
        self._block = b""  # whole lines, being handed out
        self._end = 0

    @property
    def consumed(self) -> int:
        """Bytes up to the end of the last complete line that has been dealt with."""
        return self._end

    def sha256(self) -> bytes:
        """Return the SHA-256 of the first `consumed` bytes; it costs the hashing of a chunk."""
        digest = self._hash.copy()
        digest.update(memoryview(self._block)[: self._end - self._hashed])
        return digest.digest()

    def __iter__(self) -> Iterator[Line]:
        number = 0
        pieces: list[bytes] = []  # the beginning of a line whose newline has not come yet
        held = 0
        rest = b""
        while chunk := rest or self._read(self._chunk):
            rest = b""
            cut = chunk.rfind(b"\n") + 1
            if cut:
                self._block = block = b"".join((*pieces, chunk[:cut]))
                lines = block.split(b"\n")
                pieces = [chunk[cut:]]
                held = len(pieces[0])
                lines.pop()
                start = self._end
                for number, data in enumerate(lines, number + 1):  # noqa: B020 (counts on)
                    yield self._line(number, start, data)
                    self._end = start = start + len(data) + 1
                self._hash.update(block)
                self._hashed = start
                self._block = b""
                continue
            pieces.append(chunk)
            held += len(chunk)
            if held > self._limit:
                number += 1
                line, ended, rest = self._long_line(pieces, number)
                yield line
                if ended is not None:
                    assert line.length is not None
                    self._hash = ended
                    self._hashed = self._end = line.start + line.length + 1
                pieces, held = [], 0
        if held:
            yield self._line(number + 1, self._end, b"".join(pieces))

    def _line(self, number: int, start: int, data: bytes) -> Line:
        if len(data) <= self._limit:
            return Line(number, start, data)
        digest = hashlib.sha256(data).digest()
        return Line(number, start, data[:HEAD_BYTES], len(data), digest)

    def _long_line(
        self, pieces: list[bytes], number: int
    ) -> tuple[Line, "hashlib._Hash | None", bytes]:
        """Read to the end of a line too long to hold.

        Returns the line, the running hash after its newline (None where the stream ended before
        one), and what was read beyond it.
        """
        whole, running = hashlib.sha256(), self._hash.copy()
        head = b"".join(pieces)
        length = len(head)
        whole.update(head)
        running.update(head)
        head = head[:HEAD_BYTES]
        pieces.clear()
        while chunk := self._read(self._chunk):
            part, newline, rest = chunk.partition(b"\n")
            length += len(part)
            head += part[: HEAD_BYTES - len(head)]
            whole.update(part)
            running.update(part)
            if newline:
                running.update(newline)
                return Line(number, self._end, head, length, whole.digest()), running, rest
        return Line(number, self._end, head, length, whole.digest()), None, b""
