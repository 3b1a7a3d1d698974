"""FIX logs: every message is found, verified and said in our words, whatever wrote it."""

import io
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fillbook.brokers.fix import read_fix, sniff
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.reports import CancelReject, OrderReport, PositionReport
from fillbook.core.values import ExecType, OrderStatus, Side

LOGS = Path(__file__).resolve().parents[3] / "shared/data/fix"
SENT, SENT_NS = "20260313-07:00:00.100", 1_773_385_200_100_000_000
WITHOUT_CONTENT = ("status_request", "refusal", "dont_know")


def a_message(msg_type, *fields, begin="FIX.4.4", sep="\x01", length=None, checksum=None):
    """Return one message as bytes; its length and checksum are right where they are not given."""
    header = {"35": msg_type, "49": "VENUE", "56": "ROBOT", "34": "7", "52": SENT}
    told = {tag for tag, _ in fields}
    pairs = [*((tag, value) for tag, value in header.items() if tag not in told), *fields]
    body = "".join(f"{tag}={value}\x01" for tag, value in pairs if value is not None).encode()
    head = b"8=%s\x019=%s\x01" % (begin.encode(), str(length or len(body)).encode())
    total = checksum or f"{sum(head + body) % 256:03}"
    message = head + body + b"10=%s\x01" % total.encode()
    return message.replace(b"\x01", sep.encode())


def fields(**values):
    """Return ``t11="R"`` as ``("11", "R")``."""
    return [(tag[1:], value) for tag, value in values.items()]


def log(*lines, checksum="refuse"):
    """Read *lines*; returns the reader and its messages."""
    reader = read_fix(io.BytesIO(b"\n".join(lines)), checksum)
    return reader, list(reader)


def read(message, **options):
    (one,) = log(message, **options)[1]
    return one


def content(message, **options):
    one = read(message, **options)
    assert one.problem is None
    return one.content


def problem(message, **options):
    one = read(message, **options)
    assert one.content is None
    assert one.problem
    assert "\n" not in one.problem
    return one.problem


def a_report(begin="FIX.4.4", **changes):
    """Return a partial fill as bytes; *changes* by tag, None takes a field out."""
    told = fields(
        t11="R-1", t37="V-1", t17="E-1", t150="F", t39="1", t55="SBER", t54="1", t38="10", t14="4",
        t151="6", t6="101.4", t32="4", t31="101.40", t60="20260313-07:00:01.000000001",
    )  # fmt: skip
    return a_message("8", *(dict(told) | dict(fields(**changes))).items(), begin=begin)


def report(begin="FIX.4.4", **changes):
    one = content(a_report(begin, **changes))
    assert type(one) is OrderReport
    return one


# ---- messages and their fields


def test_a_report_is_read_field_by_field():
    assert report(
        t41="R-0", t1="A", t40="2", t44="101.5", t99="99", t59="1", t126="20260314-00:00:00",
        t12="1.20", t479="RUB", t15="USD", t851="2", t30="XMOS", t100="MOEX", t207="XXXX",
        t103="99", t58="as you wish = fine", t378="3", t43="Y", t97="Y", t19="E-0", t880="T-1",
        t152="1000",
    ) == OrderReport(
        client_order_id="R-1", orig_client_order_id="R-0", venue_order_id="V-1", account_id="A",
        instrument_id="SBER", side=Side.BUY, exec_type=ExecType.TRADE,
        order_status=OrderStatus.PARTIALLY_FILLED, order_qty=Decimal(10),
        cash_order_qty=Decimal(1000), cum_qty=Decimal(4), leaves_qty=Decimal(6),
        avg_px=Decimal("101.4"), last_qty=Decimal(4), last_px=Decimal("101.4"), exec_id="E-1",
        exec_ref_id="E-0", trade_id="T-1", commission=Decimal("1.2"), commission_currency="RUB",
        liquidity="TAKER", order_type="LIMIT", limit_px=Decimal("101.5"), stop_px=Decimal(99),
        time_in_force="GTC", expire_time=1_773_446_400_000_000_000, venue="MOEX",
        last_mkt="XMOS", reason="OTHER", text="as you wish = fine",
        restatement_reason="REPRICING", poss_dup=True, poss_resend=True,
        ts_event=1_773_385_201_000_000_001,
    )  # fmt: skip


def test_an_order_is_read_field_by_field():
    message = a_message("D", *fields(
        t11="R 1 #2", t55="SBER", t54="5", t38="10", t152="500", t40="4", t44="101.5", t99="0.5",
        t59="6", t126=SENT, t1="A", t207="MOEX", t60=SENT,
    ))  # fmt: skip

    assert content(message) == SubmitOrder(
        client_order_id="R 1 #2", instrument_id="SBER", side=Side.SELL_SHORT,
        order_type="STOP_LIMIT", order_qty=Decimal(10), cash_order_qty=Decimal(500),
        account_id="A", limit_px=Decimal("101.5"), stop_px=Decimal("0.5"), time_in_force="GTD",
        expire_time=SENT_NS, venue="MOEX", ts_event=SENT_NS,
    )  # fmt: skip


