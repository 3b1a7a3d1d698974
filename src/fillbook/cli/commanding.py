"""`fillbook halt`, `resume`, `cancel-all`, `resolve`, `adjust`: an operator's word to a robot.

Each works while the robot runs (through its door) and while it does not (into the ledger); what it
did is an event with who and why.
"""

from typing import Any

import click

from fillbook.cli.common import (
    by_option,
    json_option,
    ledger_option,
    note,
    print_json,
    reason_option,
)
from fillbook.cli.tables import print_table
from fillbook.errors import BadInput
from fillbook.operating import Done, accept_tail_loss, operate

__all__ = [
    "accept_tail_loss_command",
    "adjust_command",
    "cancel_all_command",
    "halt_command",
    "print_halts",
    "resolve_command",
    "resume_command",
]

instrument_option = click.option(
    "--instrument", metavar="ID", help="Only this instrument; all of them by default."
)


@click.command(
    "halt", epilog='Example: fillbook halt --ledger sber.ledger --reason "odd quotes since ten"'
)
@ledger_option
@instrument_option
@click.option("--reduce-only", is_flag=True, help="Let orders out that only reduce a position.")
@reason_option
@by_option
@json_option
def halt_command(
    ledger: str, instrument: str | None, reduce_only: bool, reason: str, by: str, as_json_: bool
) -> int:
    """Let no new order out; cancels still go.

    It works while the robot runs, while it does not, and while it hangs: then
    the halt is left beside the ledger and is read before every send.  It holds
    until `fillbook resume`, across restarts.
    """
    level = "REDUCE_ONLY" if reduce_only else "HALTED"
    done = operate(
        ledger, "halt", {"by": by, "reason": reason, "instrument_id": instrument, "level": level}
    )
    if not _told(done, as_json_):
        kind = "halted but for orders that reduce" if reduce_only else "halted"
        print(f"{instrument or 'everything'} is {kind}: {_where(done)}")
        print_halts(done.result.get("halts", []))
    return 0


@click.command(
    "resume", epilog='Example: fillbook resume --ledger sber.ledger --reason "quotes are fine"'
)
@ledger_option
@instrument_option
@reason_option
@by_option
@json_option
def resume_command(
    ledger: str, instrument: str | None, reason: str, by: str, as_json_: bool
) -> int:
    """Lift a halt, also one that a rule declared by itself.

    Without --instrument it is the halt of everything; those of single
    instruments stay and are listed.
    """
    done = operate(ledger, "resume", {"by": by, "reason": reason, "instrument_id": instrument})
    if not _told(done, as_json_):
        print(f"{instrument or 'everything'} is halted no more: {_where(done)}")
        print_halts(done.result["halts"])
    return 0


@click.command(
    "cancel-all", epilog='Example: fillbook cancel-all --ledger sber.ledger --reason "going home"'
)
@ledger_option
@instrument_option
@reason_option
@by_option
@json_option
def cancel_all_command(
    ledger: str, instrument: str | None, reason: str, by: str, as_json_: bool
) -> int:
    """Cancel every open order, and take back those that wait for the line.

    Without a robot the cancels are put on record, and the robot sends them when
    it starts.  Exit status 1: an order could not be canceled, and is named.
    """
    done = operate(ledger, "cancel_all", {"by": by, "reason": reason, "instrument_id": instrument})
    result = done.result
    if not _told(done, as_json_):
        asked, queued = result["cancels_asked"], result["taken_from_queue"]
        if result["is_sent_at_next_start"]:
            how = "on record; no robot is running, it sends them when it starts"
        else:
            how = "asked of the broker"
        print(f"{_count(asked, 'cancel')} {how}" if asked else "no order of ours is open")
        if queued:
            print(f"{_count(queued, 'order')} taken back that waited for the line")
    for each in result["not_canceled"]:
        note(f"{each['order']}: not canceled: {each['problem']}")
    return 1 if result["not_canceled"] else 0


