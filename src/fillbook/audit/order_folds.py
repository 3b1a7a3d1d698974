"""Fold every order beside the log's records, and hold what each event says against the fold.

Only the orders spoken of last are kept; one that is spoken of again is folded anew from its own
records, so memory stays flat however many orders there are.
"""

from transitions import MachineError

from fillbook.audit.verdict import Verdict
from fillbook.core.events import OrderEvent
from fillbook.core.folding import drift, fold_order, open_order
from fillbook.core.lifecycle import new_lifecycle
from fillbook.core.orders import Order
from fillbook.errors import BadValue, UnknownEventVersion
from fillbook.log.port import Reader, Record

__all__ = ["OrderFolds"]

_KEPT = 4000

_UNFOLDABLE = (AssertionError, ArithmeticError, BadValue, LookupError, MachineError)
"""What the fold raises on events that `decide` never makes of one order."""


class OrderFolds:
    """The orders as of the last record.

    Attributes:
        unfolded: Orders that were given up because an event is of a newer version.
    """

    def __init__(self, reader: Reader, verdict: Verdict) -> None:
        self.unfolded = 0
        self._reader = reader
        self._verdict = verdict
        self._machine = new_lifecycle()
        # None is an order that cannot be folded; two generations, of which the old one goes whole.
        self._young: dict[int, Order | None] = {}
        self._old: dict[int, Order | None] = {}

    def give_up(self, stream: int, is_newer: bool) -> None:
        """Stop folding the order of *stream*: an event cannot be read, or is of a newer version."""
        known = self._young if stream in self._young else self._old
        if is_newer and not (stream in known and known[stream] is None):
            self.unfolded += 1
        self._keep(stream, None)

    def take(self, record: Record, event: OrderEvent) -> None:
        """Fold the next event and note what it says wrongly of its order or brings as an id."""
        stream, note = record.stream, self._verdict.note
        order = self._find(stream, record.seq)
        if order is None:
            if stream in self._young:
                return
            order = open_order(stream, event)
        self._check_ids(record, event, order)
        try:
            fold_order(order, event, self._machine)
            differs = drift(order, event)
        except _UNFOLDABLE as exc:
            note(record.seq, "fold", "an event that can be folded", f"{type(exc).__name__} {exc}")
            self._keep(stream, None)
            return
        if differs is not None:
            note(record.seq, "fold", "what the event says", differs)
            self._keep(stream, None)
            return
        self._keep(stream, order)

    def _check_ids(self, record: Record, event: OrderEvent, order: Order) -> None:
        ids: list[str | None] = [
            each
            for each in dict.fromkeys((event.client_order_id, event.request_id))
            if each is not None and each not in order.client_order_ids
        ]
        told = record.client_order_id
        for each in ids or [None]:
            if each != told:
                self._verdict.note(record.seq, "client_order_id", each, told)
        venue_id = event.venue_order_id
        wanted = None if venue_id in order.venue_order_ids else venue_id
        if record.venue_order_id != wanted:
            self._verdict.note(record.seq, "venue_order_id", wanted, record.venue_order_id)

    def _find(self, stream: int, before: int) -> Order | None:
        """Return the order as of the seq before *before*; None where there is none or no fold."""
        order = self._young.get(stream)
        if order is not None or stream in self._young:
            return order
        if stream in self._old:
            order = self._old[stream]
            self._keep(stream, order)
        elif 0 < stream < before:
            order = self._fold_anew(stream, before)
            self._keep(stream, order)
        return order

    def _fold_anew(self, stream: int, before: int) -> Order | None:
        order: Order | None = None
        try:
            for record in self._reader.records(stream=stream, upto=before - 1):
                event = record.event
                if not isinstance(event, OrderEvent):
                    return None
                if order is None:
                    order = open_order(stream, event)
                fold_order(order, event, self._machine)
        except (UnknownEventVersion, *_UNFOLDABLE):
            return None  # noted when that event was taken
        return order

    def _keep(self, stream: int, order: Order | None) -> None:
        if stream not in self._young and len(self._young) >= _KEPT:
            self._old, self._young = self._young, {}
        self._young[stream] = order
