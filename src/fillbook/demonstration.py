"""Play a trading day on the paper exchange into a ledger, as a robot lives it, faults and all."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from fillbook.audit.verify import verify
from fillbook.brokers.paper_faults import FaultPlan
from fillbook.core.events import LedgerCreated, OrderDiscovered, OrderEvent
from fillbook.core.holdings import PositionView
from fillbook.core.orders import Order
from fillbook.errors import LogError
from fillbook.forensics.replay import orders_upto
from fillbook.log.port import Record
from fillbook.simulated_day import Wishes, live
from fillbook.wiring import open_reader, recover

__all__ = ["ROBOT", "DemoResult", "is_demo", "play_demo"]

ROBOT = "demo"
_FAULTS = "all,external=0.05"
"""What goes wrong on the way, and now and then somebody else trades on the account."""


@frozen
class DemoResult:
    """A day and what the book made of it.

    Attributes:
        call_count, outcomes: Calls that were made; messages of the stream by what came of them.
        orders, positions: The book.
        survived: What went wrong, how often, each with an example.
        differences: How the book differs from the exchange's own; empty where it agrees.
        head_seq, head_hash: Where the ledger ends.
        is_whole: It verifies.
    """

    call_count: int
    outcomes: Counter[str]
    orders: list[Order]
    positions: list[PositionView]
    survived: list[tuple[str, str]]
    differences: list[str]
    head_seq: int
    head_hash: str
    is_whole: bool


def is_demo(ledger: str) -> bool:
    """Tell whether the file is a ledger that a demo made."""
    if not Path(ledger).is_file():
        return False
    try:
        with open_reader(ledger) as reader:
            for record in reader.records(upto=1):
                event = record.event
                return isinstance(event, LedgerCreated) and event.robot == ROBOT
    except LogError:
        return False
    return False


def play_demo(ledger: str, seed: int, order_count: int) -> DemoResult:
    """Play the day of *seed* into a new ledger and return what the book shows."""
    wishes = Wishes(orders=order_count, minutes=max(order_count // 5, 10), most_crashes=3)
    day = live(seed, FaultPlan.parse(_FAULTS), wishes, ledger, ROBOT)
    with open_reader(ledger) as reader:
        book = recover(reader)
        records = list(reader.records())
        orders = list(orders_upto(reader, book))
        head = reader.head()
        return DemoResult(
            call_count=sum(day.calls.values()),
            outcomes=day.heard,
            orders=orders,
            positions=book.position_views(),
            survived=_survived(records, orders, day.heard),
            differences=day.problems,
            head_seq=head.seq,
            head_hash=head.event_hash.hex(),
            is_whole=not verify(reader).problems,
        )


_Sign = Callable[[Record], bool]


def _is(type_: str) -> _Sign:
    return lambda record: record.type == type_


def _told(type_: str, name: str, value: object) -> _Sign:
    return lambda record: record.type == type_ and getattr(record.event, name) == value


def _late(record: Record) -> bool:
    return isinstance(record.event, OrderEvent) and "LATE_FILL" in record.event.flags


def _foreign(record: Record) -> bool:
    event = record.event
    return isinstance(event, OrderDiscovered) and event.client_order_id is None


_SIGNS: tuple[tuple[str, _Sign], ...] = (
    ("the broker could not be reached for a while", _is("line.lost")),
    ("a call had no answer: the order was unknown, and looked up", _is("order.lost")),
    ("an order was proven never to have arrived", _told("order.rejected", "never_arrived", True)),
    ("the broker refused an order", _told("order.rejected", "never_arrived", False)),
    ("a cancel was not heard, and asked for again", _told(
        "order.request_rejected", "reason", "NEVER_ARRIVED")),
    ("a cancel came too late", _told("order.request_rejected", "reason", "TOO_LATE_TO_CANCEL")),
    ("a replacement became real", _is("order.replaced")),
    ("a fill came after its order was closed", _late),
    ("a fill was counted that nobody had told: inferred", _is("order.fill_inferred")),
    ("the venue took a fill back", _is("order.fill_busted")),
    ("the venue corrected a fill", _is("order.fill_corrected")),
    ("a fee came later, or was corrected", _is("order.commission_changed")),
    ("a claim contradicted the record, and is kept as disputed", _is("order.disputed")),
    ("somebody else traded on the account: found, and booked", _foreign),
    ("book and broker were compared, and agreed", _told("book.reconciled", "outcome", "AGREED")),
)  # fmt: skip


def _survived(
    records: list[Record], orders: list[Order], heard: Counter[str]
) -> list[tuple[str, str]]:
    """Return what went wrong with how often it did, and an example."""
    rows = []
    kills = sum(record.type == "robot.started" for record in records) - 1
    if kills:
        rows.append((f"{kills} x the robot was killed and came back", ""))
    if heard["DUPLICATE"]:
        rows.append((f"{heard['DUPLICATE']} x the stream told what was known already", ""))
    for words, sign in _SIGNS:
        found = [record for record in records if sign(record)]
        if found:
            rows.append((f"{len(found)} x {words}", _example(found[0])))
    partly = [order for order in orders if len(order.fills) > 1]
    if partly:
        rows.append(
            (f"{len(partly)} x an order was filled in parts", partly[0].client_order_id or "")
        )
    return rows


def _example(record: Record) -> str:
    event = record.event
    name = event.client_order_id if isinstance(event, OrderEvent) else None
    return f"seq {record.seq}" + (f", {name}" if name else "")
