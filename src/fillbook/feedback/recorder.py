"""Take one message through the house: claim, decide, log, fold, and say what came of it.

The recorder is the only way into the book.  It finds the order a message speaks of, lets `core`
decide, hands the events to the log and folds what the log returns.  It holds no state of its own
but the book, and the book is the fold of the log.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal

from attrs import frozen

from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.commands import CancelOrder, Command, ReplaceOrder, SubmitOrder
from fillbook.core.decide import (
    decide,
    decide_cancel_reject,
    decide_commission,
    decide_request,
    decide_submit,
    is_older,
    why_unplaced,
)
from fillbook.core.deciding_other import OtherReport, decide_other
from fillbook.core.events import (
    CommissionChanged,
    Event,
    FillBusted,
    FillCorrected,
    FillInferred,
    InferredFillReleased,
    MessageSetAside,
    OrderDisputed,
    OrderEvent,
    OrderFilled,
)
from fillbook.core.operator_events import PositionAdjusted
from fillbook.core.orders import Order
from fillbook.core.policies import AT_ONCE, FillPolicy
from fillbook.core.reconciled_events import BookReconciled, PositionAdopted
from fillbook.core.reports import CancelReject, CommissionReport, OrderReport
from fillbook.core.robot_events import HaltDeclared
from fillbook.core.values import Side, Source
from fillbook.feedback.eventlog import log_event
from fillbook.log.port import LEDGER_STREAM, Actor, Draft, Record

__all__ = ["Judgement", "Outcome", "Recorder", "Sink"]

Outcome = Literal["RECORDED", "DUPLICATE", "STALE", "DISPUTED", "SET_ASIDE"]

Sink = Callable[[Draft], Record]
"""Takes one draft into the log and returns its record at once."""

_MOVES = (
    OrderFilled, FillInferred, FillBusted, FillCorrected, InferredFillReleased, CommissionChanged
)  # fmt: skip
_SPOKEN = {
    "refusal": "the venue refused a message of ours (35=3 or j) and names no order",
    "dont_know": "a counterparty does not know a trade (35=Q)",
}


@frozen
class Judgement:
    """What came of one message.

    Attributes:
        kind: What kind of message it was.
        outcome: RECORDED, DUPLICATE, STALE, DISPUTED or SET_ASIDE.
        events: What was appended.
        order: The order it concerns, as of after it; None where it concerns none.
        problem: Why it was set aside or is disputed.
    """

    kind: str
    outcome: Outcome
    events: tuple[Event, ...] = ()
    order: Order | None = None
    problem: str | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        """What this message showed."""
        seen: dict[str, None] = {}
        for event in self.events:
            if isinstance(event, OrderEvent):
                seen.update(dict.fromkeys(event.flags))
        return tuple(seen)


class Recorder:
    """Record messages, one after the other.

    Args:
        book: The book as of the log's head; it moves with every message.
        sink: Where drafts go.
        is_known: Tells whether an idempotency key is in the log.
        name: Where the messages come from, for the correlation (`day.fix:123`).
    """

    def __init__(
        self,
        book: Book,
        sink: Sink,
        is_known: Callable[[str], bool],
        *,
        policy: FillPolicy = AT_ONCE,
        source: Source = Source.IMPORT,
        actor: Actor = "IMPORT",
        name: str | None = None,
    ) -> None:
        self.book = book
        self._sink = sink
        self._is_known = is_known
        self._policy = policy
        self._source = source
        self._actor: Actor = actor
        self._name = name
        self._message = Message(0, "", None, b"")
        self._cause: int | None = None

    def record(self, message: Message) -> Judgement:
        """Record *message* and return what came of it."""
        self._message, self._cause = message, None
        content = message.content
        if message.problem is not None:
            return self._set_aside(message.problem)
        if content is None:
            spoken = _SPOKEN.get(message.kind)
            return self._set_aside(spoken) if spoken else Judgement(message.kind, "DUPLICATE")
        if isinstance(content, OrderReport):
            return self._order_report(content)
        if isinstance(content, (SubmitOrder, CancelOrder, ReplaceOrder)):
            return self._command(content)
        if isinstance(content, CancelReject):
            return self._cancel_reject(content)
        if isinstance(content, CommissionReport):
            return self._commission(content)
        return self._other(content)

    def note(
        self,
        kind: str,
        order: Order | None,
        events: Sequence[OrderEvent],
        cause: Event | None = None,
    ) -> Judgement:
        """Append what was decided about *order* without a message, as one that says *kind*.

        *cause* is an event of the ledger's own stream that goes before and led to it.
        """
        self._message, self._cause = Message(0, kind, None, b""), None
        if cause is not None:
            self._append_other(cause, LEDGER_STREAM)
        return self._settle(order, events)

    def note_other(self, event: Event) -> Judgement:
        """Append an event of the ledger's own stream, which no message led to."""
        self._message, self._cause = Message(0, event.type, None, b""), None
        return self._append_other(event, LEDGER_STREAM)

    def note_adjustment(self, event: PositionAdjusted) -> Judgement:
        """Append that a position was set right by hand."""
        self._message, self._cause = Message(0, event.type, None, b""), None
        number = self.book.positions.number(event.account_id, event.instrument_id) or 0
        return self._append_other(event, position=number)

    def note_reconciled(
        self,
        run: BookReconciled,
        raw: bytes,
        adoptions: Sequence[tuple[PositionAdopted, SubmitOrder | None]],
        halts: Sequence[HaltDeclared],
    ) -> tuple[Judgement, list[Judgement]]:
        """Append a comparison with all that it led to; *raw* is what the broker said.

        Returns what came of the run itself, and of each order that trades an adoption back.
        """
        self._message, self._cause = Message(0, run.type, None, raw), None
        judgement = self._append_other(run, LEDGER_STREAM)
        orders: list[Judgement] = []
        for adoption, order in adoptions:
            number = self.book.positions.number(adoption.account_id, adoption.instrument_id) or 0
            key = f"adjust:{adoption.adjustment_id}"
            self._append_other(adoption, key=key, position=number)
            if order is not None:
                orders.append(self._command(order))
        for halt in halts:
            self._append_other(halt, LEDGER_STREAM)
        return judgement, orders

    def concerned(self, message: Message) -> Order | None:
        """Return the order that *message* speaks of as the book stands; nothing is decided."""
        content = message.content
        if isinstance(content, (OrderReport, CancelReject)):
            return self._find(content)
        if isinstance(content, SubmitOrder):
            return self.book.find_order(content.client_order_id, None)
        if isinstance(content, (CancelOrder, ReplaceOrder)):
            return self.book.find_order(content.orig_client_order_id, None)
        if isinstance(content, CommissionReport):
            return self._charged_orders(content)[0]
        return None

    # ---- orders

    def _find(self, report: OrderReport | CancelReject) -> Order | None:
        def fits(order: Order) -> bool:
            if isinstance(report, CancelReject):
                return True
            return (
                report.instrument_id in (None, order.instrument_id)
                and report.account_id in (None, order.account_id)
                and (report.side is None or (report.side is Side.BUY) == (order.sign > 0))
            )

        return self.book.find_order(
            report.client_order_id, report.venue_order_id, report.orig_client_order_id, fits
        )

    def _order_report(self, report: OrderReport) -> Judgement:
        order = self._find(report)
        if order is None:
            problem = why_unplaced(report)
            if problem is not None:
                return self._set_aside(problem)
        events = decide(order, report, self._policy, self._source)
        return self._settle(order, events, report.ts_event, _is_seen(order, report))

    def _command(self, command: Command) -> Judgement:
        taken = self.book.find_order(command.client_order_id, None)
        if isinstance(command, SubmitOrder):
            return self._settle(taken, decide_submit(taken, command, self._source))
        order = self.book.find_order(command.orig_client_order_id, None)
        if order is None:
            return self._set_aside(
                f"orig_client_order_id: {command.orig_client_order_id!r} names no order we know"
            )
        is_taken = taken is not None and taken is not order
        return self._settle(order, decide_request(order, command, self._source, is_taken))

    def _cancel_reject(self, reject: CancelReject) -> Judgement:
        order = self._find(reject)
        if order is None:
            return self._set_aside("it refuses a request for an order that we do not know")
        events = decide_cancel_reject(order, reject, self._source)
        return self._settle(order, events, reject.ts_event, is_seen=False)

    def _commission(self, report: CommissionReport) -> Judgement:
        order, count = self._charged_orders(report)
        if order is None:
            how_many = "no fill" if count == 0 else f"{count} fills, not one"
            return self._set_aside(f"trade_id: {report.trade_id!r} names {how_many} that we know")
        return self._settle(order, decide_commission(order, report, self._source))

    def _charged_orders(self, report: CommissionReport) -> tuple[Order | None, int]:
        """Return the one order whose fill the fee is for (None if not just one), and how many."""
        found = [
            order
            for order in self.book.find_fills(report.trade_id)
            if order.instrument_id == report.instrument_id
            and report.account_id in (None, order.account_id)
            and report.side in (None, order.side)
            and (report.venue_order_id is None or report.venue_order_id in order.venue_order_ids)
        ]
        return (found[0] if len(found) == 1 else None), len(found)

    def _settle(
        self,
        order: Order | None,
        events: Sequence[OrderEvent],
        ts_event: int | None = None,
        is_seen: bool = True,
    ) -> Judgement:
        """Append and fold what was decided about one order."""
        if not events:
            late = order is not None and not is_seen and is_older(order, ts_event)
            return Judgement(self._message.kind, "STALE" if late else "DUPLICATE", (), order)
        problem = None
        for event in events:
            order = self._append_order_event(order, event)
            if isinstance(event, OrderDisputed):
                problem = f"{event.why}: {event.claim}, on record: {event.held}"
        outcome: Outcome = "RECORDED" if problem is None else "DISPUTED"
        return Judgement(self._message.kind, outcome, tuple(events), order, problem)

    def _append_order_event(self, order: Order | None, event: OrderEvent) -> Order:
        stream = None if order is None else order.stream
        position = None
        if isinstance(event, _MOVES):
            position = self.book.positions.number(event.account_id, event.instrument_id) or 0
        key = None
        if isinstance(event, (OrderFilled, FillInferred)):
            assert stream is not None, "an order is opened before it is filled"
            key = f"fill:{event.trade_id}:{stream}"
        known = () if order is None else order.client_order_ids
        new_ids = [
            each
            for each in (event.client_order_id, event.request_id)
            if each is not None and each not in known
        ]
        venue_id = event.venue_order_id
        if order is not None and venue_id in order.venue_order_ids:
            venue_id = None
        record = self._append(
            event,
            stream=stream,
            expected_version=0 if order is None else order.version,
            position=position,
            idempotency_key=key,
            client_order_id=new_ids[0] if new_ids else None,
            venue_order_id=venue_id,
        )
        return self.book.order(record.stream)

    # ---- everything else

    def _other(self, report: OtherReport) -> Judgement:
        decided = decide_other(self.book, report)
        if decided is None or (decided.key is not None and self._is_known(decided.key)):
            return Judgement(self._message.kind, "DUPLICATE")
        if decided.problem is not None:
            return self._set_aside(decided.problem)
        return self._append_other(
            decided.event, decided.stream, key=decided.key, position=decided.position
        )

    def _append_other(
        self,
        event: Event,
        stream: int | None = None,
        *,
        key: str | None = None,
        position: int | None = None,
    ) -> Judgement:
        self._append(event, stream=stream, position=position, idempotency_key=key)
        return Judgement(self._message.kind, "RECORDED", (event,))

    def _set_aside(self, problem: str) -> Judgement:
        """Keep a message that could not be read or tied to anything, word for word, once."""
        message = self._message
        key = f"aside:{hashlib.sha256(message.raw_sha256 or message.raw).hexdigest()[:40]}"
        if self._is_known(key):
            return Judgement(message.kind, "SET_ASIDE", (), None, problem)
        event = MessageSetAside(
            kind=message.kind, problem=problem, name=self._name, line=message.line or None
        )
        self._append(event, stream=LEDGER_STREAM, idempotency_key=key)
        return Judgement(message.kind, "SET_ASIDE", (event,), None, problem)

    def _append(
        self,
        event: Event,
        *,
        stream: int | None,
        expected_version: int | None = None,
        position: int | None = None,
        idempotency_key: str | None = None,
        client_order_id: str | None = None,
        venue_order_id: str | None = None,
    ) -> Record:
        """Append one event; the first of a message carries the message itself."""
        message = self._message
        first = self._cause is None
        record = self._sink(
            Draft(
                event=event,
                stream=stream,
                actor=self._actor,
                expected_version=expected_version,
                position=position,
                correlation=f"{self._name}:{message.line}" if self._name else None,
                causation=self._cause,
                raw=message.raw if first and message.raw else None,
                raw_length=message.raw_length if first else None,
                raw_sha256=message.raw_sha256 if first else None,
                idempotency_key=idempotency_key,
                client_order_id=client_order_id,
                venue_order_id=venue_order_id,
            )
        )
        if first:
            self._cause = record.seq
        self.book.apply(record)
        log_event(record)
        return record


def _is_seen(order: Order | None, report: OrderReport) -> bool:
    """Tell whether this very message, or its fill, is on record."""
    if order is None:
        return False
    fill_id = report.trade_id or report.exec_id
    return fill_id in order.fill_ids or (
        report.exec_id is not None
        and report.exec_id in order.exec_ids
        and order.exec_ids[report.exec_id] in (None, report.ts_event)
    )
