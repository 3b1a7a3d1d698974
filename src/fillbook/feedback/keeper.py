"""Keep the book of a running robot: whatever is taken in is durable before anybody acts on it.

One message, or one decision, is one commit, whole or not at all.  Where the disk fails the book is
folded anew from what the file holds, so that what the robot believes is never ahead of its ledger.
"""

from collections.abc import Callable, Sequence

from attrs import define, field

from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.commands import CancelOrder, SubmitOrder
from fillbook.core.events import Event, OrderEvent
from fillbook.core.operator_events import PositionAdjusted
from fillbook.core.orders import Order
from fillbook.core.policies import FillPolicy
from fillbook.core.reconciled_events import BookReconciled, PositionAdopted
from fillbook.core.robot_events import HaltDeclared
from fillbook.core.values import OrderStatus, Source
from fillbook.errors import StorageFailed
from fillbook.feedback.recorder import Judgement, Recorder
from fillbook.log.port import Actor, Draft, Log, Record

__all__ = ["Keeper", "News"]


@define(eq=False)
class News:
    """One event that is durable, for whoever wants to be told.

    Attributes:
        order: The order as of after the event; None where it is about none.
        was: The order's status before it; None for its first event.
    """

    record: Record
    event: Event
    order: Order | None = None
    was: OrderStatus | None = None


@define
class Keeper:
    """The log of a robot and its fold.

    Attributes:
        fold: Folds the log anew, for when the book cannot be trusted to be its fold.
        news: What became durable since somebody took it.
        storage_problem: Why intents cannot be recorded any more; None while they can.
        head_ns: When the last event of an earlier run was recorded.
    """

    log: Log
    fold: Callable[[], Book]
    policy: FillPolicy
    book: Book = field(init=False)
    news: list[News] = field(factory=list)
    storage_problem: str | None = None
    head_ns: int = 0
    _fresh: list[News] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.book = self.fold()
        for record in self.log.records(after=self.book.seq - 1):
            self.head_ns = record.ts_recorded

    # ---- what comes in

    def hear(self, message: Message, source: Source) -> Judgement:
        """Record what a broker said and return what came of it."""
        return self._feedback(lambda recorder: recorder.record(message), "VENUE", source)

    def intend(self, message: Message, actor: Actor = "ROBOT") -> Judgement:
        """Record what the robot wants, or an operator for it, before it is sent.

        Raises `StorageFailed` where it cannot be made durable; then it must not be sent.  A cancel
        takes risk away: where the disk is full it goes into the room kept for feedback.
        """
        if isinstance(message.content, CancelOrder):
            return self._feedback(lambda recorder: recorder.record(message), actor, Source.STREAM)
        return self._commit(
            lambda recorder: recorder.record(message), actor, Source.STREAM, feedback=False
        )

    def note(
        self,
        kind: str,
        order: Order | None,
        events: Sequence[OrderEvent],
        actor: Actor = "ROBOT",
        cause: Event | None = None,
    ) -> Judgement:
        """Record what was decided about *order*, after the *cause*; nothing where nothing was."""
        if not events:
            return Judgement(kind, "DUPLICATE", (), order)

        def note(recorder: Recorder) -> Judgement:  # a second try finds a book that was folded anew
            whose = None if order is None else recorder.book.order(order.stream)
            return recorder.note(kind, whose, events, cause)

        return self._feedback(note, actor, Source.INFERRED)

    def note_other(self, event: Event, actor: Actor = "ROBOT") -> Judgement:
        """Record something about the robot itself."""
        return self._feedback(lambda recorder: recorder.note_other(event), actor, Source.INFERRED)

    def adjust(self, event: PositionAdjusted, actor: Actor) -> Judgement:
        """Record that a position was set right by hand."""
        return self._commit(
            lambda recorder: recorder.note_adjustment(event), actor, Source.OPERATOR, feedback=False
        )

    def reconcile(
        self,
        run: BookReconciled,
        raw: bytes,
        adoptions: Sequence[tuple[PositionAdopted, SubmitOrder | None]] = (),
        halts: Sequence[HaltDeclared] = (),
    ) -> list[Order]:
        """Record a comparison with all that it led to, at once; return the orders to be sent.

        Raises `StorageFailed` where it cannot be made durable: then nothing of it happened.
        """
        made: list[Judgement] = []

        def note(recorder: Recorder) -> Judgement:
            judgement, made[:] = recorder.note_reconciled(run, raw, adoptions, halts)
            return judgement

        is_risky = any(order is not None for _, order in adoptions)
        if is_risky:
            self._commit(note, "RECONCILER", Source.RECONCILED, feedback=False)
        else:
            self._feedback(note, "RECONCILER", Source.RECONCILED)
        orders = [judgement.order for judgement in made]
        assert all(judgement.outcome == "RECORDED" for judgement in made), "an id of it was taken"
        return [order for order in orders if order is not None]

    def take_news(self) -> list[News]:
        """Return what became durable since the last call."""
        news, self.news = self.news, []
        return news

    # ---- making it durable

    def _feedback(
        self, what: Callable[[Recorder], Judgement], actor: Actor, source: Source
    ) -> Judgement:
        """Record what must not be lost; where the disk is full, in the room kept for it."""
        try:
            return self._commit(what, actor, source, feedback=True)
        except StorageFailed:
            return self._commit(what, actor, source, feedback=True)

    def _commit(
        self,
        what: Callable[[Recorder], Judgement],
        actor: Actor,
        source: Source,
        *,
        feedback: bool,
    ) -> Judgement:
        self._fresh.clear()
        try:
            with self.log.batch(feedback=feedback) as batch:

                def sink(draft: Draft) -> Record:
                    record = batch.add(draft)
                    self._fresh.append(self._news(record))
                    return record

                recorder = Recorder(
                    self.book,
                    sink,
                    lambda key: self.log.find_key(key) is not None,
                    policy=self.policy,
                    source=source,
                    actor=actor,
                )
                judgement = what(recorder)
        except BaseException as exc:
            self._fresh.clear()
            if isinstance(exc, StorageFailed):
                self.storage_problem = str(exc)
            self.book = self.fold()  # it may be ahead of the file
            raise
        for news in self._fresh:
            if isinstance(news.event, OrderEvent):
                news.order = self.book.order(news.record.stream)
        self.news += self._fresh
        self.book.trim()
        return judgement

    def _news(self, record: Record) -> News:
        news = News(record, record.event)
        if isinstance(record.event, OrderEvent) and record.version > 1:
            news.was = self.book.order(record.stream).order_status
        return news
