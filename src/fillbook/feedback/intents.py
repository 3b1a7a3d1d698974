"""Take what the robot wants, or refuse it: then nothing is recorded, and nothing goes out.

Whether an order, a cancel or a replacement may be wanted as things stand is asked here, once for
each wish of the robot's author or an operator.  What is taken goes on to `Requests`, which sends it
and follows what becomes of it; what policies and the recovery ask for goes there at once.
"""

from typing import Any

from fillbook.core.client_ids import is_of_form
from fillbook.core.commands import SubmitOrder
from fillbook.core.orders import Order
from fillbook.errors import BadRequest, OfflineRefused, RobotClosed, StorageFailed
from fillbook.feedback.gate import refuse_if_halted, refuse_replace_if_halted
from fillbook.feedback.requests import Requests
from fillbook.feedback.work import Work

__all__ = ["Intents"]


class Intents:
    """What one robot may want."""

    def __init__(self, work: Work, requests: Requests) -> None:
        self._work = work
        self._requests = requests

    def submit(self, command: SubmitOrder, now: int) -> Order | None:
        """Record *command* and have it sent; None where it is queued until the line is back.

        Raises a `RequestRefused` and records nothing where it may not be sent, `StorageFailed`
        where it cannot be made durable.
        """
        work = self._work
        self._may_want()
        form = work.capabilities.client_id_form
        if not is_of_form(form, command.client_order_id):
            raise BadRequest(
                f"client_order_id {command.client_order_id!r} is not of the form {form}, which "
                f"{work.capabilities.name} takes; leave it out, and one is made"
            )
        refuse_if_halted(work.book, command)
        is_queued = command.client_order_id in work.book.control.queued
        if is_queued or work.book.find_order(command.client_order_id, None) is not None:
            raise BadRequest(f"client_order_id {command.client_order_id!r} was used before")
        if work.schedule.is_open:
            return self._requests.send(command, now)
        if work.settings.offline != "QUEUE":
            raise OfflineRefused(self._why_offline())
        self._requests.queue(command, now)
        return None

    def cancel(self, order: Order, now: int) -> None:
        """Have what is left of *order* canceled; asked for until it is known to be over.

        Allowed under every halt and while the line is down.  Raises `BadRequest` where nothing of
        the order is open.
        """
        work = self._work
        if work.is_stopping:
            raise RobotClosed
        if order.standing.is_over():
            raise BadRequest(f"order {order.client_order_id} is {order.order_status} already")
        if order.client_order_id is None:  # a request of ours would have nothing to refer to
            raise BadRequest(
                f"order {order.venue_order_id} is somebody else's and has no client order id: "
                "cancel it at the broker"
            )
        watch = work.watch(order, now)
        if not self._requests.is_cancel_asked(order, watch):
            watch.cancel_count = 0
            self._requests.ask_cancel(order, watch, now)

    def cancel_queued(self, client_order_id: str, now: int) -> bool:
        """Take an order out of the queue; False where it is not there."""
        if client_order_id not in self._work.book.control.queued:
            return False
        self._requests.drop_queued(client_order_id, "CANCELED", None, now)
        return True

    def cancel_all(self, now: int, instrument_id: str | None = None) -> int:
        """Cancel every open order, or those of one instrument; return how many."""
        work = self._work
        count = 0
        for order in list(work.book.open_orders()):
            is_meant = instrument_id in (None, order.instrument_id)
            if is_meant and order.client_order_id is not None and not order.standing.is_over():
                self.cancel(order, now)
                count += 1
        for client_order_id, queued in list(work.book.control.queued.items()):
            if instrument_id in (None, queued.instrument_id):
                count += self.cancel_queued(client_order_id, now)
        return count

    def replace(self, order: Order, now: int, **terms: Any) -> None:
        """Ask for other terms of *order*: `order_qty`, `limit_px`, `stop_px`; see `submit`."""
        work = self._work
        self._may_want()
        if not work.capabilities.can_replace:
            raise BadRequest(f"{work.capabilities.name} cannot replace orders")
        if not work.schedule.is_open:
            raise OfflineRefused(self._why_offline())
        if order.standing.is_over():
            raise BadRequest(f"order {order.client_order_id} is {order.order_status} already")
        wanted = [terms.get(each) for each in ("order_qty", "limit_px", "stop_px")]
        refuse_replace_if_halted(work.book, order, *wanted)
        self._requests.replace(order, now, **terms)

    def _may_want(self) -> None:
        work = self._work
        if work.is_stopping:
            raise RobotClosed
        if work.keeper.storage_problem is not None:
            raise StorageFailed("the ledger", work.keeper.storage_problem)

    def _why_offline(self) -> str:
        """Return why nothing new is sent, in words."""
        work = self._work
        if not work.line.is_up:
            return f"{work.capabilities.name} cannot be reached ({work.line.problem})"
        if not work.task.is_ready:
            agreement = work.book.agreements.of([work.settings.account_id])
            why = agreement.why_open(work.line.since_ns)
            text = f"book and {work.capabilities.name} are still being compared"
            return text if why is None else f"{text} ({why})"
        return f"{work.capabilities.name} is still being asked what became of earlier orders"
