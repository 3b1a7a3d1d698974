"""Files of real layouts, as exchanges answer and brokers export them, are read by their mappings.

They lie beside the checkout and are not part of it.  What is held was added up from them by hand;
where a file is made up of pieces that contradict its own header, it must be refused.
"""

from pathlib import Path

import pytest

from fillbook.brokers.statements import read_statement
from fillbook.errors import BadInput

DATA = Path(__file__).resolve().parents[2].parent / "shared/data"


def shared(name):
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside this checkout (../shared/data)")
    return path


def held(statement):
    """Return what is held by instrument: quantity and average."""
    return {
        each.content.instrument_id: (
            str(each.content.position_qty),
            None if each.content.avg_px is None else str(each.content.avg_px),
        )
        for each in statement.messages
    }


SPOT = "nautilus/binance/spot/user_data_json/"
MS = 1_000_000
ANSWERS = {
    "nautilus/binance/futures/http_json/position_risk.json": (
        "binance-futures", {"BTCUSDT": ("0.001", "50000")}, 1625474304765 * MS
    ),
    f"{SPOT}account_position.json": (
        "binance-spot-balances", {"USDT": ("12500", None), "ETH": ("5", None)}, 1709654400000 * MS
    ),
    f"{SPOT}account_position_wrapped.json": (
        "binance-spot-balances", {"ETH": ("10000", None)}, 1564034571073 * MS
    ),
    "nautilus/coinbase/http_cfm_positions.json": (
        "coinbase-futures", {"BIP-20DEC30-CDE": ("2", "49000")}, None
    ),
    "nautilus/coinbase/http_cfm_position.json": (
        "coinbase-futures", {"BIP-20DEC30-CDE": ("-3", "51000")}, None
    ),
    "nautilus/coinbase/http_fills.json": (
        "coinbase-fills", {"BTC-USD": ("0.005", None), "ETH-USD": ("-0.0325", None)},
        1705314600000 * MS,
    ),
    "nautilus/dydx/http_get_fills.json": (
        "dydx-fills", {"BTC-USD": ("-0.0001", None)}, 1762946392470 * MS
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_an_exchanges_answer_is_known_by_its_keys(name):
    """Nobody has to say whose it is."""
    mapping, positions, ts_event = ANSWERS[name]
    path = shared(name)

    statement = read_statement(str(path))

    assert statement.mapping == mapping
    assert held(statement) == positions
    assert statement.ts_event == ts_event
    assert statement.raw == path.read_bytes()
    assert all(each.raw.startswith(b"{") for each in statement.messages)


EXPORTS = {
    "kapji/2024/inputs/transactions.csv": ("trading212", {"FOO": "0"}, 5),
    "kapji/interactive_brokers/data/test_basic.csv": ("ibkr-transactions", {"CNX1": "2"}, 19),
    "kapji/schwab/data/schwab_transactions.csv": ("schwab", {"VUAG": "30.5"}, 3),
    "ghostfolio/ibkr-trades-export.csv": (
        "ibkr-flex-trades", {"CH0111762537": "7", "US9220427424": "323"}, 3
    ),
    "ghostfolio/revolut-crypto-export.csv": (
        "revolut-crypto", {"BTC": "0.00163011", "ETH": "0.00442906"}, 1
    ),
    "ghostfolio/schwab-export.csv": (
        "schwab",
        {
            "SPY": "7.0976", "AVGO": "10", "SNAXX": "-496428.62", "DGLRX": "-872.454",
            "TNXP": "1", "890260854": "-1", "AMC": "38",
        },
        65,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_a_brokers_export_of_trades_is_summed(name):
    """What was bought less what was sold; every row is counted or named, none is lost."""
    mapping, positions, skipped = EXPORTS[name]
    path = shared(name)

    statement = read_statement(str(path))

    assert statement.mapping == mapping
    sums = {instrument_id: qty for instrument_id, (qty, _) in held(statement).items()}
    assert sums.items() >= positions.items()
    assert len(statement.skipped) == skipped
    counted = sum(each.raw.count(b"\n") + 1 for each in statement.messages)
    rows = [line for line in path.read_bytes().splitlines() if line.strip()]
    assert counted + skipped + 1 == len(rows)  # the one is the header


def test_a_masked_account_is_the_ledgers_one_when_it_is_named():
    path = str(shared("kapji/interactive_brokers/data/test_basic.csv"))
    assert read_statement(path).messages[0].content.account_id == "U***00000"
    [message] = read_statement(path, account_id="main").messages
    assert (message.content.account_id, message.line) == ("main", 17)


def test_an_exchange_of_two_assets_in_one_row_is_refused(tmp_path):
    """Coinbase names what came of a Convert in a sentence only; without one the export is read."""
    path = shared("ghostfolio/coinbase-export.csv")
    with pytest.raises(BadInput, match="line 6: Transaction Type: found 'Convert'"):
        read_statement(str(path))

    lines = [line for line in path.read_bytes().splitlines(True) if b",Convert," not in line]
    rest = tmp_path / "rest.csv"
    rest.write_bytes(b"".join(lines))
    statement = read_statement(str(rest))

    assert statement.mapping == "coinbase-transactions"
    assert held(statement) == {
        "ETH": ("0.180975297238", None),
        "ETH2": ("-0.180914809326", None),
        "BTC": ("0.00333558", None),
    }
    assert statement.ts_event == 1737133022 * 10**9


def test_values_in_the_wrong_columns_are_refused(tmp_path):
    """The sample ends in rows of a later layout, whose quantity is not in its own column."""
    path = shared("ghostfolio/trading212-export.csv")
    with pytest.raises(BadInput, match=r"line 11: No\. of shares: missing"):
        read_statement(str(path))

    start = tmp_path / "start.csv"
    start.write_bytes(b"".join(path.read_bytes().splitlines(True)[:10]))
    assert held(read_statement(str(start))) == {
        "CSCO": ("0.029053", None),
        "VICI": ("0.041014", None),
        "ASTS": ("0.29764", None),
        "ASTR": ("-0.61254", None),
    }


@pytest.mark.parametrize("name", ["coinbase/http_order.json", "dydx/http_get_orders.json"])
def test_an_answer_about_orders_is_no_statement(name):
    """Orders have sizes and sides as well."""
    with pytest.raises(BadInput, match="it is of no kind that is known"):
        read_statement(str(shared(f"nautilus/{name}")))
