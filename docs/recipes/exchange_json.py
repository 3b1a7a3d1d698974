"""Print what an exchange answered as the JSON lines that `fillbook import` reads.

    python exchange_json.py dydx-order=orders.json dydx-fill=fills.json > day.jsonl

Each argument names a mapping and a file (`-` is standard input) with one JSON document, or one on
each line.  The lines come out by time, fills before the orders' own answers.  It needs nothing but
the standard library: copy it, and change what your account does otherwise.  `exchange-json.md`
explains the choices.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Row = dict[str, Any]


# ---- what the mappings share


def every(document: Any, *keys: str) -> Iterator[Row]:
    """Yield every object in *document*, however it is wrapped, that has all of *keys*."""
    if isinstance(document, dict):
        if all(key in document for key in keys):
            yield document
        document = list(document.values())
    if isinstance(document, list):
        for each in document:
            yield from every(each, *keys)


def line(kind: str, **told: Any) -> Row:
    """Return one line; what was not told is left out."""
    return {"kind": kind} | {k: str(v) for k, v in told.items() if v not in (None, "")}


def some(text: str | None) -> str | None:
    """Return an amount as it was printed; None where it is 0, which stands for none here."""
    return text if text is not None and Decimal(text) else None


def worked(cum_qty: str) -> str:
    """Return the status of an order that is just called open."""
    return "PARTIALLY_FILLED" if some(cum_qty) else "NEW"


def at(ms: int) -> str:
    """Return milliseconds since 1970 as a time."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


# ---- Binance

BINANCE_EXEC_TYPE = {
    "NEW": "NEW",
    "TRADE": "TRADE",
    "CANCELED": "CANCELED",
    "EXPIRED": "EXPIRED",
    "REJECTED": "REJECTED",
    "REPLACED": "REPLACED",
    "AMENDMENT": "REPLACED",
}
BINANCE_STATUS = {"EXPIRED_IN_MATCH": "EXPIRED", "NEW_INSURANCE": None, "NEW_ADL": None}
BINANCE_TYPE = {
    "LIMIT_MAKER": "LIMIT",
    "STOP_LOSS": "STOP",
    "STOP_LOSS_LIMIT": "STOP_LIMIT",
    "STOP_MARKET": "STOP",
    "STOP": "STOP_LIMIT",
}


def binance_side_account(position_side: str | None) -> str | None:
    """In hedge mode LONG and SHORT are two positions in one symbol: an account for each."""
    return None if position_side in (None, "BOTH") else position_side


def binance_spot_report(row: Row) -> Iterator[Row]:
    """Spot user data stream, `executionReport`; a cancel names the order's own id in `C`.

    A type that is not listed is told as a snapshot: what the order is now, not what happened.
    """
    is_fill = row["x"] == "TRADE"
    yield line(
        "report",
        client_order_id=row["C"] or row["c"],
        venue_order_id=row["i"],
        instrument_id=row["s"],
        side=row["S"],
        exec_type=BINANCE_EXEC_TYPE.get(row["x"]),
        order_status=BINANCE_STATUS.get(row["X"], row["X"]),
        order_type=BINANCE_TYPE.get(row["o"], row["o"]),
        time_in_force=row["f"],
        order_qty=some(row["q"]),
        limit_px=some(row["p"]),
        stop_px=some(row["P"]),
        cum_qty=row["z"],
        trade_id=row["t"] if is_fill else None,
        last_qty=row["l"] if is_fill else None,
        last_px=row["L"] if is_fill else None,
        commission=row["n"] if is_fill and row["N"] else None,
        commission_currency=row["N"] if is_fill else None,
        liquidity=("MAKER" if row["m"] else "TAKER") if is_fill else None,
        text=row.get("eR") or (row["r"] if row["r"] != "NONE" else None),
        venue="BINANCE",
        ts_event=at(row["T"]),
    )


