"""Read what the broker says we hold: one answer, whole, or none at all."""

import hashlib
from collections.abc import Collection, Sequence
from decimal import Decimal
from functools import cached_property

from attrs import define

from fillbook.brokers.port import Message
from fillbook.core.agreement import Key
from fillbook.core.exact import EXACT
from fillbook.core.reports import PositionReport
from fillbook.reconcile.compare import Held

__all__ = ["Reading", "Unreadable", "read"]

_SEPARATOR = b"\n"


class Unreadable(Exception):
    """A part of the answer cannot be read, so that nothing in it is believed."""


@define(eq=False, slots=False)
class Reading:
    """One answer to the question what the account holds.

    Attributes:
        started_ns, heard_ns: When it was asked for, and when it came; ns since 1970, UTC.
        reported: What it names, flat ones included.
        raw: The bytes it was read from.
        strangers: Accounts that it names as well and that are not compared.
    """

    started_ns: int
    heard_ns: int
    reported: tuple[Held, ...]
    raw: bytes
    strangers: frozenset[str] = frozenset()

    @cached_property
    def sha256(self) -> str:
        """Digest of `raw`, in hexadecimal."""
        return hashlib.sha256(self.raw).hexdigest()

    @cached_property
    def quantities(self) -> dict[Key, Decimal]:
        """What it says of each position that it names, signed base units; rows of one add up."""
        found: dict[Key, Decimal] = {}
        for row in self.reported:
            key = (row.account_id, row.instrument_id)
            qty = row.position_qty
            found[key] = EXACT.add(found[key], qty) if key in found else qty
        return found


def read(
    messages: Sequence[Message], account_ids: Collection[str], started_ns: int, heard_ns: int
) -> Reading:
    """Return what *messages* say about the accounts of *account_ids*.

    Raises `Unreadable` where one of them is no statement of a position: an answer with a hole in it
    would look like a position that is gone.
    """
    reported: list[Held] = []
    strangers: set[str] = set()
    raws: dict[bytes, None] = {}  # an adapter may hand out the whole answer with each of its parts
    for message in messages:
        report = message.content
        if message.problem is not None:
            raise Unreadable(message.problem)
        if not isinstance(report, PositionReport):
            raise Unreadable(f"a {message.kind or 'message'} among the positions")
        raws[message.raw] = None
        if report.account_id not in account_ids:
            strangers.add(report.account_id)
            continue
        reported.append(
            Held(
                account_id=report.account_id,
                instrument_id=report.instrument_id,
                position_qty=report.position_qty,
                avg_px=report.avg_px,
            )
        )
    return Reading(
        started_ns, heard_ns, tuple(reported), _SEPARATOR.join(raws), frozenset(strangers)
    )
