"""Track orders: what the robot wants goes out, what becomes of it comes in, nothing is guessed.

A `Tracker` is a state machine without threads, sockets or a clock: commands, answers, messages and
the passing of time go in, calls to be made and news come out.  The same machine runs live and in
simulation.  Its promises:

- an intent is durable before its call is handed out (`Call`), and no order is handed out twice;
- a call that fails proves nothing: its order is `UNKNOWN` and is asked about until evidence comes;
- after a start, and after every loss of the line, what is unanswered is asked about before anything
  new is sent.
"""

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from attrs import define, field

from fillbook.brokers.live import BrokerRefused, Capabilities, NotSent
from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.decide import decide_overdue
from fillbook.core.deciding_silence import decide_lost, decide_never_arrived
from fillbook.core.events import Event, OrderAccepted, OrderRejected
from fillbook.core.orders import Order
from fillbook.core.reports import CancelReject, OrderReport
from fillbook.core.robot_events import (
    FeedbackCounted,
    HaltDeclared,
    LineLost,
    LineRestored,
    OrderQueued,
    QueuedOrderDropped,
    RobotStarted,
    RobotStopped,
)
from fillbook.core.values import ExecType, OrderStatus, Origin, Source
from fillbook.errors import BadRequest, OfflineRefused, RequestRefused, RobotClosed, StorageFailed
from fillbook.feedback.gate import refuse_if_halted
from fillbook.feedback.keeper import Keeper
from fillbook.feedback.line import Line
from fillbook.feedback.partial_fills import act_on_rest
from fillbook.feedback.recorder import Judgement
from fillbook.feedback.schedule import Call, Kind, Schedule
from fillbook.feedback.settings import Settings
from fillbook.feedback.watching import Watch, is_unanswered, ref_of, unanswered_requests

__all__ = ["Tracker"]

_MOST_CANCELS = 5


