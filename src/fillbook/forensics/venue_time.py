"""Put what moved a position in the order in which it happened, whatever order it arrived in.

What decides the place of a thing, one after the other:

    its time      `ts_event`, else `ts_received`, else `ts_recorded`
    its kind      split, fill, inferred fill, adjustment, cash
    its identity  a fill's `trade_id`, where runs of digits count as numbers; else what it says

A split comes before the fills of its instant: they are in the new units already.  An inferred fill
has the time of the claim that it came from and follows the fills of that instant, which the claim
counts.  An operator adjusts what was seen, so an adjustment follows both.  Cash moves no quantity.
Two things alike in all of this do the same in either order.  The seq decides nothing, so the log
of any arrival is folded alike; only what has no time of its own stands where it came.

A fee belongs to its fill and counts from the fill's time on, as it was told last, whenever that
was: it is what the trade cost.  A bust takes the fees away that were told before it, or with it;
one that is told after it is the venue's to keep.
"""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal

from attrs import define, field, frozen

from fillbook.core.events import (
    CashMoved,
    CommissionChanged,
    FillBusted,
    FillCorrected,
    FillInferred,
    InferredFillReleased,
    InstrumentSplit,
    OrderEvent,
    OrderFilled,
    OrderRestated,
    Replacement,
)
from fillbook.core.lots import LotBook
from fillbook.core.operator_events import PositionAdjusted
from fillbook.core.orders import Order
from fillbook.core.positions import Position
from fillbook.log.port import Record

__all__ = ["FillStory", "Move", "fill_stories", "other_move", "time_of", "trade"]

_SPLIT, _FILL, _INFERRED, _ADJUSTMENT, _CASH = range(5)

_DIGITS = re.compile(r"(\d+)", re.ASCII)


def time_of(record: Record) -> int:
    """Return when *record* happened, ns: as its author says, else when we got it, else wrote it."""
    for ts in (record.ts_event, record.ts_received):
        if ts is not None:
            return ts
    return record.ts_recorded


@frozen
class Move:
    """One thing that moved a position: a trade with its fees, a split, cash or an adjustment.

    Attributes:
        place: Where it stands among the others; those that are equal do the same.
        apply: Moves the position.
    """

    place: tuple[object, ...]
    apply: Callable[[Position | LotBook], None]


# ---- one fill, as it was at any time


@frozen
class _Change:
    """Other figures in a fill's place from `ts` on; `is_rescaled` where only its units changed."""

    ts: int
    qty: Decimal
    px: Decimal | None
    is_bust: bool = False
    is_rescaled: bool = False


@define
class FillStory:
    """All that a log tells of one fill of an order, each with the time it happened.

    Attributes:
        ts: When the fill happened; an inferred one, when its evidence says so.
        qty, px: As first told; of an inferred fill what stands of it now, at every time.
        order_qty: The same in the order's present units, of an inferred fill only.
        fees: (ts, currency, amount); what came with the fill itself has no time, so that any
            later word of its fee replaces it.
    """

    trade_id: str
    ts: int
    qty: Decimal
    px: Decimal | None
    is_inferred: bool
    order_qty: Decimal = Decimal(0)
    changes: list[_Change] = field(factory=list)
    fees: list[tuple[int, str, Decimal]] = field(factory=list)

    def figures_at(self, ts: int) -> tuple[Decimal, Decimal | None]:
        """Return quantity (> 0, or 0) and price as a position counts them at *ts*.

        A restatement of the order's units is none of a position's: that moves by its own split.
        """
        change = self._change_at(ts)
        return (self.qty, self.px) if change is None else (change.qty, change.px)

    def order_figures_at(self, ts: int) -> tuple[Decimal, Decimal | None]:
        """Return quantity and price as the order counts them at *ts*, restated ones included."""
        if self.is_inferred:
            return self.order_qty, self.px
        past = [change for change in self._changes() if change.ts <= ts]
        return (past[-1].qty, past[-1].px) if past else (self.qty, self.px)

    def fees_at(self, ts: int) -> dict[str, Decimal]:
        """Return what the fill costs by currency, < 0 for a rebate, as of *ts*."""
        change = self._change_at(ts)
        if change is not None and change.is_bust:
            told = [fee for fee in self.fees if fee[0] > change.ts]
        else:
            busts = [each.ts for each in self._changes() if each.is_bust and each.ts > ts]
            told = [fee for fee in self.fees if not busts or fee[0] <= busts[0]]
        told.sort(key=lambda fee: fee[0])
        return {currency: amount for _, currency, amount in told}

    def _changes(self) -> list[_Change]:
        return sorted(self.changes, key=lambda change: change.ts)

    def _change_at(self, ts: int) -> _Change | None:
        """Return the bust or correction that stands at *ts*; None while the fill is as told."""
        past = [each for each in self._changes() if each.ts <= ts and not each.is_rescaled]
        return past[-1] if past else None


