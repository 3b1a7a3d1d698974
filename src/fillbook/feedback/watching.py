"""Keep an eye on one order: when to ask about it next, and what has been asked in vain."""

from attrs import define, field

from fillbook.brokers.live import OrderRef
from fillbook.core.commands import CancelOrder
from fillbook.core.orders import Order, Request

__all__ = ["Watch", "is_unanswered", "ref_of", "unanswered_requests"]


@define(eq=False)
class Watch:
    """What the tracker remembers of an order that is not closed.

    None of it needs to survive a crash: after a restart everything is asked again.

    Attributes:
        stream: The order.
        since_ns: When it was submitted, or first seen here.
        sent_ns: When it may have left at the latest; it waits for its turn after it was submitted.
        ask_ns: When it is to be asked about next.
        wait_ns: The wait after the next answer that tells nothing; grows.
        misses: How often it was "not found" since that counts.
        first_miss_ns: When that was first heard.
        scope: What else was asked for in vain meanwhile: `open_orders`, `fills_since`.
        is_cancel_wanted: It is to be canceled, however often that must be asked for.
        cancel_count: How often that was.
        cancel_ns, replace_ns: When a cancel, a replacement was last sent.
        deferred: A cancel that waits until its broker can find the order by it.
        heard_ns: When anything was last heard of it.
        filled_ns: When a part of it was first known to be filled.
    """

    stream: int
    since_ns: int
    sent_ns: int
    ask_ns: int
    wait_ns: int
    misses: int = 0
    first_miss_ns: int = 0
    scope: set[str] = field(factory=set)
    is_cancel_wanted: bool = False
    cancel_count: int = 0
    cancel_ns: int = 0
    replace_ns: int = 0
    deferred: CancelOrder | None = None
    heard_ns: int = 0
    filled_ns: int = 0

    def answered(self, now: int, poll_ns: int, first_wait_ns: int, *, is_quiet: bool) -> None:
        """Note that something was heard of the order.

        Where nothing of it is unanswered (*is_quiet*) the next question can wait; else it stays
        when it is, or polls of the whole account would put it off for ever.
        """
        self.heard_ns = now
        if is_quiet:
            self.ask_ns = now + poll_ns
            self.wait_ns = first_wait_ns
        self.misses = 0
        self.scope.clear()

    def ask_later(self, now: int, most_ns: int) -> None:
        """Put the next question off, longer each time."""
        self.ask_ns = now + self.wait_ns
        self.wait_ns = min(2 * self.wait_ns, most_ns)


def ref_of(order: Order) -> OrderRef:
    """Return how *order* is named to its broker."""
    first = order.client_order_id or ""
    return OrderRef(
        client_order_id=order.live_client_order_id or first,
        first_client_order_id=first,
        venue_order_id=order.venue_order_id,
        account_id=order.account_id,
        instrument_id=order.instrument_id,
        asked_client_order_ids=tuple(
            request_id for request_id, each in order.requests.items() if each.kind == "REPLACE"
        ),
    )


def is_unanswered(order: Order) -> bool:
    """Tell whether we sent *order* and nothing ever told that the venue has it, or has it not."""
    now = order.standing
    return order.asked is not None and not now.is_received and not now.is_over()


def unanswered_requests(order: Order) -> list[tuple[str, Request]]:
    """Return our cancels and replacements of *order* that nobody has answered."""
    return [
        (request_id, request)
        for request_id, request in order.requests.items()
        if not request.is_answered and request_id not in order.standing.pending
    ]
