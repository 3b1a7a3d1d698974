"""What is done to the paper account behind its robot's back, and what `positions` gets wrong."""

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from attrs import evolve

from brokers.paper_builders import COIN, PERPETUAL, SECOND, SHARE, STILL, an_order
from contract.broker_suite import ref_to, reports_in
from fillbook.brokers.paper_faults import ACCOUNT, FaultPlan
from fillbook.brokers.paper_sim import LineChange, SimulatedBroker
from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.reports import (
    BalanceReport,
    CashReport,
    CommissionReport,
    OrderReport,
    PositionReport,
    SplitReport,
    TransferReport,
)
from fillbook.core.values import ExecType, OrderStatus, Side
from fillbook.errors import BadInput
from fillbook.feedback.recorder import Recorder
from fillbook.log.sqlite import SqliteLog
from fillbook.simulated_day import differences
from fillbook.wiring import LogHistory

MINUTE = 60 * SECOND
DEEP = evolve(SHARE, level_steps=100)


def a_broker(faults: str = "none", seed: int = 1, **settings) -> SimulatedBroker:
    """Return a broker on a market that stands still, with up to 100 at 99 and at 101."""
    return SimulatedBroker(seed, faults, 0, **({"listings": [DEEP], "pace_ns": STILL} | settings))


def answer(broker: SimulatedBroker, now_ns: int, method: str, *args) -> list:
    _, outcome = broker.call(now_ns, method, *args)
    if isinstance(outcome, Exception):
        raise outcome
    return [message.content for message in outcome]


def held(broker: SimulatedBroker, now_ns: int) -> dict[str, Decimal]:
    return {each.instrument_id: each.position_qty for each in answer(broker, now_ns, "positions")}


def heard(broker: SimulatedBroker, to_ns: int) -> list:
    return [event.content for _, event in broker.advance(to_ns) if isinstance(event, Message)]


def told_of(report):
    """Return *report* without when it was told."""
    return evolve(report, ts_received=None)


def true_qty(broker: SimulatedBroker, instrument_id: str = "SHARE") -> Decimal:
    rows = broker.truth()["positions"]
    found = [Decimal(row["position_qty"]) for row in rows if row["instrument_id"] == instrument_id]
    return sum(found, Decimal(0))


# ---- trades of others


def test_a_trade_by_hand_is_in_the_answers_and_not_on_the_stream():
    broker = a_broker()
    venue_order_id = broker.trade_by_hand("SHARE", Side.SELL, Decimal(7))

    assert heard(broker, MINUTE) == []
    fills = answer(broker, MINUTE, "fills_since", 0)
    assert {each.venue_order_id for each in fills} == {venue_order_id}
    assert {each.client_order_id for each in fills} == {None}
    assert sum(each.last_qty for each in fills) == 7
    assert all(each.trade_id and each.commission is not None for each in fills)
    assert held(broker, MINUTE) == {"SHARE": -7}
    assert answer(broker, MINUTE, "activities_since", 0) == []
    broker.market.bust(fills[0].trade_id)
    assert heard(broker, 2 * MINUTE) == [], "what becomes of it is not told either"
    assert true_qty(broker) == -7 + fills[0].last_qty


def test_a_trade_by_hand_may_be_told():
    broker = a_broker()
    venue_order_id = broker.trade_by_hand("SHARE", Side.BUY, Decimal(7), is_told=True)
    told = heard(broker, MINUTE)
    assert {each.exec_type for each in told} >= {ExecType.NEW, ExecType.TRADE}
    assert {(each.client_order_id, each.venue_order_id) for each in told} == {
        (None, venue_order_id)
    }


def test_what_was_told_before_a_hidden_trade_is_still_told():
    broker = a_broker()
    answer(broker, 0, "submit", an_order("R-1", qty="3"))
    broker.trade_by_hand("SHARE", Side.BUY, Decimal(1))
    answer(broker, 0, "submit", an_order("R-2", qty="2"))

    told = [each for each in heard(broker, MINUTE) if each.exec_type is ExecType.TRADE]

    assert {each.client_order_id for each in told} == {"R-1", "R-2"}


def test_the_broker_closes_a_position_with_its_own_order():
    broker = a_broker()
    assert broker.liquidate("SHARE") is None
    answer(broker, 0, "submit", an_order("R-1", Side.SELL, qty="10"))

    venue_order_id = broker.liquidate("SHARE")

    assert true_qty(broker) == 0
    told = [each for each in heard(broker, MINUTE) if each.venue_order_id == venue_order_id]
    assert told[-1].order_status is OrderStatus.FILLED
    assert {(each.side, each.client_order_id) for each in told} == {(Side.BUY, None)}
    assert broker.truth()["orders"][-1]["client_order_id"] is None


