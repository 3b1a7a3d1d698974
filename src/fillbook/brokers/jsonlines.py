"""Read messages that come as JSON lines, the format of `fillbook import --format jsonl`.

One JSON object per line; `kind` says which keys there are.  Every value is text, except the two
flags: decimals are text because a JSON number has no agreed precision, so no number is ever right
here.  What cannot be believed is set aside with one sentence, and the next line is read.

msgspec decodes; it keeps the last of two equal keys in silence, so the quotes of the line are
counted: more of them than the decoded object accounts for is a repeated key.  Only lines with an
escape, and lines that are refused anyway, take the slow road through `json`, which sees the pairs.
"""

import json
from collections.abc import Callable, Iterator
from operator import call
from typing import Any, BinaryIO

import msgspec

from fillbook.brokers.bounds import shown
from fillbook.brokers.jsonkinds import KINDS, Reader, flag
from fillbook.brokers.lines import LIMIT_BYTES, Line, LineReader
from fillbook.brokers.port import Message
from fillbook.errors import BadValue

__all__ = ["JsonLines", "read_jsonl"]

_EXPLAIN_BYTES = 1 << 20
"""Longer lines are refused in msgspec's own words: building them to explain costs memory."""

_BOM = b"\xef\xbb\xbf"


def read_jsonl(stream: BinaryIO) -> "JsonLines":
    """Return the messages of *stream*, one per line that is not blank, in file order."""
    return JsonLines(stream)


class JsonLines:
    """The messages of one stream, once.

    Attributes:
        lines: The reader below, which knows how much of the stream has been dealt with.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.lines = LineReader(stream)

    def __iter__(self) -> Iterator[Message]:
        for line in self.lines:
            if line.data and not line.data.isspace():
                yield _message(line)


# ---- one line

_Row = dict[str, str | bool | None]
_decode = msgspec.json.Decoder(_Row).decode


def _message(line: Line) -> Message:
    number, start, data, length, sha256 = line
    if length is not None:
        problem = f"line too long: {length} bytes, at most {LIMIT_BYTES} are read"
        return Message(number, "unreadable", None, data, problem, start, length, sha256)
    text = data[len(_BOM) :] if number == 1 and data.startswith(_BOM) else data
    try:
        row, is_all_text = _row(text)
        kind = row.pop("kind", None)
        rules = KINDS.get(kind) if isinstance(kind, str) else None
        if rules is None:
            raise _no_kind(kind)
        values = _values(rules.keys, row, is_all_text)
        _check(rules.needs, values)
        return Message(number, str(kind), rules.make(values), data, None, start)
    except BadValue as bad:
        return Message(number, _kind_of(text), None, data, str(bad), start)


def _row(data: bytes) -> tuple[_Row, bool]:
    """Return the object on the line, and whether all its values are text.

    Raises `BadValue` saying why there is none.
    """
    try:
        row = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise _refusal(data, exc) from None
    texts = [*map(type, row.values())].count(str)
    if b"\\" in data or data.count(b'"') != 2 * (len(row) + texts):
        seen = set()
        for key, _ in _DECODER.decode(data.decode()):
            if key in seen:
                raise BadValue(_named(key), "is given twice")
            seen.add(key)
    return row, texts == len(row)


def _values(keys: dict[str, Reader], row: _Row, is_all_text: bool) -> dict[str, Any]:
    """Return the values of *row*, or raise `BadValue` with the first key that is wrong."""
    if is_all_text:
        try:  # the loop below without a step of the interpreter per key
            readers: Iterator[Callable[..., Any]] = map(keys.__getitem__, row)
            return dict(zip(row, map(call, readers, row.values()), strict=True))
        except (BadValue, KeyError):
            pass  # the loop says which key
    values = {}
    for key, value in row.items():
        read = keys.get(key)
        if read is None:
            raise BadValue(_named(key), f"is not one of the keys {', '.join(keys)}")
        if isinstance(value, str):
            try:
                values[key] = read(value)
            except BadValue as bad:
                raise BadValue(key, bad.problem) from None
        elif value is not None:
            if read is not flag:
                raise BadValue(key, f"found {json.dumps(value)}, expected text in quotes")
            values[key] = value
    return values


def _check(needs: tuple[tuple[str, ...], ...], values: dict[str, Any]) -> None:
    for group in needs:
        for key in group:
            if values.get(key) is not None:
                break
        else:
            raise BadValue(" or ".join(group), "missing")


# ---- what is wrong with a line that is refused


class _Number(str):
    """A JSON number, as it was written: a million digits are never turned into an integer."""


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with every pair it has."""


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_int=_Number, parse_float=_Number, parse_constant=_Number
)


class _KindOnly(msgspec.Struct):
    kind: str


_decode_kind = msgspec.json.Decoder(_KindOnly).decode


def _kind_of(data: bytes) -> str:
    """Return the kind that a refused line names, where it can be told."""
    try:
        kind = _decode_kind(data).kind
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "unreadable"
    return kind if kind in KINDS else "unreadable"


def _no_kind(kind: object) -> BadValue:
    found = "missing" if kind is None else f"found {_found(kind)}"
    return BadValue("kind", f"{found}, expected one of {', '.join(KINDS)}")


def _refusal(data: bytes, exc: Exception) -> BadValue:
    """Say what is wrong with a line that msgspec refused, naming the key where there is one."""
    if len(data) > _EXPLAIN_BYTES:
        return BadValue("", f"cannot be read: {exc} (in a line of {len(data)} bytes)")
    try:
        text = data.decode()
        value = _DECODER.decode(text)
    except UnicodeDecodeError as bad:
        return BadValue("", f"not UTF-8: byte {bad.start + 1} of the line")
    except json.JSONDecodeError as bad:
        if bad.pos >= len(text.rstrip()) or bad.msg.startswith("Unterminated"):
            return BadValue("", "truncated: the JSON of the line does not end")
        return BadValue("", f"not JSON: {bad.msg} (character {bad.pos + 1})")
    except RecursionError:
        return BadValue("", "nested too deeply: no value is an object or an array")
    if not isinstance(value, _Pairs):
        return BadValue("", f"not an object: found {_found(value)}")
    for key, item in value:
        if isinstance(item, _Number | list):
            return BadValue(_named(key), f"found {_found(item)}, expected text in quotes")
    return BadValue("", f"cannot be read: {exc}; is half a surrogate pair in it?")


def _named(key: str) -> str:
    return key if len(key) <= 40 and key.isidentifier() else f"the key {shown(key)}"


def _found(value: object) -> str:
    if isinstance(value, _Number):
        return f"the number {value if len(value) <= 40 else f'of {len(value)} characters'}"
    if isinstance(value, _Pairs):
        return "an object"
    if isinstance(value, list):
        return "an array"
    return shown(value) if isinstance(value, str) else json.dumps(value)
