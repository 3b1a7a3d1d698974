"""The live paper broker: its account survives, its clock is an argument, and it never closes."""

import json
import threading
import time
from decimal import Decimal

import pytest
from attrs import evolve

from brokers.paper_builders import SECOND, SHARE, STILL, an_order
from contract.broker_suite import Ear, ref_to, reports_in
from fillbook.brokers.live import BrokerRefused
from fillbook.brokers.paper_account import AccountFile
from fillbook.brokers.paper_live import PaperBroker
from fillbook.brokers.paper_market import LISTINGS
from fillbook.brokers.paper_sim import PAPER, LineChange, SimulatedBroker
from fillbook.core.commands import CancelOrder, ReplaceOrder
from fillbook.core.values import ExecType, OrderStatus, Side
from fillbook.errors import BadInput

DEEP = evolve(SHARE, level_steps=100)
DAY = 24 * 3600 * SECOND


class Clock:
    """A clock that a test sets."""

    def __init__(self, ns: int = SECOND) -> None:
        self.ns = ns

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def brokers():
    """Open paper brokers on a market that stands still, and close them."""
    opened = []

    def a_broker(**settings) -> PaperBroker:
        defaults = {"seed": 1, "listings": [DEEP], "pace_ns": STILL}
        opened.append(PaperBroker(**(defaults | settings)))
        return opened[-1]

    yield a_broker
    for broker in opened:
        broker.close()


def a_simulation(faults: str = "none", opens_ns: int = 0, **settings) -> SimulatedBroker:
    return SimulatedBroker(
        1, faults, opens_ns, **({"listings": [DEEP], "pace_ns": STILL} | settings)
    )


def answer(broker: SimulatedBroker, now_ns: int, method: str, *args) -> list:
    """Return the reports that a call is answered with, or raise its error."""
    _, outcome = broker.call(now_ns, method, *args)
    if isinstance(outcome, Exception):
        raise outcome
    return [message.content for message in outcome]


# ---- orders


def test_an_order_lives_on_over_night():
    """A robot may run for weeks: nothing ends a DAY order, and any hour is good for a new one."""
    broker = a_simulation()
    order = an_order(limit_px="90")
    answer(broker, 0, "submit", order)
    answer(broker, 400 * DAY, "submit", an_order("R-2", limit_px="90"))

    found = answer(broker, 401 * DAY, "open_orders")

    assert [each.client_order_id for each in found] == ["R-1", "R-2"]