@click.command(
    "resolve",
    epilog="\b\nExample: fillbook resolve R-17 --ledger sber.ledger --never-arrived \\\n"
    '    --reason "not in the broker\'s list, asked by phone"',
)
@click.argument("order")
@ledger_option
@click.option("--venue-order-id", metavar="ID", help="The venue has it, under this id.")
@click.option("--never-arrived", is_flag=True, help="The venue never got it.")
@reason_option
@by_option
@json_option
def resolve_command(
    order: str,
    ledger: str,
    venue_order_id: str | None,
    never_arrived: bool,
    reason: str,
    by: str,
    as_json_: bool,
) -> int:
    """Say what became of ORDER, an UNKNOWN one that the broker cannot be asked about.

    With the venue's id it is asked about from then on.  One that never arrived
    ends as REJECTED with the reason as evidence; a report that shows it after
    all is believed.
    """
    if (venue_order_id is None) is not never_arrived:
        raise BadInput("say what became of it", "either --venue-order-id ID or --never-arrived")
    done = operate(
        ledger,
        "resolve",
        {
            "by": by,
            "reason": reason,
            "client_order_id": order,
            "venue_order_id": venue_order_id,
            "never_arrived": never_arrived,
        },
    )
    result = done.result
    if not _told(done, as_json_):
        if never_arrived:
            print(f"{order} is {result['order_status']}, it never arrived: {_where(done)}")
        else:
            print(f"{order} is {venue_order_id} at the venue: {_where(done)}")
        if result["still_halted"] is not None:
            print(f"{result['still_halted']} is still halted; `fillbook resume` lifts that")
    return 0


@click.command(
    "adjust",
    epilog="\b\nExample: fillbook adjust --ledger sber.ledger --instrument SBER --qty -10 \\\n"
    '    --reason "sold by phone, order 4711"',
)
@ledger_option
@click.option("--instrument", required=True, metavar="ID", help="Whose position.")
@click.option("--account", metavar="ID", help='Whose account; "default" by default.')
@click.option(
    "--qty", required=True, metavar="QTY", help="What is added, base units; < 0 takes away."
)
@click.option(
    "--px", metavar="PX", help="Price of what this opens; left out where it is not known."
)
@reason_option
@by_option
@json_option
def adjust_command(
    ledger: str,
    instrument: str,
    account: str | None,
    qty: str,
    px: str | None,
    reason: str,
    by: str,
    as_json_: bool,
) -> int:
    """Set a position right by hand, without a trade.

    The quantity moves at the position's average and realizes nothing.  The same
    with the opposite sign takes it back.
    """
    done = operate(
        ledger,
        "adjust",
        {
            "by": by,
            "reason": reason,
            "instrument_id": instrument,
            "account_id": account,
            "qty": qty,
            "px": px,
        },
    )
    if not _told(done, as_json_):
        result = done.result
        after = result["position"]
        at = "" if after["avg_px"] is None else f" at {after['avg_px']}"
        print(
            f"{instrument}: {result['position_qty_before']} is now {after['position_qty']}{at}: "
            f"{_where(done)}"
        )
        if px is None and after["avg_px"] is None and after["position_qty"] != "0":
            note("its profit is unknown from here on, because --px was left out for what it opens")
    return 0


@click.command(
    "accept-tail-loss",
    epilog="\b\nExample: fillbook accept-tail-loss --ledger sber.ledger \\\n"
    '    --reason "power cut, no backup reaches it"',
)
@ledger_option
@reason_option
@by_option
@json_option
def accept_tail_loss_command(ledger: str, reason: str, by: str, as_json_: bool) -> int:
    """Go on with a ledger whose end is missing.

    A ledger that ends before its checkpoint is not opened for writing.  Restore
    a backup that reaches the checkpoint where there is one: this gives up what
    is missing, and says so in the ledger.  Run `fillbook verify` first.
    """
    result = accept_tail_loss(ledger, by, reason)
    if as_json_:
        print_json({"ledger": ledger, **result})
    else:
        print(
            f"{ledger}: seq {result['lost_from_seq']} to {result['lost_to_seq']} are given up; "
            f"it goes on at seq {result['head_seq']}"
        )
    return 0


def print_halts(halts: list[dict[str, Any]]) -> None:
    """Print the halts that hold as a table, nothing where there are none."""
    if not halts:
        return
    print_table(
        "Halts",
        [
            ("where", "text"),
            ("level", "text"),
            ("by", "text"),
            ("since", "text"),
            ("reason", "text"),
        ],
        (
            (
                halt["instrument_id"] or "everything",
                halt["level"],
                halt["by"],
                (halt["since"] or "-")[:19],
                halt["reason"],
            )
            for halt in halts
        ),
    )


def _told(done: Done, as_json_: bool) -> bool:
    """Print it as JSON where that is wanted."""
    if as_json_:
        print_json({"how": done.how, "writer": done.writer, **done.result})
    return as_json_


def _where(done: Done) -> str:
    if done.how == "ROBOT":
        return f"the robot has it on record as seq {done.result['head_seq']}"
    if done.how == "LEDGER":
        return f"on record as seq {done.result['head_seq']}; no robot is running"
    return (
        f"{done.writer} does not answer, so it is left in {done.result['left_in']}, which is read "
        "before anything is sent"
    )


def _count(ids: list[str], word: str) -> str:
    return f"{len(ids)} {word}{'' if len(ids) == 1 else 's'}"
