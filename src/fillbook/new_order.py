"""Say what a robot wants to trade, in amounts that are exactly what was typed."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from fillbook.brokers.bounds import id_of, shown
from fillbook.core.exact import decimal_of
from fillbook.core.policies import PartialFills
from fillbook.core.values import Side
from fillbook.errors import BadRequest, BadValue

__all__ = ["Amount", "NewOrder", "amount_of", "positive_of"]

Amount = str | int | Decimal


@frozen(kw_only=True)
class NewOrder:
    """What a robot wants to trade; made by `market`, `limit`, `stop` or `stop_limit`.

    Amounts are decimal text, `int` or `Decimal`; a float is refused, it is not what was typed.
    `BadRequest` says what cannot be meant; so a price that came out as None never becomes an order
    without one.

    Attributes:
        instrument_id: 1 to 256 characters, no control characters; so with the other ids.
        side: `BUY`, `SELL` or `SELL_SHORT`.
        order_type: `MARKET`, `LIMIT`, `STOP` or `STOP_LIMIT`.
        order_qty: Base units, > 0.
        limit_px, stop_px: Quote per base unit; those that the type needs, and no other.
        time_in_force: `DAY`, `GTC`, `IOC`, `FOK`, or `GTD` with `expire_time` (ns since 1970, UTC).
        account_id, partial_fills: None takes those of the robot's settings; see `PartialFills`.
        client_order_id: Its id, in the form that the broker takes; None has one made.
    """

    instrument_id: str
    side: Side
    order_type: str
    order_qty: Decimal
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    time_in_force: str = "DAY"
    expire_time: int | None = None
    account_id: str | None = None
    partial_fills: PartialFills | None = None
    client_order_id: str | None = None

    def __attrs_post_init__(self) -> None:
        _refuse_id("instrument_id", self.instrument_id)
        for name in ("account_id", "client_order_id"):
            if getattr(self, name) is not None:
                _refuse_id(name, getattr(self, name))
        if self.order_type not in _PRICES:
            raise BadRequest(f"order_type {self.order_type!r} is none of {_in_line(_PRICES)}")
        for name in ("limit_px", "stop_px"):
            is_needed = name in _PRICES[self.order_type]
            if is_needed != (getattr(self, name) is not None):
                raise BadRequest(
                    f"a {self.order_type} order {'needs a' if is_needed else 'has no'} {name}"
                )
        if self.time_in_force not in _TIMES_IN_FORCE:
            raise BadRequest(
                f"time_in_force {self.time_in_force!r} is none of {_in_line(_TIMES_IN_FORCE)}"
            )
        if (self.time_in_force == "GTD") != (self.expire_time is not None):
            raise BadRequest("expire_time and time_in_force GTD go together")
        if self.expire_time is not None and not _is_instant(self.expire_time):
            raise BadRequest(f"expire_time is {self.expire_time!r}: give ns since 1970, UTC")

    @classmethod
    def market(cls, instrument_id: str, side: str, order_qty: Amount, **more: Any) -> "NewOrder":
        """Return an order at whatever price there is."""
        return cls._made(instrument_id, side, "MARKET", order_qty, None, None, more)

    @classmethod
    def limit(
        cls, instrument_id: str, side: str, order_qty: Amount, limit_px: Amount, **more: Any
    ) -> "NewOrder":
        """Return an order at *limit_px* or better."""
        return cls._made(instrument_id, side, "LIMIT", order_qty, limit_px, None, more)

    @classmethod
    def stop(
        cls, instrument_id: str, side: str, order_qty: Amount, stop_px: Amount, **more: Any
    ) -> "NewOrder":
        """Return an order at whatever price there is once *stop_px* is reached."""
        return cls._made(instrument_id, side, "STOP", order_qty, None, stop_px, more)

    @classmethod
    def stop_limit(
        cls, instrument_id: str, side: str, order_qty: Amount, stop_px: Amount, limit_px: Amount,
        **more: Any,
    ) -> "NewOrder":  # fmt: skip
        """Return an order at *limit_px* or better once *stop_px* is reached."""
        return cls._made(instrument_id, side, "STOP_LIMIT", order_qty, limit_px, stop_px, more)

    @classmethod
    def _made(
        cls,
        instrument_id: str,
        side: str,
        order_type: str,
        order_qty: Amount,
        limit_px: Amount | None,
        stop_px: Amount | None,
        more: Mapping[str, Any],
    ) -> "NewOrder":
        terms = dict(more)
        partial_fills = terms.pop("partial_fills", None)
        if side not in Side.__members__:
            raise BadRequest(f"side {side!r} is none of {_in_line(Side)}")
        if isinstance(partial_fills, str):
            try:
                partial_fills = PartialFills.parse(partial_fills)
            except ValueError as exc:
                raise BadRequest(f"partial_fills: {exc}") from exc
        return cls(
            instrument_id=instrument_id,
            side=Side(side),
            order_type=order_type,
            order_qty=positive_of("order_qty", order_qty),
            limit_px=None if limit_px is None else amount_of("limit_px", limit_px),
            stop_px=None if stop_px is None else amount_of("stop_px", stop_px),
            partial_fills=partial_fills,
            **terms,
        )


_TIMES_IN_FORCE = ("DAY", "GTC", "IOC", "FOK", "GTD")
_PRICES = {
    "MARKET": (),
    "LIMIT": ("limit_px",),
    "STOP": ("stop_px",),
    "STOP_LIMIT": ("limit_px", "stop_px"),
}
"""The prices that each order type has."""
_END_OF_TIME = 1 << 63


def _refuse_id(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise BadRequest(f"{name} is {shown(value)}: give a text")
    if not value:
        raise BadRequest(f"{name} is empty")
    try:
        id_of(value)
    except BadValue as bad:
        raise BadRequest(f"{name} {bad.problem}") from bad


def _is_instant(value: Any) -> bool:
    return type(value) is int and 0 < value < _END_OF_TIME


def _in_line(words: Any) -> str:
    return ", ".join(map(str, words))


def amount_of(name: str, value: Amount) -> Decimal:
    """Return *value* as the `Decimal` that it says; `BadRequest` naming *name* where it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise BadRequest(f"{name} is {value!r}: give an amount as text, int or Decimal")
    try:
        return decimal_of(str(value))
    except BadValue as exc:
        raise BadRequest(f"{name}: {exc.problem}") from exc


def positive_of(name: str, value: Amount) -> Decimal:
    """Return the same of an amount that must be above 0."""
    amount = amount_of(name, value)
    if amount <= 0:
        raise BadRequest(f"{name} is {amount}: it must be above 0")
    return amount
