"""A robot's day: it holds together, it has every trouble, and it is the same day each time."""

import hashlib
import json
import os
import subprocess
import sys
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.paper_day import CLOSES_NS, OPENS_NS, Day, play_day, trading_day
from brokers.paper_scenes import Trouble
from brokers.trouble_signs import SIGNS, reports, trades
from fillbook.brokers.jsonlines_out import to_jsonl
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.exact import decimal_of, plain
from fillbook.core.reports import (
    CancelReject,
    CashReport,
    CommissionReport,
    InstrumentReport,
    MarkReport,
    OrderReport,
)
from fillbook.core.values import CLOSED, ExecType, OrderStatus

DAY_NS = 520 * 60 * 1_000_000_000
SEEDS = range(1, 21)


@cache
def the_day(seed: int) -> Day:
    return play_day(seed)


def digest(messages) -> str:
    return hashlib.sha256("\n".join(map(to_jsonl, messages)).encode()).hexdigest()


# ---- the same day


def test_a_seed_is_one_day_in_every_process():
    """Nothing may depend on the order of a set or on another run's memory."""
    program = (
        "import hashlib\n"
        "from fillbook.brokers.jsonlines_out import to_jsonl\n"
        "from brokers.paper_day import trading_day\n"
        "text = '\\n'.join(map(to_jsonl, trading_day(7, 20)))\n"
        "print(hashlib.sha256(text.encode()).hexdigest())\n"
    )
    root = Path(__file__).resolve().parents[2]
    path = f"{root / 'src'}{os.pathsep}{root / 'tests'}"
    for hash_seed in ("1", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == digest(trading_day(7, 20))


def test_another_seed_is_another_day():
    digests = {digest(trading_day(seed, 20)) for seed in range(4)}
    assert len(digests) == 4


# ---- what holds on every day


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_day_is_in_the_order_in_which_the_robot_saw_it(seed):
    day = the_day(seed)
    seen = [
        each.ts_event if isinstance(each, SubmitOrder | CancelOrder | ReplaceOrder)
        else each.ts_received
        for each in day.messages
    ]  # fmt: skip
    assert seen == sorted(seen)
    assert seen[0] >= OPENS_NS
    assert seen[-1] <= OPENS_NS + DAY_NS
    assert len([each for each in day.messages if isinstance(each, SubmitOrder)]) == 300

    sent: set[str] = set()
    for each in day.messages:
        if isinstance(each, SubmitOrder | CancelOrder | ReplaceOrder):
            assert each.client_order_id not in sent, "an id is used once"
            sent.add(each.client_order_id)
            if not isinstance(each, SubmitOrder):
                assert each.orig_client_order_id in sent
        elif isinstance(each, OrderReport | CancelReject) and each.client_order_id is not None:
            assert each.client_order_id in sent
            assert each.ts_event < each.ts_received


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_every_report_holds_together(seed):
    for report in reports(the_day(seed)):
        check_report(report)


def check_report(report: OrderReport) -> None:
    assert report.client_order_id or report.venue_order_id
    assert report.cum_qty >= 0
    assert report.leaves_qty >= 0
    if report.order_status in CLOSED:
        assert report.leaves_qty == 0
    else:
        assert report.leaves_qty + report.cum_qty == report.order_qty
    if report.order_status is OrderStatus.FILLED:
        assert report.cum_qty >= report.order_qty
    assert (report.avg_px is None) is (report.cum_qty == 0)
    for key in (
        "order_qty",
        "cum_qty",
        "leaves_qty",
        "avg_px",
        "last_px",
        "commission",
        "limit_px",
    ):
        value = getattr(report, key)
        assert value is None or decimal_of(plain(value)) == value, f"{key} could not be read back"
    assert (report.exec_id is None) is report.is_snapshot
    if report.exec_type is ExecType.TRADE:
        assert report.trade_id
        assert report.last_qty > 0
        assert report.last_px > 0
        assert report.liquidity in ("MAKER", "TAKER")
        assert (report.commission is None) is (report.commission_currency is None)
    if report.exec_type in (ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT):
        assert report.exec_ref_id
    if report.exec_type is ExecType.REJECTED:
        assert report.reason in ("UNKNOWN_SYMBOL", "EXCEEDS_LIMIT", "OTHER")


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_robot_was_told_adds_up_to_the_truth(seed):
    """Except for fills that were lost: the truth has them, and no message does."""
    day = the_day(seed)
    lost = {each.trade_id for each in day.occurrences if each.trouble is Trouble.LOST_FILL}
    told: dict[str, list] = {}
    by_exec_id: dict[str, str] = {}
    for each in day.messages:
        if isinstance(each, CommissionReport):
            told[each.trade_id][2] = each.commission
        if not isinstance(each, OrderReport):
            continue
        if each.exec_type is ExecType.TRADE:
            by_exec_id[each.exec_id] = each.trade_id
            told[each.trade_id] = [each.last_qty, each.last_px, each.commission]
        elif each.exec_type is ExecType.TRADE_CANCEL:
            del told[by_exec_id[each.exec_ref_id]]
        elif each.exec_type is ExecType.TRADE_CORRECT:
            by_exec_id[each.exec_id] = by_exec_id[each.exec_ref_id]
            told[by_exec_id[each.exec_ref_id]][:2] = [each.last_qty, each.last_px]
    truth = day.exchange.truth()
    fills = {
        row["trade_id"]: [Decimal(row[key]) for key in ("last_qty", "last_px", "commission")]
        for row in truth["fills"]
    }
    assert len(fills) > 200
    assert lost == set(fills) - set(told)
    where = {row["instrument_id"] for row in truth["fills"] if row["trade_id"] in lost}
    assert "ETH/USDT" not in where, "a poll tells no fee, and there the fee moves the position"
    assert told == {trade_id: row for trade_id, row in fills.items() if trade_id not in lost}

    filled: dict[str, Decimal] = {}
    held: dict[str, Decimal] = {}
    for row in truth["fills"]:
        qty = Decimal(row["last_qty"])
        filled[row["venue_order_id"]] = filled.get(row["venue_order_id"], Decimal(0)) + qty
        signed = qty if row["side"] == "BUY" else -qty
        if row["commission_currency"] == "ETH":
            signed -= Decimal(row["commission"])
        held[row["instrument_id"]] = held.get(row["instrument_id"], Decimal(0)) + signed
    for row in truth["orders"]:
        assert Decimal(row["cum_qty"]) == filled.get(row["venue_order_id"], 0)
    assert {
        row["instrument_id"]: Decimal(row["position_qty"]) for row in truth["positions"]
    } == held
    assert len(held) == 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_no_order_fills_after_its_end_unless_the_day_says_so(seed):
    day = the_day(seed)
    odd = {Trouble.LATE_FILL, Trouble.OVERFILL, Trouble.REORDERED, Trouble.DUPLICATE_REPORT}
    excused = {each.client_order_id for each in day.occurrences if each.trouble in odd}
    busted = {each.client_order_id for each in day.occurrences if each.trouble is Trouble.BUST}
    busted |= {
        each.client_order_id for each in day.occurrences if each.trouble is Trouble.CORRECTION
    }
    ended: set[str] = set()
    for each in reports(day):
        first_id = (each.client_order_id or "").rsplit("-C", 1)[0].rsplit("-R", 1)[0]
        key = first_id or each.venue_order_id
        if each.exec_type is ExecType.TRADE and first_id not in excused | busted:
            assert key not in ended
        if each.order_status in CLOSED:
            ended.add(key)
    assert len(ended) > 200


# ---- every trouble, told from the messages alone


def missing(day: Day) -> list[str]:
    noted = {each.trouble for each in day.occurrences}
    return [each for each in Trouble if not SIGNS[each](day) or each not in noted]


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_demo_day_has_every_trouble(seed):
    assert missing(the_day(seed)) == []


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(st.integers(-(2**63), 2**63), st.integers(20, 45))
def test_any_day_has_every_trouble(seed, order_count):
    day = play_day(seed, order_count)
    assert missing(day) == []
    for report in reports(day):
        check_report(report)


@pytest.mark.parametrize("trouble", list(Trouble))
def test_a_day_without_a_trouble_is_seen_to_lack_it(trouble):
    """A sign that is found on every day proves nothing."""
    quiet = Day(0, tuple(quiet_messages(the_day(1))), play_day(0, 20).exchange, ())
    assert not SIGNS[trouble](quiet)


def quiet_messages(day: Day):
    """Yield the day without every order that had a trouble, and without refusals and money."""
    odd = {each.venue_order_id for each in day.occurrences if each.venue_order_id}
    seen_exec_ids = set()
    for each in day.messages:
        if isinstance(each, OrderReport):
            refused = each.order_status is OrderStatus.REJECTED
            again = each.exec_id in seen_exec_ids
            replaced = each.exec_type is ExecType.REPLACED
            if not (refused or again or replaced or each.venue_order_id in odd or each.is_snapshot):
                seen_exec_ids.add(each.exec_id)
                yield each
        elif not isinstance(each, CancelReject | CashReport | CommissionReport):
            yield each


# ---- the frame


def test_the_day_begins_with_its_instruments_and_ends_with_their_prices():
    day = play_day(3, 20)
    names = ["SBER", "GAZP", "CRM6", "BTCUSD", "ETH/USDT"]
    first, last = day.messages[:5], day.messages[-5:]

    assert all(isinstance(each, InstrumentReport) for each in first)
    assert [each.instrument_id for each in first] == names
    assert [str(each.contract) for each in first] == [
        "LINEAR", "LINEAR", "LINEAR", "INVERSE", "SPOT",
    ]  # fmt: skip
    assert all(isinstance(each, MarkReport) for each in last)
    assert [each.instrument_id for each in last] == names
    assert all(each.ts_event > CLOSES_NS for each in last)


def test_the_robot_does_everything_a_robot_can():
    sent = [each for each in the_day(1).messages if isinstance(each, SubmitOrder)]
    assert {each.order_type for each in sent} == {"MARKET", "LIMIT", "STOP", "STOP_LIMIT"}
    assert {each.time_in_force for each in sent} == {"DAY", "GTC", "IOC", "FOK"}
    assert {str(each.side) for each in sent} == {"BUY", "SELL", "SELL_SHORT"}
    statuses = {row["order_status"] for row in the_day(1).exchange.truth()["orders"]}
    assert statuses >= {"FILLED", "CANCELED", "REJECTED", "EXPIRED"}
    partial = [each for each in trades(the_day(1)) if each.leaves_qty]
    assert len(partial) > 50


@pytest.mark.slow
def test_a_day_of_five_thousand_orders():
    day = play_day(1, 5_000)
    assert len([each for each in day.messages if isinstance(each, SubmitOrder)]) == 5_000
    assert len(trades(day)) > 5_000
    assert missing(day) == []
    counts = [sum(each.trouble is trouble for each in day.occurrences) for trouble in Trouble]
    assert min(counts) >= 5_000 // 300


def test_the_truth_is_plain_data_in_the_words_of_every_table():
    truth = play_day(2, 20).exchange.truth()
    assert json.loads(json.dumps(truth)) == truth
    assert {key: sorted(rows[0]) for key, rows in truth.items()} == {
        "orders": [
            "account_id", "avg_px", "client_order_id", "commissions", "cum_qty", "instrument_id",
            "leaves_qty", "limit_px", "order_qty", "order_status", "order_type", "side", "stop_px",
            "time_in_force", "venue_order_id",
        ],
        "fills": [
            "account_id", "client_order_id", "commission", "commission_currency", "exec_id",
            "instrument_id", "last_px", "last_qty", "liquidity", "side", "trade_id", "ts_event",
            "venue_order_id",
        ],
        "positions": [
            "account_id", "cash", "commissions", "instrument_id", "position_qty",
        ],
    }  # fmt: skip
