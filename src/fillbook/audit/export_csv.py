"""Write orders, fills and positions as spreadsheets: three CSV files in a folder, row by row."""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from fillbook.audit.lines import Day
from fillbook.core.times import time_text
from fillbook.errors import BadInput
from fillbook.log.port import Reader

__all__ = ["export_csv"]

_ROWS_PER_PAGE = 2000
_FILLS = (
    "seq", "client_order_id", "account_id", "instrument_id", "side", "trade_id", "exec_id",
    "last_qty", "last_px", "commission", "commission_currency", "inferred", "busted", "ts_event",
)  # fmt: skip
_ORDERS = (
    "client_order_id", "client_order_ids", "venue_order_ids", "account_id", "instrument_id", "side",
    "order_type", "order_qty", "limit_px", "order_status", "cum_qty", "leaves_qty", "avg_px",
    "commissions", "origin", "is_open", "flags", "ts_submitted", "ts_closed",
)  # fmt: skip
_POSITIONS = (
    "account_id", "instrument_id", "position_qty", "avg_px", "realized_pnl_gross", "commissions",
    "cash", "realized_pnl", "pnl_currency", "unrealized_pnl", "trade_count",
)  # fmt: skip


class _Fetches(Reader, Protocol):
    def fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]: ...


def export_csv(
    reader: _Fetches,
    folder: str,
    orders: Iterable[Mapping[str, Any]],
    positions: Iterable[Mapping[str, Any]],
    day: Day | None = None,
) -> dict[str, int]:
    """Write `orders.csv`, `fills.csv`, `positions.csv` into the new or empty *folder*.

    *orders* and *positions* are the rows that `--json` prints; fills are read here.  Lists are
    joined by spaces, amounts per currency are written as in ``1.2 RUB``.  Returns rows per file.
    Raises `BadInput` where the folder holds files already or cannot be made.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise BadInput(
                f"{folder}: there are files in it; nothing was written", "name a new folder"
            )
    except OSError as exc:
        raise BadInput(f"{folder}: {exc.strerror}", "name a folder that can be made") from exc
    return {
        "orders": _write(target / "orders.csv", _ORDERS, orders),
        "fills": _write(target / "fills.csv", _FILLS, _fills(reader, day)),
        "positions": _write(target / "positions.csv", _POSITIONS, positions),
    }


def _write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(row[column]) for column in columns])
            count += 1
        file.flush()
        os.fsync(file.fileno())
    return count


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return " ".join(str(each) for each in value)
    if isinstance(value, dict):
        return " ".join(f"{amount} {currency}" for currency, amount in value.items())
    return str(value)


def _fills(reader: _Fetches, day: Day | None) -> Iterator[dict[str, Any]]:
    """Yield the fills as they stand, from the ledger's own view, a page of the log at a time."""
    after, head = 0, reader.head().seq
    while after < head:
        upto = after + _ROWS_PER_PAGE
        for *row, ts_recorded in reader.fetch(
            f"SELECT {', '.join(f'f.{name}' for name in _FILLS)}, e.ts_recorded"
            " FROM fills f JOIN events e ON e.seq = f.seq"
            " WHERE f.seq > ? AND f.seq <= ? ORDER BY f.seq",
            (after, upto),
        ):
            fill = dict(zip(_FILLS, row, strict=True))
            ts = ts_recorded if fill["ts_event"] is None else fill["ts_event"]
            if day is None or day.start <= ts < day.end:
                fill["ts_event"] = time_text(fill["ts_event"])
                fill["inferred"], fill["busted"] = bool(fill["inferred"]), bool(fill["busted"])
                yield fill
        after = upto
