"""Take a file of messages into the ledger, from where the last import of it ended.

What has been read is recorded as events beside what it led to (`import.progressed`: so many bytes
with this SHA-256).  A file that begins with a part already imported adds nothing for that part;
everything else is judged message by message.  Each flush makes a stretch of messages durable
together with the note of how far it reaches, so an interrupted import goes on where it stopped.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Protocol, cast

from attrs import define, field, frozen

from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.events import ImportProgressed
from fillbook.core.policies import AT_ONCE, FillPolicy
from fillbook.feedback.recorder import Judgement, Recorder
from fillbook.log.port import LEDGER_STREAM, Batch, Draft, Log, Record

__all__ = ["FLUSH_EVERY", "Progress", "Reading", "Tally", "known_prefix", "take_in"]

FLUSH_EVERY = 1000
"""Messages between two commits."""

SPOOL_BYTES = 32 << 20


class _Lines(Protocol):
    @property
    def consumed(self) -> int: ...
    def sha256(self) -> bytes: ...


class _Messages(Protocol):
    @property
    def lines(self) -> _Lines: ...

    def __iter__(self) -> Iterator[Message]: ...


@define
class Tally:
    """What came of an import.

    Attributes:
        outcomes: Messages by outcome.
        problems: Messages set aside or disputed, by reason with the figures taken out.
        samples: The first few of them: (line, outcome, reason).
        head_seq: The ledger's last seq afterwards.
        known_bytes: How much of the file was imported before.
    """

    outcomes: Counter[str] = field(factory=Counter)
    problems: Counter[str] = field(factory=Counter)
    samples: list[tuple[int, str, str]] = field(factory=list)
    head_seq: int = 0
    known_bytes: int = 0

    @property
    def message_count(self) -> int:
        """How many messages the file held."""
        return sum(self.outcomes.values())

    @property
    def is_clean(self) -> bool:
        """True where nothing was set aside and nothing is disputed."""
        return not (self.outcomes["SET_ASIDE"] or self.outcomes["DISPUTED"])

    def count(self, message: Message, judgement: Judgement) -> None:
        """Count one message."""
        self.outcomes[judgement.outcome] += 1
        if judgement.outcome in ("SET_ASIDE", "DISPUTED") and judgement.problem:
            self.problems[judgement.problem.partition(":")[0]] += 1
            if len(self.samples) < 20:
                self.samples.append((message.line, judgement.outcome, judgement.problem))


@frozen
class Progress:
    """Where an import stands, for whoever shows it."""

    message_count: int
    byte_count: int


@frozen
class Reading:
    """How a file is read; what another reading of the same bytes found says nothing about this one.

    Attributes:
        name: The file's name, for the record.
        form: `jsonl` or `fix`.
        checksum: What is done about wrong checksums: `REFUSE`, `WARN`, "" where there are none.
    """

    name: str
    form: str
    checksum: str = ""

    def is_of(self, event: ImportProgressed) -> bool:
        """Tell whether *event* notes the progress of a reading like this, whatever the name."""
        return (event.format, event.checksum) == (self.form, self.checksum)


def known_prefix(
    stream: BinaryIO, imports: Iterable[ImportProgressed], reading: Reading
) -> tuple[BinaryIO, int]:
    """Return a stream of the same bytes, and how many of them were imported before, read alike.

    Reads ahead, into a spooled temporary file where *stream* cannot be rewound, only as far as an
    earlier import reached.
    """
    digests: dict[int, set[str]] = {}
    for each in filter(reading.is_of, imports):
        digests.setdefault(each.length, set()).add(each.sha256)
    if not digests:
        return stream, 0
    from tempfile import SpooledTemporaryFile  # slow to import; a file is mostly imported once

    spool = cast(BinaryIO, SpooledTemporaryFile(SPOOL_BYTES))  # noqa: SIM115
    sha256, length, known = hashlib.sha256(), 0, 0
    for end in sorted(digests):
        while length < end:
            chunk = stream.read(min(1 << 18, end - length))
            if not chunk:
                break
            sha256.update(chunk)
            spool.write(chunk)
            length += len(chunk)
        if length < end:
            break
        if sha256.hexdigest() in digests[end]:
            known = end
    spool.seek(0)
    return cast(BinaryIO, _Joined(spool, stream)), known


class _Joined:
    """What was read ahead, then the rest."""

    def __init__(self, first: BinaryIO, second: BinaryIO) -> None:
        self._first: BinaryIO | None = first
        self._second = second

    def read(self, size: int = -1) -> bytes:
        if self._first is not None:
            data = self._first.read(size)
            if data:
                return data
            self._first.close()
            self._first = None
        return self._second.read(size)


class _Keys:
    """The idempotency keys of the log and of the batch that is not flushed yet."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._fresh: set[str] = set()

    def __call__(self, key: str) -> bool:
        return key in self._fresh or self._log.find_key(key) is not None

    def note(self, draft: Draft) -> None:
        if draft.idempotency_key is not None:
            self._fresh.add(draft.idempotency_key)

    def flushed(self) -> None:
        self._fresh.clear()


def take_in(
    log: Log,
    book: Book,
    messages: _Messages,
    *,
    reading: Reading,
    known_bytes: int = 0,
    policy: FillPolicy = AT_ONCE,
    on_judgement: Callable[[Message, Judgement], None] | None = None,
    on_flush: Callable[[Progress], None] | None = None,
) -> Tally:
    """Import *messages* into *log* and return what came of them.

    *book* must be the fold of *log*; it moves along.  On an exception everything up to the last
    flush is in the ledger, with a note of how far it reaches; *book* is then ahead and must be
    thrown away.
    """
    tally = Tally(known_bytes=known_bytes)
    keys = _Keys(log)
    with log.batch() as batch:

        def sink(draft: Draft) -> Record:
            keys.note(draft)
            return batch.add(draft)

        recorder = Recorder(book, sink, keys, policy=policy, name=reading.name)
        noted_seq = book.seq
        line = count = 0
        for message in messages:
            if message.start < known_bytes:
                judgement = Judgement(message.kind, "DUPLICATE", (), recorder.concerned(message))
            else:
                if count >= FLUSH_EVERY and message.line != line:
                    noted_seq = _flush(batch, book, messages, reading, line, tally, noted_seq)
                    keys.flushed()
                    count = 0
                    if on_flush is not None:
                        on_flush(Progress(tally.message_count, messages.lines.consumed))
                judgement = recorder.record(message)
                count += 1
            line = message.line
            tally.count(message, judgement)
            if on_judgement is not None:
                on_judgement(message, judgement)
        _flush(batch, book, messages, reading, line, tally, noted_seq)
    tally.head_seq = book.seq
    return tally


def _flush(
    batch: Batch,
    book: Book,
    messages: _Messages,
    reading: Reading,
    line: int,
    tally: Tally,
    noted_seq: int,
) -> int:
    """Make everything so far durable, with a note of how far it reaches; return the head's seq."""
    if book.seq > noted_seq:
        event = ImportProgressed(
            name=reading.name,
            format=reading.form,
            checksum=reading.checksum,
            length=messages.lines.consumed,
            sha256=messages.lines.sha256().hex(),
            line=line,
            message_count=tally.message_count,
        )
        record = batch.add(Draft(event=event, stream=LEDGER_STREAM, actor="IMPORT"))
        book.apply(record)
    batch.flush()
    book.trim()
    return book.seq
