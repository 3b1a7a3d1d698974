"""Make the calls of a comparison at rest, each with a deadline of its own, until it is over."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from fillbook.brokers.live import Broker, NotSent
from fillbook.brokers.port import Message
from fillbook.errors import OperatorRefused
from fillbook.feedback.watching import ref_of
from fillbook.reconcile.desk import Question
from fillbook.reconcile.run import Run
from fillbook.wiring.desks import KeeperDesk

__all__ = ["drive"]

_CALL_TIMEOUT_S = 30.0

Asked = Callable[[], list[Message]]
Outcome = tuple[Question, int, Sequence[Message] | BaseException]


def drive(run: Run, desk: KeeperDesk, broker: Broker, on_stage: Callable[[str], None]) -> None:
    """Make the calls that *run* asks for, each with a deadline of its own, until it is over."""
    answers: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
    under_way: dict[int, tuple[Question, float]] = {}
    number = 0
    stage = ""
    run.begin()
    while run.stage != "OVER":
        for kind, since, keys in _taken(desk):
            number += 1
            under_way[number] = kind, time.monotonic() + _CALL_TIMEOUT_S
            threading.Thread(
                target=_call,
                args=(answers, number, kind, _question(desk, broker, kind, since, keys)),
                name=f"reconcile-{kind}",
                daemon=True,
            ).start()
        if stage != run.stage:
            stage = run.stage
            on_stage(stage)
        due_ns = run.due_ns()
        wait_s = 1.0 if due_ns is None else min(max((due_ns - time.time_ns()) / 1e9, 0.001), 1.0)
        try:
            which, (kind, started_ns, outcome) = answers.get(timeout=wait_s)
        except queue.Empty:
            pass
        else:
            if under_way.pop(which, None) is not None:
                _hear(run, desk, kind, started_ns, outcome)
        for which, (kind, deadline) in list(under_way.items()):
            if time.monotonic() > deadline:
                del under_way[which]
                run.failed(kind, f"no answer within {_CALL_TIMEOUT_S:g} s", time.time_ns())
        run.tick(time.time_ns())


def _taken(desk: KeeperDesk) -> list[tuple[Question, int, Sequence[Any]]]:
    questions, desk.questions[:] = list(desk.questions), []
    return questions


def _question(
    desk: KeeperDesk, broker: Broker, kind: Question, since: int, keys: Sequence[Any]
) -> Asked:
    """Return the call; what it needs of the book is taken now, it is made on another thread."""
    if kind == "orders":
        refs = [ref_of(order) for order in desk.orders_to_ask_about(keys)]
        return lambda: [message for ref in refs for message in broker.look_up(ref)]
    if kind in ("fills_since", "activities_since"):
        return lambda: list(getattr(broker, kind)(since))
    return lambda: list(getattr(broker, kind)())


def _call(
    answers: "queue.SimpleQueue[tuple[int, Outcome]]", number: int, kind: Question, asked: Asked
) -> None:
    started_ns = time.time_ns()
    outcome: Sequence[Message] | BaseException
    try:
        outcome = asked()
    except Exception as exc:  # whatever a broker raises is its failure, not ours
        outcome = exc
    answers.put((number, (kind, started_ns, outcome)))


def _hear(
    run: Run,
    desk: KeeperDesk,
    kind: Question,
    started_ns: int,
    outcome: Sequence[Message] | BaseException,
) -> None:
    now = time.time_ns()
    if isinstance(outcome, BaseException):
        text = " ".join(str(outcome).split()) or type(outcome).__name__
        if kind == "positions" and isinstance(outcome, NotSent):
            raise OperatorRefused(
                f"{desk.capabilities.name} cannot be reached ({text})",
                "see whether it is there and the address is right, then compare again",
            ) from outcome
        run.failed(kind, text, now)
        return
    if kind not in ("positions", "cash"):
        for message in outcome:
            desk.hear(message)
    run.answered(kind, outcome, started_ns, now)
