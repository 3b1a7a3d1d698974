"""Keep amounts exact: from text to `Decimal`, to scaled integers, and through a division.

Everything here is a finite `Decimal` or an `int`; a float is refused.  Addition and multiplication
are exact.  A division that does not come out is rounded once, half even, at 28 significant digits.
"""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache

from fillbook.errors import BadValue

__all__ = [
    "EXACT",
    "MAX_DIGITS",
    "MAX_EXPONENT",
    "PX_SCALE",
    "QTY_SCALE",
    "ROUNDED",
    "average_of",
    "decimal_of",
    "divided",
    "nearest",
    "plain",
    "quotient",
    "rounded",
    "scaled",
    "unscaled",
]

MAX_DIGITS = 38
MAX_EXPONENT = 20
QTY_SCALE = PX_SCALE = 8
"""Decimal places of the scaled integers that the log's hot columns hold."""

EXACT = Context(
    prec=400, rounding=ROUND_HALF_EVEN, Emin=-9999, Emax=9999, traps=[InvalidOperation, Inexact]
)
"""For sums and products: wide enough for all that `decimal_of` lets in; rounding would raise."""

ROUNDED = Context(
    prec=28, rounding=ROUND_HALF_EVEN, Emin=-9999, Emax=9999, traps=[InvalidOperation]
)
"""For divisions."""

_LIMIT = 10**28
_INT64 = 2**63
_TENS = tuple(10**n for n in range(30))
_AMOUNT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_is_usual = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,18})?").fullmatch
"""Tells whether a text is what nearly all amounts are: within every limit, without an exponent."""

_HOT = Decimal(10) ** QTY_SCALE
_ZERO = Decimal(0)


@lru_cache(maxsize=1 << 14)
def decimal_of(text: str) -> Decimal:
    """Return *text* as a canonical `Decimal`: no needless zeros, exponent at most 0, no minus zero.

    Raises `BadValue` (with an empty key) for anything but a finite number of at most 38 digits
    and an exponent within ±20.
    """
    return _decimal_of(text, MAX_EXPONENT)


@lru_cache(maxsize=1 << 12)
def average_of(text: str) -> Decimal:
    """Return *text* as a canonical `Decimal` that may have up to 38 decimal places.

    For averages: a quotient printed with 28 digits, as ours are, may have more than 20 places, and
    a fill must not be set aside for that.
    """
    return _decimal_of(text, MAX_DIGITS)


def _decimal_of(text: str, most_places: int) -> Decimal:
    if _is_usual(text):  # to look at a `Decimal`'s digits takes ten times as long as to make it
        short = text.rstrip("0").rstrip(".") if text[-1] == "0" and "." in text else text
        return Decimal(short) or _ZERO  # zero without its sign
    if len(text) > 100 or not _AMOUNT.fullmatch(text):
        shown = text if len(text) <= 40 else f"{text[:40]}… ({len(text)} characters)"
        raise BadValue("", f"{shown!r} is not a decimal number")
    value = Decimal(text)
    digits, exponent = len(value.as_tuple().digits), value.as_tuple().exponent
    assert isinstance(exponent, int)
    if digits > MAX_DIGITS or not -most_places <= exponent <= MAX_EXPONENT:
        raise BadValue(
            "", f"{text!r} has {digits} digits and exponent {exponent}; at most 38 and within ±20"
        )
    return canonical(value)


def canonical(value: Decimal) -> Decimal:
    """Return the one form of *value*: no trailing zeros, exponent at most 0, zero without sign."""
    if not value:
        return Decimal(0)
    short = value.normalize(EXACT)
    exponent = short.as_tuple().exponent
    assert isinstance(exponent, int)
    return short.quantize(Decimal(1), context=EXACT) if exponent > 0 else short


@lru_cache(maxsize=1 << 14)
def plain(value: Decimal) -> str:
    """Return *value* as text without an exponent and without needless zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


@lru_cache(maxsize=1 << 14)
def scaled(value: Decimal) -> int | None:
    """Return *value* in units of 1e-8, or None where it does not fit 63 bits exactly."""
    product = EXACT.multiply(value, _HOT)
    whole = int(product)
    return whole if whole == product and -_INT64 < whole < _INT64 else None


def unscaled(units: int, scale: int = QTY_SCALE) -> Decimal:
    """Return *units* of 10**-scale as a canonical `Decimal`."""
    return canonical(Decimal(units).scaleb(-scale, EXACT))


def quotient(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Return the quotient, half even at 28 digits; exact where it has no more."""
    return ROUNDED.divide(numerator, denominator)


def divided(numerator: int, denominator: int) -> tuple[int, int]:
    """Return ``(q, places)`` with q · 10**-places the quotient, half even at 28 significant digits.

    `places` is 0 where the quotient is a whole number of at most 28 digits.
    """
    below = abs(denominator)
    whole, rest = divmod(abs(numerator), below)
    places = 0
    if rest or whole >= _LIMIT:
        whole, places = rounded(whole, rest, below)
    return (whole if (numerator < 0) is (denominator < 0) else -whole), places


def rounded(whole: int, rest: int, below: int) -> tuple[int, int]:
    """Return whole + rest / below as `divided` does; all >= 0, as `divmod` left them.

    What `ROUNDED.divide` gives, nearly always without a `Decimal`, which is slow to make.  Writing
    a number out to count its digits is slow too, and most have 28 or 29.
    """
    if whole >= _LIMIT:
        unit = 10 if whole < _TENS[29] else 10 ** (len(str(whole)) - 28)
        kept, cut = divmod(whole, unit)
        if 2 * cut > unit or (2 * cut == unit and (rest or kept & 1)):
            kept += 1
        return kept * unit, 0
    if whole >= _TENS[27]:
        if 2 * rest > below or (2 * rest == below and whole & 1):
            whole += 1
        return whole, 0
    places, exact = 28 - len(str(whole)), whole
    if whole:
        more, left = divmod(rest * _TENS[places], below)
        whole = whole * _TENS[places] + more
        if 2 * left > below or (2 * left == below and whole & 1):
            whole += 1
    if not whole % 10 or whole >= _LIMIT:  # it comes out sooner, or is below 1
        value = ROUNDED.divide(Decimal(exact * below + rest), Decimal(below))
        _, _, exponent = value.as_tuple()
        assert isinstance(exponent, int)
        places = max(-exponent, 0)
        whole = int(value.scaleb(places, EXACT))
    return whole, places


def nearest(numerator: int, denominator: int) -> int:
    """Return the quotient as a whole number, half even."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice < denominator:
        return whole
    return whole + (twice > denominator or whole & 1)
