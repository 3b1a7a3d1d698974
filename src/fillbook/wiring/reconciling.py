"""Put a reconciliation together: with a running robot, or by hand on a ledger at rest."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from attrs import frozen

from fillbook.brokers.live import Broker
from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.policies import AT_ONCE
from fillbook.errors import OperatorRefused
from fillbook.feedback.keeper import Keeper
from fillbook.log.overlay import OverlayLog
from fillbook.reconcile.choices import Choices
from fillbook.reconcile.desk import Question
from fillbook.reconcile.reconciler import Reconciler
from fillbook.reconcile.result import as_json
from fillbook.reconcile.run import Run, Wish
from fillbook.wiring.books import LogHistory, recover, save_state
from fillbook.wiring.desks import DryDesk, KeeperDesk, ReconcileTask
from fillbook.wiring.ledgers import open_log, open_reader

if TYPE_CHECKING:
    from fillbook.feedback.runner import Runner
    from fillbook.feedback.tracker import Tracker
    from fillbook.feedback.verbs import Verbs

__all__ = ["add_reconcile_verbs", "reconcile_at_rest", "reconcile_task"]

_CALL_TIMEOUT_S = 30.0


def reconcile_task(tracker: "Tracker", choices: Choices) -> ReconcileTask:
    """Return the reconciliation of a robot, as a task of its tracker."""
    return ReconcileTask(
        tracker,
        lambda desk: Reconciler(desk, choices.policies, choices.patience, choices.rhythm),
    )


# ---- by hand, with a robot at work


def add_reconcile_verbs(verbs: "Verbs", runner: "Runner", task: ReconcileTask) -> None:
    """Let the door be asked for a reconciliation, and then for what came of it.

    `reconcile` begins one and answers with its number; `reconciled` tells whether it is over.
    """
    from fillbook.feedback.verbs import Key

    def reconcile(
        now: int, by: str, apply: bool = False, adopt: str | None = None
    ) -> dict[str, Any]:
        if not task.desk.capabilities.has_positions:
            raise OperatorRefused(f"{task.desk.capabilities.name} does not tell its positions")
        if not runner.tracker.line.is_up:
            raise OperatorRefused(runner.tracker.why_offline(), "ask again when the line is back")
        desk = None if apply else dry_desk(task.desk)
        return {"number": task.want(_wish(by, adopt), now, desk)}

    def reconciled(now: int, number: str) -> dict[str, Any]:
        run = task.reconciler.result(int(number)) if number.isdecimal() else None
        if run is not None:
            return {"is_over": True, "result": as_json(run)}
        if not number.isdecimal() or not task.reconciler.is_known(int(number)):
            raise OperatorRefused(f"there is no reconciliation {number}", "begin another one")
        return {"is_over": False}

    verbs.add(
        "reconcile",
        reconcile,
        {"by": Key(is_required=True), "apply": Key("boolean"), "adopt": Key()},
    )
    verbs.add("reconciled", reconciled, {"number": Key(is_required=True)}, is_safe_late=True)


def _wish(by: str, adopt: str | None) -> Wish:
    names = frozenset(each for each in (adopt or "").split("\n") if each)
    return Wish(cause="OPERATOR", by=by, adopt=names)


def dry_desk(real: KeeperDesk) -> DryDesk:
    """Return a desk over a fork of the robot's book; it costs its open orders and positions."""
    from fillbook.core.replaying import fork_book

    overlay = OverlayLog(real.keeper.log)
    history = LogHistory(overlay)
    start = fork_book(real.book, history)  # the robot's own moves on meanwhile

    def fold() -> Book:
        return fork_book(start, history, overlay.records(after=start.seq))

    return DryDesk(Keeper(overlay, fold, real.keeper.policy), real)


# ---- by hand, on a ledger at rest


@frozen(kw_only=True)
class AtRest:
    """What came of it, as plain data, and whether it was written."""

    result: dict[str, Any]
    is_applied: bool


