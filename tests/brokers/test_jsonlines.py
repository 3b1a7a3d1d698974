"""Messages in CONTRACT's JSON lines: every kind, every key, and every way to get one wrong."""

import io
import json
from datetime import datetime
from decimal import Decimal

import pytest
from attrs import fields_dict
from hypothesis import given, settings
from hypothesis import strategies as st

from fillbook.brokers.jsonkinds import instant_of
from fillbook.brokers.jsonlines import read_jsonl
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.reports import (
    BalanceReport,
    CancelReject,
    CashReport,
    CommissionReport,
    InstrumentReport,
    MarkReport,
    OrderReport,
    PositionReport,
    SplitReport,
    TransferReport,
)
from fillbook.core.values import Contract, ExecType, OrderStatus, Side
from fillbook.errors import BadValue

TIME = "2026-03-13T07:00:00.100Z"
NS = 1_773_385_200_100_000_000


def messages(*lines):
    """Read *lines*: dicts, or text or bytes as they are."""
    parts = [
        line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line))
        for line in lines
    ]
    data = b"\n".join(part if isinstance(part, bytes) else part.encode() for part in parts)
    return list(read_jsonl(io.BytesIO(data)))


def message(line):
    (one,) = messages(line)
    return one


def problem(line):
    """Return why *line* is set aside; it must be."""
    one = message(line)
    assert one.content is None
    assert one.problem
    assert "\n" not in one.problem
    assert len(one.problem) < 700
    return one.problem


def a_report(**keys):
    return {"kind": "report", "client_order_id": "R-1"} | keys


def an_order(**keys):
    order = {"kind": "order", "client_order_id": "R-1", "instrument_id": "SBER", "side": "BUY"}
    return order | {"order_qty": "10", "order_type": "LIMIT"} | keys


