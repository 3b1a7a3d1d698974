"""Halt by rule: too many rejections, an order unknown for too long, too long a silence."""

from fillbook.core.events import OrderRejected
from fillbook.core.orders import Order
from fillbook.core.robot_events import HaltDeclared
from fillbook.feedback.work import Work

__all__ = ["Safeguards"]


class Safeguards:
    """The rules that halt trading; only an operator lifts what they halt.

    Attributes:
        rejects: Rejections in a row, by instrument.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self.rejects: dict[str, int] = {}

    def count_reject(self, order: Order, event: OrderRejected, now: int) -> None:
        """Take note of a rejection."""
        count = self.rejects.get(order.instrument_id, 0) + 1
        self.rejects[order.instrument_id] = count
        work = self._work
        most = work.settings.most_rejects
        if most is not None and count >= most:
            reason = (
                f"{count} orders in a row were rejected, the last one: "
                f"{event.text or event.reason or 'no reason given'}"
            )
            self.halt(order.instrument_id, "REJECTS", reason, now, work.settings.rejects_level)

    def halt_if_unknown(self, order: Order, now: int) -> None:
        """Halt the instrument of an order that is unknown for too long."""
        work = self._work
        most = work.settings.most_unknown_ns
        if most is None or not order.standing.is_lost:
            return
        since = work.watches[order.stream].since_ns
        if now - since > most:
            reason = f"order {order.client_order_id} is unknown for {(now - since) // 10**9} s"
            level = work.settings.unknown_level
            self.halt(order.instrument_id, "UNKNOWN_ORDER", reason, now, level)

    def halt_if_silent(self, now: int) -> None:
        """Halt everything where orders are open and nobody has said anything for too long."""
        work = self._work
        most = work.settings.most_silence_ns
        if most is None or not work.watches:
            return
        heard = max(work.line.heard_ns, work.line.answer_ns, work.line.since_ns)
        if now - heard > most:
            for_s, count = (now - heard) // 10**9, len(work.watches)
            reason = f"nothing heard for {for_s} s with {count} orders open"
            self.halt(None, "SILENCE", reason, now, work.settings.silence_level)

    def halt(
        self, instrument_id: str | None, cause: str, reason: str, now: int, level: str = "HALTED"
    ) -> None:
        """Record a halt, unless there is one."""
        work = self._work
        if work.book.control.halts.get(instrument_id or "") is not None:
            return
        work.keeper.note_other(
            HaltDeclared(
                ts_event=now, level=level, cause=cause, by="the robot", reason=reason,
                instrument_id=instrument_id,
            )
        )  # fmt: skip
