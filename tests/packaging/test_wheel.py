"""The built wheel, installed in an environment of its own, does the main job without the checkout.

Nothing is fetched: the wheel is built with the tools of this environment, and the dependencies are
lent from it by one line in a .pth file.  The package itself may only come from the wheel, and that
is checked.
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120

pytestmark = pytest.mark.slow

A_DAY = [
    {
        "kind": "order",
        "client_order_id": "R-1",
        "instrument_id": "SBER",
        "side": "BUY",
        "order_qty": "10",
        "order_type": "LIMIT",
        "limit_px": "101.5",
        "ts_event": "2026-03-13T07:00:00.100Z",
    },
    {
        "kind": "report",
        "client_order_id": "R-1",
        "venue_order_id": "V-9",
        "instrument_id": "SBER",
        "side": "BUY",
        "exec_type": "TRADE",
        "order_status": "PARTIALLY_FILLED",
        "order_qty": "10",
        "cum_qty": "4",
        "leaves_qty": "6",
        "last_qty": "4",
        "last_px": "101.4",
        "exec_id": "E-1",
        "trade_id": "T-1",
        "ts_event": "2026-03-13T07:00:00.250Z",
    },
]


@dataclass(frozen=True)
class Installed:
    """An environment that holds fillbook from the wheel and sees the dependencies from outside."""

    folder: Path

    def run(self, *command: str, text: str = "") -> str:
        """Run a command of the environment and return what it prints; it has to succeed."""
        # What leads Python elsewhere is left out, and so is the way to this environment's commands.
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PATH"))}
        done = subprocess.run(
            [self.folder / "venv" / "bin" / command[0], *command[1:]],
            input=text,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=variables | {"PATH": os.defpath},
            timeout=TIMEOUT_S,
        )
        assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Installed:
    missing = missing_dependencies(wheel)
    assert not missing, f"this environment cannot lend {missing}: run ./tools/run test to set it up"

    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=False)
    python = str(folder / "venv" / "bin" / "python")
    pip("--python", python, "install", str(wheel))

    paths = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    purelib = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    # A path named by a .pth file comes last and has its own .pth files ignored: an editable
    # fillbook in this environment stays out of sight.
    lent = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    (purelib / "lent.pth").write_text("".join(f"{path}\n" for path in lent))
    return Installed(folder)


def test_the_wheel_holds_code_ledger_migrations_and_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    packed = set(names)

    for folder, inside in [
        ("src/fillbook", "fillbook"),
        ("ledger", "fillbook/_ledger"),
        ("migrations", "fillbook/_migrations"),
    ]:
        expected = {f"{inside}/{name}" for name in files_below(ROOT / folder)}
        assert expected, f"{folder} is empty, so nothing was shown"
        assert sorted(expected - packed) == []
    assert "fillbook/py.typed" in packed
    assert [name for name in names if name.endswith("/licenses/LICENSE")]
    assert [name for name in names if not name.startswith(("fillbook/", "fillbook-"))] == []
    assert [name for name in names if "__pycache__" in name] == []


def test_the_package_comes_from_the_wheel(installed):
    printed = installed.run(
        "python",
        "-c",
        "import fillbook, fillbook._resources as r\n"
        "print(fillbook.__file__, r.ledger_path(), r.migrations_path(), sep='\\n')",
    )

    assert len(printed.splitlines()) == 3
    for path in map(Path, printed.splitlines()):
        assert path.is_relative_to(installed.folder / "venv"), path
        assert path.exists()


def test_the_command_says_its_version(installed, wheel):
    assert version_in(wheel) in installed.run("fillbook", "--version")


def test_a_day_goes_in_and_its_order_and_position_come_out(installed):
    day = "".join(json.dumps(message) + "\n" for message in A_DAY)
    ledger = ["--ledger", "smoke.ledger"]

    installed.run("fillbook", "import", "-", "--format", "jsonl", *ledger, text=day)
    [order] = json.loads(installed.run("fillbook", "orders", *ledger, "--json"))
    [position] = json.loads(installed.run("fillbook", "positions", *ledger, "--json"))
    installed.run("fillbook", "verify", *ledger)

    assert (installed.folder / "smoke.ledger").is_file()
    assert (
        order
        | {
            "client_order_id": "R-1",
            "client_order_ids": ["R-1"],
            "venue_order_ids": ["V-9"],
            "order_status": "PARTIALLY_FILLED",
            "order_qty": "10",
            "cum_qty": "4",
            "leaves_qty": "6",
            "avg_px": "101.4",
            "origin": "ROBOT",
            "is_open": True,
            "flags": [],
        }
        == order
    )
    assert (
        position
        | {
            "account_id": "default",
            "instrument_id": "SBER",
            "position_qty": "4",
            "avg_px": "101.4",
            "realized_pnl_gross": "0",
            "commissions": {},
            "trade_count": 1,
        }
        == position
    )


def pip(*arguments: str) -> None:
    """Run pip without the network and without looking at dependencies."""
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *arguments]
    done = subprocess.run(
        [*command, "--no-index", "--no-deps"], capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def missing_dependencies(wheel: Path) -> list[str]:
    """Return what the wheel needs here and this environment has not, with what it has instead."""
    missing = []
    for text in fields_of(wheel).get_all("Requires-Dist", []):
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            held = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(f"{requirement.name} (not installed)")
            continue
        if not requirement.specifier.contains(held, prereleases=True):
            missing.append(f"{requirement.name}{requirement.specifier} (installed is {held})")
    return missing


def version_in(wheel: Path) -> str:
    return fields_of(wheel)["Version"]


def fields_of(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return HeaderParser().parsestr(archive.read(name).decode())


def files_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