def test_requests_and_their_refusal_are_read_field_by_field():
    ids = fields(t11="C", t41="R")
    terms = fields(t38="7", t44="-1", t99="0", t60=SENT)
    reject = [*ids, *fields(t37="V", t39="2", t434="1", t102="0", t58="late", t60=SENT)]

    assert content(a_message("F", *ids)) == CancelOrder(
        client_order_id="C", orig_client_order_id="R", ts_event=SENT_NS
    )
    assert content(a_message("G", *ids, *terms)) == ReplaceOrder(
        client_order_id="C", orig_client_order_id="R", order_qty=Decimal(7),
        limit_px=Decimal(-1), stop_px=Decimal(0), ts_event=SENT_NS,
    )  # fmt: skip
    assert content(a_message("9", *reject)) == CancelReject(
        client_order_id="C", orig_client_order_id="R", venue_order_id="V",
        order_status=OrderStatus.FILLED, reason="TOO_LATE_TO_CANCEL", text="late",
        ts_event=SENT_NS,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("msg_type", "kind"),
    [
        ("H", "status_request"),
        ("AF", "status_request"),
        ("3", "refusal"),
        ("j", "refusal"),
        ("Q", "dont_know"),
    ],
)
def test_what_tells_nothing_of_an_order_by_itself_is_kept_without_content(msg_type, kind):
    message = a_message(msg_type, *fields(t45="7", t11="R"))

    one = read(message)

    assert (one.kind, one.content, one.problem, one.raw) == (kind, None, None, message)


@pytest.mark.parametrize(
    ("quantities", "held"),
    [
        ({"t704": "5"}, 5),
        ({"t705": "5"}, -5),
        ({"t704": "5", "t705": "7.5"}, Decimal("-2.5")),
        ({"t704": "0"}, 0),
    ],
)
def test_a_position_is_long_less_short(quantities, held):
    told = fields(t1="A", t55="SBER", t728="0", t702="1", t703="TOT", t706="0", t730="99")

    one = content(a_message("AP", *told, *fields(**quantities)))

    assert one == PositionReport(
        instrument_id="SBER", position_qty=Decimal(held), account_id="A", ts_event=SENT_NS
    )
    assert one.avg_px is None  # SettlPrice is not what it cost


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"t704": None}, "704"),
        ({"t702": "2"}, "702"),
        ({"t728": "2"}, "728"),
        ({"t706": "2"}, "706"),
        ({"t704": "-1"}, "704"),
        ({"t55": None}, "55"),
    ],
)
def test_a_position_that_cannot_be_told_is_set_aside(changes, tag):
    told = dict(fields(t55="SBER", t704="5")) | dict(fields(**changes))

    one = read(a_message("AP", *told.items()))

    assert one.kind == "position"
    assert f"({tag}" in one.problem or f"or {tag})" in one.problem


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        (a_message("D", *fields(t55="S", t54="1", t38="1", t40="1")), "client_order_id (11)"),
        (a_message("D", *fields(t11="R", t54="1", t38="1", t40="1")), "instrument_id (55)"),
        (a_message("D", *fields(t11="R", t55="S", t38="1", t40="1")), "side (54)"),
        (a_message("D", *fields(t11="R", t55="S", t54="1", t38="1")), "order_type (40)"),
        (a_message("D", *fields(t11="R", t55="S", t54="1", t40="1")), "order_qty (38) or"),
        (a_message("D", *fields(t11="R", t55="S", t54="1", t40="1", t38="0")), "order_qty (38) or"),
        (a_message("D", *fields(t11="", t55="S", t54="1", t38="1", t40="1")), "client_order_id"),
        (a_message("F", *fields(t11="C")), "orig_client_order_id (41)"),
        (a_message("F", *fields(t41="R")), "client_order_id (11)"),
        (a_message("G", *fields(t11="C", t38="5")), "orig_client_order_id (41)"),
        (a_message("9", *fields(t41="R", t37="V")), "client_order_id (11)"),
        (a_report(t11=None, t37=None), "client_order_id (11) or venue_order_id (37)"),
        (a_report(t11=None, t37="NONE"), "client_order_id (11) or venue_order_id (37)"),
    ],
)
def test_a_missing_field_is_named(message, missing):
    assert problem(message).startswith(missing)
    assert problem(message).endswith(("missing", "missing or 0"))


# ---- what a report tells, by 20, 150 and 39


@pytest.mark.parametrize(
    ("code", "exec_type"),
    [
        ("0", "NEW"), ("1", "TRADE"), ("2", "TRADE"), ("3", "DONE_FOR_DAY"), ("4", "CANCELED"),
        ("5", "REPLACED"), ("6", "PENDING_CANCEL"), ("7", "STOPPED"), ("8", "REJECTED"),
        ("9", "SUSPENDED"), ("A", "PENDING_NEW"), ("B", "CALCULATED"), ("C", "EXPIRED"),
        ("D", "RESTATED"), ("E", "PENDING_REPLACE"), ("F", "TRADE"), ("G", "TRADE_CORRECT"),
        ("H", "TRADE_CANCEL"), ("I", "ORDER_STATUS"), ("L", "TRIGGERED"),
    ],
)  # fmt: skip
def test_exec_type_is_told_by_150(code, exec_type):
    assert report(t150=code, t39="0").exec_type == ExecType(exec_type)
    assert report(t150=code, t39="0", t20="0").exec_type == ExecType(exec_type)


@pytest.mark.parametrize(
    ("code", "exec_type"),
    [("1", "TRADE_CANCEL"), ("2", "TRADE_CORRECT"), ("3", "ORDER_STATUS")],
)
@pytest.mark.parametrize("beside", [None, "0", "1", "2", "F", "Z"])
@pytest.mark.parametrize("begin", ["FIX.4.2", "FIX.4.4"])
def test_exec_trans_type_has_the_word_whatever_150_says(code, exec_type, beside, begin):
    """A 4.4 header over a 4.2 body is what real engines write."""
    assert report(begin, t20=code, t150=beside).exec_type == ExecType(exec_type)


