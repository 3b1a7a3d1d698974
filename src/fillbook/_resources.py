"""Find the two folders that ship beside the code: `ledger/` and `migrations/`.

They are read or executed by path, never imported.  In a checkout the checkout's own folders win,
because an editable install keeps a copy that was current only on the day it was made; anywhere else
the copy inside the installed package is the one.
"""

from pathlib import Path

__all__ = ["ledger_path", "migrations_path"]


def ledger_path() -> Path:
    """Return the folder with FORMAT.md, the event schemas, the golden ledgers and the witness."""
    return _folder("ledger")


def migrations_path() -> Path:
    """Return the folder with the numbered steps for tables and indexes."""
    return _folder("migrations")


def _folder(name: str) -> Path:
    package = Path(__file__).resolve().parent
    root = _checkout(package)
    path = package / f"_{name}" if root is None else root / name
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path} is missing, so this copy of fillbook is incomplete: install it again"
        )
    return path


def _checkout(package: Path) -> Path | None:
    """Return the root of the checkout that *package* runs from, None where it is installed."""
    root = package.parent.parent
    is_checkout = (
        package.parent.name == "src"
        and (root / "pyproject.toml").is_file()
        and (root / "ledger").is_dir()
    )
    return root if is_checkout else None
