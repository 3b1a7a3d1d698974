"""What goes wrong on the way to the paper exchange: each fault by itself, and all at once."""

from collections import defaultdict
from decimal import Decimal

import pytest
from attrs import asdict, evolve

from brokers.paper_builders import SECOND, SHARE, STILL, an_order
from contract.broker_suite import ref_to, reports_in
from fillbook.brokers.live import BrokerRefused, NotSent
from fillbook.brokers.paper_faults import ACCOUNT, USUAL, FaultPlan
from fillbook.brokers.paper_sim import PAPER, BrokerTrouble, LineChange, SimulatedBroker
from fillbook.core.reports import CommissionReport
from fillbook.core.values import ExecType, OrderStatus, Side
from fillbook.errors import BadInput

MINUTE = 60 * SECOND


def a_broker(faults: str, seed: int = 1, **settings) -> SimulatedBroker:
    defaults = {"listings": [evolve(SHARE, level_steps=100, depth=2)], "pace_ns": STILL}
    return SimulatedBroker(seed, faults, 0, **(defaults | settings))


def submit(broker: SimulatedBroker, number: int = 1, now_ns: int = 0, **terms):
    """Submit an order and return when the answer comes and what it is."""
    return broker.call(now_ns, "submit", an_order(f"R-{number}", **({"qty": "3"} | terms)))


def look_up(broker: SimulatedBroker, now_ns: int, number: int = 1) -> list:
    ref = ref_to(an_order(f"R-{number}"), None)
    _, outcome = broker.call(now_ns, "look_up", ref)
    return [message.content for message in outcome]


def heard(broker: SimulatedBroker, to_ns: int) -> list:
    """Return the reports that the stream has brought, each with its time."""
    return [
        (ns, event.content)
        for ns, event in broker.advance(to_ns)
        if not isinstance(event, LineChange)
    ]


# ---- the plan


def test_a_plan_is_read_from_words():
    assert FaultPlan.parse("none") == FaultPlan.parse("") == FaultPlan()
    assert FaultPlan.parse("all") == FaultPlan(**USUAL)
    assert FaultPlan.parse("account") == FaultPlan(**ACCOUNT)
    assert FaultPlan.parse("all,account") == FaultPlan(**USUAL, **ACCOUNT)
    assert set(asdict(FaultPlan())) == {*USUAL, *ACCOUNT}
    assert all((USUAL | ACCOUNT).values())
    plan = FaultPlan.parse("drop=0.05, hang=0.01,bust,wrong-cum-qty=1")
    assert plan == FaultPlan(drop=0.05, hang=0.01, bust=USUAL["bust"], wrong_cum_qty=1.0)
    assert FaultPlan.parse("all,hang=0").hang == 0
    assert FaultPlan.parse("lag-positions=2.5").lag_positions == 2.5
    assert FaultPlan.parse("account,lag_positions=0,all").lag_positions == 0
    assert FaultPlan.parse("all,none,drop").text == f"drop={USUAL['drop']:g}"


@pytest.mark.parametrize("seed", range(5))
def test_a_plan_is_written_as_it_is_read(seed):
    plan = FaultPlan.drawn(seed)
    assert FaultPlan.parse(plan.text) == plan == FaultPlan.drawn(seed)
    assert plan != FaultPlan()
    more = FaultPlan.drawn(seed, account=True)
    assert FaultPlan.parse(more.text) == more == FaultPlan.drawn(seed, account=True)


def test_what_was_drawn_of_old_is_drawn_still():
    """A seed that failed once is lived again: a new fault must not change its day."""
    assert FaultPlan.drawn(3) == FaultPlan(
        drop=0.0032, duplicate=0.0136, delay=0.0352, forget=0.0553, error_after=0.0209,
        hang=0.0369, disconnect=0.068, offline=0.0589, unseen=0.0329, bust=0.0139,
        reuse_trade_id=0.0092, wrong_cum_qty=0.0123,
    )  # fmt: skip
    for seed in range(5):
        more = FaultPlan.drawn(seed, account=True)
        without = evolve(more, **dict.fromkeys(ACCOUNT, 0.0))
        assert without == FaultPlan.drawn(seed) != more


