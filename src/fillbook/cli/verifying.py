"""`fillbook verify`: is the ledger whole, and does it say the truth about itself?"""

import sys

import click
from attrs import asdict, evolve

from fillbook.audit.verify import verify
from fillbook.cli.common import json_option, ledger_option, note, print_json
from fillbook.errors import LedgerDamaged
from fillbook.wiring import checkpoint_beside, open_reader

__all__ = ["verify_command"]

_SHOWN = 20
_REMEDY = "go on from the newest backup that verifies, or import the last export into a new ledger"


@click.command("verify", epilog="Example: fillbook verify --ledger sber.ledger")
@ledger_option
@json_option
def verify_command(ledger: str, as_json_: bool) -> int:
    """Check the chain, the columns, the raw messages, and the fold of every order.

    Exit status 1 means that something is wrong; what, is listed by seq.
    """
    shown = sys.stderr.isatty()

    def progress(seq: int) -> None:
        print(f"\r{seq} events", end="", file=sys.stderr, flush=True)

    try:
        with open_reader(ledger) as reader:
            verdict = verify(
                reader, progress if shown else None, checkpoint=checkpoint_beside(ledger)
            )
    except LedgerDamaged as exc:
        raise evolve(exc, advice=f"no more of it can be checked; {_REMEDY}") from exc
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    if as_json_:
        print_json(
            {
                "ledger": ledger,
                "ledger_id": verdict.ledger_id,
                "robot": verdict.robot,
                "is_whole": verdict.is_whole,
                "head_seq": verdict.head.seq,
                "head": verdict.head.event_hash.hex(),
                "counts": dict(sorted(verdict.counts.items())),
                "problem_count": verdict.problem_count,
                "problems": [asdict(each) for each in verdict.problems],
                "unfolded_orders": verdict.unfolded,
            }
        )
        return 0 if verdict.is_whole else 1
    whole = "whole" if verdict.is_whole else f"{verdict.problem_count} problems"
    print(f"{ledger}: {whole}")
    print(f"  {verdict.head.seq} events, head {verdict.head.event_hash.hex()}")
    print(f"  ledger {verdict.ledger_id}" + (f", robot {verdict.robot}" if verdict.robot else ""))
    for each in verdict.problems[:_SHOWN]:
        print(f"  {each}")
    if verdict.problem_count > _SHOWN:
        print(f"  and {verdict.problem_count - _SHOWN} more; --json lists up to 1000")
    if verdict.unfolded:
        note(f"{verdict.unfolded} orders have events of a newer version and were not folded")
    if not verdict.is_whole:
        note(f"nothing was changed: keep this file as it is, {_REMEDY}")
    return 0 if verdict.is_whole else 1
