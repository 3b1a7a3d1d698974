"""Hold one figure against its baseline: measured in turns, judged by medians.

A machine that is busy slows both sides down; taken in turns, in one run, their ratio stays.  A
baseline must have done the same work, so both sides count what they did, and a figure whose counts
differ is an error and not a result.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from attrs import frozen

__all__ = ["Figure", "Result", "Settings", "Turns", "take_turns"]


@frozen
class Settings:
    """How large, and where.

    Attributes:
        quick: Sizes for a smoke test; the times mean nothing then.
        folder: Where ledgers and logs are made.
    """

    quick: bool
    folder: Path

    def size(self, full: int, quick: int) -> int:
        """Return the size to measure with."""
        return quick if self.quick else full


@frozen(kw_only=True)
class Turns:
    """What the turns of both sides took, in seconds, and what each of them did."""

    ours: tuple[float, ...]
    baseline: tuple[float, ...]
    count: int
    baseline_count: int


@frozen(kw_only=True)
class Result:
    """What a figure came to.

    Attributes:
        ours, baseline: In the figure's unit.
        count, baseline_count: How much work each side did; they are equal.
        met: None where there is no goal.
        note: What a reader should know beside the numbers.
    """

    ours: float
    baseline: float
    count: int
    baseline_count: int
    met: bool | None
    note: str = ""

    @property
    def ratio(self) -> float:
        """Ours by the baseline."""
        return self.ours / self.baseline


@frozen(kw_only=True)
class Figure:
    """One figure.

    Attributes:
        what: What is measured, against what.
        goal: As a reader should see it; empty where there is none.
        baselines: The code of the other side, for `--show-baseline`.
        measure: Measures it.
    """

    name: str
    what: str
    unit: str
    goal: str
    baselines: tuple[Callable[..., Any], ...]
    measure: Callable[[Settings], Result]


def take_turns(
    ours: Callable[[], tuple[float, int]],
    baseline: Callable[[], tuple[float, int]],
    turn_count: int,
) -> Turns:
    """Run both sides in turns; each returns the seconds it took and the work it did.

    What a side has to prepare it prepares before its own clock starts.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    done = [0, 0]
    for _ in range(turn_count):
        for which, side in enumerate((ours, baseline)):
            seconds, count = side()
            taken[which].append(seconds)
            done[which] += count
    assert done[0] == done[1] > 0, f"ours did {done[0]}, the baseline {done[1]}"
    return Turns(
        ours=tuple(taken[0]), baseline=tuple(taken[1]), count=done[0], baseline_count=done[1]
    )


def by_time(turns: Turns, *, per: float, at_most: float | None, note: str = "") -> Result:
    """Judge by the median time of a turn, times *per* (1e6 for µs of a turn); smaller is better."""
    ours, baseline = (median(side) * per for side in (turns.ours, turns.baseline))
    return Result(
        ours=ours,
        baseline=baseline,
        count=turns.count,
        baseline_count=turns.baseline_count,
        met=None if at_most is None else ours <= baseline * at_most,
        note=note,
    )


def by_rate(turns: Turns, *, of: int, at_least: float, note: str = "") -> Result:
    """Judge by how many of the *of* things in a turn are done a second; greater is better."""
    ours, baseline = (of / median(side) for side in (turns.ours, turns.baseline))
    return Result(
        ours=ours,
        baseline=baseline,
        count=turns.count,
        baseline_count=turns.baseline_count,
        met=ours >= baseline * at_least,
        note=note,
    )


def spread(times: Sequence[float]) -> str:
    """Return the quickest and the slowest turn, in ms."""
    return f"{min(times) * 1e3:.3g} to {max(times) * 1e3:.3g} ms"
