"""Hold what the robot may do: its halts, its line, what is queued; the fold of its own events."""

from collections.abc import Callable
from decimal import Decimal

from attrs import define, field

from fillbook.core.events import Event, OrderSubmitted
from fillbook.core.exact import EXACT
from fillbook.core.robot_events import (
    HaltDeclared,
    HaltLifted,
    LineLost,
    LineRestored,
    OrderQueued,
    QueuedOrderDropped,
)
from fillbook.core.values import Side

__all__ = ["CONTROL_EVENTS", "Control", "reduces"]

CONTROL_EVENTS = (
    LineLost,
    LineRestored,
    OrderQueued,
    QueuedOrderDropped,
    HaltDeclared,
    HaltLifted,
)

_EVERYTHING = ""


@define
class Control:
    """What holds for the robot as of the last record applied.

    Attributes:
        halts: The halt of each instrument, `""` for all of them.
        lost: Why the line is down; None while it is up.
        queued: Orders that wait for the line, by client order id, oldest first.
        since: Seq of the event each of these stands on: `halt:…`, `line`, `queued:…`.
    """

    halts: dict[str, HaltDeclared] = field(factory=dict)
    lost: LineLost | None = None
    queued: dict[str, OrderQueued] = field(factory=dict)
    since: dict[str, int] = field(factory=dict)

    def apply(self, seq: int, event: Event) -> None:
        """Take in the next event; those of no concern are passed over."""
        if isinstance(event, HaltDeclared):
            key = event.instrument_id or _EVERYTHING
            self.halts[key] = event
            self.since[f"halt:{key}"] = seq
        elif isinstance(event, HaltLifted):
            key = event.instrument_id or _EVERYTHING
            self.halts.pop(key, None)
            self.since.pop(f"halt:{key}", None)
        elif isinstance(event, LineLost):
            self.lost = event
            self.since["line"] = seq
        elif isinstance(event, LineRestored):
            self.lost = None
            self.since.pop("line", None)
        elif isinstance(event, OrderQueued):
            self.queued[event.client_order_id] = event
            self.since[f"queued:{event.client_order_id}"] = seq
        elif isinstance(event, QueuedOrderDropped | OrderSubmitted):
            self._unqueue(event.client_order_id or "")

    def sent(self, find_client_order: Callable[[str], int | None]) -> None:
        """Take out of the queue what has become an order, after a fold that saw no bodies."""
        for client_order_id in list(self.queued):
            if find_client_order(client_order_id) is not None:
                self._unqueue(client_order_id)

    def _unqueue(self, client_order_id: str) -> None:
        if self.queued.pop(client_order_id, None) is not None:
            del self.since[f"queued:{client_order_id}"]

    def halt_of(self, instrument_id: str) -> HaltDeclared | None:
        """Return the halt that holds for *instrument_id*, the stricter of its own and the whole's.

        None where it may be traded.
        """
        held = [
            halt
            for halt in (self.halts.get(_EVERYTHING), self.halts.get(instrument_id))
            if halt is not None
        ]
        return min(held, key=lambda halt: halt.level != "HALTED", default=None)


def reduces(position_qty: Decimal, open_qty: Decimal, side: Side, order_qty: Decimal) -> bool:
    """Tell whether an order only takes a position down, and not through zero.

    Args:
        position_qty: Signed, long > 0.
        open_qty: What is already on the way to reduce it, base units, >= 0.
        order_qty: Base units, > 0.
    """
    if position_qty == 0 or (position_qty > 0) == (side is Side.BUY):
        return False
    return EXACT.add(open_qty, order_qty) <= abs(position_qty)
