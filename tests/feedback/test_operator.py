"""An operator works on a tracker, or on a ledger at rest: each act recorded, with who and why."""

from decimal import Decimal

import pytest

from feedback.desk import Desk, filled, opened, snapshot, told
from fillbook.brokers.live import BrokerRefused, Capabilities
from fillbook.core.book import Book
from fillbook.core.values import Side
from fillbook.errors import OperatorRefused, TradingHalted
from fillbook.feedback.keeper import Keeper
from fillbook.feedback.last_look import LastLook
from fillbook.feedback.operator import Operator
from fillbook.feedback.settings import SECOND, Settings
from fillbook.log.sqlite import SqliteLog
from fillbook.wiring import recover

WHO = {"by": "olga", "reason": "it trades oddly"}
BLIND = Capabilities(name="blind", can_look_up_by_venue_id=True, calls=1000)


def at(desk: Desk) -> Operator:
    """The operator of the robot at work."""
    return Operator(desk.keeper, desk.tracker.make_id, desk.tracker)


class Rest:
    """The operator of a ledger whose robot is not there."""

    def __init__(self, path: str) -> None:
        self.log = SqliteLog.open(path)
        self.keeper = Keeper(self.log, lambda: recover(self.log), Settings().fill_policy)
        self._count = 0
        self.operator = Operator(self.keeper, self._make_id)

    def _make_id(self) -> str:
        self._count += 1
        return f"O-{self._count}"

    @property
    def book(self) -> Book:
        return self.keeper.book

    def __enter__(self) -> "Rest":
        return self

    def __exit__(self, *_: object) -> None:
        self.log.close()


def lost(desk: Desk):
    """An order whose submission nobody answered, and everything that may tell of it is silent."""
    order = desk.submit()
    (call,) = [call for call in desk.step() if call.kind == "submit"]
    desk.fail(call)
    return order


def actors(log, type_: str) -> list[str]:
    return [record.actor for record in log.records() if record.type == type_]


# ---- halts


def test_a_halt_stops_what_is_new_and_says_who_and_why():
    desk = Desk()
    done = at(desk).halt(desk.now, **WHO)

    with pytest.raises(TradingHalted, match="olga"):
        desk.submit()
    assert actors(desk.log, "trading.halted") == ["OPERATOR"]
    (halt,) = done["halts"]
    assert (halt["by"], halt["reason"], halt["cause"]) == ("olga", "it trades oddly", "OPERATOR")


def test_a_halt_of_a_ledger_at_rest_holds_when_the_robot_comes_back(tmp_path):
    path = str(tmp_path / "a.ledger")
    desk = Desk(path=path)
    desk.log.close()
    with Rest(path) as rest:
        rest.operator.halt(desk.now, **WHO, instrument_id="SBER")
    desk._open()
    desk.start()

    with pytest.raises(TradingHalted):
        desk.submit()
    assert desk.submit(instrument_id="GAZP")


def test_a_halt_by_a_rule_is_lifted_by_an_operator():
    desk = Desk(settings=Settings(most_rejects=1))
    desk.submit()
    (call,) = desk.step()
    desk.fail(call, BrokerRefused("OTHER", "no money"))
    with pytest.raises(TradingHalted):
        desk.submit()

    done = at(desk).resume(desk.now, **WHO, instrument_id="SBER")

    assert done["halts"] == []
    assert desk.submit()
    assert actors(desk.log, "trading.resumed") == ["OPERATOR"]


def test_lifting_what_is_not_halted_is_refused_and_names_what_is():
    desk = Desk()
    at(desk).halt(desk.now, **WHO, instrument_id="GAZP")
    before = desk.log.head()

    with pytest.raises(OperatorRefused, match="GAZP"):
        at(desk).resume(desk.now, **WHO)
    assert desk.log.head() == before


@pytest.mark.parametrize(
    ("level", "side", "leaves"),
    [("HALTED", "SELL", False), ("REDUCE_ONLY", "SELL", True), ("REDUCE_ONLY", "BUY", False)],
)
def test_a_call_is_looked_at_once_more_right_before_it_leaves(level: str, side: str, leaves: bool):
    """It was recorded, then it waited for the rate limit, then the operator halted."""
    desk = Desk()
    desk.hear(filled(opened(desk), "T1", "10", "10"))
    order = desk.submit("10", side=Side(side))
    (call,) = desk.step()
    look = LastLook(desk.tracker)
    assert not look.concerns(call)

    at(desk).halt(desk.now, **WHO, level=level)

    assert look.concerns(call)
    why = look.why_not(call)
    assert (why is None) is leaves
    if why is not None:
        desk.tracker.held_back(call, why, desk.now)
        assert order.order_status == "REJECTED"
        assert desk.tracker.line.failures == 0
        assert desk.of_type("order.rejected")[0].never_arrived


