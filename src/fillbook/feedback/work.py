"""Hold what all parts of the feedback loop work on: the ledger, the calls, the line, the watches.

Whatever is heard or decided goes through here, so that it is durable first and looked at after.
"""

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from attrs import define, evolve, field, fields

from fillbook.brokers.live import Capabilities
from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.events import Event
from fillbook.core.orders import Order
from fillbook.core.values import Source
from fillbook.errors import BadRequest, BadValue
from fillbook.feedback.keeper import Keeper
from fillbook.feedback.line import Line
from fillbook.feedback.recorder import Judgement
from fillbook.feedback.schedule import Call, Schedule
from fillbook.feedback.settings import Settings
from fillbook.feedback.task import Idle, Task
from fillbook.feedback.watching import Watch

__all__ = ["Work", "storable"]


@define(eq=False)
class Work:
    """What the parts share.

    Attributes:
        keeper: The ledger and its book.
        make_id: Makes the next client order id.
        schedule: The calls that wait and those under way.
        line: Whether the broker can be reached.
        watches: Every order that is not closed, by stream.
        counts: What added nothing, by outcome, and how many answers there were.
        checked_ns: When each kind of question was last answered.
        is_stopping: No new intents are taken.
        task: What else is done beside the loop.
        look_at: Told of every order that something was recorded about, with the events.
    """

    keeper: Keeper
    capabilities: Capabilities
    settings: Settings
    make_id: Callable[[], str]
    random: Random
    schedule: Schedule = field(init=False)
    line: Line = field(init=False)
    watches: dict[int, Watch] = field(factory=dict)
    counts: dict[str, int] = field(factory=lambda: {"DUPLICATE": 0, "STALE": 0, "polls": 0})
    checked_ns: dict[str, int] = field(factory=dict)
    is_stopping: bool = False
    task: Task = field(factory=Idle)
    look_at: Callable[[Order, Iterable[Event], int], None] = lambda order, events, now: None

    def __attrs_post_init__(self) -> None:
        settings = self.settings
        self.schedule = Schedule(self.capabilities, settings.call_timeout_ns)
        self.line = Line(
            settings.failures_to_lose_line, settings.ask_again_ns, settings.most_wait_ns,
            self.random,
        )  # fmt: skip

    @property
    def book(self) -> Book:
        """The fold of the ledger as of its head."""
        return self.keeper.book

    def record(self, message: Message, source: Source, now: int) -> Judgement:
        """Record what a broker said, and look at the order it is about."""
        try:
            judgement = self.keeper.hear(message, source)
        except BadValue:  # half a surrogate pair in some text must not cost what the message says
            judgement = self.keeper.hear(_storable(message), source)
        if judgement.outcome in self.counts:
            self.counts[judgement.outcome] += 1
        order = judgement.order
        if order is not None:
            self.look_at(order, judgement.events, now)
        return judgement

    def note(self, kind: str, order: Order, events: Sequence[Any], now: int) -> None:
        """Record what was decided about *order* without a message."""
        judgement = self.keeper.note(kind, order, events)
        if judgement.order is not None:
            self.look_at(judgement.order, judgement.events, now)

    def intend(self, kind: str, command: SubmitOrder | CancelOrder | ReplaceOrder) -> Order:
        """Record what the robot wants; whoever sends it does so after this."""
        judgement = self.keeper.intend(Message(0, kind, command, b""))
        assert judgement.order is not None, "an intent is always about an order"
        if judgement.outcome != "RECORDED":
            raise BadRequest(judgement.problem or f"{kind} was recorded before")
        return judgement.order

    def watch(self, order: Order, now: int) -> Watch:
        """Return the watch on *order*, a new one where there is none."""
        watch = self.watches.get(order.stream)
        if watch is None:
            since = order.ts_submitted or now
            watch = Watch(order.stream, since, since, now + self.interval_ns(now),
                          self.settings.ask_again_ns)  # fmt: skip
            self.watches[order.stream] = watch
        return watch

    def order_of(self, call: Call) -> Order | None:
        """Return the order that *call* is about."""
        return None if call.stream is None else self.book.order(call.stream)

    def interval_ns(self, now: int) -> int:
        """Return how often to ask: less while the stream tells, more while it is silent."""
        poll_ns = self.settings.poll_ns
        if not self.capabilities.has_stream:
            return poll_ns
        if self.line.stream_is_up and now - self.line.heard_ns < poll_ns:
            return 2 * poll_ns
        return poll_ns // 3

    def can_look_up(self, order: Order) -> bool:
        """Tell whether the broker can be asked about *order* by itself."""
        known = order.venue_order_id is not None
        return self.capabilities.can_look_up or (
            known and self.capabilities.can_look_up_by_venue_id
        )


def storable(text: str) -> str:
    """Return *text* with whatever no file can hold written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _storable(message: Message) -> Message:
    content: Any = message.content
    if content is None:
        return evolve(message, problem=storable(message.problem or ""))
    texts = {
        each.name: storable(value)
        for each in fields(type(content))
        if type(value := getattr(content, each.name)) is str
    }
    return evolve(message, content=evolve(content, **texts))
