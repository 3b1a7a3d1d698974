"""`fillbook demo`: a robot's seeded trading day on the paper exchange, recorded and shown."""

import os
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import click

from fillbook.cli.common import json_option, ledger_options, log_option, print_json
from fillbook.cli.listing import print_positions
from fillbook.cli.tables import print_table
from fillbook.core.views import order_json
from fillbook.demonstration import is_demo, play_demo
from fillbook.errors import BadInput

__all__ = ["demo_command"]


@click.command("demo", epilog="Example: fillbook demo --seed 7 --ledger demo.ledger")
@click.option("--seed", default=7, show_default=True, help="Another seed is another day.")
@click.option(
    "--orders", "order_count", default=300, show_default=True, type=click.IntRange(20, 20_000),
    help="How many orders the robot sends.",
)  # fmt: skip
@ledger_options(
    about="The ledger to write, demo.ledger by default.  A demo's ledger of that name is written "
    "anew.",
    default="demo.ledger",
)
@json_option
@log_option
def demo_command(seed: int, order_count: int, ledger: str, as_json_: bool) -> int:
    """Trade a seeded day on the paper exchange, faults and all, and show the book.

    Five instruments; partial fills, rejects, cancels, replaces, and what goes
    wrong on a real day: answers that never come, a line that is down, lost,
    late and doubled fills, busts, corrections, the robot itself killed.
    """
    _make_room(ledger)
    result = play_demo(ledger, seed, order_count)
    orders = [order_json(order) for order in result.orders]
    positions = [view.as_json() for view in result.positions]
    summary: dict[str, Any] = {
        "ledger": ledger,
        "seed": seed,
        "calls": result.call_count,
        "outcomes": dict(result.outcomes),
        "orders": dict(Counter(order["order_status"] for order in orders)),
        "flags": dict(Counter(flag for order in orders for flag in order["flags"])),
        "positions": positions,
        "head_seq": result.head_seq,
        "head": result.head_hash,
        "is_whole": result.is_whole,
        "survived": [what for what, _ in result.survived],
        "differences": result.differences,
        "agrees_with_exchange": not result.differences,
    }
    if as_json_:
        print_json(summary)
    else:
        _print_day(summary, result.survived, len(orders))
    return 0 if result.is_whole and not result.differences else 1


def _make_room(ledger: str) -> None:
    """Take away the ledger of an earlier demo; refuse to touch any other file."""
    if not os.path.lexists(ledger):
        return
    if not is_demo(ledger):
        raise BadInput(
            f"{ledger}: this file is there already and is no demo's ledger; it was not touched",
            "name another one with --ledger",
        )
    for suffix in ("", "-wal", "-shm", ".heads", ".ballast", ".lock"):
        Path(f"{ledger}{suffix}").unlink(missing_ok=True)


def _print_day(summary: dict[str, Any], survived: list[tuple[str, str]], order_count: int) -> None:
    click.echo(
        f"A robot's trading day, seed {summary['seed']}: {order_count} orders, "
        f"{summary['calls']} calls, {summary['head_seq']} events in {summary['ledger']}\n"
    )
    print_table(
        "Orders by status",
        [("status", "text"), ("orders", "number")],
        [(status, str(count)) for status, count in sorted(summary["orders"].items())],
    )
    click.echo()
    print_positions(summary["positions"])
    click.echo()
    print_table("What it survived", [("what", "text"), ("for example", "text")], survived)
    click.echo()
    whole = "is whole" if summary["is_whole"] else "DOES NOT VERIFY"
    agrees = "agree with" if summary["agrees_with_exchange"] else "DIFFER FROM"
    click.echo(f"The ledger {whole}; its orders and positions {agrees} the exchange's own books.")
    click.echo(f"Head: seq {summary['head_seq']}, {summary['head']}")
    command = shlex.quote(os.environ.get("FILLBOOK_COMMAND", "fillbook"))
    ledger = shlex.quote(summary["ledger"])
    click.echo("\nTry next:")
    click.echo(f"  {command} positions --ledger {ledger} --method fifo")
    click.echo(f"  {command} state --ledger {ledger} --at 2026-03-13T08:30:00Z --happened")
    click.echo(f"  {command} tail --ledger {ledger} -n 20 --raw")
