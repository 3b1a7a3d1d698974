"""A robot that is killed comes back: no order sent twice, none lost, the book is the broker's."""

import os
from pathlib import Path

import pytest

from crash.kills import GAPS, kill_and_come_back

TIMES = int(os.environ.get("FILLBOOK_KILLS", "2"))
"""How often at every gap; `tools/prove kills` sets 25."""


@pytest.mark.parametrize("number", range(TIMES))
@pytest.mark.parametrize("gap", GAPS)
def test_a_killed_robot_comes_back_to_the_truth(tmp_path: Path, gap: str, number: int):
    assert kill_and_come_back(tmp_path, gap, number) == []
