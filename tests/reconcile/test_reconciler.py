"""When runs are made, one at a time, and that none of them, and no alarm of theirs, gets lost."""

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from feedback.desk import filled, told
from feedback.test_storage import FullDisk
from fillbook.brokers.live import BrokerRefused
from fillbook.brokers.port import Message
from fillbook.core.reports import BalanceReport, PositionReport
from fillbook.errors import OfflineRefused
from fillbook.feedback.settings import SECOND
from fillbook.feedback.summary import summary
from fillbook.reconcile.policies import Action
from fillbook.reconcile.wishes import Wish
from fillbook.wiring.reconciling import dry_desk
from reconcile.house import TELLS, House, policies, statement

ADOPT = policies(Action.ADOPT, Action.ADOPT, Action.ADOPT)
RESTORE = policies(Action.RESTORE, Action.RESTORE, Action.RESTORE)


def flipping(house: House, name: str, *answers: str) -> Any:
    """Answer for *name* with one of *answers* after the other, for the rest with the truth."""
    count = 0

    def tell(call: Any) -> Any:
        nonlocal count
        if call.kind != "positions":
            return None
        count += 1
        return statement(house.theirs | {name: Decimal(answers[count % len(answers)])})

    return tell


def one_gap(run: Any, name: str = "SBER") -> Any:
    (gap,) = [gap for gap in run.gaps if gap.instrument_id == name]
    return gap


# ---- one difference beside another


def test_one_instrument_that_never_rests_does_not_keep_another_from_being_settled():
    house = House(ADOPT, GAZP="3")
    house.begin()
    house.hold("10")
    house.live(15)
    house.by_hand("-2", is_told=False)
    house.tell = flipping(house, "GAZP", "7", "8")
    run = house.reconcile()

    assert run.outcome == "UNSETTLED"
    assert (one_gap(run).action, one_gap(run, "GAZP").action) == ("ADOPT", "WAIT")
    assert house.held() == "8"


def test_what_waits_says_what_it_waits_for():
    house = House(ADOPT)
    house.begin()
    house.hold("10")
    house.tell = flipping(house, "SBER", "7", "8")
    assert one_gap(house.reconcile()).text == "the broker's answer changed"


def test_what_was_adopted_is_looked_at_again_soon_whatever_else_is_left():
    house = House(policies(Action.ADOPT, Action.ADOPT, Action.ALERT))
    house.begin()
    house.hold("10")
    house.live(15)
    house.theirs |= {"SBER": Decimal(8), "GAZP": Decimal(50)}
    run = house.reconcile(30)
    assert run.outcome == "DIFFERS"
    count = len(house.runs())
    house.live(40)
    assert len(house.runs()) > count


# ---- when


def test_a_run_that_is_wanted_while_one_is_under_way_comes_next():
    house = House(ADOPT)
    house.begin()
    house.hold("10")
    house.live(15)
    house.by_hand("-2", is_told=False)
    numbers = [house.task.want(Wish(cause="OPERATOR", by=name), house.now) for name in "ab"]
    house.live(0)
    assert house.task.reconciler.run is not None
    assert all(house.task.reconciler.is_known(each) for each in numbers)
    house.live(60)
    results = [house.task.reconciler.result(each) for each in numbers]
    assert [run and run.outcome for run in results] == ["ADOPTED", "AGREED"]
    assert [run.by for run in house.runs()][1:3] == ["a", "b"]
    assert len(house.of_type("position.adopted")) == 1


def test_a_run_that_waits_for_another_is_due_when_that_one_ends():
    house = House(ADOPT)
    house.begin()
    for name in "ab":
        house.task.want(Wish(cause="OPERATOR", by=name), house.now)
    (call,) = [call for call in house.step() if call.kind == "positions"]
    house.tracker.answered(call, statement(house.theirs), house.now)
    for call in house.step():  # orders and fills are asked for where positions agree, too
        house.tracker.answered(call, [], house.now)
    due_ns = house.task.due_ns()
    assert due_ns is not None
    assert due_ns <= house.now


def test_a_run_that_is_wanted_while_the_line_is_down_is_made_when_it_is_back():
    house = House(ADOPT)
    house.begin()
    house.hold("10")
    house.tell = lambda call: ConnectionError("the line is cut")
    house.live(120)
    assert not house.tracker.line.is_up
    number = house.task.want(Wish(cause="OPERATOR", by="ann"), house.now)
    house.live(30)
    assert house.task.reconciler.is_known(number)
    house.tell = lambda call: None
    house.live(120)

    run = house.task.reconciler.result(number)
    assert run is not None
    assert run.outcome == "AGREED"
    assert "ann" in [run.by for run in house.runs()]
    assert house.tracker.schedule.is_open


