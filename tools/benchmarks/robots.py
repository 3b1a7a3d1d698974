"""Figures about a running robot: a thousand open orders, and how soon a fill is known."""

import time
from statistics import quantiles

from benchmarks.appends import Pair, bare_commit
from benchmarks.children import run_child
from benchmarks.ledgers import drafts
from benchmarks.measure import Figure, Result, Settings

__all__ = ["FIGURES"]

_CORE_SHARE = 0.25
_MOST_KIB = 150 * 1024
_CALLS_A_SECOND = 50


def _p99(times: list[float]) -> float:
    return quantiles(times, n=100)[98]


def bare_commits(settings: Settings, count: int) -> list[float]:
    """Commit *count* prepared rows one by one, WAL and synchronous=FULL."""
    pair = Pair(settings.folder)
    times = []
    try:
        for draft in drafts(1, count):
            pair.append((draft,))
            times.append(bare_commit(pair.bare, pair.insert, pair.rows[0]))
    finally:
        pair.close()
    return times


def _fill(settings: Settings) -> Result:
    """Measure fills in chunks, in turns with as many bare commits."""
    chunks, size = settings.size(10, 1), settings.size(100, 30)
    ours: list[float] = []
    baseline: list[float] = []
    for number in range(chunks):
        path = settings.folder / f"robot-{number}.ledger"
        ours += run_child("stream_fills", path, size)["seconds"]
        baseline += bare_commits(settings, size)
    mine, bare = _p99(ours) * 1e6, _p99(baseline) * 1e6
    return Result(
        ours=mine, baseline=bare, count=len(ours), baseline_count=len(baseline),
        met=mine <= 5 * bare,
        note=f"p99 of {len(ours)} fills, from the stream's thread to the callback; p50 "
        f"{quantiles(ours, n=2)[0] * 1e6:.0f} against {quantiles(baseline, n=2)[0] * 1e6:.0f} µs",
    )  # fmt: skip


def idle_core(seconds: float) -> float:
    """Do nothing for so long, on one core."""
    time.sleep(seconds)
    return seconds


def _thousand(settings: Settings) -> Result:
    orders, seconds = settings.size(1000, 20), settings.size(60, 2)
    path = settings.folder / "robot-thousand.ledger"
    told = run_child("open_orders_robot", path, orders, seconds, _CALLS_A_SECOND)
    share = told["cpu_s"] / told["wall_s"]
    is_met = (
        share < _CORE_SHARE
        and told["peak_kib"] < _MOST_KIB
        and told["most_calls_in_a_second"] <= _CALLS_A_SECOND
    )
    return Result(
        ours=share * 100, baseline=100.0, count=told["open"], baseline_count=orders, met=is_met,
        note=f"{told['calls']} look-ups in {told['wall_s']:.0f} s, at most "
        f"{told['most_calls_in_a_second']} in a second of {_CALLS_A_SECOND} allowed; peak "
        f"{told['peak_kib'] / 1024:.0f} MiB of 150",
    )  # fmt: skip


FIGURES = (
    Figure(
        name="robot-fill",
        what="p99 from a fill on the stream to the callback, durable, against a bare commit's p99",
        unit="µs",
        goal="<= 5",
        baselines=(bare_commit, bare_commits),
        measure=_fill,
    ),
    Figure(
        name="robot-1000-open",
        what="CPU of a robot that polls 1,000 open orders one by one, against one core",
        unit="% of a core",
        goal="< 25 %",
        baselines=(idle_core,),
        measure=_thousand,
    ),
)
