"""Make a large ledger from a seed: a robot's months on 50 instruments, ready-made event by event.

What `decide` would have concluded is written down directly, consistently (such a ledger verifies),
because a million decisions take longer than all that is measured here.  The log that takes the
events is the real one.
"""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, field

from fillbook.core.events import (
    InstrumentDefined,
    InstrumentMarked,
    OrderAccepted,
    OrderCanceled,
    OrderCancelPending,
    OrderCancelRequested,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRequested,
    OrderSubmitted,
)
from fillbook.core.exact import canonical
from fillbook.core.values import OrderStatus, Side
from fillbook.log.port import Draft
from fillbook.wiring import open_log, recover, save_state

__all__ = ["MIX", "build_ledger", "drafts"]

MIX = (
    "50 linear instruments; of the orders 60 % are filled in 1 to 4 fills, 12 % canceled unfilled, "
    "14 % canceled partly filled, 8 % replaced and then filled, 5 % rejected, 1 % stay open; every "
    "fill has a fee and one price to the cent, positions cross zero often; every 10,000 events all "
    "instruments are marked"
)

_INSTRUMENT_COUNT = 50
_OPEN_ORDERS = 200
_MARK_EVERY = 10_000
_OPENS_NS = 1_767_600_000_000_000_000
_MOST_HELD = 400
_STORIES = (
    ("filled", 60), ("canceled", 12), ("partly", 14), ("replaced", 8), ("rejected", 5), ("open", 1),
)  # fmt: skip
_ZERO = Decimal(0)
_S = OrderStatus


@define
class _Instrument:
    instrument_id: str
    cents: int
    number: int = 0
    """Of its position: the seq of its first fill."""
    held: int = 0


@define
class _Order:
    """What every event of an order repeats."""

    stream: int
    instrument: _Instrument
    side: Side
    qty: Decimal
    px: Decimal
    client_order_id: str
    venue_order_id: str
    status: OrderStatus = _S.PENDING_NEW
    cum: int = 0
    fill_no: int = 0
    is_over: bool = False

    def says(self, market: "_Market") -> dict[str, Any]:
        """Return the fields of `OrderEvent`, as the order stands now."""
        cum_qty = Decimal(self.cum)
        return {
            "account_id": "L01-00000F00",
            "instrument_id": self.instrument.instrument_id,
            "side": self.side,
            "client_order_id": self.client_order_id,
            "venue_order_id": self.venue_order_id or None,
            "order_status": self.status,
            "order_qty": self.qty,
            "cum_qty": cum_qty,
            "leaves_qty": _ZERO if self.is_over else self.qty - cum_qty,
            "avg_px": self.px if self.cum else None,
            "ts_event": market.now_ns,
        }


@define
class _Market:
    """Everything that the next event depends on.

    Attributes:
        seq: Of the event that comes next.
    """

    random: Random
    seq: int
    now_ns: int = _OPENS_NS
    order_count: int = 0
    instruments: list[_Instrument] = field(factory=list)

    def draft(self, event: Any, order: _Order, **more: Any) -> Draft:
        """Return what to append, and count it."""
        is_new = order.stream == self.seq
        self.seq += 1
        self.now_ns += self.random.randrange(1_000_000, 400_000_000)
        return Draft(event=event, stream=None if is_new else order.stream, actor="VENUE", **more)


def drafts(seed: int, count: int, first_seq: int = 2) -> Iterator[Draft]:
    """Yield *count* drafts for a log whose next seq is *first_seq*."""
    market = _Market(Random(seed), first_seq)
    last = first_seq + count
    for number in range(_INSTRUMENT_COUNT):
        instrument = _Instrument(f"SYM{number:02}", market.random.randrange(9_000, 41_000))
        market.instruments.append(instrument)
        if market.seq < last:
            market.seq += 1
            event = InstrumentDefined(
                instrument_id=instrument.instrument_id,
                quote_currency="RUB",
                px_step=Decimal("0.01"),
                lot_size=Decimal(1),
                ts_event=market.now_ns,
            )
            yield Draft(event=event, stream=None, actor="OPERATOR")
    marked = market.seq
    lives: list[Iterator[Draft]] = []
    while market.seq < last:
        if market.seq - marked >= _MARK_EVERY:
            marked = market.seq
            for instrument in market.instruments[: last - market.seq]:
                market.seq += 1
                event_ = InstrumentMarked(
                    instrument_id=instrument.instrument_id,
                    px=_px(instrument.cents),
                    ts_event=market.now_ns,
                )
                yield Draft(event=event_, stream=None, actor="VENUE")
            continue
        if len(lives) < _OPEN_ORDERS:
            lives.append(_life(market))
        which = market.random.randrange(len(lives))
        draft = next(lives[which], None)
        if draft is None:
            lives[which] = _life(market)
        else:
            yield draft


