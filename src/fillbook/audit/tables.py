"""Check what lies beside the events: schema, indexes, runs, raw messages, keys, what is derived.

What SQLite can answer in one go it is asked in SQL; nothing here holds more than a page.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Protocol

from fillbook.audit.verdict import MOST_PROBLEMS, Verdict
from fillbook.core.book import Book
from fillbook.core.exact import plain
from fillbook.core.replaying import replay
from fillbook.errors import FillbookError, LedgerDamaged
from fillbook.log.chain import CHAIN_DOMAIN, RAW_KEPT, raw_digest
from fillbook.log.columns import STATUS_OF_CODE
from fillbook.log.port import Reader, Record
from fillbook.log.schema import FORMAT_VERSION, made_schema

__all__ = ["check_before", "check_beside"]

_RAWS_PER_PAGE = 100
_MAY_BE_THERE = re.compile(r"_sqlite_migrations|idx__sqlite_migrations_\w+|sqlite_\w+")


class _Fetches(Reader, Protocol):
    def fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]: ...


def check_before(reader: _Fetches, verdict: Verdict) -> None:
    """Check what makes the rest readable: the schema's text, `meta`, SQLite's own structures."""
    before = verdict.problem_count
    _check_schema(reader, verdict)
    rows = reader.fetch("SELECT id, format_version, chain_domain FROM meta LIMIT 2")
    if rows != [(1, FORMAT_VERSION, CHAIN_DOMAIN)]:
        verdict.note(0, "meta", f"1, {FORMAT_VERSION}, {CHAIN_DOMAIN}", rows)
    if verdict.problem_count == before:  # a schema of somebody else's is not asked to compute
        try:
            lines = [line for (line,) in reader.fetch("PRAGMA integrity_check(20)")]
        except LedgerDamaged as exc:  # a page that SQLite itself cannot get past
            lines = [exc.problem]
        for line in lines:
            if line != "ok":
                verdict.note(0, "integrity", "ok", line)


def check_beside(reader: _Fetches, verdict: Verdict, last_run: int | None) -> None:
    """Check the other tables against the events.

    Args:
        last_run: The last that appended any; None where not all events could be read.
    """
    _check_runs(reader, verdict, last_run)
    _check_raws(reader, verdict)
    _check_keys(reader, verdict)
    for (seq,) in reader.fetch(
        "SELECT s.seq FROM snapshots s LEFT JOIN events e ON e.seq = s.seq"
        f" WHERE s.event_hash IS NOT e.event_hash LIMIT {MOST_PROBLEMS}"
    ):
        verdict.note(seq, "snapshot", "the event's hash", "another")
    if verdict.is_whole and not verdict.unfolded:
        _check_positions(reader, verdict)


def _check_schema(reader: _Fetches, verdict: Verdict) -> None:
    """Compare the text of every table, index, trigger and view with what `migrations/` make."""
    expected = _objects(made_schema())
    found = _objects(reader.fetch("SELECT type, name, sql FROM sqlite_master"))
    for kind, name in sorted(expected.keys() | found.keys()):
        text = found.get((kind, name))
        if (kind, name) not in expected:
            verdict.note(0, "schema", None, f"{kind} {name}")
        elif (kind, name) not in found:
            verdict.note(0, "schema", f"{kind} {name}", None)
        elif text != expected[kind, name]:
            verdict.note(0, "schema", f"{kind} {name} as in format 1", "another text")


def _objects(rows: Iterable[tuple[str, str, str | None]]) -> dict[tuple[str, str], str | None]:
    return {
        (kind, name): sql
        for kind, name, sql in rows
        if kind not in ("table", "index") or not _MAY_BE_THERE.fullmatch(name)
    }


def _check_runs(reader: _Fetches, verdict: Verdict, last_run: int | None) -> None:
    count, first, last = reader.fetch("SELECT count(*), min(epoch), max(epoch) FROM runs")[0]
    if count and (first, last) != (1, count):
        verdict.note(0, "runs", f"epochs 1 to {count}", f"{first} to {last}")
    # A writer that began meanwhile is no concern: its events come after the head looked at.
    if last_run is None or not count:
        return
    if last > last_run and reader.head() == verdict.head:
        verdict.note(0, "runs", f"epochs up to {last_run}", f"up to {last}")


def _check_raws(reader: _Fetches, verdict: Verdict) -> None:
    after, upto = 0, verdict.head.seq
    while True:
        rows = reader.fetch(
            "SELECT e.seq, e.raw_digest, r.seq, r.length, r.salt, r.sha256, r.raw FROM events e"
            " LEFT JOIN raws r ON r.seq = e.seq WHERE e.seq > ? AND e.seq <= ?"
            f" ORDER BY e.seq LIMIT {_RAWS_PER_PAGE}",
            (after, upto),
        )
        for seq, digest, at, *beside in rows:
            if (at is None) != (digest is None):
                expected = "a row in raws, erased or not" if at is None else None
                verdict.note(seq, "raw", expected, None if at is None else "a row in raws")
            elif at is not None:
                _check_raw(verdict, seq, digest, *beside)
        if len(rows) < _RAWS_PER_PAGE:
            break
        after = rows[-1][0]
    for (seq,) in reader.fetch(
        "SELECT r.seq FROM raws r LEFT JOIN events e ON e.seq = r.seq"
        f" WHERE e.seq IS NULL AND r.seq <= ? LIMIT {MOST_PROBLEMS}",
        (upto,),
    ):
        verdict.note(seq, "raw", None, "a row in raws")


def _check_raw(
    verdict: Verdict, seq: int, digest: bytes, length: Any, salt: Any, whole: Any, raw: Any
) -> None:
    """Check one message that was not erased; the chain holds its digest, whatever lies there."""
    if salt is None and whole is None and raw is None:
        return
    types = tuple(map(type, (length, salt, whole, raw)))
    if types != (int, bytes, bytes, bytes) or len(whole) != 32 or length < 0:
        verdict.note(seq, "raw", "length, salt, sha256 and raw", "something else")
        return
    if raw_digest(salt, length, whole) != digest:
        verdict.note(seq, "raw", f"digest {digest.hex()}", "another digest")
    if len(raw) == length:
        is_right = sha256(raw).digest() == whole
    else:
        is_right = len(raw) < length and len(raw) == RAW_KEPT
    if not is_right:
        verdict.note(seq, "raw", f"sha256 {whole.hex()}", f"{len(raw)} other bytes")


def _check_keys(reader: _Fetches, verdict: Verdict) -> None:
    """Look for keys that are there twice, in the table itself: an index may be wrong."""
    for (key,) in reader.fetch(
        "SELECT idempotency_key FROM events NOT INDEXED WHERE idempotency_key IS NOT NULL"
        f" GROUP BY 1 HAVING count(*) > 1 LIMIT {MOST_PROBLEMS}"
    ):
        verdict.note(0, "idempotency_key", "once", key)
    for seq, client_order_id in reader.fetch(
        "SELECT max(seq), client_order_id FROM events NOT INDEXED WHERE client_order_id IS NOT NULL"
        f" GROUP BY 2 HAVING count(DISTINCT stream) > 1 LIMIT {MOST_PROBLEMS}"
    ):
        verdict.note(seq, "client_order_id", "an id of one order", client_order_id)


# ---- what is derived


class _History:
    """What the fold asks its log again."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def record(self, seq: int) -> Record:
        return next(iter(self._reader.records(after=seq - 1, upto=seq)))

    def stream_records(self, stream: int, upto: int) -> Iterable[Record]:
        return self._reader.records(stream=stream, upto=upto)

    def position_records(self, number: int, upto: int) -> Iterable[Record]:
        return self._reader.records(position=number, upto=upto)

    def find_client_order(self, client_order_id: str) -> int | None:
        return self._reader.find_client_order(client_order_id)

    def find_venue_orders(self, venue_order_id: str) -> list[int]:
        return self._reader.find_venue_orders(venue_order_id)

    def find_trades(self, trade_id: str) -> list[int]:
        return self._reader.find_trades(trade_id)


