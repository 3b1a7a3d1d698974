"""The command `tools/bench`: measure, and print a table for people or JSON for machines."""

import argparse
import inspect
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks import appends, books, imports, reconciles, replays, robots
from benchmarks.measure import Figure, Result, Settings
from fillbook.log._sqlite import MODULE, VERSION

__all__ = ["main"]

FIGURES: tuple[Figure, ...] = (
    *appends.FIGURES, *replays.FIGURES, *books.FIGURES, *robots.FIGURES,
    *reconciles.FIGURES, *imports.FIGURES
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 1 where a goal is missed at full size."""
    options = _parser().parse_args(arguments)
    chosen = [figure for figure in FIGURES if not options.only or figure.name in options.only]
    if options.list:
        for figure in FIGURES:
            print(f"{figure.name:22} {figure.goal:10} {figure.what}")
        return 0
    if options.show_baseline:
        (figure,) = (each for each in FIGURES if each.name == options.show_baseline)
        print("\n\n".join(inspect.getsource(each) for each in figure.baselines), end="")
        return 0
    if options.ledger_dir is None:
        with tempfile.TemporaryDirectory(prefix="fillbook-bench-") as folder:
            results = _measure(chosen, Settings(options.quick, Path(folder)))
    else:
        options.ledger_dir.mkdir(parents=True, exist_ok=True)
        results = _measure(chosen, Settings(options.quick, options.ledger_dir))
    if options.json:
        rows = ",\n".join(json.dumps(_row(*each), ensure_ascii=False) for each in results)
        print(f"[\n{rows}\n]")
    else:
        _print_table(results, options.quick)
    missed = any(result.met is False for _, result in results)
    return 1 if missed and not options.quick else 0


def _parser() -> argparse.ArgumentParser:
    names = [figure.name for figure in FIGURES]
    parser = argparse.ArgumentParser(
        prog="tools/bench",
        description="Measure fillbook in turns with a baseline for each figure, in one run.",
        epilog="What each figure means: docs/performance.md.  Exit status 1: a goal is missed.",
    )
    parser.add_argument("--json", action="store_true", help="a JSON array, one object a figure")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME",
                        help="only this figure (may be repeated)")  # fmt: skip
    parser.add_argument("--quick", action="store_true",
                        help="small sizes: shows that it works, times mean nothing")  # fmt: skip
    parser.add_argument("--show-baseline", choices=names, metavar="NAME",
                        help="print the code of the other side and stop")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--ledger-dir", type=Path, metavar="DIR",
                        help="keep what is made here; the ledger of a million events is made "
                        "once")  # fmt: skip
    return parser


def _measure(chosen: Iterable[Figure], settings: Settings) -> list[tuple[Figure, Result]]:
    results = []
    for figure in chosen:
        print(f"{figure.name}: {figure.what}", file=sys.stderr, flush=True)
        results.append((figure, figure.measure(settings)))
    return results


def _row(figure: Figure, result: Result) -> dict[str, object]:
    return {
        "name": figure.name,
        "ours": _rounded(result.ours),
        "baseline": _rounded(result.baseline),
        "unit": figure.unit,
        "ratio": _rounded(result.ratio),
        "goal": figure.goal or None,
        "met": result.met,
        "what": figure.what,
        "count": result.count,
        "baseline_count": result.baseline_count,
        "note": result.note,
    }


def _rounded(value: float) -> float:
    """Return *value* with four digits: more would be noise."""
    return float(f"{value:.4g}")


def _print_table(results: Sequence[tuple[Figure, Result]], quick: bool) -> None:
    print(f"{'figure':22}{'ours':>12}{'baseline':>12}  {'unit':12}{'ratio':>8}  {'goal':10}")
    for figure, result in results:
        verdict = {None: "", True: "met", False: "MISSED"}[result.met]
        print(
            f"{figure.name:22}{_short(result.ours):>12}{_short(result.baseline):>12}  "
            f"{figure.unit:12}{result.ratio:>8.3g}  {figure.goal:10} {verdict}"
        )
    print()
    for figure, result in results:
        print(f"{figure.name}: {figure.what}\n    {result.note}")
    print(f"\nsqlite {VERSION} ({MODULE}), Python {sys.version.split()[0]}")
    if quick:
        print("quick: the sizes are too small for the times to mean anything")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
