"""List what comes of comparing the book with the broker: a run, and what it moved in the book.

A run is one event, on the ledger's own stream; what it decided about a position is
`position.adopted` in the same append, so that both are there or neither.
"""

from decimal import Decimal
from typing import ClassVar

from attrs import frozen

from fillbook.core.events import Event
from fillbook.core.operator_events import PositionAdjusted

__all__ = ["BookReconciled", "CashCount", "PositionAdopted", "PositionGap"]


@frozen(kw_only=True)
class PositionGap:
    """One position that book and broker do not agree on.

    Attributes:
        account_id: Whose position.
        instrument_id: In what.
        held_qty: What the book holds, base units, signed.
        reported_qty: What the broker says; None where its answer does not name the instrument.
        gap_qty: What the book would need to hold the same, base units, signed.
        size: `ROUNDING`, `MINOR` or `CRITICAL`.
        action: What was done about it: `ALERT`, `ADOPT`, `RESTORE` or `HALT`; `WAIT` where the
            difference does not count yet, as something moved while it was looked at.
        text: Why, where that needs words.
    """

    account_id: str
    instrument_id: str
    held_qty: Decimal
    reported_qty: Decimal | None = None
    gap_qty: Decimal
    size: str
    action: str
    text: str | None = None


@frozen(kw_only=True)
class CashCount:
    """Money in one currency, ours and theirs; the sums begin apart, so only changes compare.

    Attributes:
        currency: Of both.
        held: What all fills, fees and payments in the book add up to, > 0 was received.
        reported: What the broker counts.
    """

    currency: str
    held: Decimal
    reported: Decimal


@frozen(kw_only=True, eq=False, repr=False)
class BookReconciled(Event):
    """Book and broker were compared; the raw message beside it is what the broker said.

    Attributes:
        cause: `START`, `SCHEDULE` or `OPERATOR`.
        by: Who asked for it, in words.
        broker: Whom the positions were read from, in a word, or the statement's file name.
        outcome: `AGREED` where nothing differs, `ADOPTED` where what differed was adopted,
            `DIFFERS` where something is left, `UNSETTLED` where it could not be told, `UNANSWERED`
            where the broker did not tell its positions.
        account_ids: Whose positions were compared, sorted; nothing is said of others.
        started: When it began, or before that the time up to which the statement tells; ns since
            1970, UTC.  Where both agree, all up to then is accounted for.
        reads: How often the positions were read.
        compared: How many positions there are on either side.
        explained: How many differed at first, until the broker was asked for what was missing.
        rounding, minor, critical, unsettled: How many were left, by size.
        alerted, adopted, restored, halted: What was done about how many.
        statement_count: How many positions the broker named.
        statement_sha256: Of all the bytes it said so in, in hexadecimal.
        gaps: What was left.
        cash: Where the broker tells its cash.
        text: What kept it from being told, where something did.
        open_orders: How many open orders the broker listed; None where it was not asked, or did not
            answer.
        orders_found: Those that the book had not known, by client id, else the venue's.
        orders_left: Those that the book has open and the broker's list leaves out, although it was
            asked about each.
    """

    type: ClassVar[str] = "book.reconciled"

    cause: str
    by: str
    broker: str
    outcome: str
    account_ids: tuple[str, ...]
    started: int
    reads: int
    compared: int
    explained: int
    rounding: int
    minor: int
    critical: int
    unsettled: int
    alerted: int
    adopted: int
    restored: int
    halted: int
    statement_count: int
    statement_sha256: str
    gaps: tuple[PositionGap, ...] = ()
    cash: tuple[CashCount, ...] = ()
    text: str | None = None
    open_orders: int | None = None
    orders_found: tuple[str, ...] = ()
    orders_left: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class PositionAdopted(PositionAdjusted):
    """A position was set to what the broker says; it moves as by `position.adjusted`.

    `adjusted_qty` with the opposite sign takes it back.

    Attributes:
        adjustment_id: Derived from what it stands on: the same difference has the same one.
        size: Of the difference: `ROUNDING`, `MINOR` or `CRITICAL`.
        held_qty: What the book held, base units, signed.
        reported_qty: What the broker said; None where its answer did not name the instrument and an
            operator wanted it adopted all the same.
        price_rule: Where `px` comes from: `BROKER` its average, `MARK` the last mark, `UNKNOWN`
            from nowhere, `BOOK` where nothing opens and the book's own average stands.
        statement_sha256: What the broker said, as in `book.reconciled`.
        restore_client_order_id: The order that trades the account back to `held_qty`; left out
            where the book is to stay as it is now.
    """

    type: ClassVar[str] = "position.adopted"

    adjustment_id: str
    size: str
    held_qty: Decimal
    reported_qty: Decimal | None = None
    price_rule: str
    statement_sha256: str
    restore_client_order_id: str | None = None
