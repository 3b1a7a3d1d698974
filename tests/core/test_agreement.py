"""Since when book and broker agree, and what was adopted that no run has confirmed."""

from decimal import Decimal

from attrs import evolve

from fillbook.core.agreement import Agreement, Agreements
from fillbook.core.reconciled_events import BookReconciled, PositionAdopted, PositionGap

KEY = ("default", "SBER")


def a_run(
    outcome: str = "AGREED", *left: str, at: int = 0, accounts: tuple[str, ...] = ("default",)
) -> BookReconciled:
    gaps = tuple(
        PositionGap(
            account_id="default", instrument_id=name, held_qty=Decimal(10), gap_qty=Decimal(-2),
            size="MINOR", action="ALERT",
        )
        for name in left
    )  # fmt: skip
    return BookReconciled(
        ts_event=at + 5, cause="SCHEDULE", by="the robot", broker="test", outcome=outcome,
        account_ids=accounts, started=at, reads=1, compared=1, explained=0, rounding=0,
        minor=len(left), critical=0,
        unsettled=0, alerted=len(left), adopted=0, restored=0, halted=0, statement_count=1,
        statement_sha256="", gaps=gaps,
    )  # fmt: skip


AN_ADOPTION = PositionAdopted(
    ts_event=1, account_id="default", instrument_id="SBER", adjusted_qty=Decimal(-2),
    by="the robot", reason="", adjustment_id="A-1", size="MINOR", held_qty=Decimal(10),
    price_rule="BOOK", statement_sha256="", restore_client_order_id="C-1",
)  # fmt: skip


def after(*events: BookReconciled | PositionAdopted) -> Agreement:
    agreement = Agreement()
    for seq, event in enumerate(events, 1):
        agreement.apply(seq, event)
    return agreement


def test_an_adoption_is_confirmed_by_a_run_that_does_not_find_it_to_differ():
    assert after(a_run("ADOPTED", "SBER"), AN_ADOPTION).unconfirmed == {KEY: 2}
    assert after(AN_ADOPTION, a_run("DIFFERS", "SBER")).unconfirmed == {KEY: 1}
    assert after(AN_ADOPTION, a_run("UNANSWERED")).unconfirmed == {KEY: 1}
    assert after(AN_ADOPTION, a_run("DIFFERS", "GAZP")).unconfirmed == {}


def test_only_a_run_after_it_that_was_answered_confirms_what_was_traded_back():
    assert after(AN_ADOPTION, a_run()).confirms(KEY, 1)
    assert after(AN_ADOPTION, a_run("DIFFERS", "GAZP")).confirms(KEY, 1)
    assert not after(AN_ADOPTION, a_run("DIFFERS", "SBER")).confirms(KEY, 1)
    assert not after(AN_ADOPTION, a_run("UNANSWERED")).confirms(KEY, 1)
    assert not after(AN_ADOPTION, a_run()).confirms(KEY, 3)
    assert not Agreement().confirms(KEY, 0)


def test_what_keeps_a_run_from_telling_is_said_as_long_as_it_is_of_now():
    unanswered = evolve(a_run("UNANSWERED", at=100), text="403 forbidden")
    (gap,) = a_run("UNSETTLED", "SBER").gaps
    waits = evolve(gap, action="WAIT", text="the broker's answer changed")
    unsettled = evolve(a_run("UNSETTLED", "SBER", at=100), gaps=(gap, waits))

    assert after(unanswered).why_open(100) == "403 forbidden"
    assert after(unanswered).why_open(101) is None
    assert after(unsettled).why_open(0) == "SBER: the broker's answer changed"
    assert after(unanswered, a_run("DIFFERS", "SBER", at=200)).why_open(0) is None
    assert Agreement().why_open(0) is None


def test_the_order_that_trades_back_is_that_of_the_last_adoption():
    assert after(AN_ADOPTION, a_run()).restored == {KEY: (1, "C-1")}
    assert after(AN_ADOPTION, evolve(AN_ADOPTION, restore_client_order_id=None)).restored == {}


def test_a_run_that_was_not_answered_takes_no_difference_back():
    differs, unanswered = a_run("DIFFERS", "SBER"), a_run("UNANSWERED", at=100)
    agreement = after(differs, unanswered)
    assert (agreement.left, agreement.told_seq, agreement.last_seq) == (differs.gaps, 1, 2)
    taken = Agreement()
    taken.restore(agreement.state(), unanswered, differs)
    assert taken == agreement
    assert after(differs, unanswered, a_run(at=200)).left == ()


def test_a_snapshot_holds_all_of_it():
    last = a_run("DIFFERS", "SBER")
    agreement = after(a_run(at=100), AN_ADOPTION, last)
    taken = Agreement()
    taken.restore(agreement.state(), last, last)
    assert taken == agreement
    assert (taken.point_seq, taken.point_ns, taken.since_ns) == (1, 100, None)


def test_a_run_over_one_account_says_nothing_of_another():
    """A statement of one account that agrees took back the alarm about the other."""
    agreements, events = Agreements(), {}
    for seq, event in enumerate(
        [a_run("DIFFERS", "SBER", at=100), a_run(at=200, accounts=("B",)), AN_ADOPTION], 1
    ):
        events[seq] = event
        agreements.apply(seq, event)

    assert agreements.of(["default"]).is_so is False
    assert agreements.of(["default"]).unconfirmed == {("default", "SBER"): 3}
    assert agreements.of(["B"]).is_so
    assert not agreements.of(["B"]).unconfirmed
    assert agreements.of(["C"]).is_so is None
    assert agreements.weakest() == agreements.of(["default"])
    taken = Agreements()
    taken.restore(agreements.state(), events.__getitem__)
    assert taken == agreements
