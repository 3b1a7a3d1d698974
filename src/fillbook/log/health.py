"""Look at what a ledger stands on: SQLite, the file system, the clock, the lock.

The checks of durability are made on a small ledger of their own in the same folder, which is taken
away again; the ledger itself is only read.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

from fillbook.errors import FillbookError, LedgerNotFound
from fillbook.log._sqlite import HAS_WAL_RESET_BUG, MODULE, VERSION
from fillbook.log.heads import read_checkpoint
from fillbook.log.lock import is_locked, mount_of
from fillbook.log.opening import connect_writer
from fillbook.log.port import Finding
from fillbook.log.reader import SqliteReader, open_reader

__all__ = ["examine"]

_COMMITS = 20
_LITTLE_ROOM_BYTES = 256 << 20


def examine(ledger: str | None) -> list[Finding]:
    """Return what was found about this machine and, where one is named, about *ledger*."""
    folder = str(Path(ledger).resolve().parent) if ledger else os.getcwd()
    findings = [_sqlite(), *_storage(folder), _clock()]
    if ledger is not None:
        findings += _ledger(ledger)
    return findings


def _sqlite() -> Finding:
    found = f"{VERSION}, through {MODULE}"
    if HAS_WAL_RESET_BUG:
        return Finding(
            "SQLite", "warning", f"{found}; it has the WAL-reset bug (fixed in 3.51.3)",
            "one writer, as fillbook keeps it, is outside the bug: let no other program write to "
            "or checkpoint a ledger; or install pysqlite3 where it has a wheel",
        )  # fmt: skip
    return Finding("SQLite", "ok", f"{found}; without the WAL-reset bug")


def _storage(folder: str) -> list[Finding]:
    kind, is_network = mount_of(folder)
    findings = [
        Finding(
            "file system", "problem" if is_network else "ok", f"{kind or 'unknown'} at {folder}",
            "keep ledgers on a local disk" if is_network else "",
        )
    ]  # fmt: skip
    try:
        free = shutil.disk_usage(folder).free
    except OSError as exc:
        return [Finding("file system", "problem", f"{folder}: {exc.strerror}", "make the folder")]
    scarce = free < _LITTLE_ROOM_BYTES
    findings.append(
        Finding(
            "free room", "warning" if scarce else "ok", f"{free // (1 << 20)} MiB",
            "make room: a full disk stops new intents" if scarce else "",
        )
    )  # fmt: skip
    if not is_network:
        findings += _durability(folder)
    return findings


def _durability(folder: str) -> list[Finding]:
    """Open a small database as a ledger is opened, read its pragmas back, time its commits."""
    try:
        room = tempfile.mkdtemp(prefix=".fillbook-doctor-", dir=folder)
    except OSError as exc:
        return [
            Finding("durability", "problem", f"{folder} cannot be written ({exc.strerror})",
                    "make it writable, or keep the ledger elsewhere")
        ]  # fmt: skip
    try:
        connection = connect_writer(os.path.join(room, "probe"), "strict")
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        level = connection.execute("PRAGMA synchronous").fetchone()[0]
        connection.execute("CREATE TABLE probe (n INTEGER) STRICT")
        times = []
        for number in range(_COMMITS):
            start = time.perf_counter_ns()
            connection.execute("INSERT INTO probe VALUES (?)", (number,))
            times.append(time.perf_counter_ns() - start)
        connection.close()
    except FillbookError as exc:
        return [Finding("durability", "problem", str(exc))]
    finally:
        shutil.rmtree(room, ignore_errors=True)
    middle = median(times) / 1000
    findings = [Finding("pragmas", "ok", f"journal_mode={mode} synchronous={level} (read back)")]
    quick = middle < 20
    findings.append(
        Finding(
            "durable commit", "warning" if quick else "ok", f"{middle:.0f} µs in the middle",
            "so quick a disk may only pretend to sync; check its write cache" if quick else "",
        )
    )  # fmt: skip
    return findings


def _clock() -> Finding:
    info = time.get_clock_info("time")
    now = time.time_ns()
    year = time.gmtime(now // 10**9).tm_year
    found = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now // 10**9))}"
    if not 2024 <= year < 2100:
        return Finding("clock", "problem", found, "set the clock")
    return Finding("clock", "ok", f"{found}, resolution {info.resolution:.0e} s")


def _ledger(ledger: str) -> list[Finding]:
    try:
        reader: SqliteReader = open_reader(ledger)
    except LedgerNotFound:
        return [Finding("ledger", "warning", f"{ledger} does not exist yet")]
    except FillbookError as exc:
        return [Finding("ledger", "problem", str(exc))]
    with reader:
        head = reader.head()
        last = next(iter(reader.records(after=head.seq - 1)), None) if head.seq else None
        page, count = (reader.fetch(f"PRAGMA {name}")[0][0] for name in ("page_size", "page_count"))
    path = os.path.realpath(ledger)
    findings = [
        Finding("ledger", "ok", f"seq {head.seq}, {page * count // 1024} KiB, {path}"),
        Finding("writer", "ok", is_locked(path) or "nobody is writing it"),
    ]
    checkpoint, problem = read_checkpoint(path)
    if checkpoint is None:
        findings.append(Finding("checkpoint", "warning", problem, "a writer makes it anew"))
    elif checkpoint.seq > head.seq:
        findings.append(
            Finding(
                "checkpoint", "problem",
                f"it knows seq {checkpoint.seq}, the ledger ends at {head.seq}: a tail is missing",
                "restore a backup that reaches it",
            )
        )  # fmt: skip
    else:
        findings.append(Finding("checkpoint", "ok", f"seq {checkpoint.seq} of {head.seq}"))
    if last is not None and last.ts_recorded > time.time_ns():
        findings.append(
            Finding(
                "clock against ledger", "warning", "the last event was recorded in the future",
                "the clock went back since: check its synchronisation",
            )
        )  # fmt: skip
    wal = path + "-wal"
    if os.path.exists(wal):
        findings.append(Finding("WAL", "ok", f"{os.path.getsize(wal) // 1024} KiB not yet moved"))
    return findings
