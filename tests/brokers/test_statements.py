"""What a broker mailed is read wholly or not at all, and every number as it was written."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import fields
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fillbook.brokers.jsonlines_out import to_jsonl
from fillbook.brokers.live import NotSent
from fillbook.brokers.statements import (
    MAX_BYTES,
    StatementBroker,
    mappings,
    read_statement,
    reading,
)
from fillbook.brokers.statements.mapping import StatementMapping
from fillbook.core.reports import PositionReport
from fillbook.errors import BadInput

PAGE = Path(__file__).resolve().parents[2] / "docs/statements.md"
NS = 1_000_000_000


@pytest.fixture
def saved(tmp_path):
    """Return a function that saves text or bytes and returns the path."""

    def save(content, name="statement"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return save


def held(statement):
    """Return what is held, by account and instrument."""
    return {
        (each.content.account_id, each.content.instrument_id): str(each.content.position_qty)
        for each in statement.messages
    }


def own(form="csv", **keys):
    """Return the TOML of a small mapping."""
    told = {"form": form, "instrument_id": "s", "position_qty": "q"} | keys
    lines = [f"{key} = {_toml(value)}" for key, value in told.items() if value is not None]
    return "\n".join(lines)


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


# ---- our own layout


def test_our_own_json_is_read_whatever_more_it_says(saved):
    """`fillbook positions --json` has keys that are nobody's business here."""
    text = (
        '[{"account_id": "A", "instrument_id": "SBER", "position_qty": "-10.50", "avg_px": "275.5",'
        ' "commissions": {"RUB": "1"}, "trade_count": 3},\n'
        '{"account_id": "A", "instrument_id": "GAZP", "position_qty": "0", "avg_px": null}]'
    )

    statement = read_statement(saved(text))

    sber, gazp = statement.messages
    assert (sber.content.position_qty, sber.content.avg_px) == (Decimal("-10.5"), Decimal("275.5"))
    assert (gazp.content.position_qty, gazp.content.avg_px) == (Decimal(0), None)
    assert sber.content.account_id == "A"
    assert (sber.line, gazp.line, sber.kind) == (1, 2, "position")
    assert sber.raw == text[1 : text.index("\n") - 1].encode()
    assert gazp.raw == text[text.index("\n") + 1 : -1].encode()
    assert (statement.raw, statement.mapping) == (text.encode(), "fillbook")


def test_json_lines_are_read_and_numbered_by_line(saved):
    """The paper broker answers so."""
    line = '{"kind":"position","instrument_id":"SBER","position_qty":"7",'
    text = (
        f'\n{line}"ts_event":"2026-03-13T07:00:00Z"}}\n{{"instrument_id":"X","position_qty":1}}\n'
    )

    statement = read_statement(saved(text))

    assert held(statement) == {("default", "SBER"): "7", ("default", "X"): "1"}
    assert [each.line for each in statement.messages] == [2, 3]
    assert statement.messages[0].content.ts_event == 1773385200 * NS
    assert statement.ts_event == 1773385200 * NS


def test_our_own_reports_come_back_as_they_went(saved):
    """What is written as a line of JSON and what is read from it are one report."""
    report = PositionReport(
        account_id="A", instrument_id="é #1", position_qty=Decimal("-0.1"), avg_px=Decimal("7.25"),
        ts_event=1773385200 * NS,
    )  # fmt: skip
    [message] = read_statement(saved(to_jsonl(report))).messages
    assert message.content == report


def test_positions_may_be_part_of_a_larger_answer(saved):
    """The paper server's `GET /truth` has the orders as well."""
    text = '{"orders": [], "positions": [{"instrument_id": "SBER", "position_qty": "7"}]}'
    assert held(read_statement(saved(text))) == {("default", "SBER"): "7"}


@pytest.mark.parametrize("text", ["[]", " [ ]\n", '{"positions": []}'])
def test_an_account_may_hold_nothing(saved, text):
    """An empty answer is an answer."""
    statement = read_statement(saved(text))
    assert (statement.messages, statement.mapping) == ([], "fillbook")


