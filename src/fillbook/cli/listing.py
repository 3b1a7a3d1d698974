"""`fillbook orders` and `fillbook positions`: what a ledger adds up to."""

from collections.abc import Iterable, Sequence
from typing import Any

import click

from fillbook.cli.common import as_json, json_option, ledger_option, marks_of
from fillbook.cli.tables import print_table
from fillbook.core.lots import LotBook
from fillbook.core.values import OrderStatus
from fillbook.core.views import order_json
from fillbook.errors import BadInput
from fillbook.forensics.replay import orders_upto
from fillbook.wiring import LogHistory, open_reader, recover

__all__ = ["lot_rows", "orders_command", "positions_command", "print_orders", "print_positions"]


@click.command("orders", epilog="Example: fillbook orders --ledger sber.ledger --status FILLED")
@ledger_option
@click.option("--status", multiple=True, help="Only orders with this status; may be repeated.")
@click.option("--open", "only_open", is_flag=True, help="Only orders that are not closed.")
@json_option
def orders_command(ledger: str, status: Sequence[str], only_open: bool, as_json_: bool) -> int:
    """List the orders, in order of first appearance."""
    wanted = {each.upper() for each in status}
    for each in sorted(wanted - set(OrderStatus)):
        raise BadInput(f"--status {each}: no such status", f"one of {', '.join(OrderStatus)}")
    with open_reader(ledger) as reader:
        book = recover(reader, upto=0)
        rows = (
            row
            for row in map(order_json, orders_upto(reader, book))
            if (not wanted or row["order_status"] in wanted) and (row["is_open"] or not only_open)
        )
        if as_json_:
            print_array(rows)
        else:
            print_orders(rows)
    return 0


@click.command(
    "positions",
    epilog="Example: fillbook positions --ledger sber.ledger --mark SBER=275.50",
)
@ledger_option
@click.option(
    "--method", type=click.Choice(["average", "fifo", "lifo"]), default="average",
    show_default=True, help="How a sale finds what it sells.",
)  # fmt: skip
@click.option(
    "--mark", "mark_texts", multiple=True, metavar="INSTRUMENT=PX",
    help="A price to value open positions with; may be repeated.",
)  # fmt: skip
@json_option
def positions_command(ledger: str, method: str, mark_texts: Sequence[str], as_json_: bool) -> int:
    """List the positions, flat ones included, with average and profit.

    realized_pnl is net of commissions in its own currency; commissions in
    other currencies are listed apart.
    """
    marks = marks_of(mark_texts)
    with open_reader(ledger) as reader:
        book = recover(reader)
        if method == "average":
            rows = [view.as_json() for view in book.position_views(marks)]
        else:
            rows = list(lot_rows(reader, book, method, marks))
    if as_json_:
        print_array(rows)
    else:
        print_positions(rows)
    return 0


def lot_rows(
    reader: Any, book: Any, method: Any, marks: dict[str, Any]
) -> Iterable[dict[str, Any]]:
    """Yield each position folded by lots, from its own records."""
    history = LogHistory(reader)
    book.refresh_positions()
    for position in book.positions.all():
        lots = LotBook(
            method,
            position.account_id,
            position.instrument_id,
            position.contract,
            position.base_currency,
        )
        records = history.position_records(position.number, book.seq)
        book.positions.fold_into(lots, position.number, records)
        px = (book.marks | marks).get(position.instrument_id)
        yield lots.view(book.instruments.get(position.instrument_id), px).as_json()


def print_array(rows: Iterable[dict[str, Any]]) -> None:
    """Print *rows* as one JSON array, one object a line, as they come."""
    separator = "["
    for row in rows:
        print(separator + as_json(row), end="")
        separator = ",\n"
    print("[]" if separator == "[" else "]")


def print_orders(rows: Iterable[dict[str, Any]]) -> None:
    """Print orders as a table for people."""
    print_table(
        "Orders",
        [("order", "text"), ("instrument", "text"), ("side", "text"), ("status", "text"),
         ("qty", "number"), ("filled", "number"), ("avg px", "amount"), ("flags", "text")],
        (
            (
                row["client_order_id"] or (row["venue_order_ids"] or ["-"])[-1],
                row["instrument_id"], row["side"], row["order_status"],
                row["order_qty"] or "?", row["cum_qty"], row["avg_px"] or "-",
                " ".join(row["flags"]),
            )
            for row in rows
        ),
    )  # fmt: skip


def print_positions(rows: Iterable[dict[str, Any]]) -> None:
    """Print positions as a table for people."""
    print_table(
        "Positions",
        [("instrument", "text"), ("position", "number"), ("avg px", "amount"),
         ("realized", "amount"), ("unrealized", "amount"), ("in", "text"),
         ("commissions", "text"), ("trades", "number")],
        (
            (
                row["instrument_id"] if row["account_id"] == "default"
                else f"{row['account_id']}/{row['instrument_id']}",
                row["position_qty"], row["avg_px"] or "-", row["realized_pnl"] or "-",
                row["unrealized_pnl"] or "-", row["pnl_currency"] or "",
                " ".join(f"{fee} {currency}" for currency, fee in row["commissions"].items()),
                str(row["trade_count"]),
            )
            for row in rows
        ),
    )  # fmt: skip