def test_every_fault_is_drawn_some_time():
    plans = [FaultPlan.drawn(seed) for seed in range(30)]
    for word in USUAL:
        assert {bool(getattr(plan, word)) for plan in plans} == {True, False}, word
    for word in ACCOUNT:
        assert {getattr(plan, word) for plan in plans} == {0}, word
    plans = [FaultPlan.drawn(seed, account=True) for seed in range(30)]
    for word in ACCOUNT:
        assert {bool(getattr(plan, word)) for plan in plans} == {True, False}, word
    assert max(plan.lag_positions for plan in plans) * SECOND < PAPER.positions_lag_ns


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("dorp=0.1", "no fault 'dorp'; did you mean 'drop'"),
        ("drop,hnag", "no fault 'hnag'; did you mean 'hang'"),
        ("al", "did you mean 'all'"),
        ("xyzzy", "no fault 'xyzzy'; there are all, none, drop"),
        ("hang=often", "hang=often: not a chance"),
        ("hang=1.5", "hang=1.5: not a chance"),
        ("hang=nan", "hang=nan: not a chance"),
        ("hang=", "hang=: not a chance"),
        ("acount", "did you mean 'account'"),
        ("lag_positions=often", "lag_positions=often: not a time"),
        ("lag_positions=3601", "lag_positions=3601: not a time"),
        ("lag_positions=-1", "give seconds from 0 to 3600, as in lag_positions=10"),
    ],
)
def test_a_wrong_plan_is_refused_with_the_nearest_right_word(text, problem):
    with pytest.raises(BadInput, match=problem.replace("(", r"\(")):
        FaultPlan.parse(text)


def test_the_same_seed_has_the_same_faults_whatever_else_happens():
    """Two threads that race must not change what a seed means."""

    def fates(numbers) -> dict[int, str]:
        broker = a_broker("error_before=0.3,error_after=0.2,hang=0.2")
        return {number: str(submit(broker, number, qty="1")[1])[:20] for number in numbers}

    forward, backward = fates(range(40)), fates(reversed(range(40)))
    wrong = {number for number, each in forward.items() if not each.startswith("[")}
    assert 10 < len(wrong) < 40
    assert {number for number, each in backward.items() if not each.startswith("[")} == wrong
    assert all(forward[number] == backward[number] for number in wrong)
    other = a_broker("error_before=0.3,error_after=0.2,hang=0.2", seed=2)
    assert {n for n in range(40) if isinstance(submit(other, n, qty="1")[1], Exception)} != wrong


# ---- calls


def test_an_error_before_acceptance_leaves_nothing():
    broker = a_broker("error_before=1")
    due_ns, error = submit(broker)
    assert isinstance(error, BrokerTrouble)
    assert (error.http_status, due_ns > 0) == (503, True)
    assert broker.truth()["orders"] == []


def test_an_error_after_acceptance_leaves_an_order():
    broker = a_broker("error_after=1")
    _, error = submit(broker)
    assert isinstance(error, BrokerTrouble)
    assert error.http_status == 502
    assert [row["order_status"] for row in broker.truth()["orders"]] == ["FILLED"]
    assert heard(broker, SECOND)


def test_a_call_that_hangs_was_done_or_not_or_will_be():
    """That it is found later is why "not found" means nothing before the settling time is over."""
    broker = a_broker("hang=1")
    for number in range(60):
        due_ns, error = submit(broker, number, limit_px="90")
        assert due_ns is None
        assert isinstance(error, TimeoutError)
    at_once = len(broker.truth()["orders"])
    broker.advance(PAPER.settling_ns)
    in_time = len(broker.truth()["orders"])
    broker.advance(MINUTE)
    assert 0 < at_once < in_time < 60
    assert len(broker.truth()["orders"]) == in_time


def test_a_request_that_arrives_late_and_is_refused_harms_nobody():
    broker = a_broker("hang=1")
    for number in range(20):
        submit(broker, number, qty="0.5")
    broker.advance(MINUTE)
    assert {row["order_status"] for row in broker.truth()["orders"]} == {"REJECTED"}
    assert heard(broker, MINUTE) == []


def test_an_order_may_not_be_seen_at_first():
    broker = a_broker("unseen=1")
    submit(broker, limit_px="90")
    assert look_up(broker, 0) == []
    assert broker.call(0, "open_orders")[1] == []
    assert look_up(broker, PAPER.settling_ns)[-1].order_status is OrderStatus.NEW
    assert len(broker.call(PAPER.settling_ns, "open_orders")[1]) == 1


def test_while_offline_nothing_leaves():
    broker = a_broker("offline=1")
    changes = [each for each in broker.advance(10 * MINUTE) if isinstance(each[1], LineChange)]
    down_ns = next(ns for ns, change in changes if not change.is_up)
    again = a_broker("offline=1")
    assert isinstance(submit(again, 1, down_ns, limit_px="90")[1], NotSent)
    assert again.truth()["orders"] == []
    up_ns = next(ns for ns, change in changes[1:] if change.is_up)
    assert not isinstance(submit(again, 2, up_ns, limit_px="90")[1], Exception)


