"""Fold the trades of one account in one instrument into a position at average cost.

The state is quantity, open basis and the cash that trades moved; never an average, which would have
to be rounded at every fill.  Quantity is an `int` in units of 1e-8 / qk, money in 1e-16 / k, where
qk and k are powers of ten: 1, until a finer value or a division that does not come out needs more,
and 1 again where a flat position loses nothing by it.  So everything adds up to the last digit:

    realized gross = (cash flow + basis + base-fee term) × multiplier

Only the fold mutates a position.  `core.lots` keeps lots, each one a `Position`.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from fillbook.core.events import InstrumentDefined
from fillbook.core.exact import (
    EXACT,
    PX_SCALE,
    QTY_SCALE,
    nearest,
    plain,
    rounded,
    unscaled,
)
from fillbook.core.holdings import Holding, PositionView, average_px, split_qty, value_at
from fillbook.core.values import Contract

__all__ = ["Position"]

MONEY_SCALE = QTY_SCALE + PX_SCALE

FINEST = 10**64
"""No division makes `k` finer than this, so a number can grow no longer with the count of fills."""


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

    def trade(self, qty: int, px: int, fee: int | None = None, currency: str = "") -> None:
        """Book a trade of signed *qty* at *px*, and its commission; all in units of 1e-8.

        The path of nearly every fill, so it is `_trade` and `charge` again, without their calls.
        """
        if fee is not None:
            if currency == self.base_currency:  # may be paid in kind, after the trade
                self.trade(qty, px)
                self.charge(currency, unscaled(fee), unscaled(px))
                return
            paid = self._unit_commissions
            paid[currency] = paid.get(currency, 0) + fee
        if not self._is_linear:
            self._trade_apart(qty, px)
            return
        k = self._k
        if k != 1:
            qk = self._qk
            if qk == 1:  # a division of large numbers less
                px *= k
            else:
                qty *= qk
                px *= k // qk
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
            kept = self._basis_share(-qty, held)
            self._basis -= kept

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
        below = abs(whole)
        share, rest = divmod(abs(amount), below)
        if rest:
            share = self._rounded_share(share, rest, below)
        return share if (amount < 0) is (whole < 0) else -share

    def _rounded_share(self, share: int, rest: int, below: int) -> int:
        """Return share + rest / below, which is no whole number of money units; all >= 0."""
        near, places = rounded(share, rest, below)
        if not places:
            self._is_rounded = True
            return near
        finer: int = 10**places
        amount = share * below + rest
        if self._k * finer > FINEST:
            finer = max(1, FINEST // self._k)
            near = nearest(amount * finer, below)
        self._is_rounded = self._is_rounded or near * below != amount * finer
        if finer > 1:
            self._refine(finer)
        return near

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
