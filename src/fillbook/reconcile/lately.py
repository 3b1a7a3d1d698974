"""Find what moved a position last, without reading all that ever moved it.

A position may have moved a million times, and its robot waits while it is looked through.
"""

from fillbook.core.agreement import Key
from fillbook.log.port import Record
from fillbook.reconcile.desk import Desk
from fillbook.reconcile.explain import moves

__all__ = ["last_moves"]

_FIRST_STRETCH = 256
_TIMES_LONGER = 8


def last_moves(desk: Desk, key: Key, least: int = 1, since_ns: int | None = None) -> list[Record]:
    """Return what moved the position last, oldest first; empty where nothing ever did.

    Args:
        least: So many of them at least, as far as there are as many.
        since_ns: And all that were recorded at this time or later; ns since 1970, UTC.
    """
    head, stretch = desk.book.seq, _FIRST_STRETCH
    while True:
        after = max(head - stretch, 0)
        found = moves(desk.position_records(*key, after))
        is_enough = len(found) >= least
        if since_ns is not None and (not found or found[0].ts_recorded >= since_ns):
            is_enough = False
        if is_enough or not after:
            return found
        stretch *= _TIMES_LONGER
