"""Build what tests speak of: reports, commands, orders, and a log that is a list.

Amounts are written as text and become canonical `Decimal`s.  A `Desk` is the whole house in
memory: book, recorder and log; after every event it checks what must hold of any book.
"""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from attrs import Factory, define, fields, frozen

from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.commands import CancelOrder, Command, ReplaceOrder, SubmitOrder
from fillbook.core.decide import decide_overdue
from fillbook.core.events import Event, FillInferred, OrderEvent, OrderFilled
from fillbook.core.exact import EXACT, decimal_of
from fillbook.core.folding import drift
from fillbook.core.lifecycle import Lifecycle
from fillbook.core.orders import Order
from fillbook.core.policies import AT_ONCE, FillPolicy
from fillbook.core.replaying import book_state, restore
from fillbook.core.reports import (
    CancelReject,
    CashReport,
    CommissionReport,
    InstrumentReport,
    OrderReport,
    Report,
    SplitReport,
)
from fillbook.core.values import ExecType, OrderStatus, Side
from fillbook.feedback.recorder import Judgement, Recorder
from fillbook.log.codec import decode, encode
from fillbook.log.port import Draft

INSTRUMENT = "INST"


def dec(text: str | None) -> Decimal | None:
    """Return an amount; None stays None."""
    return None if text is None else decimal_of(text)


def _made(cls: type[Any], told: dict[str, Any]) -> Any:
    amounts = {a.name for a in fields(cls) if "Decimal" in str(a.type)}
    return cls(
        **{
            key: dec(value) if key in amounts and isinstance(value, str) else value
            for key, value in told.items()
        }
    )


# ---- what others say


def a_report(exec_type: ExecType | None = None, **told: Any) -> OrderReport:
    """A report on order R-1; without *exec_type* a snapshot."""
    defaults = {"client_order_id": "R-1"}
    report: OrderReport = _made(OrderReport, defaults | {"exec_type": exec_type} | told)
    return report


def a_fill(trade_id: str | None, last_qty: str | None, last_px: str | None, **told: Any) -> Any:
    """A TRADE report on order R-1 under an execution id of its own, `E-<trade_id>`."""
    defaults: dict[str, Any] = {"trade_id": trade_id, "last_qty": last_qty, "last_px": last_px}
    if trade_id is not None:
        defaults["exec_id"] = f"E-{trade_id}"
    return a_report(ExecType.TRADE, **(defaults | told))


def a_bust(trade_id: str, **told: Any) -> OrderReport:
    """The venue takes the fill of `a_fill(trade_id, …)` back."""
    defaults = {"exec_ref_id": f"E-{trade_id}", "exec_id": f"B-{trade_id}"}
    return a_report(ExecType.TRADE_CANCEL, **(defaults | told))


def a_correction(trade_id: str, last_qty: str, last_px: str | None, **told: Any) -> OrderReport:
    """The venue puts other figures in the place of the fill of `a_fill(trade_id, …)`."""
    defaults: dict[str, Any] = {"exec_ref_id": f"E-{trade_id}", "exec_id": f"C-{trade_id}"}
    defaults |= {"last_qty": last_qty, "last_px": last_px}
    return a_report(ExecType.TRADE_CORRECT, **(defaults | told))


def a_snapshot(order_status: OrderStatus | None, **told: Any) -> OrderReport:
    """The answer to a poll."""
    return a_report(ExecType.ORDER_STATUS, order_status=order_status, **told)


def a_refusal(client_order_id: str, **told: Any) -> CancelReject:
    """The venue refuses the cancel or replacement that was asked for under this id."""
    refusal: CancelReject = _made(CancelReject, {"client_order_id": client_order_id} | told)
    return refusal


def a_fee(trade_id: str, commission: str, currency: str = "USD", **told: Any) -> CommissionReport:
    """A fee that is told apart from its fill."""
    defaults = {"instrument_id": INSTRUMENT, "trade_id": trade_id, "commission": commission}
    fee: CommissionReport = _made(
        CommissionReport, defaults | {"commission_currency": currency} | told
    )
    return fee


