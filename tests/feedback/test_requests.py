"""Cancels, replacements, partial-fill policies and halts, as the tracker carries them out."""

from decimal import Decimal

import pytest
from attrs import evolve

from feedback.desk import ABLE, Desk, filled, opened, snapshot, told
from fillbook.brokers.live import BrokerRefused
from fillbook.core.policies import FillPolicy
from fillbook.core.robot_events import HaltDeclared, HaltLifted
from fillbook.core.values import ExecType, Side
from fillbook.errors import OfflineRefused, TradingHalted
from fillbook.feedback.settings import SECOND, Settings


def kinds(calls):
    return [call.kind for call in calls]


# ---- cancels


def test_a_cancel_is_durable_sent_and_answered():
    desk = Desk()
    order = opened(desk)

    desk.tracker.intents.cancel(order, desk.now)
    assert desk.types()[-1] == "order.cancel_requested"
    (call,) = desk.step()
    assert call.kind == "cancel"
    assert call.order is not None
    assert call.order.venue_order_id == order.venue_order_id
    desk.answer(call, told(order, "CANCELED", exec_type=ExecType.CANCELED))

    assert order.order_status == "CANCELED"
    assert desk.pass_time(600) == [] or "cancel" not in kinds(desk.calls[-5:])


def test_a_cancel_that_is_refused_is_not_sent_again():
    desk = Desk()
    order = opened(desk)
    desk.tracker.intents.cancel(order, desk.now)
    (call,) = desk.step()

    desk.fail(call, BrokerRefused("TOO_LATE_TO_CANCEL", "too late"))

    assert desk.types().count("order.request_rejected") == 1
    seen = desk.pass_time(300, lambda c: desk.answer(c, snapshot(order)))
    assert "cancel" not in kinds(seen)


def test_a_cancel_that_was_not_heard_is_asked_for_again_under_a_new_id():
    desk = Desk()
    order = opened(desk)
    desk.tracker.intents.cancel(order, desk.now)
    (call,) = desk.step()
    desk.fail(call)

    seen = desk.pass_time(30, lambda c: desk.answer(c, snapshot(order)))

    again = [each for each in seen if each.kind == "cancel"]
    assert again
    assert again[0].command.client_order_id != call.command.client_order_id
    assert again[0].started_ns >= call.started_ns + 5 * SECOND
    reasons = [event.reason for event in desk.of_type("order.request_rejected")]
    assert reasons[0] == "NEVER_ARRIVED"


def test_a_cancel_that_was_heard_though_its_call_failed_is_not_sent_again():
    desk = Desk()
    order = opened(desk)
    desk.tracker.intents.cancel(order, desk.now)
    (call,) = desk.step()
    desk.fail(call)
    desk.hear(told(order, "CANCELED", exec_type=ExecType.CANCELED,
                   client_order_id=call.command.client_order_id,
                   orig_client_order_id=order.client_order_id))  # fmt: skip

    seen = desk.pass_time(300)

    assert order.order_status == "CANCELED"
    assert "cancel" not in kinds(seen)


def test_a_cancel_is_queued_while_the_line_is_down_and_survives_a_crash(tmp_path):
    desk = Desk(path=str(tmp_path / "a.ledger"))
    order = opened(desk)
    order_id = order.client_order_id
    desk.pass_time(100, desk.fail)
    assert not desk.tracker.line.is_up
    with pytest.raises(OfflineRefused):
        desk.submit()
    desk.tracker.intents.cancel(order, desk.now)
    desk.crash()
    desk.tracker.start(desk.now)
    book = desk.tracker.book

    def answer(call):
        live = book.find_order(order_id, None)
        is_about_it = call.kind in ("look_up", "open_orders")
        desk.answer(call, *([snapshot(live)] if is_about_it else []))

    seen = desk.pass_time(60, answer)

    cancels = [call for call in seen if call.kind == "cancel"]
    assert cancels
    assert cancels[0].order.first_client_order_id == order_id


def test_a_cancel_does_not_overtake_the_order_it_cancels():
    """The broker would not know the order yet, say so, and take the order a moment later."""
    desk = Desk(evolve(ABLE, concurrency=1))
    order = desk.submit()
    desk.tracker.intents.cancel(order, desk.now)

    (submit,) = desk.step()
    assert submit.kind == "submit"
    desk.answer(submit, told(order))

    assert kinds(desk.step()) == ["cancel"]


def test_a_cancel_waits_until_the_order_has_a_name_and_no_longer():
    """A broker that knows orders by its own ids cannot be asked before it has given one."""
    desk = Desk(evolve(ABLE, can_look_up=False))
    order = desk.submit()
    (submit,) = desk.step()
    desk.tracker.intents.cancel(order, desk.now)
    assert "cancel" not in kinds(desk.step(1))

    desk.answer(submit, told(order))

    assert "cancel" in kinds(desk.step())


