"""What becomes of an intent: accepted, refused by evidence, or unknown until evidence comes."""

import itertools
from decimal import Decimal

import pytest
from attrs import evolve

from feedback.desk import ABLE, Desk, filled, snapshot, told
from fillbook.brokers.live import BrokerRefused, NotSent
from fillbook.brokers.port import Message
from fillbook.core.commands import SubmitOrder
from fillbook.core.values import ExecType, Side
from fillbook.errors import OfflineRefused, TradingHalted
from fillbook.feedback.schedule import Call
from fillbook.feedback.settings import SECOND, Settings


def test_an_intent_is_durable_before_its_call_is_handed_out():
    desk = Desk()

    order = desk.submit()

    assert desk.calls[-1].kind != "submit"
    assert desk.types()[-1] == "order.submitted"
    (call,) = desk.step()
    assert (call.kind, call.stream) == ("submit", order.stream)


def test_accepted():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()

    desk.answer(call, told(order))

    assert order.order_status == "NEW"
    assert order.venue_order_id == "V-C1-1"


def test_refused_by_evidence():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()

    desk.fail(call, BrokerRefused("TOO_LARGE", "no", b'{"no": 1}'))

    assert order.order_status == "REJECTED"
    (event,) = desk.of_type("order.rejected")
    assert (event.reason, event.text, event.never_arrived) == ("TOO_LARGE", "no", False)
    raw = desk.log.raw(desk.log.head().seq)
    assert raw is not None
    assert raw.raw == b'{"no": 1}'


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("slow"),
        ConnectionResetError("cut"),
        OSError("503"),
        ValueError("unreadable"),
        BrokerRefused("DUPLICATE_ORDER", "known"),
    ],
)
def test_silence_is_unknown_and_is_looked_up_until_evidence_comes(error: BaseException):
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()

    desk.fail(call, error)

    assert order.order_status == "UNKNOWN"
    look_up = desk.one("look_up", 2)
    desk.answer(look_up, snapshot(order))
    assert order.order_status == "NEW"
    assert [each.kind for each in desk.calls].count("submit") == 1


def test_an_unknown_order_is_asked_about_ever_more_rarely():
    """Evidence may take minutes, and other orders need the broker's rate too."""
    desk = Desk(settings=Settings(poll_ns=600 * SECOND))
    desk.submit()
    (call,) = desk.step()
    desk.fail(call)

    def answer(call):
        desk.fail(call, ValueError("unreadable")) if call.kind == "look_up" else desk.answer(call)

    asked = [each.started_ns for each in desk.pass_time(120, answer) if each.kind == "look_up"]
    waits = [later - earlier for earlier, later in itertools.pairwise(asked)]

    assert waits == sorted(waits)
    assert waits[0] <= SECOND
    assert waits[-1] >= 20 * SECOND


def test_an_answer_that_says_nothing_is_no_answer():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()

    desk.answer(call)

    assert order.order_status == "UNKNOWN"


def test_a_call_has_a_deadline_and_a_late_answer_is_still_heard():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()

    desk.step(10)
    assert order.order_status == "UNKNOWN"
    desk.answer(call, told(order))

    assert order.order_status == "NEW"


def test_not_sent_is_evidence():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()

    desk.fail(call, NotSent("connection refused"))

    assert order.order_status == "REJECTED"
    (event,) = desk.of_type("order.rejected")
    assert event.never_arrived


def test_not_found_counts_only_after_settling_several_times_and_over_everything():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()
    desk.fail(call)

    seen = desk.pass_time(4.9)
    assert order.order_status == "UNKNOWN"
    assert [each.kind for each in seen].count("look_up") >= 2

    seen = desk.pass_time(120)

    assert order.order_status == "REJECTED"
    (event,) = desk.of_type("order.rejected")
    assert event.reason == "NEVER_ARRIVED"
    after = [each for each in seen if each.started_ns >= call.started_ns + 5 * SECOND]
    kinds = [each.kind for each in after]
    assert kinds.count("look_up") >= 3
    assert "fills_since" in kinds
    assert "open_orders" in kinds


