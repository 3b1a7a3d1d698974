"""Folded by venue time, any order of arrival of one venue history ends in the same figures.

Left out of the histories, each because nothing in it tells what holds: messages without a time
(they stand where they came); two amendments, or two fees in one currency, of one fill at one
instant; trades without a quantity or price of their own, whose figures are read off the totals as
they come; a restatement of an order's units, which rescales the fills known by then; marks, of
which only a change is kept, so that prices are given here.  A fee of a trade that nobody told of
yet is set aside, and told again.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import (
    INSTRUMENT,
    a_bust,
    a_correction,
    a_fee,
    a_fill,
    a_report,
    a_snapshot,
    a_split,
    an_instrument,
    an_intent,
    dec,
    some_cash,
)
from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.orders import Order
from fillbook.core.reports import MarkReport
from fillbook.core.values import Contract, ExecType, OrderStatus, Side
from fillbook.feedback.recorder import Recorder
from fillbook.forensics.replay import Method, happened_by
from fillbook.log.port import Draft, Record
from fillbook.log.sqlite import SqliteLog
from fillbook.wiring import LogHistory
from forensics.venue_days import Day, an_arrival

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
METHODS: tuple[Method, ...] = ("average", "fifo", "lifo")
MARK = {"X": Decimal(93), INSTRUMENT: Decimal(93)}
END = 10**9

seeds = st.integers(0, 10**6)


def searched(examples: int) -> settings:
    return settings(
        max_examples=3000 if IS_LONG else examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def told(messages: Iterable[Any]) -> Iterator[tuple[SqliteLog, Book]]:
    """Yield a log of *messages* and its book."""
    keys: set[str] = set()
    with SqliteLog.open(":memory:") as log:
        book = Book(LogHistory(log))
        book.apply(next(log.records()))
        with log.batch() as batch:

            def sink(draft: Draft) -> Record:
                if draft.idempotency_key is not None:
                    keys.add(draft.idempotency_key)
                return batch.add(draft)

            recorder = Recorder(book, sink, keys.__contains__)
            for line, message in enumerate(messages, 1):
                recorder.record(Message(line, "", message, repr(message).encode()))
        yield log, book


def figures(
    log: SqliteLog, book: Book, ts: int = END, methods: Iterable[Method] = METHODS
) -> dict[str, Any]:
    """Return what had happened by *ts*: positions by every method, and the orders."""
    found: dict[str, Any] = {}
    for method in methods:
        past = happened_by(log, book, ts, marks=MARK, method=method)
        found[method] = [view.as_json() for view in past.positions]
        found["orders"] = {order.client_order_id: content(order) for order in past.orders}
    return found


def content(order: Order) -> tuple[Any, ...]:
    now = order.standing
    fees = {currency: fee for currency, fee in sorted(order.commissions.items()) if fee}
    return order.order_status, now.order_qty, now.cum_qty, now.avg_px(), fees


@searched(120)
@given(seeds, seeds)
def test_any_arrival_ends_in_the_same_averages_and_profit(day_seed, arrival_seed):
    """Also in those of the plain fold, where everything came as it happened."""
    day = Day(day_seed)
    day.play(12)
    with told([day.definition, *day.messages]) as (log, book):
        straight = figures(log, book)
        assert straight["average"] in ([view.as_json() for view in book.position_views(MARK)], [])

    with told(an_arrival(day, arrival_seed)) as (log, book):
        assert figures(log, book) == straight


@searched(60)
@given(seeds, seeds)
def test_any_arrival_was_the_same_at_every_time(day_seed, arrival_seed):
    """As far as everything told is kept; see `Day`."""
    day = Day(day_seed, is_plain=True)
    times = sorted({message.ts_event for message in day.play(10)})

    def over_time(messages: Iterable[Any]) -> list[Any]:
        with told(messages) as (log, book):
            found = [figures(log, book, ts, ["fifo"]) for ts in times]
        for moment in found:  # an order is there from what we were told of it first
            orders = moment["orders"]
            moment["orders"] = {
                name: told[2:] for name, told in orders.items() if told[2] or told[4]
            }
        return found

    assert over_time(an_arrival(day, arrival_seed)) == over_time([day.definition, *day.messages])


def test_the_histories_hold_what_they_promise():
    """Else the properties above would hold of nothing."""
    seen: set[str] = set()
    shared = 0
    for seed in range(60):
        day = Day(seed)
        times = [message.ts_event for message in day.play(12)]
        shared += len(set(times)) < len(times)
        with told([day.definition, *day.messages]) as (_, book):
            views = book.position_views()
            seen |= {str(day.contract)} | {f"{view.trade_count > 3}" for view in views}
        with told(an_arrival(day, seed)) as (log, _):
            seen |= {record.type for record in log.records()}
    assert shared > 30
    assert seen >= {
        *map(str, Contract), "True", "order.filled", "order.fill_busted", "order.fill_corrected",
        "order.fill_inferred", "order.amendment_held", "order.commission_changed", "cash.moved",
        "instrument.split", "order.inferred_fill_released", "message.set_aside", "order.canceled",
    }  # fmt: skip


# ---- the order of what shares an instant, one by one

BUY = {"client_order_id": "R-1", "side": Side.BUY, "instrument_id": INSTRUMENT}
SELL = {"client_order_id": "R-2", "side": Side.SELL, "instrument_id": INSTRUMENT}


def averages(*messages: Any, method: Method = "average", ts: int = END) -> Any:
    with told([an_instrument(contract=Contract.SPOT), *messages]) as (log, book):
        (position,) = figures(log, book, ts, [method])[method]
        return position["position_qty"], position["avg_px"], position["realized_pnl"]


@pytest.mark.parametrize("way", [1, -1])
def test_fills_of_one_instant_follow_their_ids_as_numbers(way):
    told = [
        a_fill("T-9", "1", "90", ts_event=5, **BUY),
        a_fill("T-10", "1", "80", ts_event=5, **BUY),
    ]
    sale = a_fill("T-11", "1", "100", ts_event=6, **SELL)
    assert averages(*told[::way], sale, method="fifo") == ("1", "80", "10")
    assert averages(*told[::way], sale, method="lifo") == ("1", "90", "20")


@pytest.mark.parametrize("way", [1, -1])
def test_a_split_comes_before_the_fills_of_its_instant(way):
    told = [a_fill("T-2", "4", "50", ts_event=5, **BUY), a_split("2", "1", ts_event=5)]
    first = a_fill("T-1", "2", "100", ts_event=4, **BUY)
    assert averages(first, *told[::way]) == ("8", "50", "0")


def test_a_split_is_of_a_position_that_we_heard_of_after_it():
    told = [some_cash("1", ts_event=1), a_fill("T-1", "2", "100", ts_event=4, **BUY)]
    assert averages(a_split("2", "1", ts_event=5), *told) == ("4", "50", "1")


def test_an_inferred_fill_stands_at_its_claim_after_the_fills_of_that_instant():
    poll = a_snapshot(
        OrderStatus.PARTIALLY_FILLED, cum_qty="2", avg_px="90", ts_event=5, order_qty="9", **BUY
    )
    sale = a_fill("T-2", "1", "100", ts_event=5, **SELL)
    lots = averages(poll, sale, method="fifo")
    assert lots == averages(sale, poll, method="fifo") == ("1", "90", "10")


def test_what_has_no_time_stands_where_it_was_received_else_recorded():
    """An import of last year must not put it after all that came since."""
    told = [
        a_fill("T-1", "1", "90", ts_event=5, **BUY),
        a_fill("T-2", "1", "80", ts_received=4, **BUY),
        a_fill("T-3", "1", "100", ts_event=6, **SELL),
    ]
    assert averages(*told, method="fifo") == ("1", "90", "20")


# ---- what a fill costs, and its units


def test_the_fee_told_last_by_the_venue_counts_whichever_comes_last():
    fees = [a_fee("T-1", "2", ts_event=20), a_fee("T-1", "3", ts_event=30)]
    buy = a_fill("T-1", "1", "90", ts_event=5, commission="1", commission_currency="USD", **BUY)
    for arrived in (fees, fees[::-1], [*fees, fees[0]]):
        assert averages(buy, *arrived) == ("1", "90", "-3")
    assert averages(buy, *fees, ts=6) == ("1", "90", "-3")  # it is what that trade cost


def test_a_fee_told_anew_is_held_against_earlier_words_that_come_later():
    """It says nothing but when: and that decides."""
    buy = a_fill("T-1", "1", "90", ts_event=5, commission="2", commission_currency="USD", **BUY)
    anew = a_fee("T-1", "2", ts_event=30)
    for late in (a_fee("T-1", "0.1", ts_event=20), a_bust("T-1", ts_event=20)):
        for arrived in ([anew, late], [late, anew], [anew, anew, late]):
            with told([an_instrument(), buy, *arrived]) as (log, book):
                now = figures(log, book)
                assert now["average"][0]["commissions"] == {"USD": "2"}
                assert now["average"] == [view.as_json() for view in book.position_views(MARK)]


def test_a_bust_takes_the_fees_of_before_and_not_those_of_after():
    fees = [a_fee("T-1", "2", ts_event=10), a_fee("T-1", "0.5", "EUR", ts_event=30)]
    buy = a_fill("T-1", "1", "90", ts_event=5, commission="1", commission_currency="USD", **BUY)
    bust = a_bust("T-1", ts_event=20)
    for arrived in ([fees[0], bust, fees[1]], [*fees[::-1], bust], [bust, *fees]):
        with told([an_instrument(), buy, *arrived]) as (log, book):
            (head,) = book.position_views()
            now = figures(log, book)
            assert head.commissions == {"EUR": Decimal("0.5")}
            assert now["average"][0]["commissions"] == {"EUR": "0.5"}
            assert now["orders"]["R-1"][4] == {"EUR": Decimal("0.5")}
            assert content(book.find_order("R-1", None))[4] == {"EUR": Decimal("0.5")}
    assert averages(buy, fees[0], bust, ts=19) == ("1", "90", "-2")


def test_a_correction_that_restores_a_busted_fill_brings_its_fee_back():
    buy = a_fill("T-1", "1", "90", ts_event=5, commission="1", commission_currency="USD", **BUY)
    amended = [a_bust("T-1", ts_event=10), a_correction("T-1", "1", "80", ts_event=20)]
    for arrived in (amended, amended[::-1]):
        with told([an_instrument(), buy, *arrived]) as (log, book):
            (view,) = book.position_views()
            assert (view.avg_px, view.commissions) == (Decimal(80), {"USD": Decimal(1)})
            assert content(book.find_order("R-1", None))[4] == {"USD": Decimal(1)}
            assert figures(log, book)["average"][0]["realized_pnl"] == "-1"


def test_a_restated_order_does_not_move_the_position():
    """The split did; counting the fill in the order's new units would move it twice."""
    story = [
        an_intent(order_qty="20", ts_event=1),
        a_fill("T-1", "10", "100", ts_event=5, **BUY),
        a_split("2", "1", ts_event=10),
        a_report(ExecType.RESTATED, restatement_reason="GT_CORPORATE_ACTION", order_qty="40",
                 cum_qty="20", avg_px="50", ts_event=10, **BUY),
    ]  # fmt: skip
    with told([an_instrument(), *story]) as (log, book):
        now = figures(log, book)
        assert now["average"] == [view.as_json() for view in book.position_views(MARK)]
        assert now["average"][0]["position_qty"] == "20"
        assert now["orders"]["R-1"][2:4] == (Decimal(20), Decimal(50))


def test_prices_and_splits_are_read_together(monkeypatch: pytest.MonkeyPatch):
    """One read each would make a year of them a coffee break."""
    marks = [
        MarkReport(instrument_id=INSTRUMENT, px=dec(str(px)), ts_event=px) for px in range(1, 300)
    ]
    splits = [a_split("2", "1", ts_event=ts) for ts in range(1, 30)]
    with told([a_fill("T-1", "1", "90", ts_event=5, **BUY), *marks, *splits]) as (log, book):
        asked: list[str] = []
        fetch = log.fetch

        def counted(*args: Any) -> Any:
            asked.append(args[0])
            return fetch(*args)

        monkeypatch.setattr(log, "fetch", counted)
        past = happened_by(log, book, 7, marks={})
    assert past.positions[0].unrealized_pnl == Decimal(7 * 4 - 90)
    assert len(asked) < 8