@define(eq=False)
class Tracker:
    """The feedback loop of one robot.

    Attributes:
        keeper: Its ledger and book.
        make_id: Makes the next client order id.
        schedule: The calls; the runner takes them from `start_calls`.
        line: Whether the broker can be reached.
        watches: Every order that is not closed, by stream.
        recovering: The questions that trading waits for; empty while it goes on.
    """

    keeper: Keeper
    capabilities: Capabilities
    settings: Settings
    make_id: Callable[[], str]
    random: Random
    schedule: Schedule = field(init=False)
    line: Line = field(init=False)
    watches: dict[int, Watch] = field(factory=dict)
    recovering: set[Call] = field(factory=set)
    is_started: bool = False
    is_stopping: bool = False
    counts: dict[str, int] = field(factory=lambda: {"DUPLICATE": 0, "STALE": 0, "polls": 0})
    rejects: dict[str, int] = field(factory=dict)
    _poll_ns: int = 0
    _count_ns: int = 0
    _since_ns: int = 0

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

    # ---- a robot's life

    def start(self, now: int) -> None:
        """Take up the work: note it, and ask what became of everything that is open."""
        self._count_ns = now + self.settings.count_every_ns
        open_orders = list(self.book.open_orders())
        for order in open_orders:
            watch = self._watch(order, now)
            watch.is_cancel_wanted = any(
                request.kind == "CANCEL" for _, request in unanswered_requests(order)
            )
            watch.cancel_ns = now  # it may have been sent just before
        self.keeper.note_other(
            RobotStarted(
                ts_event=now,
                broker=self.capabilities.name,
                open_orders=len(open_orders),
                unanswered=self.unanswered_count(),
            )
        )
        self.line.is_up = self.book.control.lost is None
        self.line.since_ns = now
        self.is_started = True
        if self.line.is_up:
            self._recover(now)
        else:
            self.schedule.is_probing = True
            self.line.try_ns = now

    def stop_taking(self) -> None:
        """Take no new intents; what is under way may still be answered."""
        self.is_stopping = True

    def stop(self, now: int, reason: str) -> None:
        """Note the end; what is unanswered is asked about at the next start."""
        self._count(now)
        self.keeper.note_other(
            RobotStopped(
                ts_event=now,
                reason=reason,
                open_orders=len(self.book.open),
                unanswered=self.unanswered_count(),
            )
        )

    def unanswered_count(self) -> int:
        """Return how many orders and requests nobody has answered yet."""
        return sum(
            is_unanswered(order) + len(unanswered_requests(order))
            for order in self.book.open_orders()
        )

    # ---- what the robot wants

    def submit(self, command: SubmitOrder, now: int) -> Order | None:
        """Record *command* and have it sent; None where it is queued until the line is back.

        Raises a `RequestRefused` and records nothing where it may not be sent, `StorageFailed`
        where it cannot be made durable.
        """
        self._may_want()
        refuse_if_halted(self.book, command)
        if self.book.find_order(command.client_order_id, None) is not None:
            raise BadRequest(f"client_order_id {command.client_order_id!r} was used before")
        if self.schedule.is_open:
            return self._send(command, now)
        if self.settings.offline != "QUEUE":
            raise OfflineRefused(self.why_offline())
        self.keeper.note_other(
            OrderQueued(
                ts_event=now,
                client_order_id=command.client_order_id,
                account_id=command.account_id,
                instrument_id=command.instrument_id,
                side=command.side,
                order_type=command.order_type,
                valid_until=now + self.settings.queue_ns,
                order_qty=command.order_qty,
                cash_order_qty=command.cash_order_qty,
                limit_px=command.limit_px,
                stop_px=command.stop_px,
                time_in_force=command.time_in_force,
                expire_time=command.expire_time,
                venue=command.venue,
                partial_fills=command.partial_fills,
            )
        )
        return None

    def cancel(self, order: Order, now: int) -> None:
        """Have what is left of *order* canceled; asked for until it is known to be over.

        Allowed under every halt and while the line is down.  Raises `BadRequest` where nothing of
        the order is open.
        """
        if self.is_stopping:
            raise RobotClosed
        if order.standing.is_over():
            raise BadRequest(f"order {order.client_order_id} is {order.order_status} already")
        watch = self._watch(order, now)
        if not watch.is_cancel_wanted:
            watch.cancel_count = 0
            self._ask_cancel(order, watch, now)

    def cancel_queued(self, client_order_id: str, now: int) -> bool:
        """Take an order out of the queue; False where it is not there."""
        if client_order_id not in self.book.control.queued:
            return False
        self._drop(client_order_id, "CANCELED", None, now)
        return True

    def replace(self, order: Order, now: int, **terms: Any) -> None:
        """Ask for other terms of *order*: `order_qty`, `limit_px`, `stop_px`; see `submit`."""
        self._may_want()
        if not self.capabilities.can_replace:
            raise BadRequest(f"{self.capabilities.name} cannot replace orders")
        if not self.schedule.is_open:
            raise OfflineRefused(self.why_offline())
        if order.standing.is_over():
            raise BadRequest(f"order {order.client_order_id} is {order.order_status} already")
        self._refuse_larger_if_halted(order, terms)
        ref = ref_of(order)
        command = ReplaceOrder(
            client_order_id=self.make_id(),
            orig_client_order_id=ref.client_order_id,
            ts_event=now,
            **terms,
        )
        self._intend("replace", command)
        self.schedule.want(Call("replace", command=command, order=ref, stream=order.stream))

    def cancel_all(self, now: int, instrument_id: str | None = None) -> int:
        """Cancel every open order, or those of one instrument; return how many."""
        count = 0
        for order in list(self.book.open_orders()):
            if instrument_id in (None, order.instrument_id) and not order.standing.is_over():
                self.cancel(order, now)
                count += 1
        for client_order_id, queued in list(self.book.control.queued.items()):
            if instrument_id in (None, queued.instrument_id):
                count += self.cancel_queued(client_order_id, now)
        return count

    def why_offline(self) -> str:
        """Return why nothing new is sent, in words."""
        if not self.line.is_up:
            return f"{self.capabilities.name} cannot be reached ({self.line.problem})"
        return f"{self.capabilities.name} is still being asked what became of earlier orders"

    # ---- what comes in

    def hear(self, message: Message, now: int) -> Judgement:
        """Take one message of the stream."""
        self.line.heard_ns = now
        return self._record(message, Source.STREAM, now)

    def stream_line(self, is_up: bool, problem: str, now: int) -> None:
        """Take note that the stream came or went; what it did not tell is asked for."""
        was_up, self.line.stream_is_up = self.line.stream_is_up, is_up
        if is_up and was_up is False and self.line.is_up and self.is_started:
            self._catch_up(now, purpose="")

    def answered(self, call: Call, messages: Sequence[Message], now: int) -> None:
        """Take the answer to *call*; one that comes late is a message like any other."""
        was_over = call.is_over
        self.schedule.finish(call)
        found: set[int] = set()
        for message in messages:
            judgement = self._record(message, Source.POLL, now)
            if judgement.order is not None:
                found.add(judgement.order.stream)
        self.counts["polls"] += not call.is_intent
        self._line_answered(now)
        if was_over:
            return
        if call.kind in ("submit", "cancel", "replace"):
            self._intent_answered(call, now)
        elif call.kind == "look_up":
            self._looked_up(call, call.stream in found, now)
        else:
            self._listed(call, found, now)
        self._recovered(call, now)

    def failed(self, call: Call, error: BaseException, now: int) -> None:
        """Take the failure of *call*: evidence where it is a refusal, else only that it failed."""
        was_over = call.is_over
        self.schedule.finish(call)
        if isinstance(error, BrokerRefused):
            self._line_answered(now)
            self._refused(call, error, now)
            self._recovered(call, now)
            return
        if was_over:
            return
        problem = _in_words(error)
        if self.line.failed(problem, now):
            self._lose_line(problem, now)
        if call.is_intent:
            self._intent_failed(call, error, problem, now)
        elif call.stream is not None and call.stream in self.watches:
            self.watches[call.stream].ask_later(now, self.settings.most_wait_ns)
        if call in self.recovering:
            self._ask_again(call, now)

    # ---- time

    def start_calls(self, now: int) -> list[Call]:
        """Return the calls to be made now."""
        return self.schedule.start(now)

    def tick(self, now: int) -> None:
        """Do what time asks for: deadlines, questions, queue, halts, counts."""
        for call in self.schedule.overdue(now):
            patience = self.settings.call_timeout_ns / 1e9
            self.failed(call, TimeoutError(f"no answer within {patience:g} s"), now)
        if not self.line.is_up:
            self._probe(now)
        elif not self.is_stopping:
            self._poll(now)
        for watch in [w for w in self.watches.values() if w.ask_ns <= now]:
            self._ask(watch, now)
        self._tend(now)
        if now >= self._count_ns:
            self._count(now)

    def due_ns(self, now: int) -> int | None:
        """Return when `tick` or `start_calls` has something to do next; None for never."""
        moments = [self._count_ns]
        due = self.schedule.due_ns(now)
        if due is not None:
            moments.append(due)
        if not self.line.is_up:
            if not self._is_probing():
                moments.append(self.line.try_ns)
        elif self.watches and not self.is_stopping:
            moments.append(self._poll_ns)
        moments += [w.ask_ns for w in self.watches.values()] if self.line.is_up else []
        moments += [queued.valid_until for queued in self.book.control.queued.values()]
        return min(moments)

    # ---- recording

    def _record(self, message: Message, source: Source, now: int) -> Judgement:
        judgement = self.keeper.hear(message, source)
        if judgement.outcome in self.counts:
            self.counts[judgement.outcome] += 1
        order = judgement.order
        if order is not None:
            self._look_at(order, judgement.events, now)
        return judgement

    def _note(self, kind: str, order: Order, events: Sequence[Any], now: int) -> None:
        judgement = self.keeper.note(kind, order, events)
        if judgement.order is not None:
            self._look_at(judgement.order, judgement.events, now)

    def _intend(self, kind: str, command: SubmitOrder | CancelOrder | ReplaceOrder) -> Order:
        judgement = self.keeper.intend(Message(0, kind, command, b""))
        assert judgement.order is not None, "an intent is always about an order"
        if judgement.outcome != "RECORDED":
            raise BadRequest(judgement.problem or f"{kind} was recorded before")
        return judgement.order

    def _look_at(self, order: Order, events: Iterable[Event], now: int) -> None:
        """Take from *order*, which something was heard of, what the tracker has to know."""
        if order.is_closed and not unanswered_requests(order):
            self.watches.pop(order.stream, None)
        else:
            watch = self._watch(order, now)
            if not is_unanswered(order):
                watch.answered(now, self._interval_ns(now), self.settings.ask_again_ns)
        for event in events:
            if isinstance(event, OrderRejected) and not event.never_arrived:
                self._count_reject(order, event, now)
            elif isinstance(event, OrderAccepted):
                self.rejects.pop(order.instrument_id, None)
        if order.partial_fills is not None and self.is_started:
            self._act_on_rest(order, now)

    def _watch(self, order: Order, now: int) -> Watch:
        watch = self.watches.get(order.stream)
        if watch is None:
            first = self.settings.ask_again_ns
            watch = Watch(order.stream, order.ts_submitted or now, now + self._interval_ns(now),
                          first)  # fmt: skip
            self.watches[order.stream] = watch
        return watch

    # ---- sending

    def _may_want(self) -> None:
        if self.is_stopping:
            raise RobotClosed
        if self.keeper.storage_problem is not None:
            raise StorageFailed("the ledger", self.keeper.storage_problem)

    def _send(self, command: SubmitOrder, now: int) -> Order:
        order = self._intend("order", command)
        watch = self._watch(order, now)
        watch.ask_ns = now + self.settings.poll_ns
        call = Call("submit", command=command, order=ref_of(order), stream=order.stream)
        self.schedule.want(call)
        return order

    def _ask_cancel(self, order: Order, watch: Watch, now: int) -> None:
        """Record that we want *order* canceled, and send that as soon as the order can be named."""
        watch.is_cancel_wanted = True
        watch.cancel_count += 1
        ref = ref_of(order)
        command = CancelOrder(
            client_order_id=self.make_id(), orig_client_order_id=ref.client_order_id, ts_event=now
        )
        order = self._intend("cancel", command)
        if ref.venue_order_id is None and not self.capabilities.can_look_up:
            watch.deferred = command  # the broker knows orders by its own ids only
        else:
            self._want_cancel(command, order, watch, now)

    def _want_cancel(self, command: CancelOrder, order: Order, watch: Watch, now: int) -> None:
        watch.deferred, watch.cancel_ns = None, now
        self.schedule.want(
            Call("cancel", command=command, order=ref_of(order), stream=order.stream)
        )

    def _refuse_larger_if_halted(self, order: Order, terms: dict[str, Any]) -> None:
        halt = self.book.control.halt_of(order.instrument_id)
        qty = terms.get("order_qty")
        if halt is not None and (qty is None or qty > (order.standing.order_qty or 0)):
            raise_for = SubmitOrder(
                client_order_id="", instrument_id=order.instrument_id, side=order.side,
                order_type=order.order_type or "LIMIT", account_id=order.account_id,
            )  # fmt: skip
            refuse_if_halted(self.book, raise_for)

    # ---- what became of an intent

    def _intent_answered(self, call: Call, now: int) -> None:
        order = self._order(call)
        if order is None:
            return
        if call.kind == "submit" and is_unanswered(order):
            self._intent_failed(call, ValueError("the answer does not tell of the order"),
                                "the answer does not tell of the order", now)  # fmt: skip
        elif call.kind != "submit" and unanswered_requests(order):
            # Taken note of; the stream or a poll tells what came of it.
            self._watch(order, now).ask_ns = now + self.settings.ask_again_ns

    def _intent_failed(self, call: Call, error: BaseException, problem: str, now: int) -> None:
        order = self._order(call)
        if order is None:
            return
        watch = self._watch(order, now)
        if call.kind == "submit":
            if isinstance(error, NotSent):
                events = decide_never_arrived(order, f"it was not sent: {problem}", now, _OURS)
                self._note("never_arrived", order, events, now)
                return
            self._note("lost", order, decide_lost(order, problem, now, _OURS), now)
            if not self._can_look_up(order) and not self.capabilities.has_open_orders:
                self._halt(order.instrument_id, "UNKNOWN_ORDER",
                           f"order {order.client_order_id} has no answer ({problem}) and "
                           f"{self.capabilities.name} cannot be asked about it", now)  # fmt: skip
        watch.ask_ns = now + self.settings.ask_again_ns
        watch.wait_ns = self.settings.ask_again_ns

    def _refused(self, call: Call, error: BrokerRefused, now: int) -> None:
        order = self._order(call)
        if order is None or call.command is None:
            if call.kind == "look_up" and error.reason == "UNKNOWN_ORDER":
                self._looked_up(call, False, now)
            return
        command = call.command
        if not isinstance(command, SubmitOrder):
            reject = CancelReject(
                client_order_id=command.client_order_id,
                orig_client_order_id=command.orig_client_order_id,
                reason=error.reason,
                text=error.text,
                ts_received=now,
            )
            self._record(Message(0, "cancel_reject", reject, error.raw), Source.POLL, now)
            self._watch(order, now).ask_ns = now
        elif error.reason == "DUPLICATE_ORDER":
            # Somebody has an order under this id: perhaps ours arrived before.  Look, do not guess.
            watch = self._watch(order, now)
            text = f"the broker knows this id already: {error.text}"
            self._note("lost", order, decide_lost(order, text, now, _OURS), now)
            watch.ask_ns = now
        else:
            report = OrderReport(
                client_order_id=command.client_order_id,
                exec_type=ExecType.REJECTED,
                order_status=OrderStatus.REJECTED,
                reason=error.reason,
                text=error.text,
                ts_received=now,
            )
            self._record(Message(0, "report", report, error.raw), Source.POLL, now)

    # ---- asking

    def _can_look_up(self, order: Order) -> bool:
        known = order.venue_order_id is not None
        return self.capabilities.can_look_up or (
            known and self.capabilities.can_look_up_by_venue_id
        )

    def _ask(self, watch: Watch, now: int) -> None:
        """Ask about one order, or, where it cannot be asked about alone, for all."""
        order = self.book.order(watch.stream)
        if order.is_closed and not unanswered_requests(order):
            self.watches.pop(watch.stream, None)
            return
        if not self.line.is_up:
            return
        watch.ask_later(now, self.settings.most_wait_ns)
        if self._can_look_up(order):
            if not self.schedule.is_wanted("look_up", watch.stream):
                self.schedule.want(Call("look_up", order=ref_of(order), stream=watch.stream))
        elif is_unanswered(order):
            self._ask_scope(order, watch, now)
        if watch.is_cancel_wanted:
            self._again(order, watch, now)

    def _looked_up(self, call: Call, is_found: bool, now: int) -> None:
        order = self._order(call)
        if order is None or order.stream not in self.watches:
            return
        watch = self.watches[order.stream]
        if is_found:
            if watch.is_cancel_wanted:
                self._again(order, watch, now)
            return
        settled_ns = watch.since_ns + self.capabilities.settling_ns
        if not is_unanswered(order) or call.started_ns < settled_ns:
            watch.ask_ns = min(watch.ask_ns, max(now + watch.wait_ns, settled_ns))
            return
        if not watch.misses:
            watch.first_miss_ns = now
        watch.misses += 1
        if watch.misses >= self.settings.misses:
            self._ask_scope(order, watch, now)

    def _listed(self, call: Call, found: set[int], now: int) -> None:
        """Take what a list of orders or fills did not have."""
        for watch in list(self.watches.values()):
            order = self.book.order(watch.stream)
            if watch.stream in found or watch.heard_ns >= call.started_ns:
                continue
            if is_unanswered(order):
                if call.started_ns >= watch.since_ns + self.capabilities.settling_ns:
                    watch.scope.add(call.kind)
                    if watch.misses >= self._misses_wanted(order):
                        self._ask_scope(order, watch, now)
            elif call.kind == "open_orders" and not order.is_closed and order.venue_order_id:
                watch.ask_ns = min(watch.ask_ns, now)  # not among the open ones: what became of it?

    def _misses_wanted(self, order: Order) -> int:
        return self.settings.misses if self._can_look_up(order) else 0

    def _ask_scope(self, order: Order, watch: Watch, now: int) -> None:
        """Ask everything else that could show the order; when all is in vain, it never arrived."""
        kinds: tuple[tuple[Kind, bool], ...] = (
            ("open_orders", self.capabilities.has_open_orders),
            ("fills_since", self.capabilities.has_fills_since),
        )
        left = [kind for kind, has in kinds if has and kind not in watch.scope]
        asked = [kind for kind, has in kinds if has]
        if left:
            for kind in left:
                if not self.schedule.is_wanted(kind):
                    since = max(watch.since_ns - 60_000_000_000, 0)
                    self.schedule.want(Call(kind, since=since))
            return
        if not self._can_look_up(order) and not asked:
            return
        how = [f"{watch.misses} look-ups"] if watch.misses else []
        evidence = (
            f"{' and '.join([*how, *asked])} between {self.capabilities.settling_ns / 1e9:g} s and "
            f"{(now - watch.since_ns) / 1e9:.0f} s after it was sent did not find it"
        )
        events = decide_never_arrived(order, evidence, now, _OURS)
        self._note("never_arrived", order, events, now)

    def _again(self, order: Order, watch: Watch, now: int) -> None:
        """Send a cancel again where the last one is known not to have been heard."""
        if order.standing.is_over():
            watch.is_cancel_wanted = False
            return
        if order.standing.pending or self.schedule.is_wanted("cancel", order.stream):
            return
        if watch.deferred is not None:
            if order.venue_order_id is not None:
                self._want_cancel(watch.deferred, order, watch, now)
            return
        unheard = [each for each in unanswered_requests(order) if each[1].kind == "CANCEL"]
        if not unheard or watch.cancel_count >= _MOST_CANCELS:
            watch.is_cancel_wanted = bool(unheard)  # it was answered: no
            return
        settled_ns = watch.cancel_ns + self.capabilities.settling_ns
        if is_unanswered(order) or watch.heard_ns < settled_ns:
            watch.ask_ns = min(watch.ask_ns, max(settled_ns, now + self.settings.ask_again_ns))
            return
        for request_id, request in unheard:
            reject = CancelReject(
                client_order_id=request_id,
                orig_client_order_id=request.orig_client_order_id,
                reason="NEVER_ARRIVED",
                text="the order was looked up later and is still open",
            )
            self._record(Message(0, "cancel_reject", reject, b""), Source.INFERRED, now)
        self._ask_cancel(self.book.order(order.stream), watch, now)

    # ---- everything the account tells

    def _interval_ns(self, now: int) -> int:
        """Return how often to ask: less while the stream tells, more while it is silent."""
        poll_ns = self.settings.poll_ns
        if not self.capabilities.has_stream:
            return poll_ns
        if self.line.stream_is_up and now - self.line.heard_ns < poll_ns:
            return 2 * poll_ns
        return poll_ns // 3

    def _poll(self, now: int) -> None:
        """Ask for all open orders in one call where the broker has it."""
        if now < self._poll_ns:
            return
        self._poll_ns = now + self._interval_ns(now)
        if self.capabilities.has_open_orders and self.watches:
            self._want_once("open_orders")

    def _want_once(self, kind: Kind, since: int = 0, purpose: str = "") -> Call | None:
        if self.schedule.is_wanted(kind):
            return None
        return self.schedule.want(Call(kind, since=since, purpose=purpose))

    def _recover(self, now: int) -> None:
        """Ask what became of everything, before anything new is sent."""
        self.schedule.is_open = False
        self._catch_up(now, purpose="recovery")
        if not self.recovering:
            self._open(now)

    def _catch_up(self, now: int, purpose: str) -> None:
        calls: list[Call] = []
        for watch in list(self.watches.values()):
            order = self.book.order(watch.stream)
            needs = is_unanswered(order) or bool(unanswered_requests(order))
            if self._can_look_up(order) and (needs or not self.capabilities.has_open_orders):
                call = Call("look_up", order=ref_of(order), stream=watch.stream, purpose=purpose)
                calls.append(call)
        if self.capabilities.has_open_orders:
            calls.append(Call("open_orders", purpose=purpose))
        if self.capabilities.has_fills_since:
            calls.append(Call("fills_since", since=self._fills_since_ns(), purpose=purpose))
        for call in calls:
            self.schedule.want(call)
            if purpose == "recovery":
                self.recovering.add(call)

    def _fills_since_ns(self) -> int:
        """Return from when on fills may be missing: a while before the last that is known."""
        return max(self.keeper.head_ns - 3600_000_000_000, 0)

    def _recovered(self, call: Call, now: int) -> None:
        if call in self.recovering:
            self.recovering.discard(call)
            if not self.recovering and self.line.is_up:
                self._open(now)

    def _ask_again(self, call: Call, now: int) -> None:
        """Put a question of the recovery again: trading waits for it."""
        self.recovering.discard(call)
        again = Call(call.kind, order=call.order, stream=call.stream, since=call.since,
                     purpose="recovery", not_before=now + self.line.wait_ns())  # fmt: skip
        if self.line.is_up:
            self.recovering.add(self.schedule.want(again))

    def _open(self, now: int) -> None:
        """Trade: first what waited, then what policies ask for."""
        self.schedule.is_open = True
        for client_order_id, queued in list(self.book.control.queued.items()):
            if queued.valid_until <= now:
                self._drop(client_order_id, "EXPIRED", "the line was down for too long", now)
                continue
            command = SubmitOrder(
                client_order_id=client_order_id, instrument_id=queued.instrument_id,
                side=queued.side, order_type=queued.order_type, order_qty=queued.order_qty,
                cash_order_qty=queued.cash_order_qty, account_id=queued.account_id,
                limit_px=queued.limit_px, stop_px=queued.stop_px,
                time_in_force=queued.time_in_force, expire_time=queued.expire_time,
                venue=queued.venue, partial_fills=queued.partial_fills, ts_event=now,
            )  # fmt: skip
            try:
                refuse_if_halted(self.book, command)
            except RequestRefused as exc:
                self._drop(client_order_id, "REFUSED", str(exc), now)
                continue
            self._send(command, now)
        for order in list(self.book.open_orders()):
            if order.partial_fills is not None:
                self._act_on_rest(order, now)
            watch = self._watch(order, now)
            if watch.is_cancel_wanted:
                self._again(order, watch, now)

    def _drop(self, client_order_id: str, reason: str, text: str | None, now: int) -> None:
        self.keeper.note_other(
            QueuedOrderDropped(
                ts_event=now, client_order_id=client_order_id, reason=reason, text=text
            )
        )

    # ---- the line

    def _lose_line(self, problem: str, now: int) -> None:
        self.keeper.note_other(LineLost(ts_event=now, problem=problem))
        self.schedule.is_open, self.schedule.is_probing = False, True
        for call in self.schedule.clear():
            self.schedule.withdraw(call)
            if call.is_intent:
                self._intent_failed(call, NotSent(problem), problem, now)
        self.recovering.clear()

    def _line_answered(self, now: int) -> None:
        down_ns = now - self.line.since_ns
        if self.line.answered(now):
            self.keeper.note_other(LineRestored(ts_event=now, down_ns=down_ns))
            self.schedule.is_probing = False
            self._recover(now)

    def _probe(self, now: int) -> None:
        """Try the line with one harmless question."""
        if now < self.line.try_ns or self._is_probing():
            return
        call = self._harmless()
        if call is None:  # nothing can be asked: believe in the line again, the next call will tell
            self._line_answered(now)
            return
        self.schedule.want(call)

    def _is_probing(self) -> bool:
        return any(call.purpose == "probe" for call in self.schedule.all())

    def _harmless(self) -> Call | None:
        if self.capabilities.has_open_orders:
            return Call("open_orders", purpose="probe")
        if self.capabilities.has_positions:
            return Call("positions", purpose="probe")
        for stream in self.watches:
            order = self.book.order(stream)
            if self._can_look_up(order):
                return Call("look_up", order=ref_of(order), stream=stream, purpose="probe")
        return None

    # ---- policies

    def _act_on_rest(self, order: Order, now: int) -> None:
        """Do once what the order's policy asks for about its rest."""
        act = act_on_rest(order)
        if act is None or not self.schedule.is_open or order.origin is not Origin.ROBOT:
            return
        watch = self._watch(order, now)
        if act.at_ns > now:
            watch.ask_ns = min(watch.ask_ns, act.at_ns)
        elif act.kind == "CANCEL":
            self._ask_cancel(order, watch, now)
        elif self.capabilities.can_replace:
            self.replace(order, now, limit_px=act.policy.amount)

    def _tend(self, now: int) -> None:
        """Do what the passing of time alone asks for."""
        wait_ns = self.settings.fill_policy.wait_ns
        for stream in list(self.watches):
            order = self.book.order(stream)
            if wait_ns and order.gap is not None:
                events = decide_overdue(order, now, self.settings.fill_policy)
                self._note("gap", order, events, now)
            if order.partial_fills is not None:
                self._act_on_rest(order, now)
            self._halt_if_unknown(order, now)
        for client_order_id, queued in list(self.book.control.queued.items()):
            if queued.valid_until <= now:
                self._drop(client_order_id, "EXPIRED", "the line was down for too long", now)
        self._halt_if_silent(now)

    def _halt_if_unknown(self, order: Order, now: int) -> None:
        most = self.settings.most_unknown_ns
        if most is None or not order.standing.is_lost:
            return
        since = self.watches[order.stream].since_ns
        if now - since > most:
            self._halt(order.instrument_id, "UNKNOWN_ORDER",
                       f"order {order.client_order_id} is unknown for {(now - since) // 10**9} s",
                       now)  # fmt: skip

    def _halt_if_silent(self, now: int) -> None:
        most = self.settings.most_silence_ns
        if most is None or not self.watches:
            return
        heard = max(self.line.heard_ns, self.line.answer_ns, self.line.since_ns)
        if now - heard > most:
            self._halt(None, "SILENCE", f"nothing heard for {(now - heard) // 10**9} s with "
                       f"{len(self.watches)} orders open", now)  # fmt: skip

    def _count_reject(self, order: Order, event: OrderRejected, now: int) -> None:
        count = self.rejects.get(order.instrument_id, 0) + 1
        self.rejects[order.instrument_id] = count
        most = self.settings.most_rejects
        if most is not None and count >= most:
            self._halt(order.instrument_id, "REJECTS",
                       f"{count} orders in a row were rejected, the last one: "
                       f"{event.text or event.reason or 'no reason given'}", now)  # fmt: skip

    def _halt(self, instrument_id: str | None, cause: str, reason: str, now: int) -> None:
        if self.book.control.halts.get(instrument_id or "") is not None:
            return
        self.keeper.note_other(
            HaltDeclared(
                ts_event=now, level="HALTED", cause=cause, by="the robot", reason=reason,
                instrument_id=instrument_id,
            )
        )  # fmt: skip

    # ---- small things

    def _order(self, call: Call) -> Order | None:
        return None if call.stream is None else self.book.order(call.stream)

    def _count(self, now: int) -> None:
        """Put on record how much was heard that added nothing."""
        self._count_ns = now + self.settings.count_every_ns
        if any(self.counts.values()):
            self.keeper.note_other(
                FeedbackCounted(
                    ts_event=now,
                    duplicates=self.counts["DUPLICATE"],
                    stale=self.counts["STALE"],
                    polls=self.counts["polls"],
                )
            )
            self.counts.update(dict.fromkeys(self.counts, 0))


_OURS = Source.INFERRED


def _in_words(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"
