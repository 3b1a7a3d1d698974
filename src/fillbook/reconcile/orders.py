"""Hold the open orders of the book against those that the broker lists.

What the list tells is recorded like any other message, so an order that is not ours is in the book
by then, and ours are as the broker has them.  What is left to see is which were new, and which the
book has open and the list leaves out.
"""

from collections.abc import Sequence

from attrs import define, field

from fillbook.brokers.port import Message
from fillbook.core.agreement import Key
from fillbook.core.orders import Order
from fillbook.core.reports import OrderReport
from fillbook.reconcile.desk import Desk

__all__ = ["OpenOrders", "name_of"]


@define(eq=False)
class OpenOrders:
    """The open orders of both sides, as one run sees them.

    Attributes:
        start_seq: Where the book was when the run began.
        listed: The streams of the orders that the broker listed; None while it has not.
    """

    desk: Desk
    start_seq: int
    listed: set[int] | None = None
    _listed_ns: int = field(default=0)

    def told(self, messages: Sequence[Message], started_ns: int) -> None:
        """Take the list, asked for at *started_ns*; all of it is recorded already."""
        self._listed_ns = started_ns
        self.listed = set()
        for message in messages:
            report = message.content
            if not isinstance(report, OrderReport):
                continue
            order = self.desk.book.find_order(report.client_order_id, report.venue_order_id)
            if order is not None:
                self.listed.add(order.stream)

    def found(self) -> list[str]:
        """Return the orders that the book knows by this list only, by name."""
        new = [stream for stream in sorted(self.listed or ()) if stream > self.start_seq]
        return [name_of(self.desk.book.order(stream)) for stream in new]

    def missing(self) -> list[Order]:
        """Return the orders that are open here, that the venue knew, and that are not listed.

        One that was sent so lately that a list may not have it yet is not among them.
        """
        if self.listed is None:
            return []
        latest_ns = self._listed_ns - self.desk.capabilities.settling_ns
        return [
            order
            for order in self.desk.book.open_orders()
            if order.account_id in self.desk.account_ids
            and order.stream not in self.listed
            and order.stream <= self.start_seq
            and order.venue_order_id is not None
            and not order.standing.is_over()
            and (order.ts_submitted or 0) < latest_ns
        ]

    def missing_keys(self) -> list[Key]:
        """Return the positions that those orders are for."""
        return sorted({(order.account_id, order.instrument_id) for order in self.missing()})


def name_of(order: Order) -> str:
    """Return what an order goes by for people."""
    return order.client_order_id or order.venue_order_id or f"stream {order.stream}"
