"""List what can happen to an order's fills: told, inferred, taken back, corrected, charged for."""

from decimal import Decimal
from typing import ClassVar

from attrs import frozen

from fillbook.core.order_events import OrderEvent

__all__ = [
    "AmendmentHeld",
    "CommissionChanged",
    "FillBusted",
    "FillCorrected",
    "FillInferred",
    "InferredFillReleased",
    "OrderFilled",
    "OrderFilledV1",
    "Replacement",
]


@frozen(kw_only=True)
class Replacement:
    """How much of an inferred fill a true one replaces, and what is left of it.

    Attributes:
        fill_no: The inferred fill.
        qty: Replaced, base units; 0 where only the price of what is left was learned.
        left_qty: Still inferred after this, base units.
        left_px: Price of what is left; None where unknown.
    """

    fill_no: int
    qty: Decimal
    left_qty: Decimal
    left_px: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class OrderFilledV1(OrderEvent):
    """One execution of an order, as version 1 told it: the trade's id served as the execution's."""

    type: ClassVar[str] = "order.filled"
    version: ClassVar[int] = 1

    fill_no: int
    trade_id: str
    last_qty: Decimal
    last_px: Decimal | None = None
    commission: Decimal | None = None
    commission_currency: str | None = None
    replaces: tuple[Replacement, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class OrderFilled(OrderEvent):
    """One execution of an order, as the venue reported it.

    Attributes:
        fill_no: The order's own count of its fills, from 1; busts and corrections point at it.
        trade_id: The venue's id for this match, else the execution's id, else derived from the
            content.  Dedupe key.
        exec_id: The execution message's id (tag 17); a bust names it.
        last_qty: Quantity of this execution, base units, > 0.
        last_px: Price of this execution, quote per base unit.  None is unknown.
        commission: Fee in `commission_currency`; negative is a rebate, None is not yet known.
        replaces: Inferred quantity whose place this fill takes.

    Source: FIX ExecutionReport (35=8) with ExecType=F; tags 880, 17, 32, 31, 12, 479, 851, 30.
    """

    type: ClassVar[str] = "order.filled"
    version: ClassVar[int] = 2

    fill_no: int
    trade_id: str
    last_qty: Decimal
    last_px: Decimal | None = None
    commission: Decimal | None = None
    commission_currency: str | None = None
    liquidity: str | None = None
    last_mkt: str | None = None
    replaces: tuple[Replacement, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class FillInferred(OrderEvent):
    """The venue counts more than we were told of: the difference, as one fill.

    `claimed_qty` and `claimed_avg_px` are the evidence.  `last_px` is the price that makes our
    average the venue's; None where the venue told none.
    """

    type: ClassVar[str] = "order.fill_inferred"

    fill_no: int
    trade_id: str
    last_qty: Decimal
    last_px: Decimal | None = None
    claimed_qty: Decimal
    claimed_avg_px: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class InferredFillReleased(OrderEvent):
    """Later facts account for inferred quantity, take it back or price it, without a fill."""

    type: ClassVar[str] = "order.inferred_fill_released"

    releases: tuple[Replacement, ...]


@frozen(kw_only=True, eq=False, repr=False)
class FillBusted(OrderEvent):
    """The venue took a fill back, whole; quantity and price are those of our own record."""

    type: ClassVar[str] = "order.fill_busted"

    fill_no: int
    exec_ref_id: str
    last_qty: Decimal
    last_px: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class FillCorrected(OrderEvent):
    """The venue put another quantity and price in a fill's place."""

    type: ClassVar[str] = "order.fill_corrected"

    fill_no: int
    exec_ref_id: str
    last_qty: Decimal
    last_px: Decimal | None = None
    prior_qty: Decimal
    prior_px: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class AmendmentHeld(OrderEvent):
    """A bust (`last_qty` None) or correction came before its fill and waits for `exec_ref_id`."""

    type: ClassVar[str] = "order.amendment_held"

    exec_ref_id: str
    last_qty: Decimal | None = None
    last_px: Decimal | None = None


@frozen(kw_only=True, eq=False, repr=False)
class CommissionChanged(OrderEvent):
    """What a fill cost in one currency, in all, told late or corrected."""

    type: ClassVar[str] = "order.commission_changed"

    fill_no: int
    trade_id: str
    commission: Decimal
    commission_currency: str
    prior: Decimal | None = None