def test_what_is_still_being_sent_is_not_missed():
    """Whoever hears that it never arrived sends another, and then both are there."""
    desk = Desk(evolve(ABLE, can_look_up=False))
    desk.pass_time(4)
    order = desk.submit()

    def answer(call: Call) -> None:
        if call.kind != "submit":
            desk.answer(call)

    desk.pass_time(9, answer)

    assert order.order_status == "PENDING_NEW"


def test_an_order_settles_from_when_it_left_and_not_from_when_it_was_wanted():
    desk = Desk(evolve(ABLE, concurrency=1))
    desk.submit()
    desk.step()
    order = desk.submit()
    left = desk.one("submit", 20)  # after the deadline of the first
    assert left.stream == order.stream
    desk.fail(left)
    desk.pass_time(4.5)

    assert order.order_status == "UNKNOWN"
    desk.pass_time(60)
    assert order.order_status == "REJECTED"


def test_an_order_settles_anew_after_a_crash(tmp_path):
    """It may have left right before."""
    desk = Desk(settings=Settings(poll_ns=SECOND), path=str(tmp_path / "a.ledger"))
    order_id = desk.submit().client_order_id
    desk.now += 60 * SECOND
    desk.crash()
    desk.tracker.start(desk.now)
    order = desk.tracker.book.find_order(order_id, None)
    desk.pass_time(4.5)

    assert order.order_status == "PENDING_NEW"
    desk.pass_time(60)
    assert order.order_status == "REJECTED"


def test_an_order_that_never_arrived_and_shows_up_after_all_is_open_again():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()
    desk.fail(call)
    desk.pass_time(120)
    assert order.order_status == "REJECTED"

    desk.hear(snapshot(order, cum_qty="0"))

    assert order.order_status == "NEW"
    desk.hear(filled(order, "T1", "4", "4"))
    assert order.order_status == "PARTIALLY_FILLED"


def test_what_is_queued_waits_on_while_the_robot_stops():
    desk = Desk(settings=Settings(offline="QUEUE", queue_ns=3600 * SECOND))
    desk.submit()
    desk.pass_time(30, desk.fail)
    command = SubmitOrder(
        client_order_id="Q1", instrument_id="SBER", side=Side.BUY, order_type="MARKET",
        order_qty=Decimal(1), ts_event=desk.now,
    )  # fmt: skip
    desk.tracker.intents.submit(command, desk.now)
    desk.tracker.stop_taking()

    seen = desk.pass_time(60)

    assert desk.tracker.schedule.is_open
    assert "submit" not in [call.kind for call in seen]
    assert list(desk.tracker.book.control.queued) == ["Q1"]


def test_without_any_way_to_ask_an_unknown_order_halts_its_instrument():
    blind = evolve(
        ABLE, can_look_up=False, has_open_orders=False, has_fills_since=False, has_stream=False
    )
    desk = Desk(blind)
    order = desk.submit()
    (call,) = desk.step()

    desk.fail(call)

    assert order.order_status == "UNKNOWN"
    with pytest.raises(TradingHalted, match="cannot be asked"):
        desk.submit()
    assert desk.submit(instrument_id="GAZP")
    desk.pass_time(3600)
    assert order.order_status == "UNKNOWN"


def test_a_stream_message_that_comes_before_the_answer_is_recorded_at_once():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()

    desk.hear(filled(order, "T1", "4", "4"))
    assert order.standing.cum_qty == Decimal(4)
    desk.fail(call)

    assert order.order_status == "PARTIALLY_FILLED"


def by_venue_id_alone(report):
    return evolve(report, client_order_id=None)


