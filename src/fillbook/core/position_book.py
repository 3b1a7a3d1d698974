"""Fold fills, fees, splits, cash and adjustments into positions; know when the past has changed.

A fill's place in its position's history is where it was first counted.  Later events may change
what stands there: a bust empties it, a correction puts other figures in, a true fill takes the
place of an inferred one.  Those are kept as `amended` pieces per fill; the position is then stale,
and `refold` works it out as if each fill had been from the start what it is now.

A split divides a position's history by the venue's clock: what happened before it is counted in the
old units, what happened after it in the new ones, whichever of them we heard of first.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Protocol

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
from fillbook.core.lots import LotBook
from fillbook.core.operator_events import PositionAdjusted
from fillbook.core.orders import is_after
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
        fees: What a fill cost, in all, where that was told late or corrected, and when.
        void: Fills that were busted, with the currencies of the fees told after that; they cost
            nothing else.
    """

    pieces: dict[FillKey, tuple[Piece, ...]] = field(factory=dict)
    fees: dict[FillKey, dict[str, tuple[Decimal, int | None]]] = field(factory=dict)
    void: dict[FillKey, set[str]] = field(factory=dict)


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
    """Every position, by its number: the seq of the first event that moved it.

    Attributes:
        by_number: The positions; stale ones are as they were.
        stale_numbers: Those whose past has changed.
        last_splits: When each instrument was split last, by the venue's clock.
    """

    def __init__(self) -> None:
        self.by_number: dict[int, Position] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._amended: dict[int, Amendments] = {}
        self.stale_numbers: set[int] = set()
        self._definitions: dict[str, InstrumentDefined] = {}
        self.last_splits: dict[str, int] = {}

    # ---- questions

    def number(self, account_id: str, instrument_id: str) -> int | None:
        """Return the number of a position; None where nothing ever moved it."""
        return self._numbers.get((account_id, instrument_id))

    def get(self, number: int) -> Position:
        """Return a position by its number; it may be stale."""
        return self.by_number[number]

    def all(self) -> Iterator[Position]:
        """Yield every position, by first appearance; stale ones are as they were."""
        for number in sorted(self.by_number):
            yield self.by_number[number]

    def stale(self) -> frozenset[int]:
        """Return the numbers of the positions whose past has changed."""
        return frozenset(self.stale_numbers)

    def amendments(self, number: int) -> Amendments:
        """Return what changed this position's past."""
        return self._amended.get(number) or Amendments()

    # ---- to and from plain data

    def state(self) -> list[dict[str, Any]]:
        """Return everything as data that JSON can hold; `restore` makes it again."""
        return [
            {
                "position": position.state(),
                "stale": position.number in self.stale_numbers,
                "amended": _amendments_state(self.amendments(position.number)),
            }
            for position in self.all()
        ]

    def restore(self, states: Iterable[Mapping[str, Any]]) -> None:
        """Take over what `state` returned; only into an empty book."""
        assert not self.by_number
        for each in states:
            position = Position.from_state(each["position"])
            self.by_number[position.number] = position
            self._numbers[position.account_id, position.instrument_id] = position.number
            if each["stale"]:
                self.stale_numbers.add(position.number)
            amended = _amendments_of(each["amended"])
            if amended is not None:
                self._amended[position.number] = amended

    # ---- the fold

    def apply(self, seq: int, stream: int, number: int | None, event: Event) -> None:
        """Take in the next event; most concern no position."""
        if isinstance(event, OrderFilled):
            position = self._open(number, event.account_id, event.instrument_id)
            self._stale_if_split_since(position, event.ts_event)
            if event.replaces:
                self._replace(position.number, stream, event)
            elif position.number not in self.stale_numbers:
                self._trade(position, position.number, stream, event)
        elif isinstance(event, FillInferred):
            position = self._open(number, event.account_id, event.instrument_id)
            self._stale_if_split_since(position, event.ts_event)
            if position.number not in self.stale_numbers:
                self._trade(position, position.number, stream, event)
        elif isinstance(event, (FillBusted, FillCorrected, InferredFillReleased)):
            self._amend(number, stream, event)
        elif isinstance(event, CommissionChanged):
            self._change_fee(number, stream, event)
        elif isinstance(event, CashMoved):
            position = self._open(number, event.account_id, event.instrument_id)
            position.receive(event.currency, event.amount)
        elif isinstance(event, PositionAdjusted):
            position = self._open(number, event.account_id, event.instrument_id)
            self._stale_if_split_since(position, event.ts_event)
            if position.number not in self.stale_numbers:
                position.shift(event.adjusted_qty, event.px)
        elif isinstance(event, InstrumentSplit):
            self._split(event)
        elif isinstance(event, InstrumentDefined):
            self._define(event)

    def opened(self, number: int, account_id: str, instrument_id: str) -> Position:
        """Return a position, made where it is new (for the fast fold)."""
        return self._open(number, account_id, instrument_id)

    def _open(self, number: int | None, account_id: str, instrument_id: str) -> Position:
        assert number is not None, "an event that moves a position names it"
        position = self.by_number.get(number)
        if position is None:
            definition = self._definitions.get(instrument_id)
            contract = Contract.LINEAR if definition is None else definition.contract
            base = None if definition is None else definition.base_currency
            position = Position(number, account_id, instrument_id, contract, base)
            self.by_number[number] = position
            self._numbers[account_id, instrument_id] = number
        return position

    def _split(self, event: InstrumentSplit) -> None:
        """Split every position in the instrument; one that moved since then is folded anew.

        Whether one did, only its records tell, and a split is rare.
        """
        ts, name = event.ts_event, event.instrument_id
        if ts is not None:
            self.last_splits[name] = max(ts, self.last_splits.get(name, ts))
        for position in self._of(name):
            if ts is not None:
                self.stale_numbers.add(position.number)
            elif position.number not in self.stale_numbers:
                position.split(event.numerator, event.denominator)

    def _stale_if_split_since(self, position: Position, ts: int | None) -> None:
        """Note that what happened at *ts* is heard of after a split that came after it."""
        split_ts = self.last_splits.get(position.instrument_id)
        if split_ts is not None and ts is not None and ts < split_ts:
            self.stale_numbers.add(position.number)

    def stale_where_split(self) -> None:
        """Note that columns were folded, which do not tell the time (for the fast fold)."""
        for name in self.last_splits:
            self.stale_numbers |= {position.number for position in self._of(name)}

    def _of(self, instrument_id: str) -> Iterator[Position]:
        return (p for p in self.by_number.values() if p.instrument_id == instrument_id)

    def _define(self, event: InstrumentDefined) -> None:
        self._definitions[event.instrument_id] = event
        for position in self._of(event.instrument_id):
            kind = position.contract, position.base_currency
            if kind != (event.contract, event.base_currency):
                position.contract = event.contract
                position.base_currency = event.base_currency
                self.stale_numbers.add(position.number)

    def _trade(
        self,
        position: Position | LotBook,
        number: int,
        stream: int,
        event: OrderFilled | FillInferred,
    ) -> None:
        """Count one fill as it stands now, and what it cost."""
        sign = 1 if event.side is Side.BUY else -1
        key = (stream, event.fill_no)
        amended = self._amended.get(number)
        pieces = None if amended is None else amended.pieces.get(key)
        px = event.last_px
        if pieces is None:
            _count(position, sign, event.last_qty, px)
        else:
            for piece in pieces:
                _count(position, sign, piece.qty, piece.px)
                if piece.source == event.fill_no:
                    px = piece.px
                    if _stands_elsewhere(amended, stream, event):
                        position.trade_count -= 1
        if isinstance(event, OrderFilled):
            for currency, amount in _fees(event, key, amended).items():
                position.charge(currency, amount, px)

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
        self.stale_numbers.add(number)

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
        self.stale_numbers.add(number)
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
            fees = amended.fees.get(key, {})
            amended.void[key] = {
                currency for currency, (_, ts) in fees.items() if is_after(ts, event.ts_event)
            }
        else:
            amended.void.pop(key, None)

    def _change_fee(self, number: int | None, stream: int, event: CommissionChanged) -> None:
        assert number is not None
        position = self.by_number[number]
        amended = self._amended.setdefault(number, Amendments())
        key = (stream, event.fill_no)
        fee = event.commission, event.ts_event
        amended.fees.setdefault(key, {})[event.commission_currency] = fee
        if key in amended.void:
            amended.void[key].add(event.commission_currency)
        moves_qty = (
            position.contract is Contract.SPOT
            and event.commission_currency == position.base_currency
        )
        if moves_qty or key in amended.void:
            self.stale_numbers.add(number)
        elif number not in self.stale_numbers:
            change = EXACT.subtract(event.commission, event.prior or _ZERO)
            position.charge(event.commission_currency, change)

    # ---- folding anew

    def refold(self, number: int, records: Iterable[_Recorded]) -> None:
        """Work out a stale position from *records*: all that ever moved it, in sequence.

        Records of other positions and instruments may be among them.
        """
        self.fold_into(self.by_number[number], number, records)
        self.stale_numbers.discard(number)

    def fold_into(
        self, holding: Position | LotBook, number: int, records: Iterable[_Recorded]
    ) -> None:
        """Fold the *records* of position *number* into *holding*, as its fills stand now."""
        holding.reset()
        for record in _around_splits(records, holding.instrument_id, number):
            event = record.event
            if isinstance(event, InstrumentSplit):
                holding.split(event.numerator, event.denominator)
            elif isinstance(event, (OrderFilled, FillInferred)):
                self._trade(holding, number, record.stream, event)
            elif isinstance(event, CashMoved):
                holding.receive(event.currency, event.amount)
            elif isinstance(event, PositionAdjusted):
                holding.shift(event.adjusted_qty, event.px)