def test_that_the_broker_does_not_know_an_unknown_order_ends_no_cancel():
    """The order may arrive after its cancel; then it is open, and is to be canceled still."""
    desk = Desk()
    order = desk.submit()
    (submit,) = desk.step()
    desk.fail(submit)
    desk.tracker.intents.cancel(order, desk.now)
    (cancel,) = [call for call in desk.step() if call.kind == "cancel"]
    desk.fail(cancel, BrokerRefused("UNKNOWN_ORDER", "no such order"))

    def answer(call):
        is_about_it = call.kind in ("look_up", "open_orders")
        desk.answer(call, *([snapshot(order)] if is_about_it else []))

    assert "cancel" in kinds(desk.pass_time(60, answer))


def test_a_cancel_may_be_asked_for_anew_as_soon_as_it_was_refused():
    """What was refused is over; that the order was not looked at since changes nothing."""
    desk = Desk()
    order = opened(desk)
    desk.tracker.intents.cancel(order, desk.now)
    (call,) = desk.step()
    desk.fail(call, BrokerRefused("OTHER", "busy, try again"))

    desk.tracker.intents.cancel(order, desk.now)

    assert "cancel" in kinds(desk.step())


def test_polls_that_tell_of_an_order_do_not_put_off_its_cancel(tmp_path):
    """A cancel that did not leave before a crash is sent, however often the order is heard of."""
    desk = Desk(settings=Settings(poll_ns=SECOND), path=str(tmp_path / "a.ledger"))
    order = opened(desk)
    desk.tracker.intents.cancel(order, desk.now)
    desk.crash()
    desk.tracker.start(desk.now)

    def answer(call):
        live = desk.tracker.book.order(order.stream)
        is_about_it = call.kind in ("look_up", "open_orders")
        desk.answer(call, *([snapshot(live)] if is_about_it else []))

    assert "cancel" in kinds(desk.pass_time(30, answer))


def test_a_cancel_that_was_given_up_may_be_asked_for_anew():
    desk = Desk()
    order = opened(desk)
    desk.tracker.intents.cancel(order, desk.now)

    def answer(call):
        if call.kind == "cancel":
            desk.fail(call)
        else:
            is_about_it = call.kind in ("look_up", "open_orders")
            desk.answer(call, *([snapshot(order)] if is_about_it else []))

    seen = desk.pass_time(600, answer)
    assert kinds(seen).count("cancel") == 5
    desk.tracker.intents.cancel(order, desk.now)

    assert "cancel" in kinds(desk.step())


# ---- replacements


def test_a_replacement_is_real_only_when_accepted():
    desk = Desk()
    order = opened(desk)

    desk.tracker.intents.replace(order, desk.now, limit_px=Decimal(99))
    (call,) = desk.step()
    assert order.limit_px == Decimal(100)
    request_id = call.command.client_order_id
    desk.answer(call, told(order, exec_type=ExecType.REPLACED, client_order_id=request_id,
                           orig_client_order_id=order.client_order_id,
                           limit_px=Decimal(99)))  # fmt: skip

    assert order.limit_px == Decimal(99)
    desk.tracker.intents.cancel(order, desk.now)
    (cancel,) = desk.step()
    assert cancel.command.orig_client_order_id == request_id
    assert cancel.order.client_order_id == request_id


@pytest.mark.parametrize(("px", "answer"), [("100", "NEVER_ARRIVED"), ("99", None)])
def test_a_replacement_whose_answer_was_lost_is_settled_by_what_the_order_is(px, answer):
    desk = Desk()
    order = opened(desk)
    desk.tracker.intents.replace(order, desk.now, limit_px=Decimal(99))
    (call,) = desk.step()
    desk.fail(call)

    seen = desk.pass_time(60, lambda c: desk.answer(c, snapshot(order, limit_px=Decimal(px))))

    assert "replace" not in kinds(seen)
    assert desk.tracker.unanswered_count() == 0
    reasons = [event.reason for event in desk.of_type("order.request_rejected")]
    assert reasons == ([answer] if answer else [])
    assert order.limit_px == Decimal(px)


def test_a_cancel_before_a_crash_is_sent_again_however_often_the_account_is_polled(tmp_path):
    """What polls of the whole account tell must not put off the question about this order."""
    settings = Settings(poll_ns=SECOND)
    desk = Desk(path=str(tmp_path / "a.ledger"), settings=settings)
    order_id = opened(desk).client_order_id
    desk.tracker.intents.cancel(desk.tracker.book.find_order(order_id, None), desk.now)
    desk.crash()
    desk.tracker.start(desk.now)

    def answer(call):
        live = desk.tracker.book.find_order(order_id, None)
        is_about_it = call.kind in ("look_up", "open_orders")
        desk.answer(call, *([snapshot(live)] if is_about_it else []))

    assert "cancel" in kinds(desk.pass_time(20, answer))