def test_a_gtd_order_ends_at_its_time():
    broker = a_simulation()
    order = an_order(limit_px="90", time_in_force="GTD", expire_time=60 * SECOND)
    (report, *_) = answer(broker, 0, "submit", order)
    assert report.expire_time == 60 * SECOND
    broker.advance(60 * SECOND - 1)
    assert answer(broker, 60 * SECOND - 1, "look_up", ref_to(order, None))[-1].leaves_qty == 5

    events = broker.advance(61 * SECOND)

    (told,) = reports_in([event for _, event in events if not isinstance(event, LineChange)])
    assert (told.exec_type, told.ts_event // 1_000) == (ExecType.EXPIRED, 60 * SECOND // 1_000)
    state = answer(broker, 61 * SECOND, "look_up", ref_to(order, None))[-1]
    assert (state.order_status, state.leaves_qty) == (OrderStatus.EXPIRED, 0)
    assert state.text == "its time is over"


@pytest.mark.parametrize(
    ("terms", "status"),
    [
        ({}, OrderStatus.FILLED),
        ({"limit_px": "101"}, OrderStatus.FILLED),
        ({"limit_px": "100", "time_in_force": "IOC"}, OrderStatus.CANCELED),
        ({"limit_px": "100", "time_in_force": "FOK"}, OrderStatus.CANCELED),
        ({"limit_px": "100", "time_in_force": "GTC"}, OrderStatus.NEW),
        ({"stop_px": "100"}, OrderStatus.FILLED),
        ({"stop_px": "105"}, OrderStatus.NEW),
        ({"stop_px": "100", "limit_px": "99"}, OrderStatus.NEW),
    ],
)
def test_every_kind_of_order_is_carried_out(terms, status):
    broker = a_simulation()
    order = an_order(qty="1", **terms)

    told = answer(broker, 0, "submit", order)

    assert told[0].order_status in (OrderStatus.NEW, OrderStatus.PENDING_NEW)
    assert answer(broker, SECOND, "look_up", ref_to(order, None))[-1].order_status is status


def test_a_request_finds_its_order_by_any_of_its_ids():
    """A robot whose replacement was lost on the way names the order by an id that never was."""
    broker = a_simulation()
    order = an_order(limit_px="90")
    answer(broker, 0, "submit", order)
    ref = evolve(ref_to(order, None), client_order_id="M-1")
    request = CancelOrder(client_order_id="C-1", orig_client_order_id="M-1")

    (told,) = answer(broker, SECOND, "cancel", request, ref)

    assert told.exec_type in (ExecType.CANCELED, ExecType.PENDING_CANCEL)
    assert told.orig_client_order_id == "R-1"


def test_what_an_order_sets_off_elsewhere_is_not_its_answer():
    """An account does not trade with itself: the order in the way is canceled, on the stream."""
    broker = a_simulation()
    answer(broker, 0, "submit", an_order("R-1", limit_px="100"))

    told = answer(broker, SECOND, "submit", an_order("R-2", Side.SELL, limit_px="100"))

    assert {each.client_order_id for each in told} == {"R-2"}
    streamed = reports_in(
        [e for _, e in broker.advance(2 * SECOND) if not isinstance(e, LineChange)]
    )
    assert [each.client_order_id for each in streamed if each.exec_type is ExecType.CANCELED] == [
        "R-1"
    ]


def test_a_refusal_is_told_to_who_asked_and_not_to_the_stream():
    """A second order under one id is refused while the first one lives: the stream must not say
    of that id that it was rejected.
    """
    broker = a_simulation()
    answer(broker, 0, "submit", an_order(limit_px="90"))
    broker.advance(SECOND)

    with pytest.raises(BrokerRefused, match="DUPLICATE_ORDER"):
        answer(broker, SECOND, "submit", an_order(limit_px="91"))
    with pytest.raises(BrokerRefused, match="EXCEEDS_LIMIT") as refusal:
        answer(broker, SECOND, "submit", an_order("R-2", qty="100000"))

    assert json.loads(refusal.value.raw)["order_status"] == "REJECTED"
    assert broker.advance(5 * SECOND) == []
    state = answer(broker, 5 * SECOND, "look_up", ref_to(an_order("R-2"), None))[-1]
    assert (state.order_status, state.reason) == (OrderStatus.REJECTED, "EXCEEDS_LIMIT")


def test_a_look_up_tells_what_was_taken_back_too():
    """The stream may have lost the bust; without it a robot would hold the fill for ever."""
    broker = a_simulation()
    order = an_order(qty="2", limit_px="101", time_in_force="IOC")
    (trade,) = [
        each for each in answer(broker, 0, "submit", order) if each.exec_type is ExecType.TRADE
    ]
    broker._desk.exchange.bust(trade.trade_id)

    told = answer(broker, SECOND, "look_up", ref_to(order, None))

    assert [each.exec_type for each in told[:2]] == [ExecType.TRADE, ExecType.TRADE_CANCEL]
    assert told[1].exec_ref_id == trade.exec_id
    assert told[-1].cum_qty == 0
    assert [each.exec_type for each in answer(broker, SECOND, "fills_since", 0)] == [
        ExecType.TRADE, ExecType.TRADE_CANCEL,
    ]  # fmt: skip
    assert broker.truth()["fills"] == []


# ---- the account's file


def test_a_second_run_finds_the_same_account(tmp_path, brokers):
    path = tmp_path / "account"
    first = brokers(path=path)
    filled, resting = an_order("R-1", qty="3"), an_order("R-2", limit_px="90")
    stop = an_order("R-3", stop_px="150", time_in_force="GTD", expire_time=2**62)
    for order in (filled, resting, stop):
        first.submit(order)
    before = first.truth()
    told = reports_in(first.look_up(ref_to(filled, None)), ExecType.TRADE)
    first.close()

    second = brokers(path=path)

    assert before["fills"]
    assert second.truth() == before
    again = reports_in(second.look_up(ref_to(filled, None)), ExecType.TRADE)
    assert [evolve(each, ts_received=None) for each in again] == [
        evolve(each, ts_received=None) for each in told
    ]
    with pytest.raises(BrokerRefused, match="DUPLICATE_ORDER"):
        second.submit(resting)
    request = CancelOrder(client_order_id="C-1", orig_client_order_id="R-2")
    second.cancel(request, ref_to(resting, None))
    new = reports_in(second.submit(an_order("R-4", qty="1")))[-1]
    exec_ids = {row["exec_id"] for row in before["fills"]} | {each.exec_id for each in told}
    assert new.venue_order_id not in {row["venue_order_id"] for row in before["orders"]}
    assert not {row["exec_id"] for row in second.truth()["fills"][1:]} & exec_ids


def test_a_request_that_was_pending_is_answered_after_a_restart(tmp_path):
    path = tmp_path / "account"
    first = a_simulation(path=path)
    order = an_order(limit_px="90")
    pending = None
    for number in range(50):  # the exchange answers one request of three later
        order = an_order(f"R-{number}", limit_px="90")
        answer(first, number * SECOND, "submit", order)
        request = CancelOrder(client_order_id=f"C-{number}", orig_client_order_id=f"R-{number}")
        (told,) = answer(first, number * SECOND, "cancel", request, ref_to(order, None))
        if told.exec_type is ExecType.PENDING_CANCEL:
            pending = order
            break
    first.close()
    assert pending is not None

    second = a_simulation(path=path, opens_ns=100 * SECOND)
    second.advance(110 * SECOND)

    state = answer(second, 110 * SECOND, "look_up", ref_to(pending, None))[-1]
    assert state.order_status is OrderStatus.CANCELED
    second.close()


def test_a_replaced_order_is_found_under_every_id_after_a_restart(tmp_path):
    path = tmp_path / "account"
    first = a_simulation(path=path)
    order = an_order(limit_px="90")
    answer(first, 0, "submit", order)
    request = ReplaceOrder(client_order_id="M-1", orig_client_order_id="R-1", order_qty=Decimal(7))
    answer(first, 0, "replace", request, ref_to(order, None))
    first.advance(SECOND)
    first.close()

    second = a_simulation(path=path, opens_ns=2 * SECOND)
    for client_order_id in ("R-1", "M-1"):
        ref = ref_to(an_order(client_order_id), None)
        state = answer(second, 2 * SECOND, "look_up", ref)[-1]
        assert (state.client_order_id, state.order_qty) == ("M-1", 7)
    second.close()


def test_an_order_is_in_the_file_before_it_is_answered(tmp_path):
    """A process killed right after the answer finds the order again; here nothing is closed."""
    path = tmp_path / "account"
    broker = a_simulation(path=path)
    for number in range(3):
        answer(broker, 0, "submit", an_order(f"R-{number}", limit_px="90"))
        rows = [json.loads(line) for line in path.read_bytes().splitlines()]
        assert rows[-1]["orders"][0]["client_order_ids"] == [f"R-{number}"]
    broker.close()


def test_what_was_answered_is_on_the_disk(tmp_path, monkeypatch):
    """A power cut may take what was only written: an order that was answered may not be in it."""
    path, synced = tmp_path / "account", []
    monkeypatch.setattr("os.fsync", lambda file: synced.append(path.stat().st_size))
    broker = a_simulation(path=path)
    order = an_order(limit_px="90")
    for now_ns, call in enumerate(
        [
            ("submit", order),
            ("submit", an_order("R-2", qty="0.5")),
            ("cancel", CancelOrder(client_order_id="C-1", orig_client_order_id="R-1"),
             ref_to(order, None)),
        ]
    ):  # fmt: skip
        count = len(synced)
        broker.call(now_ns, *call)
        assert len(synced) == count + 1
        assert synced[-1] == path.stat().st_size
    broker.close()


def test_a_second_order_under_one_id_leaves_no_trace_in_the_account(tmp_path):
    path = tmp_path / "account"
    broker = a_simulation(path=path)
    answer(broker, 0, "submit", an_order(limit_px="90"))
    with pytest.raises(BrokerRefused):
        answer(broker, 0, "submit", an_order(limit_px="91"))
    before = broker.truth()
    broker.close()

    again = a_simulation(path=path)
    assert len(before["orders"]) == 1
    assert again.truth() == before
    again.close()


def test_a_change_that_was_half_written_is_cut_off(tmp_path):
    path = tmp_path / "account"
    broker = a_simulation(path=path)
    answer(broker, 0, "submit", an_order("R-1", limit_px="90"))
    answer(broker, 0, "submit", an_order("R-2", limit_px="90"))
    broker.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])

    again = a_simulation(path=path)

    assert [row["client_order_id"] for row in again.truth()["orders"]] == ["R-1"]
    answer(again, SECOND, "submit", an_order("R-2", limit_px="90"))
    again.close()
    third = a_simulation(path=path)
    assert [row["client_order_id"] for row in third.truth()["orders"]] == ["R-1", "R-2"]
    third.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_full_disk_stops_the_exchange_and_says_so(tmp_path, brokers, monkeypatch):
    """An account that went on without its file would be another one after a restart."""
    path = tmp_path / "account"
    broker, ear = brokers(path=path), Ear()
    broker.submit(an_order("R-1", limit_px="90"))
    broker.connect(ear)
    with monkeypatch.context() as full:
        full.setattr("os.write", lambda file, data: _refuse())
        with pytest.raises(OSError, match="No space left"):
            broker.submit(an_order("R-2", limit_px="90"))
    with pytest.raises(OSError, match="No space left"):
        broker.submit(an_order("R-3", limit_px="90"))
    ear.wait(lambda ear: ear.lines == [True, False])
    broker.close()
    assert [row["client_order_id"] for row in brokers(path=path).truth()["orders"]] == ["R-1"]


