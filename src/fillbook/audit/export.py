"""Write a ledger's events out as JSON lines that anyone can check, and that make the ledger again.

What a line looks like: `audit.lines`.  The events go out as they are stored, whether or not they
verify: whoever reads them finds out.
"""

from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

from attrs import frozen

from fillbook.audit.lines import Day, header_line, record_line
from fillbook.errors import LedgerDamaged
from fillbook.log.chain import genesis
from fillbook.log.port import Head, Raw, Reader

__all__ = ["Exported", "export_events"]

_PAGE = 1000


class _Fetches(Reader, Protocol):
    def fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]: ...


@frozen
class Exported:
    """How many events went out, of a ledger that ended at `head`."""

    event_count: int
    head: Head


def export_events(
    reader: _Fetches,
    out: BinaryIO,
    *,
    day: Day | None = None,
    with_raw: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> Exported:
    """Write every event of *reader*'s ledger to *out*, up to the head as it is now.

    Args:
        day: Only the events of this day, by `ts_event`, else `ts_recorded`.
        with_raw: Also the raw messages with their salts; without, only how long they are.
        on_progress: Is told the seq reached, now and then.
    """
    head = reader.head()
    runs = {run.epoch: run for run in reader.runs()}
    prev_hash = genesis(reader.ledger_id)
    out.write(header_line(reader.ledger_id, reader.robot, head, list(runs.values()), day))
    count = 0
    for after in range(0, head.seq, _PAGE):
        upto = min(after + _PAGE, head.seq)
        lengths = dict(
            reader.fetch("SELECT seq, length FROM raws WHERE seq > ? AND seq <= ?", (after, upto))
        )
        lines = []
        for record in reader.records(after=after, upto=upto):
            if day is None or day.holds(record):
                run = runs.get(record.epoch)
                if run is None:
                    raise LedgerDamaged(
                        f"ledger {reader.ledger_id.hex()}",
                        f"seq {record.seq} names epoch {record.epoch}, of which runs knows nothing",
                    )
                raw = None
                if record.seq in lengths:
                    raw = reader.raw(record.seq) if with_raw else None
                    raw = raw or Raw(lengths[record.seq], None, None, None)
                lines.append(record_line(record, prev_hash, run, raw))
            prev_hash = record.event_hash
        count += len(lines)
        out.write("".join(lines).encode())
        if on_progress is not None:
            on_progress(upto)
    return Exported(count, head)