def _around_splits(
    records: Iterable[_Recorded], instrument_id: str, number: int
) -> Iterable[_Recorded]:
    """Return the records of one position and its instrument's splits, each on its side of them.

    The others stay in sequence among themselves.  At the instant of a split the new units count
    already.  What has no time stands where it was recorded.
    """
    kept = [
        record
        for record in records
        if record.position == number or _is_split(record.event, instrument_id)
    ]
    splits = sorted(
        (record.event.ts_event, record.seq)
        for record in kept
        if isinstance(record.event, InstrumentSplit) and record.event.ts_event is not None
    )
    if not splits:
        return kept
    times = [ts for ts, _ in splits]

    def place(record: _Recorded) -> tuple[int, int, int]:
        """Return how many splits come first, then what stands between two of them in order."""
        ts, seq = record.event.ts_event, record.seq
        if isinstance(record.event, InstrumentSplit) and ts is not None:
            return splits.index((ts, seq)), 1, 0
        if ts is None:
            return sum(split_seq < seq for _, split_seq in splits), 0, seq
        return bisect_right(times, ts), 0, seq

    return sorted(kept, key=place)


def _is_split(event: Event, instrument_id: str) -> bool:
    return isinstance(event, InstrumentSplit) and event.instrument_id == instrument_id