def _refuse() -> int:
    raise OSError(28, "No space left on device")


def test_an_account_has_one_holder_and_one_seed(tmp_path):
    path = tmp_path / "account"
    file = AccountFile(path, 1)
    with pytest.raises(BadInput, match="another process holds"):
        AccountFile(path, 1)
    file.close()
    with pytest.raises(BadInput, match="has seed 1, not 2"):
        AccountFile(path, 2)
    path.write_text("SQLite format 3\n")
    with pytest.raises(BadInput, match="not a paper account"):
        AccountFile(path, 1)
    assert path.read_text() == "SQLite format 3\n"


def test_the_market_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "account"
    first = SimulatedBroker(1, path=path, pace_ns=SECOND)
    first.advance(3_600 * SECOND)
    answer(first, 3_600 * SECOND, "submit", an_order(qty="10", instrument_id="SBER"))
    left_at = first._desk.exchange.mark("SBER").px
    first.close()

    second = SimulatedBroker(1, path=path, opens_ns=9_999 * SECOND)

    assert left_at != LISTINGS[0].start_px
    assert second._desk.exchange.mark("SBER").px == left_at
    second.close()


# ---- in this process


def test_the_clock_is_an_argument(brokers):
    clock = Clock(1_000 * SECOND)
    broker = brokers(clock=clock)
    order = an_order(limit_px="90", time_in_force="GTD", expire_time=2_000 * SECOND)
    (told, *_) = reports_in(broker.submit(order))
    assert told.ts_event // SECOND == 1_000
    clock.ns = 3_000 * SECOND
    assert reports_in(broker.look_up(ref_to(order, None)))[-1].order_status is OrderStatus.EXPIRED


