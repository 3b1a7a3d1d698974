"""Draw the figures that every method of costing shares: what a unit costs, what was paid, the view.

What a unit costs at a price is `value_at`; only it and the average tell contracts apart.
Multiplier and currencies apply when figures are read, so a later definition holds for the whole
history.  `core.positions` holds at average cost, `core.lots` in lots.
"""

from abc import ABC, abstractmethod
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact

from attrs import frozen

from fillbook.core.events import InstrumentDefined
from fillbook.core.exact import EXACT, ROUNDED, plain, quotient, scaled, unscaled
from fillbook.core.values import Contract

__all__ = [
    "FARTHEST_SPLITS",
    "ONE",
    "ZERO",
    "Holding",
    "PositionView",
    "average_px",
    "pnl_currency",
    "split_qty",
    "split_reach",
    "text_of",
    "value_at",
]

ZERO, ONE = Decimal(0), Decimal(1)

SPLIT_DIGITS = 60

FARTHEST_SPLITS = Decimal("1e60")
"""What the factors of an instrument's splits may come to, so that every sum stays exact."""

RECIPROCAL = Context(prec=26, rounding=ROUND_HALF_EVEN, Emin=-9999, Emax=9999)
"""For the average of an INVERSE.  Its basis is made of reciprocals rounded at 28 digits, so the way
back has noise in the last two: a single fill at 9.5 would average 9.500000000000000000000000004.
"""


def value_at(contract: Contract, px: Decimal) -> Decimal | None:
    """Return what one unit of quantity costs at *px*, in the currency that profit is made in.

        LINEAR, SPOT: px        INVERSE: -1 / px, half even at 28 digits

    So ``qty × (value_at(exit) - value_at(entry))`` is the profit per unit of multiplier for every
    contract.  None where the price says nothing: 0 for an INVERSE.
    """
    if contract is not Contract.INVERSE:
        return px
    return quotient(-ONE, px) if px else None


def average_px(contract: Contract, qty: Decimal, basis: Decimal) -> Decimal | None:
    """Return the price at which *qty* has this *basis*; None where there is none."""
    if contract is not Contract.INVERSE:
        return quotient(basis, qty) if qty else None
    return RECIPROCAL.divide(qty.copy_negate(), basis) if qty and basis else None


def split_qty(qty: Decimal, numerator: Decimal, denominator: Decimal) -> Decimal:
    """Return the quantity after a split: exact where it comes out, else half even at 28 digits.

    It comes out where it has no more than 60 digits: every split may add some, for ever.
    """
    product = EXACT.multiply(qty, numerator)
    try:
        after = EXACT.divide(product, denominator)
    except Inexact:
        return quotient(product, denominator)
    return after if len(after.as_tuple().digits) <= SPLIT_DIGITS else quotient(product, denominator)


