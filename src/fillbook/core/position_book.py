"""Fold fills, fees, splits and cash into positions, and know when the past has changed.

A fill's place in its position's history is where it was first counted.  Later events may change
what stands there: a bust empties it, a correction puts other figures in, a true fill takes the
place of an inferred one.  Those are kept as `amended` pieces per fill; the position is then stale,
and `refold` works it out as if each fill had been from the start what it is now.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Protocol

from attrs import define, field, frozen

from fillbook.core.events import (
    CashMoved,
    CommissionChanged,
    Event,
    FillBusted,
    FillCorrected,
    FillInferred,
    InferredFillReleased,
    InstrumentDefined,
    InstrumentSplit,
    OrderFilled,
    Replacement,
)
from fillbook.core.exact import EXACT, scaled
from fillbook.core.positions import Position
from fillbook.core.values import Contract, Side

__all__ = ["FillKey", "Piece", "PositionBook"]

_ZERO = Decimal(0)

FillKey = tuple[int, int]
"""(stream, fill_no)."""


@frozen
class Piece:
    """What stands at a fill's place now: `qty` (> 0) of the fill `source` at `px`."""

    source: int
    qty: Decimal
    px: Decimal | None


@define
class Amendments:
    """What changed a position's past, by fill.

    Attributes:
        pieces: What stands at a fill's place; a fill without an entry stands as it came.
        fees: What a fill cost, in all, where that was told late or corrected.
        void: Fills that were busted; they cost nothing either.
    """

    pieces: dict[FillKey, tuple[Piece, ...]] = field(factory=dict)
    fees: dict[FillKey, dict[str, Decimal]] = field(factory=dict)
    void: set[FillKey] = field(factory=set)


class _Recorded(Protocol):
    @property
    def seq(self) -> int: ...
    @property
    def stream(self) -> int: ...
    @property
    def position(self) -> int | None: ...
    @property
    def event(self) -> Event: ...


