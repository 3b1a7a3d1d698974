"""Let a statement, a file that says what a broker holds for us, stand in for the broker."""

import os
from collections.abc import Mapping

from attrs import field, frozen

from fillbook.brokers.live import Broker
from fillbook.core.reports import PositionReport

__all__ = ["Stated", "stated_in", "statement_mappings"]


@frozen(kw_only=True)
class Stated:
    """A statement that was read.

    Attributes:
        broker: Says what it says, and nothing else.
        account_ids: Whose positions are in it; empty where there are none.
        as_of: Everything up to this time is in it, ns since 1970, UTC; None where it has no time.
        passed_over: The rows that tell of no position: line or element, and why.
    """

    broker: Broker
    account_ids: frozenset[str]
    as_of: int | None
    passed_over: Mapping[int, str] = field(factory=dict)


def stated_in(path: str, mapping: str | None, account_id: str | None) -> Stated:
    """Return the statement in the file *path*; see `statements.read_statement`.

    Raises `BadInput` where it cannot be read, or not wholly.
    """
    from fillbook.brokers.statements import StatementBroker, read_statement

    statement = read_statement(path, mapping, account_id)
    name = os.path.basename(path)
    return Stated(
        broker=StatementBroker(statement, f"{name} ({os.path.basename(statement.mapping)})"),
        account_ids=frozenset(
            message.content.account_id
            for message in statement.messages
            if isinstance(message.content, PositionReport)
        ),
        as_of=statement.ts_event,
        passed_over=dict(statement.skipped),
    )


def statement_mappings() -> list[tuple[str, str]]:
    """Return the name of every mapping of statements, and what it reads, in one line."""
    from fillbook.brokers.statements import mappings

    return mappings()
