"""`fillbook import`: a file of messages goes into a ledger."""

import gc
import sys
from typing import Any, Literal

import click
from attrs import evolve

from fillbook.brokers.port import Message
from fillbook.cli.common import (
    as_json,
    json_option,
    ledger_options,
    log_option,
    note,
    print_json,
)
from fillbook.core.events import OrderEvent
from fillbook.core.views import order_state_json
from fillbook.errors import BadInput, StorageFailed
from fillbook.feedback.intake import Progress
from fillbook.feedback.recorder import Judgement
from fillbook.wiring import Durability, ImportResult, import_file

__all__ = ["import_command"]

_COLLECT_EVERY = 50_000
"""New objects between two looks for unreachable cycles; Python's own 700 cost an import 4 %."""


@click.command(
    "import",
    epilog="Example: fillbook import day.fix --ledger sber.ledger",
    short_help="Read a file of messages into a ledger.",
)
@click.argument("file")
@ledger_options(
    metavar="LEDGER",
    about="The ledger; made if it does not exist.  :memory: keeps nothing.",
)
@click.option(
    "--format", "form", type=click.Choice(["auto", "jsonl", "fix", "events"]), default="auto",
    show_default=True, help="JSON lines, a FIX 4.0-5.0 SP2 log, or an export of events.",
)  # fmt: skip
@click.option(
    "--checksum", type=click.Choice(["refuse", "warn"]), default="refuse", show_default=True,
    help="FIX messages with a wrong checksum: set aside, or believe and count.",
)  # fmt: skip
@click.option(
    "--durability", type=click.Choice(["strict", "relaxed", "bulk"]), default="strict",
    show_default=True,
    help="strict loses nothing acknowledged; relaxed may lose a tail when the power fails; bulk is "
    "for a new ledger only.",
)  # fmt: skip
@click.option("--trace", is_flag=True, help="Print one JSON line per message.")
@json_option
@log_option
def import_command(
    file: str,
    ledger: str,
    form: Literal["auto", "jsonl", "fix", "events"],
    checksum: Literal["refuse", "warn"],
    durability: Durability,
    trace: bool,
    as_json_: bool,
) -> int:
    """Read the messages of FILE (- is standard input) into a ledger.

    Each message is recorded, known already, older than what is known,
    disputed, or set aside with its reason; nothing is dropped.  Importing a
    file again adds nothing, and an interrupted import goes on where it
    stopped.  Exit status 1 means that something was set aside or is disputed.
    """
    shown = _Shown()
    often = gc.get_threshold()
    gc.set_threshold(_COLLECT_EVERY)  # millions of small values are made, and hardly a cycle
    try:
        result = import_file(
            file,
            ledger,
            form=form,
            checksum=checksum,
            durability=durability,
            on_judgement=_print_trace if trace else None,
            on_flush=shown.update,
        )
    except StorageFailed as exc:
        again = "it" if durability != "bulk" else "it with `--durability strict`"
        raise evolve(
            exc,
            state="what was committed is in the ledger",
            advice=f"make room or mend the disk, then import {again} again: it goes on from there",
        ) from exc
    finally:
        gc.set_threshold(*often)
        shown.clear()
    for warning in result.warnings:
        note(warning)
    if as_json_:
        print_json(_summary(file, ledger, result))
    elif not trace:
        _print_summary(file, ledger, result)
    _tell_problems(file, result)
    return 0 if result.tally.is_clean else 1


def _print_trace(message: Message, judgement: Judgement) -> None:
    line: dict[str, Any] = {
        "line": message.line,
        "kind": judgement.kind,
        "outcome": judgement.outcome,
        "events": [event.type for event in judgement.events],
        "flags": [str(flag) for flag in judgement.flags],
    }
    try:
        print(as_json(line | _state_after(judgement)))
    except BrokenPipeError:
        raise
    except OSError as exc:  # else it would be taken for trouble with the file that is read
        raise BadInput(
            f"the trace cannot be written: {exc.strerror}; what was committed is in the ledger",
            "import the file again: it goes on where it stopped",
        ) from exc


def _state_after(judgement: Judgement) -> dict[str, Any]:
    last = judgement.events[-1] if judgement.events else None
    assert last is None or not isinstance(last, OrderEvent) or judgement.order is not None
    return order_state_json(judgement.order)


def _summary(file: str, ledger: str, result: ImportResult) -> dict[str, Any]:
    tally = result.tally
    return {
        "file": file,
        "format": result.form,
        "ledger": ledger,
        "messages": tally.message_count,
        "outcomes": {
            name: tally.outcomes[name]
            for name in ("RECORDED", "DUPLICATE", "STALE", "DISPUTED", "SET_ASIDE")
        },
        "problems": dict(tally.problems),
        "believed_checksums": result.believed,
        "skipped": result.skipped,
        "session": result.session,
        "junk_lines": result.junk_lines,
        "head_seq": tally.head_seq,
    }


def _print_summary(file: str, ledger: str, result: ImportResult) -> None:
    tally = result.tally
    words = {
        "RECORDED": "recorded", "DUPLICATE": "known already", "STALE": "older than what is known",
        "DISPUTED": "disputed", "SET_ASIDE": "set aside",
    }  # fmt: skip
    print(f"{tally.message_count} messages of {file} into {ledger}")
    print(f"  the ledger ends at seq {tally.head_seq}")
    for name, word in words.items():
        if tally.outcomes[name]:
            print(f"  {tally.outcomes[name]:>7} {word}")
    count = sum(result.skipped.values()) + result.session
    if count:
        print(f"  {count:>7} of no concern (session, market data), not counted above")


def _tell_problems(file: str, result: ImportResult) -> None:
    """Say on standard error what was set aside or is disputed, and where."""
    tally = result.tally
    if result.believed:
        note(f"{file}: {result.believed} messages with a wrong checksum or length were believed")
    for line, outcome, problem in tally.samples:
        word = "set aside" if outcome == "SET_ASIDE" else "disputed"
        note(f"{file}:{line}: {word}: {problem}")
    more = tally.outcomes["SET_ASIDE"] + tally.outcomes["DISPUTED"] - len(tally.samples)
    if more > 0:
        note(f"{file}: {more} more; `fillbook tail` and --json list the reasons with their counts")
    if result.refused and tally.outcomes["SET_ASIDE"]:
        note(
            f"{file}: set aside for a wrong checksum or length: {result.refused}; if this is a copy"
            " that was edited or printed, import it again with `--checksum warn`: it believes them"
        )


class _Shown:
    """A line of progress on a terminal, nothing in a pipe."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._dirty = False

    def update(self, progress: Progress) -> None:
        if self._on:
            mib = progress.byte_count / (1 << 20)
            print(
                f"\r{progress.message_count} messages, {mib:.1f} MiB",
                end="", file=sys.stderr, flush=True,
            )  # fmt: skip
            self._dirty = True

    def clear(self) -> None:
        if self._dirty:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
