"""Keep what the stream tells of an order before its submission was answered, until it is.

Some brokers' streams name an order by their own id alone.  While a submission is unanswered that id
may be its order's, and the message would open an order of somebody else's: the same fill would be
booked there, and be missing here.  So it is recorded at once, word for word, and read again as soon
as it is known whose it is.  After a crash the questions of the recovery bring it again.
"""

from attrs import evolve

from fillbook.brokers.port import Message
from fillbook.core.reports import OrderReport
from fillbook.core.values import Side, Source
from fillbook.feedback.recorder import Judgement
from fillbook.feedback.watching import is_unanswered
from fillbook.feedback.work import Work

__all__ = ["Early"]

_WAITS = "it names an order that is not known yet, and a submission is unanswered: it is read again"


class Early:
    """The messages that wait."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._waiting: list[Message] = []

    def must_wait(self, message: Message) -> bool:
        """Tell whether *message* may be about an order whose submission is unanswered."""
        report = message.content
        if message.problem is not None or not isinstance(report, OrderReport):
            return False
        book = self._work.book
        if book.find_order(
            report.client_order_id, report.venue_order_id, report.orig_client_order_id
        ):
            return False
        return report.client_order_id is None and any(
            report.instrument_id in (None, order.instrument_id)
            and (report.side is None or (report.side is Side.BUY) == (order.sign > 0))
            for order in map(book.order, self._work.watches)
            if is_unanswered(order)
        )

    def keep(self, message: Message) -> Judgement:
        """Record *message* and keep it until it is known whose it is."""
        self._waiting.append(message)
        return self._work.keeper.hear(evolve(message, problem=_WAITS), Source.STREAM)

    def read_again(self, now: int) -> None:
        """Take what need not wait any more, in the order in which it came."""
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            if self._waiting or self.must_wait(message):  # nothing overtakes
                self._waiting.append(message)
            else:
                self._work.record(message, Source.STREAM, now)
