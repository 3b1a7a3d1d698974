"""Let threads that wait for the disk wait together: one commit for all that queue up meanwhile.

Whoever finds the writer free commits for itself and does not come here.  The first who finds it at
work leads the next commit: for itself and for all who came until the writer was free.  Nobody waits
for company that may not come, and a lone caller pays nothing.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from fillbook.log.port import Record
from fillbook.log.staging import Prepared

__all__ = ["Group", "Request"]


class Request:
    """What one caller wants appended, and what became of it: `records` or `error`."""

    __slots__ = ("drafts", "error", "gate", "is_feedback", "leads", "records")

    def __init__(self, drafts: Sequence[Prepared], is_feedback: bool) -> None:
        self.drafts = drafts
        self.is_feedback = is_feedback
        self.records: list[Record] | None = None
        self.error: Exception | None = None
        self.leads = False
        self.gate: threading.Lock | None = None
        """Held while its caller has to wait."""

    @property
    def is_settled(self) -> bool:
        """True once it has its records or its error."""
        return self.records is not None or self.error is not None

    def outcome(self) -> list[Record]:
        """Return the records of a settled request, or raise its error."""
        if self.error is not None:
            raise self.error
        assert self.records is not None
        return self.records


class Group:
    """The queue before one log.

    Args:
        commit: Settles the requests it is given.  Those it leaves unsettled because something
            foreign to them got in the way (an interrupt) are queued again.
        turn: Held by whoever uses the writer; a leader waits for it.

    Attributes:
        has_leader: Others queue already: who comes now does as well, and does not overtake them.
    """

    def __init__(self, commit: Callable[[list[Request]], None], turn: threading.Lock) -> None:
        self._commit = commit
        self._turn = turn
        self._lock = threading.Lock()
        self._waiting: deque[Request] = deque()
        self.has_leader = False

    def submit(self, request: Request) -> None:
        """Return once *request* is settled.

        It waits without a timeout: a caller that went away could never learn whether its events are
        in the ledger.  A leader settles every request it took, or queues it again.
        """
        try:
            with self._lock:
                if self.has_leader:
                    request.gate = threading.Lock()
                    request.gate.acquire()
                    self._waiting.append(request)
                else:
                    self.has_leader = request.leads = True
            if request.gate is not None:
                request.gate.acquire()  # until it is settled, or is to lead
            if request.leads:
                self._lead(request)
        except BaseException:
            self._leave(request)
            raise

    def _leave(self, request: Request) -> None:
        """Let an interrupted caller go; a request that is being committed stays in."""
        with self._lock:
            if request in self._waiting:
                self._waiting.remove(request)
            elif request.leads:
                self._pass_on_for(request)

    def _lead(self, own: Request) -> None:
        requests = [own]
        try:
            with self._turn:
                with self._lock:
                    requests += self._waiting
                    self._waiting.clear()
                self._commit(requests)
        finally:
            with self._lock:
                if len(requests) > 1:
                    self._let_go(requests[1:])
                self._pass_on_for(own)

    def _let_go(self, others: list[Request]) -> None:
        """Wake those that are settled, queue the others again; the caller holds the lock."""
        for request in reversed(others):
            if not request.is_settled:
                self._waiting.appendleft(request)
        for request in others:
            if request.is_settled and request.gate is not None:
                request.gate.release()

    def _pass_on_for(self, leader: Request) -> None:
        """Let the next in the queue lead in the place of *leader*; the caller holds the lock."""
        leader.leads = False
        self.has_leader = bool(self._waiting)
        if self._waiting:
            heir = self._waiting.popleft()
            heir.leads = True
            if heir.gate is not None:
                heir.gate.release()
