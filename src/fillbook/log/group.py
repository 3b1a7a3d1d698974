"""Let threads that wait for the disk wait together: one commit for all that queue up meanwhile.

The first caller leads: it commits for itself and for everyone queued by then.  Whoever queues up
during that commit waits, and one of them leads the next.  Nobody waits for company that may not
come, so a lone caller pays nothing.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from fillbook.log.port import Record
from fillbook.log.staging import Prepared

__all__ = ["Group", "Request"]


class Request:
    """What one caller wants appended, and what became of it."""

    __slots__ = ("_gate", "drafts", "error", "is_feedback", "leads", "records")

    def __init__(self, drafts: Sequence[Prepared], is_feedback: bool) -> None:
        self.drafts = drafts
        self.is_feedback = is_feedback
        self.records: list[Record] | None = None
        self.error: Exception | None = None
        self.leads = False
        self._gate = threading.Lock()
        self._gate.acquire()

    @property
    def is_settled(self) -> bool:
        """True once it has its records or its error."""
        return self.records is not None or self.error is not None

    def wait(self) -> None:
        """Wait until it is settled, or is to lead.

        Without a timeout: a caller that went away could never learn whether its events are in the
        ledger.  The leader settles every request it took, whatever happens to it.
        """
        self._gate.acquire()

    def wake(self) -> None:
        """Let its caller go on."""
        self._gate.release()


class Group:
    """The queue before one log.

    Args:
        commit: Settles the requests it is given.  Those it leaves unsettled because something
            foreign to them got in the way (an interrupt) are queued again.
    """

    def __init__(self, commit: Callable[[list[Request]], None]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._waiting: deque[Request] = deque()
        self._has_leader = False

    def submit(self, request: Request) -> list[Record]:
        """Return the records of *request* once they are durable, or raise its error."""
        with self._lock:
            if self._has_leader:
                self._waiting.append(request)
            else:
                self._has_leader = request.leads = True
        if not request.leads:
            try:
                request.wait()
            except BaseException:
                self._leave(request)
                raise
        if request.leads:
            self._lead(request)
        if request.error is not None:
            raise request.error
        assert request.records is not None
        return request.records

    def _lead(self, own: Request) -> None:
        requests = [own]
        try:
            with self._lock:
                requests += self._waiting
                self._waiting.clear()
            self._commit(requests)
        finally:
            others = requests[1:]
            with self._lock:
                self._waiting.extendleft(
                    reversed([request for request in others if not request.is_settled])
                )
                self._pass_on()
            for request in others:
                if request.is_settled:
                    request.wake()

    def _pass_on(self) -> None:
        """Let the next in the queue lead; the caller holds the lock."""
        self._has_leader = bool(self._waiting)
        if self._waiting:
            heir = self._waiting.popleft()
            heir.leads = True
            heir.wake()

    def _leave(self, request: Request) -> None:
        """Take out a request whose caller was interrupted; one being committed stays in."""
        with self._lock:
            if request in self._waiting:
                self._waiting.remove(request)
            elif request.leads:
                self._pass_on()