def fill_stories(
    events: Iterable[tuple[int, OrderEvent]], fold: Callable[[OrderEvent], Order]
) -> dict[int, FillStory]:
    """Return the fills of one order by number, from its (time, event) pairs in sequence.

    *fold* applies each event to the order and returns it.
    """
    stories: dict[int, FillStory] = {}
    order: Order | None = None
    for ts, event in events:
        order = fold(event)
        if isinstance(event, OrderFilled):
            story = FillStory(event.trade_id, ts, event.last_qty, event.last_px, is_inferred=False)
            if event.commission is not None:
                story.fees.append((-1, event.commission_currency or "UNKNOWN", event.commission))
            stories[event.fill_no] = story
            _take(stories, event.replaces)
        elif isinstance(event, FillInferred):
            stories[event.fill_no] = FillStory(
                event.trade_id, ts, event.last_qty, event.last_px, is_inferred=True
            )
        elif isinstance(event, InferredFillReleased):
            _take(stories, event.releases)
        elif isinstance(event, FillBusted):
            change = _Change(ts, Decimal(0), event.last_px, is_bust=True)
            stories[event.fill_no].changes.append(change)
        elif isinstance(event, FillCorrected):
            stories[event.fill_no].changes.append(_Change(ts, event.last_qty, event.last_px))
        elif isinstance(event, CommissionChanged):
            fee = (ts, event.commission_currency, event.commission)
            stories[event.fill_no].fees.append(fee)
        elif isinstance(event, OrderRestated) and event.rescaled_from is not None:
            for fill_no, fill in order.fills.items():
                change = _Change(ts, fill.qty, fill.px, is_rescaled=True)
                stories[fill_no].changes.append(change)
    if order is not None:
        for fill_no, story in stories.items():
            story.order_qty = order.fills[fill_no].qty
    return stories


def _take(stories: dict[int, FillStory], parts: Iterable[Replacement]) -> None:
    """Leave of inferred fills what later facts do not account for."""
    for part in parts:
        story = stories[part.fill_no]
        story.qty, story.px = part.left_qty, part.left_px


# ---- what moves a position


def trade(story: FillStory, sign: int, ts: int) -> Move | None:
    """Return what a fill of an order on this side moved by *ts*; None where that is nothing."""
    if story.ts > ts:
        return None
    qty, px = story.figures_at(ts)
    fees = story.fees_at(ts)
    if not (qty or fees):
        return None
    signed = qty if sign > 0 else qty.copy_negate()

    def move(position: Position | LotBook) -> None:
        if signed:
            position.trade_exact(signed, px)
        for currency, fee in fees.items():
            position.charge(currency, fee, px)

    rank = _INFERRED if story.is_inferred else _FILL
    says = (-sign, qty, px is not None, px or Decimal(0), tuple(sorted(fees.items())))
    return Move((story.ts, rank, _natural(story.trade_id), says), move)


def other_move(event: object, ts: int) -> Move | None:
    """Return what a split, cash or an adjustment moved at *ts*; None for any other event."""
    if isinstance(event, InstrumentSplit):
        up, down = event.numerator, event.denominator
        return Move((ts, _SPLIT, (up, down)), lambda position: position.split(up, down))
    if isinstance(event, PositionAdjusted):
        qty, px = event.adjusted_qty, event.px
        says = (qty, px is not None, px or Decimal(0))
        return Move((ts, _ADJUSTMENT, says), lambda position: position.shift(qty, px))
    if isinstance(event, CashMoved):
        currency, amount = event.currency, event.amount
        return Move(
            (ts, _CASH, (currency, amount)), lambda position: position.receive(currency, amount)
        )
    return None


def _natural(text: str) -> tuple[object, ...]:
    """Return a key by which T-9 comes before T-10."""
    parts: list[object] = [*_DIGITS.split(text)]  # text and digits take turns, so keys compare
    for place in range(1, len(parts), 2):
        digits = str(parts[place]).lstrip("0")
        parts[place] = len(digits), digits
    return tuple(parts), text
