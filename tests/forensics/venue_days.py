"""Generate what a venue tells of a few orders in one instrument, each message with its own time.

Fills on both sides that open, extend, close and turn a position; partial ones, busts, corrections,
polls, ends; fees with the fill, later, and corrected; splits and funding.  Several may share an
instant.
"""

from decimal import Decimal
from random import Random
from typing import Any

from attrs import define, evolve, field

from fillbook.core.reports import (
    CashReport,
    CommissionReport,
    InstrumentReport,
    OrderReport,
    Report,
    SplitReport,
)
from fillbook.core.values import Contract, ExecType, OrderStatus, Side

_E, _S = ExecType, OrderStatus
_PXS = ["100", "101", "99.5", "100.25", "7"]
_CURRENCIES = {"quote": "USD", "base": "BTC", "third": "EUR"}


@define
class _Order:
    name: str
    side: Side
    qty: Decimal
    fills: dict[str, tuple[Decimal, Decimal]] = field(factory=dict)
    trades: dict[str, str] = field(factory=dict)
    settled: set[str] = field(factory=set)
    is_over: bool = False

    def total(self) -> Decimal:
        return sum((qty for qty, _ in self.fills.values()), Decimal(0))

    def told(self) -> dict[str, Any]:
        """Return what every report says of the order."""
        cum = self.total()
        value = sum((qty * px for qty, px in self.fills.values()), Decimal(0))
        status = _S.FILLED if cum >= self.qty else _S.PARTIALLY_FILLED if cum else _S.NEW
        return {
            "client_order_id": self.name, "venue_order_id": f"V-{self.name}", "side": self.side,
            "instrument_id": "X", "order_qty": self.qty, "cum_qty": cum, "order_status": status,
            "avg_px": value / cum if cum else None,
        }  # fmt: skip