EVERY_KEY = [
    (
        {
            "kind": "instrument", "instrument_id": "XBTUSD", "contract": "INVERSE",
            "multiplier": "1", "base_currency": "BTC", "quote_currency": "USD",
            "settlement_currency": "BTC", "qty_step": "1", "px_step": "0.50", "lot_size": "100",
        },
        InstrumentReport(
            instrument_id="XBTUSD", contract=Contract.INVERSE, multiplier=Decimal(1),
            base_currency="BTC", quote_currency="USD", settlement_currency="BTC",
            qty_step=Decimal(1), px_step=Decimal("0.5"), lot_size=Decimal(100),
        ),
    ),
    (
        {
            "kind": "order", "client_order_id": "R-1", "instrument_id": "SBER",
            "side": "SELL_SHORT", "order_qty": "10", "cash_order_qty": "1000",
            "order_type": "LIMIT", "account_id": "A",
            "limit_px": "-101.50", "stop_px": "0", "time_in_force": "GTD", "expire_time": TIME,
            "venue": "MOEX", "ts_event": TIME,
        },
        SubmitOrder(
            client_order_id="R-1", instrument_id="SBER", side=Side.SELL_SHORT,
            order_qty=Decimal(10), cash_order_qty=Decimal(1000), order_type="LIMIT",
            account_id="A", limit_px=Decimal("-101.5"), stop_px=Decimal(0), time_in_force="GTD",
            expire_time=NS, venue="MOEX", ts_event=NS,
        ),
    ),
    (
        {"kind": "cancel", "client_order_id": "C", "orig_client_order_id": "R", "ts_event": TIME},
        CancelOrder(client_order_id="C", orig_client_order_id="R", ts_event=NS),
    ),
    (
        {
            "kind": "replace", "client_order_id": "C", "orig_client_order_id": "R",
            "order_qty": "7", "limit_px": "0", "stop_px": "-1", "ts_event": TIME,
        },
        ReplaceOrder(
            client_order_id="C", orig_client_order_id="R", order_qty=Decimal(7),
            limit_px=Decimal(0), stop_px=Decimal(-1), ts_event=NS,
        ),
    ),
    (
        {
            "kind": "report", "client_order_id": "R-2", "orig_client_order_id": "R-1",
            "venue_order_id": "V", "account_id": "A", "instrument_id": "SBER", "side": "BUY",
            "exec_type": "TRADE", "order_status": "FILLED", "order_qty": "10", "cum_qty": "10",
            "leaves_qty": "0", "avg_px": "101.46", "last_qty": "4", "last_px": "101.40",
            "exec_id": "E", "exec_ref_id": "E0", "trade_id": "T", "commission": "-0.10",
            "commission_currency": "RUB", "liquidity": "MAKER", "order_type": "LIMIT",
            "limit_px": "101.5", "stop_px": "99", "time_in_force": "DAY", "expire_time": TIME,
            "venue": "MOEX", "last_mkt": "XMOS", "reason": "OTHER", "text": 'it said "no"\n',
            "restatement_reason": "REPRICING", "poss_dup": True, "poss_resend": False,
            "ts_event": TIME, "ts_received": "2026-03-13T07:00:00.1+00:00",
        },
        OrderReport(
            client_order_id="R-2", orig_client_order_id="R-1", venue_order_id="V", account_id="A",
            instrument_id="SBER", side=Side.BUY, exec_type=ExecType.TRADE,
            order_status=OrderStatus.FILLED, order_qty=Decimal(10), cum_qty=Decimal(10),
            leaves_qty=Decimal(0), avg_px=Decimal("101.46"), last_qty=Decimal(4),
            last_px=Decimal("101.4"), exec_id="E", exec_ref_id="E0", trade_id="T",
            commission=Decimal("-0.1"), commission_currency="RUB", liquidity="MAKER",
            order_type="LIMIT", limit_px=Decimal("101.5"), stop_px=Decimal(99),
            time_in_force="DAY", expire_time=NS, venue="MOEX", last_mkt="XMOS", reason="OTHER",
            text='it said "no"\n', restatement_reason="REPRICING", poss_dup=True,
            poss_resend=False, ts_event=NS, ts_received=NS,
        ),
    ),
    (
        {
            "kind": "cancel_reject", "client_order_id": "C", "orig_client_order_id": "R",
            "venue_order_id": "V", "order_status": "FILLED", "reason": "TOO_LATE_TO_CANCEL",
            "text": "late", "ts_event": TIME,
        },
        CancelReject(
            client_order_id="C", orig_client_order_id="R", venue_order_id="V",
            order_status=OrderStatus.FILLED, reason="TOO_LATE_TO_CANCEL", text="late", ts_event=NS,
        ),
    ),
    (
        {
            "kind": "commission", "instrument_id": "SBER", "trade_id": "T", "commission": "1.20",
            "commission_currency": "RUB", "account_id": "A", "venue_order_id": "V", "side": "SELL",
            "ts_event": TIME,
        },
        CommissionReport(
            instrument_id="SBER", trade_id="T", commission=Decimal("1.2"),
            commission_currency="RUB", account_id="A", venue_order_id="V", side=Side.SELL,
            ts_event=NS,
        ),
    ),
    (
        {
            "kind": "position", "instrument_id": "SBER", "position_qty": "-3", "avg_px": "101",
            "account_id": "A", "ts_event": TIME,
        },
        PositionReport(
            instrument_id="SBER", position_qty=Decimal(-3), avg_px=Decimal(101), account_id="A",
            ts_event=NS,
        ),
    ),
    (
        {
            "kind": "split", "instrument_id": "SBER", "numerator": "2", "denominator": "1",
            "ts_event": TIME,
        },
        SplitReport(
            instrument_id="SBER", numerator=Decimal(2), denominator=Decimal(1), ts_event=NS
        ),
    ),
    (
        {
            "kind": "cash", "instrument_id": "SBER", "amount": "-5", "currency": "RUB",
            "reason": "FUNDING", "account_id": "A", "ts_event": TIME,
        },
        CashReport(
            instrument_id="SBER", amount=Decimal(-5), currency="RUB", reason="FUNDING",
            account_id="A", ts_event=NS,
        ),
    ),
    (
        {
            "kind": "transfer", "instrument_id": "SBER", "transfer_id": "M-1",
            "transferred_qty": "-5", "px": "101.50", "account_id": "A", "ts_event": TIME,
        },
        TransferReport(
            instrument_id="SBER", transfer_id="M-1", transferred_qty=Decimal(-5),
            px=Decimal("101.5"), account_id="A", ts_event=NS,
        ),
    ),
    (
        {
            "kind": "balance", "currency": "RUB", "amount": "-0.50", "account_id": "A",
            "ts_event": TIME,
        },
        BalanceReport(currency="RUB", amount=Decimal("-0.5"), account_id="A", ts_event=NS),
    ),
    (
        {"kind": "mark", "instrument_id": "SBER", "px": "-0.10", "ts_event": TIME},
        MarkReport(instrument_id="SBER", px=Decimal("-0.1"), ts_event=NS),
    ),
]  # fmt: skip
KINDS = [row["kind"] for row, _ in EVERY_KEY]


