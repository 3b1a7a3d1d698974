"""Say what a live broker is to this package: what it can do, and the few calls it answers.

An adapter translates and does nothing else: no retries, no waiting for a better answer, no opinion
about what a silence means.  Every method may be called from any thread, several at once, and may
take as long as it takes: whoever calls it keeps the deadline.

What comes back is a `Message` with the claim (`content`) and the bytes it was read from (`raw`).
A call that fails raises, and the kind of error is evidence or is none:

- `BrokerRefused`: the broker answered, and the answer is no.  Evidence.
- `NotSent`: not one byte of the request left this machine.  Evidence.
- anything else (a timeout, a broken line, a 5xx, an answer that cannot be read): no evidence.
"""

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from fillbook.brokers.port import Message
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder

__all__ = ["Broker", "BrokerRefused", "Capabilities", "Listener", "NotSent", "OrderRef"]

SECOND = 1_000_000_000


@frozen(kw_only=True)
class Capabilities:
    """What a broker can do; what it does not declare is never asked of it.

    Attributes:
        name: The broker, in a word, for people.
        client_id_form: What a client order id may look like: `TEXT` (at most 36 of
            ``A-Z a-z 0-9 - _``), `UUID`, `INTEGER` (at most 18 digits) or `SHORT` (at most 12
            characters of the same set).
        has_stream: It tells by itself what happens (`Broker.connect`).
        is_submit_idempotent: The same order sent twice under one id makes one order.
        can_look_up: `look_up` finds an order by the id that we gave it.
        can_look_up_by_venue_id: `look_up` finds an order by the venue's id.
        has_open_orders: `open_orders` lists everything open on the account.
        has_fills_since: `fills_since` lists the account's fills.
        has_positions: `positions` tells what the account holds.
        has_instruments: `instruments` tells what it trades.
        has_activities: `activities_since` tells what happened to the account without an order.
        has_cash: `cash` tells what money there is.
        can_replace: `replace` is understood.
        settling_ns: How long after a submission a look-up may still not find the order.
        positions_lag_ns: How long after a fill `positions` may still be without it.
        calls: How many calls it takes per `per_ns`, all kinds together.
        concurrency: How many calls may be under way at once.
    """

    name: str
    client_id_form: str = "TEXT"
    has_stream: bool = False
    is_submit_idempotent: bool = False
    can_look_up: bool = False
    can_look_up_by_venue_id: bool = False
    has_open_orders: bool = False
    has_fills_since: bool = False
    has_positions: bool = False
    has_instruments: bool = False
    has_activities: bool = False
    has_cash: bool = False
    can_replace: bool = False
    settling_ns: int = 5 * SECOND
    positions_lag_ns: int = 15 * SECOND
    calls: int = 10
    per_ns: int = SECOND
    concurrency: int = 4


@frozen(kw_only=True)
class OrderRef:
    """How to name one order to its broker.

    Attributes:
        client_order_id: The id it goes by now: the first one, or that of its last accepted
            replacement.
        first_client_order_id: The id it was sent under.
        venue_order_id: The venue's id, None while it is not known.
        asked_client_order_ids: Ids of replacements that we asked for: an answer may name the order
            by one of them before we have heard that it was accepted, or after.
    """

    client_order_id: str
    first_client_order_id: str
    venue_order_id: str | None
    account_id: str
    instrument_id: str
    asked_client_order_ids: tuple[str, ...] = ()


class BrokerRefused(Exception):
    """The broker answered no.

    Attributes:
        reason: One word of the word table (`DUPLICATE_ORDER`, `UNKNOWN_ORDER`,
            `TOO_LATE_TO_CANCEL`, `OTHER`, …).
        text: What it said, for people.
        raw: Its answer, byte for byte.
    """

    def __init__(self, reason: str, text: str, raw: bytes = b"") -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason
        self.text = text
        self.raw = raw


class NotSent(Exception):
    """The request did not leave: no connection could be made, or a local limit stopped it."""


class Listener(Protocol):
    """Who hears a broker's stream; both methods may be called from any thread."""

    def hear(self, message: Message) -> None:
        """Take one message, in the order of arrival."""
        ...

    def line(self, is_up: bool, problem: str = "") -> None:
        """Take note that the stream is connected, or that it is not and why."""
        ...


class Broker(Protocol):
    """The port.  A method whose capability is not declared is never called."""

    @property
    def capabilities(self) -> Capabilities:
        """What this broker can do; the same for as long as the object lives."""
        ...

    def connect(self, listener: Listener) -> None:
        """Begin to pass the stream on to *listener*; reconnecting is the adapter's business."""
        ...

    def close(self) -> None:
        """Stop the stream and let go of everything; calls under way may fail."""
        ...

    def submit(self, order: SubmitOrder) -> Sequence[Message]:
        """Send a new order and return what was answered about it, at least one report.

        Raises `BrokerRefused` where the order is refused.
        """
        ...

    def cancel(self, request: CancelOrder, order: OrderRef) -> Sequence[Message]:
        """Ask for a cancel and return what was answered: empty where it was only taken note of.

        Raises `BrokerRefused` where it is refused.
        """
        ...

    def replace(self, request: ReplaceOrder, order: OrderRef) -> Sequence[Message]:
        """Ask for other terms; see `cancel`."""
        ...

    def look_up(self, order: OrderRef) -> Sequence[Message]:
        """Return the order as it stands (a report, and its fills where they come along).

        Empty where the broker says that it knows no such order; that is all it means.
        """
        ...

    def open_orders(self) -> Sequence[Message]:
        """Return a report of every order that is open on the account."""
        ...

    def fills_since(self, ts_event: int) -> Sequence[Message]:
        """Return the account's fills from *ts_event* (ns since 1970, UTC) on, oldest first."""
        ...

    def instruments(self) -> Sequence[Message]:
        """Return what is traded, an `InstrumentReport` for each: how money is made of a price."""
        ...

    def positions(self) -> Sequence[Message]:
        """Return what the account holds, a `PositionReport` for each instrument.

        An instrument that is not named is not said to be flat.
        """
        ...

    def activities_since(self, ts_event: int) -> Sequence[Message]:
        """Return what moved positions or money without an order, oldest first.

        From *ts_event* (ns since 1970, UTC) on: `SplitReport`, `CashReport`, `TransferReport` and
        `CommissionReport`.  What an order filled is not among them, whosever order it was: that
        is in `fills_since`.
        """
        ...

    def cash(self) -> Sequence[Message]:
        """Return a `BalanceReport` for each currency, as the broker counts the account's money."""
        ...
