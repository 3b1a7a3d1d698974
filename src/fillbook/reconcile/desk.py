"""Say what a reconciliation works on: a book, a broker to be asked, and a place to put what comes.

Live it is the running robot, by hand it may be a ledger at rest, and in a dry run a fork of either:
the reconciliation does not know which.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Literal, Protocol

from attrs import frozen

from fillbook.brokers.live import Capabilities
from fillbook.core.agreement import Agreement, Key
from fillbook.core.book import Book
from fillbook.core.commands import SubmitOrder
from fillbook.core.reconciled_events import BookReconciled, PositionAdopted
from fillbook.core.robot_events import HaltDeclared
from fillbook.log.port import Record

__all__ = ["Desk", "Question", "Resolution"]

Question = Literal["positions", "cash", "open_orders", "orders", "fills_since", "activities_since"]


@frozen(kw_only=True)
class Resolution:
    """What a run came to; all of it is written together or not at all.

    Attributes:
        run: The run itself, the first of the append.
        raw: What the broker said, the bytes behind `run`.
        adoptions: What moves the book, each with the order that trades it back, if one does.
        halts: What stops trading.
    """

    run: BookReconciled
    raw: bytes
    adoptions: Sequence[tuple[PositionAdopted, SubmitOrder | None]] = ()
    halts: Sequence[HaltDeclared] = ()


class Desk(Protocol):
    """What a run needs; every method is called with whatever guards the book held."""

    @property
    def book(self) -> Book:
        """The fold of the ledger as of its head."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the broker can tell."""
        ...

    @property
    def ledger_id(self) -> bytes:
        """Whose book it is."""
        ...

    @property
    def account_ids(self) -> frozenset[str]:
        """The accounts that are compared; other positions in the book are left alone."""
        ...

    @property
    def agreement(self) -> Agreement:
        """Since when those accounts agree with the broker."""
        ...

    @property
    def begun_ns(self) -> int:
        """When the ledger began; ns since 1970, UTC."""
        ...

    def ask(self, kind: Question, since: int = 0, keys: Sequence[Key] = ()) -> bool:
        """Have the broker asked, and the run told what came of it; False where nothing is asked.

        Args:
            kind: A method of `live.Broker`, or `orders`: the orders of the positions *keys* that
                are open here, each by itself.
            since: Of what has it, ns since 1970, UTC.
        """
        ...

    def under_way(self, account_id: str, instrument_id: str) -> str | None:
        """Return what is in flight on this position, in words; None where nothing is."""
        ...

    def position_records(self, account_id: str, instrument_id: str, after: int) -> Iterable[Record]:
        """Return the records after seq *after* that touch the position, oldest first."""
        ...

    def cash_flows(self) -> Mapping[str, Decimal]:
        """Return what all fills, fees and payments add up to, by currency, > 0 was received."""
        ...

    def why_no_order(self, order: SubmitOrder) -> str | None:
        """Return why *order* may not be sent now, in words; None where it may."""
        ...

    def order_id(self, digest: bytes, seq: int) -> str:
        """Return the client order id that follows from *digest* and *seq*, the same every time."""
        ...

    def commit(self, resolution: Resolution) -> None:
        """Write it, all or nothing, then send its orders.  Raises what appending raises."""
        ...