def binance_spot_order(row: Row) -> Iterator[Row]:
    """Spot REST, every answer that shows an order; with `newOrderRespType=FULL` also its fills."""
    terms: Row = {
        # one cancel may end many orders under its one id: the order's own is the other
        "client_order_id": row.get("origClientOrderId") or row["clientOrderId"],
        "venue_order_id": row["orderId"],
        "instrument_id": row["symbol"],
        "side": row["side"],
        "order_type": BINANCE_TYPE.get(row["type"], row["type"]),
        "time_in_force": row["timeInForce"],
        "order_qty": some(row["origQty"]),
        "limit_px": some(row["price"]),
        "stop_px": some(row.get("stopPrice")),
        "venue": "BINANCE",
        "ts_event": at(row["transactTime"] if "transactTime" in row else row["updateTime"]),
    }
    fills = row.get("fills", [])
    for fill in fills:
        yield line(
            "report",
            **terms,
            exec_type="TRADE",
            trade_id=fill["tradeId"],
            last_qty=fill["qty"],
            last_px=fill["price"],
            commission=fill["commission"],
            commission_currency=fill["commissionAsset"],
        )
    avg_px = None
    if not fills and some(row["executedQty"]):
        avg_px = f"{Decimal(row['cummulativeQuoteQty']) / Decimal(row['executedQty']):.12f}"
    status = BINANCE_STATUS.get(row["status"], row["status"])
    yield line(
        "report", **terms, order_status=status, cum_qty=row["executedQty"], avg_px=avg_px
    )  # fmt: skip


def binance_spot_trade(row: Row) -> Iterator[Row]:
    """Spot REST, `myTrades`: a fill names its order by the exchange's id only."""
    yield line(
        "report",
        venue_order_id=row["orderId"],
        instrument_id=row["symbol"],
        side="BUY" if row["isBuyer"] else "SELL",
        exec_type="TRADE",
        trade_id=row["id"],
        last_qty=row["qty"],
        last_px=row["price"],
        commission=row["commission"],
        commission_currency=row["commissionAsset"],
        liquidity="MAKER" if row["isMaker"] else "TAKER",
        venue="BINANCE",
        ts_event=at(row["time"]),
    )


def binance_futures_update(row: Row) -> Iterator[Row]:
    """Futures user data stream, the `o` of ORDER_TRADE_UPDATE, and TRADE_LITE.

    CALCULATED is a liquidation: with a quantity it is a fill, without one a new order.
    """
    told = row.get("x", "TRADE")
    if told == "CALCULATED":
        told = "TRADE" if some(row["l"]) else "NEW"
    is_fill = told == "TRADE"
    yield line(
        "report",
        client_order_id=row["c"],
        venue_order_id=row["i"],
        account_id=binance_side_account(row.get("ps")),
        instrument_id=row["s"],
        side=row["S"],
        exec_type=BINANCE_EXEC_TYPE.get(told),
        order_status=BINANCE_STATUS.get(row.get("X"), row.get("X")),
        order_type=BINANCE_TYPE.get(row.get("o"), row.get("o")),
        time_in_force=row.get("f"),
        order_qty=some(row["q"]),
        limit_px=some(row["p"]),
        stop_px=some(row.get("sp")),
        cum_qty=row.get("z"),
        avg_px=some(row.get("ap")),
        trade_id=row["t"] if is_fill else None,
        last_qty=row["l"] if is_fill else None,
        last_px=row["L"] if is_fill else None,
        commission=row.get("n") if is_fill else None,
        commission_currency=row.get("N") if is_fill else None,
        liquidity=("MAKER" if row["m"] else "TAKER") if is_fill else None,
        venue="BINANCE",
        ts_event=at(row["T"]),
    )


def binance_futures_order(row: Row) -> Iterator[Row]:
    """Futures REST, every answer that shows an order."""
    yield line(
        "report",
        client_order_id=row["clientOrderId"],
        venue_order_id=row["orderId"],
        account_id=binance_side_account(row["positionSide"]),
        instrument_id=row["symbol"],
        side=row["side"],
        order_status=BINANCE_STATUS.get(row["status"], row["status"]),
        order_type=BINANCE_TYPE.get(row["type"], row["type"]),
        time_in_force=row["timeInForce"],
        order_qty=some(row["origQty"]),
        limit_px=some(row["price"]),
        stop_px=some(row["stopPrice"]),
        cum_qty=row["executedQty"],
        avg_px=some(row["avgPrice"]),
        venue="BINANCE",
        ts_event=at(row["updateTime"]),
    )


