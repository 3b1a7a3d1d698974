"""`fillbook state`: the book as of a moment in the past, by either clock."""

import time
from collections.abc import Sequence

import click

from fillbook.cli.common import (
    instant_ns,
    json_option,
    ledger_option,
    marks_of,
    print_json,
)
from fillbook.cli.listing import lot_rows, print_orders, print_positions
from fillbook.core.times import time_text
from fillbook.core.views import order_json
from fillbook.errors import BadInput
from fillbook.forensics.replay import Method, happened_by, known_seq, orders_upto
from fillbook.log.port import Reader
from fillbook.wiring import open_reader, recover

__all__ = ["state_command"]


@click.command(
    "state",
    epilog="\b\nExample: fillbook state --ledger sber.ledger \\\n"
    "    --at 2026-03-13T10:15:00Z --happened",
)
@ledger_option
@click.option(
    "--at", "moment", metavar="SEQ|TIME",
    help="A seq, or a time in UTC such as 2026-03-13T10:15:00Z.  The head by default.",
)  # fmt: skip
@click.option(
    "--happened", is_flag=True,
    help="By the venue's clock: what had happened by then, with all that is known now.",
)  # fmt: skip
@click.option(
    "--known-at", metavar="SEQ|TIME",
    help="With --happened: only what was known at that moment.",
)  # fmt: skip
@click.option(
    "--method", type=click.Choice(["average", "fifo", "lifo"]), default="average",
    show_default=True, help="How a sale finds what it sells.",
)  # fmt: skip
@click.option(
    "--mark", "mark_texts", multiple=True, metavar="INSTRUMENT=PX",
    help="A price to value open positions with; may be repeated.",
)  # fmt: skip
@json_option
def state_command(
    ledger: str,
    moment: str | None,
    happened: bool,
    known_at: str | None,
    method: Method,
    mark_texts: Sequence[str],
    as_json_: bool,
) -> int:
    """Show orders and positions as of a moment in the past.

    Without --happened: as the robot could know them then (received time, else
    recorded time).  With --happened: as they had happened by then, by the
    venue's clock; late news and corrections are in their place.
    """
    marks = marks_of(mark_texts)
    if known_at is not None and not happened:
        raise BadInput("--known-at goes with --happened", "or use --at alone")
    with open_reader(ledger) as reader:
        head = reader.head().seq
        if happened:
            upto = _seq_of(reader, known_at, head)
            ts = _time_of(reader, moment, head)
            book = recover(reader, upto)
            past = happened_by(reader, book, ts, upto=upto, marks=marks, method=method)
            orders = [order_json(order) for order in past.orders]
            positions = [view.as_json() for view in past.positions]
        else:
            upto = _seq_of(reader, moment, head)
            book = recover(reader, upto)
            ts = None
            orders = [order_json(order) for order in orders_upto(reader, book, upto)]
            if method == "average":
                positions = [view.as_json() for view in book.position_views(marks)]
            else:
                positions = list(lot_rows(reader, book, method, marks))
    about = {"seq": upto, "happened_by": time_text(ts) if happened else None}
    if as_json_:
        print_json(about | {"orders": orders, "positions": positions})
        return 0
    clock = f"what had happened by {time_text(ts)}, known at" if happened else "what was known at"
    click.echo(f"{ledger}: {clock} seq {upto} of {head}\n")
    print_orders(orders)
    click.echo()
    print_positions(positions)
    return 0


def _seq_of(reader: Reader, text: str | None, head: int) -> int:
    """Return the last seq that counts."""
    if text is None:
        return head
    if text.isascii() and text.isdigit():
        seq = int(text) if len(text) < 19 else head + 1
        if not 0 <= seq <= head:
            raise BadInput(f"{text}: the ledger ends at seq {head}", f"name 0 to {head}, or a time")
        return seq
    ts = instant_ns(text)
    if ts is None:
        raise _no_moment(text)
    return known_seq(reader, ts)


def _time_of(reader: Reader, text: str | None, head: int) -> int:
    """Return the venue time that counts; a seq stands for the time its event happened."""
    if text is None:
        return time.time_ns()
    ts = instant_ns(text)
    if ts is not None:
        return ts
    if not (text.isascii() and text.isdigit()):
        raise _no_moment(text)
    seq = _seq_of(reader, text, head)
    for record in reader.records(after=seq - 1, upto=seq):
        return record.ts_event if record.ts_event is not None else record.ts_recorded
    return 0


def _no_moment(text: str) -> BadInput:
    return BadInput(
        f"{text!r} is neither a seq nor a time", "write 1234 or 2026-03-13T10:15:00.250Z"
    )
