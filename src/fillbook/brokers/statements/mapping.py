"""Say how one kind of file tells what is held: which of its keys means what, and what to pass over.

A mapping is a table of TOML; the named ones and a person's own have the same keys, checked here.
It either lists positions (`position_qty`) or lists trades (`last_qty`), which are summed.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from attrs import frozen

from fillbook.brokers.bounds import id_of, shown
from fillbook.errors import BadInput, BadValue

__all__ = ["StatementMapping", "mapping_of", "matches"]

Words = tuple[str, ...]


@frozen(kw_only=True)
class StatementMapping:
    """One mapping.  Values that name a key of the file are a column, or a dotted path in JSON.

    Attributes:
        name: What it goes by; of a person's own, its file.
        about: One line for people.
        form: `json` or `csv`.
        rows: JSON: where the rows are, as paths, the first one that fits; "" is the document.  An
            object there is one row.
        as_of: JSON: paths from the document to the time at which the statement was made.
        section: CSV: rows count that begin with this word, then `Header` or `Data`.
        delimiter: CSV: what separates columns; else the first of ``, ; tab`` that fits.
        has: More keys that a row has, by which this kind of file is known.
        instrument_id, account_id, avg_px, ts_event: The keys of what a report calls so.
        position_qty: The key of what is held, signed, long > 0; of several the sum counts.
        last_qty: The key of a trade's quantity, where the file is a list of trades.
        side: The key whose word says which way the quantity counts.
        adds, takes: Words of `side` by which the quantity is added, or taken away.
        moves: Words of `side` by which the quantity counts with its own sign.
        is_signed: Under `adds` and `takes` the quantity bears its sign and has to agree; else it
            is 0 or more.
        times: `RFC3339`, or the unit of a number since 1970: `S`, `MS`, `US`, `NS`.
        decimal, thousands: What separates the fraction, and what groups three digits.
        units: What may stand before or after a number, as in $5 or 5 SEK.
        empty: Texts that stand for nothing, as - does.
        pass_over: By key, the words of rows that are of no concern.
        expect: By key, the words that every row has that counts; another one is refused.
        instruments, accounts: The ledger's own id for one of the file.
        whole: JSON: by path from the document, the words by which it is all and not a page.
        repeats: `REFUSE`, or `ADD` where rows of one account and instrument are parts of a whole.
    """

    name: str
    about: str = ""
    form: str
    rows: Words = ("",)
    as_of: Words = ()
    section: str | None = None
    delimiter: str | None = None
    has: Words = ()
    instrument_id: str
    account_id: str | None = None
    avg_px: str | None = None
    ts_event: str | None = None
    position_qty: Words = ()
    last_qty: Words = ()
    side: str | None = None
    adds: Words = ()
    takes: Words = ()
    moves: Words = ()
    is_signed: bool = False
    times: str = "RFC3339"
    decimal: str = "."
    thousands: str = ""
    units: Words = ()
    empty: Words = ()
    pass_over: Mapping[str, Words] = {}
    expect: Mapping[str, Words] = {}
    whole: Mapping[str, Words] = {}
    instruments: Mapping[str, str] = {}
    accounts: Mapping[str, str] = {}
    repeats: str = "REFUSE"

    @property
    def qty_keys(self) -> Words:
        """The keys whose sum is the quantity."""
        return self.position_qty or self.last_qty

    @property
    def sums_trades(self) -> bool:
        """True where the file lists trades."""
        return bool(self.last_qty)

    @property
    def needed(self) -> Words:
        """Every key without which a file is not of this kind."""
        side = (self.side,) if self.side is not None else ()
        more = (*self.has, *self.pass_over, *self.expect)
        return tuple(dict.fromkeys((self.instrument_id, *self.qty_keys, *side, *more)))


@lru_cache(maxsize=1 << 10)
def matches(word: str, patterns: Words) -> bool:
    """Return whether *word* is one of *patterns*, whatever its case; ``Div*`` is a beginning."""
    small = word.casefold()
    return any(
        small.startswith(pattern[:-1].casefold())
        if pattern.endswith("*")
        else small == pattern.casefold()
        for pattern in patterns
    )


def mapping_of(name: str, told: Mapping[str, Any], file: str) -> StatementMapping:
    """Return the mapping that *told* declares, as TOML gave it.

    Raises `BadInput` naming *file* and the key.
    """
    values: dict[str, Any] = {}
    for key, value in told.items():
        check = _KEYS.get(key)
        if check is None:
            near = get_close_matches(key, _KEYS, 1, 0.6)
            raise _wrong(
                file, shown(key), "is no key of a mapping" + _meant(near), ", ".join(_KEYS)
            )
        try:
            values[key] = check(value)
        except BadValue as bad:
            raise _wrong(file, key, bad.problem) from None
    for key in ("form", "instrument_id"):
        if key not in values:
            raise _wrong(file, key, "missing", _NEEDS)
    mapping = StatementMapping(name=name, **values)
    for key, problem in _contradictions(mapping, values):
        raise _wrong(file, key, problem, _NEEDS)
    return mapping


# ---- what a value may be


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValue("", f"found {shown(value)}, expected text in quotes")
    return id_of(value)


def _word(value: Any) -> str:
    return "" if value == "" else _text(value)


def _words(value: Any) -> Words:
    """Return a list of texts; a text alone is a list of one."""
    if isinstance(value, list):
        return tuple(map(_word, value))
    return (_word(value),)


def _names(value: Any) -> Words:
    names = tuple(map(_text, value)) if isinstance(value, list) else (_text(value),)
    if not names:
        raise BadValue("", "an empty list names nothing")
    return names


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadValue("", f"found {shown(value)}, expected true or false")
    return value


def _one_of(*choices: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise BadValue("", f"found {shown(value)}, expected {', '.join(map(repr, choices))}")

    return check


def _table(check: Callable[[Any], Any]) -> Callable[[Any], Mapping[str, Any]]:
    def read(value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise BadValue("", f'found {shown(value)}, expected a table such as {{ a = "b" }}')
        return {_text(key): check(item) for key, item in value.items()}

    return read


_KEYS: dict[str, Callable[[Any], Any]] = {
    "about": _text,
    "form": _one_of("json", "csv"),
    "rows": _words,
    "as_of": _names,
    "section": _text,
    "delimiter": _one_of(",", ";", "\t"),
    "has": _names,
    "instrument_id": _text,
    "account_id": _text,
    "avg_px": _text,
    "ts_event": _text,
    "position_qty": _names,
    "last_qty": _names,
    "side": _text,
    "adds": _words,
    "takes": _words,
    "moves": _words,
    "is_signed": _flag,
    "times": _one_of("RFC3339", "S", "MS", "US", "NS"),
    "decimal": _one_of(".", ","),
    "thousands": _one_of("", ",", ".", " ", "'"),
    "units": _names,
    "empty": _words,
    "pass_over": _table(_words),
    "expect": _table(_words),
    "whole": _table(_words),
    "instruments": _table(_text),
    "accounts": _table(_text),
    "repeats": _one_of("REFUSE", "ADD"),
}

_NEEDS = "a mapping has form, instrument_id, and position_qty or (of trades) last_qty"


def _contradictions(mapping: StatementMapping, told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what cannot be meant together: the key and why."""
    found = []
    if bool(mapping.position_qty) == bool(mapping.last_qty):
        found.append(("position_qty", "one of position_qty and last_qty is needed, and not both"))
    other, foreign = ("csv", ("section", "delimiter")) if mapping.form == "json" else (
        "json", ("rows", "as_of", "whole")
    )  # fmt: skip
    found += [(key, f"is for {other} only") for key in foreign if key in told]
    if mapping.sums_trades:
        reason = "goes with position_qty; trades have neither an average nor repeats"
        found += [(key, reason) for key in ("avg_px", "repeats") if key in told]
    words = [key for key in ("adds", "takes", "moves") if getattr(mapping, key)]
    if words and mapping.side is None:
        found.append((words[0], "is a word of side, and no side is named"))
    if mapping.side is not None and not words:
        found.append(("side", "needs the words that it has: adds, takes or moves"))
    if mapping.decimal == mapping.thousands:
        found.append(("thousands", "is the same as decimal"))
    return found


def _meant(near: list[str]) -> str:
    return f"; did you mean {near[0]}?" if near else ""


def _wrong(file: str, key: str, problem: str, remedy: str = "") -> BadInput:
    return BadInput(
        f"{file}: {key}: {problem}",
        remedy or "`docs/statements.md` shows a mapping with every key",
    )
