"""What is written must be what is read: the kinds and keys of the public format, and no others."""

import json
from decimal import Decimal
from io import BytesIO

import pytest

from fillbook.brokers.jsonlines import read_jsonl
from fillbook.brokers.jsonlines_out import KINDS, to_jsonl
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.reports import (
    BalanceReport,
    CancelReject,
    CashReport,
    CommissionReport,
    InstrumentReport,
    MarkReport,
    OrderReport,
    PositionReport,
    SplitReport,
    TransferReport,
)
from fillbook.core.values import Contract, ExecType, OrderStatus, Side

NS = 1_773_385_200_123_456_789
MESSAGES = [
    InstrumentReport(
        instrument_id="BTCUSD",
        contract=Contract.INVERSE,
        multiplier=Decimal(100),
        base_currency="BTC",
        quote_currency="USD",
        settlement_currency="BTC",
        qty_step=Decimal(1),
        px_step=Decimal("0.5"),
        lot_size=Decimal(1),
    ),
    SubmitOrder(
        client_order_id="R-1",
        instrument_id="BTCUSD",
        side=Side.SELL_SHORT,
        order_type="STOP_LIMIT",
        order_qty=Decimal("1E+3"),
        limit_px=Decimal("70000.50"),
        stop_px=Decimal("-0.0000000001"),
        time_in_force="GTD",
        expire_time=NS + 1,
        venue="PAPER",
        ts_event=NS,
    ),
    SubmitOrder(
        client_order_id="R-2",
        instrument_id="BTCUSD",
        side=Side.BUY,
        order_type="MARKET",
        cash_order_qty=Decimal(100),
    ),
    CancelOrder(client_order_id="C-1", orig_client_order_id="R-1", ts_event=NS),
    ReplaceOrder(
        client_order_id="C-2", orig_client_order_id="R-1", order_qty=Decimal(2), ts_event=NS
    ),
    OrderReport(
        client_order_id="R-1",
        orig_client_order_id="R-0",
        venue_order_id="V-1",
        account_id="default",
        instrument_id="BTCUSD",
        side=Side.BUY,
        exec_type=ExecType.TRADE_CORRECT,
        order_status=OrderStatus.PARTIALLY_FILLED,
        order_qty=Decimal(2),
        cum_qty=Decimal(1),
        leaves_qty=Decimal(1),
        avg_px=Decimal("0.33333333333333333333"),
        last_qty=Decimal(0),
        last_px=Decimal("0.1"),
        exec_id="E-2",
        exec_ref_id="E-1",
        trade_id="T-1",
        commission=Decimal("-0.5"),
        commission_currency="BTC",
        liquidity="MAKER",
        order_type="LIMIT",
        limit_px=Decimal(1),
        stop_px=Decimal(2),
        time_in_force="DAY",
        expire_time=NS,
        venue="PAPER",
        last_mkt="PAPER",
        reason="OTHER",
        text='сказано "так"\n',
        restatement_reason="OTHER",
        poss_dup=True,
        poss_resend=True,
        ts_event=NS,
        ts_received=NS + 1,
    ),
    OrderReport(venue_order_id="V-1"),
    CancelReject(
        client_order_id="C-1",
        orig_client_order_id="R-1",
        venue_order_id="V-1",
        order_status=OrderStatus.FILLED,
        reason="TOO_LATE_TO_CANCEL",
        text="too late",
        ts_event=NS,
    ),
    CommissionReport(
        instrument_id="BTCUSD",
        trade_id="T-1",
        commission=Decimal("0.25"),
        commission_currency="BTC",
        account_id="default",
        venue_order_id="V-1",
        side=Side.BUY,
        ts_event=NS,
    ),
    PositionReport(
        instrument_id="BTCUSD", position_qty=Decimal(-3), avg_px=Decimal(2), ts_event=NS
    ),
    SplitReport(instrument_id="SBER", numerator=Decimal(2), denominator=Decimal(1), ts_event=NS),
    CashReport(
        instrument_id="BTCUSD",
        amount=Decimal("-0.001"),
        currency="BTC",
        reason="FUNDING",
        ts_event=NS,
    ),
    TransferReport(
        instrument_id="BTCUSD",
        transfer_id="M-1",
        transferred_qty=Decimal(-2),
        px=Decimal("71500.5"),
        account_id="other",
        ts_event=NS,
    ),
    BalanceReport(currency="BTC", amount=Decimal("-0.25"), account_id="other", ts_event=NS),
    MarkReport(instrument_id="BTCUSD", px=Decimal("71500.5"), ts_event=NS),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: KINDS[type(message)][0])
def test_what_is_written_reads_back_the_same(message):
    line = to_jsonl(message)
    assert "\n" not in line

    (read,) = read_jsonl(BytesIO(line.encode() + b"\n"))

    assert read.problem is None
    assert read.content == message


def test_every_kind_is_written():
    assert {type(message) for message in MESSAGES} == set(KINDS)


def test_amounts_are_text_and_nothing_is_null():
    row = json.loads(to_jsonl(MESSAGES[1]))
    assert row["order_qty"] == "1000"
    assert row["limit_px"] == "70000.5"
    assert row["stop_px"] == "-0.0000000001"
    assert row["side"] == "SELL_SHORT"
    assert json.loads(to_jsonl(OrderReport(venue_order_id="V-1"))) == {
        "kind": "report",
        "venue_order_id": "V-1",
    }


def test_what_the_format_has_no_key_for_is_left_out():
    """`ts_received` is a key of `report` alone: a reader would set the message aside."""
    seen = MarkReport(instrument_id="SBER", px=Decimal(1), ts_received=NS)
    assert json.loads(to_jsonl(seen)) == {"kind": "mark", "instrument_id": "SBER", "px": "1"}