@pytest.mark.parametrize(
    ("status", "last_qty", "exec_type"),
    [
        ("0", "0", "NEW"), ("1", "4", "TRADE"), ("2", "4", "TRADE"), ("1", None, "TRADE"),
        ("3", "0", "DONE_FOR_DAY"), ("4", "0", "CANCELED"), ("4", "4", "CANCELED"),
        ("5", "0", "REPLACED"), ("6", "0", "PENDING_CANCEL"), ("6", "4", "TRADE"),
        ("7", None, "STOPPED"), ("8", "0", "REJECTED"), ("9", None, "SUSPENDED"),
        ("A", "0", "PENDING_NEW"), ("B", None, "CALCULATED"), ("C", None, "EXPIRED"),
        ("E", None, "PENDING_REPLACE"), ("0", "4", "TRADE"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("trans_type", [None, "0"])
def test_without_150_the_status_tells_what_happened(status, last_qty, exec_type, trans_type):
    """FIX 4.0 has no ExecType; a quantity is a fill even while a cancel is pending."""
    told = report("FIX.4.0", t150=None, t20=trans_type, t39=status, t32=last_qty)

    assert told.exec_type == ExecType(exec_type)


def test_without_150_20_and_39_a_report_is_a_snapshot():
    assert report(t150=None, t39=None, t32=None).exec_type is None


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("0", "NEW"), ("1", "PARTIALLY_FILLED"), ("2", "FILLED"), ("3", "DONE_FOR_DAY"),
        ("4", "CANCELED"), ("6", "PENDING_CANCEL"), ("7", "STOPPED"), ("8", "REJECTED"),
        ("9", "SUSPENDED"), ("A", "PENDING_NEW"), ("B", "CALCULATED"), ("C", "EXPIRED"),
        ("E", "PENDING_REPLACE"),
    ],
)  # fmt: skip
def test_order_status_is_told_by_39(code, status):
    assert report(t39=code).order_status == OrderStatus(status)


def test_replaced_is_no_status_but_a_type():
    """39=5 of FIX 4.2 does not say what the replaced order is now."""
    told = report("FIX.4.2", t39="5", t150="5", t20="0")

    assert (told.order_status, told.exec_type) == (None, ExecType.REPLACED)
    assert content(a_message("9", *fields(t11="C", t39="5"))).order_status is None


@pytest.mark.parametrize(("exec_type", "status"), [("E", "6"), ("6", "E"), ("E", "E")])
def test_pending_replace_is_told_by_either_field(exec_type, status):
    """FIX 4.1 has one code, 6, for a pending cancel and a pending replace."""
    told = report(t150=exec_type, t39=status, t32=None, t31=None)

    assert told.order_status is OrderStatus.PENDING_REPLACE
    assert told.exec_type is ExecType.PENDING_REPLACE


def test_unknown_codes_are_refused_but_a_fill_is_never_lost_to_a_status():
    assert problem(a_report(t150="J")).startswith("exec_type (150): 'J'")
    assert problem(a_report(t150="0", t39="D")).startswith("order_status (39): 'D'")
    fill = report(t150="F", t39="D")
    assert (fill.order_status, fill.last_qty) == (None, 4)


# ---- what says nothing


@pytest.mark.parametrize("nothing", ["NONE", "none", "None", ""])
def test_none_is_no_id(nothing):
    told = report(t37=nothing, t41=nothing)

    assert (told.venue_order_id, told.orig_client_order_id) == (None, None)
    assert report(t11=nothing).client_order_id is None
    reject = content(a_message("9", *fields(t11="C", t41=nothing, t37=nothing)))
    assert (reject.venue_order_id, reject.orig_client_order_id) == (None, None)


def test_an_original_id_that_repeats_the_id_names_nothing():
    assert report(t11="R-1", t41="R-1").orig_client_order_id is None
    assert report(t11="R-2", t41="R-1").orig_client_order_id == "R-1"


@pytest.mark.parametrize("zero", ["0", "0.000000", "-0"])
def test_zeros_that_say_nothing(zero):
    assert report(t6=zero, t14="4").avg_px is None
    assert report(t38=zero.lstrip("-")).order_qty is None
    idle = report(t32=zero.lstrip("-"), t31=zero)
    assert (idle.last_qty, idle.last_px) == (0, None)
    assert report(t32=None, t31=zero).last_px is None
    free = report(t32="4", t31=zero)
    assert (free.last_qty, free.last_px) == (4, 0)  # a price may be 0
    market = report(t40="1", t44=zero, t99=zero)
    assert (market.limit_px, market.stop_px) == (None, None)
    assert report(t40="2", t44=zero).limit_px == 0
    assert report(t40="3", t99=zero).stop_px == 0


def test_a_poll_has_no_execution():
    assert report("FIX.4.2", t20="3", t17="0").exec_id is None
    assert report(t150="I", t17="0").exec_id is None
    assert report(t150="F", t17="0").exec_id == "0"  # an engine that counts from 0
    assert report(t150="I", t17="E-9").exec_id == "E-9"


def test_empty_fields_say_nothing():
    told = report(t44="", t58="", t60="", t1="", t12="", t880="", t100="", t1003="")

    assert (told.limit_px, told.text, told.account_id, told.commission) == (None,) * 4
    assert told.ts_event == SENT_NS


# ---- values


@pytest.mark.parametrize("tag", ["38", "14", "151", "32", "152"])
@pytest.mark.parametrize("wrong", ["-4", "4294967292", "18446744073709551612", "-0.5", "x", "1e21"])
def test_a_quantity_that_is_none_is_refused(tag, wrong):
    """-4 printed unsigned is 4294967292: to believe it is to hold four billion."""
    reason = problem(a_report(**{f"t{tag}": wrong}))

    assert f"({tag}): " in reason
    assert ("-4 printed unsigned" in reason) == (len(wrong) >= 10)


@pytest.mark.parametrize("right", ["4000000000", "4294967296", "4290000000", "4294967292.5"])
def test_a_large_quantity_is_a_quantity(right):
    assert report(t38=right).order_qty == Decimal(right)


@pytest.mark.parametrize("price", ["-37.63", "0.00000001"])
def test_prices_may_be_negative_or_tiny(price):
    told = report(t31=price, t6=price, t44=price)

    assert told.last_px == told.avg_px == told.limit_px == Decimal(price)


@pytest.mark.parametrize(
    ("code", "side"),
    [("1", "BUY"), ("2", "SELL"), ("3", "BUY"), ("4", "SELL"), ("5", "SELL_SHORT"),
     ("6", "SELL_SHORT")],
)  # fmt: skip
def test_sides(code, side):
    assert report(t54=code).side == Side(side)


@pytest.mark.parametrize("code", ["7", "8", "B", "G", "BUY"])
def test_a_side_that_moves_no_position_is_refused(code):
    assert problem(a_report(t54=code)).startswith(f"side (54): '{code}'")


@pytest.mark.parametrize(
    ("tag", "key", "codes"),
    [
        ("40", "order_type", {"1": "MARKET", "2": "LIMIT", "3": "STOP", "4": "STOP_LIMIT",
                              "P": "P"}),
        ("59", "time_in_force", {"0": "DAY", "1": "GTC", "3": "IOC", "4": "FOK", "6": "GTD",
                                 "2": "2", "7": "7"}),
        ("851", "liquidity", {"1": "MAKER", "2": "TAKER", "3": "3"}),
        ("103", "reason", {"0": "BROKER_OPTION", "1": "UNKNOWN_SYMBOL", "2": "EXCHANGE_CLOSED",
                           "3": "EXCEEDS_LIMIT", "4": "TOO_LATE_TO_ENTER", "5": "UNKNOWN_ORDER",
                           "6": "DUPLICATE_ORDER", "7": "DUPLICATE_OF_VERBAL_ORDER",
                           "8": "STALE_ORDER", "99": "OTHER", "13": "13"}),
        ("378", "restatement_reason", {"0": "GT_CORPORATE_ACTION", "1": "GT_RENEWAL",
                                       "2": "VERBAL_CHANGE", "3": "REPRICING",
                                       "4": "BROKER_OPTION", "5": "PARTIAL_DECLINE",
                                       "6": "TRADING_HALT", "7": "SYSTEM_FAILURE",
                                       "8": "MARKET_OPTION", "9": "NOT_BEST", "99": "OTHER",
                                       "10": "10"}),
    ],
)  # fmt: skip
def test_codes_become_words_and_unlisted_ones_stay(tag, key, codes):
    for code, word in codes.items():
        assert getattr(report(**{f"t{tag}": code}), key) == word


def test_codes_of_a_cancel_reject():
    words = {
        "0": "TOO_LATE_TO_CANCEL", "1": "UNKNOWN_ORDER", "2": "BROKER_OPTION",
        "3": "ALREADY_PENDING", "6": "DUPLICATE_CLIENT_ORDER_ID", "99": "OTHER", "18": "18",
    }  # fmt: skip
    for code, word in words.items():
        assert content(a_message("9", *fields(t11="C", t102=code))).reason == word


def test_a_trade_is_named_by_its_match_or_in_5_0_by_its_trade():
    assert report(t880="T", t1003="U").trade_id == "T"
    assert report("FIXT.1.1", t1003="U").trade_id == "U"
    assert report("FIX.5.0SP2", t1003="U").trade_id == "U"
    assert report("FIX.4.4", t1003="U").trade_id is None  # not a field of 4.4


@pytest.mark.parametrize(
    ("told", "commission", "currency"),
    [
        ({"t12": "1.2", "t13": "3", "t479": "RUB", "t15": "USD"}, "1.2", "RUB"),
        ({"t12": "-1.2", "t15": "USD"}, "-1.2", "USD"),
        ({"t12": "0.0025", "t13": "1", "t15": "USD"}, "0.01", "USD"),
        ({"t12": "0.0025", "t13": "1", "t32": "0"}, None, None),
        ({"t12": "0.5", "t13": "2", "t15": "USD"}, None, None),
        ({"t12": "0", "t13": "3", "t15": "USD"}, "0", "USD"),
        ({"t15": "USD"}, None, None),
    ],
)
def test_a_commission_is_an_amount_or_unknown(told, commission, currency):
    got = report(**told)

    assert got.commission == (None if commission is None else Decimal(commission))
    assert got.commission_currency == currency


@pytest.mark.parametrize(
    ("symbol", "security", "instrument"),
    [("SBER", "RU0009", "SBER"), (None, "RU0009", "RU0009"), ("[N/A]", "RU0009", "RU0009"),
     ("", "RU0009", "RU0009"), (None, None, None), ("[N/A]", None, None)],
)  # fmt: skip
def test_an_instrument_is_named_by_symbol_or_security(symbol, security, instrument):
    assert report(t55=symbol, t48=security).instrument_id == instrument


@pytest.mark.parametrize(
    ("written", "ns"),
    [
        ("19700101-00:00:00", 0),
        ("20260313-07:00:00.1", SENT_NS),
        ("20260313-07:00:00.100000000", SENT_NS),
        ("20260313-07:00:00.100000000999", SENT_NS),
        ("20161231-23:59:60", 1_483_228_800_000_000_000),
        ("20161231-23:59:60.25", 1_483_228_800_250_000_000),
    ],
)
def test_times_are_read_to_the_nanosecond(written, ns):
    assert report(t60=written).ts_event == ns
    assert report(t60=None, t52=written).ts_event == ns
    assert report(t126=written).expire_time == ns


@pytest.mark.parametrize(
    "written",
    ["20260313", "20260313-07:00", "20260313-07:00:00.", "20260313-07:00:00Z",
     "20260230-07:00:00", "20261301-07:00:00", "20260313-24:00:00", "20260313-07:00:60",
     "20260313 07:00:00", "2026-03-13T07:00:00", "19691231-23:59:59", "x", "20260313-07:00:00.x",
     "20260313-07:00:00.1234567890123"],
)  # fmt: skip
def test_what_is_no_time_is_refused(written):
    assert problem(a_report(t60=written)).startswith("ts_event (60): ")
    assert problem(a_report(t126=written)).startswith("expire_time (126): ")


def test_without_a_time_of_its_own_a_report_happened_when_it_was_first_sent():
    again = {"t43": "Y", "t122": "19700101-00:00:01", "t52": SENT}

    assert report(t60=None, **again).ts_event == 10**9
    assert report(t60="19700101-00:00:02", **again).ts_event == 2 * 10**9
    assert report(t60=None, t52=SENT).ts_event == SENT_NS


def test_an_end_beyond_the_reach_of_nanoseconds_is_never():
    assert report(t126="99991231-23:59:59").expire_time is None
    assert problem(a_report(t60="99991231-23:59:59")).startswith("ts_event (60): the year 9999")


@pytest.mark.parametrize("tag", ["11", "37", "17", "55", "1", "880"])
def test_ids_are_bounded(tag):
    assert f"({tag}): " in problem(a_report(**{f"t{tag}": "x" * 257}))
    assert f"({tag}): " in problem(a_report(**{f"t{tag}": "a\x02b"}))
    assert read(a_report(**{f"t{tag}": "R 1 #2 ж"})).problem is None


def test_words_of_the_venue_are_kept_in_any_encoding():
    assert report(t58="ж" * 5000).text == "ж" * 4096
    cyrillic = a_report(t58="PLACE").replace(b"PLACE", "отказ".encode("cp1251"))
    body = cyrillic[cyrillic.index(b"35=") : cyrillic.index(b"10=")]
    head = cyrillic[: cyrillic.index(b"35=")]
    message = head + body + b"10=%03d\x01" % (sum(head + body) % 256)
    assert content(message).text == "отказ".encode("cp1251").decode("latin-1")


def test_of_a_repeated_field_the_first_is_meant():
    told = fields(t11="R", t37="V", t39="0", t150="0")
    assert content(a_message("8", *told, ("11", "X"), ("37", "Y"))).client_order_id == "R"
    equals = content(a_message("8", *told, ("58", "a=b"), ("11", "X")))
    assert (equals.client_order_id, equals.text) == ("R", "a=b")


@pytest.mark.parametrize("data", ["a\x0158=FAKE", "a\x0158=FAKE\x0110=000\x01", "\x01", "=", ""])
def test_data_fields_may_hold_separators(data):
    told = fields(t11="R", t37="V", t39="0", t150="0")
    raw_data = [*told, *fields(t95=str(len(data)), t96=data, t58="after")]
    encoded = [("354", str(len(data))), ("355", data), *told, ("58", "after")]

    for message in (a_message("8", *raw_data), a_message("8", *encoded)):
        one = content(message)
        assert (one.client_order_id, one.text) == ("R", "after")


def test_a_wrong_data_length_is_not_believed():
    told = fields(t11="R", t37="V", t39="0", t150="0", t354="99", t355="words", t58="after")

    assert content(a_message("8", *told)).text == "after"


# ---- the wire


@pytest.mark.parametrize("sep", ["\x01", "|", ";", "^A", "<SOH>"])
@pytest.mark.parametrize("begin", ["FIX.4.0", "FIX.4.1", "FIX.4.2", "FIX.4.3", "FIX.4.4",
                                   "FIX.5.0", "FIX.5.0SP1", "FIX.5.0SP2", "FIXT.1.1"])  # fmt: skip
@pytest.mark.parametrize("prefix", [b"", b"2026-03-13 07:00:00,1 INFO in FIX.4.4:A->B: "])
def test_separators_versions_and_prefixes(sep, begin, prefix):
    message = a_message("F", *fields(t11="C", t41="R"), begin=begin, sep=sep)

    one = read(prefix + message)

    assert one.content == CancelOrder(
        client_order_id="C", orig_client_order_id="R", ts_event=SENT_NS
    )
    assert one.raw == message
    assert (one.line, one.start) == (1, 0)


@pytest.mark.parametrize("sep", ["\x01", "|", ";", "^A", "<SOH>"])
@pytest.mark.parametrize("end", [b"", b"\r", b" ", b'"}', b"\x01\x01"])
def test_what_follows_a_message_does_not_matter(sep, end):
    whole = a_message("F", *fields(t11="C", t41="R"), sep=sep)
    bare = whole[: -len(sep)]

    for message in (whole, bare):
        one = read(message + end)
        assert one.problem is None
        assert one.raw in (whole, bare)


@pytest.mark.parametrize("sep", ["\x01", "|", ";", "^A", "<SOH>"])
@pytest.mark.parametrize("between", [b"", b" ", b" INFO out: "])
@pytest.mark.parametrize("trailing", [True, False])
def test_several_messages_on_a_line_each_count(sep, between, trailing):
    one = a_message("F", *fields(t11="C1", t41="R"), sep=sep)
    one = one if trailing else one[: -len(sep)]
    two = a_message("F", *fields(t11="C2", t41="R"), sep="|")

    got = log(one + between + two, b"", one)[1]

    assert [(m.line, m.problem) for m in got] == [(1, None), (1, None), (3, None)]
    assert [m.content.client_order_id for m in got] == ["C1", "C2", "C1"]
    assert [m.start for m in got] == [0, 0, len(one + between + two) + 2]


def test_mixed_separators_do_not_swallow_the_next_message():
    mixed = a_message("F", *fields(t11="C1", t41="R")).replace(b"\x01", b"^A", 3)
    after = a_message("F", *fields(t11="C2", t41="R"))

    got = log(mixed + after + after)[1]

    assert [(m.content.client_order_id, m.raw) for m in got] == [
        ("C1", mixed), ("C2", after), ("C2", after),
    ]  # fmt: skip


@pytest.mark.parametrize("sep", ["|", ";", "^A", "<SOH>"])
def test_a_separator_inside_a_text_is_text(sep):
    """A venue's words may hold the character that the log shows for SOH."""
    words = f"price{sep} out of band{sep}sorry"
    told = fields(t11="R", t37="V", t39="8", t150="8")
    message = a_message("8", *told, ("58", "PLACE"))
    message = message.replace(b"PLACE", words.encode())
    message = rewritten(message).replace(b"\x01", sep.encode())

    assert content(message).text == words


def rewritten(message):
    """Return *message* with a right length and checksum."""
    begin, _, rest = message.partition(b"\x01")
    body = rest[rest.index(b"\x01") + 1 : rest.rindex(b"10=")]
    text = b"%s\x019=%d\x01%s" % (begin, len(body), body)
    return text + b"10=%03d\x01" % (sum(text) % 256)


@pytest.mark.parametrize("quoted", ["8=FIX.4.4|9=5|35=0|10=000|", "8=FIX", "x8=FIX.4.2\x02 10=1"])
def test_a_text_that_quotes_a_message_is_text(quoted):
    one = report(t58=quoted)

    assert one.text == quoted


def test_a_wrong_checksum_is_set_aside_with_both_numbers():
    right = a_report()
    found = right[-4:-1].decode()
    wrong = f"{(int(found) + 1) % 256:03}"

    one = read(right[:-4] + wrong.encode() + b"\x01")

    assert (one.kind, one.content) == ("report", None)
    assert one.problem == f"CheckSum (10): found {wrong}, the bytes sum to {found}"


def test_a_wrong_length_is_set_aside_with_both_numbers():
    body = a_message("F", *fields(t11="C", t41="R"))
    size = body.index(b"10=") - body.index(b"35=")
    for wrong in (1, size - 1, size + 1, 999_999_999):
        one = read(a_message("F", *fields(t11="C", t41="R"), length=wrong))
        assert (one.kind, one.content) == ("cancel", None)
        assert one.problem == f"BodyLength (9): found {wrong}, the body has {size} bytes"


@pytest.mark.parametrize("sep", ["\x01", "|", "^A"])
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"9=%d\x01", b"", "BodyLength (9): missing"),
        (b"9=%d\x01", b"9=x\x01", "BodyLength (9): missing"),
        (b"10=", b"10=9", "CheckSum (10): found 9"),
        (b"10=", b"77=", "truncated: the message ends before CheckSum (10)"),
        (b"35=F\x01", b"35=\x01", "BodyLength (9)"),
    ],
)
def test_a_damaged_frame_is_set_aside(sep, old, new, reason):
    message = a_message("F", *fields(t11="C", t41="R"))
    size = message.index(b"10=") - message.index(b"35=")
    old = old % size if b"%" in old else old
    assert old in message
    damaged = message.replace(old, new).replace(b"\x01", sep.encode())

    assert reason in problem(damaged)


