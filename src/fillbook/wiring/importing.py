"""Import a file: find out what is in it, open the ledger, and take in what is new."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from fillbook.core.events import ImportProgressed
from fillbook.core.policies import AT_ONCE, FillPolicy
from fillbook.errors import BadInput
from fillbook.wiring.books import recover, save_state
from fillbook.wiring.ledgers import MEMORY, Durability, open_log

if TYPE_CHECKING:
    from fillbook.brokers.fix import FixLog
    from fillbook.brokers.jsonlines import JsonLines
    from fillbook.brokers.port import Message
    from fillbook.feedback.intake import Progress, Tally
    from fillbook.feedback.recorder import Judgement

__all__ = ["ImportResult", "import_file"]


class ImportResult:
    """What an import did, with what the reader of the file noticed.

    Attributes:
        tally: The messages by outcome, the reasons, the head afterwards.
        form: `jsonl`, `fix` or `events`.
        believed: FIX messages with a wrong length or checksum, believed (`--checksum warn`).
        refused: Those that were set aside for it (`--checksum refuse`).
        skipped: FIX messages of no concern, by MsgType.
        session: FIX messages that only keep the session going.
        junk_lines: Lines without a message.
        warnings: What the ledger had to say when it was opened.
    """

    def __init__(self, tally: "Tally", form: str, source: "JsonLines | FixLog | None") -> None:
        from fillbook.brokers.fix import FixLog

        self.tally = tally
        self.form = form
        self.believed = source.believed if isinstance(source, FixLog) else 0
        self.refused = source.refused if isinstance(source, FixLog) else 0
        self.skipped = dict(source.skipped) if isinstance(source, FixLog) else {}
        self.session = source.session if isinstance(source, FixLog) else 0
        self.junk_lines = source.junk_lines if isinstance(source, FixLog) else 0
        self.warnings: list[str] = []


def import_file(
    file: str,
    ledger: str,
    *,
    form: Literal["auto", "jsonl", "fix", "events"] = "auto",
    checksum: Literal["refuse", "warn"] = "refuse",
    durability: Durability = "strict",
    policy: FillPolicy = AT_ONCE,
    on_judgement: "Callable[[Message, Judgement], None] | None" = None,
    on_flush: "Callable[[Progress], None] | None" = None,
) -> ImportResult:
    """Import *file* (`-` is standard input) into the ledger at *ledger*, which is made if missing.

    An export of events becomes a new ledger with the same events, hashes and head.

    Raises `BadInput` for a file that cannot be read, and what `open_log` raises.  What was read
    before an error is in the ledger up to the last commit, with a note of how far it reaches.
    """
    from fillbook.brokers.fix import read_fix, sniff
    from fillbook.brokers.jsonlines import read_jsonl
    from fillbook.feedback.intake import Reading, known_prefix, take_in

    with _opened(file) as raw_stream:
        beginning, stream = _beginning(raw_stream)
        if form == "events" or (form == "auto" and _is_export(beginning)):
            return _make_again(stream, ledger, file)
        log = open_log(ledger, durability=durability)
        try:
            if form == "auto":
                form = sniff(beginning)
            reading = Reading(_name(file), form, checksum.upper() if form == "fix" else "")
            events = (each.event for each in log.imports())
            noted = (each for each in events if isinstance(each, ImportProgressed))
            ahead, known = known_prefix(stream, noted, reading)
            source = read_jsonl(ahead) if form == "jsonl" else read_fix(ahead, checksum)
            book = recover(log)
            before = book.seq
            try:
                tally = take_in(
                    log,
                    book,
                    source,
                    reading=reading,
                    known_bytes=known,
                    policy=policy,
                    on_judgement=on_judgement,
                    on_flush=on_flush,
                )
            except OSError as exc:
                raise BadInput(
                    f"{file}: {exc.strerror or exc}: what was read until then is in the ledger",
                    "mend the file and import it again: it goes on where it stopped",
                ) from exc
            if book.seq > before:
                save_state(log, book)
            result = ImportResult(tally, form, source)
            result.warnings = [str(each) for each in log.warnings]
            return result
        finally:
            log.close()


def _is_export(beginning: bytes) -> bool:
    if b'"fillbook.export.' not in beginning:  # spares other files the loading of the reader
        return False
    from fillbook.audit.reimport import is_export

    return is_export(beginning)


def _make_again(stream: BinaryIO, ledger: str, file: str) -> ImportResult:
    """Make the ledger that an export is of."""
    if ledger == MEMORY:
        raise BadInput(f"{file}: this is an export of a ledger", "name a new ledger for it")
    from fillbook.audit.reimport import reimport
    from fillbook.feedback.intake import Tally

    head = reimport(stream, file, ledger)
    tally = Tally(head_seq=head.seq)
    tally.outcomes["RECORDED"] = head.seq
    return ImportResult(tally, "events", None)


def _name(file: str) -> str:
    return "standard input" if file == "-" else os.path.basename(file)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        if sys.stdin is None:
            raise BadInput("standard input is closed", "name a file, or feed it one")
        yield sys.stdin.buffer
        return
    try:
        if Path(file).is_dir():
            raise BadInput(f"{file}: this is a directory", "name a file of messages")
        stream = open(file, "rb")  # noqa: SIM115
    except OSError as exc:
        raise BadInput(
            f"{file}: {exc.strerror}", "name a file that you may read, or - for standard input"
        ) from exc
    with stream:
        yield stream


class _Rewound:
    """A stream some bytes of which were looked at."""

    def __init__(self, beginning: bytes, stream: BinaryIO) -> None:
        self._beginning = beginning
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if self._beginning:
            data = self._beginning
            if 0 <= size < len(data):
                data, self._beginning = data[:size], data[size:]
            else:
                self._beginning = b""
            return data
        return self._stream.read(size)


def _beginning(stream: BinaryIO) -> tuple[bytes, Any]:
    """Return the first few KiB of *stream*, and a stream that still has them."""
    data = b""
    while len(data) < 4096 and b"\n" not in data:
        chunk = stream.read(4096 - len(data))
        if not chunk:
            break
        data += chunk
    return data, _Rewound(data, stream)
