"""List what can happen to an instrument, and to what we hold of it, without an order."""

from decimal import Decimal
from typing import ClassVar

from attrs import frozen

from fillbook.core.event import Event
from fillbook.core.values import Contract

__all__ = [
    "CashMoved",
    "InstrumentDefined",
    "InstrumentMarked",
    "InstrumentSplit",
    "PositionReported",
]


@frozen(kw_only=True, eq=False, repr=False)
class InstrumentDefined(Event):
    """What an instrument is; the latest definition holds for its whole history."""

    type: ClassVar[str] = "instrument.defined"

    instrument_id: str
    contract: Contract = Contract.LINEAR
    multiplier: Decimal = Decimal(1)
    base_currency: str | None = None
    quote_currency: str | None = None
    settlement_currency: str | None = None
    qty_step: Decimal | None = None
    px_step: Decimal | None = None
    lot_size: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class InstrumentSplit(Event):
    """Every open position in the instrument is multiplied by numerator/denominator.

    What happened before it by `ts_event` is multiplied, what happened at that time or after it is
    not, whichever was heard of first; without a time it stands where it was recorded.
    """

    type: ClassVar[str] = "instrument.split"

    instrument_id: str
    numerator: Decimal
    denominator: Decimal


@frozen(kw_only=True, eq=False, repr=False)
class InstrumentMarked(Event):
    """A price to value positions with."""

    type: ClassVar[str] = "instrument.marked"

    instrument_id: str
    px: Decimal


@frozen(kw_only=True, eq=False, repr=False)
class PositionReported(Event):
    """What the broker said we hold.  It moves nothing."""

    type: ClassVar[str] = "position.reported"

    account_id: str
    instrument_id: str
    position_qty: Decimal
    avg_px: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class CashMoved(Event):
    """Money without a trade; `amount` > 0 was received."""

    type: ClassVar[str] = "cash.moved"

    account_id: str
    instrument_id: str
    amount: Decimal
    currency: str
    reason: str
