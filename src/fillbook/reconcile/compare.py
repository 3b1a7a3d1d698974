"""Say where the book and the broker differ: positions of two sides in, differences out.

Everything is by account and instrument, over the union of both sides.  An instrument that the
broker's answer does not name is absent (`reported_qty` None), which is not the same as flat: the
answer may be empty or cut short by mistake.  What is compared is the quantity; average prices go
along for information.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from attrs import frozen

from fillbook.core.exact import EXACT, canonical
from fillbook.reconcile.policies import Limits, Size

__all__ = ["Difference", "Held", "Size", "compare"]

_ZERO = Decimal(0)


class Held(NamedTuple):
    """What one side says that an account holds of an instrument.

    A tuple because an answer may have ten thousand of them.

    Attributes:
        position_qty: Signed base units, long > 0.
        avg_px: Quote currency per base unit; None where the side does not tell.
    """

    account_id: str
    instrument_id: str
    position_qty: Decimal
    avg_px: Decimal | None = None


@frozen(kw_only=True)
class Difference:
    """One position that the two sides do not agree on.

    Attributes:
        held_qty: Ours, the book's; signed base units, 0 where the book has none.
        reported_qty: The broker's; None where its answer does not name the instrument at all.
        gap_qty: What must be added to the book for it to agree: reported - held, never 0.
        size: How large the gap is, by the instrument's limits.
        held_avg_px, reported_avg_px: Quote currency per base unit; None where not told, or where
            the side has more than one row of the position.
    """

    account_id: str
    instrument_id: str
    held_qty: Decimal
    reported_qty: Decimal | None
    gap_qty: Decimal
    size: Size
    held_avg_px: Decimal | None
    reported_avg_px: Decimal | None


def compare(
    held: Iterable[Held], reported: Iterable[Held], limits_of: Callable[[str], Limits]
) -> tuple[Difference, ...]:
    """Return the differences, by account and instrument; empty where the sides agree.

    Several rows of one position add up: in hedge mode a broker tells the long and the short leg
    apart.

    Args:
        held: The book's positions; what it does not name it does not hold.
        reported: The broker's answer.
        limits_of: The limits by `instrument_id`; asked only for what differs.

    Raises `TypeError` for a difference of anything but finite `Decimal`s.
    """
    ours, theirs = _by_position(held), _by_position(reported)
    differing = []
    for key, their in theirs.items():
        our = ours.get(key)
        if (_ZERO if our is None else our.position_qty) != their.position_qty:
            differing.append(key)
    differing += [key for key in ours.keys() - theirs.keys() if ours[key].position_qty]
    differing.sort()
    return tuple(_difference(ours.get(key), theirs.get(key), limits_of) for key in differing)


def _by_position(rows: Iterable[Held]) -> dict[tuple[str, str], Held]:
    rows = list(rows)
    found = {(row.account_id, row.instrument_id): row for row in rows}
    if len(found) == len(rows):  # nearly always, and quick
        return found
    found.clear()
    for row in rows:
        key = (row.account_id, row.instrument_id)
        found[key] = _sum(found[key], row) if key in found else row
    return found


def _sum(one: Held, other: Held) -> Held:
    """Return both as one position; two averages have no third without what each was paid for."""
    return Held(
        account_id=one.account_id,
        instrument_id=one.instrument_id,
        position_qty=canonical(EXACT.add(one.position_qty, other.position_qty)),
    )


def _difference(
    our: Held | None, their: Held | None, limits_of: Callable[[str], Limits]
) -> Difference:
    row = our or their
    assert row is not None
    held_qty = _ZERO if our is None else our.position_qty
    reported_qty = None if their is None else their.position_qty
    for qty in (held_qty, _ZERO if their is None else their.position_qty):
        # Checked here and not of every row, of which nearly all agree: it would double their cost.
        if type(qty) is not Decimal or not qty.is_finite():
            raise TypeError(f"position_qty of {row} is {qty!r}: it takes a finite Decimal")
    gap_qty = canonical(EXACT.subtract(reported_qty or _ZERO, held_qty))
    return Difference(
        account_id=row.account_id,
        instrument_id=row.instrument_id,
        held_qty=held_qty,
        reported_qty=reported_qty,
        gap_qty=gap_qty,
        size=limits_of(row.instrument_id).size_of(gap_qty),
        held_avg_px=None if our is None else our.avg_px,
        reported_avg_px=None if their is None else their.avg_px,
    )
