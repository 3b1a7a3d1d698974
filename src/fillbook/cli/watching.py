"""`fillbook status` and `fillbook watch`: how a robot stands, once or as it changes."""

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from fillbook.cli.commanding import print_halts
from fillbook.cli.common import as_json, json_option, ledger_option, print_json, visible
from fillbook.operating import status

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["status_command", "watch_command"]

_UNSTEADY = ("last_heard", "last_answer", "in_flight")
"""What changes without anything having happened."""
_MOST_NAMED = 5


@click.command("status", epilog="Example: fillbook status --ledger sber.ledger --json")
@ledger_option
@json_option
def status_command(ledger: str, as_json_: bool) -> int:
    """Show how the robot stands: orders, line, halts.

    Asked of the robot where it runs, else read from its ledger.  state: TRADING,
    RECOVERING, OFFLINE, STOPPED; SILENT (it holds the ledger and does not
    answer), WRITING (another program does), NOT_RUNNING.
    """
    told = status(ledger)
    if as_json_:
        print_json(told)
        return 0
    for word, text in _rows(told):
        print(visible(f"{word:<10} {text}".rstrip()))
    if told["halts"]:
        print()
        print_halts(told["halts"])
    return 0


@click.command("watch", epilog="Example: fillbook watch --ledger sber.ledger")
@ledger_option
@click.option(
    "--every", "every_s", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True,
    metavar="SECONDS", help="How often to look.",
)  # fmt: skip
@json_option
def watch_command(ledger: str, every_s: float, as_json_: bool) -> int:
    """Show how the robot stands, and go on as it changes, until Ctrl-C.

    In a terminal a view that is drawn anew; in a pipe a line whenever it would
    read differently; with --json one whenever something has changed.
    """
    try:
        if sys.stdout.isatty() and not as_json_:
            _draw(ledger, every_s)
        else:
            _print_changes(ledger, every_s, as_json_)
    except KeyboardInterrupt:  # how this is meant to end
        return 0
    return 0


def _draw(ledger: str, every_s: float) -> None:
    from rich.live import Live

    with Live(_view(status(ledger)), auto_refresh=False, screen=False) as live:
        while True:
            time.sleep(every_s)
            live.update(_view(status(ledger)), refresh=True)


def _print_changes(ledger: str, every_s: float, as_json_: bool) -> None:
    before: object = None
    while True:
        told = status(ledger)
        seen: object
        if as_json_:
            seen = {key: value for key, value in told.items() if key not in _UNSTEADY}
            line = as_json(told)
        else:
            seen = _line(told)
            line = f"{time.strftime('%H:%M:%S', time.gmtime())}Z, {seen}"
        if seen != before:
            before = seen
            print(line if as_json_ else visible(line), flush=True)
        time.sleep(every_s)


def _line(told: dict[str, Any]) -> str:
    """Return the state in one line, but for the time of day."""
    parts = [
        told["state"],
        f"seq {told['head_seq']}",
        f"{told['active_orders']} open",
    ]
    for key, word in (
        ("unknown_orders", "unknown"), ("queued_orders", "waiting"), ("gaps", "with a gap"),
    ):  # fmt: skip
        if told[key]:
            parts.append(f"{len(told[key])} {word}")
    if told["position_differences"]:
        parts.append(_differences(told))
    for halt in told["halts"]:
        parts.append(f"{halt['instrument_id'] or 'everything'} {halt['level']}")
    if told["halts_left"]:
        parts.append(f"{told['halts_left']} halt left beside it")
    if told["problem"]:
        parts.append(told["problem"])
    return ", ".join(parts)


def _rows(told: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what people want to know, as a word and a text each."""
    rows = [
        ("ledger", told["ledger"]),
        ("state", _state(told)),
        ("head", f"seq {told['head_seq']}"),
        ("orders", _orders(told)),
        *_positions(told),
    ]
    if told["answers"]:
        line = "online" if told["online"] else "offline"
        rows.append(("line", f"{line} since {_second(told['since'])}"))
        rows.append(
            ("heard", f"{_second(told['last_heard'])} stream, {_second(told['last_answer'])} calls")
        )
    elif told["writer"] is not None:
        rows.append(("writer", f"{told['writer']}, does not answer"))
    if told["halts_left"]:
        rows.append(
            ("left", f"{told['halts_left']} halt beside the ledger, read before the next send")
        )
    if not told["halts"]:
        rows.append(("halts", "none"))
    return rows


def _state(told: dict[str, Any]) -> str:
    text = str(told["state"])
    for halt in told["halts"]:
        if halt["instrument_id"] is None:  # the robot still listens to its broker and cancels
            text += f", everything {halt['level']}"
    return f"{text}: {told['problem']}" if told["problem"] else text


def _orders(told: dict[str, Any]) -> str:
    parts = [f"{told['active_orders']} open"]
    if told["answers"]:
        parts.append(f"{told['in_flight']} calls under way")
    if told["unanswered_requests"]:
        parts.append(f"{told['unanswered_requests']} unanswered")
    for key, word in (
        ("unknown_orders", "UNKNOWN"), ("queued_orders", "waiting for the line"),
        ("gaps", "with a gap"),
    ):  # fmt: skip
        ids = told[key]
        if ids:
            more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
            parts.append(f"{len(ids)} {word} ({', '.join(map(str, ids[:_MOST_NAMED]))}{more})")
    return ", ".join(parts)


def _positions(told: dict[str, Any]) -> list[tuple[str, str]]:
    """Return whether book and broker hold the same, and when that was looked at."""
    outcome = told["positions_outcome"]
    if outcome is None:
        return [("positions", "never compared with the broker's")]
    if told["positions_in_sync"]:
        text = f"book and broker agree since {_second(told['positions_since'])}"
    else:
        text = _differences(told)
    return [("positions", text), ("compared", f"{_second(told['positions_checked'])}, {outcome}")]


def _differences(told: dict[str, Any]) -> str:
    """Return what the broker holds more or less, the first ones by name."""
    gaps = told["position_differences"]
    if not gaps:
        return "not known to agree with the broker's"
    named = [
        f"{name} {qty if qty.startswith('-') else f'+{qty}'}"
        for name, qty in list(gaps.items())[:_MOST_NAMED]
    ]
    more = f" and {len(gaps) - _MOST_NAMED} more" if len(gaps) > _MOST_NAMED else ""
    return f"the broker differs: {', '.join(named)}{more}"


def _second(moment: str | None) -> str:
    return "-" if moment is None else f"{moment[:19]}Z"


def _view(told: dict[str, Any]) -> "RenderableType":
    """Return the same as `status` prints, for a terminal that draws it again and again."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for word, text in _rows(told):
        style = "red" if word == "left" or (word == "state" and _is_alarming(told)) else ""
        grid.add_row(word, Text(visible(text), style=style))
    for halt in told["halts"]:
        text = (
            f"{halt['instrument_id'] or 'everything'} {halt['level']} by {halt['by']} since "
            f"{_second(halt['since'])}: {halt['reason']}"
        )
        grid.add_row("halt", Text(visible(text), style="red"))
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return Group(grid, Text(f"{now}  Ctrl-C ends", style="dim"))


def _is_alarming(told: dict[str, Any]) -> bool:
    return told["state"] not in ("TRADING", "NOT_RUNNING", "RECOVERING")
