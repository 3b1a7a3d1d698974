"""Keep what may be thrown away: a folded state to start from, and positions for other programs.

Nothing here is a source.  A snapshot that does not fit (another code folded it, another history
lies under its seq) is passed over, and the log is folded from the start.
"""

from collections.abc import Sequence
from typing import Any

from fillbook.errors import AppendRefused
from fillbook.log._sqlite import Connection

__all__ = ["LOAD_SQL", "POSITION_COLUMNS", "refresh_positions", "save_snapshot"]

POSITION_COLUMNS = (
    "account_id",
    "instrument_id",
    "position_qty",
    "avg_px",
    "realized_pnl_gross",
    "realized_pnl",
    "pnl_currency",
    "trade_count",
)

LOAD_SQL = (
    "SELECT s.seq, s.state FROM snapshots s JOIN events e USING (seq)"
    " WHERE s.reducer = ? AND s.event_hash = e.event_hash ORDER BY s.seq DESC LIMIT 1"
)


def save_snapshot(connection: Connection, seq: int, reducer: str, state: str) -> None:
    """Put the state as of *seq* in the place of all earlier ones, inside a transaction."""
    connection.execute("DELETE FROM snapshots")
    saved = connection.execute(
        "INSERT INTO snapshots (seq, event_hash, reducer, state)"
        " SELECT seq, event_hash, ?, ? FROM events WHERE seq = ?",
        (reducer, state, seq),
    )
    if saved.rowcount != 1:
        raise AppendRefused(f"a snapshot of seq {seq}, which is not in the ledger")


def refresh_positions(
    connection: Connection, rows: Sequence[Sequence[Any]], as_of_seq: int
) -> None:
    """Replace the table `positions`, inside a transaction; *rows* in `POSITION_COLUMNS`."""
    names = ", ".join((*POSITION_COLUMNS, "as_of_seq"))
    marks = ", ".join("?" * (len(POSITION_COLUMNS) + 1))
    connection.execute("DELETE FROM positions")
    connection.executemany(
        f"INSERT INTO positions ({names}) VALUES ({marks})",
        [(*row, as_of_seq) for row in rows],
    )