class Day:
    """One venue history in the making.

    Args:
        is_plain: Leave out what a later message passes over for good: an amendment of a fill that
            was amended, a fee of a fill that is busted.  What is passed over is not kept by every
            arrival, so only without it are two arrivals alike at every time and not only at last.
    """

    def __init__(self, seed: int, *, is_plain: bool = False) -> None:
        self.random = Random(seed)
        self.is_plain = is_plain
        self.contract = self.random.choice(list(Contract))
        self.messages: list[Report] = []
        self.ts = 1000
        self.rank = 0
        self.orders = [
            _Order(f"R-{number}", self.random.choice([Side.BUY, Side.SELL]), Decimal(qty))
            for number, qty in enumerate(self.random.choices([5, 10, 20], k=3))
        ]
        self.number = 0
        self.definition = InstrumentReport(
            instrument_id="X", contract=self.contract, base_currency="BTC", quote_currency="USD",
            multiplier=Decimal(self.random.choice([1, 10])),
        )  # fmt: skip

    def play(self, steps: int) -> list[Report]:
        """Return the messages of that many steps, in the order in which they happened."""
        for _ in range(steps):
            order = self.random.choice(self.orders)
            kinds = [self._fill] * 8 + [self._bust, self._correct, self._poll, self._poll]
            kinds += [self._fee, self._fee, self._end]
            step = self.random.choice([*kinds, self._split, self._cash])
            step(order)
        return self.messages

    def _at(self, rank: int) -> int:
        """Return the time of the next message: often the last one's, where its *rank* allows it."""
        if rank < self.rank or self.random.random() < 0.6:
            self.ts += self.random.randint(1, 3)
        self.rank = rank
        return self.ts

    def _say(self, order: _Order, rank: int, exec_type: ExecType | None, **more: Any) -> None:
        self.messages.append(
            OrderReport(**(order.told() | more), exec_type=exec_type, ts_event=self._at(rank))
        )

    def _fill(self, order: _Order) -> None:
        left = order.qty - order.total()
        if left <= 0 or order.is_over:
            return
        self.number += 1
        qty, px = Decimal(self.random.randint(1, int(left))), self._px()
        exec_id = f"E-{self.number}"
        order.fills[exec_id] = qty, px
        order.trades[exec_id] = f"T-{self.number}"
        fee = {}
        if self.random.random() < 0.5:
            fee = {"commission": self._amount(), "commission_currency": self._currency()}
        self._say(
            order, 1, _E.TRADE, last_qty=qty, last_px=px, exec_id=exec_id,
            trade_id=f"T-{self.number}", **fee,
        )  # fmt: skip

    def _amendable(self, order: _Order) -> str | None:
        known = [each for each in order.fills if each not in order.settled]
        return self.random.choice(known) if known else None

    def _bust(self, order: _Order) -> None:
        exec_id = self._amendable(order)
        if exec_id is not None:
            del order.fills[exec_id]
            if self.is_plain:
                del order.trades[exec_id]
            self._amend(order, _E.TRADE_CANCEL, exec_id)

    def _correct(self, order: _Order) -> None:
        exec_id = self._amendable(order)
        if exec_id is not None:
            qty, px = self.random.choice([Decimal(1), order.fills[exec_id][0]]), self._px()
            order.fills[exec_id] = qty, px
            self._amend(order, _E.TRADE_CORRECT, exec_id, last_qty=qty, last_px=px)

    def _amend(self, order: _Order, exec_type: ExecType, exec_id: str, **more: Any) -> None:
        self.number += 1
        self.ts += 1  # nothing would tell which of two amendments of one instant holds
        if self.is_plain:
            order.settled.add(exec_id)
        self._say(order, 1, exec_type, exec_ref_id=exec_id, exec_id=f"E-{self.number}", **more)

    def _poll(self, order: _Order) -> None:
        self._say(order, 1, None)

    def _end(self, order: _Order) -> None:
        if order.total() < order.qty and not order.is_over:
            order.is_over = True
            self.number += 1
            self._say(
                order, 1, _E.CANCELED, exec_id=f"E-{self.number}", order_status=_S.CANCELED
            )  # fmt: skip

    def _fee(self, order: _Order) -> None:
        if not order.trades:
            return
        exec_id = self.random.choice(list(order.trades))
        trade_id = order.trades[exec_id]
        if self.is_plain:
            order.settled.add(exec_id)
        self.ts += 1  # nor which of two fees
        self.messages.append(
            CommissionReport(
                instrument_id="X", trade_id=trade_id, commission=self._amount(),
                commission_currency=self._currency(), ts_event=self._at(5),
            )
        )  # fmt: skip

    def _split(self, _: _Order) -> None:
        up, down = self.random.choice([(2, 1), (3, 1), (1, 2), (3, 7)])
        self.ts += 1  # two of one instant do not round alike in either order
        self.messages.append(
            SplitReport(
                instrument_id="X", numerator=Decimal(up), denominator=Decimal(down),
                ts_event=self._at(0),
            )
        )  # fmt: skip

    def _cash(self, _: _Order) -> None:
        self.messages.append(
            CashReport(
                instrument_id="X", amount=self._amount(), currency=self._currency(),
                reason="FUNDING", ts_event=self._at(5),
            )
        )  # fmt: skip

    def _px(self) -> Decimal:
        return Decimal(self.random.choice(_PXS))

    def _amount(self) -> Decimal:
        return Decimal(self.random.choice(["0.1", "-0.3", "1", "0.07", "2"]))

    def _currency(self) -> str:
        return self.random.choice(list(_CURRENCIES.values()))


def an_arrival(day: Day, seed: int) -> list[Report]:
    """Return *day* interleaved, delayed and repeated; its definition comes at any time too.

    A fee of a trade that nobody told of yet is set aside; it is told again after its trade, as a
    broker's statement does.
    """
    random = Random(seed)
    arrived: list[Report] = [*day.messages, day.definition]
    arrived += random.sample(day.messages, random.randint(0, len(day.messages)))
    random.shuffle(arrived)
    known: set[str | None] = set()
    early: list[Report] = []
    for message in arrived:
        if isinstance(message, OrderReport) and message.exec_type is _E.TRADE:
            known.add(message.trade_id)
        elif isinstance(message, CommissionReport) and message.trade_id not in known:
            early.append(evolve(message))
    random.shuffle(early)
    return arrived + early
