"""The locks hold what pyproject.toml asks for, by version and hash, and agree with each other."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-build.lock"]


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_is_one_version_with_hashes(name):
    entries = locked(name)

    assert len(entries) >= 5
    for requirement, hashes in entries.values():
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), str(requirement)
        assert requirement.url is None
        assert hashes, f"{requirement} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_says_nothing_but_requirements_and_hashes(name):
    """An option or an address in a lock would decide for the user where files come from."""
    for line in (ROOT / "tools/locks" / name).read_text().splitlines():
        words = line.partition("#")[0].split()
        assert "://" not in line
        assert [word for word in words if word.startswith("-") and "--hash=" not in word] == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requirements.lock", ["dependencies"]),
        ("requirements-dev.lock", ["dependencies", "dev", "build"]),
        ("requirements-build.lock", ["build"]),
    ],
)
def test_what_pyproject_asks_for_is_locked(name, wanted):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = {
        "dependencies": project["project"]["dependencies"],
        "dev": project["project"]["optional-dependencies"]["dev"],
        "build": project["dependency-groups"]["build"] + project["build-system"]["requires"],
    }
    requirements = [Requirement(text) for group in wanted for text in asked[group]]
    entries = locked(name)

    assert requirements
    for requirement in requirements:
        held, _ = entries[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version_of(held)), f"{requirement} is not {held}"


def test_the_locks_agree():
    """They are installed into one environment, so a package has one version in all of them."""
    everything = locked("requirements-dev.lock")

    for name in LOCKS:
        for package, (requirement, hashes) in locked(name).items():
            assert package in everything, f"{package} is in {name} only"
            assert version_of(requirement) == version_of(everything[package][0])
            assert hashes == everything[package][1]


def locked(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """Return the entries of a lock by name: the requirement and its hashes."""
    text = (ROOT / "tools/locks" / name).read_text()
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    entries = {}
    for entry in "\n".join(lines).replace("\\\n", " ").splitlines():
        requirement_text, *hashes = entry.split("--hash=")
        requirement = Requirement(requirement_text.strip())
        package = canonicalize_name(requirement.name)
        assert package not in entries, f"{package} stands twice in {name}"
        entries[package] = (requirement, [value.strip() for value in hashes])
    return entries


def version_of(requirement: Requirement) -> str:
    return str(requirement.specifier).removeprefix("==")
