"""Cancels and replacements on the paper exchange: granted, refused, or pending for a while."""

from decimal import Decimal

import pytest

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
from fillbook.core.commands import CancelOrder, ReplaceOrder
from fillbook.core.reports import CancelReject, OrderReport
from fillbook.core.values import ExecType, OrderStatus, Side


def test_a_cancel_ends_what_is_open():
    exchange = an_exchange()
    answers(exchange, an_order(qty="5", limit_px="101"))

    messages = answers(exchange, CancelOrder(client_order_id="R-1-C1", orig_client_order_id="R-1"))

    report = messages[-1]
    assert report.exec_type is ExecType.CANCELED
    assert (report.client_order_id, report.orig_client_order_id) == ("R-1-C1", "R-1")
    assert (report.cum_qty, report.leaves_qty) == (1, 0)
    assert exchange.quote("SHARE") == (99, None)


@pytest.mark.parametrize(
    ("request_id", "orig", "reason"),
    [
        ("C-1", "R-9", "UNKNOWN_ORDER"),
        ("C-1", "FULL", "TOO_LATE_TO_CANCEL"),
        ("OPEN", "OPEN", "DUPLICATE_CLIENT_ORDER_ID"),
    ],
)
def test_a_cancel_that_cannot_be_is_refused(request_id, orig, reason):
    exchange = an_exchange()
    answers(exchange, an_order("OPEN", limit_px="98"), an_order("FULL", qty="1"))

    (refusal,) = answers(
        exchange, CancelOrder(client_order_id=request_id, orig_client_order_id=orig)
    )

    assert isinstance(refusal, CancelReject)
    assert (refusal.client_order_id, refusal.orig_client_order_id) == (request_id, orig)
    assert refusal.reason == reason
    status = {"R-9": "REJECTED", "FULL": "FILLED", "OPEN": "NEW"}[orig]
    assert refusal.order_status == status


