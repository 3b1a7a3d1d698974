"""Live days on which the account moves behind the robot's back, and the robot compares.

Like `simulated_day`, with all that `paper_faults` calls `account`: others trade, liquidate, split
and transfer, and the answers about positions lag, are old, empty or not whole.  A day has a policy
and a kind of broker; what it must keep to is in `simulated_agreement`.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from itertools import chain
from random import Random
from typing import Any

from attrs import define, evolve, frozen

from fillbook.brokers.live import Capabilities, NotSent
from fillbook.brokers.paper_faults import DEEDS, FaultPlan
from fillbook.brokers.paper_sim import PAPER
from fillbook.brokers.port import Message
from fillbook.core.reports import OrderReport, PositionReport
from fillbook.core.robot_events import HaltLifted
from fillbook.core.values import ExecType
from fillbook.errors import RequestRefused
from fillbook.feedback.schedule import Call
from fillbook.feedback.settings import SECOND
from fillbook.reconcile.choices import Choices
from fillbook.reconcile.policies import DEFAULT, Action, Policies, Size
from fillbook.reconcile.reconciler import Rhythm
from fillbook.reconcile.run import Run
from fillbook.reconcile.wishes import Wish
from fillbook.simulated_agreement import Answer, Life, broken_promises
from fillbook.simulated_day import OPENS_NS, Day, SimulatedRobot, Wishes
from fillbook.wiring import MEMORY
from fillbook.wiring.desks import ReconcileTask
from fillbook.wiring.reconciling import dry_desk

__all__ = [
    "BROKERS",
    "POLICIES",
    "BrokerKind",
    "ComparingRobot",
    "ReconciledDay",
    "live_reconciled",
]

_MINUTES = 12
_ORDERS = 14
_SETTLE_S = 120
_QUIET_S = 600
_MORE_DEEDS = 3
_LONGEST_CUT_S = 20
_WORSE: tuple[dict[str, float], ...] = (
    {"empty_positions": 0.6}, {"partial_positions": 0.8}, {"stale_positions": 0.5},
)  # fmt: skip
"""Answers of which several in a row are wrong; two that say the same are believed."""
_AMENDED = (ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT)


@frozen(kw_only=True)
class BrokerKind:
    """One kind of broker.

    Attributes:
        capabilities: What it can do, and what it says of itself.
        least_lag_s, most_lag_s: By how much its positions lag, drawn; None as the plan has it.
    """

    capabilities: Capabilities = PAPER
    least_lag_s: int | None = None
    most_lag_s: int = 0


_CHAPTER = Capabilities(
    name="paper", can_look_up=True, can_look_up_by_venue_id=True, has_positions=True,
    settling_ns=2 * SECOND, calls=100, concurrency=8,
)  # fmt: skip

BROKERS: Mapping[str, BrokerKind] = {
    "everything": BrokerKind(),
    "no-fills-since": BrokerKind(capabilities=evolve(PAPER, has_fills_since=False)),
    "no-activities": BrokerKind(capabilities=evolve(PAPER, has_activities=False)),
    "no-open-orders": BrokerKind(capabilities=evolve(PAPER, has_open_orders=False)),
    "chapter": BrokerKind(capabilities=_CHAPTER),
    "lags": BrokerKind(least_lag_s=10, most_lag_s=10),
    "lags-longer": BrokerKind(least_lag_s=16, most_lag_s=60),
}
"""`chapter` has the four methods that the chapter's client has, and no stream; `lags` lags by less
than it declares (15 s), `lags-longer` by more."""


def _all(action: Action, **more: Any) -> Policies:
    return Policies(actions={DEFAULT: dict.fromkeys(Size, action)}, **more)


POLICIES: Mapping[str, Policies] = {
    "adopt": _all(Action.ADOPT),
    "restore": _all(Action.RESTORE, most_restore_qty={DEFAULT: Decimal(10_000)}),
    "restore-bounded": _all(Action.RESTORE),
    "halt": _all(Action.HALT),
    "alert": _all(Action.ALERT),
    "default": Policies(),
    "mixed": Policies(
        actions={
            DEFAULT: {
                Size.ROUNDING: Action.ADOPT, Size.MINOR: Action.RESTORE, Size.CRITICAL: Action.ADOPT
            },
            "SBER": dict.fromkeys(Size, Action.RESTORE),
            "BTCUSD": dict.fromkeys(Size, Action.ALERT),
        },
        price_rule={DEFAULT: "MARK", "GAZP": "UNKNOWN"},
    ),
    "halts-all": _all(Action.HALT, halt_all=True),
}  # fmt: skip
"""What may be done about a difference, by name; `restore-bounded` trades no more than the critical
limit back, which is the default."""


@define(eq=False)
class ReconciledDay(Day):
    """What came of a day of comparing.

    Attributes:
        policy, broker: What it was a day of.
        halt_count: Instruments, or everything, that stood halted at the end.
        explained_count: Differences that went away once the broker was asked.
        restore_count: Restoring orders.
        short_count: Those of them that were not filled, or not whole.
        mistaken_count: Adoptions of what the broker said and what was not so.
    """

    policy: str = ""
    broker: str = ""
    halt_count: int = 0
    explained_count: int = 0
    restore_count: int = 0
    short_count: int = 0
    mistaken_count: int = 0


def live_reconciled(
    seed: int, policy: str, broker: str, plan: FaultPlan | None = None, ledger: str = MEMORY
) -> ReconciledDay:
    """Live the day of *seed* with a policy of `POLICIES` and a broker of `BROKERS`."""
    kind = BROKERS[broker]
    random = Random(f"{seed}/reconciliation")
    plan = _drawn(seed, kind, random) if plan is None else plan
    day = ReconciledDay(seed, plan, policy=policy, broker=broker)
    interval_s = random.choice([45, 90, 300])
    choices = Choices(policies=POLICIES[policy], rhythm=Rhythm(interval_ns=interval_s * SECOND))
    wishes = Wishes(minutes=_MINUTES, capabilities=kind.capabilities, choices=choices)
    robot = ComparingRobot(day, wishes, ledger, "simulated")
    span = _MINUTES * 60
    agenda = sorted(
        (random.uniform(1, span), what)
        for what, times in (
            ("trade", _ORDERS), ("change", _ORDERS // 2), ("crash", random.randrange(2)),
            ("crash_in_a_run", random.randrange(3)), ("cut_in_a_run", random.randrange(3)),
            ("look", random.randrange(2)), ("ask", random.randrange(2)),
            ("resume", random.randrange(4)),
        )
        for _ in range(times)
    )  # fmt: skip
    try:
        robot.begin()
        for seconds, what in agenda:
            robot.live_until(OPENS_NS + int(seconds * SECOND))
            getattr(robot, what)()
        robot.live_until(OPENS_NS + span * SECOND)
        robot.broker.settle()
        robot.live_until(robot.now + _SETTLE_S * SECOND)
        robot.cancel_rest()
        robot.live_until(robot.now + _QUIET_S * SECOND)
        robot.judge()
    finally:
        robot.log.close()
        robot.broker.close()
    return day


def _drawn(seed: int, kind: BrokerKind, random: Random) -> FaultPlan:
    """Return the faults of *seed*: more of what others do than by the hour, as a day is short."""
    plan = FaultPlan.drawn(seed, account=True)
    plan = evolve(plan, **{word: min(_MORE_DEEDS * getattr(plan, word), 1.0) for word in DEEDS})
    worse = random.choice([{}, *_WORSE])
    plan = evolve(plan, **worse)
    if kind.least_lag_s is not None:
        lag_s = random.randint(kind.least_lag_s, kind.most_lag_s)
        plan = evolve(plan, lag_positions=float(lag_s))
    return plan


class ComparingRobot(SimulatedRobot):
    """A robot, and somebody who notes what its broker said and what was so."""

    def __init__(self, day: ReconciledDay, wishes: Wishes, ledger: str, robot: str) -> None:
        self.answers: list[Answer] = []
        self.runs: dict[int, Run] = {}
        self._so: dict[Call, dict[str, Decimal]] = {}
        self._cut_until_ns = self._killed_count = 0
        self._day = day
        self._policies = wishes.choices.policies
        super().__init__(day, wishes, ledger, robot)

    @property
    def task(self) -> ReconcileTask:
        """The reconciliation of the robot as it lives now."""
        task = self.tracker.task
        assert isinstance(task, ReconcileTask)
        return task

    # ---- what happens to it

    def crash_in_a_run(self) -> None:
        """Be killed somewhere in a run."""
        self.ask()
        self.live_until(self.now + int(self.random.uniform(0, 20) * SECOND))
        self.crash()

    def cut_in_a_run(self) -> None:
        """Lose the line somewhere in a run, and have it back a little later."""
        self.ask()
        self.live_until(self.now + int(self.random.uniform(0, 20) * SECOND))
        self._cut_until_ns = self.now + self.random.randrange(1, _LONGEST_CUT_S) * SECOND
        self.tracker.stream_line(False, "the line was cut", self.now)
        self.live_until(self._cut_until_ns)
        self.tracker.stream_line(True, "", self.now)

    def crash(self) -> None:
        run = self.task.reconciler.run
        self._killed_count += run is not None and run.desk is self.task.desk
        self._note_run()
        super().crash()
        self._note_run()

    def ask(self) -> None:
        """Have a run made by hand."""
        self.task.want(Wish(cause="OPERATOR", by="an operator"), self.now)

    def look(self) -> None:
        """Have a dry run made."""
        wish = Wish(cause="OPERATOR", by="an operator")
        self.task.want(wish, self.now, dry_desk(self.task.desk))

    def resume(self) -> None:
        """Lift every halt, whether it is over or not what it was for."""
        for instrument_id in list(self.tracker.book.control.halts):
            lifted = HaltLifted(
                ts_event=self.now, by="an operator", reason="it is looked into",
                instrument_id=instrument_id or None,
            )  # fmt: skip
            self.keeper.note_other(lifted, "OPERATOR")

    def trade(self) -> None:
        with suppress(RequestRefused):
            super().trade()

    # ---- what is noted

    def make_call(self, call: Call) -> None:
        self._note_run()
        if self.now < self._cut_until_ns:
            self.answer(call, NotSent("no connection could be made: the line is cut"))
            return
        super().make_call(call)
        if call.kind == "positions":
            self._so[call] = self.positions()

    def answer(self, call: Call, outcome: list[Message] | BaseException) -> None:
        so = self._so.pop(call, None)
        is_taken = call.purpose == "task" and not call.is_over
        if so is not None and is_taken and not isinstance(outcome, BaseException):
            self.answers.append(Answer(came_ns=self.now, so=so, told=_told(outcome)))
        super().answer(call, outcome)
        self._note_run()

    def _note_run(self) -> None:
        run = self.task.reconciler.run
        if run is not None and run.desk is self.task.desk:
            self.runs[id(run)] = run

    def positions(self) -> dict[str, Decimal]:
        """What is held at the broker now, by instrument."""
        truth = self.broker.truth()["positions"]
        return {row["instrument_id"]: Decimal(row["position_qty"]) for row in truth}

    def judge(self) -> None:
        """End the day once no run is under way, and say what was not kept."""
        while self.task.reconciler.run is not None:
            self.live_until(self.now + SECOND)
        self.tracker.stop(self.now, "the day is over")
        day, book = self._day, self.tracker.book
        records = list(self.log.records())
        for record in records:
            day.events[record.type] += 1
        life = Life(
            records=records,
            book=book,
            truth=self.broker.truth(),
            answers=self.answers,
            finished=[run.event for run in self.runs.values() if run.event is not None],
            forgotten=sum(run.event is None for run in self.runs.values()) - self._killed_count,
            policies=self._policies,
            capabilities=self.tracker.capabilities,
            amendments=self._amendments(),
        )
        day.problems += broken_promises(life)
        day.halt_count = len(book.control.halts)
        day.explained_count = sum(run.explained for _, run in life.runs())
        day.restore_count = sum(run.restored for _, run in life.runs())
        day.short_count = life.short_count
        day.mistaken_count = len(life.mistaken)

    def _amendments(self) -> Counter[str]:
        told = chain.from_iterable(self.broker.market.executions.values())
        return Counter(
            each.instrument_id or ""
            for each in told
            if isinstance(each, OrderReport) and each.exec_type in _AMENDED
        )


def _told(messages: list[Message]) -> dict[str, Decimal]:
    told = {}
    for message in messages:
        assert isinstance(message.content, PositionReport)
        told[message.content.instrument_id] = message.content.position_qty
    return told
