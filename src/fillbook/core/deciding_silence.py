"""Decide what silence means for an order, and what ends it.

Silence is no evidence: an order that nobody answers for is `UNKNOWN`, not rejected.  Three things
end that: a report (`decide`), proof that the request never arrived, an operator who looked.
"""

from fillbook.core.draft import Draft
from fillbook.core.events import OrderEvent, OrderLost, OrderRejected, OrderUpdated
from fillbook.core.orders import Order
from fillbook.core.policies import AT_ONCE
from fillbook.core.values import Source

__all__ = ["decide_identified", "decide_lost", "decide_never_arrived"]


def decide_lost(
    order: Order, why: str, ts_event: int | None, source: Source
) -> tuple[OrderEvent, ...]:
    """Return that nothing tells any more whether the venue has *order*; nothing where known.

    An order that the venue ever spoke of, or that is over, is not lost by one failed call.
    """
    now = order.standing
    if now.is_lost or now.is_received or now.is_over():
        return ()
    draft = Draft(order, None, AT_ONCE, source)
    draft.ts_event = ts_event
    draft.now.lose(ts_event)
    draft.emit(OrderLost, text=why)
    return tuple(draft.events)


def decide_never_arrived(
    order: Order, evidence: str, ts_event: int | None, source: Source
) -> tuple[OrderEvent, ...]:
    """Return that *order* ended because it never reached the venue; nothing where it is over.

    *evidence* says in words what proves it.  A report that shows the order after all is believed
    and opens it again (`decide`).
    """
    now = order.standing
    if now.is_received or now.is_over():
        return ()
    draft = Draft(order, None, AT_ONCE, source)
    draft.ts_event = ts_event
    draft.now.miss()
    draft.emit(OrderRejected, reason="NEVER_ARRIVED", text=evidence, never_arrived=True)
    return tuple(draft.events)


def decide_identified(
    order: Order, venue_order_id: str, ts_event: int | None
) -> tuple[OrderEvent, ...]:
    """Return that an operator found *order* at the venue under *venue_order_id*."""
    if venue_order_id in order.venue_order_ids:
        return ()
    draft = Draft(order, None, AT_ONCE, Source.OPERATOR)
    draft.ts_event = ts_event
    draft.new_venue_id = venue_order_id
    draft.emit(OrderUpdated)
    return tuple(draft.events)
