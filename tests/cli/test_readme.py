"""The commands and programs of README, as they stand there: what a newcomer types must work."""

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from cli.running import COMMAND, Done, environment

README = Path(__file__).parents[2] / "README.md"
PRELUDE = f'set -e\nfillbook() {{ {shlex.join(COMMAND)} "$@"; }}\n'


def blocks(after: str, language: str = "", page: Path = README) -> list[str]:
    """Return the code blocks of the section under the heading *after*."""
    section = page.read_text().split(f"\n## {after}\n")[1].split("\n## ")[0]
    return [text for name, text in re.findall(r"```(\w*)\n(.*?)```", section, re.S)
            if name == language]  # fmt: skip


def shell(commands: str, folder: Path) -> Done:
    done = subprocess.run(
        ["bash", "-c", PRELUDE + commands],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def test_the_quick_start_does_what_it_says(tmp_path: Path):
    [program] = blocks("Quick start", "python")
    [commands] = blocks("Quick start")
    assert commands.count("fillbook ") == 3
    assert len(program.splitlines()) <= 15

    for held in ("100", "200"):
        read = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (read.returncode, read.stderr) == (0, "")
        order, position = read.stdout.splitlines()
        assert order.startswith("FILLED 100 27")
        assert position.startswith(f"{held} 27")

    done = shell(commands, tmp_path)
    assert (done.status, done.err) == (0, "")
    assert "sber.ledger: whole" in done.out.splitlines()
    assert done.out.count("FILLED") >= 2

    [commands] = blocks("Book and broker")
    done = shell(commands, tmp_path)
    assert (done.status, done.err) == (0, "")
    assert "agree on 1 position" in " ".join(done.out.split())


def test_a_robot_that_stays_is_operated_from_another_terminal(tmp_path: Path):
    [program] = blocks("A robot that stays", "python")
    [commands] = blocks("A robot that stays")
    assert shell("fillbook init", tmp_path).status == 0
    robot = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while "1 open" not in shell("fillbook status || true", tmp_path).out:
            assert time.monotonic() < deadline
        done = shell(commands, tmp_path)
        robot.terminate()
        out, _ = robot.communicate(timeout=30)
    finally:
        robot.kill()
        robot.wait()

    assert (done.status, done.err) == (0, "")
    assert "TRADING" in done.out
    assert "everything is halted: the robot has it on record" in done.out
    assert "everything is halted no more" in done.out
    assert "1 cancel asked of the broker" in done.out
    assert (robot.returncode, out) == (0, "stopped by SIGTERM\n")


def test_a_day_that_was_traded_elsewhere_goes_in(tmp_path: Path):
    [commands] = blocks("A day in JSON lines", page=README.parent / "docs/recipes/README.md")

    done = shell(commands, tmp_path)

    assert (done.status, done.err) == (0, "")
    assert re.search(r"R-1 .*CANCELED .*10 .*6 .*275\.4 .*INFERRED", done.out)


def test_it_names_every_verb_and_every_page():
    from fillbook.cli import _VERBS

    section = README.read_text().split("\n## The command\n")[1].split("\n## ")[0]
    assert set(_VERBS) <= set(re.findall(r"`([a-z-]+)", section))
    for link in re.findall(r"\]\(([^)]+)\)", README.read_text()):
        assert (README.parent / link).exists(), link
    for page in (README.parent / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in README.read_text(), page
