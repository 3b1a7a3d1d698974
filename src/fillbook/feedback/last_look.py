"""Look once more, right before a call leaves, whether an operator has stopped it meanwhile.

Between the moment an order was recorded and the moment its bytes leave there may be a wait for the
rate limit, a hung process, a suspended machine.  A halt that came in between must hold.
"""

from fillbook.core.commands import ReplaceOrder, SubmitOrder
from fillbook.core.robot_events import HaltDeclared
from fillbook.errors import TradingHalted
from fillbook.feedback.gate import refuse_if_halted, refuse_replace_if_halted
from fillbook.feedback.halt_file import HaltFile, HaltRequest
from fillbook.feedback.keeper import Keeper
from fillbook.feedback.schedule import Call
from fillbook.feedback.tracker import Tracker

__all__ = ["LastLook", "take_halts"]


class LastLook:
    """The last look of one robot; *halt_file* is None where its ledger is no file."""

    def __init__(self, tracker: Tracker, halt_file: HaltFile | None = None) -> None:
        self._tracker = tracker
        self._halt_file = halt_file

    def has_request(self) -> bool:
        """Tell whether a halt was left beside the ledger."""
        return self._halt_file is not None and self._halt_file.is_there()

    def is_late(self, call: Call, now: int) -> bool:
        """Tell whether *call* was given up before it left: what took its place may be out there.

        A cancel or a question harms nobody, however late.
        """
        if not call.is_intent or call.kind == "cancel":
            return False
        return call.is_over or call.deadline_ns <= now

    def concerns(self, call: Call) -> bool:
        """Tell whether *call* must be looked at under the lock; mostly it need not."""
        if not call.is_intent or call.kind == "cancel":  # a cancel takes risk away
            return False
        return self.has_request() or bool(self._tracker.book.control.halts)

    def take_requests(self, now: int) -> None:
        """Put on record what was left beside the ledger; the lock is held."""
        if self._halt_file is not None:
            take_halts(self._halt_file, self._tracker.keeper, now)

    def why_not(self, call: Call) -> str | None:
        """Return what forbids *call*, in words; None where it may leave.  The lock is held."""
        command = call.command
        try:
            if isinstance(command, SubmitOrder):
                refuse_if_halted(self._tracker.book, command)
            elif isinstance(command, ReplaceOrder) and call.stream is not None:
                order = self._tracker.book.order(call.stream)
                terms = command.order_qty, command.limit_px, command.stop_px
                refuse_replace_if_halted(self._tracker.book, order, *terms)
        except TradingHalted as exc:
            return str(exc)
        return None


def take_halts(halt_file: HaltFile, keeper: Keeper, now: int) -> int:
    """Make events of the halts that were left in *halt_file*; return how many."""

    def record(request: HaltRequest) -> None:
        event = HaltDeclared(
            ts_event=now if request.ts is None else request.ts, level=request.level,
            cause="OPERATOR", by=request.by, reason=request.reason,
            instrument_id=request.instrument_id,
        )  # fmt: skip
        keeper.note_other(event, "OPERATOR")

    return halt_file.take(record)