def test_a_checksum_of_fewer_digits_is_wrong():
    for n in range(300):
        message = a_report(t58="x" * (n % 30), t34=str(n))
        if message[-4:-3] == b"0":
            short = message[:-4] + message[-3:]
            assert problem(short).endswith(f"the bytes sum to {message[-4:-1].decode()}")
            return
    raise AssertionError("no checksum under 100")


def test_a_message_without_type_is_set_aside():
    assert problem(rewritten(b"8=FIX.4.4\x019=0\x0111=R\x0110=000\x01")) == (
        "MsgType (35): missing"
    )


def test_a_field_that_is_none_is_set_aside():
    message = rewritten(b"8=FIX.4.4\x019=0\x0135=8\x01junk\x0111=R\x0110=000\x01")

    assert problem(message) == "malformed: 'junk' is not tag=value"


def test_a_huge_message_is_verified_but_not_taken_apart():
    """A list of all securities takes megabytes; an order does not."""
    many = [("455", "x")] * 300_000

    reader, got = log(a_message("y", *many), a_message("8", *many), a_message("y", checksum="000"))

    assert reader.skipped == {"y": 1}
    assert [one.kind for one in got] == ["report", "unreadable"]
    assert "at most 1048576 are taken apart" in got[0].problem


def test_every_cut_of_a_message_is_set_aside():
    """A log ends in the middle of a message whenever the writer was killed."""
    message = a_report()
    whole = len(message) - 1
    for size in range(len(b"8=FIX"), whole):
        one = read(message[:size])
        assert one.content is None
        assert one.problem
        assert one.raw == message[:size]
        if size > message.index(b"49="):
            assert one.kind == "report"
    assert read(message[:whole]).problem is None


