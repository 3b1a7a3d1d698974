"""Hold what somebody claims: a venue of an order, a broker of a position, a feed of a price.

A report is not yet believed.  Amounts are canonical `Decimal`s (`exact.decimal_of`), times are
nanoseconds since 1970 in UTC, None is "was not said".  Reports carry no identity of their own.
"""

from decimal import Decimal

from attrs import frozen

from fillbook.core.values import Contract, ExecType, OrderStatus, Side

__all__ = [
    "BalanceReport",
    "CancelReject",
    "CashReport",
    "CommissionReport",
    "InstrumentReport",
    "MarkReport",
    "OrderReport",
    "PositionReport",
    "Report",
    "SplitReport",
    "TransferReport",
]


@frozen(kw_only=True)
class OrderReport:
    """What a venue says of one order: an execution report, or the answer to a poll.

    Without `exec_type`, or with `ORDER_STATUS`, it is a snapshot.  At least one of
    `client_order_id` and `venue_order_id` is given.

    Source: FIX ExecutionReport (35=8); the tags are in the word table of `docs/words.md`.
    """

    client_order_id: str | None = None
    orig_client_order_id: str | None = None
    venue_order_id: str | None = None
    account_id: str | None = None
    instrument_id: str | None = None
    side: Side | None = None
    exec_type: ExecType | None = None
    order_status: OrderStatus | None = None
    order_qty: Decimal | None = None
    cash_order_qty: Decimal | None = None
    cum_qty: Decimal | None = None
    leaves_qty: Decimal | None = None
    avg_px: Decimal | None = None
    last_qty: Decimal | None = None
    last_px: Decimal | None = None
    exec_id: str | None = None
    exec_ref_id: str | None = None
    trade_id: str | None = None
    commission: Decimal | None = None
    commission_currency: str | None = None
    liquidity: str | None = None
    order_type: str | None = None
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    time_in_force: str | None = None
    expire_time: int | None = None
    venue: str | None = None
    last_mkt: str | None = None
    reason: str | None = None
    text: str | None = None
    restatement_reason: str | None = None
    poss_dup: bool = False
    poss_resend: bool = False
    ts_event: int | None = None
    ts_received: int | None = None

    @property
    def is_snapshot(self) -> bool:
        """True where the report tells a state and not a change."""
        return self.exec_type is None or self.exec_type is ExecType.ORDER_STATUS


@frozen(kw_only=True)
class CancelReject:
    """The venue refuses our cancel or replace (35=9)."""

    client_order_id: str
    orig_client_order_id: str | None = None
    venue_order_id: str | None = None
    order_status: OrderStatus | None = None
    reason: str | None = None
    text: str | None = None
    ts_event: int | None = None
    ts_received: int | None = None


@frozen(kw_only=True)
class CommissionReport:
    """A fee that comes after its fill, or corrects it: what it cost in that currency, in all."""

    instrument_id: str
    trade_id: str
    commission: Decimal
    commission_currency: str
    account_id: str | None = None
    venue_order_id: str | None = None
    side: Side | None = None
    ts_event: int | None = None
    ts_received: int | None = None


@frozen(kw_only=True)
class PositionReport:
    """What the broker says we hold; `position_qty` is signed, long > 0."""

    instrument_id: str
    position_qty: Decimal
    avg_px: Decimal | None = None
    account_id: str = "default"
    ts_event: int | None = None
    ts_received: int | None = None


@frozen(kw_only=True)
class InstrumentReport:
    """What an instrument is.  `settlement_currency` is the base where INVERSE, else the quote."""

    instrument_id: str
    contract: Contract = Contract.LINEAR
    multiplier: Decimal = Decimal(1)
    base_currency: str | None = None
    quote_currency: str | None = None
    settlement_currency: str | None = None
    qty_step: Decimal | None = None
    px_step: Decimal | None = None
    lot_size: Decimal | None = None
    ts_event: int | None = None
    ts_received: int | None = None


@frozen(kw_only=True)
class SplitReport:
    """A corporate action: 2 for 1 is numerator 2, denominator 1."""

    instrument_id: str
    numerator: Decimal
    denominator: Decimal
    ts_event: int | None = None
    ts_received: int | None = None


@frozen(kw_only=True)
class CashReport:
    """Money without a trade, > 0 is received: `FUNDING`, `SETTLEMENT`, `DIVIDEND`, `OTHER`."""

    instrument_id: str
    amount: Decimal
    currency: str
    reason: str
    account_id: str = "default"
    ts_event: int | None = None
    ts_received: int | None = None


@frozen(kw_only=True)
class TransferReport:
    """A position that came in (`transferred_qty` > 0) or went out without a trade.

    `transfer_id` is the broker's id for it, told each time; `px` is what a unit is counted at,
    quote currency per base unit.
    """

    instrument_id: str
    transfer_id: str
    transferred_qty: Decimal
    px: Decimal | None = None
    account_id: str = "default"
    ts_event: int | None = None
    ts_received: int | None = None


@frozen(kw_only=True)
class BalanceReport:
    """Cash in one currency as the broker counts it, signed; only compared, never booked."""

    currency: str
    amount: Decimal
    account_id: str = "default"
    ts_event: int | None = None
    ts_received: int | None = None


@frozen(kw_only=True)
class MarkReport:
    """A price to value positions with, quote currency per base unit."""

    instrument_id: str
    px: Decimal
    ts_event: int | None = None
    ts_received: int | None = None


Report = (
    OrderReport
    | CancelReject
    | CommissionReport
    | PositionReport
    | InstrumentReport
    | SplitReport
    | CashReport
    | TransferReport
    | BalanceReport
    | MarkReport
)
