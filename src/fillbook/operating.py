"""Carry an operator's word to where it is heard, whatever state the robot is in.

A robot that answers at its door does what is asked.  Where there is none the word goes into the
ledger itself.  Where somebody holds the ledger and does not answer, a halt is left in a file that
is read before every send; everything else is refused, because nobody could tell what came of it.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from attrs import frozen

from fillbook.core.policies import AT_ONCE
from fillbook.errors import BadInput, LedgerInUse, LedgerNotFound, OperatorRefused
from fillbook.feedback.doorbell import Closed, Refused, Silent, ask
from fillbook.feedback.halt_file import HaltFile, HaltRequest
from fillbook.feedback.keeper import Keeper
from fillbook.feedback.last_look import take_halts
from fillbook.feedback.operator import LEVELS, Operator
from fillbook.feedback.summary import summary_at_rest
from fillbook.feedback.verbs import BadQuestion, operator_verbs
from fillbook.log.heads import read_checkpoint
from fillbook.log.lock import is_locked
from fillbook.wiring import MEMORY, id_maker, open_log, open_reader, recover, save_state

__all__ = ["DOOR_PATIENCE_S", "Done", "accept_tail_loss", "operate", "path_of", "status"]

DOOR_PATIENCE_S = 2.0
_TRIES = 4


@frozen
class Done:
    """What came of an operator's word.

    Attributes:
        how: `ROBOT` where it did it, `LEDGER` where it was put on record without one, `LEFT` where
            it lies beside the ledger for a robot that does not answer.
        writer: Who holds the ledger, in words, where it was left.
    """

    how: Literal["ROBOT", "LEDGER", "LEFT"]
    result: dict[str, Any]
    writer: str | None = None


def operate(ledger: str, verb: str, args: Mapping[str, Any]) -> Done:
    """Do *verb* with *args* (see `feedback.verbs`) on the robot or the ledger at *ledger*.

    Raises `LedgerNotFound`, `LedgerInUse`, `BadInput` with the door's answer, `OperatorRefused`.
    """
    path = path_of(ledger)
    given = {key: value for key, value in args.items() if value is not None}
    for is_last in [False] * (_TRIES - 1) + [True]:
        is_silent = False
        try:
            return Done("ROBOT", ask(path + ".sock", verb, given, DOOR_PATIENCE_S))
        except Refused as exc:
            raise BadInput(str(exc)) from exc
        except Silent:
            is_silent = True
        except Closed:
            pass
        writer = is_locked(path)
        if writer is None:
            try:
                return Done("LEDGER", _on_the_ledger(path, verb, given))
            except LedgerInUse:
                continue  # somebody was quicker: a robot that starts, most likely
        if verb == "halt" and (is_silent or is_last):
            return Done("LEFT", _leave(path, given), writer)
        if is_silent:
            raise OperatorRefused(
                f"{path}: {writer} is at work and gave no answer within {DOOR_PATIENCE_S:g} s",
                "`fillbook halt` leaves a halt that it reads before it sends anything",
            )
        if is_last:
            raise LedgerInUse(path, writer)
        time.sleep(0.2)  # a robot that starts has the lock a little before it has a door
    raise LedgerInUse(path, "one process after the other")


def status(ledger: str) -> dict[str, Any]:
    """Return how the robot stands, or else the ledger; it never waits for a writer.

    Beside the keys of `summary`: `ledger`, `answers` (whether the robot did), `writer` (who holds
    the ledger, in words), `halts_left` (how many halts lie beside it and are not on record yet).
    A `state` of `SILENT` is a robot that does not answer, `WRITING` another program that writes.
    """
    path = path_of(ledger)
    state = "NOT_RUNNING"
    try:
        told = ask(path + ".sock", "status", {}, DOOR_PATIENCE_S)
    except Silent:
        told, state = None, "SILENT"
    except (Closed, Refused):
        told = None
    writer = is_locked(path)
    answers = told is not None
    if told is None:
        with open_reader(path) as reader:
            told = summary_at_rest(recover(reader))
        told["state"] = "NOT_RUNNING" if writer is None else "SILENT"
        if writer is not None and state != "SILENT":
            told["state"] = "WRITING"
    return told | {
        "ledger": ledger,
        "answers": answers,
        "writer": writer,
        "halts_left": len(HaltFile(path).read()),
    }


def accept_tail_loss(ledger: str, by: str, reason: str) -> dict[str, Any]:
    """Go on without the missing end of the ledger at *ledger*, on record; see `TailLossAccepted`.

    Raises `OperatorRefused` where nothing is missing, and what `open_log` raises.
    """
    path = path_of(ledger)
    checkpoint, problem = read_checkpoint(path)
    with open_reader(path) as reader:
        head = reader.head()
    if checkpoint is None:
        raise OperatorRefused(problem, "without a checkpoint no loss can be known of")
    if checkpoint.seq <= head.seq:
        raise OperatorRefused(
            f"{path} ends at seq {head.seq}, its checkpoint at {checkpoint.seq}: nothing is missing"
        )
    log = open_log(path, create=False, accept_loss=(by, reason))
    try:
        return {
            "lost_from_seq": head.seq + 1,
            "lost_to_seq": checkpoint.seq,
            "head_seq": log.head().seq,
        }
    finally:
        log.close()


def path_of(ledger: str) -> str:
    """Return the real path of *ledger*, beside which its lock and its door are.

    Raises `LedgerNotFound`, or `BadInput` for one in memory.
    """
    if ledger == MEMORY:
        raise BadInput(f"{MEMORY} has no door", "name a ledger file")
    path = os.path.realpath(ledger)
    if not os.path.isfile(path):
        raise LedgerNotFound(ledger)
    return path


def _on_the_ledger(path: str, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do it as the ledger's only writer; whatever was left beside it goes on record first."""
    log = open_log(path, create=False)
    try:
        keeper = Keeper(log, lambda: recover(log), AT_ONCE)
        take_halts(HaltFile(path), keeper, time.time_ns())
        operator = Operator(keeper, id_maker(log, "TEXT"))
        try:
            result = operator_verbs(operator, _now).do(verb, args)
        except BadQuestion as exc:
            raise BadInput(str(exc)) from exc
        if keeper.take_news():
            save_state(log, keeper.book)
        return result
    finally:
        log.close()


@contextmanager
def _now() -> Iterator[int]:
    yield time.time_ns()


def _leave(path: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Leave a halt beside the ledger for whoever holds it."""
    request = HaltRequest(**args, ts=time.time_ns())
    if request.level not in LEVELS:
        raise OperatorRefused(f"level {request.level!r} is none of {', '.join(LEVELS)}")
    left = HaltFile(path)
    left.leave(request)
    return {"left_in": left.path}
