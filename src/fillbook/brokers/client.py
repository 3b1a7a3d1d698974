"""Make a broker of any object with four methods that speak in dictionaries.

    place_order(order)          {"order_id": …}, more of `get_order_status` where it is known
    get_order_status(order_id)  {"status": …, "filled_quantity": …, "average_price": …}, and where
                                they are known `order_id`, `client_order_id`, `symbol`, `side`,
                                `quantity` (ordered), `reason`, `text`, and `fills`: a list of
                                {"trade_id", "quantity", "price"} with `commission`,
                                `commission_currency`, `timestamp`
    cancel_order(order_id)      anything that is true
    get_positions()             a list of {"symbol", "quantity" (signed), "average_price"}

Four more are used where they are there, and each widens what the broker says that it can do:

    get_order_by_client_id(client_order_id)   as `get_order_status`, with `order_id`
    replace_order(order_id, changes)          {"order_id": …} once it is replaced
    get_open_orders()                         a list of what `get_order_status` answers
    get_fills(since)                          a list of fills with `order_id`, `symbol`, `side`

All may be plain or `async`.  Their errors come as they are, and are evidence of nothing, except
those that the owner names: `refusals`, `not_sent`, `not_found`.
"""

import inspect
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from fillbook.brokers.client_answers import Answers, NoAnswer, refusal_in
from fillbook.brokers.client_loop import ClientLoop
from fillbook.brokers.client_orders import Amounts, change_dict, order_dict
from fillbook.brokers.client_values import STATUSES, raw_of
from fillbook.brokers.live import BrokerRefused, Capabilities, Listener, NotSent, OrderRef
from fillbook.brokers.port import Message
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.values import OrderStatus

__all__ = ["ClientBroker", "NoAnswer"]

Errors = tuple[type[Exception], ...]

