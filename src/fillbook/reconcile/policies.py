"""Hold what a robot's owner chose about differences: how large is large, and what is done then.

A `Tolerance` is what was said, in base units, steps or lots; `Limits` is what it comes to for one
instrument, in base units, once its definition and a price are looked at.  Nothing here acts.

Source: the thresholds that stand where nothing better is known are those of the chapter's
`PositionSynchronizer`: a difference up to 0.001 is none, one above 10 stops trading.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from attrs import Attribute, Factory, field, frozen

from fillbook.core.events import InstrumentDefined
from fillbook.core.exact import EXACT
from fillbook.core.values import Contract

__all__ = [
    "DEFAULT",
    "DEFAULT_ACTIONS",
    "Action",
    "Limits",
    "Policies",
    "PriceRule",
    "Size",
    "Tolerance",
    "Unit",
]

DEFAULT = "default"
"""Stands in every mapping for all instruments that have no entry of their own."""

ROUNDING_QTY = Decimal("0.001")
CRITICAL_QTY = Decimal(10)
"""The chapter's two thresholds, in base units (`ROUNDING_QTY` where the step is not known)."""

CRITICAL_LOTS = Decimal(10)

Unit = Literal["BASE", "STEP", "LOT"]
PriceRule = Literal["BROKER", "MARK", "UNKNOWN"]


class Size(StrEnum):
    """How large a gap is, by its instrument's limits."""

    ROUNDING = "ROUNDING"
    MINOR = "MINOR"
    CRITICAL = "CRITICAL"


class Action(StrEnum):
    """What is done about a difference that nothing explains.

    `ALERT` records it; `ADOPT` moves the book to the broker by an adjustment; `RESTORE` adopts,
    then trades the account back to where the robot had it; `HALT` stops trading.
    """

    ALERT = "ALERT"
    ADOPT = "ADOPT"
    RESTORE = "RESTORE"
    HALT = "HALT"


DEFAULT_ACTIONS: Mapping[Size, Action] = {
    Size.ROUNDING: Action.ADOPT,
    Size.MINOR: Action.ALERT,
    Size.CRITICAL: Action.HALT,
}


@frozen(kw_only=True)
class Limits:
    """What is large and what is small of one instrument.

    Attributes:
        rounding_qty: A gap of at most this is `ROUNDING`; base units, >= 0.
        critical_qty: A gap above this is `CRITICAL`, whatever `rounding_qty` says; base units.
        critical_value: A gap worth more than this is `CRITICAL` too; quote currency, None is no
            bound.
        px: What one base unit is worth, quote currency, before the multiplier: 1 of an `INVERSE`,
            the quantity of which counts quote currency.  None where it is not known: the value
            bound then has nothing to go by.
        multiplier: Of the contract.
        is_below_rounding: A gap of exactly `rounding_qty` is no rounding: it is one step, which
            can be traded.
    """

    rounding_qty: Decimal
    critical_qty: Decimal
    critical_value: Decimal | None = None
    px: Decimal | None = None
    multiplier: Decimal = Decimal(1)
    is_below_rounding: bool = False

    def size_of(self, gap_qty: Decimal) -> Size:
        """Return how large *gap_qty* (signed base units) is; the greater gap is never smaller."""
        size_qty = gap_qty.copy_abs()
        if size_qty > self.critical_qty or self._is_worth_too_much(size_qty):
            return Size.CRITICAL
        if size_qty < self.rounding_qty:
            return Size.ROUNDING
        if size_qty == self.rounding_qty and not self.is_below_rounding:
            return Size.ROUNDING
        return Size.MINOR

    def _is_worth_too_much(self, size_qty: Decimal) -> bool:
        if self.critical_value is None or self.px is None:
            return False
        value = EXACT.multiply(EXACT.multiply(size_qty, self.px), self.multiplier)
        return value.copy_abs() > self.critical_value  # a price may be below zero


def _not_negative(_: object, attribute: "Attribute[Decimal | None]", value: Decimal | None) -> None:
    if value is None:
        return
    if not isinstance(value, Decimal) or not value.is_finite() or value < 0:
        raise ValueError(f"{attribute.name} is {value!r}: it takes a Decimal, 0 or more")


