"""Show one order of a robot as its ledger has it, and wait for it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

from fillbook.core.orders import Order
from fillbook.core.values import OrderStatus
from fillbook.feedback.runner import Runner

__all__ = ["OrderHandle"]


class _Robot(Protocol):
    """What an order asks of the robot it belongs to."""

    def cancel(self, order: "OrderHandle") -> None: ...

    def wait_until(self, is_so: Callable[[], bool], timeout_s: float | None = None) -> bool: ...


class OrderHandle:
    """One order of a robot, as its ledger has it at the moment of asking.

    Attributes:
        client_order_id: The id it was sent under.
    """

    def __init__(self, robot: _Robot, runner: Runner, client_order_id: str) -> None:
        self.client_order_id = client_order_id
        self._robot = robot
        self._runner = runner

    def __repr__(self) -> str:
        return f"<order {self.client_order_id} {self.order_status} {self.cum_qty}>"

    def _find(self) -> Order | None:
        return self._runner.tracker.book.find_order(self.client_order_id, None)

    def _ask(self, question: Callable[[Order], Any], otherwise: Any) -> Any:
        with self._runner.lock:
            order = self._find()
            return otherwise if order is None else question(order)

    @property
    def order_status(self) -> OrderStatus:
        """The status; `PENDING_NEW` while it waits for the line, `REJECTED` if it never left."""
        with self._runner.lock:
            order = self._find()
            if order is not None:
                return order.order_status
            queued = self._runner.tracker.book.control.queued
            waits = self.client_order_id in queued
            return OrderStatus.PENDING_NEW if waits else OrderStatus.REJECTED

    @property
    def cum_qty(self) -> Decimal:
        """What was filled, base units."""
        return Decimal(self._ask(lambda order: order.standing.cum_qty, Decimal(0)))

    @property
    def leaves_qty(self) -> Decimal | None:
        """What is still open, base units."""
        found: Decimal | None = self._ask(lambda order: order.standing.leaves_qty(), None)
        return found

    @property
    def avg_px(self) -> Decimal | None:
        """The average price of the fills; None while there is none or a price is unknown."""
        found: Decimal | None = self._ask(lambda order: order.standing.avg_px(), None)
        return found

    @property
    def venue_order_id(self) -> str | None:
        """The venue's id as it stands."""
        found: str | None = self._ask(lambda order: order.venue_order_id, None)
        return found

    @property
    def submitted_at(self) -> int | None:
        """When our intent was recorded; ns since 1970, UTC."""
        found: int | None = self._ask(lambda order: order.ts_submitted, None)
        return found

    @property
    def flags(self) -> tuple[str, ...]:
        """What was odd about it."""
        return tuple(self._ask(lambda order: order.flags, ()))

    @property
    def is_closed(self) -> bool:
        """True where nothing of it is open."""
        with self._runner.lock:
            order = self._find()
            if order is not None:
                return order.standing.is_over() and not order.standing.pending
            return self.order_status is OrderStatus.REJECTED

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing of it is open; False where that took longer than *timeout_s*."""
        return self._robot.wait_until(lambda: self.is_closed, timeout_s)

    def cancel(self) -> None:
        """See `Robot.cancel`."""
        self._robot.cancel(self)