def test_a_liquidation_goes_as_far_as_an_order_may():
    small = evolve(DEEP, max_order_qty=Decimal(20))
    broker = a_broker(listings=[small])
    for number in range(2):
        answer(broker, number, "submit", an_order(f"R-{number}", qty="20"))
    broker.liquidate("SHARE")
    assert 0 < true_qty(broker) <= 20


# ---- splits


def test_a_split_multiplies_what_is_held_and_divides_the_price():
    broker = a_broker()
    answer(broker, 0, "submit", an_order("R-1", qty="20"))
    fills = [told_of(each) for each in answer(broker, SECOND, "fills_since", 0)]
    broker.split("SHARE", Decimal(2), Decimal(1))

    assert held(broker, 2 * SECOND) == {"SHARE": 40}
    assert broker.market.held_qty("SHARE") == 40
    assert [told_of(each) for each in answer(broker, 2 * SECOND, "fills_since", 0)] == fills
    assert broker.market.mark("SHARE").px == 50
    bid, ask = broker.market.quote("SHARE")
    assert 48 <= bid < 50 < ask <= 52
    (split,) = answer(broker, 3 * SECOND, "activities_since", 0)
    assert (split.instrument_id, split.numerator, split.denominator) == ("SHARE", 2, 1)
    answer(broker, 3 * SECOND, "submit", an_order("R-2", Side.SELL, qty="10"))
    assert held(broker, 4 * SECOND) == {"SHARE": 30}
    assert not any(isinstance(each, SplitReport) for each in heard(broker, MINUTE))


def test_a_split_ends_what_is_open_in_the_instrument_alone():
    """Its terms are in units that are no more; a broker that converts them is not this one."""
    other = evolve(DEEP, instrument_id="OTHER")
    broker = a_broker(listings=[DEEP, other])
    orders = [
        an_order("R-1", limit_px="90"),
        an_order("R-2", stop_px="110"),
        an_order("R-3", limit_px="90", instrument_id="OTHER"),
    ]
    for order in orders:
        answer(broker, 0, "submit", order)
    broker.split("SHARE", Decimal(3), Decimal(1))

    states = [answer(broker, SECOND, "look_up", ref_to(order, None))[-1] for order in orders]

    canceled, new = OrderStatus.CANCELED, OrderStatus.NEW
    assert [each.order_status for each in states] == [canceled, canceled, new]
    assert states[0].text == "canceled for a split"
    told = [each.client_order_id for each in heard(broker, MINUTE) if each.order_status is canceled]
    assert told == ["R-1", "R-2"]
    broker.pass_time(2 * MINUTE)
    assert len(answer(broker, 2 * MINUTE, "open_orders")) == 1


@pytest.mark.parametrize(
    ("numerator", "denominator", "qty"), [("1", "2", "7.5"), ("3", "2", "22.5"), ("1", "3", "5")]
)
def test_a_split_may_leave_a_part_of_a_step(numerator, denominator, qty):
    broker = a_broker()
    answer(broker, 0, "submit", an_order("R-1", qty="15"))
    broker.split("SHARE", Decimal(numerator), Decimal(denominator))
    assert true_qty(broker) == Decimal(qty)
    broker.liquidate("SHARE")
    assert true_qty(broker) == Decimal(qty) % 1


def test_a_fill_that_is_taken_back_after_a_split_takes_what_has_become_of_it():
    broker = a_broker()
    answer(broker, 0, "submit", an_order("R-1", qty="2", limit_px="101"))
    (fill,) = reports_in(broker.call(SECOND, "fills_since", 0)[1])
    answer(broker, SECOND, "submit", an_order("R-2", qty="5"))
    broker.split("SHARE", Decimal(2), Decimal(1))

    broker.market.bust(fill.trade_id)

    assert true_qty(broker) == 10
    assert broker.market.held_qty("SHARE") == 10
    state = answer(broker, 2 * SECOND, "look_up", ref_to(an_order("R-1"), None))[-1]
    assert (state.order_status, state.text) == (OrderStatus.CANCELED, "not opened again")


# ---- transfers and cash


