"""What a run makes of every state of book, broker, orders, tolerances and policies."""

from decimal import Decimal
from typing import Any

import pytest

from fillbook.core.robot_events import HaltDeclared
from fillbook.reconcile.policies import DEFAULT, Action, Size, Tolerance
from reconcile.house import House
from reconcile.table import End, Row, end_of, play


def halted(level: str, name: str | None = "SBER") -> Any:
    """Return what halts an instrument before the run."""

    def halt(house: House) -> None:
        house.keeper.note_other(
            HaltDeclared(
                ts_event=house.now, level=level, cause="OPERATOR", by="ann", reason="a look",
                instrument_id=name,
            )
        )  # fmt: skip

    return halt


TEN = {"most_restore_qty": {DEFAULT: Decimal(10)}}
LARGE = {"most_restore_qty": {DEFAULT: Decimal(100)}}

TABLE = [
    # ---- nothing differs
    (Row("agree", "10", "10"), End("AGREED", "10")),
    (Row("both are flat", "0", "0"), End("AGREED", "0")),
    (Row("flat, and the answer is empty", "0", "empty"), End("AGREED", "0")),
    (Row("two legs add up to ours", "8", "12 & -4"), End("AGREED", "8")),
    # ---- by size and policy, a long position
    (Row("rounding is adopted", "10", "10.001"),
     End("ADOPTED", "10.001", "ROUNDING 0.001 ADOPT", "0.001 BOOK")),
    (Row("minor is told", "10", "8"), End("DIFFERS", "10", "MINOR -2 ALERT")),
    (Row("ten is minor", "10", "20"), End("DIFFERS", "10", "MINOR 10 ALERT")),
    (Row("more is critical", "10", "20.001"),
     End("DIFFERS", "10", "CRITICAL 10.001 HALT: says 20.001; nothing explains it", halts="SBER")),
    (Row("critical halts all", "10", "30", more={"halt_all": True}),
     End("DIFFERS", "10", "CRITICAL 20 HALT", halts="*")),
    (Row("adopt less", "10", "8", "adopt"), End("ADOPTED", "8", "MINOR -2 ADOPT", "-2 BOOK")),
    (Row("adopt more", "10", "12", "adopt"), End("ADOPTED", "12", "MINOR 2 ADOPT", "2 BOOK")),
    (Row("adopt flat", "10", "0", "adopt"), End("ADOPTED", "0", "MINOR -10 ADOPT", "-10 BOOK")),
    (Row("restore less", "10", "8", "restore"),
     End("ADOPTED", "8", "MINOR -2 RESTORE", "-2 BOOK", "BUY 2")),
    (Row("restore more", "10", "12", "restore"),
     End("ADOPTED", "12", "MINOR 2 RESTORE", "2 BOOK", "SELL 2")),
    # ---- shorts, flips, from flat
    (Row("adopt a shorter short", "-10", "-8", "adopt"),
     End("ADOPTED", "-8", "MINOR 2 ADOPT", "2 BOOK")),
    (Row("restore a shorter short", "-10", "-8", "restore"),
     End("ADOPTED", "-8", "MINOR 2 RESTORE", "2 BOOK", "SELL_SHORT 2")),
    (Row("restore a longer short", "-10", "-12", "restore"),
     End("ADOPTED", "-12", "MINOR -2 RESTORE", "-2 BOOK", "BUY 2")),
    (Row("long to short at the broker's average", "4", "-3 @ 99", "adopt"),
     End("ADOPTED", "-3", "MINOR -7 ADOPT", "-7 @ 99 BROKER")),
    (Row("short to long at the mark", "-4", "3", "adopt", mark="98"),
     End("ADOPTED", "3", "MINOR 7 ADOPT", "7 @ 98 MARK")),
    (Row("a flip is restored", "4", "-3 @ 99", "restore"),
     End("ADOPTED", "-3", "MINOR -7 RESTORE", "-7 @ 99 BROKER", "BUY 7")),
    (Row("from flat at the broker's average", "0", "5 @ 99", "adopt"),
     End("ADOPTED", "5", "MINOR 5 ADOPT", "5 @ 99 BROKER")),
    (Row("from flat at the mark, as chosen", "0", "5 @ 99", "adopt", mark="98",
         more={"price_rule": {DEFAULT: "MARK"}}),
     End("ADOPTED", "5", "MINOR 5 ADOPT", "5 @ 98 MARK")),
    (Row("from flat without a price, as chosen", "0", "5 @ 99", "adopt", mark="98",
         more={"price_rule": {DEFAULT: "UNKNOWN"}}),
     End("ADOPTED", "5", "MINOR 5 ADOPT", "5 UNKNOWN")),
    (Row("from flat with no price to be had", "0", "5", "adopt"),
     End("ADOPTED", "5", "MINOR 5 ADOPT", "5 UNKNOWN")),
    (Row("two legs have no average", "0", "9 @ 99 & -4 @ 98", "adopt"),
     End("ADOPTED", "5", "MINOR 5 ADOPT", "5 UNKNOWN")),
    (Row("from flat short, restored", "0", "-5 @ 99", "restore"),
     End("ADOPTED", "-5", "MINOR -5 RESTORE", "-5 @ 99 BROKER", "BUY 5")),
    # ---- what the answer does not name
    *[
        (Row(f"{theirs} is not adopted by {policy}", "5", theirs, policy),
         End("DIFFERS", "5", "MINOR -5 ALERT: no proof that nothing is held"))
        for theirs in ("absent", "empty") for policy in ("adopt", "restore")
    ],
    (Row("absent halts where that is chosen", "5", "absent", "halt"),
     End("DIFFERS", "5", "MINOR -5 HALT: does not name it", halts="SBER")),
    (Row("absent, wanted by an operator", "5", "absent", wish={"adopt": frozenset({"SBER"})}),
     End("ADOPTED", "0", "MINOR -5 ADOPT: wanted by the operator", "-5 BOOK")),
    (Row("named once in two answers", "5", "absent | 5"), End("AGREED", "5")),
    (Row("absent first, then another number", "5", "absent | 4"),
     End("DIFFERS", "5", "MINOR -1 ALERT")),
    # ---- an operator
    (Row("an operator adopts what the policy halts for", "10", "50", "halt",
         wish={"adopt": frozenset({"SBER"})}),
     End("ADOPTED", "50", "CRITICAL 40 ADOPT: wanted by the operator", "40 BOOK")),
    (Row("an operator adopts another instrument", "10", "8", "alert",
         wish={"adopt": frozenset({"GAZP"})}),
     End("DIFFERS", "10", "MINOR -2 ALERT")),
    # ---- answers that change, that lag, that cannot be read
    (Row("the answer settles", "10", "7 | 9 | 8", "adopt"),
     End("ADOPTED", "8", "MINOR -2 ADOPT", "-2 BOOK")),
    (Row("the answer comes to be ours", "10", "8 | 10", "adopt"), End("AGREED", "10")),
    (Row("the answer never rests", "10", " | ".join(["8", "9"] * 20), "adopt"),
     End("UNSETTLED", "10", "MINOR -1 WAIT: ")),
    (Row("no line is believed beside one that cannot be read", "10", "unreadable", "adopt"),
     End("UNANSWERED", "10")),
    (Row("it can be read at last", "10", "unreadable | unreadable | 8", "adopt"),
     End("ADOPTED", "8", "MINOR -2 ADOPT", "-2 BOOK")),
    # ---- what is under way
    (Row("a resting order does not hold it up", "10", "8", "adopt", "resting order"),
     End("ADOPTED", "8", "MINOR -2 ADOPT", "-2 BOOK")),
    (Row("restored beside a resting order", "10", "8", "restore", "resting order"),
     End("ADOPTED", "8", "MINOR -2 RESTORE", "-2 BOOK", "BUY 2")),
    (Row("an unanswered submit", "10", "8", "adopt", "unanswered submit"),
     End("UNSETTLED", "10", "MINOR -2 WAIT", halts="SBER")),  # as an order is unknown
    (Row("an unanswered cancel", "10", "8", "adopt", "unanswered cancel"),
     End("UNSETTLED", "10", "MINOR -2 WAIT")),
    (Row("an unanswered replacement", "10", "8", "adopt", "unanswered replace"),
     End("UNSETTLED", "10", "MINOR -2 WAIT")),
    (Row("a fill told while it is read", "10", "11", "adopt", "fill told while it is read"),
     End("AGREED", "11")),
    # ---- what explains it, as far as the broker tells
    (Row("a missed fill", "10", "8", "adopt", told="fill -2"), End("AGREED", "8")),
    (Row("a missed fill that opens", "0", "5", "adopt", told="fill 5"), End("AGREED", "5")),
    (Row("a missed fill that flips", "4", "-3", "adopt", told="fill -7"), End("AGREED", "-3")),
    (Row("a missed fill explains a part", "10", "7", "adopt", told="fill -2"),
     End("ADOPTED", "7", "MINOR -1 ADOPT", "-1 BOOK")),
    (Row("by a broker that tells fills only", "10", "8", "adopt", told="fill -2", can="fills"),
     End("AGREED", "8")),
    (Row("by a broker that tells no fills", "10", "8", "adopt", told="fill -2", can="orders"),
     End("ADOPTED", "8", "MINOR -2 ADOPT", "-2 BOOK")),
    (Row("by a broker that tells nothing", "10", "8", "adopt", told="fill -2", can="nothing"),
     End("ADOPTED", "8", "MINOR -2 ADOPT", "-2 BOOK")),
    (Row("a resting order is looked up", "10", "8", "adopt", "resting order", can="look-ups"),
     End("ADOPTED", "8", "MINOR -2 ADOPT", "-2 BOOK")),
    (Row("a split", "10", "20", "halt", told="split 2:1", can="activities"), End("AGREED", "20")),
    (Row("a split that is not told of", "10", "20", "adopt", told="split 2:1"),
     End("ADOPTED", "20", "MINOR 10 ADOPT", "10 BOOK")),
    (Row("a transfer", "10", "15", "halt", told="transfer 5", can="activities"),
     End("AGREED", "15")),
    # ---- tolerances and definitions
    (Row("less than a step is rounding", "10", "10.09", "adopt alert halt", defined="step 0.1"),
     End("ADOPTED", "10.09", "ROUNDING 0.09 ADOPT", "0.09 BOOK")),
    (Row("a step is none", "10", "10.1", "adopt alert halt", defined="step 0.1"),
     End("DIFFERS", "10", "MINOR 0.1 ALERT")),
    (Row("ten lots are minor", "10", "110", "adopt alert halt", defined="step 1 lot 10"),
     End("DIFFERS", "10", "MINOR 100 ALERT")),
    (Row("more than ten lots", "10", "111", "adopt alert halt", defined="step 1 lot 10"),
     End("DIFFERS", "10", "CRITICAL 101 HALT", halts="SBER")),
    (Row("steps, as said", "10", "12", defined="step 0.5",
         more={"tolerances": {DEFAULT: Tolerance(rounding=Decimal(4), unit="STEP")}}),
     End("ADOPTED", "12", "ROUNDING 2 ADOPT", "2 BOOK")),
    (Row("worth too much", "10", "12", mark="100", defined="step 1 multiplier 10",
         more={"tolerances": {DEFAULT: Tolerance(critical_value=Decimal(1999))}}),
     End("DIFFERS", "10", "CRITICAL 2 HALT", halts="SBER")),
    (Row("worth just enough", "10", "12", mark="100", defined="step 1 multiplier 10",
         more={"tolerances": {DEFAULT: Tolerance(critical_value=Decimal(2000))}}),
     End("DIFFERS", "10", "MINOR 2 ALERT")),
    (Row("an instrument has an action of its own", "10", "8",
         more={"actions": {"SBER": {Size.MINOR: Action.ADOPT}}}),
     End("ADOPTED", "8", "MINOR -2 ADOPT", "-2 BOOK")),
    # ---- what may be traded back
    (Row("whole lots are", "20", "5", "restore", defined="step 1 lot 10"),
     End("ADOPTED", "5", "MINOR -15 RESTORE", "-15 BOOK", "BUY 10")),
    (Row("whole steps are", "2", "1.25", "restore", defined="step 0.5"),
     End("ADOPTED", "1.25", "MINOR -0.75 RESTORE", "-0.75 BOOK", "BUY 0.5")),
    (Row("less than a lot is adopted", "10", "5", "restore", defined="step 1 lot 10"),
     End("ADOPTED", "5", "MINOR -5 ADOPT: less than can be traded back", "-5 BOOK")),
    (Row("just the bound", "20", "10", "restore", more=TEN),
     End("ADOPTED", "10", "MINOR -10 RESTORE", "-10 BOOK", "BUY 10")),
    (Row("over the bound", "30", "19", "restore", more=TEN),
     End("DIFFERS", "30", "CRITICAL -11 HALT: to trade back is over 10", halts="SBER")),
    (Row("under a bound of its own", "30", "10", "restore", more=LARGE),
     End("ADOPTED", "10", "CRITICAL -20 RESTORE", "-20 BOOK", "BUY 20")),
    # ---- halted already
    (Row("halted, not halted again", "10", "8", "halt", before=halted("HALTED")),
     End("DIFFERS", "10", "MINOR -2 HALT: it is halted already", halts="SBER")),
    (Row("halted, so not traded back", "10", "8", "restore", before=halted("HALTED")),
     End("DIFFERS", "10", "MINOR -2 ALERT: nothing is traded back", halts="SBER")),
    (Row("halted, adopted all the same", "10", "8", "adopt", before=halted("HALTED")),
     End("ADOPTED", "8", "MINOR -2 ADOPT", "-2 BOOK", halts="SBER")),
    (Row("all is halted, not the instrument again", "10", "8", "halt",
         before=halted("HALTED", None)),
     End("DIFFERS", "10", "MINOR -2 HALT: it is halted already", halts="*")),
    (Row("one is halted, all are to be", "10", "8", "halt", before=halted("HALTED"),
         more={"halt_all": True}),
     End("DIFFERS", "10", "MINOR -2 HALT", halts="* SBER")),
    (Row("a milder halt does not keep it from a full one", "10", "8", "halt",
         before=halted("REDUCE_ONLY")),
     End("DIFFERS", "10", "MINOR -2 HALT", halts="SBER")),
    (Row("what adds is not traded under a milder halt", "10", "8", "restore",
         before=halted("REDUCE_ONLY")),
     End("DIFFERS", "10", "MINOR -2 ALERT: nothing is traded back",
         halts="SBER reduce_only")),
    (Row("what reduces is", "10", "12", "restore", before=halted("REDUCE_ONLY")),
     End("ADOPTED", "12", "MINOR 2 RESTORE", "2 BOOK", "SELL 2",
         halts="SBER reduce_only")),
]  # fmt: skip


def test_every_row_has_a_name_of_its_own():
    names = [row.name for row, _ in TABLE]
    assert len(set(names)) == len(names) >= 70


@pytest.mark.parametrize(("row", "end"), TABLE, ids=[row.name for row, _ in TABLE])
def test_a_run_ends_as_the_table_says(row: Row, end: End):
    house, run = play(row)

    gap, _, text = end.gap.partition(":")
    seen = end_of(house, run)
    assert seen == End(end.outcome, end.held, gap, end.adopted, end.order, end.halts)
    if text:
        (left,) = [each for each in run.gaps if each.instrument_id == "SBER"]
        assert text.strip() in (left.text or "")
    counted = run.rounding + run.minor + run.critical
    assert counted + run.unsettled == len(run.gaps)
    assert run.alerted + run.adopted + run.restored + run.halted == counted
