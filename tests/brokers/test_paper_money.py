"""The exchange's money: fees and funding, fills taken back, and what it says is true."""

from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.paper_builders import (
    CLOSES_NS,
    PERPETUAL,
    SECOND,
    SHARE,
    an_exchange,
    an_order,
    answers,
    fill,
    fills_of,
    of_type,
    the_trade,
)
from fillbook.brokers.paper import PaperExchange
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.reports import CashReport, CommissionReport, OrderReport
from fillbook.core.values import ExecType, OrderStatus, Side

# ---- money


@pytest.mark.parametrize(
    ("instrument_id", "maker", "taker", "currency"),
    [
        ("SHARE", "-0.5", "1", "RUB"),  # 500 at -0.001 and 0.002
        ("COIN", "-0.005", "0.01", "COIN"),  # 5 of the base itself
        ("PERPETUAL", "-0.005", "0.01", "BTC"),  # 5 x 100 / 100 = 5 BTC
    ],
)
def test_a_fee_is_a_share_of_what_changed_hands(instrument_id, maker, taker, currency):
    trades = of_type(fill(an_exchange(), instrument_id=instrument_id), ExecType.TRADE)

    assert [str(each.commission) for each in trades] == [maker, taker]
    assert [each.liquidity for each in trades] == ["MAKER", "TAKER"]
    assert {each.commission_currency for each in trades} == {currency}


def test_a_fee_is_rounded_half_even_to_its_currency():
    listing = evolve(SHARE, taker_rate=Decimal("0.00005"))
    assert str(listing.fee(1, 100, is_maker=False)) == "0"  # 0.005
    assert str(listing.fee(1, 300, is_maker=False)) == "0.02"  # 0.015
    inverse = evolve(PERPETUAL, taker_rate=Decimal("0.0005"))
    assert str(inverse.fee(7, 71_500, is_maker=False)) == "0.0000049"  # 0.000004895...


def test_fees_on_spot_come_out_of_what_is_held():
    exchange = an_exchange()
    fill(exchange, instrument_id="COIN")  # the buyer takes, the seller makes

    held = {row["account_id"]: row["position_qty"] for row in exchange.truth()["positions"]}
    assert held == {"default": "4.99", "other": "-4.995"}
    assert exchange.held_qty("COIN") == 5


def test_funding_is_paid_by_the_long_side():
    exchange = an_exchange()
    fill(exchange, instrument_id="PERPETUAL")

    assert exchange.fund("PERPETUAL", Decimal("0.0001")) == 2
    assert exchange.fund("SHARE", Decimal("0.0001")) == 0
    paid = [each for each in exchange.advance(CLOSES_NS) if isinstance(each, CashReport)]

    assert {each.account_id: str(each.amount) for each in paid} == {
        "default": "-0.0005",
        "other": "0.0005",
    }
    assert {each.currency for each in paid} == {"BTC"}
    row = next(r for r in exchange.truth()["positions"] if r["account_id"] == "default")
    assert row["cash"] == {"BTC": "-0.0005"}


def test_the_average_is_the_plain_mean_inverse_or_not():
    assert PERPETUAL.avg_px([(1, 100), (3, 200)]) == Decimal("175")
    assert PERPETUAL.avg_px([]) is None


# ---- what is taken back, corrected or comes late


def test_a_busted_fill_is_open_again():
    exchange = an_exchange()
    trade = the_trade(fill(exchange))

    exchange.bust(trade.trade_id)
    messages = exchange.advance(exchange.now_ns + SECOND)

    ours = [each for each in messages if each.client_order_id == "R-1"]
    assert ours[0].exec_type is ExecType.TRADE_CANCEL
    assert ours[0].exec_ref_id == trade.exec_id != ours[0].exec_id
    assert (ours[0].order_status, ours[0].cum_qty, ours[0].leaves_qty) == (OrderStatus.NEW, 0, 5)
    assert {each.client_order_id for each in messages} >= {"R-1", "R-1-other"}, "both sides"
    order = exchange.order("R-1")
    assert order.resting is not None or order.fills[1:], "it works again"


def test_a_busted_market_order_cannot_be_opened_again():
    exchange = an_exchange()
    trade = the_trade(answers(exchange, an_order(qty="1")))

    exchange.bust(trade.trade_id)
    bust, end = exchange.advance(exchange.now_ns + SECOND)

    assert (bust.exec_type, bust.order_status) == (ExecType.TRADE_CANCEL, OrderStatus.NEW)
    assert (end.exec_type, end.leaves_qty) == (ExecType.CANCELED, 0)
    assert exchange.truth()["fills"] == []
    assert exchange.truth()["positions"][0]["position_qty"] == "0"


def test_a_bust_in_a_working_order_gives_its_quantity_back_to_the_book():
    exchange = an_exchange()
    trade = the_trade(answers(exchange, an_order(limit_px="101")))  # one of five

    exchange.bust(trade.trade_id)

    assert exchange.order("R-1").resting.leaves == 5
    messages = answers(exchange, an_order("S-1", Side.SELL, "9", limit_px="101", account_id="b"))
    assert fills_of(messages, "R-1") == [("5", "101")]


