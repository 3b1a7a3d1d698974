"""Say what an export of events looks like, line by line.

A header, then one record per line, both canonical JSON: keys sorted, no spaces, nothing that is
unknown.  A line holds every column that the chain hashes, the hash before it and its own, and the
body as it is stored, so that a stranger can check all of it; what columns only repeat is left out.
Times are integers in ns, byte strings hex, the raw message base64.

    {"chain_domain":…,"format":"fillbook.export.v1","format_version":1,"head":{…},"ledger_id":…,
     "robot":…,"runs":[…]}
    {"actor":…,"body":{…},"boot_id":…,"epoch":…,"event_hash":…,"mono_ns":…,"prev_hash":…,…}

An export of one day says so under `part` and has no `runs`; the `prev_hash` of each line ties it
to what is not there.  `raw` is there where the event had a raw message: its `length`, and, unless
it is withheld or was erased, its `salt`, `sha256` and bytes.
"""

from base64 import b64encode
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from json.encoder import encode_basestring as quoted
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from attrs import frozen

from fillbook.errors import BadInput
from fillbook.log.chain import CHAIN_DOMAIN
from fillbook.log.port import Head, Raw, Record, Run

__all__ = ["EXPORT_FORMAT", "Day", "day_of", "header_line", "record_line"]

EXPORT_FORMAT = "fillbook.export.v1"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class Day:
    """A calendar day somewhere, as the time from `start` up to, not including, `end` (ns)."""

    day: str
    tz: str
    start: int
    end: int

    def holds(self, record: Record) -> bool:
        """Tell whether *record* is of this day: by when it happened, else when it was recorded."""
        ts = record.ts_recorded if record.ts_event is None else record.ts_event
        return self.start <= ts < self.end


def day_of(day: str, tz: str = "UTC") -> Day:
    """Return the day *day* (`2026-03-13`) of the time zone *tz*; `BadInput` where there is none."""
    try:
        first = date.fromisoformat(day)
        following = first + timedelta(days=1)
    except (ValueError, OverflowError) as exc:
        raise BadInput(f"{day!r} is no day", "write it as in 2026-03-13") from exc
    zone: tzinfo = UTC
    if tz != "UTC":
        try:
            zone = ZoneInfo(tz)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            raise BadInput(
                f"{tz!r} is no time zone known here", "write it as in Europe/Moscow"
            ) from exc
    return Day(day, tz, _midnight(first, zone), _midnight(following, zone))


def _midnight(day: date, zone: tzinfo) -> int:
    passed = datetime.combine(day, time.min, zone) - _EPOCH
    return (passed // timedelta(microseconds=1)) * 1000


def header_line(
    ledger_id: bytes, robot: str, head: Head, runs: list[Run], day: Day | None = None
) -> bytes:
    """Return the first line of an export that goes up to *head*."""
    header: dict[str, object] = {
        "chain_domain": CHAIN_DOMAIN,
        "format": EXPORT_FORMAT,
        "format_version": 1,
        "head": {"event_hash": head.event_hash.hex(), "seq": head.seq},
        "ledger_id": ledger_id.hex(),
        "robot": robot,
    }
    if day is not None:
        header["part"] = {"day": day.day, "from": day.start, "to": day.end, "tz": day.tz}
    else:
        header["runs"] = [_run(run) for run in runs]
    return msgspec.json.encode(header, order="sorted") + b"\n"


def _run(run: Run) -> dict[str, object]:
    told: dict[str, object] = {
        "epoch": run.epoch,
        "host": run.host,
        "pid": run.pid,
        "program_version": run.program_version,
        "run_id": run.run_id,
        "ts_opened": run.ts_opened,
    }
    if run.boot_id is not None:
        told["boot_id"] = run.boot_id
    return told


def record_line(record: Record, prev_hash: bytes, run: Run, raw: Raw | None) -> str:
    """Return the line of one record; *raw* may be only the length of a message withheld."""
    r = record
    boot = "" if run.boot_id is None else f'"boot_id":{quoted(run.boot_id)},'
    causation = "" if r.causation is None else f'"causation":{r.causation},'
    correlation = "" if r.correlation is None else f'"correlation":{quoted(r.correlation)},'
    key = "" if r.idempotency_key is None else f'"idempotency_key":{quoted(r.idempotency_key)},'
    input_hash = "" if r.input_hash is None else f'"input_hash":"{r.input_hash.hex()}",'
    beside = "" if raw is None else f'"raw":{_raw(raw)},'
    digest = "" if r.raw_digest is None else f'"raw_digest":"{r.raw_digest.hex()}",'
    ts_event = "" if r.ts_event is None else f'"ts_event":{r.ts_event},'
    ts_received = "" if r.ts_received is None else f'"ts_received":{r.ts_received},'
    return (
        f'{{"actor":"{r.actor}","body":{r.body},{boot}{causation}{correlation}"epoch":{r.epoch},'
        f'"event_hash":"{r.event_hash.hex()}",{key}{input_hash}"mono_ns":{r.mono_ns},'
        f'"prev_hash":"{prev_hash.hex()}",{beside}{digest}"run_id":{quoted(run.run_id)},'
        f'"seq":{r.seq},"stream":{r.stream},{ts_event}{ts_received}'
        f'"ts_recorded":{r.ts_recorded},"type":{quoted(r.type)},"type_version":{r.type_version},'
        f'"version":{r.version}}}\n'
    )


def _raw(raw: Raw) -> str:
    if raw.raw is None or raw.salt is None or raw.sha256 is None:
        return f'{{"length":{raw.length}}}'
    content = b64encode(raw.raw).decode()
    return (
        f'{{"length":{raw.length},"raw":"{content}","salt":"{raw.salt.hex()}",'
        f'"sha256":"{raw.sha256.hex()}"}}'
    )
