"""Know when trading may go on: after a start, and after every loss of the line, questions first."""

from collections import Counter

from fillbook.brokers.live import NotSent
from fillbook.core.commands import SubmitOrder
from fillbook.core.robot_events import LineLost, LineRestored
from fillbook.errors import RequestRefused, StorageFailed
from fillbook.feedback.gate import refuse_if_halted
from fillbook.feedback.questions import Questions
from fillbook.feedback.requests import Requests
from fillbook.feedback.safeguards import Safeguards
from fillbook.feedback.schedule import Call
from fillbook.feedback.watching import ref_of
from fillbook.feedback.work import Work

__all__ = ["Recovery"]


class Recovery:
    """The way back to trading.

    Attributes:
        waits_for: The questions that trading waits for; empty while it goes on.
        is_recovered: Every one of them was answered since the start, or since the line was lost.
    """

    def __init__(
        self, work: Work, questions: Questions, requests: Requests, safeguards: Safeguards
    ) -> None:
        self._work = work
        self._safeguards = safeguards
        self._failures: Counter[int] = Counter()
        self._questions = questions
        self._requests = requests
        self.waits_for: set[Call] = set()
        self.is_recovered = False

    def begin(self, now: int) -> None:
        """Ask what became of everything, before anything new is sent."""
        self._work.schedule.is_open = self.is_recovered = False
        self._failures.clear()
        self.waits_for.update(self._questions.catch_up("recovery"))
        if not self.waits_for:
            self._recovered(now)

    def settled(self, call: Call, now: int) -> None:
        """Take note that *call* was answered; after the last question trading goes on."""
        if call in self.waits_for:
            self.waits_for.discard(call)
            if not self.waits_for and self._work.line.is_up:
                self._recovered(now)

    def ask_again(self, call: Call, problem: str, now: int) -> None:
        """Put a question of the recovery again: trading waits for it.

        One order that cannot be asked about holds up no other: where the broker answers all else,
        its instrument is halted, and the rest goes on.
        """
        work = self._work
        self.waits_for.discard(call)
        order = work.order_of(call)
        if order is not None:
            self._failures[order.stream] += 1
            often = self._failures[order.stream] >= work.settings.failures_to_lose_line
            if often and work.line.is_up and work.line.answer_ns >= work.line.since_ns:
                reason = f"order {order.client_order_id} cannot be asked about: {problem}"
                self._safeguards.halt(order.instrument_id, "UNANSWERED", reason, now)
                if not self.waits_for:
                    self._recovered(now)
                return
        again = Call(call.kind, order=call.order, stream=call.stream, since=call.since,
                     purpose="recovery", not_before=now + work.line.wait_ns())  # fmt: skip
        if work.line.is_up:
            self.waits_for.add(work.schedule.want(again))

    def _recovered(self, now: int) -> None:
        """Go on to the task, and to trading as soon as that allows it."""
        self.is_recovered = True
        self._work.task.begin(now)
        self.open_if_ready(now)

    def open_if_ready(self, now: int) -> None:
        """Trade where nothing stands in the way any more."""
        work = self._work
        is_waiting = not self.is_recovered or not work.task.is_ready
        if not work.schedule.is_open and not is_waiting and work.line.is_up:
            self._open(now)

    def _open(self, now: int) -> None:
        """Trade: first what waited, then what policies ask for."""
        work = self._work
        work.schedule.is_open = True
        for client_order_id, queued in list(work.book.control.queued.items()):
            if work.is_stopping or work.keeper.storage_problem is not None:
                break  # what waits goes on waiting, until it expires or the robot is back
            if queued.valid_until <= now:
                self._requests.drop_queued(
                    client_order_id, "EXPIRED", "the line was down for too long", now
                )
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
                refuse_if_halted(work.book, command)
            except RequestRefused as exc:
                self._requests.drop_queued(client_order_id, "REFUSED", str(exc), now)
                continue
            try:
                self._requests.send(command, now)
            except StorageFailed:  # the keeper has it; feedback must go on
                break
        for order in list(work.book.open_orders()):
            watch = work.watch(order, now)
            if order.partial_fills is not None:
                self._requests.act_on_rest(order, now)
            if watch.is_cancel_wanted:
                watch.cancel_count = 0  # what the line lost counts for nothing
                self._requests.cancel_again(order, watch, now)

    def lose_line(self, problem: str, now: int) -> None:
        """Record that the line is lost; what was not sent yet is known never to have left."""
        work = self._work
        work.keeper.note_other(LineLost(ts_event=now, problem=problem))
        work.schedule.is_open, work.schedule.is_probing = False, True
        self.is_recovered = False
        for call in work.schedule.clear():
            work.schedule.withdraw(call)
            if call.is_intent:
                self._requests.failed(call, NotSent(problem), problem, now)
        self.waits_for.clear()
        work.task.line_lost(problem, now)

    def line_answered(self, now: int) -> None:
        """Take note that the broker answered; a line that was down is back by that."""
        work = self._work
        down_ns = now - work.line.since_ns
        if work.line.answered(now):
            work.keeper.note_other(LineRestored(ts_event=now, down_ns=down_ns))
            work.schedule.is_probing = False
            self.begin(now)

    def probe(self, now: int) -> None:
        """Try the line with one harmless question."""
        work = self._work
        if now < work.line.try_ns or self.is_probing():
            return
        call = self._harmless()
        if call is None:  # nothing can be asked: believe in the line again, the next call will tell
            self.line_answered(now)
            return
        work.schedule.want(call)

    def is_probing(self) -> bool:
        """Tell whether the line is being tried."""
        return any(call.purpose == "probe" for call in self._work.schedule.all())

    def _harmless(self) -> Call | None:
        work = self._work
        if work.capabilities.has_open_orders:
            return Call("open_orders", purpose="probe")
        if work.capabilities.has_positions:
            return Call("positions", purpose="probe")
        for stream in work.watches:
            order = work.book.order(stream)
            if work.can_look_up(order):
                return Call("look_up", order=ref_of(order), stream=stream, purpose="probe")
        return None
