"""The line reader loses no byte, holds no more than it must, and knows what has been dealt with."""

import hashlib
import io
import os
import threading
import tracemalloc
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from fillbook.brokers import lines as lines_module
from fillbook.brokers.lines import HEAD_BYTES, Line, LineReader


class Dribble(io.RawIOBase):
    """A stream that gives as few bytes at a time as it is told to, like a slow pipe."""

    def __init__(self, data, sizes):
        self.data, self.sizes, self.at = data, sizes, 0

    def readable(self):
        return True

    def read(self, size=-1):
        self.sizes = [*self.sizes[1:], self.sizes[0]]
        size = min(size, self.sizes[0])
        part = self.data[self.at : self.at + size]
        self.at += len(part)
        return part


def expected_lines(data, limit):
    """Return the lines of *data* the obvious way."""
    lines, start = [], 0
    parts = data.split(b"\n")
    if not parts[-1]:
        parts.pop()
    for number, part in enumerate(parts, 1):
        if len(part) <= limit:
            lines.append(Line(number, start, part))
        else:
            digest = hashlib.sha256(part).digest()
            lines.append(Line(number, start, part[:HEAD_BYTES], len(part), digest))
        start += len(part) + 1
    return lines


@settings(deadline=None)
@given(
    data=st.binary(max_size=200) | st.lists(st.sampled_from([b"\n", b"a", b"\r\n"])).map(b"".join),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    limit=st.integers(0, 60),
    chunk=st.integers(1, 40),
)
def test_lines_numbers_offsets_and_digest_are_those_of_the_bytes(data, sizes, limit, chunk):
    reader = LineReader(Dribble(data, sizes), limit=limit, chunk=chunk)

    assert list(reader) == expected_lines(data, limit)
    complete = data[: data.rfind(b"\n") + 1]
    assert reader.consumed == len(complete)
    assert reader.sha256() == hashlib.sha256(complete).digest()


@settings(deadline=None)
@given(
    data=st.lists(st.binary(max_size=20), max_size=8).map(b"\n".join),
    stop=st.integers(0, 7),
    limit=st.integers(0, 30),
)
def test_digest_at_any_line_is_that_of_the_lines_before_it(data, stop, limit):
    """An import commits in batches: a line in hand is not yet dealt with."""
    reader = LineReader(io.BytesIO(data), limit=limit, chunk=16)

    for line in islice(reader, stop, None):
        assert reader.consumed == line.start
        assert reader.sha256() == hashlib.sha256(data[: line.start]).digest()
        break


def test_head_of_a_long_line_is_64_kib():
    data = b"a\n" + b"x" * 200_000 + b"\nb\n"

    kept = [len(line.data) for line in LineReader(io.BytesIO(data), limit=100_000)]

    assert kept == [1, 65_536, 1]
    assert HEAD_BYTES == 65_536
    assert lines_module.LIMIT_BYTES == 16 * 1024 * 1024


def test_an_endless_line_is_hashed_in_flat_memory():
    """Nobody's file may take the machine down: 64 MiB pass, a few are held."""
    piece, count = b"x" * (1 << 18), 256

    class Endless(io.RawIOBase):
        left = count

        def read(self, size=-1):
            self.left -= 1
            return piece if self.left >= 0 else b""

    reader = LineReader(Endless(), limit=1 << 20)
    tracemalloc.start()
    (line,) = list(reader)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert line.length == count * len(piece)
    assert line.sha256 == hashlib.sha256(piece * count).digest()
    assert reader.consumed == 0  # it has no newline yet
    assert peak < 6 << 20


def test_many_lines_are_read_in_flat_memory():
    data = (b"x" * 99 + b"\n") * 50_000
    stream = io.BytesIO(data)
    tracemalloc.start()
    count = sum(1 for _ in LineReader(stream))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 50_000
    assert peak < 3 << 20


def test_a_pipe_hands_out_a_line_before_its_writer_is_done():
    """`tail -f log | fillbook import -` must not wait for a full buffer."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as stream, os.fdopen(write_end, "wb") as writer:
        lines = iter(LineReader(stream))
        writer.write(b"one\ntw")
        writer.flush()
        got = []
        reading = threading.Thread(target=lambda: got.append(next(lines)), daemon=True)
        reading.start()
        reading.join(timeout=10)

        assert got == [Line(1, 0, b"one")]

        writer.write(b"o\n")
        writer.flush()
        assert next(lines) == Line(2, 4, b"two")


def test_a_last_line_without_newline_is_handed_out_but_not_counted():
    """The file may be growing: next time that line is another."""
    reader = LineReader(io.BytesIO(b"one\ntwo"))

    assert [line.data for line in reader] == [b"one", b"two"]
    assert reader.consumed == 4
    assert reader.sha256() == hashlib.sha256(b"one\n").digest()


def test_nothing_is_read_from_an_empty_stream():
    reader = LineReader(io.BytesIO(b""))

    assert list(reader) == []
    assert reader.consumed == 0
    assert reader.sha256() == hashlib.sha256(b"").digest()