def an_instrument(**told: Any) -> InstrumentReport:
    """What INST is: linear, in USD."""
    defaults = {"instrument_id": INSTRUMENT, "base_currency": "BTC", "quote_currency": "USD"}
    instrument: InstrumentReport = _made(InstrumentReport, defaults | told)
    return instrument


def a_split(numerator: str, denominator: str, **told: Any) -> SplitReport:
    """A corporate action in INST."""
    amounts = {"numerator": numerator, "denominator": denominator}
    split: SplitReport = _made(SplitReport, {"instrument_id": INSTRUMENT} | amounts | told)
    return split


def some_cash(amount: str, **told: Any) -> CashReport:
    """Funding received for the position in INST."""
    defaults = {"instrument_id": INSTRUMENT, "currency": "USD", "reason": "FUNDING"}
    cash: CashReport = _made(CashReport, defaults | {"amount": amount} | told)
    return cash


# ---- what we say


def an_intent(client_order_id: str = "R-1", order_qty: str | None = "10", **told: Any) -> Any:
    """Our order: buy 10 INST at 100."""
    defaults: dict[str, Any] = {
        "client_order_id": client_order_id,
        "instrument_id": INSTRUMENT,
        "side": Side.BUY,
        "order_type": "LIMIT",
        "order_qty": order_qty,
        "limit_px": "100",
    }
    return _made(SubmitOrder, defaults | told)


def a_cancel(client_order_id: str, orig: str = "R-1", **told: Any) -> Any:
    """Our request for a cancel."""
    ids = {"client_order_id": client_order_id, "orig_client_order_id": orig}
    return _made(CancelOrder, ids | told)


def a_replace(client_order_id: str, order_qty: str | None, orig: str = "R-1", **told: Any) -> Any:
    """Our request for another quantity."""
    ids = {"client_order_id": client_order_id, "orig_client_order_id": orig}
    return _made(ReplaceOrder, ids | {"order_qty": order_qty} | told)


# ---- the house, in memory


@frozen
class ListRecord:
    """One event of a `ListLog`, as far as a fold reads it."""

    seq: int
    stream: int
    position: int | None
    event: Event
    type: str


@define
class ListLog:
    """A log that is a list; it is also a book's `History`.

    What is appended goes through the codec, so the fold reads what a file would give back.
    """

    records: list[ListRecord] = Factory(list)
    keys: dict[str, int] = Factory(dict)
    client_ids: dict[str, int] = Factory(dict)
    venue_ids: dict[str, list[int]] = Factory(dict)

    def append(self, draft: Draft) -> ListRecord:
        """Take one draft; refuse what a log would refuse."""
        seq = len(self.records) + 1
        stream = seq if draft.stream is None else draft.stream
        position = seq if draft.position == 0 else draft.position
        event = draft.event
        body = encode(event)
        event = decode(event.type, event.version, body, event.ts_event, event.ts_received)
        assert event == draft.event
        if draft.expected_version is not None:
            assert draft.expected_version == sum(r.stream == stream for r in self.records)
        if draft.idempotency_key is not None:
            assert draft.idempotency_key not in self.keys, f"{draft.idempotency_key} is used"
            self.keys[draft.idempotency_key] = seq
        if draft.client_order_id is not None:
            assert draft.client_order_id not in self.client_ids, f"{draft.client_order_id} is used"
            self.client_ids[draft.client_order_id] = stream
        if draft.venue_order_id is not None:
            self.venue_ids.setdefault(draft.venue_order_id, []).append(stream)
        record = ListRecord(seq, stream, position, event, event.type)
        self.records.append(record)
        return record

    def record(self, seq: int) -> ListRecord:
        """Return one record."""
        return self.records[seq - 1]

    def stream_records(self, stream: int, upto: int) -> Iterable[ListRecord]:
        """Return the records of one stream up to seq *upto*."""
        return [r for r in self.records[:upto] if r.stream == stream]

    def position_records(self, number: int, upto: int) -> Iterable[ListRecord]:
        """Return the records up to *upto* that move this position, and the instruments' own."""
        return [r for r in self.records[:upto] if r.position is None or r.position == number]

    def find_client_order(self, client_order_id: str) -> int | None:
        """Return the stream whose chain has this id."""
        return self.client_ids.get(client_order_id)

    def find_venue_orders(self, venue_order_id: str) -> list[int]:
        """Return the streams that ever had this venue id, oldest first."""
        return sorted(set(self.venue_ids.get(venue_order_id, ())))

    def find_trades(self, trade_id: str) -> list[int]:
        """Return the streams that have a fill with this trade id."""
        prefix = f"fill:{trade_id}:"
        rest = [key[len(prefix) :] for key in self.keys if key.startswith(prefix)]
        return sorted(int(each) for each in rest if each.isdigit())


