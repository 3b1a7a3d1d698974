"""What holds of every settlement, whatever differs and whatever was chosen."""

from decimal import Decimal
from typing import Any

from attrs import evolve
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from builders import ListRecord
from fillbook.core.book import Book
from fillbook.core.events import InstrumentDefined
from fillbook.core.exact import canonical, plain
from fillbook.core.reconciled_events import PositionAdopted
from fillbook.core.values import Side
from fillbook.reconcile.compare import Difference, Held, compare
from fillbook.reconcile.policies import DEFAULT, Action, Policies, Size
from fillbook.reconcile.settle import Case, adjustment_id, digest_of, overdue, settle

NOON = 1_768_000_000_000_000_000

unhurried = settings(deadline=None)

quantities = (st.decimals(-1000, 1000, places=3) | st.decimals(-9, 9, places=1)).map(canonical)
sizes = st.none() | st.sampled_from([Decimal(each) for each in ("0.001", "0.25", "1", "10")])


@st.composite
def instruments(draw: Any) -> InstrumentDefined | None:
    if draw(st.booleans()):
        return None
    return InstrumentDefined(
        instrument_id="SBER", quote_currency="RUB", qty_step=draw(sizes), lot_size=draw(sizes)
    )


cases = st.builds(
    Case,
    instrument=instruments(),
    mark=st.none() | st.decimals(1, 1000, places=2),
    is_halted=st.booleans(),
    unconfirmed_seq=st.sampled_from([0, 0, 7]),
    basis_seq=st.integers(0, 10**6),
    is_wanted=st.sampled_from([False, False, False, True]),
    ledger_id=st.binary(min_size=16, max_size=16),
    statement_sha256=st.just("0" * 64),
)
actions = st.fixed_dictionaries({size: st.sampled_from(Action) for size in Size})
chosen = st.builds(
    Policies,
    actions=actions.map(lambda each: {DEFAULT: each}),
    halt_all=st.booleans(),
    most_restore_qty=st.just({}) | st.decimals(0, 20, places=0).map(lambda qty: {DEFAULT: qty}),
    price_rule=st.sampled_from(["BROKER", "MARK", "UNKNOWN"]).map(lambda rule: {DEFAULT: rule}),
)


restorable = cases.map(
    lambda case: evolve(case, is_halted=False, unconfirmed_seq=0, is_wanted=False)
)
"""Where nothing but the size of the order stands in the way of one."""
restoring = chosen.map(
    lambda each: evolve(each, actions={DEFAULT: dict.fromkeys(Size, Action.RESTORE)})
)


@st.composite
def differences(draw: Any, case: Case, policies: Policies) -> Difference:
    held, reported = draw(quantities), draw(st.none() | quantities)
    avg_px = draw(st.none() | st.decimals(1, 1000, places=2))
    ours = [Held(account_id="default", instrument_id="SBER", position_qty=held)]
    theirs = (
        [ours[0]._replace(position_qty=reported, avg_px=avg_px)] if reported is not None else []
    )
    found = compare(ours, theirs, lambda name: policies.limits(name, case.instrument, case.mark))
    assume(found)
    return found[0]


@unhurried
@given(st.data(), cases, chosen)
def test_what_is_not_named_is_adopted_only_where_an_operator_wants_it(data, case, policies):
    difference = data.draw(differences(case, policies))
    settlement = settle(difference, case, policies, "ann", NOON)
    if difference.reported_qty is None and not case.is_wanted:
        assert settlement.adoption is settlement.order is None
        assert settlement.action in (Action.ALERT, Action.HALT)
    if case.is_wanted:
        assert settlement.adoption is not None
        assert settlement.order is settlement.halt is None


@unhurried
@given(st.data(), cases, chosen)
def test_the_action_is_what_is_done(data, case, policies):
    """`ADOPT` adopts, `RESTORE` orders too, `HALT` halts unless it was, and nothing else does."""
    difference = data.draw(differences(case, policies))
    done = settle(difference, case, policies, "ann", NOON)
    assert (done.adoption is not None) is (done.action in (Action.ADOPT, Action.RESTORE))
    assert (done.order is not None) is (done.action is Action.RESTORE)
    assert (done.halt is not None) is (done.action is Action.HALT and not case.is_halted)
    asked = policies.action("SBER", difference.size)
    if done.action is not asked:
        assert done.text
    if done.halt is not None:
        assert done.halt.instrument_id == (None if policies.halt_all else "SBER")
        assert "SBER" in f"{done.halt.instrument_id} {done.halt.reason}"
    if case.unconfirmed_seq and not case.is_wanted:
        assert done.adoption is None


