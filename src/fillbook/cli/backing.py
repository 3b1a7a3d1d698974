"""`fillbook backup`: a verified copy."""

import sys

import click

from fillbook.cli.common import json_option, ledger_option, print_json
from fillbook.wiring import back_up

__all__ = ["backup_command"]


@click.command("backup", epilog="Example: fillbook backup --ledger sber.ledger /backup/sber.ledger")
@ledger_option
@click.argument("target")
@json_option
def backup_command(ledger: str, target: str, as_json_: bool) -> int:
    """Copy a ledger to the new file TARGET, while its robot goes on.

    The copy counts only once its chain has been verified to its head.  Copying
    the one file of a live ledger by other means loses its tail.
    """
    shown = sys.stderr.isatty()

    def progress(done: int, total: int) -> None:
        print(f"\r{done} of {total} pages", end="", file=sys.stderr, flush=True)

    backup = back_up(ledger, target, progress if shown else None)
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    if as_json_:
        print_json(
            {
                "ledger": ledger,
                "backup": backup.path,
                "bytes": backup.byte_count,
                "head_seq": backup.head.seq,
                "head": backup.head.event_hash.hex(),
            }
        )
    else:
        print(f"{backup.path}: {backup.byte_count} bytes, verified")
        print(f"  head: seq {backup.head.seq}, {backup.head.event_hash.hex()}")
    return 0
