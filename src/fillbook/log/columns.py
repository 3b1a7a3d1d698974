"""Name the columns of an event, and work out those that repeat its body for the sake of the fold.

Those are a convenience, never a source: what they say follows from the body alone, and `verify`
compares the two.  The codes are part of the file's format and never change.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from fillbook.core.events import (
    CashMoved,
    CommissionChanged,
    Event,
    FillBusted,
    FillCorrected,
    FillInferred,
    InferredFillReleased,
    InstrumentDefined,
    InstrumentSplit,
    OrderEvent,
    OrderFilled,
    OrderFilledV1,
)
from fillbook.core.exact import scaled
from fillbook.core.operator_events import PositionAdjusted
from fillbook.core.values import OrderStatus, Side

__all__ = [
    "COLUMNS",
    "OP_BODY",
    "OP_FILL",
    "OP_NEITHER",
    "OP_ORDER",
    "STATUS_CODES",
    "STATUS_OF_CODE",
    "HotColumns",
    "hot_columns",
]

COLUMNS = (
    "seq", "op", "stream", "status", "position", "qty", "px", "fee", "fee_currency", "fill_no",
    "version", "type", "type_version", "ts_event", "ts_received", "ts_recorded", "mono_ns", "epoch",
    "actor", "correlation", "causation", "client_order_id", "venue_order_id", "idempotency_key",
    "input_hash", "raw_digest", "event_hash", "body",
)  # fmt: skip
"""The columns of `events` and the fields of a `Record`, both in this order."""

OP_ORDER = 0
"""An order's event that moves no position."""
OP_FILL = 1
"""A plain fill: the columns hold all that a position needs."""
OP_BODY = 2
"""Moves positions; the body is needed."""
OP_NEITHER = 3

STATUS_CODES: dict[OrderStatus, int] = {
    OrderStatus.PENDING_NEW: 1,
    OrderStatus.NEW: 2,
    OrderStatus.PARTIALLY_FILLED: 3,
    OrderStatus.FILLED: 4,
    OrderStatus.CANCELED: 5,
    OrderStatus.REJECTED: 6,
    OrderStatus.EXPIRED: 7,
    OrderStatus.PENDING_CANCEL: 8,
    OrderStatus.PENDING_REPLACE: 9,
    OrderStatus.DONE_FOR_DAY: 10,
    OrderStatus.STOPPED: 11,
    OrderStatus.SUSPENDED: 12,
    OrderStatus.CALCULATED: 13,
    OrderStatus.UNKNOWN: 14,
}
STATUS_OF_CODE: dict[int, OrderStatus] = {code: status for status, code in STATUS_CODES.items()}

_CODE_OF_TEXT: dict[str, int] = {status.value: code for status, code in STATUS_CODES.items()}
_PLAIN_FILLS = (OrderFilled, OrderFilledV1, FillInferred)
_AMENDMENTS = (FillBusted, FillCorrected, CommissionChanged)
_NEED_BODY = (
    *_AMENDMENTS, InferredFillReleased, CashMoved, PositionAdjusted, InstrumentSplit,
    InstrumentDefined,
)  # fmt: skip


class HotColumns(NamedTuple):
    """`qty`, `px` and `fee` are in units of 1e-8 and set only where `op` is `OP_FILL`."""

    op: int
    status: int | None
    qty: int | None
    px: int | None
    fee: int | None
    fee_currency: str | None
    fill_no: int | None


def hot_columns(event: Event) -> HotColumns:
    """Return what the hot columns hold for *event*."""
    cls = event.__class__
    columns_of = _COLUMNS_OF.get(cls)
    if columns_of is None:
        columns_of = _COLUMNS_OF[cls] = _way_of(cls)
    return columns_of(event)


_COLUMNS_OF: dict[type[Event], Callable[[Any], HotColumns]] = {}
"""How the columns of each class are found; asking for each event what it is takes far longer."""


def _way_of(cls: type[Event]) -> Callable[[Any], HotColumns]:
    needs_body = issubclass(cls, _NEED_BODY)
    if not issubclass(cls, OrderEvent):
        op = OP_BODY if needs_body else OP_NEITHER
        alike = HotColumns(op, None, None, None, None, None, None)
        return lambda event: alike
    if issubclass(cls, _PLAIN_FILLS):
        return _fill_columns
    if issubclass(cls, _AMENDMENTS):
        return _body_columns
    op = OP_BODY if needs_body else OP_ORDER
    by_status = {
        text: HotColumns(op, code, None, None, None, None, None)
        for text, code in _CODE_OF_TEXT.items()
    }
    return lambda event: by_status[event.order_status._value_]  # an enum hashes slowly


def _body_columns(event: Any) -> HotColumns:
    """Return those of a fill, or of what amends one, whose body is needed."""
    status = _CODE_OF_TEXT[event.order_status._value_]
    return HotColumns(OP_BODY, status, None, None, None, None, event.fill_no)


def _fill_columns(event: OrderFilled | OrderFilledV1 | FillInferred) -> HotColumns:
    """Return those of a fill: its figures where all of them fit, else the body is needed."""
    status = _CODE_OF_TEXT[event.order_status._value_]
    qty = scaled(event.last_qty)
    px = None if event.last_px is None else scaled(event.last_px)
    if qty is None or px is None:
        return _body_columns(event)
    if event.side is not Side.BUY:
        qty = -qty
    if isinstance(event, FillInferred):
        return HotColumns(OP_FILL, status, qty, px, None, None, event.fill_no)
    if event.replaces:
        return _body_columns(event)
    if event.commission is None:
        return HotColumns(OP_FILL, status, qty, px, None, None, event.fill_no)
    fee = scaled(event.commission)
    if fee is None:
        return _body_columns(event)
    return HotColumns(OP_FILL, status, qty, px, fee, event.commission_currency, event.fill_no)