def test_a_transfer_moves_a_position_and_no_money():
    broker = a_broker()
    ids = [
        broker.transfer("SHARE", Decimal(40), Decimal("99.5")),
        broker.transfer("SHARE", Decimal(-10)),
    ]

    told = answer(broker, SECOND, "activities_since", 0)

    assert [(each.transfer_id, each.transferred_qty, each.px) for each in told] == [
        (ids[0], 40, Decimal("99.5")), (ids[1], -10, None),
    ]  # fmt: skip
    assert len(set(ids)) == 2
    assert held(broker, SECOND) == {"SHARE": 30}
    assert answer(broker, SECOND, "cash") == []
    assert heard(broker, MINUTE) == []
    broker.split("SHARE", Decimal(2), Decimal(1))
    assert true_qty(broker) == broker.market.held_qty("SHARE") == 60


def test_activities_are_told_from_a_time_on_with_funding_and_late_fees():
    broker = a_broker(listings=[DEEP, PERPETUAL])
    answer(broker, 0, "submit", an_order("R-1", qty="30"))
    (fill, *_) = answer(broker, SECOND, "fills_since", 0)
    broker.transfer("PERPETUAL", Decimal(5))
    broker.pass_time(2 * SECOND)
    broker.market.fund("PERPETUAL", Decimal("0.01"))
    broker.market.correct(fill.trade_id, last_qty=Decimal(1), last_px=fill.last_px)

    told = answer(broker, 3 * SECOND, "activities_since", 0)

    assert [type(each) for each in told] == [TransferReport, CashReport, CommissionReport]
    later = answer(broker, 4 * SECOND, "activities_since", told[1].ts_event)
    assert [type(each) for each in later] == [CashReport, CommissionReport]
    assert later[0].amount < 0


def test_cash_is_what_fills_and_fees_and_funding_come_to():
    broker = a_broker(listings=[DEEP, PERPETUAL, evolve(COIN, level_steps=100)])
    answer(broker, 0, "submit", an_order("R-1", qty="10", limit_px="101", time_in_force="IOC"))
    answer(broker, 1, "submit", an_order("R-2", qty="1", instrument_id="PERPETUAL"))
    answer(broker, 2, "submit", an_order("R-3", Side.SELL, qty="2", instrument_id="COIN"))
    broker.market.fund("PERPETUAL", Decimal("0.01"))

    told = answer(broker, SECOND, "cash")

    # 10 at 101 and 0.002 of it; one inverse contract of 100 at 101 and its fee; two coins at 99,
    # whose fee is taken out of the coins.
    fills = {row["client_order_id"]: row for row in broker.truth()["fills"]}
    (funding,) = answer(broker, SECOND, "activities_since", 0)
    inverse = Fraction(100) / 101 - Fraction(fills["R-2"]["commission"]) + Fraction(funding.amount)
    balances = {each.currency: each.amount for each in told}
    assert balances["RUB"] == Decimal("-1010") - Decimal("2.02") + Decimal(2 * 99)
    assert abs(Fraction(balances["BTC"]) - inverse) < Fraction(1, 10**19)
    assert set(balances) == {"RUB", "BTC"}
    assert all(isinstance(each, BalanceReport) for each in told)
    assert [(each["currency"], each["amount"]) for each in broker.truth()["balances"]] == [
        (each.currency, str(each.amount)) for each in told
    ]