_METHODS = ("place_order", "get_order_status", "cancel_order", "get_positions")
_NEEDS = {
    "can_look_up": "get_order_by_client_id",
    "can_look_up_by_venue_id": "get_order_status",
    "has_open_orders": "get_open_orders",
    "has_fills_since": "get_fills",
    "has_positions": "get_positions",
    "can_replace": "replace_order",
}
"""The method that each capability stands on."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ClientBroker:
    """A `live.Broker` made of somebody's client.

    Args:
        client: The object with the methods above.
        capabilities: What it can do; by default what its methods show, with 10 calls a second.
        account_id: The account it trades on.
        amounts: How it wants quantities and prices: `Decimal`, `str`, or `float`, where an amount
            that no float repeats exactly is not sent.
        order_ids: Makes the client's order id of its text: `int` where ids are numbers.  The
            ledger keeps text, so without it ids are text again after a restart.
        refusals: Errors that say no: classes, or classes with the reason's word
            (`{DuplicateId: "DUPLICATE_ORDER"}`).  An error's own `reason` goes before.
        not_sent: Errors that prove that no byte of the request left.
        not_found: Errors by which a look-up says that there is no such order.
        error_refuses: Whether ``{"error": …}`` without an `order_id` is a refusal.  It is not for a
            client that turns timeouts and broken lines into such answers.
        statuses: The client's further words for statuses (`{"open": "NEW"}`).
        timeout_s: After so long an `async` method is canceled.
        clock: Tells nanoseconds since 1970.
    """

    def __init__(
        self,
        client: object,
        *,
        capabilities: Capabilities | None = None,
        account_id: str = "default",
        amounts: Amounts = Decimal,
        order_ids: Callable[[str], object] = str,
        refusals: Errors | Mapping[type[Exception], str] = (),
        not_sent: Errors = (),
        not_found: Errors = (),
        error_refuses: bool = True,
        statuses: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        missing = [name for name in _METHODS if not callable(getattr(client, name, None))]
        if missing:
            raise TypeError(f"{type(client).__name__} has no method {', '.join(missing)}")
        if amounts not in (Decimal, str, float):
            raise TypeError(f"amounts is {amounts!r}: Decimal, str or float")
        self._client: Any = client
        self._capabilities = _capabilities(client, capabilities)
        self._amounts = amounts
        self._order_id = order_ids
        self._refusals = dict(refusals) if isinstance(refusals, Mapping) else dict.fromkeys(
            refusals, "OTHER"
        )  # fmt: skip
        self._not_sent = not_sent
        self._not_found = not_found
        self._error_refuses = error_refuses
        self._answers = Answers(
            account_id=account_id,
            statuses=STATUSES
            | {word.lower(): OrderStatus(status) for word, status in (statuses or {}).items()},
            clock=clock,
        )
        self._loop = ClientLoop(timeout_s)

    @property
    def capabilities(self) -> Capabilities:
        """What the client's methods show, or what its owner declared."""
        return self._capabilities

    def connect(self, listener: Listener) -> None:
        """Do nothing: a client of this kind tells nothing by itself."""

    def close(self) -> None:
        """End the private loop; what is under way on it fails.

        An `async` client's `aclose` (or `close`) is awaited there, where its sessions live; a plain
        one stays its owner's business.
        """
        for name in ("aclose", "close"):
            method = getattr(self._client, name, None)
            if inspect.iscoroutinefunction(method):
                return self._loop.close(method)
        return self._loop.close()

    # ---- requests

    def submit(self, order: SubmitOrder) -> list[Message]:
        """Place an order; the first report has the venue's id.

        Raises `NoAnswer` for an answer without an id, or about another order.
        """
        written = order_dict(order, self._amounts)
        answer = self._ask(self._client.place_order, written)
        messages = self._answers.placed(answer, order)
        return messages + self._typed(answer)

    def cancel(self, request: CancelOrder, order: OrderRef) -> list[Message]:
        """Ask for a cancel; what came of it is told by the next poll."""
        answer = self._ask(self._client.cancel_order, self._id_of(order))
        return self._answers.canceled(answer, order)

    def replace(self, request: ReplaceOrder, order: OrderRef) -> list[Message]:
        """Ask for other terms; an answer with `order_id` says that they hold."""
        changes = change_dict(request, self._amounts)
        answer = self._ask(self._client.replace_order, self._id_of(order), changes)
        return self._answers.replaced(answer, request, order)

    # ---- questions

    def look_up(self, order: OrderRef) -> list[Message]:
        """Return the order with its fills; by the venue's id where it is known."""
        try:
            if order.venue_order_id is not None:
                answer = self._call(self._client.get_order_status, self._id_of(order))
            elif self._capabilities.can_look_up:
                method = self._client.get_order_by_client_id
                answer = self._call(method, order.client_order_id)
            else:
                raise NoAnswer("without the venue's id this client cannot be asked for an order")
        except self._not_found:
            return []
        return self._answers.status(answer, order)

    def open_orders(self) -> list[Message]:
        """Return a report of every open order."""
        return self._answers.open_orders(self._call(self._client.get_open_orders))

    def fills_since(self, ts_event: int) -> list[Message]:
        """Return the account's fills; the client is given an aware `datetime`, rounded down."""
        since = _EPOCH + timedelta(microseconds=ts_event // 1000)
        return self._answers.fills(self._call(self._client.get_fills, since))

    def instruments(self) -> list[Message]:
        """Return nothing: the four methods do not tell what is traded, and it is not declared."""
        return []

    def activities_since(self, ts_event: int) -> list[Message]:
        """Return nothing: no method of the client tells them, and it is not declared."""
        return []

    def cash(self) -> list[Message]:
        """Return nothing: no method of the client tells it, and it is not declared."""
        return []

    def positions(self) -> list[Message]:
        """Return what the account holds."""
        return self._answers.positions(self._call(self._client.get_positions))

    # ---- helpers

    def _ask(self, method: Callable[..., Any], *args: object) -> Any:
        """Return the answer to a request; raise `BrokerRefused` where it is a no."""
        try:
            answer = self._call(method, *args)
        except tuple(self._refusals) as exc:
            word = next(word for cls, word in self._refusals.items() if isinstance(exc, cls))
            own = getattr(exc, "reason", None)
            reason = own if isinstance(own, str) and own.isupper() else word
            raise BrokerRefused(reason, str(exc), raw_of(str(exc))) from exc
        refusal = refusal_in(answer, error_refuses=self._error_refuses)
        if refusal is not None:
            raise refusal
        return answer

    def _call(self, method: Callable[..., Any], *args: object) -> Any:
        try:
            return self._loop.call(method, *args)
        except self._not_sent as exc:
            raise NotSent(str(exc)) from exc

    def _id_of(self, order: OrderRef) -> object:
        if order.venue_order_id is None:
            raise NotSent("the venue's id of the order is not known yet")
        return self._order_id(order.venue_order_id)

    def _typed(self, answer: Any) -> list[Message]:
        """Set aside, once, that the client's ids are numbers and nobody said so."""
        given = answer["order_id"]
        if not isinstance(given, int) or self._order_id is not str:
            return []
        self._order_id = int
        problem = (
            "order_id: it is a number, and after a restart it would be asked for as text; "
            "make the broker with order_ids=int"
        )
        return [Message(0, "report", None, raw_of(answer), problem)]


def _capabilities(client: object, declared: Capabilities | None) -> Capabilities:
    """Return *declared* if the client has a method for all of it, else what its methods show."""
    has: dict[str, Any] = {
        word: callable(getattr(client, name, None)) for word, name in _NEEDS.items()
    }
    if declared is None:
        return Capabilities(name=type(client).__name__, **has)
    for word, name in _NEEDS.items():
        if getattr(declared, word) and not has[word]:
            raise TypeError(f"{word} is declared, and {type(client).__name__} has no {name}")
    if declared.has_stream:
        raise TypeError("has_stream is declared, and a client of this kind tells nothing by itself")
    return declared
