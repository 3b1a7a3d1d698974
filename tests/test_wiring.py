"""What the parts need of each other once they are put together."""

import ast
from pathlib import Path

import fillbook
from fillbook.wiring.books import REDUCERS

CORE = Path(fillbook.__file__).parent / "core"


def core_modules(source: str) -> set[str]:
    """Return which modules of `core` a module imports."""
    return {
        node.module.removeprefix("fillbook.core.")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fillbook.core.")
    }


def test_the_fingerprint_covers_every_module_that_a_fold_goes_through():
    """A snapshot of another fold would be restored as ours, and nothing would show it."""
    found, open_ = set(), {"replaying"}
    while open_:
        name = open_.pop()
        found.add(name)
        open_ |= core_modules((CORE / f"{name}.py").read_text("utf-8")) - found

    assert found == set(REDUCERS)