def _amendments_state(amended: Amendments) -> dict[str, Any]:
    def text(value: Decimal | None) -> str | None:
        return None if value is None else str(value)

    return {
        "pieces": [
            [*key, [[p.source, text(p.qty), text(p.px)] for p in pieces]]
            for key, pieces in sorted(amended.pieces.items())
        ],
        "fees": [
            [*key, {currency: [text(fee), ts] for currency, (fee, ts) in sorted(fees.items())}]
            for key, fees in sorted(amended.fees.items())
        ],
        "void": [[*key, sorted(kept)] for key, kept in sorted(amended.void.items())],
    }


def _amendments_of(state: Mapping[str, Any]) -> Amendments | None:
    if not (state["pieces"] or state["fees"] or state["void"]):
        return None
    return Amendments(
        pieces={
            (stream, fill_no): tuple(
                Piece(source, Decimal(qty), None if px is None else Decimal(px))
                for source, qty, px in pieces
            )
            for stream, fill_no, pieces in state["pieces"]
        },
        fees={
            (stream, fill_no): {
                currency: (Decimal(fee), ts) for currency, (fee, ts) in fees.items()
            }
            for stream, fill_no, fees in state["fees"]
        },
        void={(stream, fill_no): set(kept) for stream, fill_no, kept in state["void"]},
    )


def _fees(event: OrderFilled, key: FillKey, amended: Amendments | None) -> dict[str, Decimal]:
    """Return what a fill costs now, by currency."""
    fees: dict[str, Decimal] = {}
    if event.commission is not None:
        fees[event.commission_currency or "UNKNOWN"] = event.commission
    if amended is not None:
        fees |= {currency: fee for currency, (fee, _) in amended.fees.get(key, {}).items()}
        if key in amended.void:
            return {currency: fees[currency] for currency in sorted(amended.void[key])}
    return fees


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


def _count(position: Position | LotBook, sign: int, qty: Decimal, px: Decimal | None) -> None:
    """Count one fill, by the quick path where there is one and both figures fit."""
    if px is not None and isinstance(position, Position):
        units, price = scaled(qty), scaled(px)
        if units is not None and price is not None:
            position.trade(units * sign, price)
            return
    position.trade_exact(qty if sign > 0 else qty.copy_negate(), px)
