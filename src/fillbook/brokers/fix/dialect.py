"""Say what a FIX message means, in the words of `core`, whichever dialect it is in.

FIX 4.2 tells busts, corrections and polls in ExecTransType (20), 4.3 and later in ExecType (150),
4.0 has only OrdStatus (39); real logs mix them in one message, so all three are read in all.
A field without a value says nothing; neither do `37=NONE`, `6=0`, a price of 0 beside a quantity
of 0, an order of 0, or an OrigClOrdID that repeats the ClOrdID.

Source: each table names the tag; the tag's meaning is FIX 4.4 volume 6, and where a rule belongs to
one version the rule says so.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fillbook.brokers.bounds import id_of, shown, text_of
from fillbook.brokers.fix.tables import (
    CANCEL_REJECT_REASONS,
    EXEC_TRANS_TYPES,
    EXEC_TYPES,
    LIQUIDITY,
    ORDER_TYPES,
    REJECT_REASONS,
    RESTATEMENT_REASONS,
    STATUSES,
    TIMES_IN_FORCE,
    TYPE_OF_STATUS,
)
from fillbook.brokers.fix.values import (
    expiry_of,
    flag,
    id_told,
    px_told,
    qty_of,
    qty_told,
    side_of,
    symbol_of,
    time_of,
    words,
)
from fillbook.brokers.quick import maker
from fillbook.core.commands import CancelOrder, Command, ReplaceOrder, SubmitOrder
from fillbook.core.exact import EXACT, canonical, decimal_of
from fillbook.core.reports import CancelReject, OrderReport, PositionReport, Report
from fillbook.core.values import ExecType, OrderStatus
from fillbook.errors import BadValue

__all__ = ["meaning"]

Fields = Mapping[str, str]


def meaning(fields: Fields, version: str) -> Command | Report | None:
    """Return the command or report that a message makes, None where it makes none.

    Raises `BadValue` naming the field, with its tag, that cannot be believed or is missing.
    """
    read = _READERS.get(fields["35"])
    return read(fields, version) if read is not None else None


# ---- which tag is read into which key, and how

_Rule = tuple[str, str, Callable[[str], Any]]
_Rules = tuple[_Rule, ...]

_TIME: _Rules = (
    ("60", "ts_event", time_of),  # TransactTime
    ("122", "ts_event", time_of),  # OrigSendingTime, of a message sent again
    ("52", "ts_event", time_of),  # SendingTime
)

_CHAIN: _Rules = (
    ("11", "client_order_id", id_of),
    ("41", "orig_client_order_id", id_of),
)

_TERMS: _Rules = (
    ("54", "side", side_of),
    ("38", "order_qty", qty_told),
    ("152", "cash_order_qty", qty_told),
    ("40", "order_type", words(ORDER_TYPES)),
    ("1", "account_id", id_of),
    ("44", "limit_px", decimal_of),
    ("99", "stop_px", decimal_of),
    ("59", "time_in_force", words(TIMES_IN_FORCE)),
    ("126", "expire_time", expiry_of),
    ("100", "venue", id_of),  # ExDestination
    ("207", "venue", id_of),  # SecurityExchange
)

_INSTRUMENT: _Rules = (
    ("55", "instrument_id", symbol_of),
    ("48", "instrument_id", id_of),  # SecurityID
)

_ORDER: _Rules = (("11", "client_order_id", id_of), *_INSTRUMENT, *_TERMS, *_TIME)

_CANCEL: _Rules = (*_CHAIN, *_TIME)

_REPLACE: _Rules = (
    *_CHAIN,
    ("38", "order_qty", qty_told),
    ("44", "limit_px", decimal_of),
    ("99", "stop_px", decimal_of),
    *_TIME,
)

_REPORT: _Rules = (
    ("11", "client_order_id", id_told),
    ("41", "orig_client_order_id", id_told),
    ("37", "venue_order_id", id_told),
    *_INSTRUMENT,
    *_TERMS,
    ("14", "cum_qty", qty_of),
    ("151", "leaves_qty", qty_of),
    ("6", "avg_px", px_told),
    ("32", "last_qty", qty_of),
    ("31", "last_px", decimal_of),
    ("17", "exec_id", id_of),
    ("19", "exec_ref_id", id_of),
    ("880", "trade_id", id_of),
    ("12", "commission", decimal_of),
    ("851", "liquidity", words(LIQUIDITY)),
    ("30", "last_mkt", id_of),
    ("103", "reason", words(REJECT_REASONS)),
    ("58", "text", text_of),
    ("378", "restatement_reason", words(RESTATEMENT_REASONS)),
    ("43", "poss_dup", flag),
    ("97", "poss_resend", flag),
    *_TIME,
)

_CANCEL_REJECT: _Rules = (
    ("11", "client_order_id", id_of),
    ("41", "orig_client_order_id", id_told),
    ("37", "venue_order_id", id_told),
    ("102", "reason", words(CANCEL_REJECT_REASONS)),
    ("58", "text", text_of),
    *_TIME,
)

_POSITION: _Rules = (("1", "account_id", id_of), *_INSTRUMENT, *_TIME)


def _read(fields: Fields, rules: _Rules) -> dict[str, Any]:
    """Return the values that *rules* find in *fields*; of several rules for a key the first."""
    values: dict[str, Any] = {}
    tag = key = ""
    try:
        for tag, key, read in rules:
            if tag in fields and values.get(key) is None and fields[tag]:
                values[key] = read(fields[tag])
    except BadValue as bad:
        raise BadValue(f"{key} ({tag})", bad.problem) from None
    return values


def _one(tag: str, key: str, read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except BadValue as bad:
        raise BadValue(f"{key} ({tag})", bad.problem) from None


def _need(values: Mapping[str, Any], *needed: tuple[str, str]) -> None:
    for key, tag in needed:
        if values.get(key) is None:
            raise BadValue(f"{key} ({tag})", "missing")


def _without_idle_px(values: dict[str, Any]) -> None:
    """Take a price of 0 for none where the order's type has no such price (40)."""
    order_type = values.get("order_type")
    if order_type in ("MARKET", "STOP") and not values.get("limit_px"):
        values["limit_px"] = None
    if order_type in ("MARKET", "LIMIT") and not values.get("stop_px"):
        values["stop_px"] = None