@pytest.mark.parametrize(
    ("deed", "args", "problem"),
    [
        ("trade_by_hand", ("NONE", Side.BUY, Decimal(1)), "NONE is not listed here; there are SH"),
        ("trade_by_hand", ("SHARE", Side.BUY, Decimal("0.5")), "0.5 of SHARE cannot be moved"),
        ("trade_by_hand", ("SHARE", Side.BUY, Decimal(-1)), "-1 of SHARE cannot be moved"),
        ("trade_by_hand", ("SHARE", Side.BUY, Decimal(1001)), "an order up to 1000"),
        ("liquidate", ("NONE",), "NONE is not listed"),
        ("split", ("SHARE", Decimal(0), Decimal(1)), "0 for 1 is no split"),
        ("split", ("NONE", Decimal(2), Decimal(1)), "NONE is not listed"),
        ("transfer", ("SHARE", Decimal(0)), "0 of SHARE cannot be moved"),
        ("transfer", ("NONE", Decimal(1)), "NONE is not listed"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(deed, args, problem):
    broker = a_broker()
    before = broker.truth()
    with pytest.raises(BadInput, match=problem):
        getattr(broker, deed)(*args)
    assert broker.truth() == before


def test_all_of_it_is_kept(tmp_path):
    path = tmp_path / "account.paper"
    broker = a_broker(path=path, listings=[DEEP, PERPETUAL])
    answer(broker, 0, "submit", an_order("R-1", qty="2", limit_px="101"))
    (fill,) = reports_in(broker.call(SECOND, "fills_since", 0)[1])
    broker.split("SHARE", Decimal(3), Decimal(1))
    broker.trade_by_hand("SHARE", Side.BUY, Decimal(5))
    broker.transfer("SHARE", Decimal(4), Decimal(30))
    broker.transfer("PERPETUAL", Decimal(-4))
    broker.market.fund("PERPETUAL", Decimal("0.01"))
    broker.liquidate("PERPETUAL")
    broker.advance(MINUTE)
    before, px = broker.truth(), broker.market.mark("SHARE").px
    broker.close()

    again = a_broker(path=path, listings=[DEEP, PERPETUAL])

    assert again.truth() == before
    assert len(before["activities"]) == 4
    assert true_qty(again) == again.market.held_qty("SHARE") == 15
    assert again.market.mark("SHARE").px == px
    again.market.bust(fill.trade_id)
    assert true_qty(again) == again.market.held_qty("SHARE") == 9
    assert again.transfer("SHARE", Decimal(1)) not in [
        row.get("transfer_id") for row in before["activities"]
    ]
    after = again.truth()
    again.close()
    assert a_broker(path=path, listings=[DEEP, PERPETUAL]).truth() == after


def test_an_account_without_any_of_it_has_the_file_that_it_had(tmp_path):
    path = tmp_path / "account.paper"
    broker = a_broker(path=path)
    answer(broker, 0, "submit", an_order("R-1", qty="2"))
    broker.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert {key for row in rows[1:] for key in row} == {
        "ts_event", "counts", "last_px", "orders", "executions",
    }  # fmt: skip


# ---- what positions gets wrong


def test_positions_are_behind_the_fills():
    broker = a_broker("lag_positions=10")
    answer(broker, 0, "submit", an_order("R-1", qty="10"))
    answer(broker, 5 * SECOND, "submit", an_order("R-2", qty="5"))
    assert held(broker, 9 * SECOND) == {}
    assert held(broker, 10 * SECOND) == {"SHARE": 10}
    (told,) = answer(broker, 14 * SECOND, "positions")
    assert (told.position_qty, told.ts_event) == (10, 14 * SECOND), "and do not say so"
    assert held(broker, 15 * SECOND) == {"SHARE": 15}
    broker.split("SHARE", Decimal(2), Decimal(1))
    assert held(broker, 16 * SECOND) == {"SHARE": 15}
    broker.settle()
    assert held(broker, 16 * SECOND) == {"SHARE": 30}


def test_an_answer_may_be_an_old_one():
    broker = a_broker("stale_positions=1")
    broker.transfer("SHARE", Decimal(1))
    ages = set()
    for number in range(100, 140):
        (told,) = answer(broker, number * SECOND, "positions")
        assert isinstance(told, PositionReport)
        ages.add(number * SECOND - told.ts_event)
    assert SECOND <= min(ages) < 20 * SECOND < 40 * SECOND < max(ages) <= 60 * SECOND


def test_an_old_answer_is_what_was_true_then():
    broker = a_broker("stale_positions=1,lag_positions=30")
    truth = {}
    for number in range(60):
        broker.transfer("SHARE", Decimal(1))
        truth[number] = true_qty(broker)
        broker.pass_time((number + 1) * SECOND)
    for number in range(60, 90):
        (told,) = answer(broker, number * SECOND, "positions")
        assert told.ts_event <= (number - 30) * SECOND
        assert told.position_qty == truth[min(told.ts_event // SECOND, 59)]


def test_positions_may_be_an_empty_list_or_miss_an_instrument():
    other = evolve(DEEP, instrument_id="OTHER")

    def answers(faults: str) -> list[tuple[str, ...]]:
        broker = a_broker(faults, listings=[DEEP, other])
        for instrument_id in ("SHARE", "OTHER"):
            broker.transfer(instrument_id, Decimal(5))
        return [tuple(held(broker, number * SECOND)) for number in range(40)]

    assert set(answers("empty_positions=1")) == {()}
    assert set(answers("partial_positions=1")) == {("SHARE",), ("OTHER",)}
    some = answers("empty_positions=0.2,partial_positions=0.3")
    assert set(some) == {(), ("SHARE",), ("OTHER",), ("SHARE", "OTHER")}
    assert some == answers("empty_positions=0.2,partial_positions=0.3")


# ---- by chance


def a_day(seed: int, faults: str) -> SimulatedBroker:
    """Return the broker after an hour of orders, settled, and a minute for what was under way."""
    broker = SimulatedBroker(seed, faults, 0, pace_ns=5 * SECOND)
    for number in range(60):
        now_ns = number * MINUTE
        side = (Side.BUY, Side.SELL)[number % 3 == 2]
        for instrument_id, qty in (("SBER", "100"), ("ETH/USDT", "0.5"), ("BTCUSD", "4")):
            terms = {"instrument_id": instrument_id, "qty": qty}
            broker.call(now_ns, "submit", an_order(f"{instrument_id[:1]}-{number}", side, **terms))
        broker.advance(now_ns + MINUTE // 2)
    broker.settle()
    broker.advance(62 * MINUTE)
    return broker


@pytest.mark.parametrize("word", ["external", "liquidation", "split", "transfer"])
def test_each_is_done_by_chance_and_not_once_settled(word):
    broker = a_day(2, f"{word}=0.5")
    truth = broker.truth()
    by_hand = [row for row in truth["orders"] if row["client_order_id"] is None]
    kinds = {row["kind"] for row in truth["activities"]}
    if word in ("external", "liquidation"):
        assert len(by_hand) > 10
        assert kinds == set()
    else:
        assert not by_hand
        assert kinds == {word}
        assert len(truth["activities"]) >= 10
    settled = len(by_hand), len(truth["activities"])
    broker.advance(200 * MINUTE)
    truth = broker.truth()
    by_hand = [row for row in truth["orders"] if row["client_order_id"] is None]
    assert (len(by_hand), len(truth["activities"])) == settled


def test_the_same_seed_has_the_same_hands():
    days = [a_day(seed, "account,external=0.5,transfer=0.3") for seed in (3, 3, 4)]
    assert days[0].truth() == days[1].truth() != days[2].truth()
    moments = [
        {row["ts_event"] for row in a_day(3, f"transfer=0.3{more}").truth()["activities"]}
        for more in ("", ",hang=0.3,error_before=0.2")
    ]
    assert moments[0] == moments[1], "what goes wrong with calls does not move what is done"


@pytest.mark.parametrize("seed", range(4))
def test_whatever_was_done_the_questions_tell_the_truth(seed):
    """A book that is told all fills and all activities, as time had them, is the broker's."""
    broker = a_day(seed, "all,account,bust=0.1,correct=0.1,external=0.3,split=0.1,transfer=0.2")
    now_ns = 62 * MINUTE
    log = SqliteLog.open(":memory:", clock=lambda: now_ns)
    book = Book(LogHistory(log))
    for record in log.records():
        book.apply(record)
    keys = set()

    def sink(draft):
        keys.add(draft.idempotency_key)
        return log.append([draft])[0]

    recorder = Recorder(book, sink, keys.__contains__)
    told = [
        *broker.call(now_ns, "fills_since", 0)[1], *broker.call(now_ns, "activities_since", 0)[1],
    ]  # fmt: skip
    instruments = broker.call(now_ns, "instruments")[1]
    for message in (*instruments, *sorted(told, key=lambda each: each.content.ts_event)):
        assert recorder.record(message).outcome in ("RECORDED", "DUPLICATE"), message
    truth = broker.truth()
    assert {row["kind"] for row in truth["activities"]} == {"split", "transfer"}
    assert len([row for row in truth["orders"] if row["client_order_id"] is None]) > 5
    apart = [each for each in differences(book, truth) if " held, " in each]

    assert apart == []
    for message in broker.call(now_ns, "activities_since", 0)[1]:
        assert recorder.record(message).outcome == "DUPLICATE"
    for message in broker.call(now_ns, "cash")[1]:
        head = log.head().seq
        assert recorder.record(message).outcome == "DUPLICATE"
        assert log.head().seq == head
    log.close()


def test_every_word_of_the_account_is_tried_here():
    assert set(ACCOUNT) == {
        "external", "liquidation", "split", "transfer", "stale_positions", "lag_positions",
        "empty_positions", "partial_positions",
    }  # fmt: skip
    assert FaultPlan.parse("account").text.count("=") == len(ACCOUNT)


def test_the_line_is_not_broken_by_what_others_do():
    broker = a_day(1, "account")
    assert broker.is_line_up
    assert not any(isinstance(event, LineChange) for _, event in broker.advance(63 * MINUTE))
    assert all(isinstance(each, OrderReport) for each in answer(broker, 64 * MINUTE, "open_orders"))