def test_a_question_names_the_replacement_that_was_not_answered():
    """The broker may know the order by that id already; its answer is about our order."""
    desk = Desk()
    order = opened(desk)
    desk.tracker.intents.replace(order, desk.now, limit_px=Decimal(99))
    (call,) = desk.step()
    desk.fail(call)
    question = desk.one("look_up", 5)

    assert question.order.client_order_id == order.client_order_id
    assert question.order.asked_client_order_ids == (call.command.client_order_id,)


# ---- partial fills


@pytest.mark.parametrize(
    ("policy", "acts"),
    [
        (None, None),
        ("KEEP", None),
        ("CANCEL_REST", "cancel"),
        ("MINIMUM:5", "cancel"),
        ("MINIMUM:4", None),
        ("REPRICE:101", "replace"),
        ("REPRICE_BY:1", "replace"),
    ],
)
def test_a_policy_acts_on_the_first_part_and_only_once(policy, acts):
    desk = Desk()
    order = opened(desk, partial_fills=policy)

    desk.hear(filled(order, "T1", "4", "4"))
    desk.hear(filled(order, "T2", "1", "5"))
    calls = desk.step()

    assert kinds(calls) == ([acts] if acts else [])
    if acts == "replace":
        assert calls[0].command.limit_px == Decimal(101)


def test_a_policy_may_wait():
    desk = Desk()
    order = opened(desk, partial_fills="CANCEL_AFTER:30")
    first = filled(order, "T1", "4", "4")
    from attrs import evolve

    desk.hear(evolve(first, ts_event=desk.now))

    def poll(call):
        desk.answer(call, snapshot(order, "PARTIALLY_FILLED", cum_qty="4"))

    assert "cancel" not in kinds(desk.pass_time(29, poll))
    assert "cancel" in kinds(desk.pass_time(2, lambda call: None))


def test_a_policy_waits_where_the_venue_tells_no_time():
    """A client that only answers polls says how much was filled, and not when."""
    desk = Desk()
    order = opened(desk, partial_fills="CANCEL_AFTER:30")
    part = snapshot(order, "PARTIALLY_FILLED", cum_qty="4", avg_px="100")
    desk.hear(part)

    def answer(call):
        desk.answer(call, *([part] if call.kind in ("look_up", "open_orders") else []))

    assert "cancel" not in kinds(desk.pass_time(29, answer))
    assert "cancel" in kinds(desk.pass_time(2, answer))


@pytest.mark.parametrize("at", ["before the act", "after the act"])
def test_a_policy_survives_a_crash_and_never_acts_twice(tmp_path, at: str):
    desk = Desk(path=str(tmp_path / "a.ledger"))
    order = opened(desk, partial_fills="CANCEL_REST")
    order_id = order.client_order_id
    if at == "before the act":
        desk.tracker.schedule.is_open = False  # as while the line is down: nothing new is sent
    desk.hear(filled(order, "T1", "4", "4"))
    desk.crash()
    desk.tracker.start(desk.now)

    def answer(call):
        live = desk.tracker.book.find_order(order_id, None)
        if call.kind == "cancel":
            desk.answer(call, told(live, "CANCELED", exec_type=ExecType.CANCELED, cum_qty="4"))
        else:
            desk.answer(call, snapshot(live, "PARTIALLY_FILLED", cum_qty="4"))

    seen = desk.pass_time(60, answer)

    assert kinds(seen).count("cancel") == 1
    live = desk.tracker.book.find_order(order_id, None)
    assert (str(live.order_status), live.standing.cum_qty) == ("CANCELED", Decimal(4))


# ---- halts


def halted(desk: Desk, level: str = "HALTED", instrument_id: str | None = None) -> None:
    desk.keeper.note_other(
        HaltDeclared(ts_event=desk.now, level=level, cause="OPERATOR", by="olga", reason="odd",
                     instrument_id=instrument_id), actor="OPERATOR",
    )  # fmt: skip


def test_a_halt_names_who_when_and_why_and_lets_cancels_through(tmp_path):
    desk = Desk(path=str(tmp_path / "a.ledger"))
    order = opened(desk)
    halted(desk)

    with pytest.raises(TradingHalted) as caught:
        desk.submit()
    for word in ("everything", "olga", "odd", "2026-01-0", "resume"):
        assert word in str(caught.value)
    desk.tracker.intents.cancel(order, desk.now)
    assert "cancel" in kinds(desk.step())

    desk.crash()
    desk.start()
    with pytest.raises(TradingHalted):
        desk.submit()
    desk.keeper.note_other(HaltLifted(ts_event=desk.now, by="olga", reason="fine"))
    assert desk.submit()