def test_what_is_done_to_the_account_is_done_when_it_is(brokers):
    clock = Clock()
    broker = brokers(clock=clock)
    clock.ns = 50 * SECOND
    broker.transfer("SHARE", Decimal(5))
    (message,) = broker.activities_since(0)
    assert message.content.ts_event == 50 * SECOND


def test_an_account_to_which_something_was_done_is_not_new(brokers, tmp_path):
    """Moving it beside the ledger would forget what came in."""
    broker = brokers()
    broker.transfer("SHARE", Decimal(5))
    broker.keep_beside(str(tmp_path / "a.ledger"))
    assert [row["position_qty"] for row in broker.truth()["positions"]] == ["5"]


def test_a_clock_that_goes_back_stops_nothing(brokers):
    clock = Clock(1_000 * SECOND)
    broker = brokers(clock=clock)
    broker.submit(an_order("R-1", limit_px="90"))
    clock.ns = 10 * SECOND
    broker.submit(an_order("R-2", limit_px="90"))
    assert len(broker.open_orders()) == 2


def test_what_was_taken_away_is_not_declared_and_not_answered(brokers):
    without = ("can_look_up", "has_open_orders", "has_stream")
    broker = brokers(without=without)
    assert broker.capabilities == evolve(PAPER, **dict.fromkeys(without, False))
    ear = Ear()
    broker.connect(ear)
    order = an_order(limit_px="90")
    venue_order_id = reports_in(broker.submit(order))[-1].venue_order_id

    assert list(broker.look_up(ref_to(order, None))) == []
    assert reports_in(broker.look_up(ref_to(order, venue_order_id)))[-1].client_order_id == "R-1"
    with pytest.raises(AssertionError, match="open_orders is not declared"):
        broker.open_orders()
    time.sleep(0.05)
    assert ear.messages == []


