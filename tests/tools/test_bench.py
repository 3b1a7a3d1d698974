"""`tools/bench` runs from any folder, with the package not installed, and prints what is asked for.

What it measures means nothing here: the sizes are too small and the machine has other things to do.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "tools" / "bench"
TIMEOUT_S = 240

FIGURES = (
    "append-durable", "append-1000", "append-16-callers", "replay", "replay-memory", "recovery",
    "trigger", "order-100000", "fill-10000", "robot-fill", "robot-1000-open", "reconcile-compare",
    "import-fix", "export-events-memory", "export-csv-memory", "start",
)  # fmt: skip


def bench(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run it where nothing points at the package but its own place."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, str(BENCH), *words],
        capture_output=True, text=True, timeout=TIMEOUT_S, cwd=folder, env=env,
    )  # fmt: skip


@pytest.mark.slow
def test_every_figure_is_measured_beside_its_baseline(tmp_path: Path):
    done = bench(tmp_path, "--quick", "--json")

    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert tuple(row["name"] for row in rows) == FIGURES
    for row in rows:
        name = row["name"]
        assert row["ours"] > 0, name
        assert row["baseline"] > 0, name
        assert row["ratio"] == pytest.approx(row["ours"] / row["baseline"], rel=0.01), name
        assert row["unit"], name
        assert row["count"] == row["baseline_count"] > 0, name
        if row["goal"] is None:
            assert row["met"] is None, name
        else:
            assert isinstance(row["met"], bool), name
    assert sum(row["goal"] is not None for row in rows) >= 12
    assert list(tmp_path.iterdir()) == []


def test_only_what_is_asked_for_is_measured(tmp_path: Path):
    done = bench(tmp_path, "--quick", "--json", "--only", "append-1000")

    assert done.returncode == 0, done.stderr
    assert [row["name"] for row in json.loads(done.stdout)] == ["append-1000"]


def test_the_figures_are_listed(tmp_path: Path):
    done = bench(tmp_path, "--list")

    assert done.returncode == 0, done.stderr
    assert tuple(line.split()[0] for line in done.stdout.splitlines()) == FIGURES


def test_each_baseline_can_be_read(tmp_path: Path):
    """A figure is worth what its other side is; whoever doubts it reads that."""
    for name in FIGURES:
        done = bench(tmp_path, "--show-baseline", name)

        assert done.returncode == 0, done.stderr
        compile(done.stdout, name, "exec")
        assert "def " in done.stdout, name
        assert '"""' in done.stdout, name