def split_reach(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Return by how much a split moves a quantity, up or down: a factor >= 1, at 28 digits."""
    return max(quotient(numerator, denominator), quotient(denominator, numerator))


def pnl_currency(instrument: InstrumentDefined | None) -> str | None:
    """Return the currency in which the instrument's profit is counted; None where nothing tells."""
    if instrument is None:
        return None
    if instrument.settlement_currency is not None:
        return instrument.settlement_currency
    if instrument.contract is Contract.INVERSE:
        return instrument.base_currency
    return instrument.quote_currency


@frozen(kw_only=True)
class PositionView:
    """One position in figures; what is unknown is None.

    Attributes:
        position_qty: Base units, long > 0.
        avg_px: Open price per unit; None when flat.
        realized_pnl_gross: Over the whole life, without commissions and cash.
        commissions: What was paid per currency, a rebate < 0; where that is nothing, not listed.
        cash: Funding, dividends and the like per currency, > 0 was received.
        realized_pnl: Gross less commissions plus cash, both in `pnl_currency` only; where that is
            None, commissions and cash of every currency are left out.
        unrealized_pnl: At the mark; 0 when flat, None without a mark.
    """

    account_id: str
    instrument_id: str
    position_qty: Decimal
    avg_px: Decimal | None
    realized_pnl_gross: Decimal | None
    commissions: dict[str, Decimal]
    cash: dict[str, Decimal]
    realized_pnl: Decimal | None
    pnl_currency: str | None
    unrealized_pnl: Decimal | None
    trade_count: int

    def as_json(self) -> dict[str, object]:
        """Return the position as plain data, amounts as text."""
        return {
            "account_id": self.account_id,
            "instrument_id": self.instrument_id,
            "position_qty": plain(self.position_qty),
            "avg_px": text_of(self.avg_px),
            "realized_pnl_gross": text_of(self.realized_pnl_gross),
            "commissions": {key: plain(value) for key, value in self.commissions.items()},
            "cash": {key: plain(value) for key, value in self.cash.items()},
            "realized_pnl": text_of(self.realized_pnl),
            "pnl_currency": self.pnl_currency,
            "unrealized_pnl": text_of(self.unrealized_pnl),
            "trade_count": self.trade_count,
        }


def text_of(value: Decimal | None) -> str | None:
    """Return an amount as text, unknown as None."""
    return None if value is None else plain(value)


class Holding(ABC):
    """What every method of costing shares: whose it is, what it paid, and how figures are drawn."""

    __slots__ = (
        "_contract",
        "_fine_commissions",
        "_is_rounded",
        "_unit_commissions",
        "account_id",
        "base_currency",
        "cash",
        "instrument_id",
        "trade_count",
    )

    def __init__(
        self,
        account_id: str,
        instrument_id: str,
        contract: Contract = Contract.LINEAR,
        base_currency: str | None = None,
    ) -> None:
        self.account_id = account_id
        self.instrument_id = instrument_id
        self.base_currency = base_currency
        self._contract = contract
        self.reset()

    def reset(self) -> None:
        """Go back to never traded; whose and what it is stays."""
        self.trade_count = 0
        self._is_rounded = False  # no division that did not come out is in the figures
        self.cash: dict[str, Decimal] = {}
        self._unit_commissions: dict[str, int] = {}  # in 1e-8, the hot path
        self._fine_commissions: dict[str, Decimal] = {}  # what does not fit

    @abstractmethod
    def shift(self, qty: Decimal, px: Decimal | None) -> None:
        """Move the quantity by *qty* at unchanged average, realizing nothing.

        What crosses zero, or opens, does so at *px* and realizes nothing either.
        """

    def charge(self, currency: str, amount: Decimal, px: Decimal | None = None) -> None:
        """Count a commission, < 0 for a rebate; 0 is no charge.

        On SPOT one in the base currency is paid in kind: the quantity moves by as much, at cost.
        It belongs to the trade before it; *px* is that fill's price, None where unknown.
        """
        if not amount:  # moves nothing, so it needs no price to open at
            return
        units = scaled(amount)
        if units is not None:
            self._unit_commissions[currency] = self._unit_commissions.get(currency, 0) + units
        else:
            paid = self._fine_commissions.get(currency, ZERO)
            self._fine_commissions[currency] = EXACT.add(paid, amount)
        if currency == self.base_currency and self._contract is Contract.SPOT:
            self.shift(amount.copy_negate(), px)

    def receive(self, currency: str, amount: Decimal) -> None:
        """Count money that came without a trade; < 0 was paid, 0 is nothing."""
        if amount:
            self.cash[currency] = EXACT.add(self.cash.get(currency, ZERO), amount)

    @property
    def commissions(self) -> dict[str, Decimal]:
        """What was paid, by currency; one that comes to 0 is left out.

        So a fee that was corrected to nothing reads as if it had never been charged, whether its
        difference was charged or the history folded again.
        """
        paid = {currency: unscaled(units) for currency, units in self._unit_commissions.items()}
        for currency, amount in self._fine_commissions.items():
            paid[currency] = EXACT.add(paid.get(currency, ZERO), amount)
        return {currency: amount for currency, amount in sorted(paid.items()) if amount}

    def _view(
        self,
        instrument: InstrumentDefined | None,
        mark: Decimal | None,
        *,
        qty: Decimal,
        basis: Decimal | None,
        gross: Decimal | None,
    ) -> PositionView:
        """Draw the figures from quantity, basis and gross per unit; None are unknown."""
        multiplier = ONE if instrument is None else instrument.multiplier
        currency = pnl_currency(instrument)
        commissions, cash = self.commissions, dict(sorted(self.cash.items()))
        net = None
        if gross is not None:
            gross = net = EXACT.multiply(gross, multiplier)
        if net is not None and currency is not None:
            net = EXACT.subtract(net, commissions.get(currency, ZERO))
            net = EXACT.add(net, cash.get(currency, ZERO))

        unrealized = None if qty else ZERO
        value = None if mark is None else value_at(self._contract, mark)
        if qty and basis is not None and value is not None:
            unrealized = EXACT.subtract(EXACT.multiply(qty, value), basis)
            unrealized = EXACT.multiply(unrealized, multiplier)

        return PositionView(
            account_id=self.account_id,
            instrument_id=self.instrument_id,
            position_qty=qty,
            avg_px=None if basis is None else average_px(self._contract, qty, basis),
            realized_pnl_gross=self._shown(gross),
            commissions=commissions,
            cash=cash,
            realized_pnl=self._shown(net),
            pnl_currency=currency,
            unrealized_pnl=self._shown(unrealized),
            trade_count=self.trade_count,
        )

    def _shown(self, value: Decimal | None) -> Decimal | None:
        """Return an amount as it is told: whole where exact, 28 digits where it was divided."""
        if value is None or not (self._is_rounded or self._contract is Contract.INVERSE):
            return value
        return ROUNDED.plus(value)