def _life(market: _Market) -> Iterator[Draft]:
    """Yield the events of one order, each made when it is its turn."""
    random = market.random
    story = random.choices([name for name, _ in _STORIES], [weight for _, weight in _STORIES])[0]
    order = _begin(market)
    event: Any = OrderSubmitted(
        **order.says(market),
        order_type="LIMIT",
        asked_qty=order.qty,
        limit_px=order.px,
        time_in_force="GTC" if story == "open" else "DAY",
    )
    yield market.draft(event, order, client_order_id=order.client_order_id)
    if story == "rejected":
        order.status, order.is_over = _S.REJECTED, True
        reject = OrderRejected(**order.says(market), reason="EXCEEDS_LIMIT", text="over the limit")
        yield market.draft(reject, order)
        return
    order.status, order.venue_order_id = _S.NEW, f"V{order.stream:09}"
    accepted = OrderAccepted(**order.says(market), exec_id=f"E{market.seq:09}")
    yield market.draft(accepted, order, venue_order_id=order.venue_order_id)
    if story == "open":
        return
    if story == "replaced":
        yield from _replace(market, order)
    wanted = 0 if story == "canceled" else int(order.qty)
    if story == "partly":
        wanted //= 2
    part_count = random.randrange(1, 5)
    while order.cum < wanted:
        left = wanted - order.cum
        part_count -= 1
        qty = left if part_count <= 0 else random.randrange(1, left + 1)
        yield _fill(market, order, qty)
    if story in ("canceled", "partly"):
        yield from _cancel(market, order)


def _begin(market: _Market) -> _Order:
    random = market.random
    instrument = random.choice(market.instruments)
    instrument.cents += random.randrange(-30, 31)
    leans = 0.5 - instrument.held / (2 * _MOST_HELD)
    side = Side.BUY if random.random() < leans else Side.SELL
    market.order_count += 1
    return _Order(
        stream=market.seq,
        instrument=instrument,
        side=side,
        qty=Decimal(random.randrange(2, 21) * 10),
        px=_px(instrument.cents),
        client_order_id=f"rb-{random.randrange(16**8):08x}-{market.order_count}",
        venue_order_id="",
    )


def _replace(market: _Market, order: _Order) -> Iterator[Draft]:
    request_id = f"{order.client_order_id}r"
    limit_px = _px(order.instrument.cents + 5)
    asked = OrderReplaceRequested(
        **order.says(market),
        request_id=request_id,
        orig_client_order_id=order.client_order_id,
        asked_qty=order.qty + 10,
        limit_px=limit_px,
    )
    yield market.draft(asked, order, client_order_id=request_id)
    order.qty, order.px = order.qty + 10, limit_px
    replaced = OrderReplaced(
        **order.says(market),
        request_id=request_id,
        orig_client_order_id=order.client_order_id,
        limit_px=limit_px,
        exec_id=f"E{market.seq:09}",
    )
    yield market.draft(replaced, order)


def _fill(market: _Market, order: _Order, qty: int) -> Draft:
    order.cum += qty
    order.fill_no += 1
    order.is_over = order.cum == order.qty
    order.status = _S.FILLED if order.is_over else _S.PARTIALLY_FILLED
    instrument = order.instrument
    instrument.held += qty if order.side is Side.BUY else -qty
    position = instrument.number
    if not position:
        instrument.number = market.seq
    trade_id = f"T{market.seq:09}"
    event = OrderFilled(
        **order.says(market),
        fill_no=order.fill_no,
        trade_id=trade_id,
        exec_id=f"E{market.seq:09}",
        last_qty=Decimal(qty),
        last_px=order.px,
        commission=canonical(round(order.px * qty / 2000, 2)),
        commission_currency="RUB",
        liquidity="MAKER",
    )
    return market.draft(
        event, order, position=position, idempotency_key=f"fill:{trade_id}:{order.stream}"
    )


def _cancel(market: _Market, order: _Order) -> Iterator[Draft]:
    request_id = f"{order.client_order_id}c"
    ids = {"request_id": request_id}
    asked = OrderCancelRequested(
        **order.says(market), **ids, orig_client_order_id=order.client_order_id
    )
    yield market.draft(asked, order, client_order_id=request_id)
    order.status = _S.PENDING_CANCEL
    yield market.draft(OrderCancelPending(**order.says(market), **ids), order)
    order.status, order.is_over = _S.CANCELED, True
    yield market.draft(OrderCanceled(**order.says(market), **ids), order)


def _px(cents: int) -> Decimal:
    return canonical(Decimal(cents).scaleb(-2))


def build_ledger(path: Path, count: int, tail_count: int, seed: int = 1) -> dict[str, int]:
    """Make a ledger of *count* events with a snapshot *tail_count* before its end."""
    snapshot_at = count - tail_count
    types: dict[str, int] = {}
    log = open_log(str(path), durability="bulk", robot="bench")
    try:
        rest = drafts(seed, count - 1)
        for upto in (snapshot_at, count):
            with log.batch() as batch:
                while log.head().seq < upto:
                    for _ in range(min(10_000, upto - log.head().seq)):
                        draft = next(rest)
                        batch.add(draft)
                        types[draft.event.type] = types.get(draft.event.type, 0) + 1
                    batch.flush()
            if upto == snapshot_at:
                save_state(log, recover(log, use_snapshot=False))
    finally:
        log.close()
    return dict(sorted(types.items()))