# ---- the stream


def test_without_faults_the_stream_tells_each_thing_once():
    broker = a_broker("none")
    submit(broker)
    told = [report.exec_id for _, report in heard(broker, MINUTE)]
    assert len(told) == len(set(told)) >= 2


def test_a_forgotten_message_shows_in_the_polls_alone():
    broker = a_broker("forget=1,disconnect=1")
    submit(broker)
    events = broker.advance(10 * MINUTE)
    assert len(events) > 10, "the line was down and came back"
    assert {type(event) for _, event in events} == {LineChange}
    reports = look_up(broker, 10 * MINUTE)
    assert reports[-1].cum_qty == 3
    assert sum(each.last_qty for each in reports[:-1]) == 3


def test_a_dropped_message_comes_with_the_next_connection():
    broker = a_broker("drop=1,disconnect=1")
    submit(broker)
    events = broker.advance(10 * MINUTE)
    places = [place for place, (_, event) in enumerate(events) if event == LineChange(True)]
    first_up = places[1]
    messages = [place for place, (_, e) in enumerate(events) if not isinstance(e, LineChange)]
    assert first_up > 0
    assert len(messages) >= 2
    assert messages[0] == first_up + 1
    assert heard(a_broker("drop=1"), 10 * MINUTE) == []


def test_a_doubled_message_comes_twice():
    broker = a_broker("duplicate=1")
    for number in range(10):
        submit(broker, number, qty="1")
    told = defaultdict(list)
    for ns, report in heard(broker, 10 * MINUTE):
        told[report.exec_id].append((ns, report))
    assert len(told) >= 20
    assert {len(each) for each in told.values()} == {2}
    assert {each[1][1].poss_dup for each in told.values()} == {True, False}
    assert all(each[1][0] > each[0][0] for each in told.values())


def test_a_delayed_message_comes_seconds_late():
    broker = a_broker("delay=1")
    submit(broker)
    told = heard(broker, 10 * MINUTE)
    assert len(told) >= 2
    assert all(SECOND <= ns - report.ts_event <= 31 * SECOND for ns, report in told)


def test_messages_change_places():
    broker = a_broker("reorder=0.5")
    for number in range(10):
        submit(broker, number, qty="1")
    told = [report.ts_event for _, report in heard(broker, 10 * MINUTE)]
    assert len(told) >= 20
    assert told != sorted(told)
    assert len(set(told)) == len(told)


LOST = "the connection was lost"


def test_a_broken_stream_loses_nothing():
    broker = a_broker("disconnect=1")
    first = next(ns for ns, event in broker.advance(MINUTE) if event == LineChange(False, LOST))
    again = a_broker("disconnect=1")
    submit(again, 1, first)
    events = again.advance(10 * MINUTE)
    kinds = [
        event.is_up if isinstance(event, LineChange) else "told"
        for ns, event in events
        if ns >= first
    ]
    assert kinds[:4] == [False, True, "told", "told"]
    assert again.is_line_up == (kinds[-1] is not False)


def test_a_trade_id_is_used_again_on_the_stream():
    """Only one that was delivered before: of one that was not, nobody could see that it is."""
    broker = a_broker("reuse_trade_id=1")
    submit(broker, qty="5", limit_px="100")
    for number in (1, 2, 3):
        other = an_order(f"S-{number}", Side.SELL, "1", limit_px="100", account_id="other")
        broker.call(number * 10 * SECOND, "submit", other)

    told = [
        report.trade_id
        for _, report in heard(broker, MINUTE)
        if report.client_order_id == "R-1" and report.exec_type is ExecType.TRADE
    ]

    true = [each.trade_id for each in look_up(broker, MINUTE) if each.exec_type is ExecType.TRADE]
    assert len(set(true)) == 3
    assert told == [true[0]] * 3


def test_a_wrong_total_is_less_than_the_true_one():
    broker = a_broker("wrong_cum_qty=1")
    submit(broker, qty="8")
    told = [report for _, report in heard(broker, MINUTE) if report.exec_type is ExecType.TRADE]
    state = look_up(broker, MINUTE)[-1]
    assert told
    assert all(report.cum_qty < report.last_qty for report in told[:1])
    assert (state.cum_qty, state.leaves_qty) == (4, 4)
    assert state.order_status is OrderStatus.PARTIALLY_FILLED
    assert broker.truth()["orders"][0]["cum_qty"] == "8"


# ---- at the exchange