def test_a_message_after_a_cut_one_is_read():
    """The next run of the writer goes on where the last one was killed, on the same line."""
    message = a_report()
    for size in range(len(b"8=FIX"), len(message) - 1):
        cut, whole = log(message[:size] + message)[1]
        assert cut.content is None
        assert cut.raw == message[:size]
        assert whole.problem is None


@pytest.mark.parametrize(
    "text", [b"8=FIX", b"8=FIX.4.4", b"8=FIX.4.4 9=5", b"8=FIX\x01", b"8=FIX.4\x01", b"8=FIX.4.4^A",
             b"8=FIX.4.4^Ajunk", b"8=FIX.4.4<SOH><SOH>", b"8=FIX.4.4|", b"8=FIX.4.4||9=1|10=1"],
)  # fmt: skip
def test_a_beginning_without_a_message_is_set_aside(text):
    one = read(b"log: " + text)

    assert (one.kind, one.content, one.raw) == ("unreadable", None, text)
    assert one.problem


def test_lines_without_a_message_are_counted():
    reader, got = log(
        b"junk", b"", b"  \r", b"135=8|148=FIX.4.4 is a headline", a_report(), b"18=FIX"
    )

    assert [one.line for one in got] == [5]
    assert reader.junk_lines == 3


def test_session_messages_are_skipped_and_others_counted():
    types = ["0", "1", "2", "4", "5", "A", "W", "X", "W", "J", "E", "8"]

    reader, got = log(*(a_message(t, *fields(t11="R")) for t in types))

    assert [one.kind for one in got] == ["report"]
    assert reader.session == 6
    assert reader.skipped == {"W": 2, "X": 1, "J": 1, "E": 1}


