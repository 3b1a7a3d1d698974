"""`fillbook tail`: the last events of a ledger, and the next ones as they come."""

import json
import sys
import time
from typing import Any

import click

from fillbook.cli.common import as_json, json_option, ledger_option, visible
from fillbook.core.times import time_text
from fillbook.log.port import Record
from fillbook.wiring import open_reader

__all__ = ["tail_command"]

_LOOK_EVERY_S = 0.25
_TOLD = (
    "order_status", "last_qty", "last_px", "trade_id", "cum_qty", "why", "claim", "held", "reason",
    "problem", "amount", "currency", "px", "name", "length", "text",
)  # fmt: skip


@click.command("tail", epilog="Example: fillbook tail --ledger sber.ledger -n 20 --follow")
@ledger_option
@click.option(
    "-n", "count", type=click.IntRange(0), default=10, show_default=True, help="How many events."
)
@click.option("-f", "--follow", is_flag=True, help="Go on as events come, until Ctrl-C.")
@click.option("--raw", is_flag=True, help="Also show the message behind each event.")
@json_option
def tail_command(ledger: str, count: int, follow: bool, raw: bool, as_json_: bool) -> int:
    """Show the last events of a ledger, and with --follow the next ones."""
    with open_reader(ledger) as reader:
        seq = max(reader.head().seq - count, 0)
        while True:
            for record in reader.records(after=seq):
                seq = record.seq
                if as_json_:
                    print(_as_json(reader, record, raw))
                else:
                    print(_as_text(reader, record, raw))
            if not follow:
                return 0
            sys.stdout.flush()
            time.sleep(_LOOK_EVERY_S)


def _as_json(reader: Any, record: Record, raw: bool) -> str:
    line: dict[str, Any] = {
        "seq": record.seq,
        "type": record.type,
        "version": record.type_version,
        "ts_event": time_text(record.ts_event),
        "ts_recorded": time_text(record.ts_recorded),
        "actor": record.actor,
        "correlation": record.correlation,
        "event_hash": record.event_hash.hex(),
        "event": json.loads(record.body),
    }
    if raw:
        line["raw"] = _raw(reader, record)
    return as_json(line)


def _as_text(reader: Any, record: Record, raw: bool) -> str:
    body = json.loads(record.body)
    who = body.get("client_order_id") or body.get("venue_order_id") or body.get("instrument_id", "")
    told = " ".join(f"{key}={body[key]}" for key in _TOLD if key in body)
    when = time_text(record.ts_event if record.ts_event is not None else record.ts_recorded)
    text = visible(f"{record.seq:>7} {when} {record.type} {who} {told}".rstrip())
    message = _raw(reader, record) if raw else None
    return text if message is None else f"{text}\n        {visible(message)}"


def _raw(reader: Any, record: Record) -> str | None:
    if record.raw_digest is None:
        return None
    raw = reader.raw(record.seq)
    if raw is None or raw.raw is None:
        return "(erased)"
    text: str = raw.raw.decode("utf-8", "backslashreplace")
    return text.replace("\x01", "|")
