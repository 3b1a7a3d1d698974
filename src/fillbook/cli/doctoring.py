"""`fillbook doctor`: is this a machine and a place to keep a ledger?"""

import click
from attrs import asdict

from fillbook.cli.common import json_option, ledger_options, print_json, visible
from fillbook.cli.tables import print_table
from fillbook.wiring import examine

__all__ = ["doctor_command"]


@click.command("doctor", epilog="Example: fillbook doctor --ledger sber.ledger")
@ledger_options(about="Also look at this ledger and its surroundings.", is_needed=False)
@json_option
def doctor_command(ledger: str | None, as_json_: bool) -> int:
    """Check SQLite, pragmas, file system, clock, lock and checkpoint.

    Exit status 1 means that there is a problem to mend.
    """
    findings = examine(ledger)
    if as_json_:
        print_json([asdict(finding) for finding in findings])
    else:
        print_table(
            "",
            [("", "text"), ("what", "text"), ("found", "text")],
            [(_SIGNS[each.level], each.what, each.found) for each in findings],
        )
        for each in findings:
            if each.remedy:
                click.echo(visible(f"{each.what}: {each.remedy}"))
    return 1 if any(finding.level == "problem" for finding in findings) else 0


_SIGNS = {"ok": "ok", "warning": "note", "problem": "BAD"}
