"""Say in words what a difference turned out to be: what moved the position once it was asked."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from attrs import frozen

from fillbook.core.events import (
    CommissionChanged,
    Event,
    FillBusted,
    FillCorrected,
    FillInferred,
    InferredFillReleased,
    InstrumentSplit,
    OrderFilled,
)
from fillbook.core.exact import EXACT, plain
from fillbook.core.operator_events import PositionAdjusted
from fillbook.core.reconciled_events import PositionAdopted
from fillbook.core.values import Side
from fillbook.log.port import Record

__all__ = ["Move", "explained_by", "held_before", "move_of", "moves"]

_MOVES = (
    OrderFilled, FillInferred, FillBusted, FillCorrected, InferredFillReleased, CommissionChanged,
    PositionAdjusted, InstrumentSplit,
)  # fmt: skip


@frozen(kw_only=True)
class Move:
    """One event that moved a position, for whoever looks for what is wrong.

    Attributes:
        what: What it was, in words.
        client_order_id: Whose fill it was; None where it was none, or somebody else's order.
        trade_id: The venue's id of the fill; None where it was none.
    """

    seq: int
    what: str
    ts_event: int | None
    client_order_id: str | None = None
    trade_id: str | None = None


def moves(records: Iterable[Record]) -> list[Record]:
    """Return those of a position's *records* that may have changed its quantity."""
    return [record for record in records if isinstance(record.event, _MOVES)]


def explained_by(records: Iterable[Record], foreign: Iterable[int] = ()) -> str | None:
    """Return what *records*, found by asking, come to; None where there are none.

    *foreign* are the streams of orders that are not the robot's.
    """
    streams = set(foreign)
    counts: dict[str, int] = {}
    for record in records:
        kind = _kind(record.event, is_foreign=record.stream in streams)
        if kind is not None:
            counts[kind] = counts.get(kind, 0) + 1
    if not counts:
        return None
    return ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items())


def _kind(event: Event, *, is_foreign: bool) -> str | None:
    if isinstance(event, OrderFilled):
        return "fill of an order that is not ours" if is_foreign else "missed fill"
    if isinstance(event, FillInferred):
        return "inferred fill"
    if isinstance(event, FillBusted):
        return "busted fill"
    if isinstance(event, FillCorrected):
        return "corrected fill"
    if isinstance(event, InferredFillReleased):
        return "inferred fill that is accounted for otherwise"
    if isinstance(event, InstrumentSplit):
        return f"split {plain(event.numerator)}:{plain(event.denominator)}"
    if isinstance(event, CommissionChanged):
        return f"fee in {event.commission_currency}"
    if isinstance(event, PositionAdjusted) and not isinstance(event, PositionAdopted):
        return "transfer" if event.reason.startswith("transfer ") else "adjustment by hand"
    return None


def held_before(records: Sequence[Record], held_qty: Decimal) -> list[tuple[int, Decimal]]:
    """Return what was held before each of *records*, the latest first, as far as fills tell it.

    Args:
        records: What moved the position last, oldest first.
        held_qty: What is held after all of them, signed base units.
    """
    found = []
    for record in reversed(records):
        event = record.event
        if not isinstance(event, OrderFilled | FillInferred):
            break
        moved_qty = event.last_qty.copy_negate() if event.side is Side.BUY else event.last_qty
        held_qty = EXACT.add(held_qty, moved_qty)
        found.append((record.seq, held_qty))
    return found


def move_of(record: Record) -> Move:
    """Return what *record* did to its position."""
    event = record.event
    if isinstance(event, OrderFilled | FillInferred):
        px = "an unknown price" if event.last_px is None else plain(event.last_px)
        kind = "inferred " if isinstance(event, FillInferred) else ""
        return Move(
            seq=record.seq,
            what=f"{kind}{event.side} {plain(event.last_qty)} at {px}",
            ts_event=event.ts_event,
            client_order_id=event.client_order_id,
            trade_id=event.trade_id,
        )
    if isinstance(event, PositionAdjusted):
        what = f"adjusted by {plain(event.adjusted_qty)}: {event.reason}"
    elif isinstance(event, InstrumentSplit):
        what = f"split {plain(event.numerator)}:{plain(event.denominator)}"
    else:
        what = record.type
    return Move(seq=record.seq, what=what, ts_event=event.ts_event)
