"""Fold the trades of one account in one instrument into a position at average cost.

The state is quantity, open basis and the cash that trades moved; never an average, which would have
to be rounded at every fill.  Quantity is an `int` in units of 1e-8 / qk, money in 1e-16 / k, where
qk and k are powers of ten: 1, until a finer value or a division that does not come out needs more,
and 1 again where a flat position loses nothing by it.  So everything adds up to the last digit:

    realized gross = (cash flow + basis + base-fee term) × multiplier

What a unit costs at a price is `value_at`; only it and the average tell contracts apart.
Multiplier and currencies apply when figures are read, so a later definition holds for the whole
history.  Only the fold mutates a position.  `core.lots` keeps lots, each one a `Position`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact
from functools import lru_cache

from attrs import frozen

from fillbook.core.events import InstrumentDefined
from fillbook.core.exact import (
    EXACT,
    PX_SCALE,
    QTY_SCALE,
    ROUNDED,
    divided,
    nearest,
    plain,
    quotient,
    scaled,
    unscaled,
)
from fillbook.core.values import Contract

__all__ = [
    "Holding",
    "Position",
    "PositionView",
    "average_px",
    "pnl_currency",
    "split_qty",
    "value_at",
]

MONEY_SCALE = QTY_SCALE + PX_SCALE

FINEST = 10**64
"""No division makes `k` finer than this, so a number can grow no longer with the count of fills."""

ZERO, ONE = Decimal(0), Decimal(1)

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
    """Return the quantity after a split: exact where it comes out, else half even at 28 digits."""
    product = EXACT.multiply(qty, numerator)
    try:
        return EXACT.divide(product, denominator)
    except Inexact:
        return quotient(product, denominator)


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

    def charge_units(self, currency: str, amount: int) -> None:
        """Count a commission of *amount* × 1e-8; never one that is paid in kind."""
        assert currency != self.base_currency or self._contract is not Contract.SPOT
        paid = self._unit_commissions
        paid[currency] = paid.get(currency, 0) + amount

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


class Position(Holding):
    """One account in one instrument, netted, at average cost.

    A trade that extends adds its cost to the basis; one that reduces releases basis × closed /
    held; one that crosses zero releases all of it and opens the rest at its own price.  A price
    that is unknown leaves the quantity known and no profit, until the history is folded again.
    """

    __slots__ = (
        "_base_fee_term",
        "_basis",
        "_cash_flow",
        "_is_linear",
        "_is_priced",
        "_k",
        "_qk",
        "_qty",
        "number",
    )

    def __init__(
        self,
        number: int,
        account_id: str,
        instrument_id: str,
        contract: Contract = Contract.LINEAR,
        base_currency: str | None = None,
    ) -> None:
        self.number = number
        super().__init__(account_id, instrument_id, contract, base_currency)

    def reset(self) -> None:
        """Go back to never traded; number, ids, contract and base currency stay."""
        super().reset()
        self._qty = self._basis = self._cash_flow = self._base_fee_term = 0
        self._qk = self._k = 1
        self._is_priced = True
        self._find_path()

    @property
    def contract(self) -> Contract:
        """How price and quantity make money; who changes it folds the history again."""
        return self._contract

    @contract.setter
    def contract(self, contract: Contract) -> None:
        self._contract = contract
        self._find_path()

    # ---- trades

    def trade(self, qty: int, px: int) -> None:
        """Book a trade of signed *qty* at *px*, both in units of 1e-8.

        The path of nearly every fill, so it is `_trade` again, without its calls.
        """
        if not self._is_linear:
            self._trade_apart(qty, px)
            return
        k = self._k
        if k != 1:
            qty *= self._qk
            px *= k // self._qk
        held = self._qty
        after = held + qty
        cost = qty * px
        self._qty = after
        self._cash_flow -= cost
        self.trade_count += 1
        if not held or (held > 0) is (qty > 0):
            self._basis += cost
        elif not after or (held > 0) is not (after > 0):
            self._basis = after * px
            if k != 1 or self._is_rounded:
                self._coarsen()
        else:
            released, rest = divmod(self._basis * qty, held)
            if rest:
                released = self._rounded_share(self._basis * qty, held)
            self._basis += released

    def trade_exact(self, qty: Decimal, px: Decimal | None) -> None:
        """Book a trade of signed *qty* at *px*, None where unknown; any finite value."""
        units = self._qty_units(qty)
        value = self._value_at(px)
        if value is not None:
            self._trade(units, self._px_units(value))
            return
        self._forget_price()
        self._qty += units
        self.trade_count += 1
        self._coarsen()

    def _value_at(self, px: Decimal | None) -> Decimal | None:
        """Return what a unit costs; None where this price, or one before it, is unknown."""
        return None if px is None or not self._is_priced else value_at(self._contract, px)

    def _trade_apart(self, qty: int, px: int) -> None:
        """Book a trade of an INVERSE, or one after a price that is unknown."""
        value = self._value_at(unscaled(px))
        if value is not None:
            self._trade(qty * self._qk, self._px_units(value))
        else:
            self.trade_exact(unscaled(qty), None)

    def _trade(self, qty: int, value: int) -> None:
        """Book a trade in the position's own units: quantity × value is money."""
        held = self._qty
        after = held + qty
        cost = qty * value
        self._qty = after
        self._cash_flow -= cost
        self.trade_count += 1
        if not held or (held > 0) is (qty > 0):
            self._basis += cost
        elif not after or (held > 0) is not (after > 0):
            self._basis = after * value
            self._coarsen()
        else:
            kept = self._basis_share(-qty, held)
            self._basis -= kept

    # ---- what is not a trade

    def shift(self, qty: Decimal, px: Decimal | None) -> None:
        """Move the quantity by *qty* at unchanged average, the basis into the base-fee term."""
        units = self._qty_units(qty)
        held = self._qty
        after = held + units
        if held and (not after or (held > 0) is (after > 0)):
            basis = self._basis_share(after, held)
        elif (value := self._value_at(px)) is not None:
            basis = after * self._px_units(value)
        else:
            self._forget_price()
            basis = 0
        self._base_fee_term += self._basis - basis
        self._basis = basis
        self._qty = after
        if not after or (held > 0) is not (after > 0):
            self._coarsen()

    def split(self, numerator: Decimal, denominator: Decimal) -> None:
        """Multiply the quantity by numerator / denominator, both > 0; the basis stays."""
        assert numerator > 0, numerator
        assert denominator > 0, denominator
        qty = self.qty
        after = split_qty(qty, numerator, denominator)
        if EXACT.multiply(after, denominator) != EXACT.multiply(qty, numerator):
            self._is_rounded = True
        self.restate(after)

    def restate(self, qty: Decimal) -> None:
        """Count the same basis as *qty* units, on the same side of zero."""
        self._qty = self._qty_units(qty)

    # ---- figures

    @property
    def qty(self) -> Decimal:
        """Signed quantity, base units."""
        return unscaled(self._qty, QTY_SCALE + places_of(self._qk))

    @property
    def is_flat(self) -> bool:
        """True where nothing is held."""
        return not self._qty

    @property
    def basis(self) -> Decimal | None:
        """What the open quantity cost, per unit of multiplier; None where a price is unknown."""
        return self._money(self._basis)

    @property
    def cash_flow(self) -> Decimal | None:
        """What trades brought in less what they took, without commissions."""
        return self._money(self._cash_flow)

    @property
    def base_fee_term(self) -> Decimal | None:
        """What the quantity cost that commissions took in kind, and adjustments took or gave."""
        return self._money(self._base_fee_term)

    @property
    def gross(self) -> Decimal | None:
        """What was realized per unit of multiplier, before commissions: the sum of the three."""
        return self._money(self._cash_flow + self._basis + self._base_fee_term)

    @property
    def avg_px(self) -> Decimal | None:
        """Open price per unit; None when flat or where a price is unknown."""
        basis = self.basis
        return None if basis is None else average_px(self._contract, self.qty, basis)

    @property
    def is_rounded(self) -> bool:
        """True where a division that did not come out is in the figures."""
        return self._is_rounded

    def view(self, instrument: InstrumentDefined | None, mark: Decimal | None) -> PositionView:
        """Return the figures under this definition, valued at *mark*."""
        return self._view(instrument, mark, qty=self.qty, basis=self.basis, gross=self.gross)

    # ---- storing

    def state(self) -> dict[str, object]:
        """Return all of it as plain data, integers as decimal text."""
        return {
            "number": self.number,
            "account_id": self.account_id,
            "instrument_id": self.instrument_id,
            "contract": str(self._contract),
            "base_currency": self.base_currency,
            "qty": str(self._qty),
            "qk": str(self._qk),
            "basis": str(self._basis),
            "cash_flow": str(self._cash_flow),
            "base_fee_term": str(self._base_fee_term),
            "k": str(self._k),
            "is_priced": self._is_priced,
            "is_rounded": self._is_rounded,
            "commissions": {key: plain(value) for key, value in self.commissions.items()},
            "cash": {key: plain(value) for key, value in sorted(self.cash.items())},
            "trade_count": self.trade_count,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, object]) -> "Position":
        """Return the position that `state` came from."""

        def integer(key: str) -> int:
            return int(str(state[key]))

        def amounts(key: str) -> dict[str, Decimal]:
            stored = state[key]
            assert isinstance(stored, dict), stored
            return {str(currency): Decimal(text) for currency, text in stored.items()}

        base_currency = state["base_currency"]
        position = cls(
            integer("number"),
            str(state["account_id"]),
            str(state["instrument_id"]),
            Contract(str(state["contract"])),
            None if base_currency is None else str(base_currency),
        )
        position._qty, position._qk = integer("qty"), integer("qk")
        position._basis, position._k = integer("basis"), integer("k")
        position._cash_flow = integer("cash_flow")
        position._base_fee_term = integer("base_fee_term")
        position._is_priced = state["is_priced"] is True
        position._is_rounded = state["is_rounded"] is True
        position._fine_commissions = amounts("commissions")
        position.cash = amounts("cash")
        position.trade_count = integer("trade_count")
        position._find_path()
        return position

    # ---- units

    def _find_path(self) -> None:
        """Note whether `trade` may take its short path."""
        self._is_linear = self._is_priced and self._contract is not Contract.INVERSE

    def _money(self, units: int) -> Decimal | None:
        return unscaled(units, MONEY_SCALE + places_of(self._k)) if self._is_priced else None

    def _qty_units(self, qty: Decimal) -> int:
        """Return *qty* in own units, making them finer where it needs that."""
        digits, places = whole_digits(qty)
        needed: int = 10 ** max(0, places - QTY_SCALE)
        if needed > self._qk:
            self._qty *= needed // self._qk
            self._qk = needed
            self._refine(max(1, needed // self._k))  # k is never coarser than qk
        unit: int = self._qk * 10**QTY_SCALE // 10**places
        return digits * unit

    def _px_units(self, value: Decimal) -> int:
        """Return *value* so that quantity units × it are money units, finer where it needs that."""
        digits, places = whole_digits(value)
        needed: int = self._qk * 10 ** max(0, places - PX_SCALE)
        if needed > self._k:
            self._refine(needed // self._k)
        unit: int = self._k * 10**PX_SCALE // (self._qk * 10**places)
        return digits * unit

    def _basis_share(self, part: int, whole: int) -> int:
        """Return basis × part / whole in money units.

        Exact where it comes out in them; else half even at 28 digits (or at the finest unit there
        is, should that be coarser), with the units made finer for it.
        """
        amount = self._basis * part
        share, rest = divmod(amount, whole)
        return self._rounded_share(amount, whole) if rest else share

    def _rounded_share(self, amount: int, whole: int) -> int:
        """Return amount / whole where that is no whole number of money units."""
        share, places = divided(amount, whole)
        finer: int = 10**places
        if finer > 1 and self._k * finer > FINEST:
            finer = max(1, FINEST // self._k)
            share = nearest(amount * finer, whole)
        self._is_rounded = self._is_rounded or share * whole != amount * finer
        if finer > 1:
            self._refine(finer)
        return share

    def _refine(self, finer: int) -> None:
        """Make the money unit finer by a power of ten."""
        self._k *= finer
        self._basis *= finer
        self._cash_flow *= finer
        self._base_fee_term *= finer

    def _coarsen(self) -> None:
        """Go back to the default units where a basis has just ended and nothing is lost by it."""
        if not self._qty % self._qk:
            self._qty //= self._qk
            self._qk = 1
        k = self._k
        remainder = self._basis % k or self._cash_flow % k or self._base_fee_term % k
        if self._qk == 1 and not remainder:
            self._basis //= k
            self._cash_flow //= k
            self._base_fee_term //= k
            self._k = 1
        if self._qk == 1 and not self._base_fee_term and self._contract is not Contract.INVERSE:
            self._is_rounded = False  # what is left is sums and products

    def _forget_price(self) -> None:
        """Drop the money, which no longer means anything."""
        self._is_priced = self._is_rounded = False
        self._basis = self._cash_flow = self._base_fee_term = 0
        self._k = self._qk
        self._find_path()


@lru_cache(maxsize=1 << 14)
def whole_digits(value: Decimal) -> tuple[int, int]:
    """Return ``(n, places)`` with n · 10**-places the value and as few places as it takes, >= 0."""
    short = value.normalize(EXACT)
    exponent = short.as_tuple().exponent
    assert isinstance(exponent, int), value
    return int(short.scaleb(max(0, -exponent), EXACT)), max(0, -exponent)


def places_of(power: int) -> int:
    """Return n of 10**n."""
    return len(str(power)) - 1
