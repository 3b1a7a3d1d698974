"""Run a tracker: a thread that watches the time, threads that make the calls, one that tells.

The tracker itself is guarded by one lock, and whoever has something for it (the robot, a call's
thread, the broker's stream) takes the lock and gives it.  So a fill that arrives is durable before
the stream's thread goes on, and a call that hangs holds up nobody: it has a thread of its own, and
its deadline is kept by the watch.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fillbook.brokers.live import Broker
from fillbook.brokers.port import Message
from fillbook.core.robot_events import CallbackFailed
from fillbook.errors import FillbookError
from fillbook.feedback.clock import SteadyClock
from fillbook.feedback.halt_file import HaltFile
from fillbook.feedback.keeper import News
from fillbook.feedback.last_look import LastLook
from fillbook.feedback.schedule import Call
from fillbook.feedback.tracker import Tracker
from fillbook.feedback.verbs import RobotBusy
from fillbook.feedback.work import storable

__all__ = ["Runner"]

_LOG = logging.getLogger("fillbook.robot")
_LONGEST_WAIT_S = 1.0
_MOST_IDLE = 4
_PATIENCE_S = 1.5
"""Less than a peer at the door waits for its answer."""

Told = Callable[[News], None]


class Runner:
    """One tracker at work on one broker.

    Attributes:
        lock: Guards the tracker, its book and its log; held for each input as a whole.
        changed: Notified, under the lock, whenever something became durable.
        trouble: What stopped the work for good; None while it goes on.
        is_over: It was stopped; nothing changes any more.
    """

    def __init__(
        self,
        tracker: Tracker,
        broker: Broker,
        clock: Callable[[], int] | None = None,
        halt_file: HaltFile | None = None,
    ) -> None:
        self.tracker = tracker
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.trouble: BaseException | None = None
        self.is_over = False
        self._broker = broker
        self._clock = clock or SteadyClock()
        self._last_look = LastLook(tracker, halt_file)
        self._wake = threading.Event()
        self._is_stopping = False
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._workers = 0
        self._idle = 0
        self._news: queue.SimpleQueue[News | None] = queue.SimpleQueue()
        self._told: list[tuple[str, Told]] = []
        self._watch = threading.Thread(target=self._keep_watch, name="fillbook-watch", daemon=True)
        self._teller = threading.Thread(target=self._tell, name="fillbook-tell", daemon=True)

    # ---- beginning and end

    def start(self) -> None:
        """Start the threads, the tracker's questions and the broker's stream."""
        self._teller.start()
        with self.step() as now:
            self._last_look.take_requests(now)  # left while no robot ran, or before a crash
            self.tracker.start(now)
        self._watch.start()
        if self.tracker.capabilities.has_stream:
            self._broker.connect(self)

    def stop(self, reason: str, drain_s: float) -> None:
        """Stop in order: no new intents, answers until *drain_s* have passed, the end on record."""
        deadline = time.monotonic() + drain_s
        with self.step():
            self.tracker.stop_taking()
        with self.lock:
            while self.tracker.schedule.is_busy() and self.trouble is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self.changed.wait(min(left, 0.1))
        self._is_stopping = True
        self._wake.set()
        if self._watch.is_alive():
            self._watch.join(timeout=5)
        with contextlib.suppress(Exception):  # its end must not keep ours
            self._broker.close()
        try:
            if self.trouble is None:
                with self.step() as now:
                    self.tracker.stop(now, reason)
        finally:
            with self.lock:
                self.is_over = True
                self.changed.notify_all()
            self._news.put(None)
        if not self.is_telling():
            self._teller.join(timeout=5)
        for _ in range(self._workers):
            self._calls.put(None)

    # ---- inputs

    @contextmanager
    def step(self) -> Iterator[int]:
        """Hold the lock for one input, given the moment; then let news and calls go their ways."""
        with self.lock:
            try:
                yield self._clock()
            finally:
                self._hand_out()
        self._wake.set()

    @contextmanager
    def short_step(self) -> Iterator[int]:
        """Do as `step` for somebody who does not wait long: `RobotBusy`, and nothing was done."""
        if not self.lock.acquire(timeout=_PATIENCE_S):
            raise RobotBusy("the robot has been busy with something else for too long")
        try:
            with self.step() as now:
                yield now
        finally:
            self.lock.release()

    def hear(self, message: Message) -> None:
        """Take a message of the stream (`live.Listener`)."""
        if not self._is_stopping:
            self._guarded(lambda now: self.tracker.hear(message, now))

    def line(self, is_up: bool, problem: str = "") -> None:
        """Take note of the stream's line (`live.Listener`)."""
        if not self._is_stopping:
            self._guarded(lambda now: self.tracker.stream_line(is_up, problem, now))

    def when_told(self, name: str, told: Told) -> None:
        """Have *told* called with every event, in order, on a thread of its own."""
        self._told.append((name, told))

    def is_telling(self) -> bool:
        """Tell whether this is the thread that calls back."""
        return threading.current_thread() is self._teller

    def tell_no_more(self, told: Told) -> None:
        """Call *told* no more."""
        self._told = [each for each in self._told if each[1] is not told]

    def _guarded(self, what: Callable[[int], object]) -> None:
        """Give something to the tracker; what it cannot survive stops the robot, and is kept."""
        try:
            with self.step() as now:
                what(now)
        except Exception as exc:
            # Besides the log's errors this is any mistake of ours: on a thread of the broker's or
            # of our own it would end unseen, and the robot would trade on without a tracker.
            _LOG.critical("the robot stops: %s", exc, exc_info=not isinstance(exc, FillbookError))
            with self.lock:
                self.trouble = self.trouble or exc
                self.changed.notify_all()

    def _hand_out(self) -> None:
        """Pass on what became durable, and start what may start; the lock is held."""
        news = self.tracker.keeper.take_news()
        for each in news:
            self._news.put(each)
        if self.trouble is None and not self._is_stopping:
            for call in self.tracker.start_calls(self._clock()):
                if self._idle:  # who waits is spoken for from here on, not from when it wakes
                    self._idle -= 1
                else:
                    self._workers += 1
                    threading.Thread(
                        target=self._work, name=f"fillbook-call-{self._workers}", daemon=True
                    ).start()
                self._calls.put(call)
        self.changed.notify_all()

    # ---- threads

    def _keep_watch(self) -> None:
        """Let time pass for the tracker, until the end."""
        while not self._is_stopping and self.trouble is None:
            if self._last_look.has_request():
                self._guarded(self._last_look.take_requests)
            self._guarded(self.tracker.tick)
            self._wake.clear()  # whatever came before this is in `due_ns`
            with self.lock:
                now = self._clock()
                due = self.tracker.due_ns(now)
            wait_s = _LONGEST_WAIT_S if due is None else min((due - now) / 1e9, _LONGEST_WAIT_S)
            self._wake.wait(max(wait_s, 0.001))

    def _work(self) -> None:
        """Make calls, one after the other, until there are enough others who wait for one."""
        while (call := self._calls.get()) is not None:
            self._carry_out(call)
            with self.lock:
                if self._idle >= _MOST_IDLE:
                    self._workers -= 1
                    return
                self._idle += 1

    def _carry_out(self, call: Call) -> None:
        """Make *call* unless it may not leave any more, and pass on what came of it."""
        if self._last_look.is_late(call, self._clock()):
            why = "its time was up before it left"
            self._guarded(lambda now: self.tracker.held_back(call, why, now))
            return
        if self._last_look.concerns(call) and not self._may_leave(call):
            return
        try:
            messages = self._make(call)
        except Exception as exc:
            # A broker is anybody's code over anybody's library: whatever it raises is its failure,
            # proves nothing about the order, and is passed on as such.
            error = exc
            self._guarded(lambda now: self.tracker.failed(call, error, now))
        else:
            self._guarded(lambda now: self.tracker.answered(call, messages, now))

    def _may_leave(self, call: Call) -> bool:
        """Look at *call* once more; where a halt has come meanwhile its intent ends here."""
        may_leave = False

        def look(now: int) -> None:
            nonlocal may_leave
            self._last_look.take_requests(now)
            why = self._last_look.why_not(call)
            if why is None:
                may_leave = True
            else:
                self.tracker.held_back(call, why, now)

        self._guarded(look)  # where that fails the call is not made
        return may_leave

    def _make(self, call: Call) -> list[Message]:
        method = getattr(self._broker, call.kind)
        return list(method(*call.arguments()))

    def _tell(self) -> None:
        """Tell everybody of each event; one who raises is put on record and stops nothing."""
        while (news := self._news.get()) is not None:
            for name, told in list(self._told):
                try:
                    told(news)
                except BaseException as exc:  # one who exits ends only his own turn
                    _LOG.exception("%s raised", name)
                    if not isinstance(news.event, CallbackFailed):  # no end of it otherwise
                        self._note_failure(name, exc, news)

    def _note_failure(self, name: str, exc: BaseException, news: News) -> None:
        text = storable(" ".join(f"{type(exc).__name__}: {exc}".split()))[:200]
        event = CallbackFailed(
            ts_event=self._clock(), callback=name, problem=text, told_seq=news.record.seq
        )
        self._guarded(lambda now: self.tracker.keeper.note_other(event))