# ---- the messages


def _order(fields: Fields, version: str) -> SubmitOrder:
    values = _read(fields, _ORDER)
    _without_idle_px(values)
    _need(
        values,
        ("client_order_id", "11"),
        ("instrument_id", "55"),
        ("side", "54"),
        ("order_type", "40"),
    )
    if values.get("order_qty") is None and values.get("cash_order_qty") is None:
        raise BadValue("order_qty (38) or cash_order_qty (152)", "missing or 0")
    return _make_order(values)


def _cancel(fields: Fields, version: str) -> CancelOrder:
    values = _read(fields, _CANCEL)
    _need(values, ("client_order_id", "11"), ("orig_client_order_id", "41"))
    return CancelOrder(**values)


def _replace(fields: Fields, version: str) -> ReplaceOrder:
    values = _read(fields, _REPLACE)
    _need(values, ("client_order_id", "11"), ("orig_client_order_id", "41"))
    values["order_type"] = ORDER_TYPES.get(fields.get("40", ""))
    _without_idle_px(values)
    del values["order_type"]
    return ReplaceOrder(**values)


def _report(fields: Fields, version: str) -> OrderReport:
    values = _read(fields, _REPORT)
    get = values.get
    if get("client_order_id") is None and get("venue_order_id") is None:
        raise BadValue("client_order_id (11) or venue_order_id (37)", "missing")
    if get("orig_client_order_id") == get("client_order_id"):
        values["orig_client_order_id"] = None
    last_qty = get("last_qty")
    exec_type = _exec_type(fields, last_qty)
    order_status = _order_status(fields, exec_type)
    if order_status is OrderStatus.PENDING_CANCEL and exec_type is ExecType.PENDING_REPLACE:
        order_status = OrderStatus.PENDING_REPLACE  # 4.1 has one code for both
    elif order_status is OrderStatus.PENDING_REPLACE and exec_type is ExecType.PENDING_CANCEL:
        exec_type = ExecType.PENDING_REPLACE
    values["exec_type"] = exec_type
    values["order_status"] = order_status
    if exec_type is ExecType.ORDER_STATUS and get("exec_id") == "0":
        values["exec_id"] = None  # 4.2: a status report has ExecID 0
    if not last_qty and not get("last_px"):
        values["last_px"] = None
    if fields.get("1003") and "trade_id" not in values and version >= "FIX.5":  # FIXT.1.1 too
        values["trade_id"] = _one("1003", "trade_id", id_of, fields["1003"])
    if "commission" in values:
        _settle_commission(values, fields, last_qty)
    _without_idle_px(values)
    return _make_report(values)


