"""`fillbook export`: a ledger for others."""

import sys

import click

from fillbook.audit.export import export_events
from fillbook.audit.export_csv import export_csv
from fillbook.audit.lines import Day, day_of
from fillbook.cli.common import ledger_option, note, print_json
from fillbook.core.views import order_json
from fillbook.errors import BadInput
from fillbook.forensics.replay import happened_by, orders_upto
from fillbook.wiring import open_reader, recover

__all__ = ["export_command"]


@click.command(
    "export",
    epilog="\b\nExample: fillbook export --ledger sber.ledger --format csv --out march \\\n"
    "    --day 2026-03-13 --tz Europe/Moscow",
)
@ledger_option
@click.option(
    "--format", "form", type=click.Choice(["events", "csv"]), default="events", show_default=True,
    help="events: JSON lines with hashes, to check or to import again.  csv: three spreadsheets.",
)  # fmt: skip
@click.option(
    "--out", default="-", metavar="PATH",
    help="The file to write, - for standard output; for csv a new folder.",
)  # fmt: skip
@click.option("--day", metavar="D", help="Only what happened that day, as in 2026-03-13.")
@click.option("--tz", metavar="ZONE", default="UTC", show_default=True, help="Whose day.")
@click.option("--with-raw", is_flag=True, help="events: also the messages as they came.")
@click.option("--json", "as_json_", is_flag=True, help="csv: print what was written as JSON.")
def export_command(
    ledger: str,
    form: str,
    out: str,
    day: str | None,
    tz: str,
    with_raw: bool,
    as_json_: bool,
) -> int:
    """Write a ledger out for others.

    An export of events is read back by `fillbook import` and by
    ledger/witness.py to the same head.  With --day, orders are those that
    something happened to that day, and positions are as of its end.
    """
    if day is None and tz != "UTC":
        raise BadInput(f"--tz {tz} says whose day it is, and there is no --day", "add --day")
    chosen = None if day is None else day_of(day, tz)
    if form == "csv":
        if out == "-":
            raise BadInput("--format csv writes three files", "name a folder with --out")
        return _csv(ledger, out, chosen, as_json_)
    with open_reader(ledger) as reader:
        if out == "-":
            export_events(reader, sys.stdout.buffer, day=chosen, with_raw=with_raw)
            sys.stdout.buffer.flush()
            return 0
        try:
            with open(out, "xb") as file:
                export_events(reader, file, day=chosen, with_raw=with_raw)
        except FileExistsError as exc:
            raise BadInput(
                f"{out}: there is a file already; it was not touched", "name a new one"
            ) from exc
        except OSError as exc:
            raise BadInput(
                f"{out}: {exc.strerror or exc}; the export is not complete",
                "make room, or name a file that can be written",
            ) from exc
    return 0


def _csv(ledger: str, folder: str, day: Day | None, as_json_: bool) -> int:
    with open_reader(ledger) as reader:
        book = recover(reader)
        if day is None:
            orders = (order_json(each) for each in orders_upto(reader, book))
            positions = [view.as_json() for view in book.position_views()]
        else:
            touched = {record.stream for record in reader.records() if day.holds(record)}
            past = happened_by(reader, book, day.end - 1, marks={})
            orders = (order_json(each) for each in past.orders if each.stream in touched)
            positions = [view.as_json() for view in past.positions]
        counts = export_csv(reader, folder, orders, positions, day)
    if as_json_:
        print_json({"folder": folder} | counts)
    else:
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        note(f"{folder}: {told}")
    return 0