def test_a_match_is_taken_back():
    broker = a_broker("bust=1")
    submit(broker, limit_px="101", time_in_force="IOC")
    assert len(broker.truth()["fills"]) == 1
    told = [report.exec_type for _, report in heard(broker, MINUTE)]
    assert ExecType.TRADE_CANCEL in told
    assert broker.truth()["fills"] == []
    assert look_up(broker, MINUTE)[-1].cum_qty == 0


def test_a_match_is_corrected_in_price_or_quantity():
    before, after = [], []
    for seed in range(8):
        broker = a_broker("correct=1", seed)
        submit(broker, limit_px="101", time_in_force="IOC")
        before += broker.truth()["fills"]
        assert ExecType.TRADE_CORRECT in [
            getattr(report, "exec_type", None) for _, report in heard(broker, MINUTE)
        ]
        after += broker.truth()["fills"][:1]
    changed = {
        key
        for old, new in zip(before, after, strict=True)
        for key in ("last_qty", "last_px")
        if old[key] != new[key]
    }
    assert changed == {"last_qty", "last_px"}


# ---- all at once


def a_day(seed: int, faults: str | FaultPlan) -> SimulatedBroker:
    """Return the broker after an hour of orders, settled, and a minute for what was under way."""
    broker = SimulatedBroker(seed, faults, 0, pace_ns=5 * SECOND)
    for number in range(60):
        now_ns = number * MINUTE
        side = (Side.BUY, Side.SELL)[number % 2]
        for listing in ("SBER", "ETH/USDT"):
            broker.call(
                now_ns,
                "submit",
                an_order(
                    f"{listing[:1]}-{number}", side, "10" if listing == "SBER" else "2",
                    instrument_id=listing,
                ),
            )  # fmt: skip
        broker.advance(now_ns + MINUTE // 2)
    broker.settle()
    broker.advance(62 * MINUTE)
    return broker


@pytest.mark.parametrize("seed", range(4))
def test_whatever_went_wrong_the_polls_tell_the_truth(seed):
    """A fault that hid a fact for good would make every robot wrong, and prove nothing."""
    broker = a_day(seed, "all,bust=0.2,correct=0.2")

    _, outcome = broker.call(62 * MINUTE, "fills_since", 0)

    assert not isinstance(outcome, Exception)
    fills, fees, by_exec_id = {}, {}, {}
    for message in outcome:
        report = message.content
        if isinstance(report, CommissionReport):
            fees[report.trade_id] = report.commission
        elif report.exec_type is ExecType.TRADE:
            fills[report.trade_id] = [report.last_qty, report.last_px]
            fees[report.trade_id] = report.commission
            by_exec_id[report.exec_id] = report.trade_id
        elif report.exec_type is ExecType.TRADE_CANCEL:
            del fills[by_exec_id[report.exec_ref_id]]
        else:
            fills[by_exec_id[report.exec_ref_id]] = [report.last_qty, report.last_px]
            by_exec_id[report.exec_id] = by_exec_id[report.exec_ref_id]
    truth = broker.truth()
    assert len(truth["fills"]) > 20
    assert {key: [*each, fees[key]] for key, each in fills.items()} == {
        row["trade_id"]: [Decimal(row[key]) for key in ("last_qty", "last_px", "commission")]
        for row in truth["fills"]
    }
    for row in truth["orders"]:
        ref = ref_to(an_order(row["client_order_id"]), row["venue_order_id"])
        state = reports_in(broker.call(63 * MINUTE, "look_up", ref)[1])[-1]
        assert (state.order_status, state.cum_qty) == (row["order_status"], Decimal(row["cum_qty"]))
        broker.advance(broker.now_ns + SECOND)


def test_the_same_day_comes_again_to_the_byte():
    first, second = a_day(3, "all"), a_day(3, "all")
    assert first.truth() == second.truth()
    assert first.truth() != a_day(4, "all").truth()


def test_nothing_more_goes_wrong_once_settled():
    everything = FaultPlan(**dict.fromkeys(USUAL, 1.0))
    broker = a_broker(everything)
    broker.settle()
    for number in range(10):
        due_ns, outcome = submit(broker, number, number * SECOND, qty="1")
        assert due_ns is not None
        assert not isinstance(outcome, Exception)
    told = heard(broker, 10 * MINUTE)
    assert len({report.exec_id for _, report in told}) == len(told) >= 20
    assert len(broker.truth()["fills"]) == 10
    with pytest.raises(BrokerRefused):
        raise submit(broker, 1, 10 * MINUTE, qty="1")[1]