def binance_futures_algo_order(row: Row) -> Iterator[Row]:
    """Futures REST, conditional orders that wait for their trigger."""
    yield line(
        "report",
        client_order_id=row["clientAlgoId"],
        venue_order_id=row["algoId"],
        account_id=binance_side_account(row["positionSide"]),
        instrument_id=row["symbol"],
        side=row["side"],
        order_status=row["algoStatus"],
        order_type=BINANCE_TYPE.get(row["type"], row["type"]),
        time_in_force=row["timeInForce"],
        order_qty=row["quantity"],
        stop_px=some(row["triggerPrice"]),
        venue="BINANCE",
        ts_event=at(row["updateTime"]),
    )


def binance_futures_position(row: Row) -> Iterator[Row]:
    """Futures REST, `positionRisk`."""
    yield line(
        "position",
        account_id=binance_side_account(row["positionSide"]),
        instrument_id=row["symbol"],
        position_qty=row["positionAmt"],
        avg_px=some(row["entryPrice"]),
        ts_event=at(row["updateTime"]),
    )


# ---- Coinbase Advanced Trade

COINBASE_STATUS = {
    "PENDING": "PENDING_NEW",
    "QUEUED": "PENDING_NEW",
    "CANCELLED": "CANCELED",
    "FAILED": "REJECTED",
    "CANCEL_QUEUED": "PENDING_CANCEL",
}
COINBASE_TIME_IN_FORCE = {
    "GOOD_UNTIL_CANCELLED": "GTC",
    "GOOD_UNTIL_DATE_TIME": "GTD",
    "IMMEDIATE_OR_CANCEL": "IOC",
    "FILL_OR_KILL": "FOK",
}


def coinbase_order(row: Row) -> Iterator[Row]:
    """Orders; the time of the last fill is the last time they tell."""
    asked = next(iter(row["order_configuration"].values()))
    status = COINBASE_STATUS.get(row["status"], row["status"])
    yield line(
        "report",
        client_order_id=row["client_order_id"],
        venue_order_id=row["order_id"],
        instrument_id=row["product_id"],
        side=row["side"],
        order_status=worked(row["filled_size"]) if status == "OPEN" else status,
        order_type=row["order_type"],
        time_in_force=COINBASE_TIME_IN_FORCE.get(row["time_in_force"], row["time_in_force"]),
        order_qty=asked.get("base_size"),
        limit_px=asked.get("limit_price"),
        stop_px=asked.get("stop_price"),
        cum_qty=row["filled_size"],
        avg_px=some(row["average_filled_price"]),
        text=row["reject_message"] or row["cancel_message"],
        venue="COINBASE",
        ts_event=row["last_fill_time"] or row["created_time"],
    )


def coinbase_fill(row: Row) -> Iterator[Row]:
    """Fills; the fee is in the quote currency."""
    if row["trade_type"] != "FILL" or row["size_in_quote"]:
        sys.exit(f"coinbase-fill: {row['entry_id']} is no plain fill: write its line by hand")
    yield line(
        "report",
        venue_order_id=row["order_id"],
        instrument_id=row["product_id"],
        side=row["side"],
        exec_type="TRADE",
        trade_id=row["trade_id"],
        last_qty=row["size"],
        last_px=row["price"],
        commission=row["commission"],
        commission_currency=row["product_id"].split("-")[1],
        liquidity=row["liquidity_indicator"],
        venue="COINBASE",
        ts_event=row["trade_time"],
    )


def coinbase_position(row: Row) -> Iterator[Row]:
    """Futures positions, in contracts."""
    sign = "-" if row["side"] == "SHORT" else ""
    yield line(
        "position",
        instrument_id=row["product_id"],
        position_qty=sign + row["number_of_contracts"],
        avg_px=row["avg_entry_price"]["value"],
    )


# ---- dYdX v4 indexer

