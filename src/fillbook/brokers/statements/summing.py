"""Make positions of rows: which rows count, which way, and what adds up to one position.

A word that a mapping does not know is refused where the row has a quantity: it may be a purchase by
another name.  One without a quantity moves nothing and is passed over.
"""

import hashlib
from collections.abc import Iterable
from decimal import Decimal

from attrs import define, field

from fillbook.brokers.bounds import shown
from fillbook.brokers.lines import HEAD_BYTES
from fillbook.brokers.port import Message
from fillbook.brokers.statements.mapping import StatementMapping, matches
from fillbook.brokers.statements.rows import (
    Row,
    Skipped,
    amount_in,
    average_in,
    id_in,
    instant_in,
)
from fillbook.core.exact import EXACT, MAX_DIGITS, canonical, plain
from fillbook.core.reports import PositionReport
from fillbook.errors import BadInput, BadValue

__all__ = ["positions_of"]

ACCOUNT = "default"


@define
class _Holding:
    """What the rows of one account and instrument make together."""

    account_id: str | None
    instrument_id: str
    rows: list[Row] = field(factory=list)
    position_qty: Decimal = Decimal(0)
    avg_px: Decimal | None = None
    ts_event: int | None = None

    def add(self, row: Row, qty: Decimal, avg_px: Decimal | None, ts_event: int | None) -> None:
        self.avg_px = None if self.rows else avg_px  # of two averages there is no third
        self.rows.append(row)
        self.position_qty = EXACT.add(self.position_qty, qty)
        if len(self.position_qty.as_tuple().digits) > MAX_DIGITS:
            raise BadValue("", f"the sum for {shown(self.instrument_id)} has too many digits")
        if ts_event is not None:
            self.ts_event = max(ts_event, self.ts_event or 0)

    def message(self, account_id: str) -> Message:
        raw = b"\n".join(row.raw for row in self.rows)
        report = PositionReport(
            instrument_id=self.instrument_id,
            position_qty=canonical(self.position_qty),
            avg_px=self.avg_px if self.position_qty else None,
            account_id=account_id,
            ts_event=self.ts_event,
        )
        number = self.rows[0].number
        if len(raw) <= HEAD_BYTES:
            return Message(number, "position", report, raw)
        sha256 = hashlib.sha256(raw).digest()
        return Message(
            number, "position", report, raw[:HEAD_BYTES], raw_length=len(raw), raw_sha256=sha256
        )


def positions_of(
    rows: Iterable[Row], mapping: StatementMapping, account_id: str | None, file: str
) -> tuple[list[Message], list[Skipped]]:
    """Return one message per account and instrument, by first appearance, and what is passed over.

    *account_id* is the ledger's id for the one account of the file.  Raises `BadInput` naming
    *file*, the row and the key.
    """
    held: dict[tuple[str | None, str], _Holding] = {}
    skipped: list[Skipped] = []
    for row in rows:
        try:
            why = _concern(row, mapping)
            if why is None:
                _take(row, mapping, held)
            else:
                skipped.append((row.number, why))
        except BadValue as bad:
            raise BadInput(f"{file}: {row.place}: {bad}", _REMEDY) from None
    accounts = {each.account_id for each in held.values()}
    if account_id is not None and len(accounts) > 1:
        told = ", ".join(sorted(each or "(none)" for each in accounts))
        raise BadInput(
            f"{file}: it tells of {len(accounts)} accounts ({told}), not of {account_id} alone",
            'name them in a mapping of your own: accounts = { "theirs" = "ours" }',
        )
    return [
        each.message(account_id or each.account_id or ACCOUNT) for each in held.values()
    ], skipped


_REMEDY = (
    "nothing was read, since half a statement looks like missing positions: mend the file, or say "
    "how it is meant in a mapping of your own (--mapping FILE.toml)"
)


def _concern(row: Row, mapping: StatementMapping) -> str | None:
    """Return why *row* is of no concern, None where it counts."""
    for key, patterns in mapping.pass_over.items():
        if row.has(key):
            word = row.text(key) or ""
            if matches(word, patterns):
                return f"{key} is {shown(str(word))}"
    if row.problem is not None:
        raise BadValue("", row.problem)
    for key, patterns in mapping.expect.items():
        word = row.text(key) or ""
        if not matches(word, patterns):
            raise BadValue(key, f"found {shown(str(word))}, expected {' or '.join(patterns)}")
    if mapping.sums_trades and mapping.side is not None:
        word = row.text(mapping.side) or ""
        is_known = matches(word, (*mapping.adds, *mapping.takes, *mapping.moves))
        if not is_known and all(row.text(key, mapping.empty) is None for key in mapping.last_qty):
            return f"{mapping.side} is {shown(str(word))}, without a quantity"
    return None


def _take(
    row: Row, mapping: StatementMapping, held: dict[tuple[str | None, str], _Holding]
) -> None:
    told_id = id_in(row, mapping.instrument_id, mapping)
    if told_id is None:
        raise BadValue(mapping.instrument_id, "missing")
    told_account = id_in(row, mapping.account_id, mapping)
    instrument_id = mapping.instruments.get(told_id, told_id)
    account_id = None if told_account is None else mapping.accounts.get(told_account, told_account)
    holding = held.get((account_id, instrument_id))
    if holding is None:
        holding = held[account_id, instrument_id] = _Holding(account_id, instrument_id)
    elif not mapping.sums_trades and mapping.repeats == "REFUSE":
        raise BadValue(
            mapping.instrument_id,
            f"{shown(instrument_id)} is listed before, at {holding.rows[0].place}",
        )
    holding.add(
        row,
        _signed_qty(row, mapping),
        average_in(row, mapping.avg_px, mapping),
        instant_in(row, mapping.ts_event, mapping),
    )


def _signed_qty(row: Row, mapping: StatementMapping) -> Decimal:
    qty = Decimal(0)
    for key in mapping.qty_keys:
        part = amount_in(row, key, mapping)
        if part is None:
            raise BadValue(key, "missing")
        qty = EXACT.add(qty, part)
    if mapping.side is None:
        return qty
    word = row.text(mapping.side) or ""
    if matches(word, mapping.moves):
        return qty
    sign = _sign(word, mapping)
    if mapping.is_signed:
        if qty * sign < 0:
            raise BadValue(
                mapping.qty_keys[0], f"{plain(qty)} contradicts {mapping.side} {shown(str(word))}"
            )
        return qty
    if qty < 0:
        raise BadValue(
            mapping.qty_keys[0],
            f"{plain(qty)} is negative, and {mapping.side} tells which way it counts",
        )
    return qty if sign > 0 else qty.copy_negate()  # `-qty` would round at 28 digits


def _sign(word: str, mapping: StatementMapping) -> int:
    assert mapping.side is not None
    if matches(word, mapping.adds):
        return 1
    if matches(word, mapping.takes):
        return -1
    known = ", ".join((*mapping.adds, *mapping.takes, *mapping.moves))
    raise BadValue(mapping.side, f"found {shown(str(word))}, expected one of {known}")
