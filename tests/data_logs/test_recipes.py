"""Real answers of exchanges go through the recipe of `docs/recipes` into a ledger.

The files lie beside the checkout and are not part of it.  What the book must say was read from them
by hand; several are variants of one order, so each case is a day of its own.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import field, frozen

from fillbook.core.events import FillInferred, PositionReported
from fillbook.core.exact import plain
from fillbook.core.views import order_json
from fillbook.forensics.replay import orders_upto
from fillbook.wiring import import_file, open_reader, recover

CHECKOUT = Path(__file__).resolve().parents[2]
RECIPE = CHECKOUT / "docs/recipes/exchange_json.py"
ANSWERS = CHECKOUT.parent / "shared/data/nautilus"

SPOT_STREAM = "binance/spot/user_data_json/execution_report_"
SPOT_REST = "binance/spot/http_json/"
FUTURES_STREAM = "binance/futures/user_data_json/"
FUTURES_REST = "binance/futures/http_json/"


def spot(instrument_id, base, quote):
    return {
        "kind": "instrument", "instrument_id": instrument_id, "contract": "SPOT",
        "base_currency": base, "quote_currency": quote,
    }  # fmt: skip


@frozen
class Day:
    """One case.

    Attributes:
        answers: Mapping and file, in the order in which they are named.
        lines: How many lines they make.
        orders: By the order's own id: status, quantity, filled, average, fees.
        positions: By account and instrument: quantity, average, profit net of fees.
        reported: What the broker says is held: quantity and average.
        known: How many lines tell nothing new.
        inferred: How many fills nobody told.
    """

    answers: list
    lines: int
    orders: dict
    positions: dict = field(factory=dict)
    instruments: list = field(factory=list)
    reported: list = field(factory=list)
    known: int = 0
    inferred: int = 0


MY_ETH = "x-TD67BGP9-T0000000000000"
ETHUSDT = spot("ETHUSDT", "ETH", "USDT")
DAYS = {
    "a spot order is filled, its fee in what was bought": Day(
        [("binance-spot-report", f"{SPOT_STREAM}{name}.json") for name in ("new", "trade")],
        lines=2,
        orders={MY_ETH: ("FILLED", "1", "1", "2500", {"ETH": "0.001"})},
        positions={("default", "ETHUSDT"): ("0.999", "2500", "0")},
        instruments=[ETHUSDT],
    ),
    "a spot order is canceled, a stop waits, an answer is wrapped": Day(
        [
            ("binance-spot-report", f"{SPOT_STREAM}{name}.json")
            for name in ("canceled", "new", "stop_loss", "wrapped")
        ],
        lines=4,
        orders={
            "mUvoqJxFIILMdfAW5iGSOW": ("NEW", "1", "0", None, {}),
            MY_ETH: ("CANCELED", "1", "0", None, {}),
            "x-TD67BGP9-T0000000000001": ("NEW", "1", "0", None, {}),
        },
    ),
    "a spot order expires": Day(
        [("binance-spot-report", f"{SPOT_STREAM}{name}.json") for name in ("new", "expired")],
        lines=2,
        orders={MY_ETH: ("EXPIRED", "1", "0", None, {})},
    ),
    "three polls show one order": Day(
        [
            ("binance-spot-order", f"{SPOT_REST}{name}_response.json")
            for name in ("order", "all_orders", "open_orders")
        ],
        lines=3,
        orders={"myOrder1": ("NEW", "1", "0", None, {})},
        known=2,
    ),
    "one cancel ends four orders, another one": Day(
        [
            ("binance-spot-order", f"{SPOT_REST}cancel_open_orders_response.json"),
            ("binance-spot-order", f"{SPOT_REST}cancel_order_response.json"),
        ],
        lines=5,
        orders={
            "myOrder1": ("CANCELED", "1", "0", None, {}),
            "E6APeyTJvkMvLMYMqu1KQ4": ("CANCELED", "0.178622", "0", None, {}),
            "A3EF2HCwxgZPFMrfwbgrhv": ("CANCELED", "0.178622", "0", None, {}),
            "CwOOIPHSmYywx6jZX77TdL": ("CANCELED", "0.690354", "0", None, {}),
            "461cPg51vQjV3zIMOXNz39": ("CANCELED", "0.690354", "0", None, {}),
        },
    ),
    "a full answer brings its five fills": Day(  # 4000 + 5 × 3999 + 2 × 3998 + 3997 + 3995 = 39983
        [("binance-spot-order", f"{SPOT_REST}new_order_full_response.json")],
        lines=6,
        orders={"6gCrw2kRUAF9CvJDGP16IP": ("FILLED", "10", "10", "3998.3", {"USDT": "39.983"})},
        positions={("default", "BTCUSDT"): ("-10", "3998.3", "-39.983")},
        instruments=[spot("BTCUSDT", "BTC", "USDT")],
        known=1,
    ),
    "a trade without its order": Day(
        [("binance-spot-trade", f"{SPOT_REST}account_trades_response.json")],
        lines=1,
        orders={"100234": ("PARTIALLY_FILLED", None, "12", "4.000001", {"BNB": "10.1"})},
        positions={("default", "BNBBTC"): ("1.9", "4.000001", "0")},
        instruments=[spot("BNBBTC", "BNB", "BTC")],
    ),
    # Long 0.001 at 7100.50; of 0.014 sold at 9910.12 that much closes it: 0.001 × 2809.62.  The
    # rest is short, with 0.020 at 45000 and 0.010 at 50000: 1528.83156 / 0.043.
    "futures are traded, liquidated, settled and delivered": Day(
        [
            ("binance-futures-update", f"{FUTURES_STREAM}{name}.json")
            for name in (
                "order_update_new", "order_update_trade", "trade_lite",
                "order_update_calculated_pending", "order_update_calculated",
                "order_update_insurance", "order_update_settlement", "order_update_adl",
                "order_update_delivery",
            )
        ],
        lines=9,
        orders={
            "TEST": ("FILLED", "0.001", "0.001", "7100.5", {"USDT": "0.01"}),
            "autoclose-pending-0000": ("NEW", "0.014", "0", None, {}),
            "autoclose-1234567890": (
                "FILLED", "0.014", "0.014", "9910.12", {"USDT": "0.06937084"},
            ),
            "autoclose-insurance-5678": ("FILLED", "0.02", "0.02", "45000", {"USDT": "0.45"}),
            "settlement_autoclose-9999": ("FILLED", "0.01", "0.01", "50000", {"USDT": "0.25"}),
            "adl_autoclose_12345": ("FILLED", "0.005", "0.005", "42000", {"USDT": "0.105"}),
            "delivery_autoclose-12345": ("FILLED", "1", "1", "70000", {}),
        },
        positions={
            ("LONG", "BTCUSDT"): ("-0.043", "35554.2223255813953488372093", "2.03024916"),
            ("SHORT", "BTCUSDT"): ("0.005", "42000", "-0.105"),
            ("LONG", "BTCUSD_240329"): ("-1", "70000", "0"),
        },
        instruments=[
            {"kind": "instrument", "instrument_id": "BTCUSDT", "quote_currency": "USDT"},
            {
                "kind": "instrument", "instrument_id": "BTCUSD_240329", "contract": "INVERSE",
                "multiplier": "100", "base_currency": "BTC", "quote_currency": "USD",
            },
        ],
        known=1,
    ),
    "half of a futures order is filled": Day(
        [("binance-futures-update", f"{FUTURES_STREAM}order_update_trade_partial.json")],
        lines=1,
        orders={"TEST": ("PARTIALLY_FILLED", "0.002", "0.001", "7100.5", {"USDT": "0.01"})},
        positions={("LONG", "BTCUSDT"): ("0.001", "7100.5", "0")},
    ),
    "futures orders wait, and a position is reported": Day(
        [
            ("binance-futures-order", f"{FUTURES_REST}order_response.json"),
            ("binance-futures-algo-order", f"{FUTURES_REST}open_algo_orders.json"),
            ("binance-futures-position", f"{FUTURES_REST}position_risk.json"),
        ],
        lines=3,
        orders={
            "testOrder123": ("NEW", "0.001", "0", None, {}),
            "test-algo-order-1": ("NEW", "0.001", "0", None, {}),
        },
        reported=[("BTCUSDT", "0.001", "50000")],
    ),
    "orders and fills of Coinbase find each other": Day(
        [
            ("coinbase-order", "coinbase/http_orders_list.json"),
            ("coinbase-fill", "coinbase/http_fills.json"),
        ],
        lines=4,
        orders={
            "11111-000000-000001": ("NEW", "0.01", "0", None, {}),
            "11111-000000-000002": ("FILLED", "0.0325", "0.0325", "3076.92", {"USD": "0.5"}),
            "0000-000000-000000": ("PARTIALLY_FILLED", None, "0.005", "45123.45", {"USD": "1.14"}),
        },
        positions={
            ("default", "ETH-USD"): ("-0.0325", "3076.92", "-0.5"),
            ("default", "BTC-USD"): ("0.005", "45123.45", "-1.14"),
        },
        instruments=[spot("BTC-USD", "BTC", "USD"), spot("ETH-USD", "ETH", "USD")],
    ),
    "a fill that only an order counts is inferred": Day(
        [("coinbase-order", "coinbase/http_order.json")],
        lines=1,
        orders={"11111-000000-000000": ("FILLED", "0.001", "0.001", "50", {})},
        positions={("default", "BTC-USD"): ("0.001", "50", "0")},
        inferred=1,
    ),
    "positions of Coinbase are signed": Day(
        [
            ("coinbase-position", "coinbase/http_cfm_position.json"),
            ("coinbase-position", "coinbase/http_cfm_positions.json"),
        ],
        lines=2,
        orders={},
        reported=[("BIP-20DEC30-CDE", "-3", "51000"), ("BIP-20DEC30-CDE", "2", "49000")],
    ),
    # Two sold short at 104746, then one bought back at 105117: 0.0001 × -371.
    "orders and fills of dYdX find each other": Day(
        [("dydx-order", "dydx/http_get_orders.json"), ("dydx-fill", "dydx/http_get_fills.json")],
        lines=6,
        orders={
            "426627592": ("FILLED", "0.0001", "0.0001", "104746", {}),
            "2501724362": ("FILLED", "0.0001", "0.0001", "104746", {}),
            "1700756032": ("FILLED", "0.0001", "0.0001", "105117", {}),
        },
        positions={("default", "BTC-USD"): ("-0.0001", "104746", "-0.0371")},
    ),
}  # fmt: skip

NOTHING_FOR_A_LEDGER = [
    "binance/spot/user_data_json/account_position.json",  # balances
    "binance/spot/user_data_json/account_position_wrapped.json",
    *(f"binance/spot/user_data_sbe/mainnet/{name}_event_{number}.metadata.json"
      for name in ("execution_report", "outbound_account_position") for number in (1, 2)),
]  # fmt: skip


def beside_the_checkout():
    if not ANSWERS.exists():
        pytest.skip("the exchanges' answers are not beside this checkout (../shared/data/nautilus)")
    return ANSWERS


def recipe(*arguments, told=None):
    """Run the recipe as its readers would."""
    return subprocess.run(
        [sys.executable, str(RECIPE), *arguments],
        input=told,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def made(day):
    folder = beside_the_checkout()
    done = recipe(*(f"{mapping}={folder / file}" for mapping, file in day.answers))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def the_book(ledger):
    with open_reader(ledger) as reader:
        book = recover(reader)
        orders = [order_json(order) for order in orders_upto(reader, book)]
        positions = [view.as_json() for view in book.position_views()]
        events = [record.event for record in reader.records()]
    keys = ("order_status", "order_qty", "cum_qty", "avg_px", "commissions")
    return (
        {
            order["client_order_id"] or order["venue_order_ids"][0]: tuple(map(order.get, keys))
            for order in orders
        },
        {
            (row["account_id"], row["instrument_id"]): (
                row["position_qty"], row["avg_px"], row["realized_pnl"],
            )
            for row in positions
        },
        [
            (each.instrument_id, plain(each.position_qty), plain(each.avg_px))
            for each in events if isinstance(each, PositionReported)
        ],
        sum(isinstance(each, FillInferred) for each in events),
    )  # fmt: skip


@pytest.mark.parametrize("name", DAYS)
def test_answers_of_an_exchange_become_the_book_that_they_tell(name, tmp_path):
    """Nothing is set aside, nothing disputed, and every figure is the one in the answers."""
    day = DAYS[name]
    lines = made(day)
    file = tmp_path / "day.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in day.instruments) + lines)

    result = import_file(str(file), str(tmp_path / "day.ledger"))

    assert len(lines.splitlines()) == day.lines
    assert result.tally.outcomes["RECORDED"] == len(day.instruments) + day.lines - day.known
    assert result.tally.outcomes["DUPLICATE"] == day.known
    assert result.tally.message_count == len(day.instruments) + day.lines
    orders, positions, reported, inferred = the_book(str(tmp_path / "day.ledger"))
    assert orders == day.orders
    assert positions == day.positions
    assert reported == day.reported
    assert inferred == day.inferred


def test_every_answer_that_is_there_is_read_or_named():
    folder = beside_the_checkout()
    there = {str(each.relative_to(folder)) for each in folder.rglob("*.json")}

    read = {file for day in DAYS.values() for _, file in day.answers}

    assert there == read | set(NOTHING_FOR_A_LEDGER)
    assert not read & set(NOTHING_FOR_A_LEDGER)


def test_an_answer_goes_through_a_pipe_into_the_command(tmp_path):
    lines = made(DAYS["orders and fills of dYdX find each other"])

    done = subprocess.run(
        [sys.executable, "-m", "fillbook", "import", "-", "--ledger", str(tmp_path / "a.ledger")],
        input=lines,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


FILL = """{
    "id": "F-1", "orderId": "O-1", "market": "BTC-USD", "side": "BUY", "liquidity": "MAKER",
    "size": 0.10000000000000000555, "price": 30000.10, "fee": -1e-7,
    "createdAt": "2026-03-13T07:00:00Z"
}"""


def test_a_number_with_a_fraction_stays_the_text_it_is():
    """As a float, 0.10000000000000000555 is 0.1 and 30000.10 loses its last digit."""
    done = recipe("dydx-fill=-", told=FILL)

    line = json.loads(done.stdout)
    assert (line["last_qty"], line["last_px"], line["commission"]) == (
        "0.10000000000000000555", "30000.10", "-1e-7",
    )  # fmt: skip


def test_a_cancel_in_the_stream_is_told_under_the_orders_own_id():
    """Binance shows it under the cancel's id and names the order's in C."""
    canceled = {
        "e": "executionReport", "s": "ETHUSDT", "c": "the-cancel", "C": "the-order", "S": "BUY",
        "o": "LIMIT", "f": "GTC", "q": "1.0", "p": "2500.0", "P": "0.0", "x": "CANCELED",
        "X": "CANCELED", "r": "NONE", "i": 7, "l": "0.0", "z": "0.0", "L": "0.0", "n": "0",
        "N": None, "T": 1709654402000, "t": -1, "m": False,
    }  # fmt: skip

    done = recipe("binance-spot-report=-", told=json.dumps(canceled))

    assert json.loads(done.stdout)["client_order_id"] == "the-order"


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("dydx-fills=-", "expected NAME=FILE with one of binance-spot-report, "),
        ("dydx-fill", "expected NAME=FILE"),
        ("dydx-order=-", "nothing in it has the keys id, totalFilled"),
    ],
)
def test_a_wrong_name_or_file_is_not_passed_over(argument, complaint):
    assert complaint in recipe(argument, told=FILL).stderr
