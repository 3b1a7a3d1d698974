"""Read what a broker says we hold from a file that it mailed or that was saved from its answer.

How a broker lays its file out is a declaration of a few lines, not code: `mappings.toml` has those
with a name, and a person writes one more with the same keys (`mapping.py` says which).  A file that
cannot be read wholly is refused: half of an answer would look like positions that are missing.
"""

from fillbook.brokers.statements.broker import StatementBroker
from fillbook.brokers.statements.named import mappings
from fillbook.brokers.statements.reading import MAX_BYTES, Statement, read_statement

__all__ = ["MAX_BYTES", "Statement", "StatementBroker", "mappings", "read_statement"]
