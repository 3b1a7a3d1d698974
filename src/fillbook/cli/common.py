"""Options, parsers and printers that several verbs share."""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import click

from fillbook.core.exact import decimal_of
from fillbook.errors import BadInput, BadValue

__all__ = [
    "CONFIGURATION",
    "as_json",
    "by_option",
    "config_of",
    "instant_ns",
    "json_option",
    "ledger_option",
    "ledger_options",
    "log_option",
    "marks_of",
    "note",
    "print_json",
    "reason_option",
    "visible",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])

CONFIGURATION = "fillbook.toml"
_CONFIG = "fillbook.config"


def ledger_options(
    *,
    metavar: str = "FILE",
    about: str = "The ledger file, as in sber.ledger.",
    is_needed: bool = True,
    default: str | None = None,
) -> Callable[[_Command], _Command]:
    """Add `--ledger` and `--config`; the command is given the ledger's path.

    `--ledger` goes before `--config`, and that before a `fillbook.toml` in the current folder; only
    what is used is read.  Where there is none of them it is an error, or None if not *is_needed*.
    Where there is a *default* it is used in place of the current folder's.
    """

    def named(context: click.Context, _: click.Parameter, ledger: str | None) -> str | None:
        if ledger is not None or context.resilient_parsing:
            return ledger
        if default is not None and context.meta.get(_CONFIG) is None:
            return default
        return _configured_ledger(context, is_needed)

    def add(command: _Command) -> _Command:
        command = click.option(
            "--config", metavar="FILE", is_eager=True, expose_value=False, callback=_keep_config,
            help="Or the file that names it"
            + (f"; {CONFIGURATION} by default." if default is None else "."),
        )(command)  # fmt: skip
        return click.option("--ledger", metavar=metavar, help=about, callback=named)(command)

    return add


def ledger_option(command: _Command) -> _Command:
    """Add `--ledger FILE` and `--config FILE`; see `ledger_options`."""
    return ledger_options()(command)


def config_of(context: click.Context) -> str | None:
    """Return what `--config` named, None where it was left out."""
    named: str | None = context.meta.get(_CONFIG)
    return named


def _keep_config(context: click.Context, _: click.Parameter, path: str | None) -> None:
    context.meta[_CONFIG] = path


def _configured_ledger(context: click.Context, is_needed: bool) -> str | None:
    path = context.meta.get(_CONFIG)
    if path is None:
        if not os.path.lexists(CONFIGURATION):
            if not is_needed:
                return None
            raise click.UsageError(
                "there is no ledger to work on: give --ledger FILE or --config FILE, or go to the "
                f"folder of a {CONFIGURATION}",
                context,
            )
        path = CONFIGURATION
    from fillbook.configuration import read_configuration  # most calls do without it

    return read_configuration(path).robot.ledger


def reason_option(command: _Command) -> _Command:
    """Add `--reason TEXT`, which must be there."""
    return click.option(
        "--reason", required=True, metavar="TEXT", help="Why; it is kept in the ledger."
    )(command)


def by_option(command: _Command) -> _Command:
    """Add `--by NAME`."""
    return click.option(
        "--by", default=_login, metavar="NAME", help="Who; your login name by default."
    )(command)


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return f"uid {os.getuid()}"


def json_option(command: _Command) -> _Command:
    """Add `--json`."""
    return click.option("--json", "as_json_", is_flag=True, help="Print JSON for machines.")(
        command
    )


def log_option(command: _Command) -> _Command:
    """Add `--log`: every event as a log line on standard error."""
    return click.option(
        "--log",
        "log_form",
        type=click.Choice(["text", "json"]),
        help="Also log every event to standard error, as text or JSON lines.",
        callback=_start_logging,
        expose_value=False,
    )(command)


def _start_logging(_: click.Context, __: click.Parameter, form: str | None) -> None:
    if form is None:
        return
    from fillbook.feedback.eventlog import EVENTS, JsonLines, TextLines

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    EVENTS.handlers = [handler]
    EVENTS.setLevel(logging.INFO)
    EVENTS.propagate = False


def as_json(value: object) -> str:
    """Return *value* as compact JSON: UTF-8's own letters where standard output can take them."""
    is_narrow = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")
    return json.dumps(value, ensure_ascii=is_narrow, separators=(", ", ": "))


def print_json(value: object) -> None:
    """Print *value* as one line of JSON."""
    print(as_json(value))


def visible(text: str) -> str:
    """Return *text* for a terminal: whatever would steer it is written as an escape (`\\x1b`).

    That is every control and format character, line ends and changes of direction among them:
    venues and files put them into texts, and what is shown must be what is there.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def note(sentence: str) -> None:
    """Tell the person at the terminal something that is no result."""
    print(f"fillbook: {visible(sentence)}", file=sys.stderr, flush=True)


def marks_of(texts: Iterable[str]) -> dict[str, Decimal]:
    """Return the prices of `--mark INSTRUMENT=PX` options."""
    marks = {}
    for text in texts:
        instrument_id, equals, px = text.rpartition("=")
        try:
            if not equals or not instrument_id:
                raise BadValue("", "it has the form INSTRUMENT=PX")
            marks[instrument_id] = decimal_of(px)
        except BadValue as bad:
            raise BadInput(f"--mark {text}: {bad}", "as in --mark SBER=275.50") from bad
    return marks


_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(?:Z|\+00:00)?", re.A
)


def instant_ns(text: str) -> int | None:
    """Return an RFC 3339 time in UTC as ns since 1970; None where *text* is none."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction = match.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            tzinfo=UTC,
        )  # fmt: skip
    except ValueError:
        return None
    whole = int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return whole * 1_000_000_000 + int((fraction or "").ljust(9, "0"))
