"""Answer `positions` as brokers do: from a list that is behind, old, empty or not whole.

What was held is remembered for as long as an answer may be old, so an old answer is the very one
that was true then.
"""

from collections import deque
from collections.abc import Callable, Sequence

from attrs import evolve

from fillbook.brokers.paper_faults import OLDEST_NS, Dice
from fillbook.brokers.paper_wire import SECOND
from fillbook.core.reports import PositionReport, Report

__all__ = ["PositionMemory"]


class PositionMemory:
    """What was held, as far back as an answer may reach."""

    def __init__(self, dice: Dice) -> None:
        plan = dice.plan
        self._dice = dice
        self._lag_ns = int(plan.lag_positions * SECOND)
        self._is_kept = bool(self._lag_ns or plan.stale_positions)
        self._rows: deque[tuple[int, list[Report]]] = deque()
        self._move_count = -1

    def note(self, now_ns: int, move_count: int, ask: Callable[[], list[Report]]) -> None:
        """Remember what *ask* answers now, where *move_count* says that it has changed."""
        if not self._is_kept or move_count == self._move_count:
            return
        self._move_count = move_count
        self._rows.append((now_ns, ask()))
        while len(self._rows) > 1 and self._rows[1][0] <= now_ns - self._lag_ns - OLDEST_NS:
            self._rows.popleft()

    def told(self, answer: list[Report], now_ns: int, count: int) -> list[Report]:
        """Return what the *count*th question is told in place of *answer*, which is true.

        An answer that is old says so by its time; one that lags does not.
        """
        fate = self._dice.positions(count)
        if fate.age_ns:
            then_ns = max(now_ns - max(fate.age_ns, self._lag_ns), self._rows[0][0])
            answer = _at(self._held_at(then_ns), then_ns)
        elif self._lag_ns:
            answer = _at(self._held_at(now_ns - self._lag_ns), now_ns)
        if fate.is_empty:
            return []
        if fate.missing is not None and answer:
            missing = int(fate.missing * len(answer))
            return [*answer[:missing], *answer[missing + 1 :]]
        return answer

    def _held_at(self, ns: int) -> list[Report]:
        """Return what was held at *ns*; of a time before the memory begins, what it begins with."""
        held = self._rows[0][1]
        for noted_ns, rows in self._rows:
            if noted_ns <= ns:
                held = rows
        return held


def _at(reports: Sequence[Report], ns: int) -> list[Report]:
    return [evolve(report, ts_event=ns) for report in reports if isinstance(report, PositionReport)]
