"""Statuses: each step by its report, requests and answers, chains of ids, second orders."""

from decimal import Decimal
from typing import Any

import pytest

from builders import (
    Desk,
    a_bust,
    a_cancel,
    a_fill,
    a_refusal,
    a_replace,
    a_report,
    a_snapshot,
    an_intent,
)
from fillbook.core.values import ExecType, OrderStatus, Origin, Side

_E, _S = ExecType, OrderStatus

NEW = a_report(_E.NEW, order_status=_S.NEW)
HALF = a_fill("T-1", "5", "100", order_status=_S.PARTIALLY_FILLED)
REST = a_fill("T-2", "5", "100", order_status=_S.FILLED)


def told(status: OrderStatus, **more: Any) -> Any:
    """A report whose type and status say the same."""
    return a_report(_E(status.value), order_status=status, **more)


def after(*said: Any) -> Desk:
    desk = Desk()
    desk.say(an_intent(), *said)
    return desk


def status_of(desk: Desk) -> OrderStatus:
    return desk.order().order_status


# ---- each step, by its report


@pytest.mark.parametrize(
    ("said", "status", "leaves"),
    [
        ((), _S.PENDING_NEW, 10),
        ((told(_S.PENDING_NEW),), _S.PENDING_NEW, 10),
        ((NEW,), _S.NEW, 10),
        ((a_report(_E.TRIGGERED),), _S.NEW, 10),
        ((told(_S.REJECTED),), _S.REJECTED, 0),
        ((NEW, HALF), _S.PARTIALLY_FILLED, 5),
        ((NEW, HALF, REST), _S.FILLED, 0),
        ((NEW, told(_S.CANCELED)), _S.CANCELED, 0),
        ((NEW, HALF, told(_S.CANCELED)), _S.CANCELED, 0),
        ((NEW, HALF, told(_S.EXPIRED)), _S.EXPIRED, 0),
        ((NEW, told(_S.STOPPED)), _S.STOPPED, 10),
        ((NEW, told(_S.SUSPENDED)), _S.SUSPENDED, 10),
        ((NEW, HALF, told(_S.SUSPENDED)), _S.SUSPENDED, 5),
        ((NEW, HALF, told(_S.CALCULATED)), _S.CALCULATED, 0),
        ((NEW, told(_S.DONE_FOR_DAY)), _S.DONE_FOR_DAY, 0),
        ((NEW, told(_S.DONE_FOR_DAY, leaves_qty="10")), _S.DONE_FOR_DAY, 10),
        ((NEW, a_snapshot(_S.DONE_FOR_DAY, order_qty="12", leaves_qty="12")), _S.DONE_FOR_DAY, 10),
        ((NEW, a_snapshot(_S.UNKNOWN)), _S.UNKNOWN, 10),
        ((HALF,), _S.PARTIALLY_FILLED, 5),
        ((HALF, NEW), _S.PARTIALLY_FILLED, 5),
        ((told(_S.CANCELED), NEW), _S.CANCELED, 0),
    ],
)
def test_a_report_leads_to(said: Any, status: OrderStatus, leaves: int):
    desk = after(*said)
    assert (status_of(desk), desk.order().standing.leaves_qty()) == (status, leaves)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ((NEW, HALF, REST, a_bust("T-2")), _S.PARTIALLY_FILLED),
        ((NEW, HALF, REST, a_bust("T-2"), a_bust("T-1")), _S.NEW),
        ((NEW, HALF, told(_S.CANCELED), a_bust("T-1")), _S.CANCELED),
        ((NEW, HALF, REST, a_report(_E.REPLACED, order_qty="12")), _S.PARTIALLY_FILLED),
        ((NEW, told(_S.CANCELED), a_report(_E.RESTATED, order_status=_S.NEW)), _S.NEW),
        ((NEW, told(_S.DONE_FOR_DAY), a_report(_E.RESTATED, order_status=_S.NEW)), _S.NEW),
        ((NEW, told(_S.DONE_FOR_DAY), a_snapshot(_S.NEW)), _S.NEW),
        ((NEW, told(_S.SUSPENDED), NEW), _S.NEW),
        ((NEW, told(_S.SUSPENDED), HALF), _S.SUSPENDED),
        ((NEW, told(_S.SUSPENDED), told(_S.CANCELED)), _S.CANCELED),
        ((NEW, a_snapshot(_S.UNKNOWN), a_snapshot(_S.NEW)), _S.NEW),
        ((NEW, a_snapshot(_S.UNKNOWN), HALF), _S.PARTIALLY_FILLED),
        ((NEW, a_snapshot(_S.UNKNOWN), told(_S.CANCELED)), _S.CANCELED),
        ((NEW, told(_S.CANCELED), a_snapshot(_S.UNKNOWN)), _S.CANCELED),
    ],
)
def test_no_status_is_the_last_word(said: Any, status: OrderStatus):
    assert status_of(after(*said)) is status


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (a_report(_E.CANCELED, order_status=_S.CANCELED, last_qty="4", last_px="100", cum_qty="4",
                  exec_id="E-1"), _S.CANCELED),
        (a_report(_E.TRADE, order_status=_S.CANCELED, trade_id="T-1", last_qty="4", last_px="100",
                  cum_qty="4"), _S.CANCELED),
        (a_report(_E.NEW, order_status=_S.FILLED, last_qty="10", last_px="100", cum_qty="10",
                  exec_id="E-1"), _S.FILLED),
    ],
    ids=["cancel with a fill", "fill with a cancel", "filled at once"],
)  # fmt: skip
def test_one_report_may_tell_a_fill_and_an_end(said: Any, status: OrderStatus):
    desk = after(NEW, said)
    assert status_of(desk) is status
    assert desk.order().standing.cum_qty in (4, 10)


