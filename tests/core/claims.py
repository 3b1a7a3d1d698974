"""Generate claims of every kind, sensible or not."""

from decimal import Decimal

from attrs import evolve
from hypothesis import strategies as st

from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.exact import decimal_of
from fillbook.core.reports import (
    CancelReject,
    CashReport,
    CommissionReport,
    InstrumentReport,
    OrderReport,
    SplitReport,
)
from fillbook.core.values import Contract, ExecType, OrderStatus, Side

_SMALL = ["0", "1", "2", "3", "5", "10"]
_ODD = [
    "0.00000001",
    "0.00000000000000000001",
    "123456789012345678.12345678901234567891",
    "99999999999999999999999999999999999999",
    "12345678901234567890123456789012345678E+20",
    "3.3333333333333333333",
]
_IDS = ["A", "B", "R1", "R2", "R3"]
_TIMES = st.none() | st.integers(0, 6)


def _amounts(texts: list[str]) -> st.SearchStrategy[Decimal | None]:
    return st.none() | st.sampled_from([decimal_of(text) for text in texts])


qtys = _amounts([*_SMALL, *_SMALL, *_ODD])
positive_qtys = _amounts([*_SMALL[1:], *_SMALL[1:], *_ODD])
pxs = _amounts([*_SMALL, *_SMALL, *_ODD, "-1", "-0.5", "100.25"])
some_pxs = st.sampled_from([decimal_of(text) for text in [*_SMALL, *_ODD, "-1", "-0.5", "100.25"]])


def _named(report: OrderReport) -> OrderReport:
    """Give the report an id of its order; readers let none in without."""
    if report.client_order_id or report.venue_order_id:
        return report
    return evolve(report, client_order_id="A")


order_reports = st.builds(
    OrderReport,
    client_order_id=st.sampled_from([*_IDS, None]),
    orig_client_order_id=st.sampled_from([*_IDS, None]),
    venue_order_id=st.sampled_from(["V1", "V2", "V3", None]),
    account_id=st.sampled_from([None, None, "default", "other"]),
    instrument_id=st.sampled_from(["X", "X", "X", "Y", None]),
    side=st.sampled_from([Side.BUY, Side.BUY, Side.BUY, Side.SELL, Side.SELL_SHORT, None]),
    exec_type=st.sampled_from([*ExecType, *[ExecType.TRADE] * 5, None]),
    order_status=st.sampled_from([*OrderStatus, None, None]),
    order_qty=positive_qtys,
    cash_order_qty=positive_qtys,
    cum_qty=qtys,
    leaves_qty=qtys,
    avg_px=pxs,
    last_qty=qtys,
    last_px=pxs,
    exec_id=st.sampled_from(["E1", "E2", "E3", "E4", "T1", None]),
    exec_ref_id=st.sampled_from(["E1", "E2", "E3", "T1", "T2", None]),
    trade_id=st.sampled_from(["T1", "T2", "T3", "E1", "inferred-1:0-5", None]),
    commission=pxs,
    commission_currency=st.sampled_from(["USD", "X", None]),
    limit_px=pxs,
    stop_px=pxs,
    time_in_force=st.sampled_from(["DAY", "GTC", None]),
    venue=st.sampled_from(["XX", None]),
    reason=st.sampled_from(["DUPLICATE_ORDER", "UNKNOWN_ORDER", "OTHER", None]),
    restatement_reason=st.sampled_from(["GT_CORPORATE_ACTION", "OTHER", None]),
    poss_dup=st.booleans(),
    ts_event=_TIMES,
    ts_received=_TIMES,
).map(_named)

intents = st.builds(
    SubmitOrder,
    client_order_id=st.sampled_from(_IDS),
    instrument_id=st.sampled_from(["X", "X", "Y"]),
    side=st.sampled_from([Side.BUY, Side.BUY, Side.SELL, Side.SELL_SHORT]),
    order_type=st.sampled_from(["LIMIT", "MARKET"]),
    order_qty=positive_qtys,
    cash_order_qty=positive_qtys,
    account_id=st.sampled_from(["default", "default", "other"]),
    limit_px=pxs,
    ts_event=_TIMES,
)

