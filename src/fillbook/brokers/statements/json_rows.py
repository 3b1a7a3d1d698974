"""Find the rows of a JSON statement: one document, or one on each line, and in it a list or object.

Numbers stay the text they were written as, and a key that is given twice is refused: which of the
two would count is anybody's guess.  Each row keeps its own bytes.
"""

import json
from typing import Any

import msgspec

from fillbook.brokers.bounds import shown
from fillbook.brokers.statements.mapping import StatementMapping
from fillbook.brokers.statements.rows import JsonNumber, Row, Rows, walk
from fillbook.errors import BadInput, BadValue

__all__ = ["JsonDocument", "json_documents", "json_rows", "json_trouble"]

_REMEDY = "save the broker's answer as it came, whole"


class JsonDocument:
    """One JSON value of the file: the line where it stands alone on one, its bytes, its value."""

    __slots__ = ("line", "raw", "value")

    def __init__(self, line: int | None, raw: bytes, value: Any) -> None:
        self.line = line
        self.raw = raw
        self.value = value


def json_documents(data: bytes, file: str) -> list[JsonDocument]:
    """Return the documents of *data*, UTF-8 without a mark; one, or one on each line.

    Raises `BadInput` where it is not JSON.
    """
    try:
        return [JsonDocument(None, data, _decode(data))]
    except json.JSONDecodeError as exc:
        if exc.msg != "Extra data" or exc.lineno == 1 == exc.doc.count("\n") + 1:
            raise _no_json(file, f"{exc.lineno}", f"{exc.msg} (column {exc.colno})") from None
    except BadValue as bad:
        raise _no_json(file, "1", str(bad)) from None
    documents = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if line and not line.isspace():
            try:
                documents.append(JsonDocument(number, line.strip(), _decode(line)))
            except json.JSONDecodeError as exc:
                raise _no_json(file, str(number), f"{exc.msg} (column {exc.colno})") from None
            except BadValue as bad:
                raise _no_json(file, str(number), str(bad)) from None
    return documents


def json_rows(documents: list[JsonDocument], mapping: StatementMapping) -> Rows | None:
    """Return the rows that *mapping* finds; None where the file is not of its kind."""
    rows: list[Row] = []
    for document in documents:
        found = _rows_of(document, mapping)
        if found is None:
            return None
        rows += found
    return Rows(rows, [])


def json_trouble(documents: list[JsonDocument], mapping: StatementMapping) -> str:
    """Return why *mapping* does not find its rows."""
    for document in documents:
        if _rows_of(document, mapping) is not None:
            continue
        where = "" if document.line is None else f"line {document.line}: "
        for path in mapping.rows:
            node = walk(document.value, path)
            if isinstance(node, list) or path or len(mapping.rows) == 1:
                first = node[0] if isinstance(node, list) and node else node
                if isinstance(first, dict):
                    lacking = next(key for key in mapping.needed if not _has(first, key))
                    return f"{where}the first row of {path or 'the document'} has no {lacking}"
        names = " or ".join(path or "the document" for path in mapping.rows)
        return f"{where}there are no rows at {names}"
    raise AssertionError("it does find its rows")


def _rows_of(document: JsonDocument, mapping: StatementMapping) -> list[Row] | None:
    for path in mapping.rows:
        node = walk(document.value, path)
        first = node[0] if isinstance(node, list) and node else node
        if node == [] or (
            isinstance(first, dict) and all(_has(first, key) for key in mapping.needed)
        ):
            return _made(document, path, node)
    return None


def _has(row: dict[str, Any], key: str) -> bool:
    return Row("", 0, b"", row, row).has(key)


def _made(document: JsonDocument, path: str, node: Any) -> list[Row]:
    raw = document.raw
    for key in path.split(".") if path else ():
        raw = bytes(msgspec.json.decode(raw, type=dict[str, msgspec.Raw])[key])
    if isinstance(node, dict):
        number = document.line or 1
        place = f"line {number}" if document.line else "the document"
        return [Row(place, number, raw, node, document.value)]
    raws = msgspec.json.decode(raw, type=list[msgspec.Raw])
    prefix = f"line {document.line}, " if document.line else ""
    return [
        Row(
            f"{prefix}element {index}", document.line or index, bytes(each),
            cells if isinstance(cells, dict) else {}, document.value,
        )
        for index, (cells, each) in enumerate(zip(node, raws, strict=True), 1)
    ]  # fmt: skip


# ---- decoding


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BadValue(shown(key), "is given twice in one object")
            seen.add(key)
    return made


def _constant(word: str) -> Any:
    raise BadValue("", f"{word} is not a number of JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=JsonNumber,
    parse_int=JsonNumber,
    parse_constant=_constant,
)


def _decode(data: bytes) -> Any:
    try:
        value = _DECODER.decode(data.decode())
        msgspec.json.decode(data, type=msgspec.Raw)  # it will cut the rows out
    except RecursionError:
        raise BadValue("", "nested too deeply") from None
    except msgspec.DecodeError as exc:  # what `json` lets pass is half a surrogate pair
        raise BadValue("", f"{exc}; is half a surrogate pair in it?") from None
    return value


def _no_json(file: str, line: str, problem: str) -> BadInput:
    return BadInput(f"{file}:{line}: this is not JSON: {problem}", _REMEDY)