def test_a_session_message_that_is_damaged_is_set_aside():
    """It may have been a fill before a bit of its type flipped."""
    one = read(a_message("0", checksum="000"))

    assert one.kind == "unreadable"
    assert one.problem.startswith("CheckSum (10): found 000")


def test_warn_believes_and_counts():
    bad_sum = a_message("F", *fields(t11="C1", t41="R"), checksum="256")
    bad_size = a_message("F", *fields(t11="C2", t41="R"), length=9)
    good = a_message("F", *fields(t11="C3", t41="R"))
    cut = good[:-7]
    wrong_value = a_message("F", *fields(t11="x" * 300, t41="R"), checksum="256")

    reader, got = log(bad_sum, bad_size, good, cut, wrong_value, checksum="warn")

    assert [m.content.client_order_id for m in got if m.content] == ["C1", "C2", "C3"]
    assert [m.problem is None for m in got] == [True, True, True, False, False]
    assert (reader.believed, reader.refused) == (3, 0)
    strict, _ = log(bad_sum, bad_size, good, cut, wrong_value)
    assert (strict.believed, strict.refused) == (0, 3)


def test_checksum_mode_is_one_of_two():
    with pytest.raises(TypeError):
        read_fix(io.BytesIO(), "believe")


def test_the_reader_knows_how_much_was_read():
    data = a_report() + b"\n" + a_report() + b"\n" + a_report()
    reader = read_fix(io.BytesIO(data))

    assert len(list(reader)) == 3
    assert reader.lines.consumed == data.rindex(b"\n") + 1


