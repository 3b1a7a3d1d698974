"""Keep a paper account in a file: what it was after each change, so that the next run goes on.

The file is text, one JSON object per line, and only grows.  The first line names the seed; each
other line is one change as a whole: the orders that it touched as they stood afterwards, what was
told of fills, and what came without an order.  A line without its end is a change that nobody was
told of: it is cut off.  States are kept and not inputs: an exchange that is programmed differently
keeps the same account.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

from fillbook.brokers.jsonlines import read_jsonl
from fillbook.brokers.jsonlines_out import to_row
from fillbook.brokers.paper_market import LISTINGS, Listing
from fillbook.brokers.paper_open import Account, Execution, OpenExchange
from fillbook.brokers.paper_orders import VenueFill, VenueOrder
from fillbook.brokers.paper_truth import Activity
from fillbook.core.commands import CancelOrder, ReplaceOrder
from fillbook.core.exact import plain
from fillbook.core.reports import (
    CashReport,
    CommissionReport,
    OrderReport,
    SplitReport,
    TransferReport,
)
from fillbook.core.values import OrderStatus, Side
from fillbook.errors import BadInput

__all__ = ["AccountFile"]

FORMAT = 1

_ORDER_TEXTS = (
    "client_order_ids", "venue_order_id", "account_id", "instrument_id", "order_type",
    "time_in_force", "expire_time", "is_accepted", "ended_ns", "ended_reason", "ended_text",
    "is_waiting",
)  # fmt: skip
_ORDER_AMOUNTS = ("order_qty", "limit_px", "stop_px")
_FILL_KEYS = ("trade_id", "exec_id", "steps", "ticks", "is_maker", "ts_event", "is_busted")


class AccountFile:
    """The file of one account, held by one process at a time.

    Attributes:
        account: What the file said when it was opened; None where it is new.
    """

    def __init__(
        self, path: str | os.PathLike[str], seed: int, listings: Iterable[Listing] = LISTINGS
    ) -> None:
        """Open the file at *path*, or make it.

        Raises `BadInput` where it is no account, one of another seed, or held by somebody else.
        """
        self._path = Path(path)
        self._listings = {listing.instrument_id: listing for listing in listings}
        self._told_counts: dict[int, int] = {}
        self._activity_count = 0
        self._failure: OSError | None = None
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self.account = self._read(seed)
        except BaseException:
            os.close(self._file)
            raise

    def keep(self, exchange: OpenExchange, *, durably: bool) -> None:
        """Write what has changed since the last time; *durably* where it must survive the power.

        Raises `OSError` where the disk refuses, then and ever after: what came later would stand
        on a change that the file does not have.
        """
        if self._failure is not None:
            raise self._failure
        orders = exchange.changes()
        activities = exchange.activities[self._activity_count :]
        if not orders and not activities:
            return
        told: dict[str, list[dict[str, Any]]] = {}
        for order in orders:
            executions = exchange.executions.get(order.number, [])
            known = self._told_counts.get(order.number, 0)
            if len(executions) > known:
                told[str(order.number)] = [dict(to_row(each)) for each in executions[known:]]
                self._told_counts[order.number] = len(executions)
        row = {
            "ts_event": exchange.now_ns,
            "counts": exchange.counts,
            "last_px": exchange.last_px,
            "orders": [_order_row(order) for order in orders],
            "executions": told,
        }
        if activities:
            row["activities"] = [dict(to_row(each)) for each in activities]
            self._activity_count += len(activities)
        self._append(row, durably=durably)

    def close(self) -> None:
        """Let go of the file; it is complete after every change."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    # ---- the file

    def _append(self, row: Mapping[str, Any], *, durably: bool) -> None:
        data = json.dumps(row, separators=(",", ":")).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._file, data) :]
            if durably:
                os.fsync(self._file)
        except OSError as failure:
            self._failure = failure
            raise

    def _read(self, seed: int) -> Account | None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInput(
                f"{self._path}: another process holds this paper account", "stop it first"
            ) from None
        with open(self._file, "rb", closefd=False) as stream:
            data = stream.read()
        end = data.rfind(b"\n") + 1
        os.ftruncate(self._file, end)
        os.lseek(self._file, end, os.SEEK_SET)
        lines = data[:end].splitlines()
        if not lines:
            self._append({"paper": FORMAT, "seed": seed}, durably=True)
            return None
        try:
            header = json.loads(lines[0])
            version, found_seed = header["paper"], header["seed"]
        except (ValueError, TypeError, KeyError):
            raise BadInput(f"{self._path}: not a paper account", "name another path") from None
        if version != FORMAT:
            raise BadInput(f"{self._path}: a paper account of format {version}", "upgrade fillbook")
        if found_seed != seed:
            raise BadInput(
                f"{self._path}: the paper account has seed {found_seed}, not {seed}",
                f"use seed {found_seed}, or name another path",
            )
        return self._account(lines[1:]) if len(lines) > 1 else None

    def _account(self, lines: list[bytes]) -> Account:
        orders: dict[int, dict[str, Any]] = {}
        executions: dict[int, list[Execution]] = {}
        activities: list[Activity] = []
        for line in lines:
            row = json.loads(line)
            for order_row in row["orders"]:
                orders[order_row["number"]] = order_row
            for number, told in row["executions"].items():
                executions.setdefault(int(number), []).extend(map(_execution, told))
            activities += map(_activity, row.get("activities", ()))
        self._told_counts = {number: len(told) for number, told in executions.items()}
        self._activity_count = len(activities)
        assert sorted(orders) == list(range(len(orders))), f"{self._path}: an order is missing"
        return Account(
            ts_event=row["ts_event"],
            counts=row["counts"],
            last_px=row["last_px"],
            orders=[_order(orders[number], self._listings) for number in sorted(orders)],
            executions=executions,
            activities=activities,
        )


