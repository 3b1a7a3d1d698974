#!/usr/bin/env python3
"""Check a ledger, knowing nothing of the program that wrote it but what FORMAT.md says.

    python3 witness.py FILE [--heads FILE] [--json]

FILE is a ledger of format 1, or an export of its events as JSON lines.  It is opened for reading
only, and nothing in it is believed: every hash is worked out again, every column that repeats a
body is compared with it, the schema is compared with the text that format 1 has.  Prints the head,
what the file holds, and every problem on a line of its own.

Exit status: 0 nothing is wrong, 1 problems were found, 2 it could not be read.  Needs Python 3.11
and nothing else.  Memory stays flat whatever the file's size; what must be remembered (ids and
keys that may occur once) goes into a temporary database on the disk.
"""

import argparse
import base64
import contextlib
import json
import os
import re
import shutil
import sqlite3
import struct
import sys
import tempfile
import threading
import time
from array import array
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from zlib import crc32

APPLICATION_ID = 0x46424B4C
FORMAT_VERSION = 1
CHAIN_DOMAIN = "fillbook.event.v1"
EXPORT_FORMAT = "fillbook.export.v1"

SCHEMA = {
    # (kind, name): the first 16 hex digits of the SHA-256 of its text in sqlite_master
    ("table", "meta"): "f013f105582a2ac8",
    ("table", "runs"): "0a2302c4955e7c76",
    ("table", "events"): "9f8ece3fa9e81297",
    ("table", "raws"): "4d4f8813f4d98963",
    ("table", "snapshots"): "a660f69ff28c7004",
    ("table", "positions"): "eefdaf16bb66abf2",
    ("index", "events_stream"): "1b300798491c519f",
    ("index", "events_idempotency_key"): "8727398262f5cd73",
    ("index", "events_client_order_id"): "3103edf255b87995",
    ("index", "events_venue_order_id"): "42bec9738e9b5cbe",
    ("index", "events_position"): "e71ac80cb2fd852b",
    ("index", "events_instrument"): "45397ba2ee4f78fa",
    ("index", "events_amendment"): "82e302da702108a7",
    ("trigger", "events_append"): "9d503da5e5d1b686",
    ("trigger", "events_no_update"): "bcdf253df9c7100e",
    ("trigger", "events_no_delete"): "ccabd45627088707",
    ("trigger", "runs_append"): "2fea6907e6d1aeed",
    ("trigger", "runs_no_update"): "0f2bf093dd94ed65",
    ("trigger", "runs_no_delete"): "9129c128473a9dbf",
    ("trigger", "raws_append"): "18b129b703d97ba0",
    ("trigger", "raws_erase_only"): "5fe32364780c93ac",
    ("trigger", "raws_no_delete"): "3fafec770a55f52e",
    ("trigger", "meta_once"): "9e4eaf6db3352278",
    ("trigger", "meta_no_update"): "b546ab5c33829d37",
    ("trigger", "meta_no_delete"): "0e5c48c31c25696d",
    ("view", "orders"): "370b7f835f347246",
    ("view", "fills"): "fe0fa760db19b9db",
}
MAY_BE_THERE = re.compile(r"_sqlite_migrations|idx__sqlite_migrations_\w+|sqlite_\w+")

STATUSES = (
    "PENDING_NEW", "NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED", "EXPIRED",
    "PENDING_CANCEL", "PENDING_REPLACE", "DONE_FOR_DAY", "STOPPED", "SUSPENDED", "CALCULATED",
    "UNKNOWN",
)  # fmt: skip
STATUS_CODES = {status: code for code, status in enumerate(STATUSES, 1)}

FILLS = {"order.filled", "order.fill_inferred"}
AMENDMENTS = {"order.fill_busted", "order.fill_corrected", "order.commission_changed"}
MOVES = FILLS | AMENDMENTS | {
    "order.inferred_fill_released", "cash.moved", "position.adjusted",
    "position.adopted",
}  # fmt: skip
NEED_BODY = (MOVES - FILLS) | {"instrument.split", "instrument.defined"}
KNOWN = {
    ("order.filled", 2),
    *((type_, 1) for type_ in MOVES | NEED_BODY),
    *((f"order.{name}", 1) for name in (
        "submitted", "discovered", "received", "accepted", "triggered", "cancel_requested",
        "replace_requested", "cancel_pending", "replace_pending", "request_rejected", "replaced",
        "restated", "updated", "canceled", "rejected", "expired", "done_for_day", "stopped",
        "suspended", "calculated", "lost", "disputed", "gap_seen", "amendment_held",
    )),
    ("ledger.created", 1), ("message.set_aside", 1), ("import.progressed", 1),
    ("instrument.marked", 1), ("position.reported", 1),
    ("robot.started", 1), ("robot.stopped", 1), ("line.lost", 1), ("line.restored", 1),
    ("trading.halted", 1), ("trading.resumed", 1), ("queue.added", 1),
    ("queue.dropped", 1), ("callback.failed", 1), ("feedback.counted", 1),
    ("trading.cancel_all_requested", 1), ("trading.order_resolved", 1),
    ("ledger.tail_loss_accepted", 1), ("book.reconciled", 1),
}  # fmt: skip