def test_a_line_too_long_to_hold_is_set_aside():
    reader = read_fix(io.BytesIO(b"junk" * (5 << 20) + b"\n" + a_report()))

    long, after = reader

    assert (long.kind, long.raw_length, len(long.raw)) == ("unreadable", 20 << 20, 64 << 10)
    assert after.problem is None


@pytest.mark.parametrize(
    ("beginning", "form"),
    [
        (b'{"kind": "order"}', "jsonl"),
        (b'\xef\xbb\xbf \n {"kind": "report", "text": "8=FIX.4.4"}', "jsonl"),
        (b"{}", "jsonl"),
        (b"8=FIX.4.2\x019=5", "fix"),
        (b"2026 INFO 8=FIX.4.4|9=5", "fix"),
        (b"{INFO} 8=FIX.4.4|9=5", "fix"),
        (b"junk\n\n8=FIXT.1.1|", "fix"),
        (b"", "jsonl"),
        (b"a,b,c\n", "jsonl"),
        (b"\xff\xfe", "jsonl"),
    ],
)
def test_a_format_is_sniffed(beginning, form):
    assert sniff(beginning) == form


# ---- real logs


def real_log(name):
    path = LOGS / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout (../shared/data/fix)")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "messages", "wrong", "session", "kinds", "junk"),
    [
        ("quickfix_logviewer_2004_fix42.log", 819, 702, 390,
         {"order": 156, "cancel": 39, "report": 234}, 78),
        ("sackfix_brbridge_2009_fix44.log", 48, 42, 0, {"report": 48}, 0),
    ],
)  # fmt: skip
def test_every_message_of_a_real_log_is_accounted_for(name, messages, wrong, session, kinds, junk):
    data = real_log(name)
    assert data.count(b"8=FIX.4.") == messages > 0

    strict, got = log(*data.split(b"\n"))

    assert len(got) + strict.session + strict.skipped.total() == messages
    assert sum(one.problem is not None for one in got) == wrong
    assert all(one.problem.startswith(("CheckSum", "BodyLength")) for one in got if one.problem)
    assert strict.junk_lines == junk
    assert {one.line for one in got} == {
        n for n, line in enumerate(data.split(b"\n"), 1) if b"8=FIX" in line
    }

    lenient, got = log(*data.split(b"\n"), checksum="warn")

    assert lenient.believed == wrong
    assert lenient.session == session
    assert Counter(one.kind for one in got) == kinds
    assert [one.problem for one in got if one.problem] == []