@frozen(kw_only=True)
class Tolerance:
    """When a gap is rounding and when it is critical, as somebody said it.

    Attributes:
        rounding: A gap up to this is `ROUNDING`, in `unit`.  None: less than one step where the
            instrument's step is known, as what cannot be traded away; else at most 0.001.
        critical: A gap above this is `CRITICAL`, in `unit`.  None: 10 lots where the lot is known,
            else 10 base units; never less than the limit of rounding.
        unit: `BASE`, `STEP` or `LOT`.  Where the instrument's step or lot is not known, numbers in
            it say nothing, and both limits are as if they were None.
        critical_value: A gap worth more is `CRITICAL`; quote currency, None is no bound.
    """

    rounding: Decimal | None = field(default=None, validator=_not_negative)
    critical: Decimal | None = field(default=None, validator=_not_negative)
    unit: Unit = "BASE"
    critical_value: Decimal | None = field(default=None, validator=_not_negative)

    def limits(self, instrument: InstrumentDefined | None, px: Decimal | None) -> Limits:
        """Return what it comes to for *instrument*, None where it was never defined.

        Args:
            px: Quote currency per base unit, such as the latest mark; None where unknown.
        """
        step = instrument.qty_step if instrument is not None else None
        lot = instrument.lot_size if instrument is not None else None
        unit_qty = {"BASE": Decimal(1), "STEP": step, "LOT": lot}[self.unit]
        said_rounding = _times(self.rounding, unit_qty)
        said_critical = _times(self.critical, unit_qty)
        if said_rounding is not None:
            rounding_qty = said_rounding
        else:
            rounding_qty = ROUNDING_QTY if step is None else step
        if said_critical is not None:
            critical_qty = said_critical
        else:
            critical_qty = CRITICAL_QTY if lot is None else EXACT.multiply(CRITICAL_LOTS, lot)
            critical_qty = max(critical_qty, rounding_qty)
        is_inverse = instrument is not None and instrument.contract is Contract.INVERSE
        return Limits(
            rounding_qty=rounding_qty,
            critical_qty=critical_qty,
            critical_value=self.critical_value,
            px=Decimal(1) if is_inverse else px,
            multiplier=Decimal(1) if instrument is None else instrument.multiplier,
            is_below_rounding=said_rounding is None and step is not None,
        )


def _times(said: Decimal | None, unit_qty: Decimal | None) -> Decimal | None:
    return None if said is None or unit_qty is None else EXACT.multiply(said, unit_qty)


@frozen(kw_only=True)
class Policies:
    """What is done about differences; every mapping is by instrument, `DEFAULT` for the others.

    Attributes:
        tolerances: How large is large.
        actions: What is done, by size; a size that an instrument leaves out is as in the default.
        halt_all: `HALT` stops the whole robot and not the instrument alone.
        most_restore_qty: What `RESTORE` may trade at most, base units; where nothing is said, the
            instrument's critical limit.
        price_rule: At what price `ADOPT` books: the broker's average (`BROKER`), the mark
            (`MARK`), or none (`UNKNOWN`).
    """

    tolerances: Mapping[str, Tolerance] = Factory(lambda: {DEFAULT: Tolerance()})
    actions: Mapping[str, Mapping[Size, Action]] = Factory(lambda: {DEFAULT: DEFAULT_ACTIONS})
    halt_all: bool = False
    most_restore_qty: Mapping[str, Decimal] = Factory(dict)
    price_rule: Mapping[str, PriceRule] = Factory(lambda: {DEFAULT: "BROKER"})

    def action(self, instrument_id: str, size: Size) -> Action:
        """Return what is done about a gap of this *size* in the instrument."""
        for name in (instrument_id, DEFAULT):
            action = self.actions.get(name, {}).get(size)
            if action is not None:
                return action
        return DEFAULT_ACTIONS[size]

    def limits(
        self, instrument_id: str, instrument: InstrumentDefined | None, px: Decimal | None
    ) -> Limits:
        """Return the instrument's limits; see `Tolerance.limits`."""
        said = self.tolerances.get(instrument_id) or self.tolerances.get(DEFAULT) or Tolerance()
        return said.limits(instrument, px)

    def most_restore(self, instrument_id: str, limits: Limits) -> Decimal:
        """Return what one restoring order may trade at most, base units."""
        said = self.most_restore_qty
        return said.get(instrument_id, said.get(DEFAULT, limits.critical_qty))

    def price_rule_of(self, instrument_id: str) -> PriceRule:
        """Return at what price a gap of the instrument is adopted."""
        said = self.price_rule
        return said.get(instrument_id, said.get(DEFAULT, "BROKER"))
