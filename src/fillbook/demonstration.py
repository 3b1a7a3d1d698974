"""Play a trading day on the paper exchange into a ledger, as a robot would have lived it.

Each message is recorded the moment it is sent or seen, durably, one by one.
"""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import frozen

from fillbook.audit.verify import verify
from fillbook.brokers.jsonlines_out import to_row
from fillbook.brokers.paper_day import Day, play_day
from fillbook.brokers.port import Message
from fillbook.core.events import LedgerCreated
from fillbook.core.holdings import PositionView
from fillbook.core.orders import Order
from fillbook.core.values import Source
from fillbook.errors import LogError
from fillbook.feedback.recorder import Judgement, Recorder
from fillbook.forensics.replay import orders_upto
from fillbook.wiring import open_log, open_reader, recover, save_state

__all__ = ["ROBOT", "DemoResult", "is_demo", "play_demo"]

ROBOT = "demo"


@frozen
class DemoResult:
    """A day and what the book made of it.

    Attributes:
        message_count, outcomes: What was sent and seen, and what came of it.
        orders, positions: The book.
        odd: What was odd, each with an example.
        head_seq, head_hash: Where the ledger ends.
        is_whole: It verifies.
        agrees: The exchange's own books show the same quantities.
    """

    message_count: int
    outcomes: Counter[str]
    orders: list[Order]
    positions: list[PositionView]
    odd: list[tuple[str, str]]
    head_seq: int
    head_hash: str
    is_whole: bool
    agrees: bool


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
    day = play_day(seed, order_count)
    outcomes: Counter[str] = Counter()
    log = open_log(ledger, robot=ROBOT)
    try:
        book = recover(log)
        recorder = Recorder(
            book,
            lambda draft: log.append([draft])[0],
            lambda key: log.find_key(key) is not None,
            source=Source.STREAM,
            actor="ROBOT",
        )
        for message in day.messages:
            row = to_row(message)
            judgement: Judgement = recorder.record(Message(0, str(row["kind"]), message, b""))
            outcomes[judgement.outcome] += 1
        save_state(log, book)
    finally:
        log.close()
    with open_reader(ledger) as reader:
        book = recover(reader)
        orders = list(orders_upto(reader, book))
        positions = book.position_views()
        head = reader.head()
        verdict = verify(reader)
    return DemoResult(
        message_count=len(day.messages),
        outcomes=outcomes,
        orders=orders,
        positions=positions,
        odd=_odd(day, orders),
        head_seq=head.seq,
        head_hash=head.event_hash.hex(),
        is_whole=not verdict.problems,
        agrees=_agrees(day, orders, positions),
    )


_WORDS = {
    "DUPLICATE_REPORT": "a report came twice",
    "REORDERED": "reports came in another order",
    "LATE_FILL": "a fill came after its order was closed",
    "LOST_FILL": "a fill was never told, a poll showed it",
    "LATE_COMMISSION": "a fee came after its fill",
    "BUST": "the venue took a fill back",
    "CORRECTION": "the venue corrected a fill",
    "OVERFILL": "more was filled than ordered",
    "CONTRADICTION": "the venue contradicted itself",
    "CANCEL_TOO_LATE": "a cancel came too late",
    "REPLACED": "a replacement was accepted",
    "REPLACE_REFUSED": "a replacement was refused",
    "UNKNOWN_INSTRUMENT": "rejected: unknown instrument",
    "BAD_PRICE": "rejected: bad price",
    "TOO_LARGE": "rejected: too large",
    "EXTERNAL_ORDER": "an order that the robot never sent",
    "FUNDING": "a funding payment",
}


def _odd(day: Day, orders: list[Order]) -> list[tuple[str, str]]:
    counts = Counter(str(each.trouble) for each in day.occurrences)
    examples: dict[str, str] = {}
    for each in day.occurrences:
        who = each.client_order_id or each.venue_order_id or ""
        trade = f", trade {each.trade_id}" if each.trade_id else ""
        examples.setdefault(str(each.trouble), f"{who}{trade}".strip(", "))
    rows = [
        (f"{count} x {_WORDS.get(name, name)}", examples[name])
        for name, count in sorted(counts.items())
    ]
    inferred = [order for order in orders if "INFERRED" in order.flags]
    if inferred:
        rows.append(
            (f"{len(inferred)} x a fill was inferred", str(inferred[0].client_order_id or ""))
        )
    return rows


def _agrees(day: Day, orders: list[Order], positions: list[PositionView]) -> bool:
    """Tell whether the exchange's own books show the same filled and held quantities."""
    truth: dict[str, list[dict[str, Any]]] = day.exchange.truth()
    known: dict[str | None, Order] = {}
    for each in orders:
        known |= dict.fromkeys((*each.venue_order_ids, *each.client_order_ids), each)
    for row in truth["orders"]:
        order = known.get(row["client_order_id"]) or known.get(row["venue_order_id"])
        if order is None or order.standing.cum_qty != Decimal(row["cum_qty"]):
            return False
    held = {(view.account_id, view.instrument_id): view.position_qty for view in positions}
    return all(
        held.get((row["account_id"], row["instrument_id"]), Decimal(0))
        == Decimal(row["position_qty"])
        for row in truth["positions"]
    )