def test_a_bust_does_not_open_a_canceled_order():
    exchange = an_exchange()
    trade = the_trade(answers(exchange, an_order(limit_px="101")))
    answers(exchange, CancelOrder(client_order_id="C", orig_client_order_id="R-1"))

    exchange.bust(trade.trade_id)
    (report,) = exchange.advance(exchange.now_ns + SECOND)

    assert (report.order_status, report.cum_qty, report.leaves_qty) == (OrderStatus.CANCELED, 0, 0)


def test_a_correction_names_the_one_before_it():
    exchange = an_exchange()
    trade = the_trade(answers(exchange, an_order(qty="1")))

    exchange.correct(trade.trade_id, last_qty=Decimal(1), last_px=Decimal(105))
    exchange.correct(trade.trade_id, last_qty=Decimal(1), last_px=Decimal(104))
    messages = exchange.advance(exchange.now_ns + SECOND)

    first, second = of_type(messages, ExecType.TRADE_CORRECT)
    assert (first.exec_ref_id, second.exec_ref_id) == (trade.exec_id, first.exec_id)
    assert (first.avg_px, second.avg_px) == (105, 104)
    assert {first.trade_id, second.trade_id} == {trade.trade_id}
    (row,) = exchange.truth()["fills"]
    assert (row["last_px"], row["commission"], row["exec_id"]) == ("104", "0.21", second.exec_id)


def test_a_fee_that_a_correction_changes_is_told_after_it():
    exchange = an_exchange()
    trade = the_trade(answers(exchange, an_order(qty="1")))
    assert str(trade.commission) == "0.2"

    exchange.correct(trade.trade_id, last_qty=Decimal(1), last_px=Decimal(150))
    correction, fee = exchange.advance(exchange.now_ns + SECOND)

    assert correction.commission is None
    assert isinstance(fee, CommissionReport)
    assert (fee.trade_id, str(fee.commission), fee.commission_currency) == (
        trade.trade_id,
        "0.3",
        "RUB",
    )


def test_a_correction_downward_opens_the_difference():
    exchange = an_exchange()
    trade = the_trade(fill(exchange))

    exchange.correct(trade.trade_id, last_qty=Decimal(3), last_px=Decimal(100))
    messages = exchange.advance(exchange.now_ns + SECOND)

    report = next(r for r in of_type(messages, ExecType.TRADE_CORRECT) if r.side is Side.BUY)
    assert (report.order_status, report.cum_qty, report.leaves_qty) == (
        OrderStatus.PARTIALLY_FILLED,
        3,
        2,
    )


def test_a_correction_upward_takes_from_what_is_open():
    exchange = an_exchange()
    trade = the_trade(answers(exchange, an_order(limit_px="101")))  # one of five

    exchange.correct(trade.trade_id, last_qty=Decimal(3), last_px=Decimal(101))

    order = exchange.order("R-1")
    assert (order.cum, order.leaves, order.resting.leaves) == (3, 2, 2)
    assert exchange.held_qty("SHARE") == 3
    exchange.correct(trade.trade_id, last_qty=Decimal(5), last_px=Decimal(101))
    assert order.order_status is OrderStatus.FILLED
    assert exchange.quote("SHARE") == (99, None), "nothing of it is left in the book"


def test_a_late_fill_happened_before_the_cancel_and_is_told_after_it():
    exchange = an_exchange()
    answers(exchange, an_order(limit_px="98"))
    order = exchange.order("R-1")
    assert not exchange.fill_late(order, Decimal(2)), "it is not canceled yet"
    cancel = answers(exchange, CancelOrder(client_order_id="C", orig_client_order_id="R-1"))[-1]
    assert not exchange.fill_late(order, Decimal(6)), "so much was never open"

    assert exchange.fill_late(order, Decimal(2))
    (trade,) = exchange.advance(exchange.now_ns + SECOND)

    assert trade.ts_event < cancel.ts_event < cancel.ts_received < trade.ts_received
    assert (trade.exec_type, trade.order_status) == (ExecType.TRADE, OrderStatus.CANCELED)
    assert (trade.cum_qty, trade.leaves_qty, trade.last_px) == (2, 0, 98)


def test_a_late_fill_that_completes_the_order_makes_it_filled():
    exchange = an_exchange()
    answers(exchange, an_order(limit_px="98"))
    answers(exchange, CancelOrder(client_order_id="C", orig_client_order_id="R-1"))

    assert exchange.fill_late(exchange.order("R-1"), Decimal(5))
    (trade,) = exchange.advance(exchange.now_ns + SECOND)

    assert trade.order_status is OrderStatus.FILLED


def test_an_overfill_counts():
    exchange = an_exchange()
    answers(exchange, an_order(qty="1"), an_order("R-2", limit_px="98"))
    assert not exchange.overfill(exchange.order("R-2"), Decimal(1)), "it is not full"

    assert exchange.overfill(exchange.order("R-1"), Decimal(2))
    (trade,) = exchange.advance(exchange.now_ns + SECOND)

    assert (trade.order_status, trade.cum_qty, trade.leaves_qty) == (OrderStatus.FILLED, 3, 0)
    assert trade.order_qty == 1


