"""The breaks that docs/feedback.md names can be made, and name tests that exist.

`tools/prove breaks` makes each of them and sees its test fail; here only that they fit the code.
"""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BREAKS = tomllib.loads((ROOT / "tests" / "breaks.toml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "feedback.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_fits_the_code_and_its_test_exists(name: str):
    each = BREAKS[name]
    code = (ROOT / "src" / "fillbook" / each["file"]).read_text(encoding="utf-8")
    file, *suite, test = each["test"].partition("[")[0].split("::")

    assert code.count(f"{each['line']}\n") == 1
    assert each["break"] != each["line"]
    assert is_there(file, test, *suite)


def test_the_page_names_every_break_and_no_other():
    columns = [line.rstrip("| ").rpartition("|")[2] for line in PAGE.splitlines() if "|" in line]
    named = {name for column in columns for name in re.findall(r"`([a-z-]+)`", column)}

    assert named == set(BREAKS)


def test_every_row_of_the_page_has_a_break():
    cells = [line.strip("| ").split("|") for line in PAGE.splitlines() if line.startswith("| ")]
    rows = [row for row in cells if row[-1].strip() != "break"]

    assert len(rows) > 100
    for row in rows:
        assert re.search(r"`[a-z-]+`", row[-1]), row[0]


def test_the_tests_that_the_page_names_exist():
    """An ellipsis is the file that was named last."""
    named, file = [], ""
    for path, test in re.findall(r"`(tests/[\w/.]+\.py|…)::(\w+)`", PAGE):
        file = file if path == "…" else path
        named.append((file, test))

    assert len(named) > 100
    for file, test in named:
        assert is_there(file, test), (file, test)


def is_there(file: str, test: str, suite: str | None = None) -> bool:
    """Tell whether *file* has the test; those of a *suite* may stand in any file beside it."""
    path = ROOT / file
    text = path.read_text(encoding="utf-8")
    if suite is None:
        return f"def {test}(" in text
    beside = [each.read_text(encoding="utf-8") for each in path.parent.glob("*.py")]
    return f"class {suite}(" in text and any(f"def {test}(" in each for each in beside)
