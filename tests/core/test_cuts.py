"""The fold may be cut anywhere: at any event, and by letting go of orders that are closed."""

import json
from decimal import Decimal
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from builders import Desk, ListLog, a_fee, a_fill, a_report, an_intent
from core.claims import claims, deals, definitions, splits
from core.venue_histories import arrivals
from fillbook.core.book import Book
from fillbook.core.orders import Order
from fillbook.core.policies import FillPolicy
from fillbook.core.replaying import book_state, replay, restore
from fillbook.core.standing import Standing
from fillbook.core.values import ExecType
from fillbook.log.columns import STATUS_OF_CODE, hot_columns

nonsense = st.lists(claims | deals | definitions | splits, min_size=1, max_size=8)
histories = nonsense | arrivals | st.tuples(arrivals, nonsense).map(lambda both: both[0] + both[1])


def played(history: list[Any], wait_ns: int, keep_closed: int = 10_000) -> Desk:
    desk = Desk(policy=FillPolicy(wait_ns=wait_ns), keep_closed=keep_closed)
    go_on(desk, history)
    return desk


def go_on(desk: Desk, history: list[Any]) -> None:
    for message in history:
        desk.say(message)
        desk.wait_until(3)


def content(order: Order) -> dict[str, Any]:
    """Return everything an order holds."""
    held = {name: getattr(order, name) for name in Order.__slots__}
    held["standing"] = {name: getattr(order.standing, name) for name in Standing.__slots__}
    return held


def whole_state(book: Book, log: ListLog) -> dict[str, Any]:
    """Return everything a book says, its orders included."""
    views = [view.as_json() for view in book.position_views()]
    streams = sorted({r.stream for r in log.records if r.type.startswith("order.")})
    return {
        "book": book_state(book),
        "views": views,
        "orders": [content(book.order(stream)) for stream in streams],
        "instruments": book.instruments,
    }


def rows(log: ListLog, after: int) -> list[tuple[Any, ...]]:
    """Return what the fast fold reads of each record."""
    told = []
    for record in log.records[after:]:
        op, status, qty, px, fee, currency, _ = hot_columns(record.event)
        told.append(
            (record.seq, op, record.stream, status, record.position, qty, px, fee, currency)
        )
    return told


@given(histories, st.sampled_from([0, 2]), st.booleans(), st.booleans())
def test_a_fold_cut_anywhere_goes_on_as_if_it_had_not_been(history, wait_ns, is_fast, is_refreshed):
    """What a snapshot keeps, with the records it can ask for, is all that the rest needs."""
    log = played(history, wait_ns).log
    straight = Book(log)
    for record in log.records:
        straight.apply(record)
    wanted = whole_state(straight, log)

    first = Book(log)
    for cut in range(len(log.records) + 1):
        state = json.loads(json.dumps(book_state(first)))
        second = restore(state, log)
        if is_fast:
            replay(second, rows(log, after=cut), log, STATUS_OF_CODE)
        else:
            for record in log.records[cut:]:
                second.apply(record)

        assert second.seq == len(log.records)
        assert whole_state(second, log) == wanted

        if cut < len(log.records):
            first.apply(log.records[cut])
        if is_refreshed:
            first.refresh_positions()


@given(histories, st.sampled_from([0, 2]))
def test_a_book_that_forgets_closed_orders_decides_the_same(history, wait_ns):
    """How much is kept in memory changes no event: what is not there is folded again."""
    all_kept = played(history, wait_ns)
    none_kept = played(history, wait_ns, keep_closed=0)

    assert [r.event for r in none_kept.log.records] == [r.event for r in all_kept.log.records]
    assert whole_state(none_kept.book, none_kept.log) == whole_state(all_kept.book, all_kept.log)


@given(histories, st.sampled_from([0, 2]), st.integers(0, 8))
def test_a_restart_anywhere_decides_the_same(history, wait_ns, after):
    """A book that was restored has no order in memory; the next message must not notice."""
    straight = played(history, wait_ns)
    restarted = played(history[:after], wait_ns)
    restarted.restart()
    go_on(restarted, history[after:])

    assert [r.event for r in restarted.log.records] == [r.event for r in straight.log.records]


def test_a_closed_order_that_waits_for_its_fills_is_kept():
    """Who looks for what is overdue looks in memory."""
    desk = Desk(policy=FillPolicy(wait_ns=10), keep_closed=0)
    desk.say(an_intent(), a_report(ExecType.CANCELED, cum_qty="4", ts_event=1))
    assert [order.client_order_id for order in desk.book.resident_orders()] == ["R-1"]
    assert desk.order().is_closed

    assert desk.wait_until(11) == ["order.fill_inferred"]

    desk.book.trim()
    assert list(desk.book.resident_orders()) == []


def test_an_id_that_repeats_names_every_order_in_memory_or_not():
    """A fee of yesterday's trade comes when another instrument has a trade of the same id."""
    desk = Desk(keep_closed=0)
    for number, instrument in enumerate(["X", "Y"]):
        ids = {"client_order_id": f"R-{number}", "venue_order_id": "V-1"}
        desk.say(
            an_intent(f"R-{number}", instrument_id=instrument),
            a_fill("T-1", "1", "100", **ids),
        )
    desk.say(a_report(ExecType.CANCELED, client_order_id="R-0"))
    assert [order.client_order_id for order in desk.book.resident_orders()] == ["R-1"]

    said = desk.say(a_fee("T-1", "0.5", instrument_id="X"))

    assert said.outcome == "RECORDED"
    assert desk.order("R-0").commissions == {"USD": Decimal("0.5")}
    by_venue_id = a_report(ExecType.ORDER_STATUS, client_order_id=None, venue_order_id="V-1")
    said = desk.say(evolve(by_venue_id, instrument_id="X", cum_qty=Decimal(3), ts_event=None))
    assert said.order is not None
    assert said.order.client_order_id == "R-0"
