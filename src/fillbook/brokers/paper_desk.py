"""Answer a live client at the paper exchange: every call of the port, at a time that is given.

Nothing goes wrong here but what the exchange refuses.  A call is carried out when it is made; what
it sets off is told to the stream, which is delivered later.  A refusal is told to who asked and not
to the stream: it changed nothing.
"""

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from fillbook.brokers.jsonlines_out import to_jsonl
from fillbook.brokers.live import BrokerRefused, OrderRef
from fillbook.brokers.paper_account import AccountFile
from fillbook.brokers.paper_market import LISTINGS, Listing
from fillbook.brokers.paper_open import Execution, OpenExchange
from fillbook.brokers.paper_orders import VenueOrder
from fillbook.brokers.paper_wire import SECOND, VenueMessage
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.reports import (
    BalanceReport,
    CancelReject,
    CommissionReport,
    OrderReport,
    PositionReport,
    Report,
)
from fillbook.core.values import OrderStatus

__all__ = ["Desk"]


class Desk:
    """One account's desk at the exchange.

    Attributes:
        exchange: Only to read, and for what the exchange does of its own accord.
    """

    def __init__(
        self,
        seed: int,
        *,
        opens_ns: int,
        path: str | os.PathLike[str] | None = None,
        listings: Sequence[Listing] = LISTINGS,
        pace_ns: int = 30 * SECOND,
    ) -> None:
        """Open the desk; with *path* the account is kept in that file, and taken up from it."""
        self._file = AccountFile(path, seed, listings) if path is not None else None
        self.exchange = OpenExchange(
            seed,
            opens_ns=opens_ns,
            listings=listings,
            pace_ns=pace_ns,
            account=self._file.account if self._file is not None else None,
        )
        self._told: deque[VenueMessage] = deque()
        self._answers: dict[str, Callable[..., list[Report]]] = {
            "submit": self._submit,
            "cancel": self._request,
            "replace": self._request,
            "look_up": self._look_up,
            "open_orders": self._open_orders,
            "fills_since": self._fills_since,
            "positions": self._positions,
            "activities_since": self._activities_since,
            "cash": self._cash,
        }
        self.keep()

    def advance(self, to_ns: int) -> list[VenueMessage]:
        """Let time pass and return what the stream tells of it, in order of delivery.

        Each message's `ts_received` is when it is due, which may be after *to_ns*.
        """
        self.exchange.advance(max(to_ns, self.exchange.now_ns))
        return self.keep()

    def keep(self, *, durably: bool = False) -> list[VenueMessage]:
        """Keep what has changed and return what is to be told of it."""
        if self._file is not None:
            self._file.keep(self.exchange, durably=durably)
        self._told += self.exchange.take_told()
        told = [*self._told]
        self._told.clear()
        return told

    def ask(self, method: str, *args: Any) -> list[Report]:
        """Return the answer to one call of the port, or raise `BrokerRefused`.

        What else it sets off comes with the next `advance` or `keep`.
        """
        return self._answers[method](*args)

    def truth(self) -> Mapping[str, list[dict[str, Any]]]:
        """Return what is so; see `OpenExchange.truth`."""
        return self.exchange.truth()

    def close(self) -> None:
        """Let go of the account's file."""
        if self._file is not None:
            self._file.close()

    # ---- calls

    def _submit(self, order: SubmitOrder) -> list[Report]:
        if self.exchange.is_used(order.client_order_id):
            raise refused("DUPLICATE_ORDER", f"{order.client_order_id} was used before")
        told = self._enter(order)
        first = told[0]
        if isinstance(first, OrderReport) and first.order_status is OrderStatus.REJECTED:
            raise refused(first.reason, first.text, first)
        self._told += told
        return _about(order.client_order_id, told)

    def _request(self, request: CancelOrder | ReplaceOrder, ref: OrderRef) -> list[Report]:
        told = self._enter(request, self._find(ref))
        first = told[0]
        if isinstance(first, CancelReject):
            raise refused(first.reason, first.text, first)
        self._told += told
        return _about(request.client_order_id, told)

    def _enter(
        self, command: SubmitOrder | CancelOrder | ReplaceOrder, order: VenueOrder | None = None
    ) -> list[VenueMessage]:
        self._told += self.exchange.take_told()
        told = self.exchange.enter(command, order)
        if self._file is not None:
            self._file.keep(self.exchange, durably=True)
        return told

    def _look_up(self, ref: OrderRef) -> list[Report]:
        order = self._find(ref)
        if order is None:
            return []
        return [*self.exchange.executions.get(order.number, ()), self.exchange.snapshot(order)]

    def _open_orders(self) -> list[Report]:
        return [
            self.exchange.snapshot(order) for order in self.exchange.orders if not order.is_closed
        ]

    def _fills_since(self, ts_event: int) -> list[Report]:
        told: list[Execution] = [
            execution
            for executions in self.exchange.executions.values()
            for execution in executions
            if (execution.ts_event or 0) >= ts_event
        ]
        return sorted(told, key=lambda execution: execution.ts_event or 0)

    def _positions(self) -> list[Report]:
        return [
            PositionReport(
                account_id=row["account_id"],
                instrument_id=row["instrument_id"],
                position_qty=Decimal(row["position_qty"]),
                ts_event=self.exchange.now_ns,
            )
            for row in self.exchange.positions()
        ]

    def _activities_since(self, ts_event: int) -> list[Report]:
        found: list[Report] = [*self.exchange.activities]
        for executions in self.exchange.executions.values():
            found += [each for each in executions if isinstance(each, CommissionReport)]
        found = [each for each in found if (each.ts_event or 0) >= ts_event]
        return sorted(found, key=lambda each: each.ts_event or 0)

    def _cash(self) -> list[Report]:
        return [
            BalanceReport(
                account_id=row["account_id"],
                currency=row["currency"],
                amount=Decimal(row["amount"]),
                ts_event=self.exchange.now_ns,
            )
            for row in self.exchange.balances()
        ]

    def _find(self, ref: OrderRef) -> VenueOrder | None:
        ids = (ref.client_order_id, ref.first_client_order_id)
        return self.exchange.find(ids, ref.venue_order_id)


def _about(client_order_id: str, told: Sequence[VenueMessage]) -> list[Report]:
    """Return what was told in answer to one command: other orders may have moved by it too."""
    return [each for each in told if getattr(each, "client_order_id", None) == client_order_id]


def refused(reason: str | None, text: str | None, answer: Report | None = None) -> BrokerRefused:
    """Return the refusal as an error, with the answer's own line."""
    raw = b"" if answer is None else to_jsonl(answer).encode()
    return BrokerRefused(reason or "OTHER", text or "", raw)