HASHED = (
    "seq", "stream", "version", "type", "type_version", "ts_event", "ts_received", "ts_recorded",
    "mono_ns", "epoch", "actor", "correlation", "causation", "idempotency_key", "input_hash",
    "raw_digest", "event_hash", "body",
)  # fmt: skip
HOT = (
    "position", "op", "status", "qty", "px", "fee", "fee_currency", "fill_no", "client_order_id",
    "venue_order_id",
)  # fmt: skip
INTS = {
    "seq", "stream", "version", "type_version", "ts_event", "ts_received", "ts_recorded", "mono_ns",
    "epoch", "causation", "op", "status", "position", "qty", "px", "fee", "fill_no",
}  # fmt: skip
NEVER_NULL = {
    "seq", "stream", "version", "type", "type_version", "ts_recorded", "mono_ns", "epoch", "actor",
    "event_hash", "body", "op",
}  # fmt: skip

META = ("id", "ledger_id", "robot", "format_version", "chain_domain")
RUNS = ("epoch", "run_id", "boot_id")
RAWS = ("seq", "length", "salt", "sha256", "raw")

CLIENT_IDS = ("client_order_id", "request_id")
SIGNS = {"BUY": 1, "SELL": -1, "SELL_SHORT": -1}
DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?")
TOO_FINE = 2**63

NO_INT = -(2**63)
NO_BYTES = b"\xff\xff\xff\xff"
NUMBERS = struct.Struct(">16s32s10q").pack
LENGTH = struct.Struct(">I").pack
EVENT = CHAIN_DOMAIN.encode() + b"\0"

RAW_KEPT = 1 << 16
MOST_SHOWN = 1000
MOST_BYTES = 64 << 20
"""No cell and no line of a ledger is longer."""
PAGE = 5000


