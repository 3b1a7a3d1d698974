"""Fold the same trades into lots: first in first out, or last in first out.

A lot is a small `Position` that one fill opened, so there is one arithmetic for every method: what
a lot's basis is, what part of it a close releases, how a fee in kind or a split moves it.  Here is
only decided which lot a fill, a fee or a split falls on.  Quantity, commissions and cash are the
same under every method; average and profit are those of the lots.
"""

from collections import deque
from decimal import Decimal
from functools import reduce
from typing import Literal

from attrs import asdict, evolve, frozen

from fillbook.core.events import InstrumentDefined
from fillbook.core.exact import EXACT, plain
from fillbook.core.holdings import (
    ONE,
    ZERO,
    Holding,
    PositionView,
    split_qty,
    text_of,
    value_at,
)
from fillbook.core.positions import Position
from fillbook.core.values import Contract

__all__ = ["ClosedLot", "LotBook", "LotView", "OpenLot"]


@frozen(kw_only=True)
class ClosedLot:
    """What one closing fill took of one opening fill.

    Attributes:
        lot_qty: Base units, < 0 for a short lot.
        entry_px: Price of the opening fill, as splits before the close restated it.
        realized_pnl_gross: Before commissions; None where a price is unknown.
    """

    lot_qty: Decimal
    entry_px: Decimal | None
    exit_px: Decimal | None
    realized_pnl_gross: Decimal | None

    def as_json(self) -> dict[str, object]:
        """Return the lot as plain data, amounts as text."""
        return {
            "lot_qty": plain(self.lot_qty),
            "entry_px": text_of(self.entry_px),
            "exit_px": text_of(self.exit_px),
            "realized_pnl_gross": text_of(self.realized_pnl_gross),
        }


@frozen(kw_only=True)
class OpenLot:
    """What is still held of one opening fill; `lot_qty` < 0 for a short lot."""

    lot_qty: Decimal
    entry_px: Decimal | None

    def as_json(self) -> dict[str, object]:
        """Return the lot as plain data, amounts as text."""
        return {"lot_qty": plain(self.lot_qty), "entry_px": text_of(self.entry_px)}


@frozen(kw_only=True)
class LotView(PositionView):
    """A position whose average and profit are those of its lots.

    Attributes:
        lots_closed: In the order of closing, one per pair of opening and closing fill.
        lots_open: Oldest first.
    """

    lots_closed: tuple[ClosedLot, ...]
    lots_open: tuple[OpenLot, ...]

    def as_json(self) -> dict[str, object]:
        """Return the position and its lots as plain data, amounts as text."""
        return super().as_json() | {
            "lots_closed": [lot.as_json() for lot in self.lots_closed],
            "lots_open": [lot.as_json() for lot in self.lots_open],
        }


