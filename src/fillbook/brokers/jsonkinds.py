"""List the kinds of message that JSON lines know, each with its keys and how their text is read.

Readers are given text and return the value, or raise `BadValue` with an empty key.  A quantity is 0
or more, a price may be anything, what we ask for or divide by is more than 0; `bounds` has more.
Sets that a venue may extend are kept as they came; the others take their own words and no other.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any

from attrs import frozen

from fillbook.brokers.bounds import id_of, second_ns, shown, split_term, text_of
from fillbook.brokers.quick import maker
from fillbook.core.commands import CancelOrder, Command, ReplaceOrder, SubmitOrder
from fillbook.core.exact import average_of, decimal_of
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
from fillbook.core.values import Contract, ExecType, OrderStatus, Side
from fillbook.errors import BadValue

__all__ = ["KINDS", "Kind", "Reader", "flag", "instant_of"]


def instant_of(text: str) -> int:
    """Return nanoseconds since 1970 of an RFC 3339 time in UTC with up to nine decimal places.

    `Z` or `+00:00`, nothing else: a local time without its rules is not a time.
    """
    try:
        return _second(text[:19]) + _rest(text[19:])
    except _NoInstant:
        problem = f"{shown(text)} is not a time such as 2026-03-13T07:00:00.123Z (UTC)"
        raise BadValue("", problem) from None


class _NoInstant(Exception):
    """A part of a text is not that part of a time."""


_SECOND = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)", re.ASCII)
_REST = re.compile(r"(?:\.(\d{1,9}))?(?:Z|\+00:00)", re.ASCII)


@lru_cache(maxsize=1 << 12)
def _second(text: str) -> int:
    match = _SECOND.fullmatch(text)
    if match is None:
        raise _NoInstant
    return second_ns(*map(int, match.groups()))


@lru_cache(maxsize=1 << 12)
def _rest(text: str) -> int:
    match = _REST.fullmatch(text)
    if match is None:
        raise _NoInstant
    return int((match[1] or "0").ljust(9, "0"))


@lru_cache(maxsize=1 << 12)
def _qty(text: str) -> Decimal:
    value = decimal_of(text)
    if value.is_signed():
        raise BadValue("", f"{shown(text)} is negative; a quantity is 0 or more")
    return value


@lru_cache(maxsize=1 << 12)
def _positive(text: str) -> Decimal:
    value = decimal_of(text)
    if value.is_signed() or not value:
        raise BadValue("", f"{shown(text)} is not more than 0")
    return value


def _moved(text: str) -> Decimal:
    value = decimal_of(text)
    if not value:
        raise BadValue("", f"{shown(text)} moves nothing; it is more or less than 0")
    return value


def _split_term(text: str) -> Decimal:
    return split_term(_positive(text))


@lru_cache(maxsize=1 << 12)
def _told_qty(text: str) -> Decimal | None:
    """Return a quantity; None for 0: so a venue answers about an order it does not know."""
    return _qty(text) or None


def _choice(words: type[StrEnum]) -> Callable[[str], StrEnum]:
    return _one_of({word.value: word for word in words})


def _one_of(choices: Mapping[str, Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = choices.get(text)
        if value is None:
            raise BadValue("", f"{shown(text)} is none of {', '.join(choices)}")
        return value

    return read


def flag(text: str) -> bool:
    """Refuse text: a flag is `true` or `false`, and the reader of the line takes it as it is."""
    raise BadValue("", f"found the text {shown(text)}, expected true or false")


Reader = Callable[[str], Any]
_side = _choice(Side)
_status = _choice(OrderStatus)
_CASH_REASONS = {word: word for word in ("FUNDING", "SETTLEMENT", "DIVIDEND", "OTHER")}


@frozen
class Kind:
    """What one kind is made of.  `needs` are alternatives: one key of each group must be there."""

    make: Callable[[dict[str, Any]], Command | Report]
    needs: tuple[tuple[str, ...], ...]
    keys: dict[str, Reader]


KINDS: dict[str, Kind] = {
    "instrument": Kind(
        maker(InstrumentReport),
        (("instrument_id",),),
        {
            "instrument_id": id_of,
            "contract": _choice(Contract),
            "multiplier": _positive,
            "base_currency": id_of,
            "quote_currency": id_of,
            "settlement_currency": id_of,
            "qty_step": _positive,
            "px_step": _positive,
            "lot_size": _positive,
        },
    ),
    "order": Kind(
        maker(SubmitOrder),
        (
            ("client_order_id",),
            ("instrument_id",),
            ("side",),
            ("order_qty", "cash_order_qty"),
            ("order_type",),
        ),
        {
            "client_order_id": id_of,
            "instrument_id": id_of,
            "side": _side,
            "order_qty": _positive,
            "cash_order_qty": _positive,
            "order_type": id_of,
            "account_id": id_of,
            "limit_px": decimal_of,
            "stop_px": decimal_of,
            "time_in_force": id_of,
            "expire_time": instant_of,
            "venue": id_of,
            "ts_event": instant_of,
        },
    ),
    "cancel": Kind(
        maker(CancelOrder),
        (("client_order_id",), ("orig_client_order_id",)),
        {"client_order_id": id_of, "orig_client_order_id": id_of, "ts_event": instant_of},
    ),
    "replace": Kind(
        maker(ReplaceOrder),
        (("client_order_id",), ("orig_client_order_id",)),
        {
            "client_order_id": id_of,
            "orig_client_order_id": id_of,
            "order_qty": _positive,
            "limit_px": decimal_of,
            "stop_px": decimal_of,
            "ts_event": instant_of,
        },
    ),
    "report": Kind(
        maker(OrderReport),
        (("client_order_id", "venue_order_id"),),
        {
            "client_order_id": id_of,
            "orig_client_order_id": id_of,
            "venue_order_id": id_of,
            "account_id": id_of,
            "instrument_id": id_of,
            "side": _side,
            "exec_type": _choice(ExecType),
            "order_status": _status,
            "order_qty": _told_qty,
            "cum_qty": _qty,
            "leaves_qty": _qty,
            "avg_px": average_of,
            "last_qty": _qty,
            "last_px": decimal_of,
            "exec_id": id_of,
            "exec_ref_id": id_of,
            "trade_id": id_of,
            "commission": decimal_of,
            "commission_currency": id_of,
            "liquidity": id_of,
            "order_type": id_of,
            "limit_px": decimal_of,
            "stop_px": decimal_of,
            "time_in_force": id_of,
            "expire_time": instant_of,
            "venue": id_of,
            "last_mkt": id_of,
            "reason": id_of,
            "text": text_of,
            "restatement_reason": id_of,
            "poss_dup": flag,
            "poss_resend": flag,
            "ts_event": instant_of,
            "ts_received": instant_of,
        },
    ),
    "cancel_reject": Kind(
        maker(CancelReject),
        (("client_order_id",),),
        {
            "client_order_id": id_of,
            "orig_client_order_id": id_of,
            "venue_order_id": id_of,
            "order_status": _status,
            "reason": id_of,
            "text": text_of,
            "ts_event": instant_of,
        },
    ),
    "commission": Kind(
        maker(CommissionReport),
        (("instrument_id",), ("trade_id",), ("commission",), ("commission_currency",)),
        {
            "instrument_id": id_of,
            "trade_id": id_of,
            "commission": decimal_of,
            "commission_currency": id_of,
            "account_id": id_of,
            "venue_order_id": id_of,
            "side": _side,
            "ts_event": instant_of,
        },
    ),
    "position": Kind(
        maker(PositionReport),
        (("instrument_id",), ("position_qty",)),
        {
            "instrument_id": id_of,
            "position_qty": decimal_of,
            "avg_px": average_of,
            "account_id": id_of,
            "ts_event": instant_of,
        },
    ),
    "split": Kind(
        maker(SplitReport),
        (("instrument_id",), ("numerator",), ("denominator",)),
        {
            "instrument_id": id_of,
            "numerator": _split_term,
            "denominator": _split_term,
            "ts_event": instant_of,
        },
    ),
    "cash": Kind(
        maker(CashReport),
        (("instrument_id",), ("amount",), ("currency",), ("reason",)),
        {
            "instrument_id": id_of,
            "amount": decimal_of,
            "currency": id_of,
            "reason": _one_of(_CASH_REASONS),
            "account_id": id_of,
            "ts_event": instant_of,
        },
    ),
    "transfer": Kind(
        maker(TransferReport),
        (("instrument_id",), ("transfer_id",), ("transferred_qty",)),
        {
            "instrument_id": id_of,
            "transfer_id": id_of,
            "transferred_qty": _moved,
            "px": decimal_of,
            "account_id": id_of,
            "ts_event": instant_of,
        },
    ),
    "balance": Kind(
        maker(BalanceReport),
        (("currency",), ("amount",)),
        {
            "currency": id_of,
            "amount": decimal_of,
            "account_id": id_of,
            "ts_event": instant_of,
        },
    ),
    "mark": Kind(
        maker(MarkReport),
        (("instrument_id",), ("px",)),
        {"instrument_id": id_of, "px": decimal_of, "ts_event": instant_of},
    ),
}
