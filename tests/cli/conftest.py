"""A small day's ledger, imported once and copied for each test."""

import shutil
from pathlib import Path

import pytest

from cli.running import day, jsonl, run


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the ledger of `day()` and all that lies beside it; nobody writes here."""
    folder = tmp_path_factory.mktemp("day")
    done = run("import", "-", "--ledger", folder / "sber.ledger", stdin=jsonl(day()))
    assert done.status == 0
    return folder


@pytest.fixture
def ledger(imported: Path, tmp_path: Path) -> Path:
    shutil.copytree(imported, tmp_path, dirs_exist_ok=True)
    return tmp_path / "sber.ledger"