def test_a_real_log_is_read_as_its_engine_meant_it():
    """Partially filled with nothing left, then canceled; the fill itself came in between."""
    data = real_log("sackfix_brbridge_2009_fix44.log")

    got = [one.content for one in log(*data.split(b"\n"), checksum="warn")[1]]

    assert len(got) == 48
    fill = got[4]
    assert (fill.exec_type, fill.last_qty, fill.last_px) == (
        ExecType.TRADE, 54_000, Decimal("12275.6296"),
    )  # fmt: skip
    assert (got[2].exec_type, got[2].last_qty, got[2].last_px) == (ExecType.TRADE, 0, None)
    assert {one.order_status for one in got} == {
        OrderStatus.PARTIALLY_FILLED, OrderStatus.CANCELED,
    }  # fmt: skip
    assert {one.instrument_id for one in got} >= {"B00LR01", "0491563"}


# ---- anything at all


def assert_accounted_for(one):
    assert one.raw
    if one.problem is not None:
        assert one.content is None
    else:
        assert (one.content is None) == (one.kind in WITHOUT_CONTENT)
    for attribute in getattr(one.content, "__attrs_attrs__", ()):
        value = getattr(one.content, attribute.name)
        if isinstance(value, str):
            value.encode()
        if isinstance(value, Decimal):
            assert value.is_finite()


TOKENS = st.sampled_from(
    [b"8=FIX", b"8=FIX.4.4", b"8=FIXT.1.1", b"\x01", b"|", b";", b"^A", b"<SOH>", b"9=5", b"9=",
     b"35=8", b"35=", b"11=R", b"10=000", b"10=", b"=", b"\n", b"\r", b" ", b"1", b"95=3", b"96=a",
     a_report(), a_message("F"), a_message("F", sep="|"), a_message("D", sep="^A")]
)  # fmt: skip


@pytest.mark.parametrize("checksum", ["refuse", "warn"])
@settings(deadline=None)
@given(st.binary(max_size=200) | st.lists(TOKENS, max_size=12).map(b"".join))
def test_any_bytes_are_read_or_set_aside(checksum, data):
    reader = read_fix(io.BytesIO(data), checksum)
    for one in reader:
        assert_accounted_for(one)
    if b"8=FIX" not in data:
        assert reader.session == reader.skipped.total() == 0


VALUES = st.text(
    st.characters(exclude_characters="\x01\n", exclude_categories=["Cs"]), max_size=6
) | st.sampled_from(["0", "1", "-1", "NONE", "F", "1e9", SENT, "4294967292"])
TAGS = st.sampled_from(
    [1, 6, 11, 12, 13, 14, 15, 17, 19, 20, 30, 31, 32, 37, 38, 39, 40, 41, 43, 44, 48, 54, 55, 58,
     59, 60, 95, 96, 97, 99, 100, 102, 103, 126, 150, 151, 152, 207, 354, 355, 378, 434, 479, 702,
     704, 705, 706, 728, 851, 880, 1003]
).map(str)  # fmt: skip


@settings(deadline=None)
@given(
    st.sampled_from(["D", "F", "G", "8", "9", "AP", "H", "AF", "3", "j", "Q"]),
    st.lists(st.tuples(TAGS, VALUES), max_size=12),
    st.sampled_from(["FIX.4.0", "FIX.4.2", "FIX.4.4", "FIXT.1.1"]),
)
def test_any_fields_are_read_or_set_aside(msg_type, told, begin):
    one = read(a_message(msg_type, *told, begin=begin))

    assert_accounted_for(one)
    assert one.kind != "unreadable"


@settings(deadline=None)
@given(st.data())
def test_any_damage_to_a_message_is_noticed(data):
    """One changed byte cannot keep both the sum and, elsewhere than in 10=, the digits of it."""
    message = bytearray(a_report())
    at = data.draw(st.integers(0, len(message) - 2))
    new = data.draw(st.integers(0, 255).filter(lambda byte: byte not in (message[at], 10)))
    message[at] = new

    got = log(bytes(message))[1]

    for one in got:
        assert_accounted_for(one)
        assert one.problem
    assert got or at < 5  # its own 8=FIX is gone
