"""Read one statement: find out what kind of file it is, then every position in it, or nothing."""

from attrs import field, frozen

from fillbook.brokers.bounds import shown
from fillbook.brokers.port import Message
from fillbook.brokers.statements.csv_rows import CsvText, csv_rows, csv_trouble, first_row
from fillbook.brokers.statements.json_rows import (
    JsonDocument,
    json_documents,
    json_rows,
    json_trouble,
)
from fillbook.brokers.statements.mapping import StatementMapping, matches
from fillbook.brokers.statements.named import all_mappings, mapping_at
from fillbook.brokers.statements.rows import JsonNumber, Rows, Skipped, instant, walk
from fillbook.brokers.statements.summing import positions_of
from fillbook.core.reports import PositionReport
from fillbook.errors import BadInput, BadValue

__all__ = ["MAX_BYTES", "Statement", "read_statement"]

MAX_BYTES = 64 << 20
"""The largest file that is read."""

_BOM = b"\xef\xbb\xbf"


@frozen
class Statement:
    """What one file says.

    Attributes:
        messages: One `PositionReport` per account and instrument, with the bytes of its row; of
            several rows they stand below each other, and the line is that of the first.
        raw: The whole file.
        mapping: The name of the mapping it was read by.
        ts_event: Everything up to this time is in it, ns since 1970: when it was made, where it
            says so, else the latest time of its rows; None where it has no time.
        skipped: The rows that tell of no position: line or element, and why.
    """

    messages: list[Message]
    raw: bytes = field(repr=False)
    mapping: str
    ts_event: int | None
    skipped: list[Skipped]


def read_statement(
    path: str, mapping: str | None = None, account_id: str | None = None
) -> Statement:
    """Return what the file at *path* says that is held.

    Args:
        mapping: A name of `mappings()` or a TOML file; None finds the only one that fits.
        account_id: The ledger's id for the one account that the file tells of; None keeps the
            file's own, or `default` where it has none.

    Raises:
        BadInput: The file cannot be read, or not wholly.
    """
    data = _bytes(path)
    text = _text(data, path)
    chosen = None if mapping is None else mapping_at(mapping)
    if text.lstrip()[:1] in (b"[", b"{"):
        documents = json_documents(text, path)
        found = _json(documents, chosen, path)
    else:
        documents = []
        found = _csv(CsvText(text, path), chosen, path)
    used, rows = found
    _check_whole(documents, used, path)
    messages, passed = positions_of(rows.rows, used, account_id, path)
    return Statement(
        messages,
        data,
        used.name,
        _as_of(documents, used, path) or _latest(messages),
        sorted([*rows.skipped, *passed]),
    )


# ---- the file


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:  # a path with a NUL byte is a ValueError
        problem = getattr(exc, "strerror", None) or exc
        raise BadInput(f"{path}: {problem}", "name a file that can be read") from exc
    if len(data) > MAX_BYTES:
        raise BadInput(
            f"{path}: more than {MAX_BYTES >> 20} MiB",
            "a statement of positions is smaller: name another file",
        )
    return data


def _text(data: bytes, path: str) -> bytes:
    """Return *data* without a byte order mark, or raise `BadInput` where it is not UTF-8."""
    text = data[len(_BOM) :] if data.startswith(_BOM) else data
    try:
        text.decode()
    except UnicodeDecodeError as exc:
        line = text.count(b"\n", 0, exc.start) + 1
        raise BadInput(f"{path}:{line}: this is not UTF-8", "save the file as UTF-8") from None
    if not text.strip():
        raise BadInput(
            f"{path}: the file is empty", "an account that holds nothing is said as [] in JSON"
        )
    return text


# ---- which mapping


def _json(
    documents: list[JsonDocument], chosen: StatementMapping | None, path: str
) -> tuple[StatementMapping, Rows]:
    if chosen is not None:
        rows = json_rows(documents, chosen) if chosen.form == "json" else None
        if rows is None:
            form = chosen.form == "json"
            raise _unfit(chosen, path, json_trouble(documents, chosen) if form else "it is JSON")
        return chosen, rows
    fitting = [
        (each, rows)
        for each in all_mappings()
        if each.form == "json" and (rows := json_rows(documents, each)) is not None
    ]
    return _only(fitting, path, _keys_of(documents))


def _csv(
    text: CsvText, chosen: StatementMapping | None, path: str
) -> tuple[StatementMapping, Rows]:
    if chosen is not None:
        rows = csv_rows(text, chosen) if chosen.form == "csv" else None
        if rows is None:
            form = chosen.form == "csv"
            raise _unfit(chosen, path, csv_trouble(text, chosen) if form else "it is not JSON")
        return chosen, rows
    fitting = [
        (each, rows)
        for each in all_mappings()
        if each.form == "csv" and (rows := csv_rows(text, each)) is not None
    ]
    return _only(fitting, path, first_row(text))


def _only(
    fitting: list[tuple[StatementMapping, Rows]], path: str, seen: str
) -> tuple[StatementMapping, Rows]:
    """Return the only mapping that fits; our own goes before all others."""
    if fitting and (len(fitting) == 1 or fitting[0][0].name.startswith("fillbook")):
        return fitting[0]
    if fitting:
        names = ", ".join(each.name for each, _ in fitting)
        raise BadInput(f"{path}: it may be {names}", "say which one with --mapping")
    names = ", ".join(each.name for each in all_mappings())
    raise BadInput(
        f"{path}: it is of no kind that is known; {seen}",
        f"say with --mapping which one it is ({names}), or name a file with one of your own",
    )


def _unfit(mapping: StatementMapping, path: str, problem: str) -> BadInput:
    return BadInput(
        f"{path}: the mapping {mapping.name} does not fit: {problem}",
        "name another one with --mapping, or write one of your own",
    )


def _keys_of(documents: list[JsonDocument]) -> str:
    value = documents[0].value
    prefix = "it"
    if isinstance(value, list):
        prefix, value = "its first row", value[0] if value else None
    if isinstance(value, dict):
        return f"{prefix} has the keys {shown(', '.join(value))}"
    return f"{prefix} is no object"


# ---- is it all, and of when


def _check_whole(documents: list[JsonDocument], mapping: StatementMapping, path: str) -> None:
    for document in documents:
        for key, words in mapping.whole.items():
            value = walk(document.value, key)
            if value is not None and not (isinstance(value, str) and matches(value, words)):
                raise BadInput(
                    f"{path}: {key}: it is one page of several, and the rest is not in it",
                    "save all pages as one answer",
                )


def _as_of(documents: list[JsonDocument], mapping: StatementMapping, path: str) -> int | None:
    told = []
    for document in documents:
        for key in mapping.as_of:
            value = walk(document.value, key)
            if value is None:
                continue
            try:
                if not isinstance(value, str):
                    raise BadValue("", "found something else, expected a time")
                text = str(value) if isinstance(value, JsonNumber) else value.strip()
                told.append(instant(text, mapping.times))
            except BadValue as bad:
                raise BadInput(
                    f"{path}: {key}: {bad}", "mend the file, or use a mapping without as_of"
                ) from None
            break
    return max(told, default=None)


def _latest(messages: list[Message]) -> int | None:
    times = [
        each.content.ts_event
        for each in messages
        if isinstance(each.content, PositionReport) and each.content.ts_event is not None
    ]
    return max(times, default=None)
