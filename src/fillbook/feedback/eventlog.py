"""Write a log line for every event the ledger takes, through standard logging.

The logger is `fillbook.events`; nothing is formatted unless somebody listens.  `JsonLines` is a
formatter for machines.  Secrets that venues echo in free text are redacted in both forms.
"""

import json
import logging
import re
from typing import Any

from fillbook.core.events import OrderEvent
from fillbook.log.port import Record

__all__ = ["EVENTS", "JsonLines", "TextLines", "log_event", "redacted"]

EVENTS = logging.getLogger("fillbook.events")
EVENTS.addHandler(logging.NullHandler())  # a library speaks only where somebody listens

_SECRET = re.compile(
    r"""(?ix)
    ( (?:api[-_ ]?key|secret|token|passw(?:or)?d|passphrase|signature|authorization|bearer)
      \\*["']? \s* [:=]? \s* \\*["']? (?:bearer\s+)? \\*["']? )
    (?: [^\s"',;&|\\] | \\(?!["'\\]) ){4,}
    """
)


def redacted(text: str) -> str:
    """Return *text* with everything that looks like a secret replaced by `***`."""
    return _SECRET.sub(r"\1***", text)


def log_event(record: Record) -> None:
    """Log one record at INFO (a dispute or a message set aside at WARNING)."""
    loud = record.type in ("order.disputed", "message.set_aside")
    level = logging.WARNING if loud else logging.INFO
    if not EVENTS.isEnabledFor(level):
        return
    event = record.event
    where = ""
    if isinstance(event, OrderEvent):
        where = f" {event.client_order_id or event.venue_order_id} {event.order_status}"
    EVENTS.log(level, "%d %s%s", record.seq, record.type, where, extra={"record": record})


class TextLines(logging.Formatter):
    """One line of words for people."""

    def format(self, entry: logging.LogRecord) -> str:
        """Return the line for *entry*, with secrets redacted."""
        return redacted(f"{entry.levelname} {entry.getMessage()}")


class JsonLines(logging.Formatter):
    """One JSON object a line: the event's body with its seq, type, times and correlation."""

    def format(self, entry: logging.LogRecord) -> str:
        """Return the line for *entry*; one that carries no event becomes `{"message": …}`."""
        line: dict[str, Any] = {"level": entry.levelname, "logger": entry.name}
        record = getattr(entry, "record", None)
        if isinstance(record, Record):
            line |= {
                "seq": record.seq,
                "type": record.type,
                "ts_event": record.ts_event,
                "ts_recorded": record.ts_recorded,
                "actor": record.actor,
                "correlation": record.correlation,
            }
            line |= {"event": json.loads(record.body)}
        else:
            line["message"] = entry.getMessage()
        return json.dumps(_told(line), ensure_ascii=False, separators=(",", ":"))


def _told(value: Any) -> Any:
    """Return *value* with its texts redacted: each for itself, so that the line stays JSON."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {key: _told(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_told(each) for each in value]
    return value
