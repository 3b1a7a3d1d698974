"""Say when book and broker are compared: before trading, on schedule, and when somebody asks.

One run at a time; what is asked for meanwhile waits.  No threads, no clock.
"""

from collections import deque
from collections.abc import Callable, Sequence

from attrs import evolve, frozen

from fillbook.brokers.port import Message
from fillbook.core.agreement import Key
from fillbook.errors import OperatorRefused
from fillbook.reconcile.desk import Desk, Question
from fillbook.reconcile.policies import Policies, Size
from fillbook.reconcile.run import Run
from fillbook.reconcile.wishes import SECOND, Patience, Wish

__all__ = ["Reconciler", "Rhythm"]

_MOST_RESULTS = 5
_MOST_WANTED = 5


@frozen(kw_only=True)
class Rhythm:
    """How often it is done; nanoseconds.

    Attributes:
        interval_ns: Between two runs on schedule; None is never.
        soon_ns: Until the next one where something was left open or has just been set right.
        at_start: Trading waits for the first run after a start, or after the line was lost.
        most_unsettled_ns: A large difference that does not come to rest for longer is halted for.
    """

    interval_ns: int | None = 300 * SECOND
    soon_ns: int = 20 * SECOND
    at_start: bool = True
    most_unsettled_ns: int = 300 * SECOND


class Reconciler:
    """Every comparison of one book with its broker.

    Attributes:
        run: The run under way; None between runs.
        is_ready: Trading may go on, as far as this is concerned.
    """

    def __init__(self, desk: Desk, policies: Policies, patience: Patience, rhythm: Rhythm) -> None:
        self.run: Run | None = None
        self.is_ready = True
        self._desk = desk
        self._policies = policies
        self._patience = patience
        self._rhythm = rhythm
        self._next_ns: int | None = None
        self._is_begun = False
        self._unsettled: dict[Key, int] = {}
        self._wanted: deque[tuple[int, Wish, Desk]] = deque()
        self._wanted_count = 0
        self._number = 0
        self._results: dict[int, Run] = {}

    # ---- when

    def begin(self, now: int) -> None:
        """Begin, or begin again after the line was lost; trading waits where that is wanted."""
        if not self._desk.capabilities.has_positions:
            return
        self._next_ns, self._is_begun = now, True
        if self._rhythm.at_start:
            self.is_ready = False
            self._start(Wish(cause="START"), self._desk, 0, now)
        elif self._rhythm.interval_ns is None:
            self._next_ns = None

    def want(self, wish: Wish, now: int, desk: Desk | None = None) -> int:
        """Have a run made as soon as none is under way and the broker is there; return its number.

        With *desk* it works on that and not on the robot's book: a dry run.
        """
        if len(self._wanted) >= _MOST_WANTED:
            raise OperatorRefused(f"{len(self._wanted)} comparisons wait already", "ask later")
        self._wanted_count += 1
        self._wanted.append((self._wanted_count, wish, desk or self._desk))
        self.tick(now)
        return self._wanted_count

    def result(self, number: int) -> Run | None:
        """Return a run that was wanted, once it is over; the last ones are kept."""
        return self._results.get(number)

    def is_known(self, number: int) -> bool:
        """Tell whether a run of that number is wanted, under way, or still kept."""
        waits = any(each == number for each, _, _ in self._wanted)
        return waits or number in self._results or (self.run is not None and self._number == number)

    def tick(self, now: int) -> None:
        """Do what time asks for; between `line_lost` and `begin` that is nothing."""
        if not self._is_begun:
            return
        if self.run is not None:
            self._do(lambda run: run.tick(now), now)
        if self.run is None and self._wanted:
            number, wish, desk = self._wanted.popleft()
            self._start(wish, desk, number, now)
        elif self.run is None and self._next_ns is not None and now >= self._next_ns:
            self._start(
                Wish(cause="START" if not self.is_ready else "SCHEDULE"), self._desk, 0, now
            )

    def due_ns(self) -> int | None:
        """Return when `tick` has something to do next; None where nothing is planned."""
        if self.run is not None:
            return self.run.due_ns()
        return 0 if self._wanted and self._is_begun else self._next_ns

    def line_lost(self, problem: str, now: int) -> None:
        """Give up: the broker cannot be asked; `begin` comes when it can."""
        if self.run is not None:
            self._do(lambda run: run.abort(problem, now), now)
        self._next_ns, self._is_begun = None, False

    # ---- what the broker says

    def answered(
        self, kind: Question, messages: Sequence[Message], started_ns: int, now: int
    ) -> None:
        """Take an answer to what the run's desk asked."""
        self._do(lambda run: run.answered(kind, messages, started_ns, now), now)

    def failed(self, kind: Question, problem: str, now: int) -> None:
        """Take note that a question has no answer."""
        self._do(lambda run: run.failed(kind, problem, now), now)

    # ---- inside

    def _start(self, wish: Wish, desk: Desk, number: int, now: int) -> None:
        limit_ns = now - self._rhythm.most_unsettled_ns
        overdue = frozenset(key for key, since in self._unsettled.items() if since <= limit_ns)
        wish = evolve(wish, overdue=overdue)
        self._number = number
        self.run = Run(desk, self._policies, self._patience, wish, now)
        self._do(lambda run: run.begin(), now)

    def _do(self, what: Callable[[Run], None], now: int) -> None:
        run = self.run
        if run is None:
            return
        what(run)
        if run.stage == "OVER" and self.run is run:
            self._over(run, now)

    def _over(self, run: Run, now: int) -> None:
        self.run = None
        if self._number:
            self._results[self._number] = run
            while len(self._results) > _MOST_RESULTS:
                del self._results[next(iter(self._results))]
        if run.desk is not self._desk:
            return
        waiting = {
            (finding.first.account_id, finding.first.instrument_id)
            for finding in run.findings
            if finding.why_waiting is not None and not finding.is_late
        }
        if run.outcome != "UNANSWERED":
            self._unsettled = {key: self._unsettled.get(key, run.started_ns) for key in waiting}
            # One that is large and does not come to rest holds trading up until it is halted for.
            large = any(
                finding.why_waiting is not None
                and finding.settlement is None
                and not finding.is_late
                and finding.left is not None
                and finding.left.size is Size.CRITICAL
                for finding in run.findings
            )
            self.is_ready = self.is_ready or not large
        is_changed = run.event is not None and run.event.adopted + run.event.restored > 0
        is_quiet = run.outcome in ("AGREED", "DIFFERS") and self.is_ready and not is_changed
        interval_ns = self._rhythm.interval_ns
        if is_quiet:
            self._next_ns = None if interval_ns is None else now + interval_ns
        else:
            soon_ns = self._rhythm.soon_ns
            self._next_ns = now + (soon_ns if interval_ns is None else min(soon_ns, interval_ns))