def _check_positions(reader: _Fetches, verdict: Verdict) -> None:
    """Compare the derived table `positions`, where it is filled, with the fold up to its seq."""
    found = {
        (row[0], row[1]): row[2:]
        for row in reader.fetch(
            "SELECT account_id, instrument_id, position_qty, avg_px, realized_pnl_gross,"
            " realized_pnl, pnl_currency, trade_count, as_of_seq FROM positions"
        )
    }
    seqs = {row[-1] for row in found.values()}
    if not found:
        return
    as_of = max(seqs)
    if len(seqs) > 1 or not 0 < as_of <= verdict.head.seq:
        verdict.note(0, "positions", f"as of one seq up to {verdict.head.seq}", sorted(seqs)[:3])
        return
    history = _History(reader)
    book = Book(history)
    try:
        replay(book, reader.rows(upto=as_of), history, STATUS_OF_CODE)
        views = book.position_views()
    except FillbookError as exc:
        verdict.note(0, "positions", "a log that can be folded", exc)
        return
    expected = {}
    for view in views:
        told = view.as_json()
        figures = (told[key] for key in ("avg_px", "realized_pnl_gross", "realized_pnl"))
        expected[view.account_id, view.instrument_id] = (
            plain(view.position_qty), *figures, view.pnl_currency, view.trade_count, as_of
        )  # fmt: skip
    for key in sorted(expected.keys() | found.keys()):
        if found.get(key) != expected.get(key):
            verdict.note(0, "positions", f"{key}: {expected.get(key)}", found.get(key))