def check_order(order: Order) -> None:
    """Assert what holds of an order after any event."""
    now = order.standing
    assert order.order_status is now.status()
    assert now.cum_qty == _total(fill.qty for fill in order.fills.values())
    priced = [fill for fill in order.fills.values() if fill.px is not None]
    assert now.unpriced_qty == EXACT.subtract(now.cum_qty, _total(f.qty for f in priced))
    standing = {part.fill_no: part.qty for part in order.inferred}
    inferred = {f.fill_no: f.qty for f in order.fills.values() if f.is_inferred and f.qty}
    assert standing == inferred
    assert all(fill.qty >= 0 for fill in order.fills.values())


def _total(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


class CheckedBook(Book):
    """A book that holds every event against what the fold makes of it."""

    def apply(self, record: Any) -> None:
        """Take in the next record and check what must hold after it."""
        super().apply(record)
        if isinstance(record.event, OrderEvent):
            order = self.order(record.stream)
            assert drift(order, record.event) is None
            assert order.order_status is record.event.order_status
            check_order(order)


class Desk:
    """A book, its recorder and a list for a log."""

    def __init__(
        self,
        *,
        policy: FillPolicy = AT_ONCE,
        machine: Lifecycle | None = None,
        keep_closed: int = 10_000,
    ) -> None:
        self.log = ListLog()
        self.policy = policy
        self._take(CheckedBook(self.log, machine, keep_closed))
        self.said = 0

    def _take(self, book: Book) -> None:
        self.book = book
        self.recorder = Recorder(
            book,
            self.log.append,  # type: ignore[arg-type]
            self.log.keys.__contains__,
            policy=self.policy,
        )

    def restart(self) -> None:
        """Go on with the book that a snapshot of this one gives back."""
        state = json.loads(json.dumps(book_state(self.book)))
        self._take(restore(state, self.log))

    def say(self, *contents: Command | Report) -> Judgement:
        """Record messages; return what came of the last."""
        assert contents
        for content in contents:
            self.said += 1
            kind = type(content).__name__
            judgement = self.recorder.record(
                Message(self.said, kind, content, repr(content).encode())
            )
            self.book.trim()
        return judgement

    def wait_until(self, now_ns: int) -> list[str]:
        """Let the time pass to *now_ns* and infer what is overdue; return the events' types."""
        types = []
        for order in self.orders():
            for event in decide_overdue(order, now_ns, self.policy):
                self.recorder._message, self.recorder._cause = (
                    Message(0, "overdue", None, b""),
                    None,
                )
                self.recorder._append_order_event(order, event)
                types.append(event.type)
        return types

    def order(self, client_order_id: str = "R-1") -> Order:
        """Return the order that has this client id."""
        order = self.book.find_order(client_order_id, None)
        assert order is not None, f"no order {client_order_id}"
        return order

    def orders(self) -> list[Order]:
        """Return every order, by first appearance."""
        streams = dict.fromkeys(
            r.stream for r in self.log.records if isinstance(r.event, OrderEvent)
        )
        return [self.book.order(stream) for stream in streams]

    def types(self) -> list[str]:
        """Return the types of all events so far."""
        return [record.type for record in self.log.records]

    def position(self) -> Any:
        """Return the figures of the only position."""
        views = self.book.position_views()
        assert len(views) == 1, views
        return views[0]


def an_order(*reports: Report | Command, **told: Any) -> Order:
    """An order of ours (buy 10 INST at 100) after these messages."""
    desk = Desk()
    desk.say(an_intent(**told), *reports)
    return desk.order()


def fill_count(desk: Desk) -> int:
    """Return how many events booked a fill."""
    return sum(isinstance(r.event, OrderFilled | FillInferred) for r in desk.log.records)