@unhurried
@given(st.data(), restorable, restoring)
def test_a_restoring_order_trades_exactly_against_the_gap(data, case, policies):
    difference = data.draw(differences(case, policies))
    order = settle(difference, case, policies, "ann", NOON).order
    if order is None:
        return
    assert order.order_qty is not None
    gap_qty, qty = difference.gap_qty, order.order_qty
    assert (order.side is Side.BUY) is (gap_qty < 0)
    assert 0 < qty <= abs(gap_qty)
    instrument = case.instrument
    unit = None if instrument is None else instrument.lot_size or instrument.qty_step
    if unit is None:
        assert qty == abs(gap_qty)
    else:
        assert qty % unit == 0
        assert abs(gap_qty) - qty < unit
    limits = policies.limits("SBER", instrument, case.mark)
    assert qty <= policies.most_restore("SBER", limits)
    assert not case.is_halted
    assert order.order_type == "MARKET"


@unhurried
@given(st.data(), cases, chosen)
def test_an_adoption_moves_the_book_to_the_broker_and_its_opposite_moves_it_back(
    data, case, policies
):
    difference = data.draw(differences(case, policies))
    adoption = settle(difference, case, policies, "ann", NOON).adoption
    if adoption is None:
        return
    moves = [difference.held_qty, adoption.adjusted_qty, -adoption.adjusted_qty]
    assert _folded(adoption, moves[:2]) == (difference.reported_qty or 0)
    assert _folded(adoption, moves) == adoption.held_qty == difference.held_qty


def _folded(adoption: PositionAdopted, moves: list[Decimal]) -> Decimal:
    book = Book()
    for seq, qty in enumerate(moves, 1):
        if qty:
            px = adoption.px or Decimal(100)
            event = evolve(adoption, adjusted_qty=qty, px=px)
            book.apply(ListRecord(seq, seq, 1, event, event.type))
    return sum((view.position_qty for view in book.position_views()), Decimal(0))


@unhurried
@given(st.data(), cases, chosen)
def test_an_adoption_says_where_its_price_is_from(data, case, policies):
    difference = data.draw(differences(case, policies))
    adoption = settle(difference, case, policies, "ann", NOON).adoption
    if adoption is None:
        return
    expected = {
        "BROKER": difference.reported_avg_px, "MARK": case.mark, "UNKNOWN": None, "BOOK": None,
    }  # fmt: skip
    assert adoption.px == expected[adoption.price_rule]
    after, held = difference.reported_qty or Decimal(0), difference.held_qty
    opens = bool(after) and (not held or (held > 0) is not (after > 0))
    assert (adoption.price_rule == "BOOK") is not opens


@unhurried
@given(st.data(), cases, chosen)
def test_an_id_depends_on_the_evidence_and_on_nothing_else(data, case, policies):
    difference = data.draw(differences(case, policies))
    first = adjustment_id(difference, case)
    assert first == digest_of(difference, case).hex()[:32]

    other = evolve(
        case, mark=Decimal(5), is_halted=not case.is_halted, statement_sha256="1" * 64,
        is_wanted=not case.is_wanted, unconfirmed_seq=9, instrument=None,
    )  # fmt: skip
    assert adjustment_id(evolve(difference, reported_avg_px=Decimal(3)), other) == first

    changed = [
        adjustment_id(evolve(difference, held_qty=difference.held_qty + 1), case),
        adjustment_id(
            evolve(difference, reported_qty=(difference.reported_qty or Decimal(0)) + 1), case
        ),
        adjustment_id(evolve(difference, account_id="other"), case),
        adjustment_id(evolve(difference, instrument_id="SBERP"), case),
        adjustment_id(difference, evolve(case, basis_seq=case.basis_seq + 1)),
        adjustment_id(difference, evolve(case, ledger_id=case.ledger_id + b"1")),
    ]
    assert len({first, *changed}) == 7


def test_absent_is_another_difference_than_flat():
    case = Case(
        instrument=None, mark=None, is_halted=False, unconfirmed_seq=0, basis_seq=1,
        is_wanted=False, ledger_id=b"1", statement_sha256="",
    )  # fmt: skip
    flat = Difference(
        account_id="default", instrument_id="SBER", held_qty=Decimal(5), reported_qty=Decimal(0),
        gap_qty=Decimal(-5), size=Size.MINOR, held_avg_px=None, reported_avg_px=None,
    )  # fmt: skip
    assert adjustment_id(flat, case) != adjustment_id(evolve(flat, reported_qty=None), case)


@unhurried
@given(st.data(), cases, chosen)
def test_what_never_rests_is_never_adopted(data, case, policies):
    difference = data.draw(differences(case, policies))
    done = overdue(difference, case, policies, "the broker's answer changed", NOON)
    assert (done is not None) is (difference.size is Size.CRITICAL)
    if done is not None:
        assert done.adoption is done.order is None
        assert plain(difference.held_qty) in f"{done.text}" or done.action is Action.ALERT
