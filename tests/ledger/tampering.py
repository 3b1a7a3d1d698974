"""Do to a ledger file what its own rules forbid, with nothing but SQLite, as a stranger would."""

import sqlite3
from pathlib import Path

from fillbook.log import chain
from fillbook.log.reader import open_reader


def altered(ledger: Path, *statements: str | tuple[str, tuple[object, ...]]) -> None:
    """Run *statements* without the file's triggers, which are put back as they were."""
    database = sqlite3.connect(ledger, isolation_level=None)
    try:
        database.execute("PRAGMA ignore_check_constraints = ON")
        triggers = database.execute(
            "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            if isinstance(statement, tuple):
                database.execute(*statement)
            else:
                database.execute(statement)
        there = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for _, table, sql in triggers:
            if (table,) in there:
                database.execute(sql)
    finally:
        database.close()


def untyped(ledger: Path, *statements: str) -> None:
    """Run *statements* where every column takes every type; the schema reads as before after it."""
    _rewrite(ledger, "replace(sql, ') STRICT', ')')")
    altered(ledger, *statements)
    _rewrite(ledger, "sql || ' STRICT'")


def _rewrite(ledger: Path, sql: str) -> None:
    database = sqlite3.connect(ledger, isolation_level=None)
    try:
        database.execute("PRAGMA writable_schema = ON")
        database.execute(
            f"UPDATE sqlite_master SET sql = {sql} WHERE type = 'table'"
            " AND name IN ('events', 'meta', 'runs', 'raws', 'snapshots', 'positions')"
        )
    finally:
        database.close()


def chained_anew(ledger: Path, *changes: str) -> None:
    """Make *changes* and work out every hash again, as a forger does who has read FORMAT.md."""
    altered(ledger, *changes)
    with open_reader(ledger) as reader:
        runs = {run.epoch: run for run in reader.runs()}
        before, statements = chain.genesis(reader.ledger_id), []
        for record in reader.records():
            before = chain.hash_of_record(reader.ledger_id, before, record, runs[record.epoch])
            statements.append(
                ("UPDATE events SET event_hash = ? WHERE seq = ?", (before, record.seq))
            )
    for suffix in ("-wal", "-shm"):
        Path(f"{ledger}{suffix}").unlink(missing_ok=True)
    altered(ledger, *statements)
