"""README's own commands, as they stand there: what a newcomer types first must work."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from cli.running import COMMAND, environment

README = Path(__file__).parents[2] / "README.md"


def blocks(after: str, language: str = "") -> list[str]:
    """Return the code blocks of the section under the heading *after*."""
    section = README.read_text().split(f"\n## {after}\n")[1].split("\n## ")[0]
    return [text for name, text in re.findall(r"```(\w*)\n(.*?)```", section, re.S)
            if name == language]  # fmt: skip


def test_the_quick_start_does_what_it_says(tmp_path: Path):
    commands, shown = blocks("Quick start")
    program = blocks("Quick start", "python")[0]
    assert commands.count("\nfillbook ") == 5
    prelude = f'set -e\nfillbook() {{ {shlex.join(COMMAND)} "$@"; }}\n'

    done = subprocess.run(
        ["bash", "-c", prelude + commands],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    read = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    for line in shown.splitlines():
        assert line in lines
    assert "sber.ledger: whole" in lines
    assert (read.stdout, read.stderr) == ("SBER 6 275.4 -0.55\n", "")