TROUBLE = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; the latter where its message quotes a schema that is no text."""


class Unreadable(Exception):
    """It is no ledger, or no part of it can be read."""


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description="Check a ledger, or an export of its events; nothing is written.",
        epilog="exit status: 0 nothing is wrong, 1 problems were found, 2 it could not be read",
    )
    parser.add_argument("file")
    parser.add_argument("--heads", help="the checkpoint file, where it is not FILE.heads")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    try:
        report = examine(options.file, options.heads)
    except (Unreadable, OSError, MemoryError, *TROUBLE) as exc:
        if options.json:
            print(json.dumps({"file": options.file, "error": str(exc)}))
        print(f"{options.file}: cannot be read: {exc}", file=sys.stderr)
        return 2
    elapsed = time.perf_counter() - started
    report["events_per_s"] = round(report["events"] / elapsed) if elapsed else None
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        print_report(report)
    return 1 if report["problem_count"] else 0


def examine(path, heads=None):
    """Return what is to be said of the file at *path*."""
    if os.path.isdir(path):
        raise Unreadable("a directory")
    with open(path, "rb") as file:
        start = file.read(16)
    if start == b"SQLite format 3\0":
        source = Ledger(path)
    elif start.startswith(b"{"):
        source = Export(path)
    else:
        raise Unreadable("neither an SQLite database nor an export")
    with contextlib.closing(source):
        check = Check(source.ledger_id, source.robot, source.problems, source.is_part)
        checkpoint = read_checkpoint(source, heads)
        if checkpoint is not None:
            check.known_hashes[checkpoint["seq"]] = None
        source.feed(check)
        check.finish(source.form == "ledger")
        source.finish(check)
        return {
            "file": path,
            "form": source.form,
            "ledger_id": source.ledger_id.hex(),
            "robot": source.robot,
            "is_part": source.is_part,
            "head": {"seq": check.seq, "event_hash": check.hash.hex()},
            "events": check.count,
            "types": {kind.label: kind.count for kind in check.sorted_kinds()},
            "ts_first": check.ts_first,
            "ts_last": check.ts_last,
            "raw_messages": check.raw_count,
            "checkpoint": compare_checkpoint(source, check, checkpoint),
            "notes": [*source.notes, *check.notes()],
            "problem_count": source.problems.count,
            "problems": source.problems.listed(),
        }


class Problems:
    """What is wrong, by seq (0 is the file as such); of very many only the first are kept."""

    def __init__(self):
        self.count = 0
        self._kept = []

    def add(self, seq, what, expected, found):
        self.count += 1
        if len(self._kept) < MOST_SHOWN:
            self._kept.append((seq, what, shown(expected), shown(found)))

    def listed(self):
        keys = ("seq", "what", "expected", "found")
        return [dict(zip(keys, one, strict=True)) for one in sorted(self._kept)]


def shown(value):
    """Return *value* as text that is short, on one line, and harmless to a terminal."""
    if value is None:
        return "nothing"
    if isinstance(value, (bytes, bytearray)):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            value = value.hex()
        if not value.isprintable():
            value = value.encode().hex()
    text = value if isinstance(value, str) else repr(value)
    text = text if text.isascii() and text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 100 else f"{text[:97]}..."


# ---- one event after the other


class Kind:
    """What is the same for every event of one type and version."""

    def __init__(self, type_, version):
        self.name = name = type_.decode(errors="replace")
        self.label = f"{name} {version}"
        self.is_known = (name, version) in KNOWN
        self.is_order = name.startswith("order.")
        self.is_fill = name in FILLS
        self.has_fill_no = self.is_fill or name in AMENDMENTS
        self.moves = name in MOVES
        self.op = 2 if name in NEED_BODY else 0 if self.is_order else 3
        self.count = 0


class Check:
    """Everything that is known of a ledger by its events so far."""

    def __init__(self, ledger_id, robot, problems, is_part):
        self.ledger_id = ledger_id
        self.robot = robot
        self.is_part = is_part
        self.count = 0
        self.seq = 0
        self.hash = sha256(b"fillbook.genesis.v1\0" + ledger_id).digest()
        self.kinds = {}
        self.ts_first = self.ts_last = None
        self.raw_count = 0
        self.last_run = 0  # the greatest epoch that is in runs and on an event
        self._epoch = 0
        self.known_hashes = {}  # of the seqs somebody asks for
        self._problem = problems.add
        self._versions = array("q", [0])
        self._positions = {}
        self._spill = Spill()
        self._good = set()  # which types of columns were found right before

    def take(self, row, hot, run, raw, prev_hash=None):
        """Take the next event.

        Args:
            row: Its columns `HASHED`.
            hot: Its columns `HOT`; None where there are none.
            run: (run_id, boot_id) of its epoch as bytes, None where there is none.
            raw: (length, salt, sha256, raw) beside it, None where there is nothing, False where
                there is no table for it.
            prev_hash: The one before it as the source says; None where it does not.
        """
        seq, stream, version, type_, type_version = row[:5]
        event_hash, body = row[16:]
        self.count += 1
        is_next = self._follows(seq)
        if not self._has_right_types(row, hot):
            if type(event_hash) is bytes and len(event_hash) == 32:
                self.hash = event_hash
            return
        prev = self.hash
        if prev_hash is not None and prev_hash != prev:
            if is_next or not self.is_part:
                self._problem(seq, "prev_hash", prev.hex(), prev_hash.hex())
            else:
                prev = prev_hash
        self._chain(row, run, prev)
        self.hash = event_hash
        if seq in self.known_hashes:
            self.known_hashes[seq] = event_hash
        self._streams(seq, stream, version)
        self._times(row)
        self._runs(seq, row[9], run)
        if raw is not False and (raw is not None or row[15] is not None):
            self._raw(seq, row[15], raw)
        key = row[13]
        if key is not None:
            self._spill.key(key)
        kind = self.kinds.get((type_, type_version))
        if kind is None:
            kind = self.kinds[type_, type_version] = Kind(type_, type_version)
        kind.count += 1
        try:
            said = canonical(body.decode())
        except (ValueError, RecursionError) as exc:
            self._problem(seq, "body", "canonical JSON", str(exc) or type(exc).__name__)
            return
        if seq == 1 or kind.name == "ledger.created":
            self._identity(seq, kind, said)
        if kind.is_known:
            self._says(seq, stream, key, kind, said, hot)
        elif hot is not None:  # its columns are believed: other events rest on them
            ids = [() if each is None else (each,) for each in hot[8:]]
            self._spill.mention(seq, stream, ids[0], hot[8], ids[1], hot[9])

    # ---- order and chain

    def _follows(self, seq):
        """Note the seq and tell whether it is the one after the last."""
        expected = self.seq + 1
        is_next = seq == expected
        if not is_next and not (self.is_part and seq > self.seq):
            self._problem(seq, "seq", expected, seq)
        self.seq = seq
        versions = self._versions
        if len(versions) <= seq < 2 * self.count + 1_000_000:
            versions.extend([0] * (seq + 1 - len(versions)))
        return is_next

    def _has_right_types(self, row, hot):
        types = (*map(type, row), *map(type, hot or ()))
        if types in self._good:
            return True
        is_right = True
        for name, found in zip((*HASHED, *HOT), types, strict=False):
            kind = int if name in INTS else bytes
            if found is not kind and (found is not type(None) or name in NEVER_NULL):
                self._problem(row[0], f"type of {name}", kind.__name__, found.__name__)
                is_right = False
        if is_right:
            self._good.add(types)
        return is_right

    def _chain(self, row, run, prev):
        (
            seq, stream, version, type_, type_version, ts_event, ts_received, ts_recorded, mono_ns,
            epoch, actor, correlation, causation, key, input_hash, digest, event_hash, body,
        ) = row  # fmt: skip
        if run is None:
            self._problem(seq, "run", f"epoch {epoch} in runs", None)
            return
        if NO_INT in (ts_event, ts_received, causation):
            self._problem(seq, "value", "anything but -2^63", "-2^63, which the chain has for NULL")
        try:
            numbers = NUMBERS(
                self.ledger_id, prev, seq, stream, version, type_version,
                NO_INT if ts_event is None else ts_event,
                NO_INT if ts_received is None else ts_received,
                ts_recorded, mono_ns, epoch, NO_INT if causation is None else causation,
            )  # fmt: skip
        except struct.error:
            self._problem(seq, "value", "integers of 64 bits", "a greater one")
            return
        hashed = sha256(
            b"".join((
                EVENT, numbers, sized_once(type_), sized_once(run[0]), sized_once(run[1]),
                sized_once(actor), sized(correlation), sized(key), sized(input_hash), sized(digest),
                sized(body),
            ))
        ).digest()  # fmt: skip
        if hashed != event_hash:
            self._problem(seq, "hash", hashed.hex(), event_hash.hex())

    def _streams(self, seq, stream, version):
        versions = self._versions
        if not 0 <= stream < len(versions) or stream > seq:
            self._problem(seq, "stream", "0 or a seq up to its own", stream)
            return
        last = versions[stream]
        if self.is_part and version > last:
            last = version - 1
        if version != last + 1:
            self._problem(seq, "version", last + 1, version)
        elif version == 1 and stream != seq and stream != 0:
            self._problem(seq, "stream", f"0 or {seq}", stream)
        versions[stream] = version

    def _times(self, row):
        ts = row[5]
        if ts is None:
            ts = row[7] if row[6] is None else row[6]
        if self.ts_first is None:
            self.ts_first = self.ts_last = ts
        elif ts > self.ts_last:
            self.ts_last = ts
        elif ts < self.ts_first:
            self.ts_first = ts

    def _runs(self, seq, epoch, run):
        if epoch != self._epoch:
            if not self.is_part and epoch != self._epoch + 1:
                self._problem(seq, "epoch", f"{self._epoch} or {self._epoch + 1}", epoch)
            self._epoch = epoch
            if epoch > self.last_run and run is not None:
                self.last_run = epoch

    def _raw(self, seq, digest, beside):
        if digest is None or beside is None:
            expected = "a row in raws, erased or not" if beside is None else None
            self._problem(seq, "raw", expected, None if beside is None else "a row in raws")
            return
        self.raw_count += 1
        length, salt, whole, raw = beside
        if salt is None and whole is None and raw is None:
            return
        types = tuple(map(type, beside))
        if types != (int, bytes, bytes, bytes) or len(whole) != 32 or not 0 <= length < 2**63:
            self._problem(seq, "raw", "length, salt, sha256 and raw", "something else")
            return
        packed = b"fillbook.raw.v1\0" + salt + length.to_bytes(8, "big") + whole
        if sha256(packed).digest() != digest:
            self._problem(seq, "raw", f"digest {digest.hex()}", "another digest")
        is_whole = len(raw) == length
        is_beginning = len(raw) == RAW_KEPT < length
        if not is_beginning and not (is_whole and sha256(raw).digest() == whole):
            self._problem(seq, "raw", f"sha256 {whole.hex()}", f"{len(raw)} other bytes")

    # ---- what the body says

    def _identity(self, seq, kind, said):
        if (seq == 1) != (kind.name == "ledger.created"):
            if not self.is_part or seq == 1:
                self._problem(seq, "type", "ledger.created at seq 1 and nowhere else", kind.name)
            return
        told = said.get("ledger_id"), said.get("robot"), said.get("format_version")
        expected = self.ledger_id.hex(), self.robot, FORMAT_VERSION
        if told != expected:
            self._problem(seq, "identity", expected, told)

    def _says(self, seq, stream, key, kind, said, hot):
        try:
            expected, client_ids, venue_ids, whose = concluded(kind, said)
        except (KeyError, TypeError, ValueError) as exc:
            self._problem(seq, "body", f"what {kind.name} says", f"{type(exc).__name__} {exc}")
            return
        if kind.is_fill:
            wanted = f"fill:{said.get('trade_id')}:{stream}".encode()
            if key != wanted:
                self._problem(seq, "idempotency_key", wanted, key)
        position = client_id = venue_id = None
        if whose is not None:
            position = self._positions.setdefault(whose, seq)
        if hot is not None:
            client_id, venue_id = hot[8:]
            if hot[0] != position:
                self._problem(seq, "position", position, hot[0])
            if hot[1:8] != expected:
                for column, one, other in zip(HOT[1:8], expected, hot[1:8], strict=True):
                    if one != other:
                        self._problem(seq, column, one, other)
            if client_id is not None and client_id not in client_ids:
                self._problem(
                    seq, "client_order_id", " or ".join(map(shown, client_ids)), client_id
                )
            if venue_id is not None and venue_id not in venue_ids:
                self._problem(seq, "venue_order_id", " or ".join(map(shown, venue_ids)), venue_id)
        if client_ids or venue_ids:
            self._spill.mention(seq, stream, client_ids, client_id, venue_ids, venue_id)

    def finish(self, has_columns):
        """Say what can be said only at the end."""
        for seq, column, each, told in self._spill.misplaced() if has_columns else ():
            expected = (None, each) if told else (each, None)
            self._problem(seq, column, *expected)
        for seq, each in self._spill.shared_ids():
            self._problem(seq, "client_order_id", "an id of one order", each)
        for key in self._spill.repeated_keys():
            self._problem(0, "idempotency_key", "once", key)
        self._spill.close()

    def sorted_kinds(self):
        return sorted(self.kinds.values(), key=lambda kind: kind.label)

    def notes(self):
        """Return what is no problem and should be known."""
        unknown = [kind for kind in self.sorted_kinds() if not kind.is_known]
        return [
            f"{kind.count} of {shown(kind.label)}, which this witness does not know: their chain is"
            " checked, their columns are not"
            for kind in unknown
        ]


def sized(text):
    """Return *text* as the chain takes it: its length, its bytes."""
    return NO_BYTES if text is None else LENGTH(len(text)) + text


sized_once = lru_cache(maxsize=256)(sized)


# ---- what follows from a body


def refuse(number):
    raise ValueError(f"the number {number[:40]}")


DECODE = json.JSONDecoder(parse_float=refuse, parse_constant=refuse).raw_decode
ENCODE = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def canonical(text):
    """Return the object in *text*; `ValueError` where another text says the same."""
    said, _ = DECODE(text)
    if type(said) is not dict or ENCODE(said) != text:
        raise ValueError("other keys, order, spaces or escapes")
    if "null" in text and has_null(said):
        raise ValueError("a null")
    return said


def has_null(value):
    if isinstance(value, dict):
        value = list(value.values())
    return value is None or (isinstance(value, list) and any(map(has_null, value)))


def concluded(kind, said):
    """Return what the columns must hold, and the ids and the position the event speaks of.

    That is (op, status, qty, px, fee, fee_currency, fill_no), its client ids, its venue ids, and
    account and instrument where it moves a position; `KeyError`, `TypeError` or `ValueError` where
    the body does not say it.
    """
    status, client_ids, venue_ids, whose, fill_no = None, (), (), None, None
    if kind.is_order:
        status = STATUS_CODES[said["order_status"]]
        client_ids = [text(said[key]) for key in CLIENT_IDS if key in said]
        if "venue_order_id" in said:
            venue_ids = (text(said["venue_order_id"]),)
    if kind.moves:
        whose = text(said["account_id"]), text(said["instrument_id"])
    if kind.has_fill_no:
        fill_no = said["fill_no"]
        if type(fill_no) is not int:
            raise TypeError("fill_no")
    if kind.is_fill:
        columns = (*fill_columns(status, said), fill_no)
    else:
        columns = kind.op, status, None, None, None, None, fill_no
    return columns, client_ids, venue_ids, whose


def fill_columns(status, said):
    """Return op, status, qty, px, fee and fee_currency of a fill."""
    needs_body = 2, status, None, None, None, None
    qty = units(said["last_qty"]) * SIGNS[said["side"]]
    px = units(said["last_px"]) if "last_px" in said else TOO_FINE
    if TOO_FINE in (abs(qty), px) or said.get("replaces"):
        return needs_body
    if "commission" not in said:
        return 1, status, qty, px, None, None
    fee = units(said["commission"])
    if fee == TOO_FINE:
        return needs_body
    currency = said.get("commission_currency")
    return 1, status, qty, px, fee, None if currency is None else text(currency)


@lru_cache(maxsize=1 << 14)
def units(decimal):
    """Return a decimal in units of 1e-8, `TOO_FINE` where that is no whole number of 63 bits."""
    if len(decimal) > 800 or not DECIMAL.fullmatch(decimal) or decimal == "-0":
        raise ValueError(f"{shown(decimal)} is no decimal")
    whole, _, fraction = decimal.partition(".")
    if len(fraction) > 8 or len(whole) > 20:
        return TOO_FINE
    value = int(whole + fraction.ljust(8, "0"))
    return value if abs(value) < 2**63 else TOO_FINE


def text(value):
    if type(value) is not str:
        raise TypeError(f"{shown(value)} is no text")
    return value.encode()


class Spill:
    """What must be remembered of every event, in a temporary database on the disk.

    Most mentions of an id follow soon upon the one that brought it; a set of what the last orders
    mentioned keeps those out.
    """

    def __init__(self):
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA cache_size=-8000")
        self._db.execute("CREATE TABLE mentions (stream, kind, id, seq, told)")
        self._db.execute("CREATE TABLE keys (key)")
        self._db.execute("BEGIN")
        self._mentions = []
        self._keys = []
        self._young = {}
        self._old = {}

    def key(self, key):
        self._keys.append((short(key),))
        if len(self._keys) >= PAGE:
            self._flush()

    def mention(self, seq, stream, client_ids, client_id, venue_ids, venue_id):
        """Note the ids an event names, and the one of each kind that its columns told."""
        known = self._young.get(stream)
        if known is None:
            if len(self._young) >= PAGE:
                self._old, self._young = self._young, {}
            known = self._young[stream] = self._old.get(stream, set())
        for kind, ids, told in ((0, client_ids, client_id), (1, venue_ids, venue_id)):
            for each in ids:
                if (kind, each) in known and each != told:
                    continue
                if len(known) < PAGE:
                    known.add((kind, each))
                self._mentions.append((stream, kind, short(each), seq, each == told))
        if len(self._mentions) >= PAGE:
            self._flush()

    def _flush(self):
        self._db.executemany("INSERT INTO mentions VALUES (?, ?, ?, ?, ?)", self._mentions)
        self._db.executemany("INSERT INTO keys VALUES (?)", self._keys)
        self._mentions.clear()
        self._keys.clear()

    def misplaced(self):
        """Yield (seq, column, id, told) of ids not told where they came up first, or told later."""
        self._flush()
        for seq, kind, each, told in self._db.execute(
            "SELECT seq, kind, id, told FROM (SELECT *, min(seq) OVER same AS first FROM mentions"
            " WINDOW same AS (PARTITION BY stream, kind, id)) WHERE (seq = first) <> told"
        ):
            yield seq, HOT[8 + kind], each, told

    def shared_ids(self):
        """Yield (seq, id) of client ids that came up in more than one stream."""
        self._flush()
        yield from self._db.execute(
            "SELECT max(first), id FROM (SELECT id, min(seq) AS first FROM mentions"
            " WHERE kind = 0 GROUP BY id, stream) GROUP BY id HAVING count(*) > 1"
        )

    def repeated_keys(self):
        self._flush()
        for (key,) in self._db.execute("SELECT key FROM keys GROUP BY key HAVING count(*) > 1"):
            yield key

    def close(self):
        self._db.close()


def short(key):
    """Return *key*, or its digest where it is long: nobody fills the disk with it."""
    return key if len(key) <= 64 else sha256(key).digest()


# ---- a ledger file


class Ledger:
    """An SQLite file of format 1."""

    form = "ledger"
    is_part = False

    def __init__(self, path):
        self.path = path
        self.problems = Problems()
        self.notes = []
        self._folder = None
        self._before = state_of(path)
        self._is_still = not wal_size(path)
        self.is_all_read = False
        self._db = self._connect()
        try:
            self._recognize()
            self._is_intact = self._compare_schema()
            self._read_meta()
            self._head, self._runs = self._read_head()
        except BaseException:
            self.close()
            raise

    def close(self):
        self._db.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self):
        """Open the file for reading only.

        Where there is no WAL it is read as it lies, because SQLite would leave files beside it;
        where there is one in a folder we cannot write to, a copy of both is read.
        """
        self._target = target = Path(self.path).resolve().as_uri()
        self._how = "mode=ro&immutable=1" if self._is_still else "mode=ro"
        try:
            db = self._open()
            db.execute("SELECT 1 FROM sqlite_master").fetchone()
            return db
        except (sqlite3.OperationalError, UnicodeDecodeError):
            if self._is_still or os.access(os.path.dirname(os.path.abspath(self.path)), os.W_OK):
                raise
        self._folder = tempfile.mkdtemp(prefix="witness-")
        copy = os.path.join(self._folder, "ledger")
        for suffix in ("", "-wal"):
            shutil.copyfile(self.path + suffix, copy + suffix)
        if state_of(self.path) != self._before:
            raise Unreadable(f"it changed while it was copied; try again ({target})")
        self._target, self._how = Path(copy).as_uri(), "mode=rw"
        return self._open()

    def _open(self):
        db = sqlite3.connect(
            f"{self._target}?{self._how}", uri=True, isolation_level=None, timeout=30,
            check_same_thread=False,
        )  # fmt: skip
        db.text_factory = bytes
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
        for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "query_only=ON"):
            db.execute(f"PRAGMA {pragma}")
        return db

    def _one(self, sql, *parameters):
        return self._db.execute(sql, parameters).fetchone()

    def _recognize(self):
        application_id, version = (
            self._one("PRAGMA application_id"),
            self._one("PRAGMA user_version"),
        )
        if application_id != (APPLICATION_ID,):
            raise Unreadable(f"its application_id is {application_id[0]}, not {APPLICATION_ID}")
        if version[0] > FORMAT_VERSION:
            raise Unreadable(f"its format is {version[0]}, this witness knows {FORMAT_VERSION}")
        if version != (FORMAT_VERSION,):
            self.problems.add(0, "user_version", FORMAT_VERSION, version[0])

    def _compare_schema(self):
        """Compare the text of every table, index, trigger and view with format 1's."""
        before = self.problems.count
        found = {}
        for kind, name, sql in self._db.execute("SELECT type, name, sql FROM sqlite_master"):
            key = shown(kind), shown(name)
            if key[0] in ("table", "index") and MAY_BE_THERE.fullmatch(key[1]):
                continue
            digest = sha256(sql).hexdigest()[:16] if type(sql) is bytes else None
            found[key] = digest
            if key not in SCHEMA:
                self.problems.add(0, "schema", None, f"{key[0]} {key[1]}")
            elif digest != SCHEMA[key]:
                self.problems.add(0, "schema", f"{key[0]} {key[1]} as in format 1", "another text")
        for kind, name in SCHEMA.keys() - found.keys():
            self.problems.add(0, "schema", f"{kind} {name}", None)
        for table, columns in (("events", (*HASHED, *HOT)), ("meta", META), ("runs", RUNS)):
            self._must_have(table, columns)
        self._has_raws = self._has("raws", RAWS)
        self._has_snapshots = self._has("snapshots", ("seq", "event_hash"))
        return self.problems.count == before

    def _has(self, table, columns):
        """Tell whether *table* is a plain table with these columns: nothing in it computes."""
        sql = self._one("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", table)
        if (
            sql is None
            or type(sql[0]) is not bytes
            or re.match(rb"\s*create\s+virtual", sql[0], re.I)
        ):
            return False
        there = self._db.execute(f"PRAGMA table_xinfo({table})").fetchall()
        plain = {one[1].decode(errors="replace") for one in there if one[6] == 0}
        return len(plain) == len(there) and plain.issuperset(columns)

    def _must_have(self, table, columns):
        if not self._has(table, columns):
            raise Unreadable(f"it has no table {table} with the columns of format 1")

    def _read_meta(self):
        rows = self._db.execute(f"SELECT {', '.join(META)} FROM meta LIMIT 2").fetchall()
        if len(rows) != 1:
            raise Unreadable(f"meta has {'no row' if not rows else 'more than one row'}")
        one, ledger_id, robot, version, domain = rows[0]
        if type(ledger_id) is not bytes or len(ledger_id) != 16 or type(robot) is not bytes:
            raise Unreadable("meta holds no ledger_id of 16 bytes and no robot")
        if (one, version, domain) != (1, FORMAT_VERSION, CHAIN_DOMAIN.encode()):
            found = f"{shown(one)}, {shown(version)}, {shown(domain)}"
            self.problems.add(0, "meta", f"1, {FORMAT_VERSION}, {CHAIN_DOMAIN}", found)
        self.ledger_id = ledger_id
        self.robot = robot.decode(errors="replace")

    def _read_head(self):
        """Return the last seq and what runs holds, both of one moment."""
        self._db.execute("BEGIN")
        head = self._one("SELECT max(seq) FROM events")[0]
        runs = self._one("SELECT count(*), min(epoch), max(epoch) FROM runs")
        self._db.execute("COMMIT")
        return head, runs

    def feed(self, check):
        """Hand every event to *check*, up to the head as it was when the file was opened."""
        findings = []
        inspection = threading.Thread(target=self._inspect, args=(findings,), daemon=True)
        if self._is_intact:
            inspection.start()
        else:
            self.notes.append("SQLite's own check was not run: the schema is not that of format 1")
        try:
            self._feed(check)
            self.is_all_read = True
        except TROUBLE as exc:
            self.problems.add(check.seq + 1, "unreadable", "an event", str(exc))
        if self._is_intact:
            inspection.join()
        for finding in findings:
            self.problems.add(0, "integrity", "ok", finding)

    def _inspect(self, findings):
        """Let SQLite compare its indexes with the table, the types, the CHECKs: beside the rest."""
        try:
            with contextlib.closing(self._open()) as db:
                for (line,) in db.execute("PRAGMA integrity_check(20)"):
                    if line != b"ok":
                        findings.append(line)
        except TROUBLE as exc:
            findings.append(str(exc))

    def _feed(self, check):
        raws = (
            "r.seq, r.length, r.salt, r.sha256, r.raw" if self._has_raws else "NULL" + ",NULL" * 4
        )
        sql = (
            f"SELECT {', '.join(f'e.{name}' for name in (*HASHED, *HOT))}, {raws} FROM events e"
            f" {'LEFT JOIN raws r ON r.seq = e.seq' if self._has_raws else ''}"
            f" WHERE e.seq > ? AND e.seq <= ? ORDER BY e.seq LIMIT {PAGE}"
        )
        after, cut, end = NO_INT, len(HASHED), len(HASHED) + len(HOT)
        nothing = None if self._has_raws else False
        while self._head is not None:
            last = after
            for row in self._db.execute(sql, (after, self._head)):
                last = row[0]
                raw = row[end + 1 :] if row[end] is not None else nothing
                check.take(row[:cut], row[cut:end], self._run(row[9]), raw)
            if last <= after:
                return
            after = last

    @lru_cache(maxsize=8)  # noqa: B019 (there is one ledger in a process)
    def _run(self, epoch):
        """Return (run_id, boot_id) of an epoch, None where there is no such run."""
        if type(epoch) is not int:
            return None
        return self._one(
            "SELECT run_id, boot_id FROM runs WHERE epoch = ?"
            " AND typeof(run_id) = 'text' AND typeof(boot_id) IN ('text', 'null')",
            epoch,
        )

    def finish(self, check):
        """Check the other tables, now that the events are known."""
        try:
            self._finish(check)
        except TROUBLE as exc:
            self.problems.add(0, "unreadable", "runs, raws and snapshots", str(exc))
        if self._is_still and state_of(self.path) != self._before:
            raise Unreadable("somebody began to write it; run the witness again")

    def _finish(self, check):
        count, first, last = self._runs
        if count and (first, last) != (1, count):
            self.problems.add(0, "runs", f"epochs 1 to {count}", f"{first} to {last}")
        if count and self.is_all_read and last > check.last_run:
            self.problems.add(0, "runs", f"epochs up to {check.last_run}", f"up to {last}")
        if self._has_raws:
            for (seq,) in self._db.execute(
                "SELECT r.seq FROM raws r LEFT JOIN events e ON e.seq = r.seq"
                f" WHERE e.seq IS NULL AND r.seq <= ? LIMIT {MOST_SHOWN}", (check.seq,)
            ):  # fmt: skip
                self.problems.add(seq, "raw", None, "a row in raws")
        if self._has_snapshots:
            for (seq,) in self._db.execute(
                "SELECT s.seq FROM snapshots s LEFT JOIN events e ON e.seq = s.seq"
                f" WHERE s.event_hash IS NOT e.event_hash LIMIT {MOST_SHOWN}"
            ):
                self.problems.add(seq, "snapshot", "the event's hash", "another")


