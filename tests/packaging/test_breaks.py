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
    file, _, test = each["test"].partition("::")

    assert code.count(f"{each['line']}\n") == 1
    assert f"def {test.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")


def test_the_page_names_every_break_and_no_other():
    columns = [line.rstrip("| ").rpartition("|")[2] for line in PAGE.splitlines() if "|" in line]
    named = {name for column in columns for name in re.findall(r"`([a-z-]+)`", column)}

    assert named == set(BREAKS)


def test_the_tests_that_the_page_names_exist():
    named = re.findall(r"`(tests/[\w/.]+\.py)::(\w+)`", PAGE)
    assert len(named) > 15
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), (file, test)
