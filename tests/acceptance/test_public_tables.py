"""Every public FIX order state table, and the positions that other systems' tests work out.

Judged through the house in this process: the command itself is judged by the examples beside the
checkout; here the same judge runs over what those leave out.
"""

import io
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fillbook.brokers.fix import read_fix
from fillbook.brokers.jsonlines import read_jsonl
from fillbook.cli.common import marks_of
from fillbook.cli.listing import lot_rows
from fillbook.core.views import order_json, order_state_json
from fillbook.feedback.intake import Reading, take_in
from fillbook.forensics.replay import orders_upto
from fillbook.wiring import open_log, recover

HERE = Path(__file__).resolve().parent
JUDGE = HERE.parents[2] / "shared" / "acceptance"


class InProcess:
    """What the judge asks of the command, answered without one."""

    def __init__(self) -> None:
        self._logs: dict[str, Any] = {}

    def trace(self, text: str, *, ledger: str = ":memory:", form: str = "jsonl") -> Any:
        log = self._logs.get(ledger) or open_log(":memory:")
        if ledger != ":memory:":
            self._logs[ledger] = log
        read = read_jsonl if form == "jsonl" else read_fix
        lines: dict[int, dict[str, Any]] = {}

        def keep(message: Any, judged: Any) -> None:
            lines[message.line] = {
                "line": message.line,
                "kind": judged.kind,
                "outcome": judged.outcome,
                "events": [event.type for event in judged.events],
                "flags": list(judged.flags),
                **order_state_json(judged.order),
            }

        source = read(io.BytesIO(text.encode()))
        take_in(log, recover(log), source, reading=Reading("table", form), on_judgement=keep)
        return lines

    def orders(self, ledger: str) -> Any:
        log = self._logs[ledger]
        return [order_json(order) for order in orders_upto(log, recover(log))]

    def positions(self, ledger: str, *options: str) -> Any:
        """Take `--method M` and `--mark INSTRUMENT=PX`, as the command does."""
        given = list(zip(options[::2], options[1::2], strict=True))
        assert {name for name, _ in given} <= {"--method", "--mark"}, options
        marks = marks_of(value for name, value in given if name == "--mark")
        method = dict(given).get("--method", "average")
        log = self._logs[ledger]
        book = recover(log)
        if method == "average":
            return [view.as_json() for view in book.position_views(marks)]
        return list(lot_rows(log, book, method, marks))


@pytest.fixture(scope="module")
def judge() -> Any:
    if not (JUDGE / "check.py").exists():
        pytest.skip("the judge of the tables is not beside this checkout (../shared/acceptance)")
    sys.path.insert(0, str(JUDGE))
    try:
        import check

        yield check
    finally:
        sys.path.remove(str(JUDGE))


def test_the_tables_are_all_there():
    """22 more are among the shared examples; together they are every table A to L and D1 to D37."""
    tables = json.loads((HERE / "fix_matrices.json").read_text())

    assert len(tables) == 64
    assert len({table["id"] for table in tables}) == 64
    assert sum(len(table["steps"]) for table in tables) > 500


def test_the_lifecycles_are_all_there_and_judged(judge: Any):
    cases = json.loads((HERE / "order_fsm.json").read_text())
    ours = [check for check in judge.load(HERE, False) if check.group == "order_fsm"]

    assert len({case["id"] for case in cases}) == len({case["source"] for case in cases}) == 138
    assert len(ours) == 138
    assert [check.name for check in ours if check.skip] == []


def test_every_table_ends_as_printed(judge: Any):
    checks = [check for check in judge.load(HERE, False) if check.group != "positions"]

    assert len(checks) > 250
    assert failures(judge, checks) == {}


def test_the_positions_are_all_there():
    """39 more are among the shared examples; none of those is here again."""
    cases = json.loads((HERE / "positions.json").read_text())
    kinds = Counter("spot" if "base_fee_adjusts_qty" in case else case["kind"] for case in cases)

    assert kinds == {"linear": 211, "spot": 18, "inverse": 14}
    assert [case["id"] for case in cases] == [f"X{number:03}" for number in range(1, 244)]
    assert len({case["source"] for case in cases}) == 243


def test_no_position_is_among_the_shared_examples(judge: Any):
    shared = json.loads((JUDGE / "cases" / "positions.json").read_text())
    ours = json.loads((HERE / "positions.json").read_text())

    assert not {case["source"] for case in shared} & {case["source"] for case in ours}


@pytest.mark.slow
def test_every_position_ends_as_its_source_says(judge: Any):
    checks = [check for check in judge.load(HERE, False) if check.group == "positions"]

    assert len(checks) == 377
    assert failures(judge, checks) == {}


def failures(judge: Any, checks: list[Any]) -> dict[str, str]:
    """Return the first difference of every check that does not pass."""
    return {
        check.name: verdict
        for check in checks
        if not check.skip and (verdict := judge.judge(check, InProcess())) is not None
    }
