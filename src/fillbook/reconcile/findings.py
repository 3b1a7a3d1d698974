"""Hold what a run found about one position, from the first sight of it to what was done."""

from collections.abc import Sequence

from attrs import define

from fillbook.core.agreement import Key
from fillbook.core.commands import SubmitOrder
from fillbook.core.reconciled_events import PositionGap
from fillbook.reconcile.compare import Difference
from fillbook.reconcile.explain import Move
from fillbook.reconcile.settle import Settlement

__all__ = ["Finding", "key_of"]


def key_of(difference: Difference) -> Key:
    """Return which position it is."""
    return difference.account_id, difference.instrument_id


@define(eq=False)
class Finding:
    """What a run found about one position that was not the same on both sides.

    Attributes:
        first: The difference as it was first seen.
        left: The difference that nothing explains; None where it went away.
        explained: What it turned out to be, in words; None where nothing was found.
        why_waiting: Why it does not count yet; None where it does.
        is_late: It waits, and the broker says what the book held a moment ago: it only lags.
        settlement: What was done about it; None where nothing had to be, or could be.
        moves: For what is left: what moved the position since the agreed point, the last ones.
        moved_since: There is any such; where not, `moves` are the last ones before it.
    """

    first: Difference
    left: Difference | None = None
    explained: str | None = None
    why_waiting: str | None = None
    is_late: bool = False
    settlement: Settlement | None = None
    moves: Sequence[Move] = ()
    moved_since: bool = False

    @property
    def order(self) -> SubmitOrder | None:
        """What trades the position back."""
        return None if self.settlement is None else self.settlement.order

    def gap(self) -> PositionGap:
        """Return it as the run's event has it; only of what is left."""
        left, settlement = self.left, self.settlement
        assert left is not None
        return PositionGap(
            account_id=left.account_id,
            instrument_id=left.instrument_id,
            held_qty=left.held_qty,
            reported_qty=left.reported_qty,
            gap_qty=left.gap_qty,
            size=str(left.size),
            action="WAIT" if settlement is None else str(settlement.action),
            text=self.why_waiting if settlement is None else settlement.text,
        )