@pytest.mark.parametrize("answer", ["in time", "never, but the look-up finds it"])
def test_a_fill_under_the_venues_id_alone_waits_for_the_answer_that_tells_whose_it_is(answer: str):
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()

    desk.hear(by_venue_id_alone(filled(order, "T1", "4", "4")))
    assert desk.types()[-1] == "message.set_aside"
    assert order.standing.cum_qty == 0
    if answer == "in time":
        desk.answer(call, told(order))
    else:
        desk.fail(call)
        desk.answer(desk.one("look_up", 2), snapshot(order))

    assert order.standing.cum_qty == Decimal(4)
    assert [each.stream for each in desk.tracker.book.open_orders()] == [order.stream]


def test_a_message_that_waited_for_an_order_that_never_arrived_is_somebody_elses():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()
    desk.hear(by_venue_id_alone(filled(order, "T1", "4", "4")))

    desk.fail(call, BrokerRefused("TOO_LARGE", "no"))
    desk.step()

    assert order.standing.cum_qty == 0
    (external,) = desk.tracker.book.open_orders()
    assert (external.origin, external.standing.cum_qty) == ("EXTERNAL", Decimal(4))


def test_a_message_of_another_side_does_not_wait():
    desk = Desk()
    order = desk.submit()
    desk.step()

    desk.hear(evolve(by_venue_id_alone(filled(order, "T1", "4", "4")), side=Side.SELL))

    assert "order.discovered" in desk.types()


def test_stream_and_poll_tell_the_same_fill_once():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()
    desk.answer(call, told(order))
    desk.hear(filled(order, "T1", "4", "4"))

    poll = desk.one("open_orders", 90)
    desk.answer(poll, filled(order, "T1", "4", "4"), snapshot(order, "PARTIALLY_FILLED",
                                                               cum_qty="4"))  # fmt: skip

    assert order.standing.cum_qty == Decimal(4)
    assert desk.types().count("order.filled") == 1
    assert desk.tracker.counts["DUPLICATE"] >= 2


@pytest.mark.parametrize(
    ("is_told", "least", "most"), [(True, 2, 4), (False, 11, 14)], ids=["it tells", "it is silent"]
)
def test_polls_are_rare_while_the_stream_tells_and_frequent_while_it_is_silent(
    is_told: bool, least: int, most: int
):
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()
    desk.answer(call, told(order))
    desk.tracker.stream_line(True, "", desk.now)
    polls = 0
    for _ in range(24):
        if is_told:
            desk.hear(told(order))
        seen = desk.pass_time(5, lambda call: desk.answer(call, snapshot(order)))
        polls += sum(call.kind == "open_orders" for call in seen)

    assert least <= polls <= most


# ---- after a crash


def reopened(desk: Desk, order_id: str):
    order = desk.tracker.book.find_order(order_id, None)
    assert order is not None
    return order


@pytest.mark.parametrize("sent", [False, True])
def test_after_a_crash_the_unanswered_is_asked_about_before_anything_new(tmp_path, sent: bool):
    desk = Desk(path=str(tmp_path / "a.ledger"))
    order_id = desk.submit().client_order_id
    if sent:
        desk.step()
    desk.crash()
    desk.tracker.start(desk.now)

    with pytest.raises(OfflineRefused):
        desk.submit()
    calls = desk.step()
    kinds = {call.kind for call in calls}
    assert kinds == {"look_up", "open_orders", "fills_since"}
    for call in calls:
        order = reopened(desk, order_id)
        desk.answer(call, *([snapshot(order)] if call.kind == "look_up" else []))

    assert reopened(desk, order_id).order_status == "NEW"
    assert desk.submit()
    assert "submit" in {call.kind for call in desk.step()}
    assert sum(call.stream == order.stream and call.kind == "submit" for call in desk.calls) == 0


# ---- the line