def state_of(path):
    """Return what changes whenever someone writes."""
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns, wal_size(path)


def wal_size(path):
    with contextlib.suppress(FileNotFoundError):
        return os.stat(path + "-wal").st_size
    return 0


# ---- the checkpoint beside it


def last_checkpoint(path):
    """Return the last whole line of a checkpoint file, None where there is none."""
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - (1 << 20)))
        lines = file.read().splitlines()
    for line in reversed(lines):
        try:
            said = json.loads(line)
            crc = said.pop("crc")
            whole = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            if crc == f"{crc32(whole.encode()):08x}":
                hashed, ledger = bytes.fromhex(said["event_hash"]), bytes.fromhex(said["ledger_id"])
                return {"seq": int(said["seq"]), "event_hash": hashed, "ledger_id": ledger}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return None


def read_checkpoint(source, heads):
    """Return the checkpoint that belongs to *source*, None with a note where there is none."""
    path = heads or f"{source.path}.heads"
    if heads is None and (source.form == "export" or not os.path.exists(path)):
        if source.form == "ledger":
            source.notes.append("there is no checkpoint file: a missing tail would go unnoticed")
        return None
    found = last_checkpoint(path)
    if found is None:
        source.notes.append("the checkpoint file has no whole line: a missing tail goes unnoticed")
    return found