def test_a_run_that_is_wanted_during_a_recovery_is_not_forgotten():
    """It waits: orders that are still asked about would look like differences."""
    house = House(ADOPT)
    house.tracker.start(house.now)
    number = house.task.want(Wish(cause="OPERATOR", by="ann"), house.now)
    for call in house.step():
        assert call.kind != "positions"
        house.answer(call)
    assert house.task.reconciler.is_known(number)
    house.live(10)

    run = house.task.reconciler.result(number)
    assert run is not None
    assert [(each.cause, each.by) for each in house.runs()] == [
        ("START", "the robot"), ("OPERATOR", "ann"),
    ]  # fmt: skip


def test_a_line_lost_in_the_middle_ends_the_run_and_the_next_one_comes_with_it():
    house = House(RESTORE)
    house.begin()
    house.hold("10")
    house.live(15)
    house.by_hand("-2", is_told=False)
    number = house.task.want(Wish(cause="OPERATOR", by="ann"), house.now)
    house.live(1)
    assert house.task.reconciler.run is not None
    house.tell = lambda call: ConnectionError("the line is cut")
    house.live(120)
    run = house.task.reconciler.result(number)
    assert run is not None
    assert run.outcome in ("UNSETTLED", "UNANSWERED")
    assert not house.tracker.schedule.is_open
    house.tell = lambda call: None
    house.live(200)

    assert house.tracker.schedule.is_open
    assert [run.cause for run in house.runs()][2] == "START"
    assert len(house.restoring()) == len(house.of_type("position.adopted")) == 1


def test_positions_that_fail_for_ever_keep_trading_shut_and_say_why():
    house = House()
    house.tell = lambda call: (
        BrokerRefused("OTHER", "no rights") if call.kind == "positions" else None
    )
    house.tracker.start(house.now)
    house.live(1000)

    assert not house.tracker.schedule.is_open
    assert set(house.outcomes()) == {"UNANSWERED"}
    assert {run.cause for run in house.runs()} == {"START"}
    assert "no rights" in house.runs()[-1].text
    assert not house.halts()
    house.tell = lambda call: None
    house.live(100)
    assert house.tracker.schedule.is_open


def test_positions_that_are_never_answered_are_a_problem_in_words():
    """More calls wait than the rate allows: the question has not even left."""
    house = House()
    house.begin()
    house.task.want(Wish(cause="OPERATOR"), house.now)
    run = house.task.reconciler.run
    assert run is not None
    run.tick(house.now + 61 * SECOND)
    assert run.event is not None
    assert run.event.outcome == "UNANSWERED"
    assert run.event.text


@pytest.mark.parametrize("critical", list(Action))
def test_a_large_difference_that_never_rests_holds_a_start_up_until_something_is_said(critical):
    house = House(policies(critical=critical))
    house.tell = flipping(house, "SBER", "500", "400")
    house.tracker.start(house.now)
    house.live(250)
    assert not house.tracker.schedule.is_open
    assert house.halts() == []
    house.live(400)

    assert house.tracker.schedule.is_open
    assert house.halts() == ([] if critical is Action.ALERT else ["SBER"])
    assert one_gap(house.runs()[-1]).action == ("ALERT" if critical is Action.ALERT else "HALT")
    house.live(2000)
    assert len(house.of_type("trading.halted")) == len(house.halts())


def test_what_turned_out_to_be_large_holds_a_start_up_too():
    house = House(ADOPT)
    house.tell = flipping(
        house, "SBER", "400", "2", "500", "400", "500", "400", "500", "400", "500"
    )
    house.tracker.start(house.now)
    house.live(100)
    assert one_gap(house.runs()[0]).size == "CRITICAL"
    assert not house.tracker.schedule.is_open


