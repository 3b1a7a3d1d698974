"""Know whether the book and the broker hold the same quantities, and since when.

This only looks: nothing is explained and nothing set right.  An answer that was under way together
with an intent says nothing, as fills may have crossed it.
"""

from collections.abc import Sequence
from decimal import Decimal

from fillbook.brokers.port import Message
from fillbook.core.exact import EXACT, plain
from fillbook.core.reports import PositionReport
from fillbook.feedback.schedule import Call
from fillbook.feedback.watching import is_unanswered
from fillbook.feedback.work import Work

__all__ = ["Agreement"]


class Agreement:
    """What the last comparison of positions gave.

    Attributes:
        is_so: Book and broker hold the same; None before the first comparison.
        since_ns: Since when that has been so.
        differences: By instrument, what the broker holds more than the book, as decimal text.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self.is_so: bool | None = None
        self.since_ns = 0
        self.differences: dict[str, str] = {}

    def compare(self, call: Call, messages: Sequence[Message], now: int) -> bool:
        """Compare the answer to *call* with the book; False where something moved meanwhile."""
        work = self._work
        orders = [work.book.order(stream) for stream in work.watches]
        moved = any(watch.heard_ns >= call.started_ns for watch in work.watches.values())
        if moved or any(is_unanswered(order) for order in orders):
            return False
        if any(message.problem is not None for message in messages):
            return False
        gaps: dict[str, Decimal] = {}
        for view in work.book.position_views():
            if view.account_id == work.settings.account_id:
                gaps[view.instrument_id] = view.position_qty.copy_negate()
        for message in messages:
            report = message.content
            if isinstance(report, PositionReport) and report.account_id == work.settings.account_id:
                held = gaps.get(report.instrument_id, Decimal(0))
                gaps[report.instrument_id] = EXACT.add(held, report.position_qty)
        self.differences = {name: plain(gap) for name, gap in sorted(gaps.items()) if gap}
        is_so = not self.differences
        if is_so is not self.is_so:
            self.is_so, self.since_ns = is_so, now
        return True