# ---- rows


def _order_row(order: VenueOrder) -> dict[str, Any]:
    row: dict[str, Any] = {"number": order.number, "side": order.side.value}
    row |= {key: getattr(order, key) for key in _ORDER_TEXTS}
    for key in _ORDER_AMOUNTS:
        amount = getattr(order, key)
        row[key] = None if amount is None else plain(amount)
    row["ended"] = None if order.ended is None else order.ended.value
    row["request"] = None if order.request is None else to_row(order.request)
    row["fills"] = [
        {key: getattr(fill, key) for key in _FILL_KEYS} | {"commission": plain(fill.commission)}
        for fill in order.fills
    ]
    return row


def _order(row: dict[str, Any], listings: Mapping[str, Listing]) -> VenueOrder:
    values = {key: row[key] for key in ("number", *_ORDER_TEXTS)}
    for key in _ORDER_AMOUNTS:
        values[key] = None if row[key] is None else Decimal(row[key])
    request = None if row["request"] is None else _content(row["request"])
    assert request is None or isinstance(request, CancelOrder | ReplaceOrder)
    return VenueOrder(
        listing=listings.get(row["instrument_id"]),
        side=Side(row["side"]),
        ended=None if row["ended"] is None else OrderStatus(row["ended"]),
        request=request,
        fills=[
            VenueFill(**(fill | {"commission": Decimal(fill["commission"])}))
            for fill in row["fills"]
        ],
        **values,
    )


def _execution(row: dict[str, Any]) -> Execution:
    content = _content(row)
    assert isinstance(content, OrderReport | CommissionReport), f"{row} tells nothing of a fill"
    return content


def _activity(row: dict[str, Any]) -> Activity:
    content = _content(row)
    assert isinstance(content, SplitReport | TransferReport | CashReport), f"{row} moves nothing"
    return content


def _content(row: dict[str, Any]) -> object:
    (message,) = read_jsonl(BytesIO(json.dumps(row).encode()))
    assert message.problem is None, f"{message.problem} in {row}"
    return message.content
