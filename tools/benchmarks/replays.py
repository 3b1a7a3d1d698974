"""Figures about a ledger of a million events: replaying all of it, and coming back to its end.

Every turn is a fresh process, so neither side is helped or hurt by what ran before.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.children import bare_select, replay, run_child
from benchmarks.ledgers import MIX
from benchmarks.measure import Figure, Result, Settings, by_rate, by_time, take_turns

__all__ = ["FIGURES", "large_ledger"]

MOST_KIB = 64 * 1024


def large_ledger(settings: Settings) -> tuple[Path, str]:
    """Return the ledger of a million events, made where it is missing, and what is in it."""
    count, tail = settings.size(1_000_000, 2000), settings.size(10_000, 200)
    path = settings.folder / f"large-{count}.ledger"
    if not path.exists():
        making = path.with_suffix(".making")
        run_child("build", making, count, tail)
        for beside in settings.folder.glob(f"{making.name}*"):
            beside.rename(str(beside).replace(making.name, path.name))
    return path, f"{count:,} events: {MIX}"


def _replay(settings: Settings) -> Result:
    path, mix = large_ledger(settings)
    answers: dict[str, list[dict[str, Any]]] = {"replay": [], "bare_select": []}
    turns = take_turns(
        _in_child("replay", path, answers),
        _in_child("bare_select", path, answers),
        settings.size(5, 2),
    )
    last = answers["replay"][-1]
    note = f"{mix}; {last['positions']} positions, {last['open']:,} orders open at the end"
    count = last["count"]
    return by_rate(turns, of=count, at_least=0.5, note=note)


def _replay_memory(settings: Settings) -> Result:
    path, mix = large_ledger(settings)
    ours, baseline = run_child("replay", path), run_child("bare_select", path)
    return Result(
        ours=ours["peak_kib"] / 1024,
        baseline=baseline["peak_kib"] / 1024,
        count=ours["count"],
        baseline_count=baseline["count"],
        met=ours["peak_kib"] <= MOST_KIB,
        note=f"peak of the whole process, interpreter and imports included; {mix}",
    )


def _recovery(settings: Settings) -> Result:
    path, _ = large_ledger(settings)
    answers: dict[str, list[dict[str, Any]]] = {"recovery": [], "replay": []}
    turns = take_turns(
        _in_child("recovery", path, answers),
        _in_child("replay", path, answers),
        settings.size(5, 2),
    )
    states = {answer["state"] for side in answers.values() for answer in side}
    assert len(states) == 1, "the snapshot and its tail lead to another book than the whole log"
    note = f"the snapshot and {answers['recovery'][-1]['tail']:,} events lead to the same book"
    return by_time(turns, per=1e3, at_most=1 / 20, note=note)


def _in_child(
    name: str, path: Path, answers: dict[str, list[dict[str, Any]]]
) -> Callable[[], tuple[float, int]]:
    def turn() -> tuple[float, int]:
        answer = run_child(name, path)
        answers[name].append(answer)
        return answer["seconds"], answer["count"]

    return turn


FIGURES = (
    Figure(
        name="replay",
        what="replay of the whole log with fold against a bare SELECT loop over the same columns",
        unit="events/s",
        goal=">= 0.5",
        baselines=(bare_select,),
        measure=_replay,
    ),
    Figure(
        name="replay-memory",
        what="peak memory of that replay against that of the bare loop",
        unit="MiB",
        goal="<= 64 MiB",
        baselines=(bare_select,),
        measure=_replay_memory,
    ),
    Figure(
        name="recovery",
        what="recovery from the snapshot and the events after it against a full replay",
        unit="ms",
        goal="<= 1/20",
        baselines=(replay,),
        measure=_recovery,
    ),
)