@pytest.mark.parametrize(("row", "content"), EVERY_KEY, ids=KINDS)
def test_every_key_of_a_kind_is_read(row, content):
    one = message(row)

    assert one.problem is None
    assert (one.line, one.kind, one.content) == (1, row["kind"], content)
    assert type(one.content) is type(content)
    assert hash(one.content) == hash(content)


REQUIRED = {
    "instrument": ["instrument_id"],
    "order": ["client_order_id", "instrument_id", "side", "order_type"],
    "cancel": ["client_order_id", "orig_client_order_id"],
    "replace": ["client_order_id", "orig_client_order_id"],
    "report": [],
    "cancel_reject": ["client_order_id"],
    "commission": ["instrument_id", "trade_id", "commission", "commission_currency"],
    "position": ["instrument_id", "position_qty"],
    "split": ["instrument_id", "numerator", "denominator"],
    "cash": ["instrument_id", "amount", "currency", "reason"],
    "transfer": ["instrument_id", "transfer_id", "transferred_qty"],
    "balance": ["currency", "amount"],
    "mark": ["instrument_id", "px"],
}


@pytest.mark.parametrize(("row", "content"), EVERY_KEY, ids=KINDS)
def test_a_key_may_be_missing_or_null_exactly_where_the_contract_says(row, content):
    for key in [key for key in row if key != "kind"]:
        without = {k: v for k, v in row.items() if k != key}
        for line in (without, without | {key: None}):
            one = message(line)
            if key in REQUIRED[row["kind"]]:
                assert one.content is None
                assert one.kind == row["kind"]
                assert one.problem == f"{key}: missing"
            else:
                assert one.problem is None
                assert getattr(one.content, key) == fields_dict(type(content))[key].default


def test_a_transfer_moves_something():
    told = {"kind": "transfer", "instrument_id": "SBER", "transfer_id": "M-1"}

    one = message(told | {"transferred_qty": "0.00"})

    assert one.content is None
    assert one.problem == "transferred_qty: '0.00' moves nothing; it is more or less than 0"


def test_an_order_has_a_quantity_of_one_sort_or_the_other():
    by_cash = an_order(order_qty=None, cash_order_qty="500")

    assert message(by_cash).content.cash_order_qty == 500
    assert problem(an_order(order_qty=None)) == "order_qty or cash_order_qty: missing"


def test_a_report_names_its_order_by_one_id_or_the_other():
    assert message({"kind": "report", "venue_order_id": "V"}).content.venue_order_id == "V"
    assert problem({"kind": "report"}) == "client_order_id or venue_order_id: missing"
    only_original = {"kind": "report", "orig_client_order_id": "R"}
    assert "client_order_id or venue_order_id" in problem(only_original)


@pytest.mark.parametrize(("row", "content"), EVERY_KEY, ids=KINDS)
def test_a_key_of_no_kind_sets_the_message_aside(row, content):
    assert problem(row | {"oid": "1"}).startswith("oid: is not one of the keys")
    assert problem(row | {"oid": None}).startswith("oid: is not one of the keys")


def test_a_key_of_another_kind_sets_the_message_aside():
    assert problem(a_report(cash_order_qty="1")).startswith("cash_order_qty: ")
    assert problem({"kind": "cancel_reject", "client_order_id": "C", "ts_received": TIME})


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("101.50", "101.5"), ("-0", "0"), ("+5", "5"), ("1e3", "1000"), ("1E-20", "1E-20"),
        (".5", "0.5"), ("5.", "5"), ("9" * 38, "9" * 38),
    ],
)  # fmt: skip
def test_a_decimal_is_read_exactly(written, value):
    assert message(a_report(avg_px=written)).content.avg_px == Decimal(value)