def acknowledged(kind: type, **terms) -> tuple[PaperExchange, list]:
    """Return an exchange that has acknowledged our request and not yet answered it."""
    for seed in range(100):
        exchange = an_exchange(seed)
        answers(exchange, an_order(limit_px="100"))
        exchange.submit(kind(client_order_id="R-1-X", orig_client_order_id="R-1", **terms))
        messages = exchange.advance(exchange.now_ns + SECOND // 40)
        if exchange.order("R-1").request is not None:
            return exchange, messages
    raise AssertionError("a third of all requests is acknowledged first")


def test_a_pending_cancel_takes_fills_until_it_is_answered():
    exchange, messages = acknowledged(CancelOrder)
    messages += answers(exchange, an_order("S-1", Side.SELL, "5", limit_px="100", account_id="b"))

    pending, trade, refusal = [
        each for each in messages if (each.client_order_id or "").startswith("R-1")
    ]
    assert (pending.exec_type, pending.order_status) == (
        ExecType.PENDING_CANCEL,
        OrderStatus.PENDING_CANCEL,
    )
    assert (pending.client_order_id, pending.orig_client_order_id) == ("R-1-X", "R-1")
    assert trade.order_status is OrderStatus.PENDING_CANCEL, "it has the higher precedence"
    assert (trade.cum_qty, trade.leaves_qty) == (5, 0)
    assert (refusal.reason, refusal.order_status) == ("TOO_LATE_TO_CANCEL", OrderStatus.FILLED)


def test_a_second_request_is_refused_while_one_is_pending():
    exchange, _ = acknowledged(ReplaceOrder, limit_px=Decimal(97))
    messages = answers(exchange, CancelOrder(client_order_id="R-1-C2", orig_client_order_id="R-1"))

    assert [each.reason for each in messages if isinstance(each, CancelReject)] == [
        "ALREADY_PENDING"
    ]
    assert [each.limit_px for each in of_type(messages, ExecType.REPLACED)] == [97]


def test_what_is_pending_is_answered_before_the_day_ends():
    for seed in range(100):
        exchange = an_exchange(seed)
        answers(exchange, an_order(limit_px="98"))
        exchange.advance(CLOSES_NS - SECOND // 50)
        exchange.submit(CancelOrder(client_order_id="R-1-C1", orig_client_order_id="R-1"))
        exchange.advance(CLOSES_NS - 1)
        if exchange.order("R-1").request is not None:
            break
    exchange.advance(CLOSES_NS + SECOND)
    assert exchange.order("R-1").order_status is OrderStatus.CANCELED


def replaced(exchange: PaperExchange, orig: str = "R-1", **terms) -> OrderReport:
    request = ReplaceOrder(
        client_order_id=f"{orig}-R",
        orig_client_order_id=orig,
        **{key: Decimal(value) for key, value in terms.items()},
    )
    return last_of(answers(exchange, request), f"{orig}-R")


@pytest.mark.parametrize(
    ("terms", "first"),
    [
        ({"order_qty": "4"}, "R-1-R"),
        ({"order_qty": "6"}, "B-1"),
        ({"order_qty": "5"}, "R-1-R"),
        ({"limit_px": "100"}, "R-1-R"),
    ],
)
def test_only_taking_quantity_off_keeps_the_place(terms, first):
    exchange = an_exchange()
    answers(exchange, an_order(limit_px="100"), an_order("B-1", limit_px="100", account_id="b"))

    report = replaced(exchange, **terms)
    assert report.exec_type is ExecType.REPLACED
    assert report.orig_client_order_id == "R-1"
    assert report.order_status is OrderStatus.NEW

    messages = answers(exchange, an_order("S-1", Side.SELL, "1", limit_px="100", account_id="c"))
    makers = [each for each in of_type(messages, ExecType.TRADE) if each.liquidity == "MAKER"]
    assert [each.client_order_id for each in makers] == [first]


def test_a_replacement_that_crosses_trades_at_once():
    exchange = an_exchange()
    answers(exchange, an_order(limit_px="98"))
    request = ReplaceOrder(
        client_order_id="R-1-R", orig_client_order_id="R-1", limit_px=Decimal(101)
    )
    messages = answers(exchange, request)

    assert fills_of(messages, "R-1-R") == [("1", "101")]
    assert last_of(messages, "R-1-R").leaves_qty == 4
    assert exchange.quote("SHARE") == (101, None)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"limit_px": "98.5"}, "OTHER"),
        ({"order_qty": "1"}, "OTHER"),
        ({"order_qty": "2000"}, "OTHER"),
    ],
)
def test_a_replacement_that_breaks_a_rule_is_refused_and_changes_nothing(terms, reason):
    exchange = an_exchange()
    answers(exchange, an_order(limit_px="101"))  # one of five is filled

    refusal = replaced(exchange, **terms)

    assert isinstance(refusal, CancelReject)
    assert (refusal.reason, refusal.order_status) == (reason, OrderStatus.PARTIALLY_FILLED)
    order = exchange.order("R-1")
    assert (order.order_qty, order.limit_px, order.client_order_ids) == (5, 101, ["R-1"])


def test_a_stop_order_can_be_replaced_while_it_waits():
    exchange = an_exchange()
    answers(exchange, an_order(qty="1", stop_px="105"))

    report = replaced(exchange, stop_px="100")

    assert report.exec_type is ExecType.TRADE, "the last price was 100: it is triggered at once"
    assert report.order_status is OrderStatus.FILLED


def test_a_stop_order_that_was_canceled_is_never_triggered():
    exchange = an_exchange()
    answers(exchange, an_order(qty="1", stop_px="101"))
    answers(exchange, CancelOrder(client_order_id="R-1-C1", orig_client_order_id="R-1"))

    messages = answers(exchange, an_order("B-1", qty="1", account_id="b"))

    assert [each.client_order_id for each in of_type(messages, ExecType.TRADE)] == ["B-1"]
    assert of_type(messages, ExecType.TRIGGERED) == []


def test_some_instruments_give_a_replaced_order_a_new_number():
    exchange = an_exchange()
    before = answers(
        exchange,
        an_order("R-1", limit_px="98"),
        an_order("R-2", limit_px="98", instrument_id="COIN"),
    )

    for orig, renumbers in (("R-1", False), ("R-2", True)):
        report = replaced(exchange, orig, limit_px="97")
        assert (report.venue_order_id != last_of(before, orig).venue_order_id) is renumbers
