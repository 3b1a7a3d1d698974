"""Other programs read orders and fills from views, as plain decimals, without a line of ours."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import fields

from fillbook.core.events import (
    CommissionChanged,
    FillBusted,
    FillCorrected,
    FillInferred,
    InferredFillReleased,
    OrderDiscovered,
    OrderFilledV1,
    OrderReplaced,
    Replacement,
)
from fillbook.core.values import OrderStatus, Side
from fillbook.log.sqlite import SqliteLog
from log.making import (
    a_cancel,
    a_fill,
    a_submission,
    an_instrument,
    draft,
    new_order,
    open_fixed,
    order_fields,
    python,
)

D = Decimal


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    with open_fixed(tmp_path / "x.ledger") as opened:
        opened.append([new_order("R-1")])
        yield opened


def add(log: SqliteLog, *events: Any) -> None:
    log.append([draft(event, 2) for event in events])


def rows_of(log: SqliteLog, view: str) -> list[dict[str, Any]]:
    names = [row[1] for row in log.fetch(f"PRAGMA table_info({view})")]
    return [dict(zip(names, row, strict=True)) for row in log.fetch(f"SELECT * FROM {view}")]


def fills(log: SqliteLog, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows_of(log, "fills")]


def an_inferred(fill_no: int, qty: str, px: str | None) -> FillInferred:
    return FillInferred(
        **order_fields(
            fill_no=fill_no,
            trade_id=f"I-{fill_no}",
            last_qty=D(qty),
            last_px=None if px is None else D(px),
            claimed_qty=D(qty),
        )
    )


def replacement(fill_no: int, qty: str, left: str, px: str | None) -> Replacement:
    return Replacement(
        fill_no=fill_no, qty=D(qty), left_qty=D(left), left_px=None if px is None else D(px)
    )


def a_bust(fill_no: int) -> FillBusted:
    return FillBusted(**order_fields(fill_no=fill_no, exec_ref_id="E", last_qty=D(4)))


def a_correction(fill_no: int, qty: str, px: str | None) -> FillCorrected:
    return FillCorrected(
        **order_fields(
            fill_no=fill_no,
            exec_ref_id="E",
            last_qty=D(qty),
            last_px=None if px is None else D(px),
            prior_qty=D(4),
        )
    )


def a_commission(fill_no: int, amount: str, currency: str) -> CommissionChanged:
    return CommissionChanged(
        **order_fields(
            fill_no=fill_no, trade_id="T", commission=D(amount), commission_currency=currency
        )
    )


def test_an_order_is_its_terms_and_its_state_after_the_last_event(log: SqliteLog) -> None:
    add(
        log,
        a_fill(1, venue_order_id="V-1", ts_event=7, avg_px=D("101.40")),
        a_fill(
            2,
            venue_order_id="V-2",
            ts_event=None,
            ts_received=9,
            order_status=OrderStatus.FILLED,
            cum_qty=D("10.0"),
            leaves_qty=D(0),
            avg_px=D("0.00000001234"),
        ),
    )
    assert rows_of(log, "orders") == [
        {
            "client_order_id": "R-1", "venue_order_id": "V-2", "account_id": "default",
            "instrument_id": "SBER", "side": "BUY", "order_type": "LIMIT", "origin": "ROBOT",
            "order_status": "FILLED", "order_qty": "10", "cum_qty": "10", "leaves_qty": "0",
            "avg_px": "0.00000001234", "limit_px": "101.5",
            "ts_first": next(log.records(after=1)).ts_recorded, "ts_last": 9,
            "stream": 2, "last_seq": 4,
        }
    ]  # fmt: skip


def test_an_order_that_we_never_sent_is_external(log: SqliteLog) -> None:
    found = OrderDiscovered(**order_fields(client_order_id=None, side=Side.SELL))
    log.append([draft(found, None), draft(an_instrument(), None)])
    assert [(row["origin"], row["order_type"], row["side"]) for row in rows_of(log, "orders")] == [
        ("ROBOT", "LIMIT", "BUY"),
        ("EXTERNAL", None, "SELL"),
    ]
    log.append([draft(a_submission(), 3)])
    assert rows_of(log, "orders")[1]["origin"] == "ROBOT"


def test_the_limit_is_the_last_one_that_was_real(log: SqliteLog) -> None:
    add(log, OrderReplaced(**order_fields(limit_px=D(99))), a_cancel())
    add(log, OrderReplaced(**order_fields(limit_px=None)))
    assert rows_of(log, "orders")[0]["limit_px"] == "99"


def test_a_fill_is_what_its_event_says(log: SqliteLog) -> None:
    add(log, a_fill(1, exec_id="E-1", ts_event=5, last_px=D("1E-9")))
    assert rows_of(log, "fills") == [
        {
            "seq": 3, "stream": 2, "client_order_id": "R-1", "account_id": "default",
            "instrument_id": "SBER", "side": "BUY", "trade_id": "T-1", "exec_id": "E-1",
            "last_qty": "4", "last_px": "0.000000001", "commission": "0.12",
            "commission_currency": "RUB", "inferred": 0, "busted": 0, "ts_event": 5,
        }
    ]  # fmt: skip


def test_the_first_version_of_a_fill_has_the_trade_s_id_as_the_execution_s(log: SqliteLog) -> None:
    told = {a.name: getattr(a_fill(), a.name) for a in fields(OrderFilledV1)}
    add(log, OrderFilledV1(**told))
    assert fills(log, "exec_id") == [("T-1",)]


def test_a_busted_fill_is_nothing(log: SqliteLog) -> None:
    add(log, a_fill(1), a_fill(2), a_bust(1))
    assert fills(log, "trade_id", "last_qty", "busted") == [("T-1", "0", 1), ("T-2", "4", 0)]


def test_a_corrected_fill_is_its_last_correction(log: SqliteLog) -> None:
    add(log, a_fill(1), a_fill(2), a_correction(2, "3", "50"), a_correction(2, "2", None))
    assert fills(log, "last_qty", "last_px", "busted") == [("4", "101.4", 0), ("2", None, 0)]
    add(log, a_bust(2))
    assert fills(log, "last_qty", "busted")[1] == ("0", 1)
    add(log, a_correction(2, "1", "7"))
    assert fills(log, "last_qty", "last_px", "busted")[1] == ("1", "7", 0)


def test_fills_of_other_orders_are_left_alone(log: SqliteLog) -> None:
    log.append([new_order("R-2")])
    add(log, a_fill(1), a_bust(1))
    log.append([draft(a_fill(1), 3)])
    assert fills(log, "stream", "last_qty") == [(2, "0"), (3, "4")]


def test_of_an_inferred_fill_what_true_fills_left(log: SqliteLog) -> None:
    add(log, an_inferred(1, "10", "101"), an_inferred(2, "5", None))
    assert fills(log, "last_qty", "last_px", "inferred") == [("10", "101", 1), ("5", None, 1)]

    add(log, a_fill(3, replaces=(replacement(1, "4", "6", "100.5"),)))
    add(log, InferredFillReleased(**order_fields(releases=(replacement(2, "5", "0", None),))))
    assert fills(log, "last_qty", "last_px", "inferred") == [
        ("6", "100.5", 1),
        ("0", None, 1),
        ("4", "101.4", 0),
    ]
    both = (replacement(1, "1", "5", "100"), replacement(1, "2", "3", "99"))
    add(log, InferredFillReleased(**order_fields(releases=both)))
    assert fills(log, "last_qty", "last_px")[0] == ("3", "99")


def test_a_commission_that_came_late_or_was_corrected(log: SqliteLog) -> None:
    none = {"commission": None, "commission_currency": None}
    add(log, a_fill(1), a_fill(2, **none), a_fill(3, **none))
    add(
        log, a_commission(1, "0.5", "RUB"), a_commission(1, "9", "USD"), a_commission(2, "3", "EUR")
    )
    assert fills(log, "commission", "commission_currency") == [
        ("0.5", "RUB"),
        ("3", "EUR"),
        (None, None),
    ]


def test_pandas_and_datasette_need_nothing_from_us(log: SqliteLog) -> None:
    """A plain connection in another process, with the standard library only."""
    add(log, a_fill(1), a_bust(1), a_fill(2))
    said = python(
        """
        import json, sqlite3, sys
        connection = sqlite3.connect(sys.argv[1])
        orders = connection.execute("SELECT order_status, cum_qty FROM orders").fetchall()
        fills = connection.execute("SELECT trade_id, last_qty, last_px FROM fills").fetchall()
        print(json.dumps([orders, fills]))
        """,
        log.path,
    )
    assert json.loads(said) == [
        [["PARTIALLY_FILLED", "4"]],
        [["T-1", "0", "101.4"], ["T-2", "4", "101.4"]],
    ]


def test_no_amount_in_a_view_is_a_float(log: SqliteLog) -> None:
    add(log, a_fill(1), a_correction(1, "3", "1.5"), an_inferred(2, "1", "2"))
    for view in ("orders", "fills"):
        for row in rows_of(log, view):
            assert not any(isinstance(value, float) for value in row.values()), row