@pytest.mark.parametrize(
    "written",
    ["", " 1", "1 ", "1,5", "0x1", "NaN", "Infinity", "-", "1_000", "٣", "9" * 39, "1e21", "1e-21",
     "1E+999999999", "9" * 1_000_000],
)  # fmt: skip
def test_what_is_no_bounded_decimal_is_refused_by_its_key(written):
    assert problem(a_report(last_px=written)).startswith("last_px: ")


def test_an_average_may_be_a_long_quotient():
    """What we print ourselves, 28 digits, can be read again; a fill hangs on it."""
    written = "100.6666666666666666666666667"

    assert message(a_report(avg_px=written)).content.avg_px == Decimal(written)
    assert problem(a_report(avg_px="1e-39")).startswith("avg_px: ")
    assert problem(a_report(avg_px="9" * 39)).startswith("avg_px: ")


@pytest.mark.parametrize(
    "written", ["1.5", "1e3", "10", "-0", "NaN", "Infinity", "-Infinity", "1" * 1_000_000]
)
def test_a_json_number_is_refused_by_its_key(written):
    """Two programs read 0.1 as two numbers; text is one."""
    line = f'{{"kind": "report", "client_order_id": "R", "last_px": {written}}}'

    reason = problem(line)

    assert reason.startswith("last_px: found the number ")
    assert reason.endswith("expected text in quotes")


def test_a_number_is_refused_even_where_escapes_stand_beside_it():
    line = r'{"kind": "report", "client_order_id": "R", "text": "\"", "last_px": 1}'

    assert problem(line).startswith("last_px: found the number 1")


@pytest.mark.parametrize("value", [True, False, [], {}, ["x"], {"a": "b"}])
@pytest.mark.parametrize("key", ["client_order_id", "last_qty", "side", "ts_event", "text"])
def test_only_text_is_text(key, value):
    assert problem(a_report(**{key: value})).startswith(f"{key}: found ")


@pytest.mark.parametrize("value", ["true", "Y", "", 1, 0, []])
@pytest.mark.parametrize("key", ["poss_dup", "poss_resend"])
def test_a_flag_is_true_or_false(key, value):
    assert problem(a_report(**{key: value})).startswith(f"{key}: found ")


@pytest.mark.parametrize("key", ["order_qty", "cum_qty", "leaves_qty", "last_qty"])
def test_a_quantity_of_a_report_is_not_negative(key):
    assert problem(a_report(**{key: "-1"})).startswith(f"{key}: '-1' is negative")


@pytest.mark.parametrize("key", ["avg_px", "last_px", "limit_px", "stop_px"])
@pytest.mark.parametrize("written", ["0", "-37.63"])
def test_a_price_may_be_zero_or_negative(key, written):
    assert getattr(message(a_report(**{key: written})).content, key) == Decimal(written)


def test_a_quantity_of_zero_is_no_fill_but_no_order_of_zero():
    """A venue that is asked about an order it does not know prints 0 for its quantity."""
    content = message(a_report(order_qty="0", last_qty="0", cum_qty="0", leaves_qty="0")).content

    assert content.order_qty is None
    assert (content.last_qty, content.cum_qty, content.leaves_qty) == (0, 0, 0)


@pytest.mark.parametrize(
    ("row", "key"),
    [
        (an_order(), "order_qty"),
        (an_order(), "cash_order_qty"),
        ({"kind": "replace", "client_order_id": "C", "orig_client_order_id": "R"}, "order_qty"),
        ({"kind": "instrument", "instrument_id": "I"}, "multiplier"),
        ({"kind": "instrument", "instrument_id": "I"}, "qty_step"),
        ({"kind": "instrument", "instrument_id": "I"}, "px_step"),
        ({"kind": "instrument", "instrument_id": "I"}, "lot_size"),
        ({"kind": "split", "instrument_id": "I", "denominator": "1"}, "numerator"),
        ({"kind": "split", "instrument_id": "I", "numerator": "1"}, "denominator"),
    ],
)
def test_what_we_ask_for_and_what_we_divide_by_is_more_than_zero(row, key):
    assert problem(row | {key: "0"}) == f"{key}: '0' is not more than 0"
    assert problem(row | {key: "-1"}) == f"{key}: '-1' is not more than 0"


