"""Build what tests of the paper exchange speak of: a market that stands still, and its orders.

One step of the crowd rests on each side, at 99 and at 101, and the last price is 100.
"""

from decimal import Decimal

from attrs import evolve

from fillbook.brokers.paper import PaperExchange
from fillbook.brokers.paper_market import Listing
from fillbook.core.commands import SubmitOrder
from fillbook.core.reports import OrderReport
from fillbook.core.values import Contract, ExecType, Side

SECOND = 1_000_000_000
CLOSES_NS = 1_000 * SECOND
STILL = 10**9 * SECOND
"""A pace at which the crowd does not move while the session lasts."""

SHARE = Listing(
    instrument_id="SHARE",
    quote_currency="RUB",
    settlement_currency="RUB",
    qty_step=Decimal(1),
    px_step=Decimal(1),
    start_px=Decimal(100),
    swing=2,
    depth=1,
    level_steps=1,
    max_order_qty=Decimal(1_000),
    maker_rate=Decimal("-0.001"),
    taker_rate=Decimal("0.002"),
    fee_currency="RUB",
    fee_places=2,
)
COIN = evolve(
    SHARE,
    instrument_id="COIN",
    contract=Contract.SPOT,
    base_currency="COIN",
    fee_currency="COIN",
    fee_places=8,
    renumbers=True,
)
PERPETUAL = evolve(
    SHARE,
    instrument_id="PERPETUAL",
    contract=Contract.INVERSE,
    multiplier=Decimal(100),
    base_currency="BTC",
    settlement_currency="BTC",
    fee_currency="BTC",
    fee_places=8,
)


def an_exchange(seed: int = 1, **settings) -> PaperExchange:
    return PaperExchange(
        seed,
        **(
            {
                "opens_ns": 0,
                "closes_ns": CLOSES_NS,
                "listings": [SHARE, COIN, PERPETUAL],
                "pace_ns": STILL,
            }
            | settings
        ),
    )


def an_order(client_order_id: str = "R-1", side: Side = Side.BUY, qty: str = "5", **terms):
    defaults = {"instrument_id": "SHARE", "order_type": "MARKET"}
    if "limit_px" in terms:
        defaults["order_type"] = "LIMIT"
    if "stop_px" in terms:
        defaults["order_type"] = "STOP_LIMIT" if "limit_px" in terms else "STOP"
    amounts = {key: Decimal(terms.pop(key)) for key in ("limit_px", "stop_px") if terms.get(key)}
    return SubmitOrder(
        client_order_id=client_order_id,
        side=side,
        order_qty=Decimal(qty),
        **(defaults | terms | amounts),
    )


def answers(exchange: PaperExchange, *commands, wait_s: int = 5) -> list:
    """Send *commands* one after the other and return all that comes back in *wait_s*."""
    for command in commands:
        exchange.submit(command)
    return exchange.advance(exchange.now_ns + wait_s * SECOND)


def of_type(messages: list, exec_type: ExecType) -> list[OrderReport]:
    return [each for each in messages if getattr(each, "exec_type", None) is exec_type]


def fills_of(messages: list, client_order_id: str) -> list[tuple[str, str]]:
    return [
        (str(each.last_qty), str(each.last_px))
        for each in of_type(messages, ExecType.TRADE)
        if each.client_order_id == client_order_id
    ]


def last_of(messages: list, client_order_id: str) -> OrderReport:
    return [each for each in messages if each.client_order_id == client_order_id][-1]


def fill(exchange: PaperExchange, client_order_id: str = "R-1", qty: str = "5", **terms) -> list:
    """Fill an order of ours at 100 against one of another account."""
    other = an_order(f"{client_order_id}-other", Side.SELL, qty, limit_px="100", account_id="other",
                     **{key: terms[key] for key in ("instrument_id",) if key in terms})  # fmt: skip
    return answers(exchange, other, an_order(client_order_id, qty=qty, limit_px="100", **terms))


def the_trade(messages: list, client_order_id: str = "R-1") -> OrderReport:
    return [
        each
        for each in of_type(messages, ExecType.TRADE)
        if each.client_order_id == client_order_id
    ][-1]
