"""`tools/run` sets up from nothing but Python, once, and says plainly what the machine lacks.

It runs in a copy of the checkout's few files that it reads, with stand-ins for the interpreter and
for what an environment holds, so nothing is fetched and the real environment is not touched.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Not the interpreter of an environment: the script would look for the one behind it.
PYTHON = sys._base_executable

# Behaves as an environment's tools do, except that it only notes that it was called, and fails when
# a file says so.
TOOL = """\
#!/bin/sh
name=${0##*/}
echo "$name $*" >>"$LOG"
echo "output of $name${FILLBOOK_COMMAND:+, to be called $FILLBOOK_COMMAND}"
case " $FAILING " in *" $name "*) exit 3 ;; esac
"""


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout, in a folder with a space in its name, that nothing was set up in."""
    root = tmp_path / "a checkout"
    shutil.copytree(ROOT / "tools" / "locks", root / "tools" / "locks")
    shutil.copy(ROOT / "tools" / "run", root / "tools" / "run")
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


@pytest.fixture
def interpreter(tmp_path) -> Path:
    """An interpreter whose environments hold only tools that note their calls."""
    tool = a_script(tmp_path / "tool", TOOL)
    return a_script(
        tmp_path / "python-with-stand-ins",
        f"""\
        #!/bin/sh
        if [ "$1 $2 $3" != "-m venv --clear" ]; then exec '{PYTHON}' "$@"; fi
        echo "venv" >>"$LOG"
        rm -rf "$4" && mkdir -p "$4/bin" && cd "$4/bin" || exit 1
        for name in python ruff mypy pytest fillbook; do cp '{tool}' "$name"; done
        """,
    )


def test_without_ensurepip_it_names_the_debian_packages(checkout, tmp_path):
    """Debian ships the venv module, and its pip half only with python3-venv."""
    without = tmp_path / "without"
    without.mkdir()
    (without / "ensurepip.py").write_text("raise ModuleNotFoundError('No module named ensurepip')")

    done = run(checkout, "venv", python=python_that_sees(without))

    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "python3-venv" in line
    assert "python3-pip" in line
    assert not (checkout / ".venv").exists()


def test_an_old_python_is_refused_with_its_version(checkout, tmp_path):
    older = tmp_path / "older"
    older.mkdir()
    (older / "sitecustomize.py").write_text(
        "import sys\nsys.version_info = (3, 10, 12, 'final', 0)\n"
    )

    done = run(checkout, "test", python=python_that_sees(older))

    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "3.10.12" in line
    assert "3.11 or later" in line


def test_no_python_at_all_is_said(checkout, tmp_path):
    done = run(checkout, "venv", python=tmp_path / "nowhere" / "python3")

    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "install Python 3.11 or later" in line


@pytest.mark.parametrize("arguments", [[], ["deploy"]])
def test_an_unknown_command_shows_the_usage(checkout, arguments):
    done = run(checkout, *arguments)

    assert done.returncode == 2
    assert done.stderr.startswith("usage: ./tools/run demo")


def test_the_demo_installs_by_hash_and_nothing_for_developers(checkout, interpreter):
    done = run(checkout, "demo", "--seed", "7", python=interpreter)

    assert done.returncode == 0, done.stderr
    made, pip_there, locked, package, demo = calls(checkout)
    assert made == "venv"
    assert pip_there == "python -m pip --version"
    assert "--require-hashes" in locked
    assert "requirements.lock" in locked
    assert "requirements-build.lock" in locked
    assert "requirements-dev.lock" not in locked
    assert "--editable" in package
    assert "--no-deps --no-build-isolation" in package
    assert demo == "fillbook demo --seed 7"
    path = checkout / ".venv" / "bin" / "fillbook"
    assert done.stdout.splitlines()[-1] == f"output of fillbook, to be called {path}"


def test_in_the_checkout_the_command_has_a_short_name(checkout, interpreter):
    done = run(checkout, "demo", python=interpreter, cwd=checkout)

    assert done.stdout.endswith("output of fillbook, to be called .venv/bin/fillbook\n")


def test_what_is_set_up_is_not_set_up_again(checkout, interpreter):
    run(checkout, "demo", python=interpreter)
    run(checkout, "demo", python=interpreter)

    assert calls(checkout)[-2:] == ["fillbook demo", "fillbook demo"]
    assert calls(checkout).count("venv") == 1