class PositionBook:
    """Every position, by its number: the seq of the first event that moved it."""

    def __init__(self) -> None:
        self._positions: dict[int, Position] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._amended: dict[int, Amendments] = {}
        self._stale: set[int] = set()
        self._definitions: dict[str, InstrumentDefined] = {}

    # ---- questions

    def number(self, account_id: str, instrument_id: str) -> int | None:
        """Return the number of a position; None where nothing ever moved it."""
        return self._numbers.get((account_id, instrument_id))

    def get(self, number: int) -> Position:
        """Return a position by its number; it may be stale."""
        return self._positions[number]

    def all(self) -> Iterator[Position]:
        """Yield every position, by first appearance; stale ones are as they were."""
        for number in sorted(self._positions):
            yield self._positions[number]

    def stale(self) -> frozenset[int]:
        """Return the numbers of the positions whose past has changed."""
        return frozenset(self._stale)

    def amendments(self, number: int) -> Amendments:
        """Return what changed this position's past."""
        return self._amended.get(number) or Amendments()

    # ---- the fold

    def apply(self, seq: int, stream: int, number: int | None, event: Event) -> None:
        """Take in the next event; most concern no position."""
        if isinstance(event, OrderFilled):
            position = self._open(number, event.account_id, event.instrument_id)
            if event.replaces:
                self._replace(position.number, stream, event)
            elif position.number not in self._stale:
                self._trade(position, stream, event)
        elif isinstance(event, FillInferred):
            position = self._open(number, event.account_id, event.instrument_id)
            if position.number not in self._stale:
                self._trade(position, stream, event)
        elif isinstance(event, (FillBusted, FillCorrected, InferredFillReleased)):
            self._amend(number, stream, event)
        elif isinstance(event, CommissionChanged):
            self._change_fee(number, stream, event)
        elif isinstance(event, CashMoved):
            position = self._open(number, event.account_id, event.instrument_id)
            position.receive(event.currency, event.amount)
        elif isinstance(event, InstrumentSplit):
            for position in self._of(event.instrument_id):
                if position.number not in self._stale:
                    position.split(event.numerator, event.denominator)
        elif isinstance(event, InstrumentDefined):
            self._define(event)

    def opened(self, number: int, account_id: str, instrument_id: str) -> Position:
        """Return a position, made where it is new (for the fast fold)."""
        return self._open(number, account_id, instrument_id)

    def _open(self, number: int | None, account_id: str, instrument_id: str) -> Position:
        assert number is not None, "an event that moves a position names it"
        position = self._positions.get(number)
        if position is None:
            definition = self._definitions.get(instrument_id)
            contract = Contract.LINEAR if definition is None else definition.contract
            base = None if definition is None else definition.base_currency
            position = Position(number, account_id, instrument_id, contract, base)
            self._positions[number] = position
            self._numbers[account_id, instrument_id] = number
        return position

    def _of(self, instrument_id: str) -> Iterator[Position]:
        return (p for p in self._positions.values() if p.instrument_id == instrument_id)

    def _define(self, event: InstrumentDefined) -> None:
        self._definitions[event.instrument_id] = event
        for position in self._of(event.instrument_id):
            kind = position.contract, position.base_currency
            if kind != (event.contract, event.base_currency):
                position.contract = event.contract
                position.base_currency = event.base_currency
                self._stale.add(position.number)

    def _trade(self, position: Position, stream: int, event: OrderFilled | FillInferred) -> None:
        """Count one fill as it stands now, and what it cost."""
        sign = 1 if event.side is Side.BUY else -1
        key = (stream, event.fill_no)
        amended = self._amended.get(position.number)
        pieces = None if amended is None else amended.pieces.get(key)
        if pieces is None:
            _count(position, sign, event.last_qty, event.last_px)
        else:
            for piece in pieces:
                _count(position, sign, piece.qty, piece.px)
                if piece.source == event.fill_no and _stands_elsewhere(amended, stream, event):
                    position.trade_count -= 1
        if isinstance(event, FillInferred) or (amended is not None and key in amended.void):
            return
        fees = self._fees(event, None if amended is None else amended.fees.get(key))
        for currency, amount in fees.items():
            position.charge(currency, amount, event.last_px)

    def _fees(self, event: OrderFilled, changed: dict[str, Decimal] | None) -> dict[str, Decimal]:
        fees: dict[str, Decimal] = {}
        if event.commission is not None:
            fees[event.commission_currency or "UNKNOWN"] = event.commission
        return fees | (changed or {})

    # ---- what changes the past

    def _replace(self, number: int, stream: int, event: OrderFilled) -> None:
        """Put a true fill where the inferred quantity stood that it accounts for."""
        amended = self._amended.setdefault(number, Amendments())
        rest = event.last_qty
        for part in event.replaces:
            rest = EXACT.subtract(rest, part.qty)
            stands = self._without_inferred(amended, stream, part)
            stands.append(Piece(event.fill_no, part.qty, event.last_px))
            self._leave(amended, stream, part, stands)
        own = (Piece(event.fill_no, rest, event.last_px),) if rest else ()
        amended.pieces[stream, event.fill_no] = own
        self._stale.add(number)

    def _without_inferred(self, amended: Amendments, stream: int, part: Replacement) -> list[Piece]:
        stands = amended.pieces.get((stream, part.fill_no), ())
        return [piece for piece in stands if piece.source != part.fill_no]

    def _leave(
        self, amended: Amendments, stream: int, part: Replacement, stands: list[Piece]
    ) -> None:
        if part.left_qty:
            stands.append(Piece(part.fill_no, part.left_qty, part.left_px))
        amended.pieces[stream, part.fill_no] = tuple(stands)

    def _amend(
        self,
        number: int | None,
        stream: int,
        event: FillBusted | FillCorrected | InferredFillReleased,
    ) -> None:
        assert number is not None
        amended = self._amended.setdefault(number, Amendments())
        self._stale.add(number)
        if isinstance(event, InferredFillReleased):
            for part in event.releases:
                self._leave(amended, stream, part, self._without_inferred(amended, stream, part))
            return
        key = (stream, event.fill_no)
        amended.pieces.setdefault(key, ())
        left = None if isinstance(event, FillBusted) else event.last_qty
        for other, pieces in list(amended.pieces.items()):
            if other[0] != stream or other == key:
                continue
            changed: list[Piece] = []
            for piece in pieces:
                if piece.source != event.fill_no:
                    changed.append(piece)
                elif left:
                    qty = min(piece.qty, left)
                    left = EXACT.subtract(left, qty)
                    changed.append(Piece(piece.source, qty, event.last_px))
            amended.pieces[other] = tuple(changed)
        own = [piece for piece in amended.pieces[key] if piece.source != event.fill_no]
        if left:
            own.append(Piece(event.fill_no, left, event.last_px))
        amended.pieces[key] = tuple(own)
        if isinstance(event, FillBusted):
            amended.void.add(key)
        else:
            amended.void.discard(key)

    def _change_fee(self, number: int | None, stream: int, event: CommissionChanged) -> None:
        assert number is not None
        position = self._positions[number]
        amended = self._amended.setdefault(number, Amendments())
        key = (stream, event.fill_no)
        amended.fees.setdefault(key, {})[event.commission_currency] = event.commission
        moves_qty = (
            position.contract is Contract.SPOT
            and event.commission_currency == position.base_currency
        )
        if moves_qty or key in amended.void:
            self._stale.add(number)
        elif number not in self._stale:
            change = EXACT.subtract(event.commission, event.prior or _ZERO)
            position.charge(event.commission_currency, change)

    # ---- folding anew

    def refold(self, records: Iterable[_Recorded]) -> None:
        """Work out every stale position from *records*: all that ever moved them, in sequence.

        Instrument-level records of other instruments may be among them.
        """
        stale = self._stale
        for number in stale:
            self._positions[number].reset()
        for record in records:
            event = record.event
            if isinstance(event, InstrumentSplit):
                for position in self._of(event.instrument_id):
                    if position.number in stale and position.number < record.seq:
                        position.split(event.numerator, event.denominator)
            elif record.position not in stale or record.position is None:
                continue
            elif isinstance(event, (OrderFilled, FillInferred)):
                self._trade(self._positions[record.position], record.stream, event)
            elif isinstance(event, CashMoved):
                self._positions[record.position].receive(event.currency, event.amount)
        stale.clear()


def _stands_elsewhere(
    amended: Amendments | None, stream: int, event: OrderFilled | FillInferred
) -> bool:
    """Tell whether part of the fill stands at an inferred one's place too (it is one trade)."""
    if amended is None or not isinstance(event, OrderFilled):
        return False
    return any(
        piece.source == event.fill_no
        for part in event.replaces
        for piece in amended.pieces.get((stream, part.fill_no), ())
    )


def _count(position: Position, sign: int, qty: Decimal, px: Decimal | None) -> None:
    """Count one fill, by the quick path where both figures fit."""
    if px is not None:
        units, price = scaled(qty), scaled(px)
        if units is not None and price is not None:
            position.trade(units * sign, price)
            return
    position.trade_exact(qty * sign, px)
