"""The exchange in miniature: how it carries out orders, and which it refuses."""

import ast
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from brokers.paper_builders import (
    CLOSES_NS,
    SECOND,
    an_exchange,
    an_order,
    answers,
    fills_of,
    last_of,
    of_type,
)
from fillbook.brokers.paper import PaperExchange
from fillbook.brokers.paper_book import Book, Resting
from fillbook.brokers.paper_market import LISTINGS, Crowd
from fillbook.core.commands import SubmitOrder
from fillbook.core.values import ExecType, OrderStatus, Side

# ---- matching


def test_a_limit_order_rests_until_the_market_comes():
    exchange = an_exchange()
    first = answers(exchange, an_order(limit_px="98"))
    assert [each.exec_type for each in first][-1] is ExecType.NEW
    assert first[-1].order_status is OrderStatus.NEW
    assert (first[-1].cum_qty, first[-1].leaves_qty, first[-1].avg_px) == (0, 5, None)

    later = answers(exchange, an_order("S-1", Side.SELL, "3", limit_px="98", account_id="other"))

    assert fills_of(later, "R-1") == [("2", "98")], "the crowd's bid at 99 comes first"
    report = last_of(later, "R-1")
    assert report.order_status is OrderStatus.PARTIALLY_FILLED
    assert (report.cum_qty, report.leaves_qty, report.liquidity) == (2, 3, "MAKER")


def test_a_market_order_fills_at_several_prices_and_the_rest_is_canceled():
    exchange = an_exchange()
    answers(exchange, an_order("S-1", Side.SELL, "2", limit_px="103", account_id="other"))

    messages = answers(exchange, an_order())

    assert fills_of(messages, "R-1") == [("1", "101"), ("2", "103")]
    report = last_of(messages, "R-1")
    assert (report.exec_type, report.order_status) == (ExecType.CANCELED, OrderStatus.CANCELED)
    assert (report.cum_qty, report.leaves_qty) == (3, 0)
    assert str(report.avg_px) == "102.33333333333333333333", "20 places, as a venue prints it"
    assert exchange.truth()["orders"][1]["avg_px"] == "102.3333333333333333333333333"


