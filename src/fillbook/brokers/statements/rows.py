"""Hold one row of a statement, a line of CSV or an object of JSON, and read single values of it.

Values are text as the file has it; `BadValue` names the key.  Empty is None.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from fillbook.brokers.bounds import id_of, shown
from fillbook.brokers.jsonkinds import instant_of
from fillbook.brokers.statements.mapping import StatementMapping
from fillbook.core.exact import EXACT, average_of, decimal_of
from fillbook.errors import BadValue

__all__ = ["JsonNumber", "Row", "Rows", "Skipped", "amount_in", "average_in", "id_in", "instant_in"]

Skipped = tuple[int, str]

_NS = {"S": 10**9, "MS": 10**6, "US": 10**3, "NS": 1}
_SPACES = str.maketrans({"\xa0": " ", "\u202f": " "})  # what spreadsheets group digits with
_MISSING = object()


class JsonNumber(str):
    """A JSON number, as it was written."""


@frozen
class Row:
    """One row.

    Attributes:
        place: Where it is, for people: `line 3` or `element 3`.
        number: The line or the element, from 1.
        raw: Its own bytes.
        cells: Text by column, or the object.
        document: The JSON document around it; None of CSV.
        problem: Why its cells cannot be believed, unless the row is passed over.
    """

    place: str
    number: int
    raw: bytes
    cells: Mapping[str, Any]
    document: Any = None
    problem: str | None = None

    def has(self, key: str) -> bool:
        """Return whether the row has *key* at all, were it empty."""
        return self._at(key) is not _MISSING

    def text(self, key: str, empty: tuple[str, ...] = ()) -> str | None:
        """Return what the row says under *key*; None where it is not there or says nothing."""
        value = self._at(key)
        if value is _MISSING or value is None:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str):
            found = "an object" if isinstance(value, dict) else "an array"
            raise BadValue(key, f"found {found}, expected text or a number")
        if isinstance(value, JsonNumber):
            return value
        stripped = value.strip()
        return None if stripped in ("", *empty) else stripped

    def _at(self, key: str) -> Any:
        if self.document is None:
            return self.cells.get(key, _MISSING)
        return walk(self.cells, key, _MISSING)


@frozen
class Rows:
    """What a file has by one mapping: its rows, and the lines that are none."""

    rows: list[Row]
    skipped: list[Skipped]


def walk(value: Any, path: str, missing: Any = None) -> Any:
    """Return what is at the dotted *path* of a JSON value; "" is the value itself."""
    for key in path.split(".") if path else ():
        if not isinstance(value, dict) or key not in value:
            return missing
        value = value[key]
    return value


def id_in(row: Row, key: str | None, mapping: StatementMapping) -> str | None:
    """Return an id; None where the row has none."""
    text = None if key is None else row.text(key, mapping.empty)
    if text is None or key is None:
        return None
    try:
        return id_of(str(text))
    except BadValue as bad:
        raise BadValue(key, bad.problem) from None


def amount_in(row: Row, key: str, mapping: StatementMapping) -> Decimal | None:
    """Return an amount of either sign; None where the row has none."""
    text = row.text(key, mapping.empty)
    if text is None:
        return None
    try:
        return decimal_of(_plain_number(text, mapping))
    except BadValue as bad:
        raise BadValue(key, bad.problem) from None


def average_in(row: Row, key: str | None, mapping: StatementMapping) -> Decimal | None:
    """Return an average price; None for 0, which is how a broker says that it has none."""
    text = None if key is None else row.text(key, mapping.empty)
    if text is None or key is None:
        return None
    try:
        return average_of(_plain_number(text, mapping)) or None
    except BadValue as bad:
        raise BadValue(key, bad.problem) from None


def instant_in(row: Row, key: str | None, mapping: StatementMapping) -> int | None:
    """Return a time as nanoseconds since 1970; None where the row has none."""
    text = None if key is None else row.text(key, mapping.empty)
    if text is None or key is None:
        return None
    try:
        return instant(text, mapping.times)
    except BadValue as bad:
        raise BadValue(key, bad.problem) from None


def instant(text: str, times: str) -> int:
    """Return *text* as nanoseconds since 1970; raises `BadValue` without a key."""
    if times == "RFC3339":
        if text.endswith(" UTC"):
            text = text[:-4] + "Z"
        return instant_of(text[:10] + text[10:].replace(" ", "T", 1))
    value = EXACT.multiply(decimal_of(text), Decimal(_NS[times]))
    if value != int(value) or not 0 <= value < 2**63:
        raise BadValue("", f"{shown(str(text))} is no time in {times} since 1970")
    return int(value)


def _plain_number(text: str, mapping: StatementMapping) -> str:
    """Return the text of a number as `decimal_of` reads it."""
    if isinstance(text, JsonNumber):
        return str(text)
    number = _without_units(text.translate(_SPACES), mapping.units)
    if mapping.decimal == "." and not mapping.thousands:
        return number
    whole, point, fraction = number.partition(mapping.decimal)
    foreign = {".", ","} - {mapping.decimal, mapping.thousands}
    if mapping.thousands and mapping.thousands in whole:
        first, *groups = whole.lstrip("+-").split(mapping.thousands)
        if not 1 <= len(first) <= 3 or any(len(group) != 3 for group in groups):
            raise BadValue("", f"{shown(text)} is not grouped by thousands")
        whole = whole.replace(mapping.thousands, "")
    if foreign & set(number) or (mapping.thousands and mapping.thousands in fraction):
        raise BadValue("", f"{shown(text)} is not a decimal number")
    return f"{whole}.{fraction}" if point else whole


def _without_units(text: str, units: tuple[str, ...]) -> str:
    """Return *text* without the unit before or after it; a sign may stand before the unit."""
    sign, rest = (text[0], text[1:]) if text[:1] in ("-", "+") else ("", text)
    for unit in units:
        if rest.startswith(unit):
            return sign + rest[len(unit) :].strip()
        if rest.endswith(unit):
            return sign + rest[: -len(unit)].strip()
    return text