def compare_checkpoint(source, check, found):
    """Compare the head written down outside the file with what the file holds."""
    if found is None:
        return None
    seq, add = found["seq"], source.problems.add
    held = check.known_hashes.get(seq)
    if found["ledger_id"] != source.ledger_id:
        add(
            0,
            "checkpoint",
            f"ledger {source.ledger_id.hex()}",
            f"ledger {found['ledger_id'].hex()}",
        )
    elif held is None and not source.is_all_read:
        pass  # it may be in what could not be read
    elif seq > check.seq:
        add(0, "checkpoint", f"a head at seq {seq} or later", f"a head at seq {check.seq}")
    elif held != found["event_hash"]:
        add(0, "checkpoint", f"seq {seq} with {found['event_hash'].hex()}", held and held.hex())
    return {"seq": seq, "event_hash": found["event_hash"].hex()}


# ---- an export


class Export:
    """The events of a ledger, or of a day of it, as canonical JSON lines below a header."""

    form = "export"
    is_all_read = True

    def __init__(self, path):
        self.path = path
        self.problems = Problems()
        self.notes = []
        self._file = open(path, "rb")  # noqa: SIM115 (closed by `close`)
        try:
            header = canonical(self._line().decode().rstrip("\n"))
            if header.get("format") != EXPORT_FORMAT:
                raise Unreadable(f"its first line names no format {EXPORT_FORMAT}")
            self.ledger_id = bytes.fromhex(header["ledger_id"])
            self.robot = str(header["robot"])
            self.is_part = "part" in header
            self._head = header["head"]["seq"], header["head"]["event_hash"]
            if len(self.ledger_id) != 16 or header["chain_domain"] != CHAIN_DOMAIN:
                raise Unreadable("its header names another chain or no ledger")
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            self.close()
            raise Unreadable(f"its first line is no export's header: {exc}") from exc
        except Unreadable:
            self.close()
            raise

    def close(self):
        self._file.close()

    def _line(self):
        line = self._file.readline(MOST_BYTES)
        if len(line) == MOST_BYTES:
            raise Unreadable(f"it has a line of {MOST_BYTES} bytes or more")
        return line

    def feed(self, check):
        """Hand every event to *check*."""
        number, runs = 1, {}
        while line := self._line():
            number += 1
            try:
                said = canonical(line.decode().removesuffix("\n"))
                row, run, raw, prev_hash = read_record(said)
            except (ValueError, KeyError, TypeError, RecursionError) as exc:
                self.problems.add(0, "line", "a record in canonical JSON", f"line {number}: {exc}")
                continue
            held = runs.setdefault(row[9], run) if len(runs) < PAGE else run
            if held != run:
                self.problems.add(row[0], "run", held[0], run[0])
            check.take(row, None, run, raw, prev_hash)
        if not line.endswith(b"\n") and number > 1 and not self._ends_with_newline():
            self.problems.add(0, "line", "a newline at the end", None)

    def _ends_with_newline(self):
        self._file.seek(-1, os.SEEK_END)
        return self._file.read(1) == b"\n"

    def finish(self, check):
        """Compare the end with the head that the header names."""
        if self.is_part:
            self.notes.append("it is a part: what lies between its events is not shown by it")
        elif (check.seq, check.hash.hex()) != self._head:
            self.problems.add(0, "head", f"seq {self._head[0]} {self._head[1]}", f"seq {check.seq}")


