"""Be the broker that a statement speaks for: it tells positions and can do nothing else."""

from collections.abc import Sequence

from fillbook.brokers.live import Capabilities, Listener, NotSent, OrderRef
from fillbook.brokers.port import Message
from fillbook.brokers.statements.reading import Statement
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder

__all__ = ["StatementBroker"]


class StatementBroker:
    """A statement as a live broker; see `live.Broker`.  The same answer, however often asked.

    *name* says for people which one it is.
    """

    def __init__(self, statement: Statement, name: str | None = None) -> None:
        self._statement = statement
        self._capabilities = Capabilities(
            name=name or f"statement ({statement.mapping})",
            has_positions=True,
            settling_ns=0,
            positions_lag_ns=0,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def connect(self, listener: Listener) -> None:
        """Tell nothing: a file has no stream."""

    def close(self) -> None:
        """Let go of nothing."""

    def positions(self) -> Sequence[Message]:
        """Return what the statement says that is held."""
        return list(self._statement.messages)

    def submit(self, order: SubmitOrder) -> Sequence[Message]:
        raise _unasked()

    def cancel(self, request: CancelOrder, order: OrderRef) -> Sequence[Message]:
        raise _unasked()

    def replace(self, request: ReplaceOrder, order: OrderRef) -> Sequence[Message]:
        raise _unasked()

    def look_up(self, order: OrderRef) -> Sequence[Message]:
        raise _unasked()

    def open_orders(self) -> Sequence[Message]:
        raise _unasked()

    def fills_since(self, ts_event: int) -> Sequence[Message]:
        raise _unasked()

    def instruments(self) -> Sequence[Message]:
        raise _unasked()

    def activities_since(self, ts_event: int) -> Sequence[Message]:
        raise _unasked()

    def cash(self) -> Sequence[Message]:
        raise _unasked()


def _unasked() -> NotSent:
    return NotSent("a statement is a file: nothing can be sent to it or asked of it")