def test_closing_ends_a_call_that_hangs(brokers):
    broker = brokers(faults="hang=1")
    errors = []

    def submit() -> None:
        try:
            broker.submit(an_order())
        except ConnectionError as error:
            errors.append(str(error))

    thread = threading.Thread(target=submit)
    thread.start()
    time.sleep(0.05)
    assert thread.is_alive()
    broker.close()
    thread.join(5)
    assert not thread.is_alive()
    assert errors == ["the broker was closed while the call was under way"]
    with pytest.raises(ConnectionError, match="closed"):
        broker.submit(an_order("R-2"))


def test_a_call_that_hangs_ends_some_time_without_evidence(brokers):
    broker = brokers(faults="hang=1", hang_s=0.01)
    with pytest.raises(TimeoutError):
        broker.submit(an_order())


def test_a_market_that_moves_fills_what_rests():
    """What the whole is for: an order that rests near the market is filled, and is told of."""
    broker = PaperBroker(seed=7, pace_ns=SECOND // 50)
    ear = Ear()
    try:
        broker.connect(ear)
        last_px = broker._way._broker._desk.exchange.mark("SBER").px
        broker.submit(an_order(qty="10", instrument_id="SBER", limit_px=str(last_px)))
        ear.wait(lambda ear: ear.reports(ExecType.TRADE))
    finally:
        broker.close()
    assert broker.truth()["fills"]


# ---- in virtual time


@pytest.mark.parametrize("more", ["", ",account"])
def test_one_long_step_is_as_good_as_many_short_ones(more):
    """A tracker looks when it likes: what happens must not depend on that."""
    days = []
    for step_ns in (DAY, 7 * SECOND):
        broker = SimulatedBroker(5, f"all,bust=0.5,correct=0.5{more}", 0, pace_ns=5 * SECOND)
        for number in range(20):
            limit_px = f"275.{30 + number}"
            broker.call(
                0,
                "submit",
                an_order(f"R-{number}", qty="50", instrument_id="SBER", limit_px=limit_px),
            )
        events = []
        for to_ns in range(step_ns, 3_600 * SECOND, step_ns):
            events += broker.advance(to_ns)
        events += broker.advance(3_600 * SECOND)
        days.append((events, broker.truth()))
    assert len(days[0][0]) > 50
    assert days[0] == days[1]


def test_the_stream_is_late_and_in_order():
    broker = a_simulation()
    due_ns, outcome = broker.call(0, "submit", an_order(qty="3"))
    assert 400_000 <= due_ns <= 25_000_000
    assert {message.content.ts_received for message in outcome} == {due_ns}
    events = broker.advance(SECOND)
    assert events[0] == (0, LineChange(True))
    times = [ns for ns, _ in events]
    assert times == sorted(times)
    assert times[1] > 0
    assert [message.content.ts_received for _, message in events[1:]] == times[1:]
    assert {e.exec_id for e in reports_in(outcome)} == {
        message.content.exec_id for _, message in events[1:]
    }


def test_too_many_calls_are_turned_away_and_not_carried_out():
    broker = a_simulation(capabilities=evolve(PAPER, calls=2))
    outcomes = [
        broker.call(0, "submit", an_order(f"R-{number}", limit_px="90"))[1] for number in range(6)
    ]
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert [error.http_status for error in errors] == [429, 429]
    assert len(answer(broker, 2 * SECOND, "open_orders")) == 4