@pytest.mark.parametrize("key", ["numerator", "denominator"])
@pytest.mark.parametrize(
    "term", ["1e20", "1000000001", "0.0000000009", "1.000000000000000001", "1e-20"]
)
def test_an_absurd_split_is_refused_before_it_outgrows_the_book(key: str, term: str):
    """Splits multiply: a few of 1e20 for 1 and no arithmetic is exact any more."""
    row = {"kind": "split", "instrument_id": "I", "numerator": "1", "denominator": "1"}
    said = problem(row | {key: term})
    assert said.startswith(f"{key}: ")
    assert said.endswith("is no part of a split's ratio: 1e-9 to 1e9, at most 18 digits")


@pytest.mark.parametrize("term", ["1000000000", "0.000000001", "0.028571428571428571"])
def test_a_split_may_be_as_odd_as_any_that_happened(term: str):
    row = {"kind": "split", "instrument_id": "I", "numerator": term, "denominator": "35"}
    assert message(row).content.numerator == Decimal(term)


@pytest.mark.parametrize(
    ("row", "key", "listed"),
    [
        (an_order(), "side", list(Side)),
        (a_report(), "exec_type", list(ExecType)),
        (a_report(), "order_status", list(OrderStatus)),
        ({"kind": "instrument", "instrument_id": "I"}, "contract", list(Contract)),
        (
            {"kind": "cash", "instrument_id": "I", "amount": "1", "currency": "RUB"},
            "reason",
            ["FUNDING", "SETTLEMENT", "DIVIDEND", "OTHER"],
        ),
    ],
)
def test_a_closed_set_takes_its_words_and_no_other(row, key, listed):
    assert listed
    for word in listed:
        assert getattr(message(row | {key: str(word)}).content, key) == word
    for word in (str(listed[0]).lower(), "REPLACED_", "", " " + str(listed[0])):
        assert problem(row | {key: word}).startswith(f"{key}: ")
        assert str(listed[-1]) in problem(row | {key: word})


def test_replaced_is_never_a_status():
    assert problem(a_report(order_status="REPLACED")).startswith("order_status: 'REPLACED'")


@pytest.mark.parametrize(
    "key", ["order_type", "time_in_force", "liquidity", "reason", "restatement_reason"]
)
def test_an_open_set_keeps_what_it_gets(key):
    assert getattr(message(a_report(**{key: "At the close, #7"})).content, key) == (
        "At the close, #7"
    )
    assert problem(a_report(**{key: ""})).startswith(f"{key}: is empty")


@pytest.mark.parametrize("good", ["a", "x" * 256, "R 1 #2", "заявка-1", "日本", "no\u00a0break"])
def test_an_id_may_be_any_text(good):
    assert message(a_report(client_order_id=good)).content.client_order_id == good


@pytest.mark.parametrize("bad", ["", "x" * 257, "a\nb", "a\x00", "\x7f", "a\x9fb"])
def test_an_id_is_bounded_text_without_control_characters(bad):
    assert problem(a_report(client_order_id=bad)).startswith("client_order_id: ")
    assert problem(an_order(account_id=bad)).startswith("account_id: ")


def test_text_is_cut_and_empty_text_is_none():
    assert message(a_report(text="ж" * 5000)).content.text == "ж" * 4096
    assert message(a_report(text="")).content.text is None


@pytest.mark.parametrize(
    ("written", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("2024-02-29T23:59:59.999999999Z", 1_709_251_199_999_999_999),
        ("2026-03-13T07:00:00.1Z", NS),
        ("2026-03-13T07:00:00.100000+00:00", NS),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
        ("2016-12-31T23:59:60.5Z", 1_483_228_800_500_000_000),
        ("2262-04-11T23:47:15.999999999Z", 9_223_372_035_999_999_999),
    ],
)
def test_a_time_is_read_to_the_nanosecond(written, ns):
    assert message(a_report(ts_event=written)).content.ts_event == ns