def test_an_order_by_phone_has_no_id_of_ours():
    exchange = an_exchange()
    exchange.enter_by_phone(an_order("ignored", qty="1"))
    messages = exchange.advance(SECOND)

    assert [each.exec_type for each in messages][-2:] == [ExecType.NEW, ExecType.TRADE]
    assert {each.client_order_id for each in messages} == {None}
    assert {each.venue_order_id for each in messages} == {"V1-1"}
    assert exchange.truth()["orders"][0]["client_order_id"] is None


# ---- any history


COMMANDS = st.lists(
    st.tuples(
        st.sampled_from(["order", "order", "order", "cancel", "replace", "bust", "wait"]),
        st.sampled_from(list(Side)),
        st.integers(1, 120),
        st.integers(-8, 8),
        st.sampled_from(["MARKET", "LIMIT", "LIMIT", "STOP", "STOP_LIMIT"]),
        st.sampled_from(["DAY", "GTC", "IOC", "FOK"]),
        st.sampled_from(["default", "other"]),
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), COMMANDS)
def test_in_any_history_the_reports_the_fills_and_the_truth_agree(seed, commands):
    exchange = PaperExchange(seed, opens_ns=0, closes_ns=CLOSES_NS, pace_ns=5 * SECOND)
    listing, messages = exchange.listings["SBER"], []
    for number, (what, side, steps, ticks, order_type, time_in_force, account) in enumerate(
        commands
    ):
        px = listing.px(27_550 + ticks)
        orig = f"R-{steps % (number + 1)}"
        if what == "order":
            exchange.submit(
                SubmitOrder(
                    client_order_id=f"R-{number}",
                    instrument_id="SBER",
                    side=side,
                    order_type=order_type,
                    order_qty=listing.qty(steps),
                    limit_px=px,
                    stop_px=px,
                    time_in_force=time_in_force,
                    account_id=account,
                )
            )
        elif what == "cancel":
            exchange.submit(CancelOrder(client_order_id=f"C-{number}", orig_client_order_id=orig))
        elif what == "replace":
            exchange.submit(
                ReplaceOrder(
                    client_order_id=f"C-{number}",
                    orig_client_order_id=orig,
                    order_qty=listing.qty(steps),
                    limit_px=px,
                )
            )
        elif what == "bust":
            known = [fill for order in exchange.orders for fill in order.standing]
            if known:
                exchange.bust(known[steps % len(known)].trade_id)
        messages += exchange.advance(exchange.now_ns + steps * SECOND // 30)
    messages += exchange.advance(CLOSES_NS + SECOND)

    reports = [each for each in messages if isinstance(each, OrderReport)]
    check_reports(reports)
    check_truth(exchange, reports)


def check_reports(reports: list[OrderReport]) -> None:
    for report in reports:
        assert report.cum_qty >= 0
        assert report.leaves_qty >= 0
        if report.order_status not in ("FILLED", "CANCELED", "REJECTED", "EXPIRED"):
            assert report.cum_qty + report.leaves_qty == report.order_qty
        else:
            assert report.leaves_qty == 0
        assert (report.avg_px is None) is (report.cum_qty == 0)
        if report.exec_type is ExecType.TRADE and report.limit_px is not None:
            within = report.last_px <= report.limit_px
            if report.side is not Side.BUY:
                within = report.last_px >= report.limit_px
            assert within or report.order_type in ("MARKET", "STOP")
    for order_id in {each.venue_order_id for each in reports if each.time_in_force == "FOK"}:
        told = [each for each in reports if each.venue_order_id == order_id]
        most = max(each.cum_qty for each in told)
        assert most in (0, max(each.order_qty for each in told)), "all or nothing"


def check_truth(exchange: PaperExchange, reports: list[OrderReport]) -> None:
    truth = exchange.truth()
    last = {each.venue_order_id: each for each in reports}
    filled = {row["venue_order_id"]: Decimal(0) for row in truth["orders"]}
    held: dict[str, Decimal] = {}
    for row in truth["fills"]:
        qty = Decimal(row["last_qty"])
        filled[row["venue_order_id"]] += qty
        signed = qty if row["side"] == "BUY" else -qty
        held[row["account_id"]] = held.get(row["account_id"], Decimal(0)) + signed
    for row in truth["orders"]:
        if row["order_status"] == "REJECTED":
            continue
        report = last[row["venue_order_id"]]
        assert Decimal(row["cum_qty"]) == filled[row["venue_order_id"]] == report.cum_qty
        assert Decimal(row["leaves_qty"]) == report.leaves_qty
        assert row["order_status"] == report.order_status
    for row in truth["positions"]:
        assert Decimal(row["position_qty"]) == held.get(row["account_id"], 0)
        assert exchange.held_qty("SBER", row["account_id"]) == held.get(row["account_id"], 0)
