"""Bring an event of an older version up to the newest: pure steps, one per version ever left.

Stored events are never rewritten; this happens on every read.
"""

from collections.abc import Callable
from typing import Any, cast

from attrs import fields

from fillbook.core.events import Event, OrderFilled, OrderFilledV1

__all__ = ["UPCASTERS", "upcast"]


def upcast(event: Event) -> Event:
    """Return *event* in its newest version; the same object where it is that already."""
    step = UPCASTERS.get((event.type, event.version))
    while step is not None:
        event = step(event)
        step = UPCASTERS.get((event.type, event.version))
    return event


def _order_filled_1_to_2(event: Event) -> Event:
    """In version 1 the trade's id served as the execution's; liquidity and market were not told."""
    old = cast(OrderFilledV1, event)
    values: dict[str, Any] = {a.name: getattr(old, a.name) for a in fields(OrderFilledV1)}
    if old.exec_id is None:
        values["exec_id"] = old.trade_id
    return OrderFilled(**values, liquidity=None, last_mkt=None)


UPCASTERS: dict[tuple[str, int], Callable[[Event], Event]] = {
    ("order.filled", 1): _order_filled_1_to_2,
}
"""By the type and version they start from."""