@pytest.mark.parametrize("second", [_S.EXPIRED, _S.REJECTED])
def test_a_second_end_is_disputed(second: OrderStatus):
    desk = after(NEW, told(_S.CANCELED), told(second))
    assert status_of(desk) is _S.CANCELED
    assert desk.types()[-1] == "order.disputed"


def test_a_poll_that_calls_a_closed_order_open_is_disputed_unless_it_is_older():
    desk = after(told(_S.NEW, ts_event=1), told(_S.CANCELED, ts_event=5))
    assert desk.say(a_snapshot(_S.NEW, ts_event=4)).events == ()
    assert desk.say(a_snapshot(_S.NEW, ts_event=6)).outcome == "DISPUTED"
    assert status_of(desk) is _S.CANCELED


@pytest.mark.parametrize(
    ("rests", "end"),
    [(_E.STOPPED, _S.CANCELED), (_E.DONE_FOR_DAY, _S.EXPIRED), (_E.PENDING_CANCEL, _S.CANCELED)],
)
def test_a_report_whose_status_is_an_end_ends_it_once(rests: ExecType, end: OrderStatus):
    report = a_report(rests, order_status=end, ts_event=5)
    desk = after(NEW, report)
    count = len(desk.log.records)
    assert status_of(desk) is end
    assert desk.say(report).events == ()
    assert len(desk.log.records) == count


# ---- our requests, and the venue's answers


def test_a_request_of_ours_changes_no_status():
    desk = after(NEW, a_cancel("C-1"), a_replace("P-1", "12"))
    assert status_of(desk) is _S.NEW
    assert [r.is_answered for r in desk.order().requests.values()] == [False, False]


@pytest.mark.parametrize(
    ("answer", "request_", "kind"),
    [
        (told(_S.CANCELED, client_order_id="C-1", orig_client_order_id="R-1"),
         a_cancel("C-1"), "CANCEL"),
        (a_refusal("C-1", orig_client_order_id="R-1"), a_cancel("C-1"), "CANCEL"),
        (a_refusal("C-1", orig_client_order_id="R-1"), a_replace("C-1", "12"), "REPLACE"),
        (a_report(_E.REPLACED, client_order_id="C-1", orig_client_order_id="R-1", order_qty="12"),
         a_replace("C-1", "12"), "REPLACE"),
    ],
    ids=["canceled", "cancel refused", "replacement refused", "replaced"],
)  # fmt: skip
def test_a_request_met_in_its_answer_first_is_recorded_and_stays_answered(
    answer: Any, request_: Any, kind: str
):
    """Two logs of one day, put together by their times, cross at the millisecond."""
    desk = after(NEW, answer)
    before = status_of(desk)

    said = desk.say(request_)

    assert (said.outcome, len(said.events)) == ("RECORDED", 1)
    assert status_of(desk) is before
    known = desk.order().requests["C-1"]
    assert (known.kind, known.orig_client_order_id, known.is_answered) == (kind, "R-1", True)
    assert desk.say(request_).outcome == "DUPLICATE"


