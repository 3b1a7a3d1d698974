"""`fillbook reconcile`: where book and broker differ, what explains it, what is done about it."""

import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from fillbook.cli.common import (
    by_option,
    config_of,
    json_option,
    ledger_options,
    note,
    print_json,
    visible,
)
from fillbook.cli.tables import Kind, print_table
from fillbook.comparing import Compared, Question, compare_now, moved_later
from fillbook.errors import BadInput

__all__ = ["reconcile_command"]

Row = dict[str, Any]

_STAGES = {
    "READING": "reading positions…",
    "ASKING": "asking for fills and orders that would explain what differs…",
    "WAITING": "waiting a moment, then reading once more…",
}
_DONE = {
    "ALERT": ("on record", "put on record"),
    "ADOPT": ("adopted", "adopt"),
    "RESTORE": ("adopted, traded back", "adopt, trade back"),
    "HALT": ("halted", "halt"),
    "WAIT": ("nothing yet", "nothing yet"),
}
"""What was done, and what would be."""
_TOLD = {
    "open_orders": "open orders",
    "fills_since": "fills since",
    "activities_since": "activities",
    "cash": "cash",
}
_KNOWN = ("; nothing explains it", "wanted by the operator")
"""Words of the engine that say what stands in the table already."""
_MOST_PASSED_OVER = 5


@click.command(
    "reconcile",
    epilog="\b\nExample: fillbook reconcile --ledger sber.ledger --positions broker.csv",
)
@ledger_options(is_needed=False)
@click.option("--positions", metavar="FILE", help="A broker's statement, instead of the broker.")
@click.option("--mapping", metavar="NAME", help="How it is read: a name, or a file of your own.")
@click.option("--list-mappings", is_flag=True, help="Print the names of mappings, and end.")
@click.option("--account", metavar="ID", help="Whose positions; the configuration's by default.")
@click.option("--apply", "apply_", is_flag=True, help="Put on record what comes of it.")
@click.option(
    "--adopt", multiple=True, metavar="ID",
    help="Set this instrument to what the broker says, whatever the policy; may be repeated.",
)  # fmt: skip
@click.option("--reason", metavar="TEXT", help="Why; it is kept with what is adopted.")
@by_option
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(1, 3600), default=90.0, show_default=True,
    metavar="SECONDS", help="How long it may take.",
)  # fmt: skip
@json_option
@click.pass_context
def reconcile_command(
    context: click.Context,
    ledger: str | None,
    positions: str | None,
    mapping: str | None,
    list_mappings: bool,
    account: str | None,
    apply_: bool,
    adopt: tuple[str, ...],
    reason: str | None,
    by: str,
    timeout_s: float,
    as_json_: bool,
) -> int:
    """Compare the book with the broker, and say what explains the difference.

    A robot that runs does it itself; without one the broker of the configuration
    is asked, or a statement is read.  Nothing is written without --apply.

    Exit status: 0 both agree, or all is explained or adopted; 1 something is
    left, did not come to rest, or was not told; 2 it could not be compared.
    """
    if list_mappings:
        return _print_mappings(as_json_)
    if ledger is None:
        raise click.UsageError(
            "there is no ledger to work on: give --ledger FILE or --config FILE, or go to the "
            "folder of a fillbook.toml",
            context,
        )
    if mapping is not None and positions is None:
        raise BadInput("--mapping reads a statement", "name it with --positions FILE")
    question = Question(
        ledger=ledger,
        by=by,
        config=config_of(context),
        positions=positions,
        mapping=mapping,
        account_id=account,
        apply=apply_,
        adopt=adopt,
        reason=reason,
        timeout_s=timeout_s,
    )
    try:
        with _progress() as on_stage:
            compared = compare_now(question, on_stage)
    except KeyboardInterrupt:
        if apply_:
            note("a robot that has begun with it goes on, see `fillbook tail`")
        raise
    if as_json_:
        result = {"how": compared.how, "ledger": ledger, **compared.result}
        stated = compared.stated
        if stated is not None:
            result["passed_over"] = [
                {"line": line, "why": why} for line, why in stated.passed_over.items()
            ]
        print_json(result)
    else:
        _print(compared)
    differing = {row["instrument_id"] for row in compared.result["positions"]}
    for name in adopt:
        if name not in differing:
            note(f"{name} does not differ, so there was nothing to adopt")
    return _status(compared.result)