def test_orders_fill_over_time_where_the_market_moves():
    exchange = PaperExchange(3, opens_ns=0, closes_ns=CLOSES_NS, pace_ns=SECOND)
    bid_px, _ = exchange.quote("SBER")
    exchange.submit(
        SubmitOrder(
            client_order_id="R-1",
            instrument_id="SBER",
            side=Side.BUY,
            order_type="LIMIT",
            order_qty=Decimal(3_000),
            limit_px=bid_px,
        )
    )

    trades = of_type(exchange.advance(CLOSES_NS), ExecType.TRADE)

    assert len(trades) > 2
    assert len({each.ts_event // SECOND for each in trades}) > 1
    assert all(each.last_px == bid_px for each in trades)


def test_of_two_accounts_at_one_price_the_earlier_fills_first():
    exchange = an_exchange()
    messages = answers(
        exchange,
        an_order("A-1", limit_px="100", account_id="a"),
        an_order("B-1", limit_px="100", account_id="b"),
        an_order("S-1", Side.SELL, "7", limit_px="100", account_id="other"),
    )

    assert fills_of(messages, "A-1") == [("5", "100")]
    assert fills_of(messages, "B-1") == [("2", "100")]
    assert fills_of(messages, "S-1") == [("5", "100"), ("2", "100")]
    trades = of_type(messages, ExecType.TRADE)
    assert trades[0].trade_id == trades[1].trade_id != trades[2].trade_id
    assert len({each.exec_id for each in trades}) == 4


@pytest.mark.parametrize(("qty", "filled"), [("3", "3"), ("4", "0")])
def test_fill_or_kill_is_all_or_nothing(qty, filled):
    exchange = an_exchange()
    answers(exchange, an_order("S-1", Side.SELL, "2", limit_px="102", account_id="other"))

    messages = answers(exchange, an_order(qty=qty, limit_px="102", time_in_force="FOK"))

    report = last_of(messages, "R-1")
    assert str(report.cum_qty) == filled
    assert report.order_status is (OrderStatus.FILLED if filled == "3" else OrderStatus.CANCELED)
    assert len(fills_of(messages, "R-1")) == (2 if filled == "3" else 0)


def test_immediate_or_cancel_never_rests():
    exchange = an_exchange()
    messages = answers(exchange, an_order(limit_px="101", time_in_force="IOC"))

    assert fills_of(messages, "R-1") == [("1", "101")]
    assert last_of(messages, "R-1").order_status is OrderStatus.CANCELED
    assert exchange.quote("SHARE") == (99, None)


def test_an_account_does_not_trade_with_itself():
    exchange = an_exchange()
    answers(exchange, an_order("R-1", limit_px="100"))

    messages = answers(exchange, an_order("R-2", Side.SELL, "3", limit_px="100"))

    assert last_of(messages, "R-1").exec_type is ExecType.CANCELED
    assert of_type(messages, ExecType.TRADE) == []
    assert last_of(messages, "R-2").order_status is OrderStatus.NEW


def test_a_stop_order_waits_for_a_trade_at_its_price():
    exchange = an_exchange()
    answers(exchange, an_order("S-1", Side.SELL, "9", limit_px="103", account_id="other"))
    waiting = answers(exchange, an_order("R-1", qty="2", stop_px="103"))
    assert last_of(waiting, "R-1").order_status is OrderStatus.NEW

    quiet = answers(exchange, an_order("B-1", qty="1", account_id="b"))
    assert fills_of(quiet, "B-1") == [("1", "101")]
    assert of_type(quiet, ExecType.TRIGGERED) == []
    messages = answers(exchange, an_order("B-2", qty="1", account_id="b"))

    assert fills_of(messages, "B-2") == [("1", "103")]
    triggered = of_type(messages, ExecType.TRIGGERED)
    assert [each.client_order_id for each in triggered] == ["R-1"]
    assert fills_of(messages, "R-1") == [("2", "103")]


def test_a_stop_limit_order_rests_at_its_limit_once_it_is_triggered():
    exchange = an_exchange()
    messages = answers(
        exchange,
        an_order("R-1", Side.SELL, "2", stop_px="99", limit_px="98"),
        an_order("B-1", Side.SELL, "1", account_id="b"),
    )

    assert fills_of(messages, "B-1") == [("1", "99")]
    assert last_of(messages, "R-1").exec_type is ExecType.TRIGGERED
    assert exchange.quote("SHARE") == (None, 98)


# ---- refusals


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"instrument_id": "NOWHERE"}, "UNKNOWN_SYMBOL"),
        ({"limit_px": "99.5"}, "OTHER"),
        ({"limit_px": "-1"}, "OTHER"),
        ({"stop_px": "100.1"}, "OTHER"),
        ({"order_type": "LIMIT"}, "OTHER"),
        ({"order_type": "STOP_LIMIT", "limit_px": "99"}, "OTHER"),
        ({"order_type": "ICEBERG"}, "OTHER"),
        ({"time_in_force": "GTD"}, "OTHER"),
        ({"time_in_force": "GTD", "expire_time": 1}, "OTHER"),
        ({"qty": "1.5"}, "OTHER"),
        ({"qty": "0"}, "OTHER"),
        ({"qty": "1001"}, "EXCEEDS_LIMIT"),
    ],
)
def test_an_order_that_breaks_a_rule_is_rejected(terms, reason):
    exchange = an_exchange()
    (report,) = answers(exchange, an_order(**terms))

    assert (report.exec_type, report.order_status) == (ExecType.REJECTED, OrderStatus.REJECTED)
    assert (report.reason, report.cum_qty, report.leaves_qty) == (reason, 0, 0)
    assert report.text
    assert [row["order_status"] for row in exchange.truth()["orders"]] == ["REJECTED"]


def test_a_second_order_under_one_id_is_rejected_and_the_first_stands():
    exchange = an_exchange()
    answers(exchange, an_order(limit_px="98"))

    (report,) = answers(exchange, an_order(limit_px="97"))

    assert (report.reason, report.order_status) == ("DUPLICATE_ORDER", OrderStatus.REJECTED)
    assert [row["limit_px"] for row in exchange.truth()["orders"]] == ["98"]
    assert exchange.order("R-1").order_status is OrderStatus.NEW


def test_nothing_is_taken_after_the_session():
    exchange = an_exchange()
    exchange.advance(CLOSES_NS)
    (report,) = answers(exchange, an_order())
    assert report.reason == "EXCHANGE_CLOSED"


# ---- the session and the wire