def test_a_json_number_is_the_text_that_was_written(saved):
    """Through a float 0.1 + 0.2 would be held as 0.30000000000000004."""
    text = '[{"instrument_id":"X","position_qty":0.1234567890123456789,"avg_px":1e2}]'
    [message] = read_statement(saved(text)).messages
    assert str(message.content.position_qty) == "0.1234567890123456789"
    assert message.content.avg_px == 100


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_our_own_csv_with_any_separator(saved, separator, mark, end):
    """A spreadsheet writes the separator of its country and a byte order mark."""
    rows = ["avg_px,instrument_id,more,position_qty", "", ",SBER,x,-5", ",,,", '1.5,"A ""B""",,2']
    text = end.join(row.replace(",", separator) for row in rows) + end

    statement = read_statement(saved(mark + text.encode()))

    assert held(statement) == {("default", "SBER"): "-5", ("default", 'A "B"'): "2"}
    assert [each.line for each in statement.messages] == [3, 5]
    assert statement.messages[0].raw == rows[2].replace(",", separator).encode()
    assert statement.messages[1].content.avg_px == Decimal("1.5")


def test_a_quoted_field_may_have_line_ends(saved):
    """The line's number and its bytes must not shift by it."""
    text = 'note,instrument_id,position_qty\n"a\nb",SBER,5\n,GAZP,6\n'
    first, second = read_statement(saved(text)).messages
    assert (first.line, first.raw) == (2, b'"a\nb",SBER,5')
    assert (second.line, second.raw) == (4, b",GAZP,6")


# ---- whose account


def test_the_one_account_of_a_file_gets_the_ledgers_name(saved):
    """The broker knows it by its number, the ledger by another id."""
    text = "account_id,instrument_id,position_qty\nU1,SBER,5\nU1,GAZP,6\n"
    statement = read_statement(saved(text), account_id="main")
    assert held(statement) == {("main", "SBER"): "5", ("main", "GAZP"): "6"}


@pytest.mark.parametrize("other", ["U2", ""])
def test_two_accounts_are_never_put_into_one(saved, other):
    """The sum of two accounts is held by neither."""
    text = f"account_id,instrument_id,position_qty\nU1,SBER,5\n{other},GAZP,6\n"
    path = saved(text)
    with pytest.raises(BadInput, match="2 accounts"):
        read_statement(path, account_id="main")
    assert ("U1", "SBER") in held(read_statement(path))


