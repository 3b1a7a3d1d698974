"""The house keeps its direction: imports point down, and neighbors on one floor are strangers."""

import ast
from pathlib import Path

import pytest

import fillbook

PACKAGE = Path(fillbook.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

FLOORS = {
    "__main__": 6,
    "cli": 5,
    "demonstration": 4,  # plays a day for the demo: a door of its own onto wiring
    "robot": 4,  # what a robot's author holds in hand
    "async_robot": 4,
    "new_order": 4,
    "order_handle": 4,
    "simulated_day": 4,  # a robot in virtual time: for the demo, the tests, tools/simulate
    "simulated_reconciliation": 4,
    "simulated_agreement": 4,  # judges what came of such a day
    "operating": 4,  # carries an operator's word to a robot or its ledger, which wiring opens
    "comparing": 4,  # compares because somebody wants it, by whoever is at work on the ledger
    "wiring": 4,
    "configuration": 4,  # what the robot's owner chose; wiring makes a robot of it
    "feedback": 3,
    "reconcile": 3,
    "forensics": 3,
    "audit": 3,
    "log": 2,
    "brokers": 2,
    "core": 1,
    "errors": 0,
    "_resources": 0,
    "__init__": 7,  # the public face: hands out what wiring makes, when it is asked for
}
SAME_FLOOR = {
    ("operating", "wiring"),
    ("comparing", "wiring"), ("comparing", "operating"), ("comparing", "configuration"),
    ("robot", "wiring"), ("robot", "new_order"), ("robot", "order_handle"),
    ("async_robot", "robot"), ("async_robot", "new_order"), ("async_robot", "order_handle"),
    ("demonstration", "wiring"),
    ("wiring", "configuration"), ("simulated_day", "wiring"), ("demonstration", "simulated_day"),
    ("simulated_reconciliation", "wiring"), ("simulated_reconciliation", "simulated_day"),
    ("simulated_reconciliation", "simulated_agreement"), ("simulated_agreement", "simulated_day"),
}  # fmt: skip

CONCRETE = {
    "fillbook.log._sqlite", "fillbook.log.sqlite", "fillbook.log.reader", "fillbook.log.writer",
    "fillbook.log.batch", "fillbook.log.opening", "fillbook.log.health", "fillbook.log.copying",
    "fillbook.log.overlay", "fillbook.log.as_of",
    "fillbook.log.restore", "fillbook.brokers.fix", "fillbook.brokers.jsonlines",
    "fillbook.brokers.paper", "fillbook.brokers.client", "fillbook.brokers.statements",
    "fillbook.brokers.paper_live", "fillbook.brokers.paper_server", "fillbook.brokers.paper_sim",
}  # fmt: skip
NAMES_CONCRETE = {"wiring", "demonstration", "simulated_day", "simulated_reconciliation"}
EXCEPTIONS = {
    # Only the log can make a file of events that exist already, and only a re-import asks for it.
    ("audit/reimport.py", "fillbook.log.restore"),
}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def room_of_file(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it points"
            assert node.module is not None
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def ours(path: Path) -> set[str]:
    """Return the modules of this package that *path* imports; the bare version does not count."""
    rooms = {name for name in FLOORS if name != "__init__"}
    found = {name for name in imported(path) if name.split(".")[0] == "fillbook"}
    return {name for name in found if room(name) in rooms}


def test_there_are_modules_to_judge():
    assert len(MODULES) > 50
    assert {room_of_file(path) for path in MODULES} <= set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path):
    """A lower room that knew a higher one could not be understood, or tested, without it."""
    here = room_of_file(path)
    for name in ours(path):
        there = room(name)
        if there == here or (here, there) in SAME_FLOOR:
            continue
        assert FLOORS[there] < FLOORS[here], f"{here} must not import {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_wiring_names_concrete_parts(path: Path):
    """Another log or broker can be put in at one place."""
    here = room_of_file(path)
    if here in NAMES_CONCRETE or here in ("log", "brokers"):
        return
    named = {name for name in ours(path) if name in CONCRETE}
    where = path.relative_to(PACKAGE).as_posix()
    assert {(where, name) for name in named} <= EXCEPTIONS


def test_sqlite_is_imported_in_one_place():
    """Two SQLite libraries in one process drop each other's locks."""
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        for name in imported(path)
        if name.split(".")[0] in ("sqlite3", "pysqlite3", "apsw")
    }
    assert found == {"log/_sqlite.py"}


CORE = [path for path in MODULES if room_of_file(path) == "core"]
IMPURE = {
    "asyncio", "datetime.now", "io", "logging", "os", "pathlib", "random", "secrets", "socket",
    "subprocess", "sys", "threading", "time", "uuid",
}  # fmt: skip


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_core_is_pure(path: Path):
    """No clock, no I/O, no randomness, no logging, no async, no float, no broad except."""
    tree = ast.parse(path.read_text("utf-8"))
    assert not {name.split(".")[0] for name in imported(path)} & IMPURE
    for node in ast.walk(tree):
        where = f"{path.name}:{getattr(node, 'lineno', '?')}"
        if isinstance(node, ast.Constant):
            assert not isinstance(node.value, float), f"{where}: a float"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("float", "open", "print", "input"), where
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in ("now", "utcnow", "today"), where
        assert not isinstance(node, (ast.AsyncFunctionDef, ast.Await)), where
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type is not None else ""
            assert caught not in ("", "Exception", "BaseException"), f"{where}: a broad except"


def test_core_needs_nothing_but_its_own_libraries():
    """The fold runs without SQLite and without the rest of the package."""
    known = {"attrs", "transitions", "fillbook"}
    foreign = {
        name.split(".")[0]
        for path in CORE
        for name in imported(path)
        if name.split(".")[0] not in known and not _is_standard(name)
    }
    assert foreign == set()


def _is_standard(name: str) -> bool:
    import sys

    return name.split(".")[0] in sys.stdlib_module_names


THE_FOLD = {
    "book", "decide", "deciding_amendments", "deciding_fills", "deciding_inferred",
    "deciding_other", "deciding_silence", "deciding_status", "folding", "folding_fills",
    "folding_status", "holdings", "lifecycle", "lots", "position_book", "positions", "replaying",
    "standing",
}  # fmt: skip


def test_the_paper_exchange_keeps_a_book_of_its_own():
    """A truth that came out of our own fold would agree with every mistake in it."""
    papers = sorted((PACKAGE / "brokers").glob("paper*.py"))
    seen = {".".join(("fillbook", "brokers", path.stem)) for path in papers}
    left = list(papers)
    while left:
        for name in ours(left.pop()) - seen:
            path = PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py")
            if path.exists():
                seen.add(name)
                left.append(path)

    assert len(papers) > 10
    assert not {name for name in seen if name.removeprefix("fillbook.core.") in THE_FOLD}