def test_testing_adds_to_the_environment_of_the_demo(checkout, interpreter):
    run(checkout, "demo", python=interpreter)
    first = len(calls(checkout))
    run(checkout, "test", "-k", "x", python=interpreter)
    run(checkout, "demo", python=interpreter)

    locked, package, *rest = calls(checkout)[first:]
    assert "requirements-dev.lock" in locked
    assert "--editable" in package
    assert rest == ["pytest -k x", "fillbook demo"]


def test_another_lock_makes_the_environment_anew(checkout, interpreter):
    """What a lock no longer names must not linger in the environment."""
    run(checkout, "demo", python=interpreter)
    with (checkout / "tools/locks/requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    run(checkout, "demo", python=interpreter)

    assert calls(checkout).count("venv") == 2


def test_a_failed_installation_is_tried_again(checkout, interpreter):
    failed = run(checkout, "demo", python=interpreter, failing="python")
    again = run(checkout, "demo", python=interpreter)

    assert failed.returncode == 2
    assert again.returncode == 0
    assert calls(checkout)[-1] == "fillbook demo"


def test_arguments_run_pytest_alone(checkout, interpreter):
    done = run(checkout, "test", "tests/core", "-k", "late fill", python=interpreter)

    assert done.returncode == 0, done.stderr
    assert done.stdout == "output of pytest\n"
    assert calls(checkout)[-1] == "pytest tests/core -k late fill"


def test_everything_runs_and_pytest_speaks_last(checkout, interpreter):
    an_examination(checkout)

    done = run(checkout, "test", python=interpreter)

    assert done.returncode == 0, done.stderr
    command = f"../shared/acceptance/check.py --fillbook '{checkout}/.venv/bin/fillbook' -j 1"
    *before, one, other = calls(checkout)[-5:]
    assert before == [
        "ruff check .",
        "ruff format --check .",
        "mypy --strict src",
    ]
    assert {one, other} == {f"python -B {command} --mutate", "pytest "}  # side by side
    assert "failed" not in done.stdout
    assert done.stdout.splitlines()[-1] == "output of pytest"


@pytest.mark.parametrize("failing", ["ruff", "mypy"])
def test_a_failed_step_is_named_and_the_rest_still_runs(checkout, interpreter, failing):
    run(checkout, "venv", python=interpreter)
    done = run(checkout, "test", python=interpreter, failing=failing)

    assert done.returncode == 1
    assert calls(checkout)[-1] == "pytest "
    *_, summary, _blank, _title, last = done.stdout.splitlines()
    assert summary.startswith("== failed beside pytest:")
    assert failing in summary
    assert last == "output of pytest"


def test_failing_tests_fail_the_run(checkout, interpreter):
    assert run(checkout, "test", python=interpreter, failing="pytest").returncode == 3


def test_missing_acceptance_examples_are_said(checkout, interpreter):
    done = run(checkout, "test", python=interpreter)

    assert done.returncode == 0, done.stderr
    assert "== acceptance skipped: there is no ../shared/acceptance/check.py" in done.stdout


def run(
    checkout: Path,
    *arguments: str,
    python: Path | str = PYTHON,
    failing: str = "",
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the script; tools named in *failing* exit with 3."""
    variables = {k: v for k, v in os.environ.items() if k not in {"ACCEPTANCE", "PYTHONPATH"}}
    variables |= {"PYTHON": str(python), "FAILING": failing, "LOG": str(log_of(checkout))}
    variables |= {"PIP_NO_INDEX": "1"}  # should a real pip ever be reached, it fetches nothing
    return subprocess.run(
        [checkout / "tools" / "run", *arguments],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
    )


def calls(checkout: Path) -> list[str]:
    """Return what was called in the environment, in order."""
    return log_of(checkout).read_text().splitlines()


def log_of(checkout: Path) -> Path:
    return checkout.parent / "calls.log"


def an_examination(checkout: Path) -> None:
    folder = checkout.parent / "shared" / "acceptance"
    folder.mkdir(parents=True)
    (folder / "check.py").touch()


def python_that_sees(folder: Path) -> Path:
    """Return an interpreter that finds the modules in *folder* before its own."""
    return a_script(
        folder / "python3",
        f"""\
        #!/bin/sh
        PYTHONPATH='{folder}' exec '{PYTHON}' "$@"
        """,
    )


def a_script(path: Path, text: str) -> Path:
    path.write_text("".join(line.strip() + "\n" for line in text.splitlines()))
    path.chmod(0o755)
    return path