RECORD_KEYS = {*HASHED, "run_id", "boot_id", "prev_hash", "raw"}


def read_record(said):
    """Return (columns, run, raw message, prev_hash) of one line."""
    if not RECORD_KEYS.issuperset(said):
        raise ValueError(f"the key {shown(min(said.keys() - RECORD_KEYS))}")
    row = []
    for name in HASHED:
        value = said[name] if name in NEVER_NULL else said.get(name)
        if name == "body":
            value = ENCODE(value).encode()
        elif name in ("input_hash", "raw_digest", "event_hash"):
            value = None if value is None else from_hex(value)
        elif value is not None and name not in INTS:
            value = text(value)
        row.append(value)
    boot_id = said.get("boot_id")
    run = text(said["run_id"]), None if boot_id is None else text(boot_id)
    raw = None
    if "raw" in said:
        told = said["raw"]
        whole = [
            None if told.get(key) is None else from_hex(told[key]) for key in ("salt", "sha256")
        ]
        message = None
        if "raw" in told:
            message = base64.b64decode(told["raw"], validate=True)
        raw = (told["length"], *whole, message)
    return tuple(row), run, raw, from_hex(said["prev_hash"])


def from_hex(value):
    found = bytes.fromhex(value)
    if found.hex() != value:
        raise ValueError(f"{shown(value)} is no hex in lower case")
    return found


