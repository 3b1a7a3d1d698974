"""Write a command or a report as one JSON line, in the form in which a day is imported.

Each kind has its own keys and no others: a reader sets a message with an unknown key aside.
What is None, or a flag that is not raised, is left out; `ts_received` is a key of `report` alone.
"""

from decimal import Decimal
from json import JSONEncoder

from fillbook.core.commands import CancelOrder, Command, ReplaceOrder, SubmitOrder
from fillbook.core.exact import plain
from fillbook.core.reports import (
    BalanceReport,
    CancelReject,
    CashReport,
    CommissionReport,
    InstrumentReport,
    MarkReport,
    OrderReport,
    PositionReport,
    Report,
    SplitReport,
    TransferReport,
)
from fillbook.core.times import time_text

__all__ = ["KINDS", "to_jsonl", "to_row"]

KINDS: dict[type[Command | Report], tuple[str, tuple[str, ...]]] = {
    InstrumentReport: (
        "instrument",
        (
            "instrument_id", "contract", "multiplier", "base_currency", "quote_currency",
            "settlement_currency", "qty_step", "px_step", "lot_size",
        ),
    ),
    SubmitOrder: (
        "order",
        (
            "client_order_id", "account_id", "instrument_id", "side", "order_qty",
            "cash_order_qty", "order_type", "limit_px", "stop_px", "time_in_force", "expire_time",
            "venue", "ts_event",
        ),
    ),
    CancelOrder: ("cancel", ("client_order_id", "orig_client_order_id", "ts_event")),
    ReplaceOrder: (
        "replace",
        (
            "client_order_id", "orig_client_order_id", "order_qty", "limit_px", "stop_px",
            "ts_event",
        ),
    ),
    OrderReport: (
        "report",
        (
            "client_order_id", "orig_client_order_id", "venue_order_id", "account_id",
            "instrument_id", "side", "exec_type", "order_status", "order_qty", "cum_qty",
            "leaves_qty", "avg_px", "last_qty", "last_px", "exec_id", "exec_ref_id", "trade_id",
            "commission", "commission_currency", "liquidity", "order_type", "limit_px", "stop_px",
            "time_in_force", "expire_time", "venue", "last_mkt", "reason", "text",
            "restatement_reason", "poss_dup", "poss_resend", "ts_event", "ts_received",
        ),
    ),
    CancelReject: (
        "cancel_reject",
        (
            "client_order_id", "orig_client_order_id", "venue_order_id", "order_status", "reason",
            "text", "ts_event",
        ),
    ),
    CommissionReport: (
        "commission",
        (
            "account_id", "instrument_id", "venue_order_id", "side", "trade_id", "commission",
            "commission_currency", "ts_event",
        ),
    ),
    PositionReport: (
        "position",
        ("account_id", "instrument_id", "position_qty", "avg_px", "ts_event"),
    ),
    SplitReport: ("split", ("instrument_id", "numerator", "denominator", "ts_event")),
    CashReport: (
        "cash",
        ("account_id", "instrument_id", "amount", "currency", "reason", "ts_event"),
    ),
    TransferReport: (
        "transfer",
        ("account_id", "instrument_id", "transfer_id", "transferred_qty", "px", "ts_event"),
    ),
    BalanceReport: ("balance", ("account_id", "currency", "amount", "ts_event")),
    MarkReport: ("mark", ("instrument_id", "px", "ts_event")),
}  # fmt: skip
"""The kind of each message, and its keys in the order in which they are written."""

_TIMES = {"ts_event", "ts_received", "expire_time"}
_encode = JSONEncoder(separators=(",", ":")).encode


def to_jsonl(message: Command | Report) -> str:
    """Return *message* as one line of JSON, without the line's end."""
    return _encode(to_row(message))


def to_row(message: Command | Report) -> dict[str, str | bool]:
    """Return *message* as the object on its line: `kind`, then what it says."""
    kind, keys = KINDS[type(message)]
    row: dict[str, str | bool] = {"kind": kind}
    for key in keys:
        value = getattr(message, key)
        if value is None or value is False:
            continue
        if isinstance(value, Decimal):
            row[key] = plain(value)
        elif key in _TIMES:
            row[key] = time_text(value)
        else:
            row[key] = value if value is True else str(value)
    return row