@pytest.mark.parametrize(("more", "halts"), [(0, []), (505, ["SBER"])])
def test_a_robot_that_never_rests_is_not_halted_because_the_broker_lags(
    more: int, halts: list[str]
):
    """Its broker says what was held some seconds ago; what it never held is another matter."""
    house = House()
    house.begin()
    held: list[tuple[int, Decimal]] = [(0, Decimal(0))]

    def tell(call: Any) -> Any:
        if call.kind != "positions":
            return None
        then = [qty for ts, qty in held if ts <= house.now - 8 * SECOND]
        return statement({"SBER": then[-1] + more})

    house.tell = tell
    for number in range(300):
        if house.halts():
            break
        house.hold("20" if number // 10 % 2 == 0 else "-20")
        held.append((house.now, house.theirs["SBER"]))
        house.live(4)
    assert house.halts() == halts
    assert "UNSETTLED" in house.outcomes()
    if not more:
        gap = one_gap([run for run in house.runs() if run.gaps][-1])
        assert (gap.size, gap.action) == ("CRITICAL", "WAIT")
        assert "what the book held before seq" in gap.text


# ---- adopted and restored, once


def test_what_was_never_confirmed_is_not_adopted_again():
    house = House(ADOPT)
    house.begin()
    house.hold("10")
    house.live(15)
    house.by_hand("-2", is_told=False)
    assert house.reconcile(25).outcome == "ADOPTED"
    house.by_hand("-2", is_told=False)
    house.live(400)

    assert len(house.of_type("position.adopted")) == 1
    assert (house.held(), house.halts()) == ("8", ["SBER"])
    house.theirs["SBER"] = Decimal(8)
    house.live(400)
    assert house.outcomes()[-1] == "AGREED"
    assert not house.tracker.book.agreements.weakest().unconfirmed


def test_an_answer_that_is_frozen_is_not_traded_against_again_and_again():
    """The restoring order rests over two runs; its fill never shows in the broker's answer."""
    house = House(RESTORE)
    house.begin()
    house.hold("10")
    house.live(15)
    house.theirs["SBER"] = Decimal(8)
    house.live(340)
    for count in range(4):
        for order in house.tracker.book.open_orders():
            house.hear(filled(order, f"R{count}", "2", "2"))
        house.live(700)

    assert len(house.restoring()) == 1
    assert house.halts() == ["SBER"]


def test_an_adoption_from_flat_is_a_move_of_its_position():
    house = House(ADOPT)
    house.begin()
    house.theirs["SBER"] = Decimal(5)
    house.reconcile()
    moves = house.task.desk.position_records("default", "SBER", 0)
    assert [record.type for record in moves] == ["position.adopted"]


def test_where_the_disk_takes_no_order_the_difference_is_told_and_not_adopted():
    house = House(RESTORE)
    house.begin()
    house.hold("10")
    house.live(15)
    house.by_hand("-2", is_told=False)
    FullDisk(house)
    run = house.reconcile()

    assert (run.outcome, one_gap(run).action, run.alerted, run.restored) == (
        "DIFFERS", "ALERT", 1, 0,
    )  # fmt: skip
    assert "the disk is full" in one_gap(run).text
    assert house.held() == "10"
    assert not house.restoring()
    house.live(700)
    assert "the disk is full" in one_gap(house.runs()[-1]).text


# ---- what the broker tells


def test_cash_is_counted_with_a_run_that_agrees_at_once():
    house = House(capabilities=evolve(TELLS, has_cash=True))
    cash = [Message(0, "balance", BalanceReport(currency="RUB", amount=Decimal(900)), b"{}")]
    house.tell = lambda call: cash if call.kind == "cash" else None
    house.begin()
    for run in (house.runs()[0], house.reconcile()):
        assert [(each.currency, each.reported) for each in run.cash] == [("RUB", Decimal(900))]


@pytest.mark.parametrize("what", ["fails", "is no balance"])
def test_cash_that_is_not_told_keeps_nothing_up(what: str):
    house = House(capabilities=evolve(TELLS, has_cash=True))
    answer: Any = ConnectionError("no") if what == "fails" else statement({"SBER": Decimal(1)})
    house.tell = lambda call: answer if call.kind == "cash" else None
    house.begin()
    assert house.outcomes() == ["AGREED"]
    assert house.runs()[0].cash == ()


def test_other_accounts_in_the_answer_are_left_alone():
    house = House(ADOPT, SBER="5")
    other = PositionReport(instrument_id="SBER", position_qty=Decimal(70), account_id="other")
    house.tell = lambda call: (
        [*statement(house.theirs), Message(0, "position", other, b"other")]
        if call.kind == "positions"
        else None
    )
    house.begin()
    (run, *_) = house.runs()
    assert (house.held(), run.statement_count, run.compared) == ("5", 1, 1)


def test_bytes_that_come_with_every_message_are_kept_once():
    house = House()
    house.tell = lambda call: (
        [
            evolve(each, raw=b"[]")
            for each in statement({"SBER": Decimal(0), "GAZP": Decimal(0)})
        ]
        if call.kind == "positions"
        else None
    )  # fmt: skip
    house.begin()
    (run,) = [each for each in house.log.records() if each.type == "book.reconciled"]
    assert house.runs()[0].statement_count == 2
    raw = house.log.raw(run.seq)
    assert raw is not None
    assert raw.raw == b"[]"


def test_look_ups_of_a_run_that_was_given_up_do_not_hold_up_the_next():
    slow = evolve(TELLS, has_open_orders=False, has_fills_since=False)
    house = House(ADOPT, capabilities=slow)
    house.begin()
    house.hold("10")
    resting = house.submit("1", "90")
    house.live(16)
    house.by_hand("-2", is_told=False)
    late: list[Any] = []

    def respond(call: Any) -> None:
        if call.kind == "look_up" and call.purpose == "task" and len(late) < 1 and is_slow:
            late.append(call)
        else:
            house.respond(call)

    is_slow = True
    numbers = [house.task.want(Wish(cause="OPERATOR", by=name), house.now) for name in "ab"]
    run = house.task.reconciler.run
    assert run is not None
    house.pass_time(1, respond)
    house.now = run.started_ns + 60 * SECOND
    if late:
        late[0].deadline_ns = house.now + 1000 * SECOND
    is_slow = False
    house.pass_time(50, respond)
    ended = [house.task.reconciler.result(each) for each in numbers]
    assert ended[1] is not None
    assert ended[1].outcome == "ADOPTED"
    assert told(resting)


def test_an_order_that_the_broker_forgot_does_not_keep_a_difference_from_counting():
    """It says that it knows no such order: that is an answer."""
    house = House(ADOPT, capabilities=evolve(TELLS, has_open_orders=False, has_fills_since=False))
    house.begin()
    house.hold("10")
    house.submit("1", "90")
    house.live(16)
    house.by_hand("-2", is_told=False)
    house.tell = lambda call: (
        BrokerRefused("UNKNOWN_ORDER", "no such order") if call.kind == "look_up" else None
    )
    assert one_gap(house.reconcile()).action == "ADOPT"


# ---- dry runs


def test_a_dry_run_beside_a_robot_that_trades_writes_nothing():
    house = House(ADOPT)
    house.begin()
    house.hold("10")
    house.live(15)
    house.by_hand("-2", is_told=False)
    last_seq = house.tracker.book.agreements.weakest().last_seq
    number = house.task.want(Wish(cause="OPERATOR", by="ann"), house.now, dry_desk(house.task.desk))
    house.live(1)
    house.submit("3", "90", instrument_id="GAZP")
    house.live(60)

    run = house.task.reconciler.result(number)
    assert run is not None
    assert [str(each.settlement and each.settlement.action) for each in run.findings] == ["ADOPT"]
    assert (house.held(), house.tracker.book.agreements.weakest().last_seq) == ("10", last_seq)
    assert not house.of_type("position.adopted")
    assert all(run.by != "ann" for run in house.runs())


def test_a_robot_that_may_not_trade_yet_says_what_keeps_it():
    house = House(ADOPT)

    def forbidden(call: Any) -> Any:
        refusal = BrokerRefused("OTHER", "403 for this key")
        return refusal if call.kind == "positions" else None

    house.tell = forbidden
    house.begin(70)
    told_of = summary(house.tracker, None, house.now)
    assert told_of["state"] == "RECONCILING"
    assert "403 for this key" in told_of["problem"]
    with pytest.raises(OfflineRefused, match=r"still being compared .*403 for this key"):
        house.submit("1", "100")
    house.tell = lambda call: None
    house.live(90)
    assert summary(house.tracker, None, house.now)["problem"] is None


def test_a_difference_is_shown_on_while_the_broker_does_not_tell():
    house = House(policies(minor=Action.ALERT))
    house.begin()
    house.hold("10")
    house.by_hand("-2", is_told=False)
    house.live(400)
    refusal = BrokerRefused("OTHER", "not now")
    house.tell = lambda call: refusal if call.kind == "positions" else None
    house.live(400)
    assert house.outcomes()[-1] == "UNANSWERED"
    assert summary(house.tracker, None, house.now)["position_differences"] == {"SBER": "-2"}
