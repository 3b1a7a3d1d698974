"""Hash events into a chain and raw messages into salted digests, byte for byte as FORMAT.md says.

The list of fields and their order belong to the domain `fillbook.event.v1`; another list would be
another domain.
"""

from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING

from fillbook.errors import BadValue

if TYPE_CHECKING:
    from fillbook.log.port import Record, Run

__all__ = [
    "CHAIN_DOMAIN",
    "RAW_KEPT",
    "RAW_LIMIT",
    "event_hash",
    "genesis",
    "hash_of_record",
    "hashed_rest",
    "hashed_type_and_run",
    "prefixed",
    "raw_digest",
    "utf8",
]

CHAIN_DOMAIN = "fillbook.event.v1"
RAW_LIMIT = 1 << 20
"""Raw messages up to this length are kept whole."""
RAW_KEPT = 1 << 16
"""What is kept of a longer one."""

_EVENT = sha256(CHAIN_DOMAIN.encode() + b"\0")
"""What every event's hash begins with; a copy is quicker made than a new one is begun."""
_GENESIS = b"fillbook.genesis.v1\0"
_RAW = b"fillbook.raw.v1\0"
_FIXED = Struct(">16s32s10q").pack
_LENGTH = Struct(">I").pack
_LENGTH64 = Struct(">Q").pack
_NO_INT = -(2**63)
_NO_BYTES = b"\xff\xff\xff\xff"


def genesis(ledger_id: bytes) -> bytes:
    """Return the hash that the first event follows."""
    return sha256(_GENESIS + ledger_id).digest()


def prefixed(content: bytes | None) -> bytes:
    """Return *content* after its length, as the chain takes texts and byte strings."""
    return _NO_BYTES if content is None else _LENGTH(len(content)) + content


def hashed_type_and_run(type_: str, run_id: str, boot_id: str | None) -> bytes:
    """Return the middle of what the chain takes of an event: the same for all of a type and run."""
    boot = None if boot_id is None else boot_id.encode()
    return prefixed(type_.encode()) + prefixed(run_id.encode()) + prefixed(boot)


def hashed_rest(
    actor: bytes,
    correlation: bytes | None,
    idempotency_key: bytes | None,
    input_hash: bytes | None,
    raw_digest: bytes | None,
    body: bytes,
) -> bytes:
    """Return the end of what the chain takes of an event: all that is known before its seq is."""
    return b"".join(
        (
            _LENGTH(len(actor)),
            actor,
            _NO_BYTES if correlation is None else prefixed(correlation),
            _NO_BYTES if idempotency_key is None else prefixed(idempotency_key),
            _NO_BYTES if input_hash is None else prefixed(input_hash),
            _NO_BYTES if raw_digest is None else prefixed(raw_digest),
            _LENGTH(len(body)),
            body,
        )
    )


def event_hash(
    ledger_id: bytes,
    prev_hash: bytes,
    seq: int,
    stream: int,
    version: int,
    type_version: int,
    ts_event: int | None,
    ts_received: int | None,
    ts_recorded: int,
    mono_ns: int,
    epoch: int,
    causation: int | None,
    type_and_run: bytes,
    rest: bytes,
) -> bytes:
    """Return the hash of one event, which covers the one before it.

    The last two come from `hashed_type_and_run` and `hashed_rest`.
    """
    fixed = _FIXED(
        ledger_id,
        prev_hash,
        seq,
        stream,
        version,
        type_version,
        _NO_INT if ts_event is None else ts_event,
        _NO_INT if ts_received is None else ts_received,
        ts_recorded,
        mono_ns,
        epoch,
        _NO_INT if causation is None else causation,
    )
    hashing = _EVENT.copy()
    hashing.update(fixed + type_and_run + rest)
    return hashing.digest()


def hash_of_record(ledger_id: bytes, prev_hash: bytes, record: "Record", run: "Run") -> bytes:
    """Return what the `event_hash` of *record* must be, after *prev_hash* and by its *run*."""
    return event_hash(
        ledger_id,
        prev_hash,
        record.seq,
        record.stream,
        record.version,
        record.type_version,
        record.ts_event,
        record.ts_received,
        record.ts_recorded,
        record.mono_ns,
        record.epoch,
        record.causation,
        hashed_type_and_run(record.type, run.run_id, run.boot_id),
        hashed_rest(
            record.actor.encode(),
            None if record.correlation is None else record.correlation.encode(),
            None if record.idempotency_key is None else record.idempotency_key.encode(),
            record.input_hash,
            record.raw_digest,
            record.body.encode(),
        ),
    )


def raw_digest(salt: bytes, length: int, whole_sha256: bytes) -> bytes:
    """Return the digest by which a raw message enters the chain; *salt* is 16 random bytes."""
    return sha256(_RAW + salt + _LENGTH64(length) + whole_sha256).digest()


def utf8(text: str) -> bytes:
    """Return *text* in UTF-8; `BadValue` where it has a lone surrogate, which no encoding holds."""
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        shown = text[: exc.start][-20:]
        raise BadValue(
            "", f"after {shown!r} comes half a surrogate pair, which no file can hold"
        ) from exc
