"""Make a ledger again from an export of its events: same events, same hashes, same head.

A line is believed for its hash alone, which follows from all it says and from the line before it.
Where one does not hold, the file is refused and nothing is left behind.
"""

import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from typing import BinaryIO

import msgspec
from attrs import frozen

from fillbook.audit.lines import EXPORT_FORMAT
from fillbook.brokers.lines import Line, LineReader
from fillbook.errors import BadInput, BadValue
from fillbook.log.chain import CHAIN_DOMAIN
from fillbook.log.port import Head, Raw, Run
from fillbook.log.restore import Restoration, Sealed

__all__ = ["is_export", "reimport"]

_TOLD_EVERY = 10_000
_LIMIT_BYTES = 64 << 20


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    seq: int
    event_hash: str


class _Run(msgspec.Struct, forbid_unknown_fields=True):
    epoch: int
    run_id: str
    pid: int
    host: str
    program_version: str
    ts_opened: int
    boot_id: str | None = None


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    format_version: int
    chain_domain: str
    ledger_id: str
    robot: str
    head: _Head
    runs: list[_Run] | None = None
    part: dict[str, str | int] | None = None


class _Raw(msgspec.Struct, forbid_unknown_fields=True):
    length: int
    raw: str | None = None
    salt: str | None = None
    sha256: str | None = None


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    seq: int
    stream: int
    version: int
    type: str
    type_version: int
    ts_recorded: int
    mono_ns: int
    epoch: int
    actor: str
    event_hash: str
    prev_hash: str
    run_id: str
    body: msgspec.Raw
    boot_id: str | None = None
    ts_event: int | None = None
    ts_received: int | None = None
    correlation: str | None = None
    causation: int | None = None
    idempotency_key: str | None = None
    input_hash: str | None = None
    raw_digest: str | None = None
    raw: _Raw | None = None


_decode_header = msgspec.json.Decoder(_Header).decode
_decode_line = msgspec.json.Decoder(_Line).decode


@frozen
class _Told:
    """What the first line of an export says of the ledger."""

    ledger_id: bytes
    robot: str
    head: Head
    runs: list[Run]


def is_export(beginning: bytes) -> bool:
    """Tell whether a file that begins like this is an export of events."""
    first = beginning.split(b"\n", 1)[0]
    return first.startswith(b"{") and f'"format":"{EXPORT_FORMAT}"'.encode() in first


def reimport(
    stream: BinaryIO,
    name: str,
    path: str,
    *,
    clock: Callable[[], int] = time.time_ns,
    mono: Callable[[], int] = time.monotonic_ns,
    on_progress: Callable[[int], None] | None = None,
) -> Head:
    """Make the ledger *path* from the export in *stream* and return its head.

    Args:
        name: What the export is called in a message.
        on_progress: Is told the seq reached, now and then.

    Raises `BadInput` where the export is a part, is cut short, or does not hold, and where there
    is something at *path*; `UnknownEventVersion`, `LedgerNotWritable`.  Nothing is left behind.
    """
    lines = iter(LineReader(stream, limit=_LIMIT_BYTES))
    header = _header(next(lines, None), name)
    made = Restoration.begin(path, header.ledger_id, header.robot, header.runs)
    try:
        for line in lines:
            try:
                made.add(*_sealed(line, made.runs))
            except BadValue as exc:
                raise _refused(f"{name}: line {line.number}: {exc}") from exc
            if on_progress is not None and made.head.seq % _TOLD_EVERY == 0:
                on_progress(made.head.seq)
        if made.head != header.head:
            raise _refused(
                f"{name}: it ends at seq {made.head.seq}, its first line says {header.head.seq}"
            )
        return made.finish(clock, mono)
    except BadValue as exc:
        raise _refused(f"{name}: {exc}") from exc
    finally:
        made.discard()


def _refused(problem: str) -> BadInput:
    return BadInput(problem, "no ledger was made: get the export anew")


def _header(line: Line | None, name: str) -> _Told:
    try:
        said = _decode_header(b"" if line is None else line.data)
        if (said.format, said.format_version) != (EXPORT_FORMAT, 1):
            raise BadInput(f"{name}: format {said.format} {said.format_version} is unknown")
        if said.chain_domain != CHAIN_DOMAIN:
            raise BadInput(f"{name}: its chain is {said.chain_domain}, not {CHAIN_DOMAIN}")
        if said.part is not None or said.runs is None:
            raise BadInput(f"{name}: it is a part of a ledger", "export the whole ledger")
        ledger_id = bytes.fromhex(said.ledger_id)
        if len(ledger_id) != 16:
            raise BadInput(f"{name}: its ledger_id has {len(ledger_id)} bytes, not 16")
        runs = [
            Run(r.epoch, r.run_id, r.boot_id, r.pid, r.host, r.program_version, r.ts_opened)
            for r in said.runs
        ]
        head = Head(said.head.seq, bytes.fromhex(said.head.event_hash))
        return _Told(ledger_id, said.robot, head, runs)
    except (msgspec.DecodeError, ValueError) as exc:
        raise BadInput(f"{name}: its first line is no export's header ({exc})") from exc


def _sealed(line: Line, runs: Mapping[int, Run]) -> tuple[Sealed, bytes]:
    """Return what one line says, and the hash it says was before it."""
    if line.length is not None:
        raise BadValue("", f"it has {line.length} bytes")
    try:
        said = _decode_line(line.data)
        raw = None
        if said.raw is not None:
            raw = Raw(
                said.raw.length,
                _bytes(said.raw.salt),
                _bytes(said.raw.sha256),
                None if said.raw.raw is None else b64decode(said.raw.raw, validate=True),
            )
        event_hash, prev_hash = bytes.fromhex(said.event_hash), bytes.fromhex(said.prev_hash)
        body = bytes(said.body).decode()
        input_hash, digest = _bytes(said.input_hash), _bytes(said.raw_digest)
    except (msgspec.DecodeError, Base64Error, ValueError) as exc:
        raise BadValue("", f"it is no record ({exc})") from exc
    sealed = Sealed(
        said.seq, said.stream, said.version, said.type, said.type_version, said.ts_event,
        said.ts_received, said.ts_recorded, said.mono_ns, said.epoch, said.actor, said.correlation,
        said.causation, said.idempotency_key, input_hash, digest, event_hash, body, raw,
    )  # fmt: skip
    run = runs.get(said.epoch)
    if run is not None and (run.run_id, run.boot_id) != (said.run_id, said.boot_id):
        raise BadValue("", f"its run is not the one the first line has for epoch {said.epoch}")
    return sealed, prev_hash


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
