"""Generate what a venue tells of one order: trades, busts, corrections, polls, an end."""

from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import strategies as st

from fillbook.core.reports import OrderReport
from fillbook.core.values import ExecType, OrderStatus, Side

_E, _S = ExecType, OrderStatus
_PXS = ["100", "101", "99.5", "100.25"]
_POLLS = ["whole", "no average", "rest"]
"""What a poll tells: quantities and average, no average, or only what is left."""


def a_history(seed: int) -> list[OrderReport]:
    """Return what a venue said of one order, in the order it happened, each with its own time."""
    random = Random(seed)
    qty = Decimal(random.choice([10, 20]))
    fills: dict[str, tuple[Decimal, Decimal]] = {}
    told: list[OrderReport] = []

    def total() -> Decimal:
        return sum((each[0] for each in fills.values()), Decimal(0))

    def say(exec_type: ExecType | None, status: OrderStatus, **more: Any) -> None:
        cum = total()
        value = sum((each[0] * each[1] for each in fills.values()), Decimal(0))
        number = len(told) + 1
        poll = random.choice(_POLLS) if exec_type is None else "whole"
        told.append(
            OrderReport(
                client_order_id="R-1", venue_order_id="V-1", instrument_id="SBER", side=Side.BUY,
                exec_type=exec_type, order_status=status, order_qty=qty,
                cum_qty=None if poll == "rest" else cum, leaves_qty=max(qty - cum, Decimal(0)),
                avg_px=value / cum if cum and poll == "whole" else None, ts_event=1000 * number,
                exec_id=None if exec_type is None else f"E-{number}", **more,
            )
        )  # fmt: skip

    def status() -> OrderStatus:
        cum = total()
        return _S.FILLED if cum >= qty else _S.PARTIALLY_FILLED if cum else _S.NEW

    say(_E.NEW, _S.NEW)
    for step in range(random.randint(2, 6)):
        choice = random.random()
        if choice < 0.6 and total() < qty:
            part = Decimal(random.randint(1, int(qty - total())))
            px = Decimal(random.choice(_PXS))
            fills[f"E-{len(told) + 1}"] = (part, px)
            say(_E.TRADE, status(), last_qty=part, last_px=px, trade_id=f"T-{step}")
        elif choice < 0.7 and fills:
            named = random.choice(sorted(fills))
            del fills[named]
            say(_E.TRADE_CANCEL, status(), exec_ref_id=named)
        elif choice < 0.8 and fills:
            named = random.choice(sorted(fills))
            part, px = Decimal(1), Decimal(random.choice(_PXS))
            del fills[named]
            fills[f"E-{len(told) + 1}"] = (part, px)
            say(_E.TRADE_CORRECT, status(), exec_ref_id=named, last_qty=part, last_px=px)
        else:
            say(None, status())
    if random.random() < 0.5 and total() < qty:
        how = random.choice([_S.CANCELED, _S.EXPIRED])
        say(_E(how.value), how)
    return told


def an_arrival(history: list[OrderReport], seed: int) -> list[OrderReport]:
    """Return *history* interleaved, delayed and repeated, as streams and polls deliver it."""
    random = Random(seed)
    arrived = history + random.sample(history, random.randint(0, len(history)))
    random.shuffle(arrived)
    return arrived


arrivals = st.builds(
    lambda history_seed, arrival_seed: an_arrival(a_history(history_seed), arrival_seed),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