def test_reduce_only_counts_what_is_on_the_way():
    desk = Desk()
    order = opened(desk, qty="10")
    desk.hear(filled(order, "T1", "10", "10"))
    halted(desk, "REDUCE_ONLY", "SBER")

    assert desk.submit("1", instrument_id="GAZP")
    with pytest.raises(TradingHalted):
        desk.submit("1")
    assert desk.submit("6", side=Side.SELL)
    with pytest.raises(TradingHalted):
        desk.submit("5", side=Side.SELL)
    assert desk.submit("4", side=Side.SELL)


def test_rejects_in_a_row_halt_their_instrument():
    desk = Desk(settings=Settings(most_rejects=3))
    for _ in range(3):
        order = desk.submit()
        (call,) = desk.step()
        desk.fail(call, BrokerRefused("OTHER", "no money"))

    with pytest.raises(TradingHalted, match="no money"):
        desk.submit()
    assert desk.submit(instrument_id="GAZP")
    (event,) = desk.of_type("trading.halted")
    assert (event.cause, event.instrument_id) == ("REJECTS", order.instrument_id)


def test_an_order_that_is_filled_at_once_ends_a_row_of_rejects():
    """Its first report may be a fill: it was accepted, though nobody said so."""
    desk = Desk(settings=Settings(most_rejects=2))
    for fate in ("no", "filled", "no"):
        order = desk.submit()
        (call,) = [call for call in desk.step() if call.kind == "submit"]
        if fate == "no":
            desk.fail(call, BrokerRefused("OTHER", fate))
        else:
            desk.answer(call, filled(order, "T1", "10", "10"))

    assert not desk.tracker.book.control.halts


def test_an_order_unknown_for_too_long_halts_its_instrument():
    desk = Desk(settings=Settings(most_unknown_ns=60 * SECOND))
    desk.submit()
    (call,) = desk.step()
    desk.fail(call)

    def hang(call):
        desk.fail(call) if call.kind == "look_up" else desk.answer(call)

    desk.pass_time(59, hang)
    assert "trading.halted" not in desk.types()
    desk.pass_time(60, hang)

    assert [event.cause for event in desk.of_type("trading.halted")] == ["UNKNOWN_ORDER"]


def test_silence_with_orders_open_halts_everything():
    desk = Desk(settings=Settings(most_silence_ns=120 * SECOND))
    opened(desk)

    desk.pass_time(400, desk.fail)

    (event,) = desk.of_type("trading.halted")
    assert (event.cause, event.instrument_id) == ("SILENCE", None)


# ---- what adds nothing


def test_what_adds_nothing_is_counted_hourly_and_at_the_end():
    desk = Desk()
    order = opened(desk)
    for _ in range(5):
        desk.hear(told(order))
    assert "feedback.counted" not in desk.types()

    seen = desk.pass_time(3600, lambda call: desk.answer(call, snapshot(order)))
    desk.hear(told(order))
    desk.tracker.stop(desk.now, "done")

    first, last = desk.of_type("feedback.counted")
    assert first.duplicates >= 5
    assert first.duplicates + last.duplicates == 5 + len(seen) + 1
    assert desk.types()[-1] == "robot.stopped"


def test_a_gap_waits_for_the_true_fill_and_is_closed_by_inference():
    desk = Desk(settings=Settings(fill_policy=FillPolicy(wait_ns=5 * SECOND)))
    order = opened(desk)
    desk.hear(told(order, "PARTIALLY_FILLED", exec_type=ExecType.ORDER_STATUS, cum_qty="4",
                   avg_px="100", ts_event=desk.now))  # fmt: skip
    assert order.standing.cum_qty == 0

    desk.pass_time(6)

    assert order.standing.cum_qty == Decimal(4)
    assert "order.fill_inferred" in desk.types()


def test_cancels_that_are_never_heard_halt_their_instrument():
    desk = Desk()
    order = opened(desk)
    desk.tracker.intents.cancel(order, desk.now)

    def answer(call):
        if call.kind == "cancel":
            desk.fail(call)
        else:
            desk.answer(call, snapshot(order))

    seen = desk.pass_time(600, answer)

    assert kinds(seen).count("cancel") == 5
    (event,) = desk.of_type("trading.halted")
    assert (event.cause, event.instrument_id) == ("CANCEL_UNHEARD", "SBER")
