"""Put a reconciliation together: with a running robot, or by hand on a ledger at rest."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from fillbook.brokers.live import Broker
from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.policies import AT_ONCE
from fillbook.core.times import time_text
from fillbook.errors import OperatorRefused
from fillbook.feedback.keeper import Keeper
from fillbook.log.overlay import OverlayLog
from fillbook.log.port import Log
from fillbook.reconcile.choices import Choices
from fillbook.reconcile.desk import Question
from fillbook.reconcile.reconciler import Reconciler
from fillbook.reconcile.result import as_json
from fillbook.reconcile.run import Run
from fillbook.reconcile.wishes import Patience, Wish
from fillbook.wiring.books import LogHistory, recover, save_state
from fillbook.wiring.desks import DryDesk, KeeperDesk, ReconcileTask
from fillbook.wiring.driving import drive
from fillbook.wiring.ledgers import open_log, open_reader

if TYPE_CHECKING:
    from fillbook.feedback.runner import Runner
    from fillbook.feedback.tracker import Tracker
    from fillbook.feedback.verbs import Verbs

__all__ = [
    "add_reconcile_verbs",
    "begin_run",
    "dry_desk",
    "reconcile_at_rest",
    "reconcile_task",
    "run_of",
]


def reconcile_task(tracker: "Tracker", choices: Choices) -> ReconcileTask:
    """Return the reconciliation of a robot, as a task of its tracker."""
    return ReconcileTask(
        tracker,
        lambda desk: Reconciler(desk, choices.policies, choices.patience, choices.rhythm),
    )


# ---- by hand, with a robot at work


def begin_run(
    runner: "Runner",
    now: int,
    by: str,
    *,
    apply: bool,
    adopt: Iterable[str] = (),
    reason: str | None = None,
) -> int:
    """Have the robot compare, over a fork without *apply*; return the number of the run.

    The robot's lock is held.  Raises `OperatorRefused` where nobody could be asked.
    """
    task, tracker = _task_of(runner), runner.tracker
    if not task.desk.capabilities.has_positions:
        raise OperatorRefused(f"{task.desk.capabilities.name} does not tell its positions")
    if runner.trouble is not None:
        raise OperatorRefused(f"the robot has stopped ({runner.trouble})", "start it again")
    if tracker.is_stopping:
        raise OperatorRefused("the robot is stopping", "compare when it has stopped")
    if not tracker.line.is_up:
        problem = f" ({tracker.line.problem})" if tracker.line.problem else ""
        raise OperatorRefused(
            f"the robot does not reach its broker{problem}",
            "it compares by itself when the line is back; `fillbook status` says how it stands",
        )
    names = frozenset([adopt] if isinstance(adopt, str) else adopt)
    wish = Wish(cause="OPERATOR", by=by, reason=reason, adopt=names)
    return task.want(wish, now, None if apply else dry_desk(task.desk))


def run_of(runner: "Runner", number: int) -> tuple[dict[str, Any] | None, str]:
    """Return what came of a run that `begin_run` began, None while it is not over, and its stage.

    The robot's lock is held.  Raises `OperatorRefused` where there is no such run, or no more.
    """
    task = _task_of(runner)
    run = task.reconciler.result(number)
    if run is not None:
        return _told(run, is_applied=run.desk is task.desk), run.stage
    if not task.reconciler.is_known(number):
        raise OperatorRefused(f"there is no reconciliation {number}", "begin another one")
    under_way = task.reconciler.run
    return None, "WAITING" if under_way is None else under_way.stage


def _task_of(runner: "Runner") -> ReconcileTask:
    task = runner.tracker.task
    assert isinstance(task, ReconcileTask), "a robot is put together with one"
    return task


def _told(run: Run, *, is_applied: bool) -> dict[str, Any]:
    """Return what came of *run*; `seq` is where it was written, None for a dry one."""
    return as_json(run) | {
        "is_applied": is_applied,
        "seq": run.seq if is_applied else None,
        "agreed_since": time_text(run.agreed_since_ns),
    }


def add_reconcile_verbs(verbs: "Verbs", runner: "Runner") -> None:
    """Let the door be asked for a reconciliation, and then for what came of it.

    `reconcile` begins one and answers with its number; `reconciled` tells whether it is over.
    """
    from fillbook.feedback.verbs import Key

    def reconcile(
        now: int, by: str, apply: bool = False, adopt: str = "", reason: str | None = None
    ) -> dict[str, Any]:
        names = [each for each in adopt.split("\n") if each]
        return {"number": begin_run(runner, now, by, apply=apply, adopt=names, reason=reason)}

    def reconciled(now: int, number: str) -> dict[str, Any]:
        if not number.isascii() or not number.isdecimal():
            raise OperatorRefused(f"there is no reconciliation {number}", "begin another one")
        result, stage = run_of(runner, int(number))
        return {"is_over": result is not None, "stage": stage, "result": result}

    verbs.add(
        "reconcile",
        reconcile,
        {"by": Key(is_required=True), "apply": Key("boolean"), "adopt": Key(), "reason": Key()},
    )
    verbs.add("reconciled", reconciled, {"number": Key(is_required=True)}, is_safe_late=True)


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


def reconcile_at_rest(
    ledger: str,
    broker: Broker,
    choices: Choices,
    account_ids: Iterable[str],
    wish: Wish,
    *,
    apply: bool,
    statement_ns: int | None = None,
    on_book: Callable[[Book], None] = lambda book: None,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> dict[str, Any]:
    """Compare *ledger* with *broker*; without *apply* nothing is written, whoever else writes.

    Args:
        statement_ns: The broker is a file: it says the same however often it is asked, so nothing
            is waited for.  What it says is true up to this time; 0 where it does not say.
        on_book: Given the book before anything is asked; what it raises ends it.
        on_stage: Told of every new stage of the run.

    Returns:
        What `result.as_json` says, with `is_applied`, `seq` (of the run in the ledger, None for a
        dry one) and `agreed_since`.

    Raises what opening raises, `OperatorRefused` where the broker tells no positions or cannot be
    reached at all; nothing was written then.
    """
    if not broker.capabilities.has_positions:
        raise OperatorRefused(f"{broker.capabilities.name} does not tell its positions")
    with ExitStack() as stack:
        log: Log
        if apply:
            log = open_log(ledger, create=False)
            stack.callback(log.close)
        else:
            reader = open_reader(ledger, leaves_nothing=True)
            stack.callback(reader.close)
            log = OverlayLog(reader)
        keeper = Keeper(log, lambda: recover(log), AT_ONCE)
        on_book(keeper.book)
        desk = KeeperDesk(keeper, broker.capabilities, account_ids)
        run = Run(desk, choices.policies, choices.patience, wish, time.time_ns())
        if statement_ns is not None:
            run.told_until_ns = statement_ns or desk.agreement.point_ns or desk.begun_ns
            _read_twice(run, broker.positions())
        else:
            drive(run, desk, broker, on_stage)
        if apply:
            save_state(log, keeper.book)
        return _told(run, is_applied=apply)


def _read_twice(run: Run, messages: Sequence[Message]) -> None:
    """Let *run* read what cannot change, and the same once more; the second time is its last."""
    run.patience = Patience(between_ns=0, most_ns=1)
    begun_ns = run.started_ns
    run.begin()
    for now in (begun_ns, begun_ns + 1):
        run.tick(begun_ns)
        run.answered("positions", messages, begun_ns, now)
    assert run.stage == "OVER", "it is beyond its patience"


Outcome = tuple[Question, int, Sequence[Message] | BaseException]
