"""An amount has one form, however it is written and whichever way it is read."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fillbook.core.exact import average_of, canonical, decimal_of
from fillbook.errors import BadValue

DIGITS = st.text("0123456789", min_size=1, max_size=22)
ZEROS = st.sampled_from(["", "0", "00", "0" * 12])


@given(
    st.sampled_from(["", "-", "+"]), ZEROS, DIGITS, st.none() | DIGITS, ZEROS,
    st.sampled_from(["", "e0", "E-3", "e+4"]),
)  # fmt: skip
def test_an_amount_has_one_form(
    sign: str, before: str, whole: str, places: str | None, after: str, exponent: str
):
    """What is written as usual takes a short way; it must lead to the same place."""
    text = f"{sign}{before}{whole}" + ("" if places is None else f".{places}{after}") + exponent
    for read, most_places in ((decimal_of, 20), (average_of, 38)):
        value = Decimal(text)
        _, digits, power = value.as_tuple()
        assert isinstance(power, int)
        if len(digits) > 38 or power < -most_places:
            with pytest.raises(BadValue, match="digits and exponent"):
                read(text)
            continue
        found = read(text)
        assert Fraction(found) == Fraction(text)
        assert found.as_tuple() == canonical(value).as_tuple()


@pytest.mark.parametrize(
    ("text", "form"),
    [("0", "0"), ("-0", "0"), ("-0.00", "0"), ("007", "7"), ("10", "10"), ("100.00", "100"),
     ("-1.50", "-1.5"), ("0.10", "0.1"), (".5", "0.5"), ("5.", "5"), ("1e2", "100")],
)  # fmt: skip
def test_the_form(text: str, form: str):
    assert str(decimal_of(text)) == form


@pytest.mark.parametrize("text", ["", "-", ".", "1\n", "١", "1 ", "1,5", "0x1", "nan", "1_0"])
def test_what_is_no_amount(text: str):
    with pytest.raises(BadValue, match="not a decimal number"):
        decimal_of(text)


@pytest.mark.parametrize(
    ("text", "is_taken"),
    [("9" * 20 + "." + "9" * 18, True), ("9" * 38, True), ("9" * 39, False),
     ("9" * 21 + "." + "9" * 18, False), ("0." + "0" * 19 + "1", True),
     ("0." + "0" * 20 + "1", False), ("9" * 19 + "." + "9" * 19, True),
     ("9" * 19 + "." + "9" * 20, False), ("1" + "0" * 20 + "." + "0" * 18, False)],
)  # fmt: skip
def test_how_long_an_amount_may_be(text: str, is_taken: bool):
    if is_taken:
        assert format(decimal_of(text), "f") == text
    else:
        with pytest.raises(BadValue, match="at most 38"):
            decimal_of(text)