def test_a_day_order_expires_and_a_gtc_order_stays():
    exchange = an_exchange()
    answers(
        exchange,
        an_order("R-1", limit_px="101"),
        an_order("R-2", limit_px="98", time_in_force="GTC"),
        an_order("R-3", stop_px="200"),
    )

    messages = exchange.advance(CLOSES_NS + SECOND)

    assert [each.client_order_id for each in of_type(messages, ExecType.EXPIRED)] == ["R-1", "R-3"]
    assert (messages[0].cum_qty, messages[0].leaves_qty) == (1, 0)
    assert exchange.order("R-2").order_status is OrderStatus.NEW


def test_nothing_arrives_before_it_happened_and_the_line_keeps_its_order():
    exchange = PaperExchange(5, opens_ns=0, closes_ns=CLOSES_NS, pace_ns=SECOND)
    seen = []
    for number in range(50):
        side = Side.BUY if number % 2 else Side.SELL
        exchange.submit(an_order(f"R-{number}", side, "100", instrument_id="GAZP"))
        until_ns = exchange.now_ns + SECOND // 100
        arrived = exchange.advance(until_ns)
        assert all(each.ts_received <= until_ns for each in arrived)
        seen += arrived
    seen += exchange.advance(CLOSES_NS)

    assert len(seen) > 100
    events, arrivals = [each.ts_event for each in seen], [each.ts_received for each in seen]
    assert events == sorted(set(events))
    assert arrivals == sorted(set(arrivals))
    assert all(each.ts_event < each.ts_received for each in seen)


def test_a_command_takes_its_time_to_arrive():
    exchange = an_exchange()
    exchange.submit(evolve(an_order(), ts_event=3 * SECOND))
    assert exchange.advance(3 * SECOND) == []
    assert all(each.ts_event > 3 * SECOND for each in exchange.advance(4 * SECOND))


def test_a_poll_tells_the_order_as_it_stands():
    exchange = an_exchange()
    answers(exchange, an_order(limit_px="101"))
    exchange.poll(client_order_id="R-1")
    exchange.poll(venue_order_id=exchange.order("R-1").venue_order_id)
    exchange.poll(client_order_id="R-9")

    first, second, unknown = exchange.advance(exchange.now_ns + SECOND)

    assert first.is_snapshot
    assert first.exec_id is None
    assert first.order_status is OrderStatus.PARTIALLY_FILLED
    assert (first.cum_qty, first.leaves_qty, first.avg_px) == (1, 4, 101)
    assert evolve(second, ts_event=0, ts_received=0) == evolve(first, ts_event=0, ts_received=0)
    assert (unknown.order_status, unknown.reason) == (OrderStatus.REJECTED, "UNKNOWN_ORDER")
    assert unknown.client_order_id == "R-9"


def test_the_fair_price_walks_the_same_way_whatever_anybody_does():
    listing, paths = LISTINGS[0], []
    for is_disturbed in (False, True):
        crowd = Crowd(4, listing, pace_ns=SECOND)
        book, path = Book(crowd.fair_px), []
        crowd.quote(book)
        for _ in range(300):
            if is_disturbed:
                book.take(is_buy=True, qty=500, limit_px=None, account_id="me")
                book.rest(Resting(True, crowd.fair_px - 1, 10, "me"))
            path.append((crowd.wait_ns(), crowd.fair_px))
            crowd.step(book)
        paths.append(path)
    assert paths[0] == paths[1]
    assert len({px for _, px in paths[0]}) > 10


# ---- on its own


BROKERS = Path(__file__).resolve().parents[2] / "src/fillbook/brokers"
WAITING = {"paper_live", "paper_client", "paper_server"}
"""What drives the exchange by a real clock: it waits, and decides nothing."""

SOURCES = sorted(path for path in BROKERS.glob("paper*.py") if path.stem not in WAITING)


def test_the_exchange_shares_nothing_with_what_it_is_compared_with():
    """A truth that came out of the same code as the book would prove nothing."""
    program = (
        "import sys, fillbook.brokers.paper_sim, fillbook.brokers.paper_server\n"
        "print(*sorted(name for name in sys.modules if name.startswith('fillbook.core.')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(SOURCES[0].parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [
        f"fillbook.core.{name}" for name in ("commands", "exact", "reports", "times", "values")
    ]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_float_no_wall_clock_and_no_unseeded_chance(source):
    tree = ast.parse(source.read_text())
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    modules = {
        name.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert constants
    if source.stem == "paper_faults":  # a chance is no amount
        names.discard("float")
        constants = [value for value in constants if value not in (0, 0.5, 0.7, 1)]
    assert not any(isinstance(value, float) for value in constants)
    assert "float" not in names
    assert not modules & {"time", "datetime", "secrets", "uuid", "math"}