def test_a_replacement_that_is_held_back_leaves_the_order_as_it_is():
    desk = Desk()
    order = opened(desk)
    desk.tracker.intents.replace(order, desk.now, order_qty=Decimal(20))
    (call,) = desk.step()
    at(desk).halt(desk.now, **WHO)

    why = LastLook(desk.tracker).why_not(call)
    assert why is not None
    desk.tracker.held_back(call, why, desk.now)

    assert (str(order.order_status), order.standing.order_qty) == ("NEW", Decimal(10))
    assert desk.tracker.unanswered_count() == 0


# ---- cancels


def test_all_are_canceled_and_one_that_cannot_be_keeps_no_other():
    desk = Desk()
    mine = [opened(desk), opened(desk, instrument_id="GAZP")]
    desk.hear(told(mine[0], client_order_id=None, venue_order_id="X-1"))  # somebody else's

    done = at(desk).cancel_all(desk.now, **WHO)

    assert done["cancels_asked"] == [order.client_order_id for order in mine]
    assert [each["order"] for each in done["not_canceled"]] == ["X-1"]
    assert [call.kind for call in desk.step()].count("cancel") == 2
    (event,) = desk.of_type("trading.cancel_all_requested")
    assert (event.by, event.reason, event.order_count) == ("olga", "it trades oddly", 3)


def test_only_one_instrument_is_canceled_and_an_order_that_waits_is_taken_back():
    desk = Desk(settings=Settings(offline="QUEUE", queue_ns=3600 * SECOND))
    opened(desk, instrument_id="GAZP")
    desk.pass_time(100, desk.fail)
    assert not desk.tracker.line.is_up
    with pytest.raises(AssertionError):
        desk.submit()  # queued

    done = at(desk).cancel_all(desk.now, **WHO, instrument_id="SBER")

    assert (done["cancels_asked"], len(done["taken_from_queue"])) == ([], 1)
    assert desk.tracker.book.control.queued == {}


def test_nothing_open_records_nothing():
    desk = Desk()
    before = desk.log.head()

    assert at(desk).cancel_all(desk.now, **WHO)["cancels_asked"] == []
    assert desk.log.head() == before


def test_without_a_robot_the_cancels_are_recorded_and_sent_when_it_starts(tmp_path):
    path = str(tmp_path / "a.ledger")
    desk = Desk(path=path)
    order_id = opened(desk).client_order_id
    desk.log.close()
    with Rest(path) as rest:
        first = rest.operator.cancel_all(desk.now, **WHO)
        again = rest.operator.cancel_all(desk.now, **WHO)
        assert actors(rest.log, "order.cancel_requested") == ["OPERATOR"]
    assert first["is_sent_at_next_start"]
    assert first["cancels_asked"] == again["cancels_asked"] == [order_id]

    desk._open()
    desk.tracker.start(desk.now)
    live = desk.tracker.book.find_order(order_id, None)
    seen = desk.pass_time(
        30, lambda call: desk.answer(call, *([] if call.kind == "cancel" else [snapshot(live)]))
    )

    assert "cancel" in [call.kind for call in seen]


# ---- orders that nobody can tell of


def test_an_identified_order_is_asked_about_by_the_venues_id():
    desk = Desk(BLIND)
    order = lost(desk)
    assert order.order_status == "UNKNOWN"
    assert desk.pass_time(60) == []

    done = at(desk).resolve(
        desk.now, **WHO, client_order_id=order.client_order_id, venue_order_id="V-77"
    )
    (call,) = desk.step()

    assert (call.kind, call.order.venue_order_id) == ("look_up", "V-77")
    assert done["still_halted"] == "SBER"
    desk.answer(call, snapshot(order, "PARTIALLY_FILLED", venue_order_id="V-77", cum_qty="4",
                               avg_px="100"))  # fmt: skip
    assert (str(order.order_status), order.standing.cum_qty) == ("PARTIALLY_FILLED", Decimal(4))
    (event,) = desk.of_type("trading.order_resolved")
    assert (event.verdict, event.by) == ("IDENTIFIED", "olga")


