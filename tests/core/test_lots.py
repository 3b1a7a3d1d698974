"""What first in first out and last in first out make of the same trades."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fillbook.core.events import InstrumentDefined
from fillbook.core.holdings import value_at
from fillbook.core.lots import LotBook, LotView
from fillbook.core.positions import Position
from fillbook.core.values import Contract

LINEAR, INVERSE, SPOT = Contract.LINEAR, Contract.INVERSE, Contract.SPOT
CASES = Path(__file__).parents[2].parent / "shared/acceptance/cases/positions.json"

unhurried = settings(deadline=None)


def a_book(method: str = "fifo", contract: Contract = LINEAR) -> LotBook:
    return LotBook(method, "default", "INST", contract, "BTC")


def an_instrument(contract: Contract = LINEAR, multiplier: str = "1") -> InstrumentDefined:
    return InstrumentDefined(
        instrument_id="INST",
        contract=contract,
        multiplier=Decimal(multiplier),
        base_currency="BTC",
        quote_currency="USD",
    )


def book(lots: LotBook | Position, text: str) -> None:
    """Book a trade like ``"10@101.5"`` or ``"-3@?"`` (price unknown)."""
    qty, _, px = text.partition("@")
    lots.trade_exact(Decimal(qty), None if px == "?" else Decimal(px))


def traded(method: str, *trades: str, contract: Contract = LINEAR) -> LotBook:
    lots = a_book(method, contract)
    for text in trades:
        book(lots, text)
    return lots


def view_of(lots: LotBook, mark: str | None = None, multiplier: str = "1") -> LotView:
    instrument = an_instrument(lots._contract, multiplier)
    return lots.view(instrument, None if mark is None else Decimal(mark))


def closed(lots: LotBook, multiplier: str = "1") -> list[tuple[object, ...]]:
    printed = view_of(lots, multiplier=multiplier).as_json()["lots_closed"]
    assert isinstance(printed, list)
    return [tuple(lot.values()) for lot in printed]


def held(lots: LotBook) -> list[tuple[object, ...]]:
    printed = view_of(lots).as_json()["lots_open"]
    assert isinstance(printed, list)
    return [tuple(lot.values()) for lot in printed]


# ---- which lot


BUYS = ("1000@1.07", "1000@1.08")


@pytest.mark.parametrize(
    ("method", "trades", "lots_closed", "lots_open"),
    [
        ("fifo", [], [], []),
        ("fifo", [*BUYS, "-500@1.09"], [("500", "1.07", "1.09", "10")],
         [("500", "1.07"), ("1000", "1.08")]),
        ("lifo", [*BUYS, "-500@1.09"], [("500", "1.08", "1.09", "5")],
         [("1000", "1.07"), ("500", "1.08")]),
        ("fifo", [*BUYS, "-1500@1.09"],
         [("1000", "1.07", "1.09", "20"), ("500", "1.08", "1.09", "5")], [("500", "1.08")]),
        ("lifo", [*BUYS, "-1500@1.09"],
         [("1000", "1.08", "1.09", "10"), ("500", "1.07", "1.09", "10")], [("500", "1.07")]),
        ("fifo", ["10@5", "-15@7"], [("10", "5", "7", "20")], [("-5", "7")]),
        ("lifo", ["-10@5", "-10@6", "25@4"],
         [("-10", "6", "4", "20"), ("-10", "5", "4", "10")], [("5", "4")]),
        ("fifo", ["-10@5", "4@4"], [("-4", "5", "4", "4")], [("-6", "5")]),
        ("fifo", ["10@-2", "-10@0"], [("10", "-2", "0", "20")], []),
        ("lifo", ["10@5", "-10@6", "10@7"], [("10", "5", "6", "10")], [("10", "7")]),
    ],
)  # fmt: skip
def test_which_lots_a_trade_closes(method, trades, lots_closed, lots_open):
    """One closed lot per pair of fills, in the order of closing; what is open, oldest first."""
    lots = traded(method, *trades)

    assert closed(lots) == lots_closed
    assert held(lots) == lots_open
    assert view_of(lots).trade_count == len(trades)


def test_average_and_profit_are_those_of_the_lots():
    """A sale of the cheap lot leaves the dear one, so the average is its price."""
    trades = ("10@100", "10@200", "-10@150")
    views = {method: view_of(traded(method, *trades), mark="120") for method in ("fifo", "lifo")}

    figures = {
        method: (view.position_qty, view.avg_px, view.realized_pnl_gross, view.unrealized_pnl)
        for method, view in views.items()
    }
    assert figures == {"fifo": (10, 200, 500, -800), "lifo": (10, 100, -500, 200)}


def test_keys_of_the_lots_come_after_those_of_the_position():
    """The same object as without a method, and two keys more."""
    lots = traded("fifo", "2@5", "-1@7")
    lots.charge("USD", Decimal("0.5"))
    lots.receive("USD", Decimal("0.25"))
    printed = view_of(lots, mark="6", multiplier="10").as_json()

    assert json.dumps(printed) == json.dumps(
        {
            "account_id": "default",
            "instrument_id": "INST",
            "position_qty": "1",
            "avg_px": "5",
            "realized_pnl_gross": "20",
            "commissions": {"USD": "0.5"},
            "cash": {"USD": "0.25"},
            "realized_pnl": "19.75",
            "pnl_currency": "USD",
            "unrealized_pnl": "10",
            "trade_count": 2,
            "lots_closed": [
                {"lot_qty": "1", "entry_px": "5", "exit_px": "7", "realized_pnl_gross": "20"}
            ],
            "lots_open": [{"lot_qty": "1", "entry_px": "5"}],
        }
    )


def test_inverse_lots_earn_the_base_currency():
    """100 × (1/10 - 1/20) for the first lot, 100 × (1/40 - 1/20) for the second."""
    lots = traded("fifo", "100@10", "100@40", "-200@20", contract=INVERSE)

    assert closed(lots) == [("100", "10", "20", "5"), ("100", "40", "20", "-2.5")]
    assert view_of(lots).realized_pnl_gross == Decimal("2.5")


def test_an_odd_inverse_lot_closed_at_its_entry_earns_nothing():
    """The part of a lot costs that part of it, however many digits the reciprocal has."""
    lots = traded("fifo", "123457@9.7", "-23457@9.7", contract=INVERSE)

    assert closed(lots) == [("23457", "9.7", "9.7", "0")]
    assert held(lots) == [("100000", "9.7")]


# ---- what is unknown


def test_an_unknown_entry_leaves_the_other_lots_known():
    """Only what that lot earned is unknown, and with it every sum."""
    lots = traded("fifo", "10@?", "10@50", "-15@60")

    assert closed(lots) == [("10", None, "60", None), ("5", "50", "60", "50")]
    assert held(lots) == [("5", "50")]
    view = view_of(lots, mark="55")
    assert (view.position_qty, view.avg_px, view.realized_pnl, view.unrealized_pnl) == (
        5, None, None, None,
    )  # fmt: skip


def test_an_unknown_exit_leaves_the_rest_of_the_lot_known():
    """We know what was bought at 50, and that some of it went for who knows what."""
    lots = traded("lifo", "10@50", "-4@?", "-1@60")

    assert closed(lots) == [("4", "50", None, None), ("1", "50", "60", "10")]
    assert held(lots) == [("5", "50")]
    assert view_of(lots).realized_pnl_gross is None


def test_an_unknown_price_is_unknown_to_every_method_alike():
    """An open lot without a price has no average, and neither have they together."""
    view = view_of(traded("fifo", "10@50", "5@?"))

    assert (view.position_qty, view.avg_px, view.realized_pnl_gross) == (15, None, None)
    assert view_of(traded("fifo", "1@5", "1@0", contract=INVERSE)).avg_px is None


# ---- fees in kind and splits


@pytest.mark.parametrize(
    ("method", "trades", "fee", "lots_open"),
    [
        ("fifo", ["1@100", "1@200"], "0.001", [("1", "100"), ("0.999", "200")]),
        ("lifo", ["1@100", "1@200"], "0.001", [("1", "100"), ("0.999", "200")]),
        ("fifo", ["1@100", "1@200", "-0.5@300"], "0.001", [("0.499", "100"), ("1", "200")]),
        ("lifo", ["1@100", "1@200", "-0.5@300"], "0.001", [("1", "100"), ("0.499", "200")]),
        ("fifo", ["1@100", "1@200", "-1@300"], "0.001", [("0.999", "200")]),
        ("fifo", ["-1@100", "-1@200"], "0.001", [("-1", "100"), ("-1.001", "200")]),
        ("fifo", ["1@100", "1@200"], "-0.001", [("1", "100"), ("1.001", "200")]),
        ("fifo", ["1@100", "1@200", "1@300"], "1.5", [("0.5", "100"), ("1", "200")]),
        ("lifo", ["1@100", "1@200", "1@300"], "1.5", [("1", "100"), ("0.5", "200")]),
        ("lifo", ["1@100", "1@200", "-0.9995@300"], "0.001", [("0.9995", "100")]),
        ("fifo", ["1@100", "-1@300"], "0.001", [("-0.001", "300")]),
        ("fifo", ["1@100", "-0.9995@300"], "0.001", [("-0.0005", "300")]),
        ("fifo", ["1@100", "-2@300"], "0.001", [("-1.001", "300")]),
    ],
)
def test_a_fee_in_kind_falls_on_the_fill_s_own_lot_or_the_next(method, trades, fee, lots_open):
    """Coins come out of the bag they were just put in, else out of the one at hand; at cost."""
    lots = traded(method, *trades, contract=SPOT)
    before, pairs = view_of(lots).realized_pnl_gross, closed(lots)
    lots.charge("BTC", Decimal(fee), Decimal(trades[-1].partition("@")[2]))

    assert held(lots) == lots_open
    assert view_of(lots).realized_pnl_gross == before
    assert closed(lots) == pairs
    assert view_of(lots).commissions == {"BTC": Decimal(fee)}


def test_a_fee_in_kind_that_opens_without_a_price_is_unknown():
    """As under every method."""
    lots = traded("fifo", "1@100", "-1@130", contract=SPOT)
    lots.charge("BTC", Decimal("0.001"))

    assert held(lots) == [("-0.001", None)]
    assert view_of(lots).realized_pnl_gross is None


def test_a_split_multiplies_the_lots_and_divides_their_prices():
    """What was closed before stays as it was."""
    lots = traded("fifo", "10@100", "10@200", "-5@150")
    lots.split(Decimal(2), Decimal(1))
    book(lots, "-30@80")

    assert closed(lots) == [
        ("5", "100", "150", "250"), ("10", "50", "80", "300"), ("20", "100", "80", "-400"),
    ]  # fmt: skip
    assert lots.qty == 0


def test_what_rounding_leaves_of_a_split_falls_on_the_largest_lot():
    """Three lots of a third each are rounded, their sum is what every other method counts."""
    lots, position = a_book(), Position(1, "default", "INST")
    for either in (lots, position):
        for trade in ("1@5", "1@5", "5@5"):
            book(either, trade)
        either.split(Decimal(1), Decimal(3))

    third = "0." + 28 * "3"
    assert lots.qty == position.qty == Decimal("2.333333333333333333333333333")
    assert [lot[0] for lot in held(lots)] == [third, third, "1.6666666666666666666666666664"]
    assert view_of(lots).avg_px == view_of_position(position).avg_px


def view_of_position(position: Position):
    return position.view(an_instrument(position.contract), None)


def test_the_figures_of_lots_that_were_divided_have_28_digits():
    """As those of every method, whether the split did not come out or a share after it."""
    thirds = traded("fifo", "10@3")
    thirds.split(Decimal(1), Decimal(3))
    assert view_of(thirds, mark="1.23456789").as_json()["unrealized_pnl"] == "-25.8847737"

    tripled = traded("fifo", "10@1")
    tripled.split(Decimal(3), Decimal(1))
    book(tripled, "-1@1000000.5")
    gross = "1000000.166666666666666666667"
    assert closed(tripled) == [("1", f"0.{28 * '3'}", "1000000.5", gross)]
    assert view_of(tripled).as_json()["realized_pnl_gross"] == gross


def test_a_split_of_nothing_and_by_nothing():
    """Nothing stays nothing; a ratio of 0 is our mistake."""
    flat = traded("fifo", "1@5", "-1@6")
    flat.split(Decimal(2), Decimal(1))
    assert flat.qty == 0

    for ratio in (("0", "1"), ("1", "0")):
        with pytest.raises(AssertionError):
            traded("fifo", "1@5").split(*map(Decimal, ratio))


def test_reset_forgets_the_lots():
    """A refold starts from nothing."""
    lots = traded("fifo", "2@5", "-1@?")
    lots.reset()

    assert view_of(lots) == view_of(a_book())


def test_an_unknown_method_is_our_mistake():
    """It would silently be LIFO."""
    with pytest.raises(AssertionError):
        a_book("hifo")


# ---- cases of other systems


def load_cases() -> list:
    if not CASES.exists():
        reason = "the shared acceptance cases are not beside this checkout"
        return [pytest.param(None, "fifo", marks=pytest.mark.skip(reason=reason))]
    cases = json.loads(CASES.read_text(encoding="utf-8"))
    rows = [
        pytest.param(case, method, id=f"{case['id']}-{method}")
        for case in cases
        for method in ("fifo", "lifo")
        if case["expect"].get(f"lots_{method}")
    ]
    assert rows
    return rows


@pytest.mark.parametrize(("case", "method"), load_cases())
def test_case_of_another_system(case, method):
    """Pairs of fills that other systems test for."""
    lots = a_book(method)
    for fill in case["fills"]:
        qty, px, fee = (Decimal(fill[key]) for key in ("qty", "price", "fee"))
        lots.trade_exact(qty if fill["side"] == "buy" else -qty, px)
        lots.charge(fill["fee_ccy"], fee, px)

    view = view_of(lots, multiplier=case["multiplier"])
    expected = case["expect"][f"lots_{method}"]
    got = [
        (abs(lot.lot_qty), lot.entry_px, lot.exit_px, lot.realized_pnl_gross)
        for lot in view.lots_closed
    ]
    keys = ("qty", "entry_price", "exit_price", "pnl_gross")
    assert got == [tuple(Decimal(lot[key]) for key in keys) for lot in expected]
    assert view.realized_pnl_gross == sum(Decimal(lot["pnl_gross"]) for lot in expected)


# ---- any history


def amounts(places: int, low: int, high: int):
    return st.decimals(low, high, places=places, allow_nan=False, allow_infinity=False)


quantities = st.one_of(st.integers(-5, 5).map(Decimal), amounts(8, -1000, 1000)).filter(bool)
prices = st.one_of(st.integers(-3, 12).map(Decimal), amounts(8, -1000, 1000))
above_zero = st.one_of(st.integers(1, 12).map(Decimal), amounts(4, 1, 10**5))
ratios = st.sampled_from([(2, 1), (1, 2), (3, 2), (1, 3), (3, 7)])
methods = st.sampled_from(["fifo", "lifo"])

Trade = tuple[Decimal, Decimal]
trades = st.one_of(
    st.tuples(st.just(LINEAR), st.lists(st.tuples(quantities, prices), max_size=25)),
    st.tuples(st.just(INVERSE), st.lists(st.tuples(quantities, above_zero), max_size=25)),
)


class Reference:
    """Lots as a plain list of [quantity, worth at entry], in fractions; written from the rules."""

    def __init__(self, method: str) -> None:
        self.last = -1 if method == "lifo" else 0
        self.lots: list[list[Fraction]] = []
        self.pairs: list[tuple[Fraction, Fraction]] = []

    def trade(self, qty: Fraction, value: Fraction) -> None:
        while qty and self.lots and self.lots[0][0] * qty < 0:
            lot = self.lots[self.last]
            part = min(abs(lot[0]), abs(qty)) * (1 if lot[0] > 0 else -1)
            self.pairs.append((part, part * (value - lot[1])))
            lot[0] -= part
            qty += part
            if not lot[0]:
                self.lots.pop(self.last)
        if qty:
            self.lots.append([qty, value])


@unhurried
@given(methods, trades)
def test_any_history_agrees_with_a_list_of_lots(method, history):
    """No division is made where there is no split, so every figure is exact."""
    contract, steps = history
    lots, reference = a_book(method, contract), Reference(method)
    for qty, px in steps:
        lots.trade_exact(qty, px)
        reference.trade(Fraction(qty), Fraction(value_at(contract, px)))

        pairs = [(Fraction(lot.lot_qty), Fraction(lot.realized_pnl_gross)) for lot in lots._closed]
        assert pairs == reference.pairs
        assert [Fraction(lot.qty) for lot in lots._lots] == [lot[0] for lot in reference.lots]
        assert Fraction(lots.qty) == sum(lot[0] for lot in reference.lots)


@unhurried
@given(methods, trades)
def test_methods_differ_only_in_when_profit_is_realized(method, history):
    """Realized and unrealized together are the account's; flat, it is all realized."""
    contract, steps = history
    lots, position = a_book(method, contract), Position(1, "default", "INST", contract, "BTC")
    instrument, mark = an_instrument(contract, "3"), Decimal("17.5")
    turnover = Decimal(0)
    for qty, px in steps:
        turnover += abs(qty * value_at(contract, px)) + abs(qty)
        lots.trade_exact(qty, px)
        position.trade_exact(qty, px)
        by_lots, by_average = lots.view(instrument, mark), position.view(instrument, mark)

        assert by_lots.position_qty == by_average.position_qty
        assert by_lots.trade_count == by_average.trade_count
        whole = [view.realized_pnl_gross + view.unrealized_pnl for view in (by_lots, by_average)]
        assert abs(whole[0] - whole[1]) <= 20 * turnover * Decimal("1e-26")
        if position.is_flat:
            assert lots._gross == position.gross
            assert by_lots.lots_open == ()


fees = st.tuples(st.just("fee"), amounts(6, -1, 1), prices)
splits = ratios.map(lambda ratio: ("split", Decimal(ratio[0]), Decimal(ratio[1])))
spot = st.lists(
    st.one_of(*3 * [st.tuples(st.just("trade"), quantities, prices)], fees, splits), max_size=25
)


@unhurried
@given(methods, spot)
def test_quantity_and_fees_are_the_same_under_every_method(method, steps):
    """Fees in kind and splits move as much, whichever lots they fall on."""
    lots, position = a_book(method, SPOT), Position(1, "default", "INST", SPOT, "BTC")
    for kind, first, second in steps:
        for either in (lots, position):
            if kind == "trade":
                either.trade_exact(first, second)
            elif kind == "fee":
                either.charge("BTC", first, second)
            else:
                either.split(first, second)

        assert lots.qty == position.qty
        assert lots.commissions == position.commissions
        signs = {lot.qty > 0 for lot in lots._lots}
        assert len(signs) <= 1
        assert not any(lot.is_flat for lot in lots._lots)
        earned = [Fraction(lot.realized_pnl_gross) for lot in lots._closed]
        assert sum(earned) == Fraction(lots._gross)
