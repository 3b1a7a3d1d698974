"""The shipped folders are found in a checkout and in an installed package."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from fillbook import _resources


def test_a_checkout_uses_its_own_folders(tmp_path):
    """An editable install keeps a copy that was current only on the day it was made."""
    folders("ledger", "migrations", "src/fillbook/_ledger", "src/fillbook/_migrations", at=tmp_path)
    (tmp_path / "pyproject.toml").touch()
    resources = resources_in(tmp_path / "src" / "fillbook")

    assert resources.ledger_path() == tmp_path / "ledger"
    assert resources.migrations_path() == tmp_path / "migrations"


def test_an_installed_package_uses_what_it_brought(tmp_path):
    package = tmp_path / "site-packages" / "fillbook"
    folders("_ledger", "_migrations", at=package)
    resources = resources_in(package)

    assert resources.ledger_path() == package / "_ledger"
    assert resources.migrations_path() == package / "_migrations"


def test_a_folder_called_src_is_not_yet_a_checkout(tmp_path):
    """Someone may vendor the package: their `src` and pyproject.toml are not ours."""
    package = tmp_path / "src" / "fillbook"
    folders("_ledger", at=package)
    (tmp_path / "pyproject.toml").touch()

    assert resources_in(package).ledger_path() == package / "_ledger"


def test_an_incomplete_installation_says_so(tmp_path):
    package = tmp_path / "site-packages" / "fillbook"
    folders("_ledger", at=package)

    with pytest.raises(FileNotFoundError, match=r"_migrations is missing.*install it again"):
        resources_in(package).migrations_path()


def folders(*names: str, at: Path) -> None:
    for name in names:
        (at / name).mkdir(parents=True)


def resources_in(package: Path) -> ModuleType:
    """Return the module as it behaves where a copy of it lies in *package*."""
    copy = shutil.copy(_resources.__file__, package / "_resources.py")
    spec = importlib.util.spec_from_file_location("a_copy_of_resources", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