DYDX_STATUS = {
    "UNTRIGGERED": "OPEN",
    "BEST_EFFORT_OPENED": "PENDING_NEW",
    "BEST_EFFORT_CANCELED": "PENDING_CANCEL",
}


def dydx_order(row: Row) -> Iterator[Row]:
    """Orders; a client id is unique in its subaccount only."""
    status = DYDX_STATUS.get(row["status"], row["status"])
    yield line(
        "report",
        client_order_id=row["clientId"],
        venue_order_id=row["id"],
        instrument_id=row["ticker"],
        side=row["side"],
        order_status=worked(row["totalFilled"]) if status == "OPEN" else status,
        order_type={"STOP_MARKET": "STOP"}.get(row["type"], row["type"]),
        time_in_force={"GTT": "GTD"}.get(row["timeInForce"], row["timeInForce"]),
        order_qty=row["size"],
        limit_px=some(row["price"]),
        stop_px=row.get("triggerPrice"),
        cum_qty=row["totalFilled"],
        venue="DYDX",
        ts_event=row.get("updatedAt"),
    )


def dydx_fill(row: Row) -> Iterator[Row]:
    """Fills; the fee is in USDC, less than 0 is a rebate."""
    yield line(
        "report",
        venue_order_id=row["orderId"],
        instrument_id=row["market"],
        side=row["side"],
        exec_type="TRADE",
        trade_id=row["id"],
        last_qty=row["size"],
        last_px=row["price"],
        commission=row["fee"],
        commission_currency="USDC",
        liquidity=row["liquidity"],
        venue="DYDX",
        ts_event=row["createdAt"],
    )


MAPPINGS: dict[str, tuple[Callable[[Row], Iterator[Row]], tuple[str, ...]]] = {
    "binance-spot-report": (binance_spot_report, ("x", "X", "i")),
    "binance-spot-order": (binance_spot_order, ("orderId", "status", "origQty")),
    "binance-spot-trade": (binance_spot_trade, ("orderId", "isBuyer")),
    "binance-futures-update": (binance_futures_update, ("s", "i", "l", "t")),
    "binance-futures-order": (binance_futures_order, ("orderId", "status", "avgPrice")),
    "binance-futures-algo-order": (binance_futures_algo_order, ("algoId", "algoStatus")),
    "binance-futures-position": (binance_futures_position, ("symbol", "positionAmt")),
    "coinbase-order": (coinbase_order, ("order_id", "order_configuration")),
    "coinbase-fill": (coinbase_fill, ("trade_id", "order_id")),
    "coinbase-position": (coinbase_position, ("product_id", "number_of_contracts")),
    "dydx-order": (dydx_order, ("id", "totalFilled")),
    "dydx-fill": (dydx_fill, ("id", "orderId", "fee")),
}
"""By name: the mapping, and which keys tell an object that it is for."""


def documents(file: str) -> Iterator[Any]:
    """Yield the JSON documents of a file; a number with a fraction stays the text it is."""
    with open(0 if file == "-" else file, encoding="utf-8") as stream:
        text = stream.read()
    try:
        yield json.loads(text, parse_float=str)
    except json.JSONDecodeError:
        for each in text.splitlines():
            if each.strip():
                yield json.loads(each, parse_float=str)


def rows(arguments: Iterable[str]) -> list[Row]:
    """Return the lines of all files: by time, what has none last, fills before snapshots."""
    found: list[Row] = []
    for argument in arguments:
        name, _, file = argument.partition("=")
        if name not in MAPPINGS or not file:
            sys.exit(f"{argument}: expected NAME=FILE with one of {', '.join(MAPPINGS)}")
        mapping, keys = MAPPINGS[name]
        before = len(found)
        for document in documents(file):
            for row in every(document, *keys):
                found.extend(mapping(row))
        if len(found) == before:
            print(f"{argument}: nothing in it has the keys {', '.join(keys)}", file=sys.stderr)
    return sorted(
        found, key=lambda row: (row.get("ts_event", "9999Z")[:-1], "exec_type" not in row)
    )


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for each in rows(sys.argv[1:]):
        print(json.dumps(each))
