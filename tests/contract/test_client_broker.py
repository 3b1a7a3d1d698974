"""A client of dictionaries keeps the contract: with all eight methods, and with the bare four."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from contract.broker_suite import Bench, BrokerSuite, Ear
from fillbook.brokers.client import ClientBroker

ASK = Decimal(101)
OPEN = ("new", "partially_filled")
T0 = datetime(2026, 3, 13, 7, tzinfo=UTC)

Row = dict[str, Any]


class NoSuchOrderError(Exception):
    """The venue knows no such order."""


class TooLateError(Exception):
    """The order is closed."""


class RefusedError(Exception):
    """The venue does not take the order; `reason` says why."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class BareClient:
    """The four methods, in front of a market that sells any amount at `ASK`.

    It knows only its own ids: what it answers names no id of ours.  What it means by no is an
    answer here and an error there, as with real ones.
    """

    def __init__(self, first_id: Callable[[int], object] = lambda number: f"V-{number}") -> None:
        self._make_id = first_id
        self._numbers = count(1)
        self._lock = threading.Lock()
        self.orders: dict[object, Row] = {}
        self.fills: list[Row] = []

    def place_order(self, order: Row) -> Row:
        with self._lock:
            if order["quantity"] != int(order["quantity"]):
                return {"status": "rejected", "reason": "bad_lot", "text": "whole shares only"}
            if order["client_order_id"] in [each["ours"] for each in self.orders.values()]:
                raise RefusedError("DUPLICATE_ORDER", "that id was used before")
            order_id = self._make_id(next(self._numbers))
            row = {
                "ours": order["client_order_id"], "order_id": order_id, "symbol": order["symbol"],
                "side": order["side"].lower(), "quantity": order["quantity"],
                "price": order["price"], "status": "new", "filled_quantity": Decimal(0),
                "average_price": Decimal(0),
            }  # fmt: skip
            self.orders[order_id] = row
            self._match(row)
            return {"order_id": order_id}

    def get_order_status(self, order_id: object) -> Row:
        with self._lock:
            return self._told(self._find(order_id))

    def cancel_order(self, order_id: object) -> bool:
        with self._lock:
            row = self._find(order_id)
            if row["status"] not in OPEN:
                raise TooLateError(f"{order_id} is {row['status']}")
            row["status"] = "cancelled"
            return True

    def get_positions(self) -> list[Row]:
        with self._lock:
            held: dict[str, Decimal] = {}
            for fill in self.fills:
                signed = fill["quantity"] if fill["side"] == "buy" else -fill["quantity"]
                held[fill["symbol"]] = held.get(fill["symbol"], Decimal(0)) + signed
            return [
                {"symbol": symbol, "quantity": qty, "average_price": ASK}
                for symbol, qty in held.items()
            ]

    def _find(self, order_id: object) -> Row:
        if order_id not in self.orders:
            raise NoSuchOrderError(f"no order {order_id}")
        return self.orders[order_id]

    def _match(self, row: Row) -> None:
        if row["side"] != "buy" or row["price"] < ASK:
            return
        row |= {"status": "filled", "filled_quantity": row["quantity"], "average_price": ASK}
        number = len(self.fills) + 1
        self.fills.append(
            {
                "order_id": row["order_id"], "trade_id": f"T-{number}", "symbol": row["symbol"],
                "side": row["side"], "quantity": row["quantity"], "price": ASK,
                "timestamp": T0 + timedelta(milliseconds=number),
            }
        )  # fmt: skip

    def _told(self, row: Row) -> Row:
        return {key: row[key] for key in ("status", "filled_quantity", "average_price")}


class WholeClient(BareClient):
    """All eight methods; it names our ids and tells its fills."""

    def place_order(self, order: Row) -> Row:
        answer = super().place_order(order)
        if "order_id" not in answer:
            return answer
        return answer | {"client_order_id": order["client_order_id"]}

    def get_order_by_client_id(self, client_order_id: str) -> Row:
        with self._lock:
            for row in self.orders.values():
                if row["ours"] == client_order_id:
                    return self._told(row)
            return {"status": "not_found"}

    def replace_order(self, order_id: object, changes: Row) -> Row:
        with self._lock:
            row = self._find(order_id)
            for key in ("quantity", "price"):
                row[key] = changes.get(key, row[key])
            return {"order_id": order_id}

    def get_open_orders(self) -> list[Row]:
        with self._lock:
            return [self._told(row) for row in self.orders.values() if row["status"] in OPEN]

    def get_fills(self, since: datetime) -> list[Row]:
        with self._lock:
            return [fill for fill in self.fills if fill["timestamp"] >= since]

    def _told(self, row: Row) -> Row:
        fills = [fill for fill in self.fills if fill["order_id"] == row["order_id"]]
        told = {key: value for key, value in row.items() if key not in ("ours", "price")}
        return told | {"client_order_id": row["ours"], "fills": fills}


class AsyncWholeClient:
    """The same, awaited."""

    def __init__(self) -> None:
        self._client = WholeClient()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        async def awaited(*args: Any) -> Any:
            return method(*args)

        return awaited


def a_bench(client: object, *silent_on: str, **more: Any) -> Bench:
    refusals = {
        RefusedError: "OTHER", NoSuchOrderError: "UNKNOWN_ORDER", TooLateError: "TOO_LATE_TO_CANCEL"
    }  # fmt: skip
    broker = ClientBroker(client, refusals=refusals, not_found=(NoSuchOrderError,), **more)
    ear = Ear()
    broker.connect(ear)
    return Bench(
        broker=broker,
        ear=ear,
        instrument_id="SHARE",
        qty=Decimal(2),
        rests_px=Decimal(90),
        fills_px=ASK,
        bad_qty=Decimal("0.5"),
        silent_on=frozenset({"ts_event", "leaves_qty", "limit_px", *silent_on}),
    )


class TestAClientOfEightMethods(BrokerSuite):
    @pytest.fixture
    def bench(self):
        bench = a_bench(WholeClient())
        yield bench
        bench.broker.close()

    def test_it_can_do_what_its_methods_show(self, bench: Bench):
        can = bench.broker.capabilities
        assert can.can_look_up
        assert can.can_look_up_by_venue_id
        assert can.has_open_orders
        assert can.has_fills_since
        assert can.has_positions
        assert can.can_replace
        assert not can.has_stream


class TestAnAsyncClientOfEightMethods(BrokerSuite):
    @pytest.fixture
    def bench(self):
        bench = a_bench(AsyncWholeClient())
        yield bench
        bench.broker.close()


class TestAClientOfTheBareFour(BrokerSuite):
    @pytest.fixture
    def bench(self):
        bench = a_bench(BareClient(), "client_order_id", "side", "order_qty")
        yield bench
        bench.broker.close()

    def test_it_can_do_what_its_methods_show(self, bench: Bench):
        can = bench.broker.capabilities
        assert can.can_look_up_by_venue_id
        assert can.has_positions
        assert not can.can_look_up
        assert not can.has_open_orders
        assert not can.has_fills_since
        assert not can.can_replace


class TestAClientWhoseIdsAreNumbers(BrokerSuite):
    @pytest.fixture
    def bench(self):
        bench = a_bench(
            BareClient(lambda number: number), "client_order_id", "side", "order_qty",
            order_ids=int,
        )  # fmt: skip
        yield bench
        bench.broker.close()