def reconcile_at_rest(
    ledger: str,
    broker: Broker,
    choices: Choices,
    account_ids: Iterable[str],
    wish: Wish,
    *,
    apply: bool,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> AtRest:
    """Compare *ledger* with *broker*; without *apply* nothing is written, whoever else writes.

    Raises what opening raises, `OperatorRefused` where the broker tells no positions.
    """
    if not broker.capabilities.has_positions:
        raise OperatorRefused(f"{broker.capabilities.name} does not tell its positions")
    with ExitStack() as stack:
        if apply:
            log = open_log(ledger, create=False)
            stack.callback(log.close)
        else:
            reader = open_reader(ledger)
            stack.callback(reader.close)
            log = OverlayLog(reader)
        keeper = Keeper(log, lambda: recover(log), AT_ONCE)
        desk = KeeperDesk(keeper, broker.capabilities, account_ids)
        run = Run(desk, choices.policies, choices.patience, wish, time.time_ns())
        _drive(run, desk, broker, on_stage)
        if apply:
            save_state(log, keeper.book)
        return AtRest(result=as_json(run), is_applied=apply)


Outcome = tuple[Question, int, Sequence[Message] | BaseException]


def _drive(run: Run, desk: KeeperDesk, broker: Broker, on_stage: Callable[[str], None]) -> None:
    """Make the calls that *run* asks for, each with a deadline of its own, until it is over."""
    answers: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
    under_way: dict[int, tuple[Question, float]] = {}
    number = 0
    run.begin()
    while run.stage != "OVER":
        for kind, since, keys in _taken(desk):
            number += 1
            under_way[number] = kind, time.monotonic() + _CALL_TIMEOUT_S
            on_stage(kind)
            threading.Thread(
                target=_call,
                args=(answers, number, desk, broker, kind, since, keys),
                name=f"reconcile-{kind}",
                daemon=True,
            ).start()
        due_ns = run.due_ns()
        wait_s = 1.0 if due_ns is None else min(max((due_ns - time.time_ns()) / 1e9, 0.001), 1.0)
        try:
            which, (kind, started_ns, outcome) = answers.get(timeout=wait_s)
        except queue.Empty:
            pass
        else:
            if under_way.pop(which, None) is not None:
                _tell(run, desk, kind, started_ns, outcome)
        for which, (kind, deadline) in list(under_way.items()):
            if time.monotonic() > deadline:
                del under_way[which]
                run.failed(kind, f"no answer within {_CALL_TIMEOUT_S:g} s", time.time_ns())
        run.tick(time.time_ns())


def _taken(desk: KeeperDesk) -> list[tuple[Question, int, Sequence[Any]]]:
    questions, desk.questions[:] = list(desk.questions), []
    return questions


def _call(
    answers: "queue.SimpleQueue[tuple[int, Outcome]]",
    number: int,
    desk: KeeperDesk,
    broker: Broker,
    kind: Question,
    since: int,
    keys: Sequence[Any],
) -> None:
    from fillbook.feedback.watching import ref_of

    started_ns = time.time_ns()
    outcome: Sequence[Message] | BaseException
    try:
        if kind == "orders":
            found: list[Message] = []
            for order in desk.orders_to_ask_about(keys):
                found += broker.look_up(ref_of(order))
            outcome = found
        elif kind in ("fills_since", "activities_since"):
            outcome = list(getattr(broker, kind)(since))
        else:
            outcome = list(getattr(broker, kind)())
    except Exception as exc:  # whatever a broker raises is its failure, not ours
        outcome = exc
    answers.put((number, (kind, started_ns, outcome)))


def _tell(
    run: Run,
    desk: KeeperDesk,
    kind: Question,
    started_ns: int,
    outcome: Sequence[Message] | BaseException,
) -> None:
    now = time.time_ns()
    if isinstance(outcome, BaseException):
        text = " ".join(str(outcome).split()) or type(outcome).__name__
        run.failed(kind, text, now)
        return
    if kind not in ("positions", "cash"):
        for message in outcome:
            desk.hear(message)
        outcome = ()
    run.answered(kind, outcome, started_ns, now)
