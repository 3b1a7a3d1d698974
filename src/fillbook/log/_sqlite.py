"""Choose the SQLite that everything here uses; no other module of this package imports one.

`pysqlite3` brings a current SQLite; without it the standard library's is taken, which on many
systems still has the WAL-reset bug.  Two SQLite libraries at work on one file in one process drop
each other's locks, so the choice is made once, and the same way as `sqlite-utils` makes it.
"""

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import sqlite3 as _sqlite
else:
    try:
        from pysqlite3 import dbapi2 as _sqlite
    except ImportError:
        import sqlite3 as _sqlite

__all__ = [
    "HAS_WAL_RESET_BUG",
    "MODULE",
    "VERSION",
    "Connection",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "Trouble",
    "connect",
    "has_wal_reset_bug",
    "trouble",
]

Connection = _sqlite.Connection
Error = _sqlite.Error
DatabaseError = _sqlite.DatabaseError
IntegrityError = _sqlite.IntegrityError

MODULE: str = _sqlite.__name__.partition(".")[0]
VERSION: str = _sqlite.sqlite_version


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Tell whether two connections that write or checkpoint at once can corrupt a WAL file."""
    return (3, 7, 0) <= version <= (3, 51, 2)


HAS_WAL_RESET_BUG = has_wal_reset_bug(_sqlite.sqlite_version_info)
"""One writing connection that also checkpoints is outside the bug; a foreign writer is not."""

Trouble = Literal[
    "busy", "cannot open", "constraint", "damaged", "full", "io", "not a database", "read-only", ""
]
"""What an SQLite error means to a ledger; empty where it is our own mistake."""

_TROUBLES: dict[int, Trouble] = {
    5: "busy",  # SQLITE_BUSY
    6: "busy",  # SQLITE_LOCKED
    8: "read-only",  # SQLITE_READONLY
    10: "io",  # SQLITE_IOERR
    11: "damaged",  # SQLITE_CORRUPT
    13: "full",  # SQLITE_FULL
    14: "cannot open",  # SQLITE_CANTOPEN
    15: "busy",  # SQLITE_PROTOCOL: the WAL's locks are held by someone
    19: "constraint",  # SQLITE_CONSTRAINT
    22: "io",  # SQLITE_NOLFS
    26: "not a database",  # SQLITE_NOTADB
}


def trouble(exc: Error) -> Trouble:
    """Return what *exc* means, by its primary result code."""
    code = getattr(exc, "sqlite_errorcode", None)
    return "" if code is None else _TROUBLES.get(code & 0xFF, "")


def connect(target: str, *, uri: bool = False, timeout_s: float = 5.0) -> Connection:
    """Open a connection that begins no transaction by itself and may change threads.

    Whoever shares it between threads holds a lock around each use.
    """
    options: dict[str, Any] = {"isolation_level": None, "check_same_thread": False}
    made: Connection = _sqlite.connect(
        target, uri=uri, timeout=timeout_s, cached_statements=64, **options
    )
    return made