# ---- what is refused


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        (b"instrument_id,position_qty\nA,\xff\n", ":2: this is not UTF-8"),
        ('[{"instrument_id": "A", "position_qty": NaN}]', "NaN is not a number of JSON"),
        ('[{"instrument_id": "A", "position_qty": "nan"}]', "'nan' is not a decimal number"),
        ('[{"instrument_id": "A", "position_qty": "1e99"}]', "element 1: position_qty: '1e99'"),
        ('[{"instrument_id": "A", "position_qty": true}]', "'true' is not a decimal number"),
        ('[{"instrument_id": "A", "position_qty": {}}]', "found an object, expected text"),
        ('[{"instrument_id": "A", "position_qty": 1, "position_qty": 2}]', "is given twice"),
        ('[{"instrument_id": "A", "position_qty": 1}, {"position_qty": 1}]',
         "element 2: instrument_id: missing"),
        ('[{"instrument_id": "A", "position_qty": 1}, 7]', "element 2: instrument_id: missing"),
        ('[{"instrument_id": "A", "position_qty": null}]', "element 1: position_qty: missing"),
        ('[{"instrument_id": "\\ud800", "position_qty": 1}]', "half a surrogate pair"),
        ('[{"instrument_id": "A", "position_qty": 1, "ts_event": 5}]', "ts_event: '5' is not a"),
        ('[{"instrument_id": "A", "position_qty": 1}', ":1: this is not JSON"),
        ('{"instrument_id": "A", "position_qty": 1}\n{"instrument_id"', ":2: this is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('[{"instrument_id":"A","position_qty":1},{"instrument_id":"A","position_qty":1}]',
         "'A' is listed before, at element 1"),
        ("instrument_id,position_qty\nA,1\nB,\n", "line 3: position_qty: missing"),
        ("instrument_id,position_qty\nA,1,5\n", "line 2: it has 3 columns, its header has 2"),
        ("instrument_id,position_qty\nA\n", "line 2: it has 1 columns, its header has 2"),
        ('instrument_id,position_qty\nA,1\n"B,1\n', "below line 2: unexpected end of data"),
        ("instrument_id,position_qty,position_qty\nA,1,2\n", "position_qty is there 2 times"),
        ("instrument_id,position_qty\nA,\"1,5\"\n", "'1,5' is not a decimal number"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_wholly_is_refused(saved, text, problem):
    """Half a statement would look like positions that are missing."""
    path = saved(text)
    with pytest.raises(BadInput) as refused:
        read_statement(path)
    assert problem in str(refused.value)
    assert str(refused.value).startswith(path)
    assert refused.value.remedy


@pytest.mark.parametrize("path", ["no/such/file", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_named(path):
    """One sentence, never a traceback."""
    with pytest.raises(BadInput, match="name a file that can be read"):
        read_statement(path)


def test_a_file_that_is_too_large_is_not_read(saved, monkeypatch):
    """It would be held in memory."""
    assert MAX_BYTES == 64 << 20
    monkeypatch.setattr(reading, "MAX_BYTES", 2)
    assert read_statement(saved("[]")).messages == []
    with pytest.raises(BadInput, match="more than"):
        read_statement(saved("[] "))


# ---- which mapping


def test_no_mapping_and_several_are_named(saved, monkeypatch):
    """A guess would turn contracts into coins."""
    path = saved('[{"symbol": "A", "amount": 1}]')
    with pytest.raises(BadInput, match=r"has the keys 'symbol, amount'.*--mapping.*binance-futu"):
        read_statement(path)
    with pytest.raises(BadInput, match=r"begins with 'Symbol, Amount'.*--mapping.*schwab"):
        read_statement(saved("Symbol,Amount\nA,1\n"))

    twins = [each for each in reading.all_mappings() if each.name == "binance-futures"] * 2
    monkeypatch.setattr(reading, "all_mappings", lambda: twins)
    both = saved('[{"symbol":"A","positionAmt":"1","positionSide":"BOTH"}]')
    with pytest.raises(BadInput, match="it may be binance-futures, binance-futures; say which"):
        read_statement(both)


def test_a_mapping_that_was_named_and_does_not_fit_says_what_is_missing(saved):
    path = saved('[{"symbol": "A", "positionAmt": "1"}]')
    with pytest.raises(BadInput, match="the first row of the document has no positionSide"):
        read_statement(path, mapping="binance-futures")
    with pytest.raises(BadInput, match="there are no rows at fills"):
        read_statement(path, mapping="coinbase-fills")
    with pytest.raises(BadInput, match="it is JSON"):
        read_statement(path, mapping="schwab")
    with pytest.raises(BadInput, match="no line in the section Transaction History has"):
        read_statement(saved("Symbol,Amount\n"), mapping="ibkr-transactions")


def test_a_mapping_that_does_not_exist_is_named_with_the_nearest(saved):
    with pytest.raises(BadInput, match="did you mean binance-futures"):
        read_statement(saved("[]"), mapping="binance-future")
    with pytest.raises(BadInput, match=r"none\.toml: No such file"):
        read_statement(saved("[]"), mapping="none.toml")


def test_every_mapping_has_a_line_for_people():
    """They are the help of the command."""
    told = dict(mappings())
    assert next(iter(told)) == "fillbook"
    assert len(told) >= 10
    assert all(0 < len(about) <= 90 and "\n" not in about for about in told.values())


def test_the_page_has_every_mapping_and_every_key():
    """A mapping that nobody finds is not used."""
    page = PAGE.read_text("utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", page.partition("\n## ")[0], re.M)
    assert rows == [name for name, _ in mappings()]
    keys = {field.name for field in fields(StatementMapping)} - {"name"}
    assert {key for key in keys if f"`{key}`" not in page} == set()


# ---- a mapping of one's own


def test_the_page_shows_a_mapping_that_works(saved):
    """Binance's account answer has money in it and names coins, the ledger holds pairs."""
    examples = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert len(examples) == 3
    balances, like, csv = (saved(each, f"{number}.toml") for number, each in enumerate(examples))

    answer = (
        '{"updateTime": 1700000000123, "balances": [{"asset":"BTC","free":"1.5","locked":"0.5"},'
        '{"asset":"USDT","free":"900","locked":"0"}]}'
    )
    statement = read_statement(saved(answer), mapping=balances, account_id="main")
    assert held(statement) == {("main", "BTCUSDT"): "2"}
    assert statement.ts_event == 1700000000123 * 10**6
    assert statement.skipped == [(2, "asset is 'USDT'")]

    answer = '[{"symbol":"BTCUSDT","positionAmt":"-2","entryPrice":"1","positionSide":"SHORT"}]'
    assert held(read_statement(saved(answer), mapping=like)) == {("SHORT", "BTC-PERP"): "-2"}

    text = "Depot 4711;;;\nISIN;Stück;Einstand;Konto\nDE0001;1.234,5;9,99 €;K1\nSumme;;;\n"
    statement = read_statement(saved(text), mapping=csv)
    assert held(statement) == {("default", "DE0001"): "1234.5"}
    assert str(statement.messages[0].content.avg_px) == "9.99"
    assert [number for number, _ in statement.skipped] == [1, 4]


def test_a_mapping_of_ones_own_with_the_ledgers_ids(saved):
    """The broker's symbols become the ledger's, its accounts too."""
    mapping = saved(
        'like = "binance-futures"\n'
        'instruments = { BTCUSDT = "BTC-USDT" }\n'
        'account_id = "positionSide"\n'
        'accounts = { BOTH = "default" }\n',
        "mine.toml",
    )
    row = '{"symbol":"%s","positionAmt":"%s","entryPrice":"0.0","positionSide":"%s"}'
    rows = ("BTCUSDT", "1", "LONG"), ("BTCUSDT", "-3", "SHORT"), ("ETHUSDT", "2", "BOTH")
    path = saved("[" + ",".join(row % each for each in rows) + "]")

    statement = read_statement(path, mapping=mapping)

    assert held(statement) == {
        ("LONG", "BTC-USDT"): "1",
        ("SHORT", "BTC-USDT"): "-3",
        ("default", "ETHUSDT"): "2",
    }
    assert statement.messages[0].content.avg_px is None
    assert statement.mapping == mapping


def test_the_legs_of_hedge_mode_add_up(saved):
    """The ledger has one position where the exchange shows two rows; both are its evidence."""
    long = b'{"symbol":"B","positionAmt":"1.5","entryPrice":"10","positionSide":"LONG"}'
    short = b'{"symbol":"B","positionAmt":"-4","entryPrice":"12","positionSide":"SHORT"}'
    [message] = read_statement(saved(b"[" + long + b" , " + short + b"]")).messages
    assert (message.content.position_qty, message.content.avg_px) == (Decimal("-2.5"), None)
    assert message.raw == long + b"\n" + short


def test_ones_own_word_goes_before_that_of_the_mapping_it_is_like(saved):
    """Who never trades in hedge mode wants to hear of a second row."""
    row = '{"symbol":"B","positionAmt":"1","positionSide":"BOTH"}'
    path = saved(f"[{row},{row}]")
    assert held(read_statement(path)) == {("default", "B"): "2"}
    mapping = saved('like = "binance-futures"\nrepeats = "REFUSE"\n', "mine.toml")
    with pytest.raises(BadInput, match="'B' is listed before"):
        read_statement(path, mapping=mapping)


def test_a_sign_that_contradicts_its_side_is_refused(saved):
    text = '[{"symbol":"B","positionAmt":"4","entryPrice":"12","positionSide":"SHORT"}]'
    with pytest.raises(BadInput, match="4 contradicts positionSide 'SHORT'"):
        read_statement(saved(text))


@pytest.mark.parametrize(
    ("keys", "text", "qty"),
    [
        ({"decimal": ",", "thousands": "."}, "-1.234.567,89", "-1234567.89"),
        ({"decimal": ",", "thousands": " "}, "1\u202f234,5", "1234.5"),
        ({"decimal": ",", "thousands": " "}, "1\xa0234,5", "1234.5"),
        ({"decimal": ","}, "0,5", "0.5"),
        ({"thousands": ","}, "500,135", "500135"),
        ({"thousands": "'"}, "1'000.5", "1000.5"),
        ({"units": ["$", "SEK"], "thousands": ","}, "-$1,259.59", "-1259.59"),
        ({"units": ["$", "SEK"], "thousands": ","}, "89,162.28 SEK", "89162.28"),
        ({}, f"-{'1234567' * 5}.678", f"-{'1234567' * 5}.678"),
    ],
)  # fmt: skip
def test_numbers_as_the_mapping_says_they_are_written(saved, keys, text, qty):
    mapping = saved(own(**keys), "m.toml")
    statement = read_statement(saved(f"s;q\nA;{text}\n"), mapping=mapping)
    assert held(statement) == {("default", "A"): qty}


@pytest.mark.parametrize(
    ("keys", "text", "problem"),
    [
        ({"thousands": ","}, "1,5", "not grouped by thousands"),
        ({"thousands": ","}, "1234,500", "not grouped by thousands"),
        ({"thousands": ","}, "1.234,500", "not a decimal number"),
        ({"decimal": ","}, "1.5", "not a decimal number"),
        ({"decimal": ",", "thousands": "."}, "1.234.56", "not grouped by thousands"),
        ({"units": "$"}, "€5", "not a decimal number"),
        ({}, "1 000", "not a decimal number"),
    ],
)
def test_a_number_that_may_mean_two_things_is_refused(saved, keys, text, problem):
    """1,5 is one and a half in one country and a slip of the pen in another."""
    mapping = saved(own(**keys), "m.toml")
    with pytest.raises(BadInput, match=f"line 2: q: .*{problem}"):
        read_statement(saved(f"s;q\nA;{text}\n"), mapping=mapping)


def test_a_long_quantity_keeps_its_digits_when_its_side_turns_it(saved):
    """Python's unary minus rounds at 28 digits."""
    digits = "12345678901234567890123456789012345678"
    mapping = saved(own(side="w", takes="S", adds="L"), "m.toml")
    statement = read_statement(saved(f"s;q;w\nA;{digits};S\n"), mapping=mapping)
    assert held(statement) == {("default", "A"): f"-{digits}"}


def test_rows_above_the_header_and_rows_of_cash_are_named(saved):
    """Who reads the report sees that they were looked at."""
    mapping = saved(own(pass_over={"s": ["Cash*", "Total"]}, avg_px="p", units="$"), "m.toml")
    text = "Positions of 13 March\n\ns,q,p\nA,5,$1.5\nCash & more,,$7\nTOTAL\n"

    statement = read_statement(saved(text), mapping=mapping)

    assert held(statement) == {("default", "A"): "5"}
    assert statement.messages[0].content.avg_px == Decimal("1.5")
    assert statement.skipped == [
        (1, "stands above the header"),
        (5, "s is 'Cash & more'"),
        (6, "s is 'TOTAL'"),
    ]


def test_a_kind_of_trade_that_is_not_known_is_refused_where_it_has_a_quantity(saved):
    """It may be a purchase by another name; without a quantity it moves nothing."""
    keys = {"position_qty": None, "last_qty": "q", "side": "w", "adds": "Buy", "takes": "Sell"}
    mapping = saved(own(**keys), "m.toml")
    text = "s,w,q\nA,Buy,5\nA,Fee,\nA,Sell,7\n"

    statement = read_statement(saved(text), mapping=mapping)

    assert held(statement) == {("default", "A"): "-2"}
    assert statement.messages[0].raw == b"A,Buy,5\nA,Sell,7"
    assert statement.skipped == [(3, "w is 'Fee', without a quantity")]
    with pytest.raises(BadInput, match="line 5: w: found 'Gift', expected one of Buy, Sell"):
        read_statement(saved(text + "A,Gift,1\n"), mapping=mapping)
    with pytest.raises(BadInput, match="line 5: q: -1 is negative"):
        read_statement(saved(text + "A,Sell,-1\n"), mapping=mapping)
    with pytest.raises(BadInput, match="line 5: q: missing"):
        read_statement(saved(text + "A,Sell,\n"), mapping=mapping)


def test_one_page_of_several_is_refused(saved):
    """The trades of the other pages would be missing from the sum."""
    fill = (
        '{"product_id":"B","size":"1","side":"%s","trade_type":"%s","size_in_quote":%s,'
        '"trade_time":"2024-01-15T10:30:00Z"}'
    )
    answer = '{"fills": [' + fill + '], "cursor": "%s"}'
    assert held(read_statement(saved(answer % ("SELL", "FILL", "false", "")))) == {
        ("default", "B"): "-1"
    }
    for told, problem in (
        (("SELL", "FILL", "false", "x"), "cursor: it is one page of several"),
        (("SELL", "FILL", "true", ""), "size_in_quote: found 'true', expected false"),
        (("SELL", "CORRECTION", "false", ""), "trade_type: found 'CORRECTION'"),
    ):
        with pytest.raises(BadInput, match=problem):
            read_statement(saved(answer % told))


def test_evidence_that_is_too_long_is_kept_by_its_hash(saved):
    """A year of trades is one position; the whole file is in the statement anyway."""
    keys = {"position_qty": None, "last_qty": "q"}
    text = "s,q\n" + "A,1\n" * 30_000
    [message] = read_statement(saved(text), mapping=saved(own(**keys), "m.toml")).messages
    assert message.content.position_qty == 30_000
    assert (len(message.raw), message.raw_length) == (65536, 4 * 30_000 - 1)
    assert message.raw_sha256 is not None


@pytest.mark.parametrize(
    ("times", "text", "ns"),
    [
        ("S", "1700000000", 1700000000 * NS),
        ("MS", "1700000000123", 1700000000123 * 10**6),
        ("US", "1700000000123456", 1700000000123456 * 1000),
        ("NS", "1700000000123456789", 1700000000123456789),
        ("S", "1700000000.5", 1700000000 * NS + NS // 2),
        ("RFC3339", "2023-11-14 22:13:20 UTC", 1700000000 * NS),
        ("RFC3339", "2023-11-14T22:13:20+00:00", 1700000000 * NS),
    ],
)
def test_times_in_the_brokers_unit(saved, times, text, ns):
    mapping = saved(own(times=times, ts_event="t"), "m.toml")
    statement = read_statement(saved(f"s,q,t\nA,1,{text}\nB,1,\n"), mapping=mapping)
    assert [each.content.ts_event for each in statement.messages] == [ns, None]
    assert statement.ts_event == ns


@pytest.mark.parametrize("text", ["-1", "99999999999999", "soon", "0.0000000001"])
def test_a_time_that_is_none_is_refused(saved, text):
    mapping = saved(own(times="S", ts_event="t"), "m.toml")
    with pytest.raises(BadInput, match="line 2: t: "):
        read_statement(saved(f"s,q,t\nA,1,{text}\n"), mapping=mapping)


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("form = ", "this is not TOML"),
        (b'form = "\xff"', "this is not TOML"),
        (own(instrment_id="x"), "'instrment_id': is no key of a mapping; did you mean instrument"),
        (own(form="xml"), "form: found 'xml', expected 'json', 'csv'"),
        (own(instrument_id=None), "instrument_id: missing"),
        (own(form=None), "form: missing"),
        (own(instrument_id=5), "instrument_id: found 5, expected text in quotes"),
        (own(position_qty=None), "one of position_qty and last_qty"),
        (own(position_qty=[]), "position_qty: an empty list"),
        (own(last_qty="x"), "one of position_qty and last_qty"),
        (own(adds="x"), "adds: is a word of side, and no side is named"),
        (own(side="x"), "side: needs the words"),
        (own(rows="x"), "rows: is for json only"),
        (own(form="json", section="x"), "section: is for csv only"),
        (own(decimal=",", thousands=","), "thousands: is the same as decimal"),
        (own(is_signed="no"), "is_signed: found 'no', expected true or false"),
        (own(pass_over="x"), "pass_over: found 'x', expected a table"),
        (own(position_qty=None, last_qty="x", avg_px="y"), "avg_px: goes with position_qty"),
        ('like = "nobody"', "like: there is no mapping 'nobody'"),
        ("like = 5", "like: there is no mapping 5"),
        ("#" * (2 << 20), "more than 1048576 bytes"),
    ],
)
def test_a_mapping_that_cannot_be_meant_names_its_file_and_key(saved, toml, problem):
    mapping = saved(toml, "mine.toml")
    with pytest.raises(BadInput) as refused:
        read_statement(saved("[]"), mapping=mapping)
    assert str(refused.value).startswith(f"{mapping}: ")
    assert problem in str(refused.value)


def test_sections_of_one_file_are_told_apart(saved):
    """An activity statement has a table for everything; only one of them holds positions."""
    mapping = saved(
        own(
            section="Open Positions",
            instrument_id="Symbol",
            position_qty="Quantity",
            avg_px="Cost Price",
            pass_over={"DataDiscriminator": "Lot"},
        ),
        "m.toml",
    )
    text = (
        "Trades,Header,Symbol,Quantity\nTrades,Data,SPY,99\n"
        "Open Positions,Header,DataDiscriminator,Symbol,Quantity,Cost Price\n"
        "Open Positions,Data,Summary,SPY,7,400.5\nOpen Positions,Data,Lot,SPY,7,400.5\n"
        "Open Positions,Total,,,7\n"
        "Open Positions,Header,Symbol,DataDiscriminator,Quantity,Cost Price\n"
        "Open Positions,Data,QQQ,Summary,-2,300\n"
    )

    statement = read_statement(saved(text), mapping=mapping)

    assert held(statement) == {("default", "SPY"): "7", ("default", "QQQ"): "-2"}
    assert [number for number, _ in statement.skipped] == [1, 2, 5, 6]
    changed = text.replace("Header,Symbol,DataDiscriminator", "Header,Ticker,DataDiscriminator")
    with pytest.raises(BadInput, match="line 7: the header has not all of"):
        read_statement(saved(changed), mapping=mapping)


# ---- as a broker


def test_a_statement_answers_like_a_broker(saved):
    """What compares positions asks it as it asks any other."""
    statement = read_statement(saved('[{"instrument_id":"A","position_qty":"1"}]'))
    broker = StatementBroker(statement)
    can = broker.capabilities
    others = (can.has_stream, can.has_open_orders, can.has_fills_since, can.can_look_up)
    assert (can.has_positions, any(others)) == (True, False)
    assert list(broker.positions()) == statement.messages
    for ask in (broker.open_orders, broker.instruments):
        with pytest.raises(NotSent):
            ask()


# ---- anything at all


SCRAPS = st.sampled_from(
    ["instrument_id", "position_qty", "symbol", "positionAmt", "positionSide", "BOTH", "Action",
     '"', ",", ";", "\t", "\n", "\r", "{", "}", "[", "]", ":", "1", "-0.5", "null", "true", "NaN",
     "\\ud800", "\ufeff", "\0", "Transaction History", "Header", "Data", "é", " ", "1e400"]
)  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SCRAPS, max_size=40).map("".join).map(str.encode) | st.binary(max_size=60))
def test_whatever_the_file_holds_there_is_an_answer_or_one_sentence(saved, content):
    """Never a traceback."""
    path = saved(content)
    for mapping in (None, "binance-futures", "ibkr-transactions"):
        try:
            statement = read_statement(path, mapping=mapping)
        except BadInput as refused:
            told = str(refused)
        else:
            told = f"{path}: {len(statement.messages)} positions"
            assert statement.raw == content
        assert told.startswith(path)
