"""Where two sides differ: nothing is missed, nothing is invented, and the limits are exact."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fillbook.brokers.port import Message
from fillbook.core.events import InstrumentDefined
from fillbook.core.exact import EXACT, canonical
from fillbook.core.reports import PositionReport
from fillbook.core.values import Contract
from fillbook.reconcile.compare import Difference, Held, Size, compare
from fillbook.reconcile.policies import Limits, Tolerance
from fillbook.reconcile.reading import read

# `-` and `abs` of a Decimal round to 28 digits; `copy_negate` and `copy_abs` do not.
ROUNDING, MINOR, CRITICAL = Size.ROUNDING, Size.MINOR, Size.CRITICAL
UNKNOWN = Tolerance().limits(None, None)

unhurried = settings(deadline=None)


def a_row(
    instrument_id: str, qty: str | Decimal, avg_px: str | None = None, account_id: str = "A"
) -> Held:
    return Held(
        account_id=account_id,
        instrument_id=instrument_id,
        position_qty=Decimal(qty),
        avg_px=None if avg_px is None else Decimal(avg_px),
    )


def rows(text: str) -> list[Held]:
    """Return rows of ``"SBER 10 @250, B/GAZP -3"``: account A where none is named."""
    made = []
    for part in filter(None, text.split(", ")):
        name, qty, *px = part.split()
        account_id, _, instrument_id = name.rpartition("/")
        avg_px = px[0].removeprefix("@") if px else None
        made.append(a_row(instrument_id, qty, avg_px, account_id or "A"))
    return made


def an_instrument(
    step: str | None = None, lot: str | None = None, multiplier: str = "1",
    contract: Contract = Contract.LINEAR,
) -> InstrumentDefined:  # fmt: skip
    return InstrumentDefined(
        instrument_id="SBER",
        contract=contract,
        multiplier=Decimal(multiplier),
        qty_step=None if step is None else Decimal(step),
        lot_size=None if lot is None else Decimal(lot),
    )


def compared(
    held: Sequence[Held],
    reported: Sequence[Held],
    limits_of: Callable[[str], Limits] = lambda _: UNKNOWN,
) -> tuple[Difference, ...]:
    return compare(held, reported, limits_of)


# ---- a table


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("", "", []),
        ("SBER 10", "SBER 10", []),
        ("SBER 10", "SBER 10.00", []),
        ("SBER 10 @250", "SBER 10 @251", []),
        ("SBER 10", "SBER 8", ["A SBER 10 8 -2 MINOR"]),
        ("SBER 10", "SBER -10", ["A SBER 10 -10 -20 CRITICAL"]),
        ("SBER 10", "SBER 10.0005", ["A SBER 10 10.0005 0.0005 ROUNDING"]),
        ("", "SBER 3", ["A SBER 0 3 3 MINOR"]),
        ("SBER 0", "", []),
        ("", "SBER 0", []),
        ("SBER 0", "SBER 0", []),
        ("SBER 10", "", ["A SBER 10 None -10 MINOR"]),
        ("SBER 10", "SBER 0", ["A SBER 10 0 -10 MINOR"]),
        ("SBER -4", "", ["A SBER -4 None 4 MINOR"]),
        ("SBER 2", "SBER 5, SBER -3", []),
        ("SBER 2", "SBER 5, SBER -5", ["A SBER 2 0 -2 MINOR"]),
        ("SBER 0", "SBER 5, SBER -5", []),
        ("SBER 1, SBER 2", "SBER 4", ["A SBER 3 4 1 MINOR"]),
        ("SBER 10", "B/SBER 10", ["A SBER 10 None -10 MINOR", "B SBER 0 10 10 MINOR"]),
        ("B/A 1, A/Z 1, A/B 1", "", ["A B 1 None -1 MINOR", "A Z 1 None -1 MINOR",
                                     "B A 1 None -1 MINOR"]),
    ],
)  # fmt: skip
def test_what_differs_is_listed(ours: str, theirs: str, expected: list[str]):
    found = compared(rows(ours), rows(theirs))

    assert [
        f"{d.account_id} {d.instrument_id} {d.held_qty} {d.reported_qty} {d.gap_qty} {d.size}"
        for d in found
    ] == expected


def test_the_average_prices_go_along():
    [one] = compared(rows("SBER 10 @250"), rows("SBER 8 @251.5"))

    assert (one.held_avg_px, one.reported_avg_px) == (Decimal(250), Decimal("251.5"))


def test_two_legs_have_no_average_together():
    [one] = compared(rows("SBER 1 @250"), rows("SBER 5 @250, SBER -3 @250"))

    assert (one.held_avg_px, one.reported_avg_px) == (Decimal(250), None)


def test_limits_are_asked_for_what_differs_alone():
    """Ten thousand instruments are compared every few minutes, and nearly all agree."""
    asked = []

    def limits_of(instrument_id: str) -> Limits:
        asked.append(instrument_id)
        return UNKNOWN

    compared(rows("SBER 1, GAZP 2, LKOH 3"), rows("SBER 1, GAZP 3, LKOH 3"), limits_of)

    assert asked == ["GAZP"]


@pytest.mark.parametrize("qty", [0.5, Decimal("NaN"), Decimal("Infinity"), "1", None])
def test_no_gap_is_made_of_anything_but_finite_decimals(qty: Any):
    wrong = [Held(account_id="A", instrument_id="SBER", position_qty=qty)]

    for ours, theirs in ((wrong, rows("SBER 1")), (rows("SBER 1"), wrong), ([], wrong)):
        with pytest.raises(TypeError):
            compared(ours, theirs)


# ---- how large a gap is


def size_of(gap: str, tolerance: Tolerance, instrument: InstrumentDefined | None = None,
            px: str | None = None) -> Size:  # fmt: skip
    limits = tolerance.limits(instrument, None if px is None else Decimal(px))
    [one] = compared([], [a_row("SBER", gap)], lambda _: limits)
    return one.size


STEP_1, STEP_MILLI = an_instrument(step="1"), an_instrument(step="0.001")
LOT_10 = an_instrument(step="10", lot="10")
INVERSE = an_instrument(step="1", multiplier="100", contract=Contract.INVERSE)


def in_(unit: str, rounding: str | None = None, critical: str | None = None) -> Tolerance:
    return Tolerance(
        rounding=None if rounding is None else Decimal(rounding),
        critical=None if critical is None else Decimal(critical),
        unit=unit,  # type: ignore[arg-type]
    )


def worth(most: str) -> Tolerance:
    return Tolerance(critical_value=Decimal(most))


@pytest.mark.parametrize(
    ("tolerance", "instrument", "px", "sizes"),
    [
        # The chapter's, where nothing is known.
        (Tolerance(), None, None, {"0.001": ROUNDING, "0.00100000000000000001": MINOR,
                                   "10": MINOR, "10.00000000000000000001": CRITICAL}),
        (Tolerance(), an_instrument(), None, {"0.001": ROUNDING, "10": MINOR}),
        # Less than one step cannot be traded away.
        (Tolerance(), STEP_1, None, {"0.99999999999999999999": ROUNDING, "1": MINOR,
                                     "10": MINOR, "11": CRITICAL}),
        (Tolerance(), STEP_MILLI, None, {"0.0005": ROUNDING, "0.001": MINOR, "10.001": CRITICAL}),
        # Ten lots.
        (Tolerance(), LOT_10, None, {"9": ROUNDING, "10": MINOR, "100": MINOR, "101": CRITICAL}),
        (Tolerance(), an_instrument(lot="10"), None, {"0.001": ROUNDING, "0.01": MINOR,
                                                      "100": MINOR, "100.001": CRITICAL}),
        # A step above ten base units: what cannot be traded stops nobody.
        (Tolerance(), an_instrument(step="50"), None, {"49": ROUNDING, "50": MINOR,
                                                       "51": CRITICAL}),
        # What is said: up to it, inclusive.
        (in_("BASE", "2", "5"), LOT_10, None, {"2": ROUNDING, "2.1": MINOR, "5": MINOR,
                                               "5.1": CRITICAL}),
        (in_("STEP", "1", "3"), LOT_10, None, {"10": ROUNDING, "10.1": MINOR, "30": MINOR,
                                               "31": CRITICAL}),
        (in_("LOT", "0", "2"), LOT_10, None, {"0.1": MINOR, "20": MINOR, "21": CRITICAL}),
        (in_("LOT", critical="2"), LOT_10, None, {"9": ROUNDING, "10": MINOR, "21": CRITICAL}),
        (in_("BASE", rounding="20"), None, None, {"20": ROUNDING, "20.1": CRITICAL}),
        (in_("BASE", critical="0.0005"), None, None, {"0.0005": ROUNDING, "0.0006": CRITICAL}),
        (in_("BASE", critical="0.5"), STEP_1, None, {"0.5": ROUNDING, "0.6": CRITICAL}),
        # Steps and lots that nobody knows: as if it were not said.
        (in_("LOT", "1", "2"), STEP_1, None, {"0.9": ROUNDING, "1": MINOR, "10": MINOR,
                                              "11": CRITICAL}),
        (in_("STEP", "5", "6"), None, None, {"0.001": ROUNDING, "0.1": MINOR, "10": MINOR,
                                             "11": CRITICAL}),
        # The value bound: above it, whatever the quantity says; nothing without a price.
        (worth("1000"), STEP_1, "250", {"4": MINOR, "4.001": CRITICAL, "0.9": ROUNDING}),
        (worth("1000"), an_instrument(multiplier="10"), "250", {"0.4": MINOR, "0.401": CRITICAL}),
        (worth("1"), STEP_1, "250", {"0.003": ROUNDING, "0.005": CRITICAL}),
        (worth("1000"), STEP_1, "-250", {"4": MINOR, "5": CRITICAL}),
        (worth("1000"), STEP_1, None, {"4.001": MINOR, "10": MINOR, "11": CRITICAL}),
        (worth("1000"), STEP_1, "0", {"10": MINOR, "11": CRITICAL}),
        (worth("500"), INVERSE, "60000", {"5": MINOR, "6": CRITICAL}),
        (worth("500"), INVERSE, None, {"5": MINOR, "6": CRITICAL}),
    ],
)  # fmt: skip
def test_how_large_a_gap_is(
    tolerance: Tolerance, instrument: InstrumentDefined | None, px: str | None,
    sizes: dict[str, Size],
):  # fmt: skip
    found = {gap: size_of(gap, tolerance, instrument, px) for gap in sizes}
    negative = {gap: size_of(f"-{gap}", tolerance, instrument, px) for gap in sizes}

    assert found == negative == sizes


# ---- properties


def decimals(lowest: int, highest: int, places: int) -> st.SearchStrategy[Decimal]:
    whole = st.integers(lowest * 10**places, highest * 10**places)
    return whole.map(lambda units: Decimal(units).scaleb(-places, EXACT))


QTYS = st.one_of(
    st.integers(-12, 12).map(Decimal),
    decimals(-20, 20, 4),
    decimals(-(10**17), 10**17, 20),
    st.sampled_from([Decimal("10"), Decimal("-10"), Decimal("0.001"), Decimal("0")]),
)
ROWS = st.lists(
    st.builds(
        Held,
        account_id=st.sampled_from("AB"),
        instrument_id=st.sampled_from(["SBER", "GAZP", "BTC", "ETH"]),
        position_qty=QTYS,
        avg_px=st.none() | decimals(-10, 1000, 2),
    ),
    max_size=8,
)
AMOUNTS = st.none() | st.integers(0, 30).map(Decimal) | decimals(0, 5, 3)
STEPS = st.sampled_from([None, Decimal("0.001"), Decimal(1), Decimal(10), Decimal(50)])
LIMITS = st.builds(
    lambda tolerance, step, lot, multiplier, px: tolerance.limits(
        InstrumentDefined(
            instrument_id="X", qty_step=step, lot_size=lot, multiplier=multiplier
        ),
        px,
    ),
    st.builds(
        Tolerance,
        rounding=AMOUNTS,
        critical=AMOUNTS,
        unit=st.sampled_from(["BASE", "STEP", "LOT"]),
        critical_value=AMOUNTS,
    ),
    STEPS,
    STEPS,
    st.sampled_from([Decimal(1), Decimal(10), Decimal("0.01")]),
    st.none() | decimals(-10, 1000, 2),
)  # fmt: skip


def totals(side: Sequence[Held]) -> dict[tuple[str, str], Decimal]:
    found: dict[tuple[str, str], Decimal] = {}
    for row in side:
        key = (row.account_id, row.instrument_id)
        found[key] = EXACT.add(found.get(key, Decimal(0)), row.position_qty)
    return found


def by_key(found: Sequence[Difference]) -> dict[tuple[str, str], Difference]:
    return {(each.account_id, each.instrument_id): each for each in found}


@unhurried
@given(ROWS, ROWS)
def test_every_position_of_either_side_is_compared(ours: list[Held], theirs: list[Held]):
    """Exactly the positions whose sums differ, each with what must be added to the book."""
    held, reported = totals(ours), totals(theirs)
    zero = Decimal(0)
    gaps = {
        key: EXACT.subtract(reported.get(key, zero), held.get(key, zero))
        for key in held.keys() | reported.keys()
    }

    found = compared(ours, theirs)

    assert {key: each.gap_qty for key, each in by_key(found).items()} == {
        key: gap for key, gap in gaps.items() if gap
    }
    for key, each in by_key(found).items():
        assert each.held_qty == held.get(key, zero)
        assert each.reported_qty == reported.get(key)  # None where it is absent
    assert [(each.account_id, each.instrument_id) for each in found] == sorted(by_key(found))


@unhurried
@given(ROWS, ROWS)
def test_swapping_the_sides_negates_the_gaps(ours: list[Held], theirs: list[Held]):
    one, other = compared(ours, theirs), compared(theirs, ours)

    assert [(d.instrument_id, d.gap_qty, d.size) for d in one] == [
        (d.instrument_id, d.gap_qty.copy_negate(), d.size) for d in other
    ]


@unhurried
@given(ROWS)
def test_a_side_agrees_with_itself(side: list[Held]):
    assert compared(side, side) == ()


@unhurried
@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(ours: list[Held], theirs: list[Held], random):
    expected = compared(ours, theirs)
    ours, theirs = list(ours), list(theirs)
    random.shuffle(ours)
    random.shuffle(theirs)

    assert compared(ours, theirs) == expected


@unhurried
@given(ROWS, ROWS)
def test_adding_the_gaps_to_the_book_ends_the_differences(ours: list[Held], theirs: list[Held]):
    """What the gap is for; it also has the form in which amounts are kept."""
    found = compared(ours, theirs)
    adjusted = [a_row(d.instrument_id, d.gap_qty, account_id=d.account_id) for d in found]

    assert compared([*ours, *adjusted], theirs) == ()
    for each in found:
        assert each.gap_qty.as_tuple() == canonical(each.gap_qty).as_tuple()


@unhurried
@given(LIMITS, QTYS, QTYS)
def test_a_greater_gap_is_never_smaller(limits: Limits, one: Decimal, other: Decimal):
    order = [ROUNDING, MINOR, CRITICAL]
    smaller, greater = sorted((one, other), key=Decimal.copy_abs)

    assert order.index(limits.size_of(smaller)) <= order.index(limits.size_of(greater))
    assert limits.size_of(one) == limits.size_of(one.copy_negate())


@unhurried
@given(LIMITS, QTYS)
def test_beyond_a_limit_a_gap_is_critical(limits: Limits, gap_qty: Decimal):
    """Whatever else was said: this is what stops a robot."""
    is_large = gap_qty.copy_abs() > limits.critical_qty
    if limits.critical_value is not None and limits.px is not None:
        value = EXACT.multiply(EXACT.multiply(gap_qty, limits.px), limits.multiplier)
        is_large = is_large or value.copy_abs() > limits.critical_value

    assert (limits.size_of(gap_qty) is CRITICAL) == is_large


def test_rows_of_one_position_add_up_in_an_answer():
    rows = (("SBER", "5"), ("GAZP", "0"), ("SBER", "-2"))
    messages = [
        Message(0, "position", PositionReport(instrument_id=name, position_qty=Decimal(qty)), b"{}")
        for name, qty in rows
    ]
    reading = read(messages, {"default"}, 0, 0)
    assert reading.quantities == {("default", "SBER"): Decimal(3), ("default", "GAZP"): Decimal(0)}