def _exec_type(fields: Fields, last_qty: Decimal | None) -> ExecType | None:
    """Return what a report tells: by ExecTransType, else by ExecType, else by OrdStatus.

    Without an ExecType (FIX 4.0) a quantity tells a fill under every status that is not an end:
    the venue may have matched while it was asked to cancel.
    """
    told = fields.get("20")
    if told in EXEC_TRANS_TYPES:
        return EXEC_TRANS_TYPES[told]
    told = fields.get("150")
    if told:
        exec_type = EXEC_TYPES.get(told)
        if exec_type is None:
            raise BadValue("exec_type (150)", f"{shown(told)} is no type that is known here")
        return exec_type
    status = fields.get("39", "")
    if last_qty and status in ("0", "1", "2", "6", "7", "9", "A", "E"):
        return ExecType.TRADE
    return TYPE_OF_STATUS.get(status)


def _order_status(fields: Fields, exec_type: ExecType | None) -> OrderStatus | None:
    """Return OrdStatus (39); None where it says Replaced, or nothing.

    An unlisted one is refused, except beside a fill: a fill is a fact, a status is an opinion.
    """
    code = fields.get("39")
    if not code:
        return None
    if code in STATUSES:
        return STATUSES[code]
    if exec_type in (ExecType.TRADE, ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT):
        return None
    raise BadValue("order_status (39)", f"{shown(code)} is no status that is known here")


def _settle_commission(values: dict[str, Any], fields: Fields, last_qty: Decimal | None) -> None:
    """Make Commission (12) an amount, and add CommCurrency (479), else Currency (15).

    CommType (13) 3 is an amount and what is meant without one, 1 is per unit; a percentage and the
    rest (2, 4, 5, 6) cannot be told without figures that are not in the message.
    """
    comm_type = fields.get("13") or "3"
    if comm_type == "1" and last_qty:
        product = canonical(EXACT.multiply(values["commission"], last_qty))
        values["commission"] = _one("12", "commission", decimal_of, str(product))
    elif comm_type != "3":
        del values["commission"]
        return
    tag = "479" if fields.get("479") else "15"
    if fields.get(tag):
        values["commission_currency"] = _one(tag, "commission_currency", id_of, fields[tag])


def _cancel_reject(fields: Fields, version: str) -> CancelReject:
    values = _read(fields, _CANCEL_REJECT)
    _need(values, ("client_order_id", "11"))
    values["order_status"] = _order_status(fields, None)
    return CancelReject(**values)


def _position(fields: Fields, version: str) -> PositionReport:
    """Read a PositionReport (35=AP) of one quantity: LongQty (704) less ShortQty (705).

    SettlPrice (730) is what the clearing house values the position at, not what it cost, so there
    is no `avg_px`.  Of several quantities (702) nothing tells which is the one held.
    """
    values = _read(fields, _POSITION)
    _need(values, ("instrument_id", "55"))
    if fields.get("702", "1") != "1":
        raise BadValue("position_qty (702)", f"{shown(fields['702'])} quantities, expected one")
    if fields.get("728", "0") != "0":
        raise BadValue("position_qty (728)", f"the request failed with {shown(fields['728'])}")
    if fields.get("706") == "2":
        raise BadValue("position_qty (706)", "the quantity is marked as rejected")
    if not fields.get("704") and not fields.get("705"):
        raise BadValue("position_qty (704 or 705)", "missing")
    long = _one("704", "position_qty", qty_of, fields.get("704") or "0")
    short = _one("705", "position_qty", qty_of, fields.get("705") or "0")
    values["position_qty"] = canonical(EXACT.subtract(long, short))
    return PositionReport(**values)


_make_order = maker(SubmitOrder)
_make_report = maker(OrderReport)

_READERS: dict[str, Callable[[Fields, str], Command | Report]] = {
    "D": _order,
    "F": _cancel,
    "G": _replace,
    "8": _report,
    "9": _cancel_reject,
    "AP": _position,
}
