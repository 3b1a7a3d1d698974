"""Splits without end: each is in bounds, together they must not outgrow exact arithmetic."""

from decimal import Decimal
from typing import Any

import pytest

from builders import Desk, a_fill, a_split, an_instrument, an_intent
from fillbook.core.exact import EXACT
from fillbook.core.lots import LotBook
from fillbook.core.replaying import book_state
from fillbook.core.values import Contract

LARGEST = "12345678901234567890123456789012345678E+20"
FINEST = "1.2345678901234567891"


def held(desk: Desk) -> list[Any]:
    """Return the figures by every method, each after a fold anew."""
    desk.restart()
    assert book_state(desk.book)["splits"]
    (position,) = desk.book.positions.all()
    desk.book.positions.stale_numbers.add(position.number)
    views = desk.book.position_views({"INST": Decimal("3.7")})
    for method in ("fifo", "lifo"):
        lots = LotBook(method, "default", "INST", position.contract)
        desk.book.positions.fold_into(lots, position.number, desk.log.records)
        views.append(lots.view(None, Decimal("3.7")))
    return views


@pytest.mark.parametrize("contract", [Contract.LINEAR, Contract.INVERSE])
@pytest.mark.parametrize(
    ("numerator", "denominator", "count", "reaches_the_bound"),
    [
        ("1000000000", "0.000000001", 3, True),
        ("0.000000001", "1000000000", 3, True),
        ("999999999", "0.000000007", 3, True),
        ("0.000000007", "999999999", 3, True),
        ("1.00000000000000001", "1", 60, False),  # each adds 17 digits, and next to no quantity
        ("1.00000000000000001", "1.00000000000000003", 60, False),
        ("7", "3", 60, True),
    ],
)
def test_what_would_outgrow_them_is_set_aside(
    numerator, denominator, count, reaches_the_bound, contract
):  # fmt: skip
    desk = Desk()
    desk.say(an_instrument(contract=contract), an_intent())
    desk.say(a_fill("T-1", LARGEST, LARGEST), a_fill("T-2", FINEST, FINEST))
    said = [desk.say(a_split(numerator, denominator, ts_event=ts)) for ts in range(count)]
    assert {each.outcome for each in said} == {"RECORDED"}

    for ts in range(100, 100 + 164):
        last = desk.say(a_split(numerator, denominator, ts_event=ts))
    if reaches_the_bound:
        assert last.outcome == "SET_ASIDE"
        assert "'INST'" in str(last.problem)
        assert "check the ratio" in str(last.problem)
    again = desk.say(a_split(numerator, denominator, ts_event=0))
    assert again.outcome == "DUPLICATE"
    desk.say(
        a_fill("T-3", FINEST, FINEST),
        a_fill("T-4", LARGEST, "7"),
    )

    views = held(desk)
    assert len({view.position_qty for view in views}) == 1
    assert all(EXACT.plus(view.position_qty) > 0 for view in views)
