"""No tracked file names a package registry: where files come from is the installer's own business.

A lock with a host in it would send every user there, whatever mirror they are told to use.
"""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# In parts, so that this file is not the one that names them.
HOSTS = [
    name + "." + domain
    for name, domain in [
        ("pypi", "org"),
        ("pypi.python", "org"),
        ("pythonhosted", "org"),
        ("anaconda", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("proxy.golang", "org"),
        ("rubygems", "org"),
        ("docker", "io"),
        ("quay", "io"),
        ("ghcr", "io"),
    ]
]


def test_no_tracked_file_names_a_registry():
    read, found = 0, []
    for path in tracked_files():
        read += 1
        found += [f"{path.relative_to(ROOT)}: {host}" for host in hosts_in(path.read_bytes())]

    assert read > 20, "hardly a file was read, so nothing was shown"
    assert found == []


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_would_be_found(host):
    """A search that cannot find anything would also pass."""
    assert host in hosts_in(f"--index-url https://files.{host.upper()}/simple\n".encode())


def hosts_in(content: bytes) -> list[str]:
    lowered = content.lower()
    return [host for host in HOSTS if host.encode() in lowered]


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists():  # an unpacked archive: the tracked files and what grew since
        return walk(ROOT)
    # Whoever owns the checkout, it may be listed.
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / os.fsdecode(name) for name in listing.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file()]  # one may be deleted and not yet committed


def walk(folder: Path) -> list[Path]:
    grown = {".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "__pycache__"}
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in grown]
        found += [Path(place) / name for name in names]
    return found
