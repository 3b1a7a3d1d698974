"""Two clocks: what was known at a moment, and what had happened by it, in figures made by hand."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cli.running import fill, jsonl, order, report, run
from fillbook.core.book import fold
from fillbook.core.views import order_json
from fillbook.demonstration import play_demo
from fillbook.forensics.replay import happened_by, known_seq, orders_upto
from fillbook.wiring import import_file, open_reader, recover


def at(second: int) -> str:
    return f"2026-03-13T07:00:{second:02d}Z"


def ns(second: int) -> int:
    return (1773385200 + second) * 1_000_000_000


# What happened (left) and when we heard of it (right):
#  1 order of 10              sent at 1
#  2 accepted                 3
#  4 T-1: 4 at 100            5
#  6 T-2: 2 at 103            20, after the cancel
#  8 canceled                 9
# 30 T-1 corrected to 3 at 90 31
# 40 T-2 busted               41
STORY = [
    order(ts_event=at(1)),
    report(exec_type="NEW", order_status="NEW", cum_qty="0", ts_event=at(2), ts_received=at(3)),
    fill("T-1", "4", "4", "100", ts_event=at(4), ts_received=at(5)),
    report(exec_type="CANCELED", order_status="CANCELED", ts_event=at(8), ts_received=at(9)),
    fill("T-2", "2", "6", "103", ts_event=at(6), ts_received=at(20)),
    report(exec_type="TRADE_CORRECT", exec_ref_id="E-T-1", exec_id="E-3", trade_id="T-3",
           last_qty="3", last_px="90", ts_event=at(30), ts_received=at(31)),
    report(exec_type="TRADE_CANCEL", exec_ref_id="E-T-2", exec_id="E-4", last_qty="2",
           ts_event=at(40), ts_received=at(41)),
]  # fmt: skip


def made(tmp_path: Path, rows: list[dict[str, Any]]) -> str:
    file, ledger = tmp_path / "story.jsonl", tmp_path / "story.ledger"
    file.write_bytes(jsonl(rows))
    result = import_file(str(file), str(ledger))
    assert result.tally.outcomes == {"RECORDED": len(rows)}, result.tally
    return str(ledger)


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    return made(tmp_path, STORY)


Figures = tuple[str, str, str | None, str] | None
"""Status, filled, average, position; None where the order is unknown."""


def known(ledger: str, second: int) -> Figures:
    with open_reader(ledger) as reader:
        upto = known_seq(reader, ns(second))
        book = recover(reader, upto)
        orders = [order_json(each) for each in orders_upto(reader, book, upto)]
        return figures(orders, [view.as_json() for view in book.position_views()])


def happened(ledger: str, second: int, known_at: int | None = None) -> Figures:
    with open_reader(ledger) as reader:
        upto = reader.head().seq if known_at is None else known_seq(reader, ns(known_at))
        past = happened_by(reader, recover(reader, upto), ns(second), upto=upto, marks={})
        return figures(
            [order_json(each) for each in past.orders],
            [view.as_json() for view in past.positions],
        )


def figures(orders: list[dict[str, Any]], positions: list[dict[str, Any]]) -> Figures:
    if not orders:
        assert not positions
        return None
    (only,) = orders
    held = positions[0]["position_qty"] if positions else "0"
    return only["order_status"], only["cum_qty"], only["avg_px"], held


def test_listing_orders_asks_by_the_page_and_not_by_the_order(tmp_path: Path):
    """A ledger of a year has more orders than anybody wants to wait for one by one."""
    names = [f"R-{number}" for number in range(1200)]
    ledger = made(
        tmp_path,
        [
            *(order(name) for name in names),
            *(report(name, exec_type="CANCELED", order_status="CANCELED") for name in names),
        ],
    )
    asked: list[str] = []

    with open_reader(ledger) as reader:
        reader._connection.set_trace_callback(asked.append)
        book = recover(reader, upto=0)
        told = [each.client_order_id for each in orders_upto(reader, book)]
        count = len(asked)
        past = happened_by(reader, book, 2**63 - 1, marks={})

    assert told == [each.client_order_id for each in past.orders] == names
    assert 0 < count <= 10
    assert len(asked) - count <= 20


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (0, None),
        (1, ("PENDING_NEW", "0", None, "0")),
        (3, ("NEW", "0", None, "0")),
        (4, ("NEW", "0", None, "0")),
        (5, ("PARTIALLY_FILLED", "4", "100", "4")),
        (9, ("CANCELED", "4", "100", "4")),
        (20, ("CANCELED", "6", "101", "6")),
        (31, ("CANCELED", "5", "95.2", "5")),
        (41, ("CANCELED", "3", "90", "3")),
    ],
)
def test_what_was_known(ledger: str, second: int, told: Figures):
    assert known(ledger, second) == told


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (0, None),
        (1, ("PENDING_NEW", "0", None, "0")),
        (2, ("NEW", "0", None, "0")),
        (4, ("PARTIALLY_FILLED", "4", "100", "4")),
        (6, ("PARTIALLY_FILLED", "6", "101", "6")),
        (8, ("CANCELED", "6", "101", "6")),
        (29, ("CANCELED", "6", "101", "6")),
        (30, ("CANCELED", "5", "95.2", "5")),
        (40, ("CANCELED", "3", "90", "3")),
    ],
)
def test_what_had_happened(ledger: str, second: int, told: Figures):
    assert happened(ledger, second) == told


@pytest.mark.parametrize(
    ("second", "known_at", "told"),
    [
        (6, 9, ("PARTIALLY_FILLED", "4", "100", "4")),  # nobody had told us of T-2
        (6, 20, ("PARTIALLY_FILLED", "6", "101", "6")),
        (35, 20, ("CANCELED", "6", "101", "6")),
        (35, 41, ("CANCELED", "5", "95.2", "5")),
        (50, 41, ("CANCELED", "3", "90", "3")),
        (50, 0, None),
    ],
)
def test_both_clocks_together(ledger: str, second: int, known_at: int, told: Figures):
    assert happened(ledger, second, known_at) == told


def test_the_command_asks_the_same(ledger: str):
    words = ("state", "--ledger", ledger, "--json")
    late = run(*words, "--at", at(9)).json
    true = run(*words, "--at", at(9), "--happened").json
    both = run(*words, "--at", at(9), "--happened", "--known-at", at(9)).json
    by_seq = run(*words, "--at", late["seq"]).json
    head = run(*words).json

    for clock in ([], ["--happened"]):
        (lots,) = run(*words, "--at", at(9), *clock, "--method", "fifo").json["positions"]
        assert len(lots["lots_open"]) == 1 + len(clock)
    assert (late["orders"][0]["cum_qty"], late["seq"]) == ("4", 5)
    assert true["orders"][0]["cum_qty"] == "6"
    assert both["orders"][0]["cum_qty"] == "4"
    assert by_seq == late
    assert head["orders"] == run("orders", "--ledger", ledger, "--json").json
    assert head["positions"] == run("positions", "--ledger", ledger, "--json").json


def test_an_inferred_fill_gives_way_to_the_true_one(tmp_path: Path):
    """A poll at 5 counts 4; the fill, of 3, is told at 20."""
    ledger = made(tmp_path, [
        order(ts_event=at(1)),
        report(order_status="PARTIALLY_FILLED", cum_qty="4", avg_px="100", ts_event=at(5),
               ts_received=at(6)),
        fill("T-1", "4", "4", "100", ts_event=at(3), ts_received=at(20)),
    ])  # fmt: skip

    assert known(ledger, 6) == ("PARTIALLY_FILLED", "4", "100", "4")
    assert known(ledger, 20) == ("PARTIALLY_FILLED", "4", "100", "4")
    assert happened(ledger, 4, known_at=6) == ("PENDING_NEW", "0", None, "0")
    assert happened(ledger, 5, known_at=6) == ("PARTIALLY_FILLED", "4", "100", "4")
    assert happened(ledger, 3) == ("PARTIALLY_FILLED", "4", "100", "4")


def test_a_price_values_nothing_before_its_time(tmp_path: Path):
    ledger = made(tmp_path, [
        order(ts_event=at(1)),
        fill("T-1", "10", "10", "100", ts_event=at(2), ts_received=at(2)),
        {"kind": "mark", "instrument_id": "SBER", "px": "101", "ts_event": at(5)},
        {"kind": "mark", "instrument_id": "SBER", "px": "99", "ts_event": at(9)},
    ])  # fmt: skip

    found = {}
    with open_reader(ledger) as reader:
        for second in (4, 5, 9):
            (view,) = happened_by(reader, recover(reader), ns(second), marks={}).positions
            found[second] = view.as_json()["unrealized_pnl"]
    assert found == {4: None, 5: "10", 9: "-10"}


def test_the_book_at_every_seq_is_the_fold_of_what_came_before(tmp_path: Path):
    path = str(tmp_path / "demo.ledger")
    play_demo(path, 3, 20)
    with open_reader(path) as reader:
        records = list(reader.records())
        for seq in range(1, len(records) + 1):
            book, twin = recover(reader, upto=seq), fold(records[:seq])
            assert state(book) == state(twin), seq

        head, full = recover(reader), recover(reader, use_snapshot=False)
        assert state(head) == state(full) == state(fold(records))

        now = max(each.ts_event or each.ts_recorded for each in records)
        past = happened_by(reader, head, max(now, records[-1].ts_recorded), marks={})
        held = {key(view): view.position_qty for view in head.position_views()}
        then = {key(view): view.position_qty for view in past.positions}
        assert then == {each: held[each] for each in then}
        assert all(qty == Decimal(0) for each, qty in held.items() if each not in then)


def key(view: Any) -> tuple[str, str]:
    return view.account_id, view.instrument_id


def state(book: Any) -> Any:
    statuses = {each.stream: each.order_status for each in book.open_orders()}
    return book.seq, [view.as_json() for view in book.position_views()], statuses
