"""Append many events with few commits: an import's way to write."""

from collections.abc import Callable

from fillbook.log._sqlite import Error
from fillbook.log.port import Draft, Head, Record
from fillbook.log.staging import prepare
from fillbook.log.writer import Writer

__all__ = ["SqliteBatch"]


class SqliteBatch:
    """A stretch in which one thread alone appends.

    What was added is nowhere but in memory until `flush`: readers do not see it, a crash loses it.
    """

    def __init__(self, writer: Writer, new_salt: Callable[[int], bytes]) -> None:
        self._writer = writer
        self._new_salt = new_salt

    def add(self, draft: Draft) -> Record:
        """Stage one draft and return its record, which is not durable yet.

        Raises what `Log.append` raises; a draft that is refused leaves the others as they were.
        """
        prepared = prepare(draft, self._new_salt)
        writer = self._writer
        try:
            writer.begin()  # lookups are cheaper inside a transaction
            return writer.stage.add((prepared,), writer.clock(), writer.mono())[0]
        except Error as exc:
            raise writer.stop(exc) from exc

    def flush(self) -> Head:
        """Write and commit what was added since the last flush, all of it or nothing."""
        try:
            self._writer.flush()
        except Error as exc:
            raise self._writer.stop(exc) from exc
        return self._writer.head