def _status(result: Row) -> int:
    if result["orders"]["left"]:
        return 1
    if result["outcome"] == "AGREED":
        return 0
    return 0 if result["outcome"] == "ADOPTED" and result["is_applied"] else 1


def _print_mappings(as_json_: bool) -> int:
    from fillbook.wiring.statements import statement_mappings

    found = statement_mappings()
    if as_json_:
        print_json([{"mapping": name, "about": about} for name, about in found])
    else:
        print_table("Mappings", [("mapping", "text"), ("what it reads", "text")], found)
    return 0


@contextmanager
def _progress() -> "Iterator[Any]":
    """Give what shows the stage on a terminal, and nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda stage: None
        return

    shown = ""

    def show(stage: str) -> None:
        nonlocal shown
        if stage != shown:
            shown = stage
            print(f"\r\x1b[K{_STAGES.get(stage, stage)}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


# ---- for people


def _print(compared: Compared) -> None:
    result, stated = compared.result, compared.stated
    rows = result["positions"]
    if rows:
        _print_rows(rows, is_applied=result["is_applied"])
        as_of = None if stated is None else stated.as_of
        for row in rows:
            _print_more(row, as_of)
        print()
    _print_orders(result["orders"])
    missing = [words for key, words in _TOLD.items() if not result["can_tell"][key]]
    if missing:
        _say(f"{result['broker']} does not tell: {', '.join(missing)}")
    for each in result["cash"]:
        _say(_cash(each))
    if stated is not None:
        _print_passed_over(stated.passed_over)
    _say(_sentence(result))


def _say(text: str) -> None:
    """Print prose, at most 80 columns wide."""
    blank = "\n" * (len(text) - len(text.lstrip("\n")))
    text = visible(text.strip())
    print(blank + textwrap.fill(text, 80, break_long_words=False, break_on_hyphens=False))


def _print_rows(rows: list[Row], *, is_applied: bool) -> None:
    columns: list[tuple[str, Kind, list[str]]] = [
        ("account", "text", [row["account_id"] for row in rows]),
        ("instrument", "text", [row["instrument_id"] for row in rows]),
        ("ours", "number", [row["held_qty"] for row in rows]),
        ("theirs", "number", [row["reported_qty"] or "not named" for row in rows]),
        ("gap", "number", [_signed(row["gap_qty"]) for row in rows]),
        ("class", "text", [(row["size"] or "-").lower() for row in rows]),
        ("explained by", "text", [_explained(row) for row in rows]),
        ("left", "number", [_signed(row["left_qty"]) for row in rows]),
        (
            "done" if is_applied else "would be done",
            "text",
            [_done(row, is_applied=is_applied) for row in rows],
        ),
    ]
    cells = {heading: each for heading, _, each in columns}
    needless = {"account"} if len(set(cells["account"])) == 1 else set()
    is_explained = any(row["explained_by"] is not None for row in rows)
    if not is_explained and cells["left"] == cells["gap"] and _is_too_wide(cells, needless):
        needless |= {"explained by", "left"}  # better than numbers broken over two lines
    columns = [column for column in columns if column[0] not in needless]
    print_table(
        "Differences",
        [(heading, kind) for heading, kind, _ in columns],
        zip(*(each for *_, each in columns), strict=True),
    )


def _is_too_wide(cells: dict[str, list[str]], needless: set[str]) -> bool:
    widths = [
        1 + max(map(len, [heading, *each]))
        for heading, each in cells.items()
        if heading not in needless
    ]
    return sys.stdout.isatty() and sum(widths) > shutil.get_terminal_size().columns


def _signed(qty: str) -> str:
    return qty if qty.startswith("-") or qty == "0" else f"+{qty}"


def _explained(row: Row) -> str:
    if row["explained_by"] is not None:
        return str(row["explained_by"])
    return "came to rest" if row["action"] is None else "nothing"


def _done(row: Row, *, is_applied: bool) -> str:
    if row["action"] is not None:
        return _DONE[row["action"]][0 if is_applied else 1]
    if row["explained_by"] is None:
        return "-"
    return "booked" if is_applied else "book it"


def _print_more(row: Row, as_of: int | None) -> None:
    """Print why it was done, and what to look at."""
    name = row["instrument_id"]
    later = moved_later(row, as_of)
    if later is not None:
        _say(f"\n{name}: it moved (seq {later}) after the statement was made")
    elif row["text"] is not None and not row["text"].endswith(_KNOWN):
        _say(f"\n{name}: {row['text']}")
    if row["left_qty"] == "0" or not row["look_at"]:
        return
    if row["moved_since"]:
        print(f"\nLook at what moved {name} since both sides last agreed:")
    else:
        print(f"\nNothing moved {name} since both sides last agreed; before that:")
    for move in row["look_at"]:
        ids = [f"order {move['client_order_id']}"] if move["client_order_id"] else []
        ids += [f"trade {move['trade_id']}"] if move["trade_id"] else []
        moment = "" if move["ts_event"] is None else f"{move['ts_event'][:19]}Z"
        print("  " + "  ".join(filter(None, [f"seq {move['seq']}", moment, move["what"], *ids])))


def _cash(each: Row) -> str:
    text = f"cash: {each['reported']} {each['currency']} at the broker"
    if each["gap"] is None:
        return text
    return (
        f"{text}; since the last comparison {_signed(each['reported_change'])} there, "
        f"{_signed(each['held_change'])} here"
    )


def _print_orders(orders: Row) -> None:
    """Say which open orders only one side knew."""
    for name in orders["found"]:
        _say(f"order {name} is open at the broker, and the book did not know it")
    for name in orders["left"]:
        _say(f"order {name} is open here, and not among those that the broker lists as open")


def _print_passed_over(passed_over: Any) -> None:
    for count, (line, why) in enumerate(passed_over.items()):
        if count == _MOST_PASSED_OVER:
            _say(f"{len(passed_over) - count} more rows were passed over, see --json")
            break
        _say(f"row {line} tells of no position: {why}")


def _sentence(result: Row) -> str:
    """Return what came of it, in one sentence."""
    rows = result["positions"]
    where = "a dry run, nothing was written" + (" (--apply does it)" if rows else "")
    if result["is_applied"]:
        where = f"written as seq {result['seq']}"
    if result["outcome"] == "UNANSWERED":
        why = result["problem"].removeprefix("the positions were not told: ")
        return f"{result['broker']} did not tell its positions ({why}); {where}"
    left = [row for row in rows if row["left_qty"] != "0"]
    if not rows:
        both = f"book and {result['broker']} agree"
        if not result["compared"]:
            return f"{both}: neither holds anything; {where}"
        began, since = result["started"], result["agreed_since"] or ""
        since = f" since {since[:19]}Z" if since and since[:19] < began[:19] else ""
        return f"{both} on {_count(result['compared'], 'position')}{since}; {where}"
    adopted = [row for row in left if row["adjustment_id"] is not None]
    waiting = [row for row in left if row["action"] == "WAIT"]
    parts = [
        (len(rows) - len(left), "explained"),
        (len(adopted), "adopted" if result["is_applied"] else "to be adopted"),
        (len(waiting), "not at rest"),
        (len(left) - len(adopted) - len(waiting), "left"),
    ]
    said = ", ".join(f"{count} {word}" for count, word in parts if count)
    return (
        f"{_count(len(rows), 'difference')} in {_count(result['compared'], 'position')}: {said}; "
        f"{where}"
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