def test_a_cancel_under_the_id_of_an_accepted_replacement_is_disputed():
    desk = after(NEW)
    desk.say(a_report(_E.REPLACED, client_order_id="C-1", orig_client_order_id="R-1"))
    assert desk.say(a_cancel("C-1")).outcome == "DISPUTED"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ((), _S.PENDING_CANCEL),
        ((HALF,), _S.PENDING_CANCEL),
        ((a_refusal("C-1", orig_client_order_id="R-1"),), _S.NEW),
        ((HALF, a_refusal("C-1", orig_client_order_id="R-1")), _S.PARTIALLY_FILLED),
        ((told(_S.CANCELED, client_order_id="C-1", orig_client_order_id="R-1"),), _S.CANCELED),
        ((told(_S.PENDING_REPLACE, client_order_id="P-1", orig_client_order_id="R-1"),),
         _S.PENDING_CANCEL),
    ],
    ids=["waits", "trades meanwhile", "refused", "refused after a trade", "done", "crosses"],
)  # fmt: skip
def test_a_pending_cancel(said: Any, status: OrderStatus):
    desk = after(
        NEW,
        a_cancel("C-1"),
        a_replace("P-1", "12"),
        told(_S.PENDING_CANCEL, client_order_id="C-1", orig_client_order_id="R-1"),
        *said,
    )
    assert status_of(desk) is status


def test_a_refusal_told_twice_is_one_and_says_nothing_of_the_order():
    refusal = a_refusal(
        "C-1", orig_client_order_id="R-1", order_status=_S.REJECTED, reason="UNKNOWN_ORDER"
    )
    desk = after(NEW, a_cancel("C-1"), refusal)
    count = len(desk.log.records)
    desk.say(refusal)
    assert (status_of(desk), len(desk.log.records)) == (_S.NEW, count)


def test_a_replacement_is_real_only_when_it_is_accepted():
    desk = after(NEW, a_replace("P-1", "12"))
    assert desk.order().standing.order_qty == 10
    ids = {"client_order_id": "P-1", "orig_client_order_id": "R-1"}
    desk.say(told(_S.PENDING_REPLACE, **ids, order_qty="12"))
    assert (status_of(desk), desk.order().standing.order_qty) == (_S.PENDING_REPLACE, 10)

    desk.say(a_report(_E.REPLACED, order_status=_S.NEW, order_qty="12", limit_px="101", **ids))

    order = desk.order()
    assert (order.order_status, order.standing.order_qty, order.limit_px) == (
        _S.NEW, 12, Decimal(101)
    )  # fmt: skip


def test_an_id_that_is_heard_of_late_is_not_the_one_the_order_goes_by():
    """Seen in a simulated day: the acceptance came after the replacement that renumbered the
    order, and every look-up asked for an order that was none any more."""
    desk = after()
    desk.say(a_replace("P-1", "12", "R-1"))
    desk.say(a_report(_E.REPLACED, order_status=_S.NEW, client_order_id="P-1", order_qty="12",
                      orig_client_order_id="R-1", venue_order_id="V-2", ts_event=20))  # fmt: skip
    desk.say(a_report(_E.NEW, order_status=_S.NEW, venue_order_id="V-1", ts_event=10))

    (order,) = desk.orders()
    assert order.venue_order_id == "V-2"
    desk.say(a_fill("T-1", "1", "100", client_order_id=None, venue_order_id="V-1", ts_event=15))
    desk.say(a_report(_E.CANCELED, order_status=_S.CANCELED, client_order_id=None,
                      venue_order_id="V-2", ts_event=30))  # fmt: skip
    (order,) = desk.orders()
    assert (order.order_status, order.standing.cum_qty) == (_S.CANCELED, 1)


def test_a_chain_of_replacements_is_one_order_under_every_id():
    """A fill in flight names the id that the venue knew when it matched."""
    desk = after(a_report(_E.NEW, order_status=_S.NEW, venue_order_id="V-1"))
    for number in (1, 2):
        ids = {
            "client_order_id": f"P-{number}",
            "orig_client_order_id": f"P-{number - 1}" if number > 1 else "R-1",
        }
        desk.say(a_replace(f"P-{number}", f"{10 + number}", ids["orig_client_order_id"]))
        desk.say(a_report(_E.REPLACED, venue_order_id=f"V-{number + 1}",
                          order_qty=f"{10 + number}", **ids))  # fmt: skip
    desk.say(a_fill("T-1", "1", "100", client_order_id="R-1"))
    desk.say(a_fill("T-2", "1", "100", client_order_id="P-2"))
    desk.say(a_fill("T-3", "1", "100", client_order_id=None, venue_order_id="V-2"))

    (order,) = desk.orders()
    assert order.client_order_ids == ["R-1", "P-1", "P-2"]
    assert order.venue_order_ids == ["V-1", "V-2", "V-3"]
    assert (order.standing.order_qty, order.standing.cum_qty) == (12, 3)


