"""Write an order as a client of four methods takes it: a dictionary with small words.

    {"client_order_id": "…", "symbol": "SBER", "side": "BUY", "quantity": Decimal("100"),
     "type": "limit", "price": Decimal("275.5")}

Further keys come only where the order says so: `stop_price`, `time_in_force`, `expire_time` (an
aware `datetime`), `account`.  What such a dictionary cannot say exactly is not sent.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from fillbook.brokers.live import NotSent
from fillbook.core.commands import ReplaceOrder, SubmitOrder
from fillbook.core.exact import plain

__all__ = ["Amounts", "change_dict", "order_dict"]

Amounts = type[Decimal] | type[float] | type[str]
"""How a client wants quantities and prices."""

_WRITERS: dict[type, Callable[[Decimal], Any]] = {
    Decimal: lambda value: value,
    str: plain,
    float: lambda value: _as_float(value),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def order_dict(order: SubmitOrder, amounts: Amounts) -> dict[str, Any]:
    """Return what `place_order` is given.

    Raises `NotSent` for an amount that *amounts* does not hold exactly, for an order of so much
    money, and for an end of time finer than a microsecond.
    """
    if order.order_qty is None:
        raise NotSent("an order for an amount of money: this client takes quantities")
    write = _WRITERS[amounts]
    written = {
        "client_order_id": order.client_order_id,
        "symbol": order.instrument_id,
        "side": order.side.value,
        "quantity": write(order.order_qty),
        "type": order.order_type.lower(),
    }
    if order.limit_px is not None:
        written["price"] = write(order.limit_px)
    if order.stop_px is not None:
        written["stop_price"] = write(order.stop_px)
    if order.time_in_force is not None:
        written["time_in_force"] = order.time_in_force.lower()
    if order.expire_time is not None:
        written["expire_time"] = _moment(order.expire_time)
    if order.account_id != "default":
        written["account"] = order.account_id
    return written


def change_dict(request: ReplaceOrder, amounts: Amounts) -> dict[str, Any]:
    """Return what `replace_order` is given beside the order's id: only what is to change."""
    write = _WRITERS[amounts]
    terms = {
        "quantity": request.order_qty, "price": request.limit_px, "stop_price": request.stop_px
    }  # fmt: skip
    changed = {key: write(value) for key, value in terms.items() if value is not None}
    return {"client_order_id": request.client_order_id} | changed


def _as_float(value: Decimal) -> float:
    """Return the float whose shortest decimal is *value*; there may be none."""
    number = float(value)
    if Decimal(repr(number)) != value:
        raise NotSent(f"{plain(value)} is not exact as a float ({number!r}): nothing was sent")
    return number


def _moment(ns: int) -> datetime:
    micros, rest = divmod(ns, 1000)
    if rest:
        raise NotSent(f"expire_time {ns} is finer than a microsecond: nothing was sent")
    return _EPOCH + timedelta(microseconds=micros)