@pytest.mark.parametrize(
    "written",
    ["", "Z", "2026-03-13", "2026-03-13T07:00:00", "2026-03-13T07:00Z", "2026-03-13 07:00:00Z",
     "2026-03-13T07:00:00.Z", "2026-03-13T07:00:00.1234567890Z", "2026-03-13T07:00:00+03:00",
     "2026-03-13T07:00:00-00:00", "2026-03-13T07:00:00z", "2026-03-13t07:00:00Z",
     "2026-02-29T07:00:00Z", "2026-13-01T07:00:00Z", "2026-00-01T07:00:00Z",
     "2026-03-00T07:00:00Z", "2026-03-13T24:00:00Z", "2026-03-13T07:60:00Z",
     "2026-03-13T07:00:60Z", "2026-03-13T07:00:61Z", "0001-01-01T00:00:00Z",
     "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "2026-03-13T07:00:00.1ZZ",
     "2026-3-13T07:00:00.10Z", "２026-03-13T07:00:00Z", "2026-03-13T07:00:00.１Z",
     "2026-03-13T07:00:00.+1Z", "+026-03-13T07:00:00Z", "2026-03-13T07:00:00Z" * 1000],
)  # fmt: skip
def test_what_is_no_time_in_utc_is_refused(written):
    assert problem(a_report(ts_event=written)).startswith("ts_event: ")


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2262, 4, 10)))
def test_times_are_those_of_the_calendar(moment):
    elapsed = moment - datetime(1970, 1, 1)
    ns = (elapsed.days * 86_400 + elapsed.seconds) * 10**9 + elapsed.microseconds * 1000

    assert instant_of(moment.isoformat() + "Z") == ns


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_time_or_refused(text):
    try:
        assert isinstance(instant_of(text), int)
    except BadValue as bad:
        assert bad.problem  # noqa: PT017 (which of the two it is does not matter)


@pytest.mark.parametrize(
    "form",
    [
        '{"kind":"mark","px":"%s","instrument_id":"I","px":"2"}',
        '{"kind":"mark","px":"%s","instrument_id":"I","p\\u0078":"2"}',
        '{"kind":"mark","px":"%s","instrument_id":"I", "px" : null}',
    ],
)
@pytest.mark.parametrize("first", ["1", "2", "", "\\u0031", '\\"'])
def test_a_repeated_key_is_refused(form, first):
    """Every JSON reader believes another of the two."""
    assert problem(form % first) == "px: is given twice"


def test_a_repeated_kind_is_refused():
    assert problem('{"kind": "mark", "kind": "report", "client_order_id": "R"}').startswith("kind:")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "truncated"),
        ('{"kind": "report", "client_order_id": "R-1', "truncated"),
        ('{"kind": "report", "client_order_id": "R-1"', "truncated"),
        ('{"kind": "report", "client_order_id"', "truncated"),
        ('{"kind": "report",', "truncated"),
        ("[]", "not an object: found an array"),
        ('"kind"', "not an object: found 'kind'"),
        ("7", "not an object: found the number 7"),
        ("null", "not an object: found null"),
        ("nonsense", "not JSON"),
        ('{"kind": "mark", "px": "1", "instrument_id": "I",}', "not JSON"),
        ('{"kind": "mark"} {"kind": "mark"}', "not JSON"),
        ("{'kind': 'mark'}", "not JSON"),
        (b'{"kind": "mark", "instrument_id": "\xff"}', "not UTF-8: byte 36 of the line"),
        (b'{"kind": "mark", "instrument_id": "\xed\xa0\x80"}', "not UTF-8"),
        (b"\xff\xfe{\x00", "not UTF-8: byte 1 of the line"),
        ('{"kind": "mark", "instrument_id": "\\ud800"}', "surrogate"),
        ('{"kind": "mark", "instrument_id": "\\udc00\\ud800"}', "surrogate"),
        ('{"kind": "mark", "instrument_id": "a\tb"}', "not JSON"),
        ('{"kind": "mark", "px": ' + "[" * 100_000 + "}", "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ('{"kind": "mark", "px": ' + '{"a":' * 100_000 + "1", "nested too deeply"),
        ('{"client_order_id": "R"}', "kind: missing, expected one of instrument, order"),
        ('{"kind": null}', "kind: missing"),
        ('{"kind": "Report"}', "kind: found 'Report', expected one of"),
        ('{"kind": ["report"]}', "kind: found an array"),
        ('{"kind": true}', "kind: found true"),
        ("{}", "kind: missing"),
    ],
    ids=range(28),
)  # fmt: skip
def test_a_line_that_is_no_message_is_set_aside_with_its_reason(line, reason):
    assert reason in problem(line)


