"""Recognize a ledger file, and apply the steps in `migrations/` to one that is empty or older.

The same steps are applied by `sqlite-utils migrate FILE migrations/`, to the same result.
`sqlite-utils` is only imported where a ledger of an older format lacks a step: loading it takes
longer than making a ledger and filling it, and a new file needs none of what it can do.
"""

from datetime import UTC, datetime
from runpy import run_path

from fillbook._resources import migrations_path
from fillbook.errors import LedgerTooNew, NotALedger
from fillbook.log._sqlite import Connection, connect

__all__ = ["APPLICATION_ID", "FORMAT_VERSION", "format_of", "made_schema", "migrate"]

APPLICATION_ID = 0x46424B4C
FORMAT_VERSION = 1

_NOTES = (
    """\
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
)""",
    """\
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name")""",
)
"""Where `sqlite-utils` (4.2) keeps which steps a file has had, letter for letter."""


def format_of(connection: Connection, path: str) -> int:
    """Return the file's format version, 0 where it is an empty database.

    Raises `NotALedger` for another program's database and `LedgerTooNew`; SQLite's own errors
    pass through.
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id != APPLICATION_ID:
        (count,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if count or application_id:
            raise NotALedger(path, "an SQLite database of something else")
        return 0
    if version > FORMAT_VERSION:
        raise LedgerTooNew(path, version, FORMAT_VERSION)
    return int(version)


def migrate(connection: Connection) -> None:
    """Apply every step that is missing, inside the caller's transaction.

    The caller has begun it with BEGIN IMMEDIATE: two processes that both find an empty file would
    otherwise both make the schema.
    """
    assert connection.in_transaction
    (count,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if count:
        _go_on(connection)
    else:
        _make(connection)


def _make(connection: Connection) -> None:
    """Apply all steps to an empty file, and note them where `sqlite-utils` will look for them."""
    for statement in _NOTES:
        connection.execute(statement)
    for step in sorted(migrations_path().glob("[0-9][0-9][0-9][0-9]_*.py")):
        run_path(str(step))["migrate"](connection)
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('fillbook', ?, ?)",
            (step.stem, str(datetime.now(UTC))),
        )


def _go_on(connection: Connection) -> None:
    from sqlite_utils import Database

    steps = run_path(str(migrations_path() / "migrations.py"))["fillbook"]
    # plugins of sqlite-utils have no business in a ledger, and looking for them costs 40 ms
    steps.apply(Database(connection, recursive_triggers=False, execute_plugins=False))


def made_schema() -> list[tuple[str, str, str | None]]:
    """Return (type, name, sql) of everything that the migrations make, as SQLite keeps it."""
    connection = connect(":memory:")
    try:
        connection.execute("BEGIN IMMEDIATE")
        migrate(connection)
        return connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    finally:
        connection.close()
