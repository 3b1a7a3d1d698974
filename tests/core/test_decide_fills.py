"""Fills: what counts as one, when it is the same, what is inferred, and what takes its place."""

from decimal import Context, Decimal, Inexact, localcontext
from typing import Any

import pytest

from builders import (
    Desk,
    a_bust,
    a_correction,
    a_fee,
    a_fill,
    a_report,
    a_snapshot,
    an_intent,
)
from fillbook.core.policies import FillPolicy
from fillbook.core.values import ExecType, Flag, OrderStatus, Side

_E, _S = ExecType, OrderStatus


def a_desk(*said: Any, **more: Any) -> Desk:
    """Our order for 10, accepted, after these messages."""
    desk = Desk(**more)
    desk.say(an_intent(), a_report(_E.NEW, order_status=_S.NEW), *said)
    return desk


def figures(desk: Desk) -> tuple[str, str, str | None]:
    """Return status, filled quantity and average of the order."""
    order = desk.order()
    avg_px = order.standing.avg_px()
    return (
        str(order.order_status),
        str(order.standing.cum_qty),
        None if avg_px is None else str(avg_px),
    )


def new_types(desk: Desk, *said: Any) -> list[str]:
    """Return the types of the events that these messages add."""
    count = len(desk.log.records)
    desk.say(*said)
    return [each.removeprefix("order.") for each in desk.types()[count:]]


# ---- identity


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (a_fill("T-1", "4", "100"), a_fill("T-1", "4", "100")),
        (a_fill("T-1", "4", "100"), a_fill("T-1", "4", "100", exec_id="E-9")),
        (a_fill("T-1", "4", "100"), a_fill("T-1", None, None)),
        (a_fill("T-1", "4", None), a_fill("T-1", "4", "100")),
        (a_fill(None, "4", "100", exec_id="E-1"), a_fill(None, "4", "100", exec_id="E-1")),
        (a_fill(None, "4", "100", ts_event=5), a_fill(None, "4", "100", ts_event=5)),
    ],
    ids=["trade id", "another message", "nothing told", "price unknown", "exec id", "content"],
)
def test_the_same_fill_again_is_nothing(first: Any, again: Any):
    desk = a_desk(first)
    assert new_types(desk, again) == []
    assert desk.order().standing.cum_qty == 4


@pytest.mark.parametrize(
    "other",
    [a_fill("T-1", "5", "100"), a_fill("T-1", "4", "101"), a_fill("T-1", "5", None)],
    ids=["quantity", "price", "quantity alone"],
)
def test_the_same_id_with_other_content_is_disputed_once(other: Any):
    """Both are kept: the fill as it was booked, the other one in the dispute."""
    desk = a_desk(a_fill("T-1", "4", "100"))
    assert new_types(desk, other) == ["disputed"]
    assert new_types(desk, other) == []
    assert figures(desk) == ("PARTIALLY_FILLED", "4", "100")
    assert Flag.CONFLICT in desk.order().flags


@pytest.mark.parametrize(
    "other",
    [a_fill("T-2", "4", "100"), a_fill(None, "4", "100", ts_event=6)],
    ids=["another id", "another time"],
)
def test_another_identity_is_another_fill(other: Any):
    desk = a_desk(a_fill(None, "4", "100", ts_event=5), other)
    assert desk.order().standing.cum_qty == 8


def test_a_trade_id_is_one_per_order():
    """Venues count trades per instrument, per day, and from 1."""
    desk = a_desk(a_fill("T-1", "4", "100"))
    desk.say(an_intent("R-2"), a_fill("T-1", "4", "100", client_order_id="R-2"))
    assert [order.standing.cum_qty for order in desk.orders()] == [4, 4]


def test_an_id_of_ours_in_a_venues_mouth_is_disputed():
    """The log takes a second fill under one id for a mistake of ours and stops."""
    desk = a_desk(a_snapshot(_S.PARTIALLY_FILLED, cum_qty="5", avg_px="100"))
    (inferred,) = desk.order().fills.values()
    assert new_types(desk, a_fill(inferred.trade_id, "5", "100")) == ["disputed"]
    assert figures(desk) == ("PARTIALLY_FILLED", "5", "100")


# ---- what a report carries, whatever its type says