class LotBook(Holding):
    """One account in one instrument, netted, lot by lot.

    A commission in kind takes from, or adds to, the lot that the fill before it opened, else the
    lot that is next to be closed; at cost, so it makes no closed lot and no profit.
    """

    __slots__ = ("_closed", "_gross", "_is_newest_hit", "_lots", "method")

    def __init__(
        self,
        method: Literal["fifo", "lifo"],
        account_id: str,
        instrument_id: str,
        contract: Contract = Contract.LINEAR,
        base_currency: str | None = None,
    ) -> None:
        assert method in ("fifo", "lifo"), method
        self.method = method
        super().__init__(account_id, instrument_id, contract, base_currency)

    def reset(self) -> None:
        """Go back to never traded; method and whose it is stay."""
        super().reset()
        self._lots: deque[Position] = deque()  # oldest first, all on one side of zero
        self._closed: list[ClosedLot] = []  # profit per unit of multiplier
        self._gross: Decimal | None = ZERO
        self._is_newest_hit = False  # the last fill opened the newest lot

    def trade_exact(self, qty: Decimal, px: Decimal | None) -> None:
        """Book a trade of signed *qty* at *px*, None where unknown: close lots, open the rest."""
        self.trade_count += 1
        left = qty
        while left and self._lots and (self._lots[0].qty > 0) is not (left > 0):
            left = self._close(self._next(), left, px)
        self._is_newest_hit = bool(left)
        if left:
            self._open().trade_exact(left, px)
            self._count(self._lots[-1].gross)

    def _close(self, lot: Position, qty: Decimal, px: Decimal | None) -> Decimal:
        """Close as much of *lot* as *qty* reaches and return what is left of *qty*."""
        held, entry_px, before = lot.qty, lot.avg_px, lot.gross
        part = held if held.copy_abs() <= qty.copy_abs() else qty.copy_negate()
        gross = None
        if px is None or value_at(self._contract, px) is None:
            lot.shift(part.copy_negate(), None)  # what stays in the lot keeps its own price
        else:
            lot.trade_exact(part.copy_negate(), px)
            if before is not None and lot.gross is not None:
                gross = EXACT.subtract(lot.gross, before)
        closed = ClosedLot(lot_qty=part, entry_px=entry_px, exit_px=px, realized_pnl_gross=gross)
        self._closed.append(closed)
        self._count(gross)
        self._settle(lot)
        return EXACT.add(qty, part)

    def shift(self, qty: Decimal, px: Decimal | None) -> None:
        """Move the quantity by *qty* at the cost of the lots it falls on, realizing nothing."""
        left, is_newest_hit = qty, self._is_newest_hit
        while left and self._lots:
            lot = self._lots[-1] if is_newest_hit else self._next()
            held = lot.qty
            beyond = (held > 0) is not (left > 0) and left.copy_abs() > held.copy_abs()
            part = held.copy_negate() if beyond else left
            lot.shift(part, px)
            self._settle(lot)
            is_newest_hit = False
            left = EXACT.subtract(left, part)
        if left:
            self._open().shift(left, px)
            self._count(self._lots[-1].gross)

    def split(self, numerator: Decimal, denominator: Decimal) -> None:
        """Multiply every open lot by numerator / denominator, both > 0; its basis stays.

        Where that does not come out the largest lot takes what rounding left, so that the quantity
        is the one of every other method.
        """
        assert numerator > 0, numerator
        assert denominator > 0, denominator
        if not self._lots:
            return
        before = self.qty
        after = split_qty(before, numerator, denominator)
        parts = [split_qty(lot.qty, numerator, denominator) for lot in self._lots]
        excess = EXACT.subtract(total(parts), after)
        largest = max(range(len(parts)), key=lambda n: parts[n].copy_abs())
        parts[largest] = EXACT.subtract(parts[largest], excess)
        for lot, part in zip(self._lots, parts, strict=True):
            lot.restate(part)
        if EXACT.multiply(after, denominator) != EXACT.multiply(before, numerator):
            self._is_rounded = True

    @property
    def qty(self) -> Decimal:
        """Signed quantity, base units."""
        return total([lot.qty for lot in self._lots])

    def view(self, instrument: InstrumentDefined | None, mark: Decimal | None) -> LotView:
        """Return the figures under this definition, valued at *mark*."""
        bases = [lot.basis for lot in self._lots]
        known = [basis for basis in bases if basis is not None]
        figures = self._view(
            instrument,
            mark,
            qty=self.qty,
            basis=None if self._gross is None else total(known),
            gross=self._gross,
        )
        multiplier = ONE if instrument is None else instrument.multiplier
        return LotView(
            **asdict(figures, recurse=False),
            lots_closed=tuple(
                evolve(lot, realized_pnl_gross=self._told(lot.realized_pnl_gross, multiplier))
                for lot in self._closed
            ),
            lots_open=tuple(OpenLot(lot_qty=lot.qty, entry_px=lot.avg_px) for lot in self._lots),
        )

    def _told(self, gross: Decimal | None, multiplier: Decimal) -> Decimal | None:
        """Return the profit of one closed lot as it is told."""
        return None if gross is None else self._shown(EXACT.multiply(gross, multiplier))

    def _next(self) -> Position:
        """Return the lot that is closed next."""
        return self._lots[0] if self.method == "fifo" else self._lots[-1]

    def _open(self) -> Position:
        """Add an empty lot, the newest."""
        lot = Position(0, self.account_id, self.instrument_id, self._contract, self.base_currency)
        self._lots.append(lot)
        return lot

    def _settle(self, lot: Position) -> None:
        """Note what became of *lot*, the oldest or the newest; forget it if nothing is held."""
        self._is_rounded = self._is_rounded or lot.is_rounded
        if not lot.is_flat:
            return
        if lot is self._lots[0]:
            self._lots.popleft()
        else:
            self._lots.pop()

    def _count(self, gross: Decimal | None) -> None:
        """Add what was realized; unknown once is unknown from then on."""
        if gross is None or self._gross is None:
            self._gross = None
        else:
            self._gross = EXACT.add(self._gross, gross)


def total(amounts: list[Decimal]) -> Decimal:
    """Return the exact sum."""
    return reduce(EXACT.add, amounts, ZERO)
