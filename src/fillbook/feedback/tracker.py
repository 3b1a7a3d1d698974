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

from fillbook.brokers.live import BrokerRefused, Capabilities
from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.decide import decide_overdue
from fillbook.core.events import Event, FillInferred, OrderAccepted, OrderFilled, OrderRejected
from fillbook.core.orders import Order
from fillbook.core.robot_events import FeedbackCounted, RobotStarted, RobotStopped
from fillbook.core.values import Source
from fillbook.feedback.early import Early
from fillbook.feedback.intents import Intents
from fillbook.feedback.keeper import Keeper
from fillbook.feedback.line import Line
from fillbook.feedback.questions import Questions
from fillbook.feedback.recorder import Judgement
from fillbook.feedback.recovery import Recovery
from fillbook.feedback.requests import Requests
from fillbook.feedback.safeguards import Safeguards
from fillbook.feedback.schedule import Call, Schedule
from fillbook.feedback.settings import Settings
from fillbook.feedback.task import Task
from fillbook.feedback.watching import is_unanswered, unanswered_requests
from fillbook.feedback.work import Work, storable

__all__ = ["Tracker"]

_COMPARED = ("positions", "cash")
"""What the broker says it holds moves nothing: it is compared, and kept with the comparison."""


class Tracker:
    """The feedback loop of one robot.

    Attributes:
        intents: What the robot wants: taken, or refused.
        requests: What was taken, and what becomes of it.
        questions: What is asked, and what the answers tell.
        recovery: Whether trading goes on.
        safeguards: The rules that halt it.
        early: What the stream told of an order before its submission was answered.
    """

    def __init__(
        self,
        keeper: Keeper,
        capabilities: Capabilities,
        settings: Settings,
        make_id: Callable[[], str],
        random: Random,
    ) -> None:
        self._work = Work(keeper, capabilities, settings, make_id, random)
        self._work.look_at = self._look_at
        self.safeguards = Safeguards(self._work)
        self.requests = Requests(self._work, self.safeguards)
        self.intents = Intents(self._work, self.requests)
        self.questions = Questions(self._work, self.requests)
        self.recovery = Recovery(self._work, self.questions, self.requests, self.safeguards)
        self.early = Early(self._work)
        self.is_started = False
        self._count_ns = 0

    @property
    def keeper(self) -> Keeper:
        """The ledger and its book."""
        return self._work.keeper

    @property
    def book(self) -> Book:
        """The fold of the ledger as of its head."""
        return self._work.book

    @property
    def capabilities(self) -> Capabilities:
        """What the broker can do."""
        return self._work.capabilities

    @property
    def settings(self) -> Settings:
        """The choices of the robot's owner."""
        return self._work.settings

    @property
    def schedule(self) -> Schedule:
        """The calls that wait and those under way."""
        return self._work.schedule

    @property
    def task(self) -> Task:
        """What is done beside the loop."""
        return self._work.task

    @task.setter
    def task(self, task: Task) -> None:
        assert not self.is_started, "a task is there from the start"
        self._work.task = task

    @property
    def work(self) -> Work:
        """What the parts of the loop work on; for a task that works on it too."""
        return self._work

    @property
    def line(self) -> Line:
        """Whether the broker can be reached."""
        return self._work.line

    @property
    def counts(self) -> dict[str, int]:
        """What was heard and added nothing, since it was last put on record."""
        return self._work.counts

    @property
    def checked_ns(self) -> dict[str, int]:
        """When each kind of question was last answered."""
        return self._work.checked_ns

    @property
    def is_stopping(self) -> bool:
        """True where no new intents are taken."""
        return self._work.is_stopping

    def make_id(self) -> str:
        """Return the next client order id."""
        return self._work.make_id()

    # ---- a robot's life

    def start(self, now: int) -> None:
        """Take up the work: note it, and ask what became of everything that is open."""
        work = self._work
        self._count_ns = now + work.settings.count_every_ns
        open_orders = list(work.book.open_orders())
        for order in open_orders:
            watch = work.watch(order, now)
            watch.is_cancel_wanted = any(
                request.kind == "CANCEL" for _, request in unanswered_requests(order)
            )
            watch.sent_ns = watch.cancel_ns = watch.replace_ns = now  # perhaps just before
        work.keeper.note_other(
            RobotStarted(
                ts_event=now,
                broker=work.capabilities.name,
                open_orders=len(open_orders),
                unanswered=self.unanswered_count(),
            )
        )
        lost = work.book.control.lost
        if lost is not None and lost.ts_event is not None:  # no fill was told since, whatever else
            work.keeper.head_ns = min(work.keeper.head_ns, lost.ts_event)
        work.line.is_up = lost is None
        work.line.since_ns = now
        self.is_started = True
        if work.line.is_up:
            self.recovery.begin(now)
        else:
            work.schedule.is_probing = True
            work.line.try_ns = now

    def stop_taking(self) -> None:
        """Take no new intents; what is under way may still be answered."""
        self._work.is_stopping = True

    def stop(self, now: int, reason: str) -> None:
        """Note the end; what is unanswered is asked about at the next start."""
        work = self._work
        for call in work.schedule.clear():
            work.schedule.withdraw(call)
            if call.kind in ("submit", "replace"):  # a cancel is sent at the next start
                self.requests.held_back(call, "the robot stopped first", now)
        work.task.line_lost("the robot stopped first", now)
        self._count(now)
        work.keeper.note_other(
            RobotStopped(
                ts_event=now,
                reason=reason,
                open_orders=len(work.book.open),
                unanswered=self.unanswered_count(),
            )
        )

    def unanswered_count(self) -> int:
        """Return how many orders and requests nobody has answered yet."""
        return sum(
            is_unanswered(order) + len(unanswered_requests(order))
            for order in self._work.book.open_orders()
        )

    # ---- what comes in

    def hear(self, message: Message, now: int) -> Judgement:
        """Take one message of the stream."""
        work = self._work
        work.line.heard_ns = now
        if self.early.must_wait(message):
            return self.early.keep(message)
        return work.record(message, Source.STREAM, now)

    def noted(self, judgement: Judgement, now: int) -> None:
        """Take what an operator recorded about an order; what is open of it is asked about now."""
        order = judgement.order
        if order is None:
            return
        self._look_at(order, judgement.events, now)
        if order.stream in self._work.watches:
            self._work.watches[order.stream].ask_ns = now

    def stream_line(self, is_up: bool, problem: str, now: int) -> None:
        """Take note that the stream came or went; what it did not tell is asked for."""
        work = self._work
        was_up, work.line.stream_is_up = work.line.stream_is_up, is_up
        if is_up and was_up is False and work.line.is_up and self.is_started:
            self.questions.catch_up("")

    def answered(self, call: Call, messages: Sequence[Message], now: int) -> None:
        """Take the answer to *call*; one that comes late is a message like any other."""
        work = self._work
        was_over = call.is_over
        work.schedule.finish(call)
        found: set[int] = set()
        if call.kind not in _COMPARED and call.purpose != "look":
            for message in messages:
                judgement = work.record(message, Source.POLL, now)
                if judgement.order is not None:
                    found.add(judgement.order.stream)
        self.early.read_again(now)
        if not call.is_intent:
            work.counts["polls"] += 1
            work.checked_ns[call.kind] = now
        self.recovery.line_answered(now)
        if was_over:
            return
        if call.kind in ("submit", "cancel", "replace"):
            self.requests.answered(call, now)
        elif call.kind == "look_up" and call.purpose != "look":
            self.questions.looked_up(call, call.stream in found, now)
        elif call.kind in ("open_orders", "fills_since") and call.purpose != "look":
            self.questions.listed(call, found, now)
        if call.purpose in ("task", "look"):
            work.task.answered(call, messages, now)
        self.recovery.settled(call, now)
        self.recovery.open_if_ready(now)

    def failed(self, call: Call, error: BaseException, now: int) -> None:
        """Take the failure of *call*: evidence where it is a refusal, else only that it failed."""
        work = self._work
        was_over = call.is_over
        work.schedule.finish(call)
        if isinstance(error, BrokerRefused):
            self.recovery.line_answered(now)
            is_unknown = call.kind == "look_up" and error.reason == "UNKNOWN_ORDER"
            is_unknown = is_unknown and call.purpose != "look"  # a dry run is no evidence on record
            if is_unknown:
                self.questions.looked_up(call, False, now)
            self.requests.refused(call, error, now)
            if call.is_intent or is_unknown:
                self.recovery.settled(call, now)
            elif call in self.recovery.waits_for:  # a question that is refused tells nothing
                self.recovery.ask_again(call, _in_words(error), now)
            if call.purpose in ("task", "look") and not was_over:
                if is_unknown:  # that is an answer
                    work.task.answered(call, (), now)
                else:
                    work.task.failed(call, _in_words(error), now)
            return
        if was_over:
            return
        problem = _in_words(error)
        if work.line.failed(problem, now, call.stream):
            self.recovery.lose_line(problem, now)
        if call.is_intent:
            self.requests.failed(call, error, problem, now)
        elif call.stream is not None and call.stream in work.watches:
            work.watches[call.stream].ask_later(now, work.settings.most_wait_ns)
        if call in self.recovery.waits_for:
            self.recovery.ask_again(call, problem, now)
        if call.purpose in ("task", "look"):
            work.task.failed(call, problem, now)

    def held_back(self, call: Call, why: str, now: int) -> None:
        """Take note that *call* was not made after all: what it would have sent never left."""
        self._work.schedule.finish(call)
        self.requests.held_back(call, why, now)

    # ---- time

    def start_calls(self, now: int) -> list[Call]:
        """Return the calls to be made now."""
        return self._work.schedule.start(now)

    def tick(self, now: int) -> None:
        """Do what time asks for: deadlines, questions, queue, halts, counts."""
        work = self._work
        for call in work.schedule.overdue(now):
            patience = work.settings.call_timeout_ns / 1e9
            self.failed(call, TimeoutError(f"no answer within {patience:g} s"), now)
        if not work.line.is_up:
            self.recovery.probe(now)
        elif not work.is_stopping:
            self.questions.poll(now)
        for watch in [w for w in work.watches.values() if w.ask_ns <= now]:
            self.questions.ask(watch, now)
        self.early.read_again(now)
        if work.line.is_up and not work.is_stopping:
            work.task.tick(now)
            self.recovery.open_if_ready(now)
        self._tend(now)
        if now >= self._count_ns:
            self._count(now)

    def due_ns(self, now: int) -> int | None:
        """Return when `tick` or `start_calls` has something to do next; None for never."""
        work = self._work
        moments = [self._count_ns]
        due = work.schedule.due_ns(now)
        if due is not None:
            moments.append(due)
        if not work.line.is_up:
            if not self.recovery.is_probing():
                moments.append(work.line.try_ns)
        elif not work.is_stopping:
            moments.append(self.questions.poll_ns)
            task_ns = work.task.due_ns()
            if task_ns is not None:
                moments.append(task_ns)
        moments += [w.ask_ns for w in work.watches.values()] if work.line.is_up else []
        moments += [queued.valid_until for queued in work.book.control.queued.values()]
        return min(moments)

    # ---- inside

    def _look_at(self, order: Order, events: Iterable[Event], now: int) -> None:
        """Take from *order*, which something was heard of, what the tracker has to know."""
        work = self._work
        if order.is_closed:
            work.watches.pop(order.stream, None)
        else:
            watch = work.watch(order, now)
            if not is_unanswered(order):
                # Where one call asks for all, an order is asked about alone only if that misses it.
                interval_ns = work.interval_ns(now) << work.capabilities.has_open_orders
                is_quiet = not watch.is_cancel_wanted and not unanswered_requests(order)
                watch.answered(now, interval_ns, work.settings.ask_again_ns, is_quiet=is_quiet)
            if watch.deferred is not None:
                self.requests.cancel_again(order, watch, now)
        for event in events:
            if isinstance(event, OrderRejected) and not event.never_arrived:
                self.safeguards.count_reject(order, event, now)
            elif isinstance(event, OrderAccepted | OrderFilled | FillInferred):
                self.safeguards.rejects.pop(order.instrument_id, None)
        if order.partial_fills is not None and self.is_started:
            self.requests.act_on_rest(order, now)

    def _tend(self, now: int) -> None:
        """Do what the passing of time alone asks for."""
        work = self._work
        wait_ns = work.settings.fill_policy.wait_ns
        for stream in list(work.watches):
            order = work.book.order(stream)
            if wait_ns and order.gap is not None:
                events = decide_overdue(order, now, work.settings.fill_policy)
                work.note("gap", order, events, now)
            if order.partial_fills is not None:
                self.requests.act_on_rest(order, now)
            self.safeguards.halt_if_unknown(order, now)
        self.requests.expire_queued(now)
        self.safeguards.halt_if_silent(now)

    def _count(self, now: int) -> None:
        """Put on record how much was heard that added nothing."""
        work = self._work
        self._count_ns = now + work.settings.count_every_ns
        if any(work.counts.values()):
            work.keeper.note_other(
                FeedbackCounted(
                    ts_event=now,
                    duplicates=work.counts["DUPLICATE"],
                    stale=work.counts["STALE"],
                    polls=work.counts["polls"],
                )
            )
            work.counts.update(dict.fromkeys(work.counts, 0))


def _in_words(error: BaseException) -> str:
    text = storable(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"
