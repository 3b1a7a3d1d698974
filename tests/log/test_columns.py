"""The hot columns say what the body says, in codes that never change."""

from decimal import Decimal
from typing import Any

import pytest
from attrs import fields

from fillbook.core.event_types import EVENT_TYPES
from fillbook.core.events import (
    CashMoved,
    CommissionChanged,
    Event,
    FillBusted,
    FillCorrected,
    FillInferred,
    InferredFillReleased,
    InstrumentDefined,
    InstrumentMarked,
    InstrumentSplit,
    LedgerCreated,
    OrderEvent,
    OrderFilledV1,
    PositionReported,
    Replacement,
)
from fillbook.core.operator_events import PositionAdjusted
from fillbook.core.values import OrderStatus, Side
from fillbook.log.columns import STATUS_CODES, STATUS_OF_CODE, hot_columns
from log.making import ACCOUNT, a_cancel, a_fill, a_note, a_submission, order_fields

ONE = Decimal(1)
REPLACEMENT = Replacement(fill_no=1, qty=ONE, left_qty=ONE)


def an_inferred_fill(**told: Any) -> FillInferred:
    fields = order_fields(
        fill_no=1, trade_id="I-1", last_qty=ONE, last_px=ONE, claimed_qty=Decimal(4)
    )
    return FillInferred(**(fields | told))


def fill_of_version_1() -> OrderFilledV1:
    fill = a_fill()
    return OrderFilledV1(**{a.name: getattr(fill, a.name) for a in fields(OrderFilledV1)})


@pytest.mark.parametrize(
    ("event", "op"),
    [
        (a_fill(), 1),
        (a_fill(commission=None, commission_currency=None), 1),
        (fill_of_version_1(), 1),
        (an_inferred_fill(), 1),
        (a_fill(last_px=None), 2),
        (an_inferred_fill(last_px=None), 2),
        (a_fill(replaces=(REPLACEMENT,)), 2),
        (a_fill(last_qty=Decimal("1e-9")), 2),
        (a_fill(last_px=Decimal("1e12")), 2),
        (a_fill(commission=Decimal("0.000000001")), 2),
        (FillBusted(**order_fields(fill_no=1, exec_ref_id="E", last_qty=ONE)), 2),
        (
            FillCorrected(**order_fields(fill_no=1, exec_ref_id="E", last_qty=ONE, prior_qty=ONE)),
            2,
        ),
        (InferredFillReleased(**order_fields(releases=(REPLACEMENT,))), 2),
        (
            CommissionChanged(
                **order_fields(fill_no=1, trade_id="T", commission=ONE, commission_currency="X")
            ),
            2,
        ),
        (CashMoved(**ACCOUNT, amount=ONE, currency="X", reason="OTHER"), 2),
        (PositionAdjusted(**ACCOUNT, adjusted_qty=ONE, by="olga", reason="counted"), 2),
        (InstrumentSplit(instrument_id="S", numerator=ONE, denominator=ONE), 2),
        (InstrumentDefined(instrument_id="S"), 2),
        (a_submission(), 0),
        (a_cancel(), 0),
        (InstrumentMarked(instrument_id="S", px=ONE), 3),
        (PositionReported(**ACCOUNT, position_qty=ONE), 3),
        (a_note(), 3),
        (LedgerCreated(ledger_id="", robot="", format_version=1, created_by=""), 3),
    ],
    ids=lambda value: getattr(value, "type", value),
)
def test_how_an_event_touches_positions(event: Event, op: int) -> None:
    columns = hot_columns(event)
    assert columns.op == op
    if op != 1:
        assert columns[2:6] == (None, None, None, None)


def test_every_order_event_has_a_status_and_no_other_has() -> None:
    for cls in EVENT_TYPES.values():
        if not issubclass(cls, OrderEvent):
            assert cls.type.split(".")[0] != "order"
    assert hot_columns(a_submission()).status == 1
    assert hot_columns(a_note()).status is None


def test_figures_are_scaled_and_signed() -> None:
    assert hot_columns(a_fill(last_qty=Decimal("0.5"), last_px=Decimal("-3")))[2:] == (
        50_000_000, -300_000_000, 12_000_000, "RUB", 1
    )  # fmt: skip
    for side in (Side.SELL, Side.SELL_SHORT):
        assert hot_columns(a_fill(side=side)).qty == -400_000_000
        assert hot_columns(an_inferred_fill(side=side)).qty == -100_000_000


def test_the_fill_is_named_by_all_that_concerns_it() -> None:
    assert hot_columns(a_fill(7, last_px=None)).fill_no == 7
    bust = FillBusted(**order_fields(fill_no=7, exec_ref_id="E", last_qty=ONE))
    assert hot_columns(bust).fill_no == 7


def test_every_status_has_its_own_code() -> None:
    assert set(STATUS_CODES) == set(OrderStatus)
    assert STATUS_OF_CODE == {
        1: "PENDING_NEW", 2: "NEW", 3: "PARTIALLY_FILLED", 4: "FILLED", 5: "CANCELED",
        6: "REJECTED", 7: "EXPIRED", 8: "PENDING_CANCEL", 9: "PENDING_REPLACE",
        10: "DONE_FOR_DAY", 11: "STOPPED", 12: "SUSPENDED", 13: "CALCULATED", 14: "UNKNOWN",
    }  # fmt: skip
    for status, code in STATUS_CODES.items():
        assert hot_columns(a_fill(order_status=status)).status == code