def test_a_replacement_below_what_is_filled_leaves_the_order_full():
    desk = after(NEW, HALF, a_replace("P-1", "4"))
    desk.say(a_report(_E.REPLACED, client_order_id="P-1", orig_client_order_id="R-1",
                      order_qty="4"))  # fmt: skip
    assert status_of(desk) is _S.FILLED
    assert desk.order().standing.leaves_qty() == 0


@pytest.mark.parametrize("kind", [_E.REPLACED, _E.RESTATED, _E.TRIGGERED])
def test_an_amendment_without_an_id_of_its_own_is_known_by_its_time(kind: ExecType):
    report = a_report(kind, order_qty="12", limit_px="101", ts_event=5)
    desk = after(told(_S.NEW, ts_event=1), report)
    assert desk.say(report).events == ()
    assert desk.say(a_report(kind, order_qty="13", ts_event=6)).events != ()


def test_a_replacement_while_a_cancel_is_pending_is_told_once():
    report = a_report(_E.REPLACED, order_status=_S.PENDING_CANCEL, order_qty="12", ts_event=5)
    desk = after(told(_S.NEW, ts_event=1), report)
    assert desk.say(report).events == ()
    assert status_of(desk) is _S.PENDING_CANCEL


def test_what_was_said_earlier_and_comes_later_changes_no_terms():
    desk = after(told(_S.NEW, ts_event=1), a_report(_E.RESTATED, order_qty="12", ts_event=9))
    desk.say(a_report(_E.RESTATED, order_qty="11", ts_event=5))
    assert desk.order().standing.order_qty == 12


# ---- second orders, other orders


def test_a_second_order_under_an_id_is_disputed_and_the_first_stands():
    desk = after(NEW, HALF)
    said = desk.say(
        a_report(_E.REJECTED, order_status=_S.REJECTED, reason="DUPLICATE_ORDER", ts_event=7)
    )
    assert (said.outcome, status_of(desk)) == ("DISPUTED", _S.PARTIALLY_FILLED)


@pytest.mark.parametrize(
    "other",
    [
        an_intent(order_qty="11"),
        an_intent(limit_px="99"),
        an_intent(side=Side.SELL),
        an_intent(instrument_id="OTHER"),
    ],
    ids=["quantity", "price", "side", "instrument"],
)
def test_an_intent_with_other_content_is_disputed(other: Any):
    desk = after(NEW)
    assert desk.say(an_intent()).outcome == "DUPLICATE"
    assert desk.say(other).outcome == "DISPUTED"
    assert desk.order().standing.order_qty == 10


@pytest.mark.parametrize(
    "other",
    [
        told(_S.NEW, side=Side.SELL),
        told(_S.NEW, instrument_id="OTHER"),
        a_fill("T-1", "4", "100", side=Side.SELL),
    ],
    ids=["side", "instrument", "fill of the other side"],
)
def test_a_report_of_another_order_under_our_id_is_disputed_once(other: Any):
    """It is neither adopted nor dropped."""
    desk = after(NEW)
    assert desk.say(other).outcome == "DISPUTED"
    assert desk.say(other).outcome == "DUPLICATE"
    assert (status_of(desk), desk.order().standing.cum_qty) == (_S.NEW, 0)


def test_selling_short_is_selling():
    desk = Desk()
    desk.say(an_intent(side=Side.SELL_SHORT), told(_S.NEW, side=Side.SELL))
    assert desk.say(a_fill("T-1", "4", "100", side=Side.SELL)).outcome == "RECORDED"
    assert desk.position().position_qty == -4


def test_an_order_met_first_in_a_report_becomes_ours_by_the_intent():
    """The report was faster than our own record of sending."""
    desk = Desk()
    desk.say(told(_S.NEW, instrument_id="INST", side=Side.BUY, order_qty="10"), an_intent())
    order = desk.order()
    assert (order.origin, order.order_status) == (Origin.ROBOT, _S.NEW)


def test_not_found_is_no_evidence_against_an_order_we_do_not_know():
    desk = Desk()
    said = desk.say(told(_S.REJECTED, reason="UNKNOWN_ORDER", instrument_id="INST", side=Side.BUY))
    assert (said.outcome, desk.orders()) == ("SET_ASIDE", [])


def test_a_request_under_the_id_of_another_order_is_disputed():
    desk = after(NEW)
    desk.say(an_intent("R-2"))
    assert desk.say(a_cancel("R-2")).outcome == "DISPUTED"


def test_a_request_for_an_order_that_nobody_knows_is_set_aside():
    assert Desk().say(a_cancel("C-1", "R-9")).outcome == "SET_ASIDE"
