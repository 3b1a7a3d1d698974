"""Figures about whole processes: importing a FIX log, exporting a ledger, starting at all."""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.children import bare_bodies, environment, run_child
from benchmarks.fixday import MIX, write_fix_day
from benchmarks.measure import Figure, Result, Settings, by_rate, by_time, take_turns
from benchmarks.replays import MOST_KIB, large_ledger
from benchmarks.simplefix_parse import simplefix_parse
from fillbook.wiring import open_reader

__all__ = ["FIGURES"]

_COMMAND = (sys.executable, "-c", "from fillbook.cli import main; main()")
_TIMEOUT_S = 1800


def _import(settings: Settings) -> Result:
    count = settings.size(100_000, 500)
    log = settings.folder / "day.fix"
    with log.open("wb") as file:
        types = write_fix_day(file, 1, count)
    ledger = settings.folder / "imported.ledger"
    summaries: list[dict[str, Any]] = []

    def ours() -> tuple[float, int]:
        for old in settings.folder.glob(f"{ledger.name}*"):
            old.unlink()
        seconds, output = _run(*_COMMAND, "import", str(log), "--ledger", str(ledger), "--json")
        summaries.append(json.loads(output))
        return seconds, summaries[-1]["messages"] + types.get("0", 0)

    def baseline() -> tuple[float, int]:
        script = Path(sys.modules[simplefix_parse.__module__].__file__ or "")
        seconds, output = _run(sys.executable, str(script), str(log))
        return seconds, int(output)

    turns = take_turns(ours, baseline, settings.size(5, 2))
    summary = summaries[-1]
    assert turns.count == count * len(turns.ours), (turns.count, types)
    recorded = summary["outcomes"]["RECORDED"]
    assert recorded >= 0.8 * count, summary
    with open_reader(str(ledger)) as reader:
        ((orders,),) = reader.fetch("SELECT count(*) FROM events WHERE type = 'order.submitted'")
    assert orders >= count // 20, orders
    note = (
        f"{median(turns.ours):.2f} s against {median(turns.baseline):.2f} s; {orders:,} orders, "
        f"{recorded / count:.1%} of the messages recorded, {log.stat().st_size / count:.0f} bytes "
        f"each; {MIX}"
    )
    return by_rate(turns, of=count, at_least=1.0, note=note)


def _export(settings: Settings, form: str) -> Result:
    path, _ = large_ledger(settings)
    target = settings.folder / f"export.{form}"
    arguments = ["export", "--ledger", str(path), "--format", form]
    if form == "csv":
        folder = settings.folder / "export.csv.d"
        arguments += ["--out", str(folder)]
    ours = run_child("command", target, *arguments)
    assert ours["status"] == 0, (arguments, ours)
    baseline = run_child("bare_bodies", path, settings.folder / "bodies.jsonl")
    return Result(
        ours=ours["peak_kib"] / 1024,
        baseline=baseline["peak_kib"] / 1024,
        count=baseline["count"],
        baseline_count=baseline["count"],
        met=ours["peak_kib"] <= MOST_KIB,
        note=f"{ours['seconds']:.2f} s against {baseline['seconds']:.2f} s",
    )


def bare_python() -> float:
    """Start the interpreter and do nothing."""
    seconds, _ = _run(sys.executable, "-c", "pass")
    return seconds


def _start(settings: Settings) -> Result:
    turns = take_turns(
        lambda: (_run(*_COMMAND, "--version")[0], 1),
        lambda: (bare_python(), 1),
        settings.size(21, 2),
    )
    return by_time(turns, per=1e3, at_most=None, note="whole processes")


def _run(*command: str) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_TIMEOUT_S, env=environment()
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{command[-1]}: {done.stderr.strip()[-2000:]}")
    return seconds, done.stdout


FIGURES = (
    Figure(
        name="import-fix",
        what="`fillbook import` of a FIX log at strict against simplefix merely parsing it",
        unit="messages/s",
        goal=">= 1",
        baselines=(simplefix_parse,),
        measure=_import,
    ),
    Figure(
        name="export-events-memory",
        what="peak memory of `fillbook export --format events` against writing out every body",
        unit="MiB",
        goal="<= 64 MiB",
        baselines=(bare_bodies,),
        measure=lambda settings: _export(settings, "events"),
    ),
    Figure(
        name="export-csv-memory",
        what="peak memory of `fillbook export --format csv` against writing out every body",
        unit="MiB",
        goal="<= 64 MiB",
        baselines=(bare_bodies,),
        measure=lambda settings: _export(settings, "csv"),
    ),
    Figure(
        name="start",
        what="`fillbook --version` against `python -c pass`",
        unit="ms",
        goal="",
        baselines=(bare_python,),
        measure=_start,
    ),
)
