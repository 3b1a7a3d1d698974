"""Read a log as it stood when the reading began, whatever is appended to it since.

The log may be a file beside its writer or the very log of a running robot.  Its own head is never
asked again: a live log may show a commit to its readers a moment before its head tells of it, so
every answer is held against the seq that was fixed at the start.
"""

import json
from collections.abc import Iterator, Sequence

from fillbook.core.events import Event
from fillbook.log.columns import OP_BODY
from fillbook.log.port import Head, Raw, Reader, Record, Row, Run

__all__ = ["AsOf", "instrument_of", "is_of_instrument"]

_LAST = 2**63 - 1


def is_of_instrument(record: Record) -> bool:
    """Tell whether *record* is an instrument's own (definition, split), of every position in it."""
    return record.op == OP_BODY and record.position is None


def instrument_of(record: Record) -> str | None:
    """Return the instrument that *record* speaks of; None where it speaks of none."""
    instrument_id: str | None = json.loads(record.body).get("instrument_id")
    return instrument_id


class AsOf:
    """What *base* holds up to the head it has now.

    It answers every question of `port.Reader`, and two more.
    """

    def __init__(self, base: Reader) -> None:
        self._base = base
        self._head = base.head()
        last = next(base.records(self._head.seq - 1, self._head.seq), None)
        self._epoch = 0 if last is None else last.epoch
        self._instruments: dict[str | None, list[Record]] | None = None

    @property
    def ledger_id(self) -> bytes:
        """The ledger's UUID, 16 bytes."""
        return self._base.ledger_id

    @property
    def robot(self) -> str:
        """Whose ledger it is."""
        return self._base.robot

    def head(self) -> Head:
        """Return where the log ended when the reading began."""
        return self._head

    def records(
        self,
        after: int = 0,
        upto: int | None = None,
        stream: int | None = None,
        position: int | None = None,
    ) -> Iterator[Record]:
        """Yield records with ``after < seq <= upto``; see `Reader.records`."""
        if max(stream or 0, position or 0) > self._head.seq:
            return iter(())  # the base may have something under this seq by now
        return self._base.records(after, self._end(upto), stream, position)

    def order_records(self, upto: int | None = None) -> Iterator[Record]:
        """Yield the records of all orders, one after the other; see `Reader.order_records`."""
        return self._base.order_records(self._end(upto))

    def records_of(self, kinds: Sequence[type[Event]], upto: int | None = None) -> Iterator[Record]:
        """Yield the records of these types; see `Reader.records_of`."""
        return self._base.records_of(kinds, self._end(upto))

    def rows(self, after: int = 0, upto: int | None = None) -> Iterator[Row]:
        """Yield the columns that the fast fold needs; see `port.Row`."""
        return self._base.rows(after, self._end(upto))

    def find_client_order(self, client_order_id: str) -> int | None:
        """Return the stream of the order that ever had this client id."""
        record = self.client_order_record(client_order_id)
        return None if record is None else record.stream

    def find_venue_orders(self, venue_order_id: str) -> list[int]:
        """Return the streams of all orders that ever had this venue id, oldest first."""
        return [
            stream
            for stream in self._base.find_venue_orders(venue_order_id)
            if any(r.venue_order_id == venue_order_id for r in self.records(stream=stream))
        ]

    def find_trades(self, trade_id: str) -> list[int]:
        """Return the streams with a fill of this trade id, oldest first."""
        return [
            stream
            for stream in self._base.find_trades(trade_id)
            if self.find_key(f"fill:{trade_id}:{stream}") is not None
        ]

    def find_key(self, idempotency_key: str) -> int | None:
        """Return the seq of the event with this idempotency key."""
        seq = self._base.find_key(idempotency_key)
        return None if seq is None or seq > self._head.seq else seq

    def stream_version(self, stream: int) -> int:
        """Return the last version of *stream*, 0 where there is none."""
        version = self._base.stream_version(stream)  # asked first: what comes later shows below
        later = next(self._base.records(self._head.seq, _LAST, stream), None)
        return version if later is None else later.version - 1

    def imports(self) -> Iterator[Record]:
        """Yield the `import.progressed` records."""
        return (record for record in self._base.imports() if record.seq <= self._head.seq)

    def raw(self, seq: int) -> Raw | None:
        """Return the message behind *seq*, None where it never had one."""
        return self._base.raw(seq) if seq <= self._head.seq else None

    def runs(self) -> list[Run]:
        """Return every writer that had appended by then, oldest first."""
        return [run for run in self._base.runs() if run.epoch <= self._epoch]

    def load_snapshot(self, reducer: str) -> tuple[int, str] | None:
        """Return (seq, state) of the snapshot that *reducer* folded, None where none fits."""
        saved = self._base.load_snapshot(reducer)
        return None if saved is None or saved[0] > self._head.seq else saved

    def close(self) -> None:
        """Close the log itself."""
        self._base.close()

    # ---- what only an overlay asks

    def client_order_record(self, client_order_id: str) -> Record | None:
        """Return the record that brought this client id into the book."""
        stream = self._base.find_client_order(client_order_id)
        if stream is None:
            return None
        named = (r for r in self.records(stream=stream) if r.client_order_id == client_order_id)
        return next(named, None)

    def instrument_records(self, instrument_id: str) -> list[Record]:
        """Return the events of an instrument as such, in the order of seq.

        The first call goes over the rows of the whole log: no index finds them without a position.
        """
        if self._instruments is None:
            self._instruments = {}
            for seq, op, _, _, position, *_ in self.rows():
                if op == OP_BODY and position is None:
                    (record,) = self.records(seq - 1, seq)
                    self._instruments.setdefault(instrument_of(record), []).append(record)
        return self._instruments.get(instrument_id, [])

    def _end(self, upto: int | None) -> int:
        return self._head.seq if upto is None else min(upto, self._head.seq)
