"""Any order of arrival of one venue history ends in the same book, once all of it is there.

Every report carries `ts_event`, as a venue's does.  Left out of the histories: messages without a
time (they are taken as they come) and an order reopened after it was closed (a later closing that
comes before the reopening is disputed, and stays so).
"""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import Desk
from core.venue_histories import a_history, an_arrival
from fillbook.core.reports import OrderReport


def book_of(messages: list[OrderReport]) -> dict[str, Any]:
    """Return the book that *messages* lead to; flags and disputes apart."""
    desk = Desk()
    for message in messages:
        desk.say(message)
    (order,) = desk.orders()
    now = order.standing
    (view,) = desk.book.position_views() or [None]
    return {
        "order_status": order.order_status,
        "order_qty": now.order_qty,
        "cum_qty": now.cum_qty,
        "leaves_qty": now.leaves_qty(),
        "notional": now.notional,
        "fills": {
            fill.trade_id: (fill.ts, fill.qty, fill.px)
            for fill in order.fills.values()
            if not fill.is_inferred and fill.qty
        },
        "inferred": [fill.qty for fill in order.fills.values() if fill.is_inferred and fill.qty],
        "position_qty": view.position_qty if view else Decimal(0),
        "cash_flow": desk.book.positions.get(order_position(desk)).cash_flow if view else 0,
    }


def order_position(desk: Desk) -> int:
    number = desk.book.positions.number("default", "SBER")
    assert number is not None
    return number


@given(st.integers(0, 10**6), st.integers(0, 10**6))
@settings(max_examples=400, deadline=None)
def test_any_arrival_of_one_history_ends_in_the_same_book(history_seed, arrival_seed):
    """Interleaved, delayed and repeated, as streams and polls deliver it."""
    history = a_history(history_seed)
    arrived = an_arrival(history, arrival_seed)

    straight = book_of(history)

    assert straight["inferred"] == []
    assert book_of(arrived) == straight