# ---- what is said of it


def print_report(report):
    head = report["head"]
    whose = f"{'part of ' if report['is_part'] else ''}ledger {report['ledger_id']}"
    print(f"{whose} of robot {shown(report['robot'])}, format {FORMAT_VERSION} ({report['form']})")
    print(f"head: seq {head['seq']}, hash {head['event_hash']}")
    if report["checkpoint"] is not None:
        print(f"checkpoint: seq {report['checkpoint']['seq']}")
    span = f"{moment(report['ts_first'])} to {moment(report['ts_last'])}"
    print(f"{report['events']} events, {span}, {report['raw_messages']} raw messages")
    for name, count in report["types"].items():
        print(f"  {count:>9} {shown(name)}")
    for note in report["notes"]:
        print(f"note: {note}")
    for one in report["problems"]:
        where = f"seq {one['seq']}" if one["seq"] else "file"
        print(f"{where}: {one['what']}: expected {one['expected']}, found {one['found']}")
    rest = report["problem_count"] - len(report["problems"])
    if rest:
        print(f"and {rest} more")
    print("problems were found" if report["problem_count"] else "nothing is wrong")


def moment(ns):
    """Return a time as RFC 3339, as a number where no calendar reaches."""
    if ns is None:
        return "no time"
    seconds, rest = divmod(ns, 10**9)
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"
    except (ValueError, OverflowError, OSError):
        return str(ns)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(2)
