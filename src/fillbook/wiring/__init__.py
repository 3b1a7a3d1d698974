"""Put the parts together: the only place that names a concrete log or broker.

Everything above asks here for an opened ledger, its book, a robot or an import; everything below
knows only the ports.  What only some callers need is imported where they need it: a reader starts
without the brokers, a writer without the backup.
"""

from fillbook.wiring.books import LogHistory, recover, reducer_fingerprint, save_state
from fillbook.wiring.importing import ImportResult, import_file
from fillbook.wiring.ledgers import (
    MEMORY,
    Durability,
    back_up,
    checkpoint_beside,
    examine,
    open_log,
    open_reader,
)
from fillbook.wiring.paper import serve_paper
from fillbook.wiring.robots import configured_robot, id_maker, open_robot

__all__ = [
    "MEMORY",
    "Durability",
    "ImportResult",
    "LogHistory",
    "back_up",
    "checkpoint_beside",
    "configured_robot",
    "examine",
    "id_maker",
    "import_file",
    "open_log",
    "open_reader",
    "open_robot",
    "recover",
    "reducer_fingerprint",
    "save_state",
    "serve_paper",
]