@pytest.mark.parametrize(
    ("report", "qty", "px"),
    [
        (a_report(_E.NEW, order_status=_S.PARTIALLY_FILLED, cum_qty="3", last_qty="3",
                  last_px="99", exec_id="E-1"), "3", "99"),
        (a_report(_E.CANCELED, order_status=_S.CANCELED, cum_qty="3", last_qty="3",
                  last_px="99", exec_id="E-1"), "3", "99"),
        (a_report(_E.TRADE, cum_qty="3", avg_px="98"), "3", "98"),
        (a_fill("T-1", "0", "99"), "0", None),
        (a_report(_E.CANCELED, order_status=_S.CANCELED, cum_qty="0", last_qty="3",
                  last_px="99", exec_id="E-1"), "0", None),
    ],
    ids=["in the first report", "with a cancel", "told by totals", "of nothing", "an old one"],
)  # fmt: skip
def test_a_fill_is_what_the_fields_say(report: Any, qty: str, px: str | None):
    desk = Desk()
    desk.say(an_intent(), report)
    order = desk.order()
    assert str(order.standing.cum_qty) == qty
    assert order.standing.avg_px() == (None if px is None else Decimal(px))


# ---- inference

CLAIM = {"cum_qty": "6", "avg_px": "101"}


@pytest.mark.parametrize(
    ("claim", "status"),
    [
        (a_snapshot(_S.PARTIALLY_FILLED, **CLAIM), "PARTIALLY_FILLED"),
        (a_report(_E.CANCELED, order_status=_S.CANCELED, **CLAIM), "CANCELED"),
        (a_report(_E.EXPIRED, order_status=_S.EXPIRED, **CLAIM), "EXPIRED"),
        (a_report(_E.DONE_FOR_DAY, order_status=_S.DONE_FOR_DAY, **CLAIM), "DONE_FOR_DAY"),
        (a_report(_E.SUSPENDED, order_status=_S.SUSPENDED, **CLAIM), "SUSPENDED"),
        (a_report(_E.PENDING_CANCEL, order_status=_S.PENDING_CANCEL, **CLAIM), "PENDING_CANCEL"),
        (a_report(_E.REJECTED, order_status=_S.REJECTED, **CLAIM), "PARTIALLY_FILLED"),
        (a_report(_E.CALCULATED, order_status=_S.CALCULATED, **CLAIM), "CALCULATED"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_venue_counts_more_is_inferred_under_every_status(claim: Any, status: str):
    """At the price that makes our average the venue's: (6 × 101 - 2 × 99) / 4 = 102."""
    desk = a_desk(a_fill("T-1", "2", "99"), claim)
    (inferred,) = [fill for fill in desk.order().fills.values() if fill.is_inferred]
    assert (inferred.qty, inferred.px) == (4, 102)
    assert figures(desk) == (status, "6", "101")
    assert Flag.INFERRED in desk.order().flags


@pytest.mark.parametrize("end", [_S.CANCELED, _S.EXPIRED])
def test_what_is_counted_after_the_end_is_inferred_too(end: OrderStatus):
    desk = a_desk(a_report(_E(end.value), order_status=end, cum_qty="0"))
    desk.say(a_snapshot(end, cum_qty="4", avg_px="100"))
    assert figures(desk) == (str(end), "4", "100")
    assert {Flag.INFERRED, Flag.LATE_FILL} <= set(desk.order().flags)


def test_an_unknown_price_stays_unknown():
    desk = a_desk(a_snapshot(_S.PARTIALLY_FILLED, cum_qty="4"))
    assert figures(desk) == ("PARTIALLY_FILLED", "4", None)
    assert Flag.UNKNOWN_PRICE in desk.order().flags
    assert desk.position().realized_pnl_gross is None
    assert desk.position().position_qty == 4


def test_a_price_that_is_told_later_is_learned_once():
    desk = a_desk(a_snapshot(_S.PARTIALLY_FILLED, cum_qty="4"))
    priced = a_snapshot(_S.PARTIALLY_FILLED, cum_qty="4", avg_px="99")
    assert new_types(desk, priced) == ["inferred_fill_released"]
    assert figures(desk) == ("PARTIALLY_FILLED", "4", "99")
    (view,) = [desk.position()]
    assert (view.position_qty, view.avg_px, view.realized_pnl_gross) == (4, 99, 0)
    assert new_types(desk, priced) == []
    assert new_types(desk, a_fill("T-1", "4", "99")) == ["filled"]
    assert figures(desk) == ("PARTIALLY_FILLED", "4", "99")


def test_the_average_of_the_whole_prices_what_had_no_price():
    """The trade tells 2 of the 4, so 4 of the 6 have no price: (6 x 101 - 2 x 105) / 4."""
    desk = a_desk(a_snapshot(_S.PARTIALLY_FILLED, cum_qty="4"), a_fill("T-1", "2", "105"))
    desk.say(a_snapshot(_S.PARTIALLY_FILLED, cum_qty="6", avg_px="101"))
    assert figures(desk) == ("PARTIALLY_FILLED", "6", "101")
    assert [str(fill.px) for fill in desk.order().fills.values()] == ["99", "105", "99"]


def test_a_price_is_learned_in_exact_figures():
    """Whatever the process's own decimal context is, and however long the figures are."""
    qty = "1.2000000000000000001"
    with localcontext(Context(prec=1, traps=[Inexact])):
        desk = a_desk(a_snapshot(_S.PARTIALLY_FILLED, cum_qty=qty))
        desk.say(a_snapshot(_S.PARTIALLY_FILLED, cum_qty=qty, avg_px="99"))
        assert figures(desk) == ("PARTIALLY_FILLED", qty, "99")


def test_a_later_total_with_its_average_prices_all_of_it():
    desk = a_desk(a_snapshot(_S.PARTIALLY_FILLED, cum_qty="4"))
    desk.say(a_snapshot(_S.FILLED, cum_qty="10", avg_px="99"))
    assert figures(desk) == ("FILLED", "10", "99")
    assert desk.position().realized_pnl_gross == 0


@pytest.mark.parametrize(
    ("said", "claim"),
    [
        ((a_snapshot(_S.PARTIALLY_FILLED, cum_qty="4"),), {"cum_qty": "3", "avg_px": "99"}),
        ((a_fill("T-1", "4", None),), {"cum_qty": "4", "avg_px": "99"}),
        ((a_snapshot(_S.PARTIALLY_FILLED, cum_qty="2"), a_fill("T-1", "2", None, cum_qty="4")),
         {"cum_qty": "4", "avg_px": "99"}),
    ],
    ids=["another total", "a trade without price", "one of both"],
)  # fmt: skip
def test_an_average_that_could_mean_other_fills_prices_nothing(said: Any, claim: Any):
    desk = a_desk(*said)
    desk.say(a_snapshot(_S.PARTIALLY_FILLED, **claim))
    assert figures(desk) == ("PARTIALLY_FILLED", "4", None)


def test_a_gap_that_waited_prices_what_had_no_price():
    policy = FillPolicy(wait_ns=10)
    desk = a_desk(a_snapshot(_S.PARTIALLY_FILLED, ts_event=100, cum_qty="4"), policy=policy)
    desk.wait_until(200)
    assert figures(desk) == ("PARTIALLY_FILLED", "4", None)
    desk.say(a_snapshot(_S.PARTIALLY_FILLED, ts_event=300, cum_qty="6", avg_px="99"))
    desk.wait_until(400)
    assert figures(desk) == ("PARTIALLY_FILLED", "6", "99")


def test_a_filled_order_is_filled_for_what_it_asked():
    desk = a_desk(a_snapshot(_S.FILLED))
    assert figures(desk) == ("FILLED", "10", None)
    assert figures(a_desk(a_snapshot(_S.FILLED, avg_px="99"))) == ("FILLED", "10", "99")


@pytest.mark.parametrize(
    ("poll", "filled"),
    [
        ({"order_qty": "10", "leaves_qty": "4", "avg_px": "99"}, "6"),
        ({"order_qty": "10", "leaves_qty": "10"}, "0"),
        ({"leaves_qty": "4"}, "0"),
        ({"order_qty": "10"}, "0"),
        ({"order_qty": "10", "leaves_qty": "12"}, "0"),
        ({"order_qty": "10", "leaves_qty": "0", "order_status": _S.NEW}, "0"),
        ({"order_qty": "10", "leaves_qty": "4", "cum_qty": "5"}, "5"),
        ({"order_qty": "10", "leaves_qty": "0", "order_status": _S.DONE_FOR_DAY}, "0"),
    ],
    ids=[
        "both",
        "nothing yet",
        "no quantity",
        "no rest",
        "too much left",
        "new",
        "a total",
        "resting",
    ],
)
def test_a_poll_without_a_total_is_filled_for_what_is_not_left(poll: dict[str, Any], filled: str):
    desk = a_desk(a_snapshot(poll.pop("order_status", _S.PARTIALLY_FILLED), **poll))
    assert str(desk.order().standing.cum_qty) == filled


def test_evidence_gives_an_inferred_fill_its_id():
    """A second run over the same messages must infer the same fill."""
    said = (a_fill("T-1", "2", "99"), a_snapshot(_S.PARTIALLY_FILLED, **CLAIM))
    ids = [[fill.trade_id for fill in a_desk(*said).order().fills.values()] for _ in range(2)]
    assert ids == [["T-1", "inferred-2:2-6"]] * 2


# ---- waiting

WAITING = FillPolicy(wait_ns=10)


def test_a_gap_waits_for_the_true_fills():
    desk = a_desk(a_snapshot(_S.PARTIALLY_FILLED, ts_event=100, **CLAIM), policy=WAITING)
    assert figures(desk) == ("NEW", "0", None)
    assert Flag.GAP in desk.order().flags
    assert desk.wait_until(109) == []

    desk.say(a_fill("T-1", "6", "101", ts_event=90))

    assert desk.wait_until(110) == []
    assert figures(desk) == ("PARTIALLY_FILLED", "6", "101")


def test_a_gap_that_waited_long_enough_is_inferred():
    desk = a_desk(a_fill("T-1", "2", "99"), policy=WAITING)
    desk.say(a_snapshot(_S.PARTIALLY_FILLED, ts_event=100, **CLAIM))
    assert desk.wait_until(110) == ["order.fill_inferred"]
    assert desk.wait_until(1000) == []
    assert figures(desk) == ("PARTIALLY_FILLED", "6", "101")


# ---- true fills take an inferred one's place


@pytest.mark.parametrize(
    ("fills", "left"),
    [
        ([("T-1", "6", "101")], "0"),
        ([("T-1", "2", "99")], "4"),
        ([("T-1", "2", "99"), ("T-2", "4", "102")], "0"),
        ([("T-2", "4", "102"), ("T-1", "2", "99")], "0"),
    ],
    ids=["all at once", "a part", "two", "two in another order"],
)
def test_true_fills_supersede_quantity_for_quantity(fills: Any, left: str):
    """Nothing is counted twice, and the average stays the venue's all along."""
    desk = a_desk(a_snapshot(_S.PARTIALLY_FILLED, ts_event=100, **CLAIM))
    for number, (trade_id, qty, px) in enumerate(fills):
        desk.say(a_fill(trade_id, qty, px, ts_event=90 + number))
        assert figures(desk) == ("PARTIALLY_FILLED", "6", "101")
    (inferred,) = [fill for fill in desk.order().fills.values() if fill.is_inferred]
    assert str(inferred.qty) == left
    assert desk.position().position_qty == 6


def test_a_later_fill_comes_on_top_of_what_was_inferred():
    desk = a_desk(a_snapshot(_S.PARTIALLY_FILLED, ts_event=100, **CLAIM))
    desk.say(a_fill("T-9", "1", "101", cum_qty="7", ts_event=110))
    assert figures(desk) == ("PARTIALLY_FILLED", "7", "101")


# ---- late, too many, too few


@pytest.mark.parametrize("end", [_S.CANCELED, _S.EXPIRED])
def test_a_late_fill_counts_and_does_not_reopen(end: OrderStatus):
    desk = a_desk(a_report(_E(end.value), order_status=end), a_fill("T-1", "4", "100"))
    assert figures(desk) == (str(end), "4", "100")
    assert desk.order().standing.leaves_qty() == 0
    assert Flag.LATE_FILL in desk.order().flags
    assert desk.position().position_qty == 4


def test_a_late_fill_that_makes_it_full_fills_it():
    desk = a_desk(a_report(_E.CANCELED, order_status=_S.CANCELED), a_fill("T-1", "10", "100"))
    assert figures(desk) == ("FILLED", "10", "100")


def test_a_fill_proves_that_a_rejected_order_was_none():
    desk = a_desk(a_report(_E.REJECTED, order_status=_S.REJECTED), a_fill("T-1", "4", "100"))
    assert figures(desk) == ("PARTIALLY_FILLED", "4", "100")


def test_an_overfill_is_booked_and_flagged():
    desk = a_desk(a_fill("T-1", "8", "100"), a_fill("T-2", "5", "100"))
    assert figures(desk) == ("FILLED", "13", "100")
    assert Flag.OVERFILL in desk.order().flags
    assert desk.position().position_qty == 13


def test_a_claim_below_ours_takes_nothing_back_and_is_disputed_once():
    desk = a_desk(a_fill("T-1", "4", "100", ts_event=5))
    below = a_snapshot(_S.PARTIALLY_FILLED, cum_qty="3", ts_event=9)
    assert new_types(desk, below) == ["disputed"]
    assert new_types(desk, below) == []
    assert figures(desk) == ("PARTIALLY_FILLED", "4", "100")


def test_a_claim_of_an_earlier_time_is_no_contradiction():
    desk = a_desk(a_fill("T-1", "4", "100", ts_event=5))
    assert new_types(desk, a_snapshot(_S.NEW, cum_qty="0", ts_event=4)) == []


# ---- busts and corrections


def test_a_bust_takes_back_what_we_hold_whatever_it_prints():
    """Venues print 0, or what is left."""
    desk = a_desk(a_fill("T-1", "10", "100"), a_bust("T-1", last_qty="0", last_px="0"))
    assert figures(desk) == ("NEW", "0", None)
    assert desk.position().position_qty == 0
    assert desk.position().realized_pnl_gross == 0


def test_a_bust_may_come_before_its_fill():
    desk = a_desk()
    assert new_types(desk, a_bust("T-1")) == ["amendment_held"]
    assert new_types(desk, a_fill("T-1", "4", "100")) == ["filled", "fill_busted"]
    assert figures(desk) == ("NEW", "0", None)


def test_a_correction_may_come_before_its_fill():
    desk = a_desk(a_correction("T-1", "3", "101"), a_fill("T-1", "4", "100"))
    assert figures(desk) == ("PARTIALLY_FILLED", "3", "101")


def test_a_correction_points_at_the_fill_or_at_the_one_before():
    desk = a_desk(a_fill("T-1", "4", "100"), a_correction("T-1", "3", "101"))
    desk.say(a_correction("T-1", "2", "102", exec_ref_id="C-T-1", exec_id="C-2"))
    assert figures(desk) == ("PARTIALLY_FILLED", "2", "102")
    assert desk.position().avg_px == 102
    assert len(desk.order().fills) == 1


@pytest.mark.parametrize("amendment", [a_bust("T-1"), a_correction("T-1", "3", "101")])
def test_an_amendment_told_twice_is_one(amendment: Any):
    desk = a_desk(a_fill("T-1", "4", "100"), amendment)
    assert new_types(desk, amendment) == []


def test_an_amendment_that_names_no_fill_is_disputed():
    desk = a_desk(a_fill("T-1", "4", "100"))
    assert new_types(desk, a_report(_E.TRADE_CANCEL, exec_id="B-1")) == ["disputed"]
    assert desk.order().standing.cum_qty == 4


def test_the_past_is_as_if_the_fill_had_been_so_from_the_start():
    """Bought at 100 and 110, sold one at 120: with the first taken back the profit is 10."""
    desk = a_desk(a_fill("T-1", "1", "100"), a_fill("T-2", "1", "110"))
    sale = {"client_order_id": "R-2", "side": Side.SELL}
    desk.say(an_intent("R-2", "5", side=Side.SELL), a_fill("T-3", "1", "120", **sale))
    assert desk.position().realized_pnl_gross == 15

    desk.say(a_bust("T-1"))

    assert desk.position().position_qty == 0
    assert desk.position().realized_pnl_gross == 10


# ---- orders we never sent, and fees


def test_a_fill_of_an_unknown_order_opens_an_external_one():
    desk = Desk()
    desk.say(a_fill("T-1", "4", "100", instrument_id="INST", side=Side.BUY))
    order = desk.order()
    assert (str(order.origin), order.standing.cum_qty) == ("EXTERNAL", 4)
    assert Flag.EXTERNAL in order.flags


@pytest.mark.parametrize("missing", ["instrument_id", "side"])
def test_what_cannot_open_an_order_is_set_aside(missing: str):
    told: dict[str, Any] = {"instrument_id": "INST", "side": Side.BUY}
    del told[missing]
    desk = Desk()
    said = desk.say(a_fill("T-1", "4", "100", **told))
    assert (said.outcome, desk.types()) == ("SET_ASIDE", ["message.set_aside"])


def test_a_late_fee_replaces_what_the_fill_cost_in_that_currency():
    desk = a_desk(a_fill("T-1", "4", "100", commission="1", commission_currency="USD"))
    desk.say(a_fee("T-1", "1.5"), a_fee("T-1", "0.1", "BNB"))
    assert new_types(desk, a_fee("T-1", "1.5")) == []
    assert desk.order().commissions == {"USD": Decimal("1.5"), "BNB": Decimal("0.1")}
    assert desk.position().commissions == {"BNB": Decimal("0.1"), "USD": Decimal("1.5")}