def test_the_import_goes_on_after_what_is_set_aside():
    bad_side = a_report(side="buy")
    lines = [a_report(), "{", "", "   \t\r", b"\xff", bad_side, {"kind": "?"}, a_report()]

    got = [(one.line, one.kind, one.problem is None) for one in messages(*lines)]

    assert got == [
        (1, "report", True),
        (2, "unreadable", False),
        (5, "unreadable", False),
        (6, "report", False),
        (7, "unreadable", False),
        (8, "report", True),
    ]


def test_a_message_keeps_its_bytes_and_its_place():
    first, second = json.dumps(a_report()).encode() + b"\r", b'{"kind":'

    got = messages(first, second)

    assert [(one.raw, one.start) for one in got] == [(first, 0), (second, len(first) + 1)]
    assert got[0].problem is None  # a carriage return is white space


def test_a_byte_order_mark_is_no_part_of_the_first_message():
    marked = b"\xef\xbb\xbf" + json.dumps(a_report()).encode()

    first, second = messages(marked, marked)

    assert first.problem is None
    assert first.raw == marked
    assert second.problem is not None


def test_a_line_too_long_to_hold_is_set_aside_by_its_digest():
    data = (
        b'{"kind": "report", "text": "'
        + b"x" * (17 << 20)
        + b'"}\n'
        + json.dumps(a_report()).encode()
    )

    long, after = read_jsonl(io.BytesIO(data))

    assert long.kind == "unreadable"
    assert long.content is None
    assert long.raw == data[: 64 << 10]
    assert long.raw_length == data.index(b"\n")
    assert len(long.raw_sha256) == 32
    assert str(long.raw_length) in long.problem
    assert (after.line, after.problem) == (2, None)


def test_a_long_line_that_cannot_be_read_is_refused_without_building_it():
    line = b'{"kind": "mark", "px": [' + b"[]," * 700_000 + b"[]]}"

    assert len(line) > 2 << 20
    assert "cannot be read" in problem(line)


KEYS = sorted({key for row, _ in EVERY_KEY for key in row})
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(sorted({v for row, _ in EVERY_KEY for v in row.values() if v != ""}, key=str))
    | st.lists(st.none(), max_size=1)
)


def assert_accounted_for(one):
    assert isinstance(one.raw, bytes)
    assert (one.content is None) == (one.problem is not None)
    if one.content is not None:
        assert one.kind in KINDS
        for attribute in one.content.__attrs_attrs__:
            value = getattr(one.content, attribute.name)
            if isinstance(value, str):
                value.encode()
            if isinstance(value, Decimal):
                assert value.is_finite()


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_set_aside(data):
    for one in read_jsonl(io.BytesIO(data)):
        assert_accounted_for(one)


@settings(deadline=None)
@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(KEYS), VALUES), st.booleans())
def test_any_object_is_read_or_set_aside(kind, row, ascii_only):
    line = json.dumps({"kind": kind} | row, ensure_ascii=ascii_only).encode(errors="surrogatepass")

    (one,) = read_jsonl(io.BytesIO(line))

    assert_accounted_for(one)
    assert one.line == 1


@settings(deadline=None)
@given(st.sampled_from(EVERY_KEY), st.data())
def test_any_damage_to_a_message_is_read_or_set_aside(case, data):
    line = bytearray(json.dumps(case[0]).encode())
    at = data.draw(st.integers(0, len(line) - 1))
    if data.draw(st.booleans()):
        line[at] = data.draw(st.integers(0, 255))
    else:
        del line[at : at + data.draw(st.integers(1, 10))]

    for one in read_jsonl(io.BytesIO(bytes(line))):
        assert_accounted_for(one)


THREE_KEYS = st.sampled_from(["px", "instrument_id", "ts_event"])


@settings(deadline=None)
@given(st.lists(st.tuples(THREE_KEYS, st.text(max_size=4)), min_size=1, max_size=5), st.booleans())
def test_a_repeated_key_is_found_whatever_the_values_are(pairs, ascii_only):
    body = ",".join(f'"{key}":{json.dumps(value, ensure_ascii=ascii_only)}' for key, value in pairs)

    (one,) = messages('{"kind":"mark",' + body + "}")

    is_repeated = len({key for key, _ in pairs}) < len(pairs)
    assert (one.problem or "").endswith("given twice") == is_repeated