def test_a_lost_line_refuses_what_is_new_and_comes_back_with_questions():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()
    desk.answer(call, told(order))
    desk.pass_time(100, desk.fail)
    assert not desk.tracker.line.is_up
    assert desk.types().count("line.lost") == 1

    with pytest.raises(OfflineRefused, match="cannot be reached"):
        desk.submit()
    desk.pass_time(60)

    assert desk.types().count("line.restored") == 1
    assert desk.submit()


def test_while_the_line_is_down_one_call_at_a_time_tries_it_ever_more_rarely():
    desk = Desk()
    for _ in range(20):
        desk.submit()
    for call in desk.step():
        desk.fail(call)

    seen = desk.pass_time(600, desk.fail)

    assert len(seen) < 50


def test_a_line_that_is_down_is_tried_by_one_call_at_a_time():
    """A broker that hangs would else be given one more call at every look."""
    desk = Desk()
    desk.submit()
    desk.pass_time(30, desk.fail)
    assert not desk.tracker.line.is_up

    started = 0
    for _ in range(80):
        started += len(desk.step(0.5))
        assert len(desk.tracker.schedule.under_way) <= 1

    assert started >= 1


def test_a_flapping_line_does_not_multiply_requests():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()
    desk.answer(call, told(order))
    flips = 0

    def flap(call):
        nonlocal flips
        flips += 1
        (desk.fail if flips % 4 else desk.answer)(call)

    seen = desk.pass_time(600, flap)

    assert len(seen) < 200


def test_a_queued_order_is_sent_when_the_line_is_back():
    desk = Desk(settings=Settings(offline="QUEUE"))
    order = desk.submit()
    (call,) = desk.step()
    desk.answer(call, told(order))
    desk.pass_time(100, desk.fail)
    assert not desk.tracker.line.is_up

    command = evolve_command(desk)
    assert desk.tracker.intents.submit(command, desk.now) is None
    assert desk.types()[-1] == "queue.added"
    seen = desk.pass_time(50)

    sent = [call for call in seen if call.kind == "submit"]
    assert [call.command.client_order_id for call in sent] == [command.client_order_id]
    assert not desk.tracker.book.control.queued


def test_a_queued_order_expires_and_never_leaves(tmp_path):
    desk = Desk(settings=Settings(offline="QUEUE"), path=str(tmp_path / "a.ledger"))
    order = desk.submit()
    (call,) = desk.step()
    desk.answer(call, told(order))
    desk.pass_time(100, desk.fail)
    desk.tracker.intents.submit(evolve_command(desk), desk.now)
    desk.crash()
    assert list(desk.tracker.book.control.queued)

    desk.tracker.start(desk.now)
    desk.pass_time(100, desk.fail)
    seen = desk.pass_time(100)

    assert "submit" not in {call.kind for call in seen}
    (dropped,) = desk.of_type("queue.dropped")
    assert dropped.reason == "EXPIRED"


def evolve_command(desk: Desk):
    from fillbook.core.commands import SubmitOrder
    from fillbook.core.values import Side

    return SubmitOrder(
        client_order_id="Q-1", instrument_id="SBER", side=Side.SELL, order_type="MARKET",
        order_qty=Decimal(3), ts_event=desk.now,
    )  # fmt: skip


def test_a_flapping_stream_does_not_multiply_requests():
    """What it did not tell is asked for once, however often it came back before that."""
    desk = Desk()
    desk.submit()
    desk.step()
    for is_up in [False, True] * 100:
        desk.tracker.stream_line(is_up, "", desk.now)

    assert len(desk.tracker.schedule.waiting) <= 3


@pytest.mark.parametrize("reason", ["OTHER", "DUPLICATE_ORDER", ""])
def test_text_that_no_file_can_hold_costs_no_answer(reason: str):
    """A venue that cuts its JSON in the middle of an emoji must not stop the robot."""
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()

    broken = "no \ud83d"
    desk.fail(call, BrokerRefused(reason, broken) if reason else ConnectionError(broken))

    order = desk.tracker.book.order(order.stream)
    assert order.order_status == ("REJECTED" if reason == "OTHER" else "UNKNOWN")
    assert "no \\ud83d" in desk.events()[-1].text