@pytest.mark.parametrize("is_running", [True, False])
def test_an_order_that_never_arrived_ends_with_the_operators_word(tmp_path, is_running: bool):
    path = str(tmp_path / "a.ledger")
    desk = Desk(BLIND, path=path)
    order_id = lost(desk).client_order_id
    told_of = {"client_order_id": order_id, "never_arrived": True}
    if is_running:
        done = at(desk).resolve(desk.now, **WHO, **told_of)
    else:
        desk.log.close()
        with Rest(path) as rest:
            done = rest.operator.resolve(desk.now, **WHO, **told_of)
        desk._open()
        desk.start()

    assert done["order_status"] == "REJECTED"
    (event,) = desk.of_type("order.rejected")
    assert event.never_arrived
    assert event.text == "olga looked: it trades oddly"
    records = list(desk.log.records())
    cause = next(record for record in records if record.type == "trading.order_resolved")
    effect = next(record for record in records if record.type == "order.rejected")
    assert (effect.causation, effect.actor) == (cause.seq, "OPERATOR")
    assert desk.tracker.unanswered_count() == 0


def test_a_report_that_shows_it_after_all_is_believed():
    desk = Desk(BLIND)
    order = lost(desk)
    at(desk).resolve(desk.now, **WHO, client_order_id=order.client_order_id, never_arrived=True)

    desk.hear(filled(order, "T1", "4", "4"))

    assert (str(order.order_status), order.standing.cum_qty) == ("PARTIALLY_FILLED", Decimal(4))


@pytest.mark.parametrize(
    ("of", "told_of", "words"),
    [
        ("nobody", {"never_arrived": True}, "no order"),
        ("known", {"never_arrived": True}, "the venue told of it"),
        ("lost", {"venue_order_id": "V-C1-1"}, "on record"),
        ("lost", {}, "either"),
        ("lost", {"venue_order_id": "V-7", "never_arrived": True}, "either"),
        ("sent", {"never_arrived": True}, "being sent"),
    ],
)
def test_what_contradicts_the_record_is_refused(of: str, told_of: dict, words: str):
    desk = Desk(BLIND)
    known = opened(desk)
    unknown = lost(desk)
    at(desk).resume(desk.now, **WHO, instrument_id="SBER")
    ids = {"nobody": "N", "known": known.client_order_id, "lost": unknown.client_order_id}
    if of == "sent":
        ids["sent"] = desk.submit().client_order_id
        desk.step()
    before = desk.log.head()

    with pytest.raises(OperatorRefused, match=words):
        at(desk).resolve(desk.now, **WHO, client_order_id=ids[of], **told_of)
    assert desk.log.head() == before


# ---- positions, and how it stands


def test_an_adjustment_moves_the_position_and_can_be_taken_back(tmp_path):
    path = str(tmp_path / "a.ledger")
    desk = Desk(path=path)
    desk.hear(filled(opened(desk), "T1", "10", "10"))
    changes = dict(**WHO, instrument_id="SBER")

    done = at(desk).adjust(desk.now, **changes, qty=Decimal(-3))
    assert (done["position_qty_before"], done["position"]["position_qty"]) == ("10", "7")
    desk.log.close()
    with Rest(path) as rest:
        done = rest.operator.adjust(desk.now, **changes, qty=Decimal(3))
        assert (done["position"]["position_qty"], done["position"]["avg_px"]) == ("10", "100")
        with pytest.raises(OperatorRefused):
            rest.operator.adjust(desk.now, **changes, qty=Decimal(0))
        assert actors(rest.log, "position.adjusted") == ["OPERATOR"] * 2


def test_the_status_has_the_same_keys_with_and_without_a_robot(tmp_path):
    path = str(tmp_path / "a.ledger")
    desk = Desk(path=path)
    lost(desk)
    at(desk).halt(desk.now, **WHO)
    running = at(desk).status(desk.now)
    desk.log.close()
    with Rest(path) as rest:
        resting = rest.operator.status(desk.now)

    assert list(running) == list(resting)
    assert (running["state"], resting["state"]) == ("TRADING", "NOT_RUNNING")
    for key in ("active_orders", "unknown_orders", "unanswered_requests", "halts", "head_seq"):
        assert running[key] == resting[key]
