"""Write a seeded trading day as a FIX 4.4 log: both directions of one session, one message a line.

Orders on 50 instruments overlap in time.  Each is filled in one to five parts, canceled, replaced,
rejected or expired, as a venue reports it: every report repeats the order's terms, as venues do.
"""

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import BinaryIO

from attrs import define

__all__ = ["MIX", "write_fix_day"]

MIX = (
    "FIX 4.4, both directions of a session on 50 instruments; of the orders 50 % are filled in 1 "
    "to 5 parts, 15 % canceled unfilled, 13 % canceled partly filled, 12 % replaced and then "
    "filled, 5 % rejected, 5 % expired; 2 % of the reports come twice, 1 % are heartbeats"
)

_OPENS = datetime(2026, 3, 13, 7, 0, tzinfo=UTC)
_STORIES = (
    ("filled", 50), ("canceled", 15), ("partly", 13), ("replaced", 12), ("rejected", 5),
    ("expired", 5),
)  # fmt: skip
_OPEN_ORDERS = 40


@define
class _Order:
    """An order as the venue holds it."""

    number: int
    story: str
    symbol: str
    side: str
    qty: int
    px: int
    client_id: str
    first_id: str
    cum_qty: int = 0
    notional: int = 0
    exec_count: int = 0

    @property
    def avg_px(self) -> str:
        return _px(self.notional / self.cum_qty) if self.cum_qty else "0"


class _Day:
    """The clock, the two sequence numbers, and messages made of fields."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = _OPENS
        self.sent = {"ROBOT": 0, "MOEX": 0}

    def message(self, sender: str, msg_type: str, body: str) -> bytes:
        """Return one whole message, a moment later than the last one."""
        self.now += timedelta(microseconds=self.random.randrange(50, 90_000))
        self.sent[sender] += 1
        target = "MOEX" if sender == "ROBOT" else "ROBOT"
        content = (
            f"35={msg_type}|49={sender}|56={target}|34={self.sent[sender]}|52={self.stamp}|{body}"
        )
        data = f"8=FIX.4.4|9={len(content)}|{content}".replace("|", "\x01").encode("ascii")
        return data + b"10=%03d\x01" % (sum(data) & 0xFF)

    @property
    def stamp(self) -> str:
        return f"{self.now:%Y%m%d-%H:%M:%S}.{self.now.microsecond:06}"

    def order(self, order: _Order) -> bytes:
        return self.message(
            "ROBOT",
            "D",
            f"11={order.client_id}|1=L01-00000F00|55={order.symbol}|54={order.side}|"
            f"38={order.qty}|40=2|44={_px(order.px)}|59=0|60={self.stamp}|",
        )

    def request(self, order: _Order, msg_type: str, letter: str, terms: str = "") -> bytes:
        before, order.client_id = order.client_id, f"{order.first_id}{letter}"
        return self.message(
            "ROBOT",
            msg_type,
            f"11={order.client_id}|41={before}|1=L01-00000F00|55={order.symbol}|"
            f"54={order.side}|{terms}60={self.stamp}|",
        )

    def report(self, order: _Order, exec_type: str, status: str, more: str = "") -> bytes:
        order.exec_count += 1
        over = status in "48C"
        leaves = 0 if over else order.qty - order.cum_qty
        return self.message(
            "MOEX",
            "8",
            f"37=V{order.number:08}|11={order.client_id}|17=E{order.number:08}.{order.exec_count}|"
            f"150={exec_type}|39={status}|1=L01-00000F00|55={order.symbol}|54={order.side}|"
            f"38={order.qty}|40=2|44={_px(order.px)}|59=0|{more}151={leaves}|14={order.cum_qty}|"
            f"6={order.avg_px}|60={self.stamp}|",
        )

    def fill(self, order: _Order, qty: int) -> bytes:
        order.cum_qty += qty
        order.notional += qty * order.px
        status = "2" if order.cum_qty == order.qty else "1"
        fee = f"{qty * order.px / 1_000_000:.2f}"
        return self.report(
            order,
            "F",
            status,
            f"32={qty}|31={_px(order.px)}|880=T{order.number}.{order.exec_count}|"
            f"12={fee}|13=3|479=RUB|851={self.random.choice('12')}|",
        )


def write_fix_day(file: BinaryIO, seed: int, message_count: int) -> dict[str, int]:
    """Write *message_count* messages to *file*; return how many there are of each MsgType."""
    day = _Day(seed)
    counts: dict[str, int] = {}
    lives: list[tuple[float, int, Iterator[bytes]]] = []
    number = 0
    for _ in range(message_count):
        if day.random.random() < 0.01:
            message = day.message(day.random.choice(("ROBOT", "MOEX")), "0", "")
        else:
            while True:
                while len(lives) < _OPEN_ORDERS:
                    number += 1
                    heapq.heappush(
                        lives, (day.random.random() + number / 8, number, _life(day, number))
                    )
                due, which, life = heapq.heappop(lives)
                next_message = next(life, None)
                if next_message is not None:
                    message = next_message
                    heapq.heappush(lives, (due + day.random.expovariate(0.6), which, life))
                    break
        msg_type = message[message.index(b"35=") + 3 :].partition(b"\x01")[0].decode()
        counts[msg_type] = counts.get(msg_type, 0) + 1
        file.write(message + b"\n")
    return counts


def _life(day: _Day, number: int) -> Iterator[bytes]:
    """Yield the messages of one order; each is made when it is its turn."""
    random = day.random
    story = random.choices([name for name, _ in _STORIES], [weight for _, weight in _STORIES])[0]
    client_id = f"rb{random.randrange(16**6):06x}-{number}"
    symbol = f"SYM{random.randrange(50):02}"
    order = _Order(
        number, story, symbol, random.choice("12"), random.randrange(1, 40) * 10,
        random.randrange(9_000, 41_000), client_id, client_id,
    )  # fmt: skip
    yield day.order(order)
    if story == "rejected":
        yield day.report(order, "8", "8", "103=3|58=exceeds the limit of the account|")
        return
    yield from _twice(day, day.report(order, "0", "0"))
    if story == "replaced":
        order_qty, order_px = order.qty + 10, order.px + 1
        yield day.request(order, "G", "r", f"38={order_qty}|40=2|44={_px(order_px)}|")
        yield day.report(order, "E", "E")
        order.qty, order.px = order_qty, order_px
        yield day.report(order, "5", "0", f"41={order.first_id}|")
    wanted = order.qty if story in ("filled", "replaced") else order.qty // 2
    parts = random.randrange(1, 6)
    while story != "canceled" and order.cum_qty < wanted:
        left = wanted - order.cum_qty
        qty = left if parts <= 1 else max(1, min(left, random.randrange(1, left + 1)))
        parts -= 1
        yield from _twice(day, day.fill(order, qty))
    if story in ("canceled", "partly"):
        yield day.request(order, "F", "c")
        yield day.report(order, "6", "6", f"41={order.first_id}|")
        yield day.report(order, "4", "4", f"41={order.first_id}|")
    elif story == "expired":
        yield day.report(order, "C", "C")


def _twice(day: _Day, message: bytes) -> Iterator[bytes]:
    """Yield a report, and once in a while yield it again."""
    yield message
    if day.random.random() < 0.02:
        yield message


def _px(cents: float) -> str:
    text = f"{cents / 100:.6f}".rstrip("0")
    return text.rstrip(".")