def test_text_that_no_file_can_hold_costs_no_fill():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()
    desk.answer(call, told(order))

    desk.hear(evolve(filled(order, "T1", "4", "4"), text="\ud83d"))

    desk.tracker.hear(Message(0, "report", None, b"\xff", "what is \ud83d?"), desk.now)

    assert desk.tracker.book.order(order.stream).standing.cum_qty == 4
    assert desk.types()[-1] == "message.set_aside"


def test_a_bust_that_the_stream_forgot_is_learned_though_nothing_is_open():
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()
    desk.answer(call, told(order))
    desk.hear(filled(order, "T1", "10", "10"))
    assert order.is_closed
    bust = told(
        order, "NEW", exec_type=ExecType.TRADE_CANCEL, exec_id="E-2", exec_ref_id="E-T1",
        trade_id="T1", cum_qty="0",
    )  # fmt: skip

    desk.pass_time(
        60, lambda call: desk.answer(call, *([bust] if call.kind == "fills_since" else []))
    )

    assert order.standing.cum_qty == 0


def test_after_a_night_offline_and_a_crash_fills_are_asked_for_from_before_the_night(tmp_path):
    """That something was recorded meanwhile, a halt perhaps, does not mean that fills were."""
    desk = Desk(path=str(tmp_path / "a.ledger"))
    desk.submit()
    desk.pass_time(30, desk.fail)
    lost = desk.now
    desk.pass_time(8 * 3600, desk.fail)
    desk.tracker.safeguards.halt("GAZP", "REJECTS", "odd", desk.now)
    desk.crash()
    desk.tracker.start(desk.now)

    assert desk.one("fills_since", 60).since <= lost


# ---- one bad order


def test_an_order_that_cannot_be_asked_about_holds_up_no_other(tmp_path):
    """After a crash the broker answers everything but the question about one order."""
    desk = Desk(path=str(tmp_path / "a.ledger"))
    bad, good = desk.submit(), desk.submit(instrument_id="GAZP")
    bad_id, good_id = bad.client_order_id, good.client_order_id
    desk.crash()
    desk.tracker.start(desk.now)

    def answer(call):
        if call.kind == "look_up" and call.order.first_client_order_id == bad_id:
            desk.fail(call)
        elif call.kind == "look_up":
            desk.answer(call, snapshot(reopened(desk, good_id)))
        else:
            desk.answer(call)

    desk.pass_time(60, answer)

    assert desk.tracker.schedule.is_open
    assert "line.lost" not in desk.types()
    assert [event.cause for event in desk.of_type("trading.halted")] == ["UNANSWERED"]
    assert desk.submit(instrument_id="GAZP")
    with pytest.raises(TradingHalted, match="cannot be asked about"):
        desk.submit()


def test_a_question_of_the_recovery_that_is_refused_does_not_open_trading(tmp_path):
    desk = Desk(path=str(tmp_path / "a.ledger"))
    desk.submit()
    desk.crash()
    desk.tracker.start(desk.now)

    def answer(call):
        if call.kind == "open_orders":
            desk.fail(call, BrokerRefused("OTHER", "403"))
        else:
            desk.answer(call)

    desk.pass_time(30, answer)
    assert not desk.tracker.schedule.is_open

    desk.pass_time(60)
    assert desk.tracker.schedule.is_open


def test_a_line_with_one_order_to_ask_about_is_lost_too_in_the_end():
    alone = evolve(
        ABLE, has_open_orders=False, has_fills_since=False, has_stream=False, has_positions=False
    )
    desk = Desk(alone)
    order = desk.submit()
    (call,) = desk.step()
    desk.answer(call, told(order))

    desk.pass_time(600, desk.fail)

    assert not desk.tracker.line.is_up
