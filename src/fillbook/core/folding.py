"""Fold one order's events into the order: the other half of `decide`.

`fold_order` takes the events of one stream in their sequence.  Every status change goes through
the lifecycle machine.  What an event says of the order after it is not copied but worked out
again; `drift` names the first difference, and `verify` asks for it at every event.  What each kind
of event does to the order is in `folding_status` and `folding_fills`.
"""

from collections.abc import Callable
from typing import Any

from attrs import evolve

from fillbook.core.events import (
    AmendmentHeld,
    CommissionChanged,
    Event,
    FillBusted,
    FillCorrected,
    FillInferred,
    InferredFillReleased,
    OrderCancelRequested,
    OrderDisputed,
    OrderEvent,
    OrderFilled,
    OrderReplaceRequested,
    OrderRestated,
    OrderSubmitted,
)
from fillbook.core.folding_fills import FILL_FOLDS
from fillbook.core.folding_status import STATUS_FOLDS
from fillbook.core.lifecycle import Lifecycle
from fillbook.core.orders import Order, is_after
from fillbook.core.values import CLOSED, Origin

__all__ = ["NOT_SAID_BY_VENUE", "apply_states", "drift", "fold_order", "open_order"]

NOT_SAID_BY_VENUE = (
    OrderSubmitted,
    OrderCancelRequested,
    OrderReplaceRequested,
    CommissionChanged,
    OrderDisputed,
)
"""Events whose time says nothing about when the venue last spoke of the order."""

_QUANTITIES = (
    OrderFilled,
    FillInferred,
    FillBusted,
    FillCorrected,
    InferredFillReleased,
    CommissionChanged,
    AmendmentHeld,
)
_FACTS = (OrderFilled, FillInferred, FillBusted, FillCorrected, InferredFillReleased)
_FOLDS: dict[type[Event], Callable[[Order, Any], None]] = STATUS_FOLDS | FILL_FOLDS


def open_order(stream: int, event: OrderEvent) -> Order:
    """Return the empty order that *event*, the first of its stream, is about."""
    origin = Origin.ROBOT if isinstance(event, OrderSubmitted) else Origin.EXTERNAL
    return Order(stream, event.account_id, event.instrument_id, event.side, origin)


def fold_order(order: Order, event: OrderEvent, machine: Lifecycle) -> None:
    """Apply the next *event* of the order's stream.

    Raises `transitions.MachineError` where the event stores a status that the law does not allow.
    """
    order.version += 1
    _note_ids(order, event)
    _FOLDS[type(event)](order, event)
    machine.move(order, event.order_status)
    for flag in event.flags:
        if flag not in order.flags:
            order.flags.append(flag)
    if event.exec_id is not None and not isinstance(event, OrderDisputed):
        order.exec_ids[event.exec_id] = event.ts_event
    ts = event.ts_event
    if ts is not None and not isinstance(event, NOT_SAID_BY_VENUE):
        order.ts_said = ts if order.ts_said is None else max(order.ts_said, ts)
        if isinstance(event, _FACTS):
            order.ts_fact = ts if order.ts_fact is None else max(order.ts_fact, ts)
    if event.order_status in CLOSED:
        if order.ts_closed is None:
            order.ts_closed = ts
    elif order.standing.closed is None:
        order.ts_closed = None


def apply_states(order: Order, event: OrderEvent) -> None:
    """Apply only what *event* says of ids, terms and states; fills and the machine are left out.

    For a look at the past in another order of time, where each fill is put in its place as it
    stood; `order_status` is then `order.standing.status()`.
    """
    order.version += 1
    _note_ids(order, event)
    if isinstance(event, OrderRestated):
        event = evolve(event, rescaled_from=None)
    if not isinstance(event, _QUANTITIES):
        _FOLDS[type(event)](order, event)
    for flag in event.flags:
        if flag not in order.flags:
            order.flags.append(flag)
    if event.order_status in CLOSED:
        order.ts_closed = event.ts_event if order.ts_closed is None else order.ts_closed


def drift(order: Order, event: OrderEvent) -> str | None:
    """Return how *order*, just folded with *event*, differs from what the event says of it."""
    now = order.standing
    pairs: tuple[tuple[str, Any, Any], ...] = (
        ("order_status", event.order_status, now.status()),
        ("order_qty", event.order_qty, now.order_qty),
        ("cum_qty", event.cum_qty, now.cum_qty),
        ("leaves_qty", event.leaves_qty, now.leaves_qty()),
        ("avg_px", event.avg_px, now.avg_px()),
    )
    for name, said, folded in pairs:
        if said != folded:
            return f"{event.type} says {name} {said}, the fold gives {folded}"
    return None


def _note_ids(order: Order, event: OrderEvent) -> None:
    for client_id in (event.client_order_id, event.request_id):
        if client_id is not None and client_id not in order.client_order_ids:
            order.client_order_ids.append(client_id)
    venue_id = event.venue_order_id
    if venue_id is None or venue_id in order.venue_order_ids:
        return
    if order.venue_order_ids and is_after(order.standing.told.get("TERMS"), event.ts_event):
        # It was said before the terms that stand, and with them the id that the order has now.
        order.venue_order_ids.insert(-1, venue_id)
    else:
        order.venue_order_ids.append(venue_id)