cancels = st.builds(
    CancelOrder,
    client_order_id=st.sampled_from(_IDS),
    orig_client_order_id=st.sampled_from(_IDS),
    ts_event=_TIMES,
)

replaces = st.builds(
    ReplaceOrder,
    client_order_id=st.sampled_from(_IDS),
    orig_client_order_id=st.sampled_from(_IDS),
    order_qty=positive_qtys,
    limit_px=pxs,
    ts_event=_TIMES,
)

refusals = st.builds(
    CancelReject,
    client_order_id=st.sampled_from(_IDS),
    orig_client_order_id=st.sampled_from([*_IDS, None]),
    venue_order_id=st.sampled_from(["V1", "V2", None]),
    order_status=st.sampled_from([*OrderStatus, None]),
    reason=st.sampled_from(["TOO_LATE_TO_CANCEL", "UNKNOWN_ORDER", None]),
    ts_event=_TIMES,
)

fees = st.builds(
    CommissionReport,
    instrument_id=st.just("X"),
    trade_id=st.sampled_from(["T1", "T2", "E1", "E2"]),
    commission=some_pxs,
    commission_currency=st.sampled_from(["USD", "X"]),
    ts_event=_TIMES,
)

cash = st.builds(
    CashReport,
    instrument_id=st.just("X"),
    amount=some_pxs,
    currency=st.just("USD"),
    reason=st.just("FUNDING"),
    ts_event=st.integers(0, 5),  # without a time nothing tells a repetition from a second payment
)

definitions = st.builds(
    InstrumentReport,
    instrument_id=st.sampled_from(["X", "Y", "SBER"]),
    contract=st.sampled_from(Contract),
    multiplier=st.sampled_from([Decimal(1), Decimal(10)]),
    base_currency=st.sampled_from(["X", "USD", None]),
    quote_currency=st.sampled_from(["USD", None]),
)

splits = st.builds(
    SplitReport,
    instrument_id=st.sampled_from(["X", "Y", "SBER"]),
    numerator=st.sampled_from([Decimal(2), Decimal(3), Decimal(1)]),
    denominator=st.sampled_from([Decimal(1), Decimal(7)]),
    ts_event=st.integers(0, 5),
)

deals = st.builds(
    lambda order, kind, number, **told: OrderReport(
        client_order_id=order,
        side=Side.BUY if order in ("A", "B") else Side.SELL,
        instrument_id="X",
        exec_type=kind,
        trade_id=f"T{number}" if kind is ExecType.TRADE else None,
        exec_ref_id=None if kind is ExecType.TRADE else f"T{number}",
        **told,
    ),
    st.sampled_from(_IDS[:4]),
    st.sampled_from([*[ExecType.TRADE] * 6, ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT]),
    st.integers(1, 6),
    last_qty=st.sampled_from([decimal_of(text) for text in _SMALL[1:]]),
    last_px=st.sampled_from([decimal_of(text) for text in ["3", "7", "100.25", "99.5"]]),
    commission=st.sampled_from([None, decimal_of("0.1"), decimal_of("-0.3"), decimal_of("4")]),
    commission_currency=st.sampled_from(["USD", "X"]),
)
"""Trades in X that make sense, of two buying and two selling orders, now and then amended."""

claims = st.one_of(
    order_reports, order_reports, order_reports, order_reports, intents, cancels, replaces,
    refusals, fees, cash,
)  # fmt: skip
timed_claims = st.builds(
    lambda claim, ts: evolve(claim, ts_event=ts) if claim.ts_event is None else claim,
    claims,
    st.integers(0, 6),
)
"""The same, each with the time of what it tells, as a venue's messages have."""
