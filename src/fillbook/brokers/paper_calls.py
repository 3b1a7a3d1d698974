"""Write and read the calls of a live broker as JSON, for a client and a server to agree on.

A call's body is one object: an `order` or a `request` as JSON lines have it, an `order` by its ids,
a `ts_event`.  An answer is JSON lines, one message each.  What a test has done to the account is an
object with the keys of `DEEDS`, amounts as text.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from io import BytesIO
from typing import Any

from attrs import asdict, evolve

from fillbook.brokers.jsonkinds import instant_of
from fillbook.brokers.jsonlines import read_jsonl
from fillbook.brokers.jsonlines_out import to_row
from fillbook.brokers.live import OrderRef
from fillbook.brokers.port import Message
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.exact import decimal_of, plain
from fillbook.core.times import time_text
from fillbook.core.values import Side
from fillbook.errors import BadValue

__all__ = [
    "DEEDS",
    "METHODS",
    "arguments_of",
    "body_of",
    "deed_body_of",
    "deed_of",
    "messages_of",
]

METHODS = (
    "submit", "cancel", "replace", "look_up", "open_orders", "fills_since", "positions",
    "activities_since", "cash",
)  # fmt: skip

DEEDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "trade_by_hand": (("instrument_id", "side", "qty"), ("is_told",)),
    "liquidate": (("instrument_id",), ()),
    "split": (("instrument_id", "numerator", "denominator"), ()),
    "transfer": (("instrument_id", "qty"), ("px",)),
}
"""What may be done to the account: the keys that it needs, and those that it may have."""

_REF_KEYS = (
    "client_order_id", "first_client_order_id", "venue_order_id", "account_id", "instrument_id",
)  # fmt: skip
_COMMANDS = {"submit": SubmitOrder, "cancel": CancelOrder, "replace": ReplaceOrder}


def body_of(method: str, args: Sequence[Any]) -> bytes:
    """Return the body of one call."""
    body: dict[str, Any] = {}
    for arg in args:
        if isinstance(arg, OrderRef):
            body["order"] = asdict(arg)
        elif isinstance(arg, int):
            body["ts_event"] = time_text(arg)
        else:
            body["order" if method == "submit" else "request"] = to_row(arg)
    return json.dumps(body, separators=(",", ":")).encode()


def arguments_of(method: str, data: bytes) -> tuple[Any, ...]:
    """Return what a call is called with; raise `BadValue` where the body does not say."""
    try:
        body = json.loads(data or b"{}")
    except ValueError as bad:
        raise BadValue("", f"not JSON: {bad}") from None
    if not isinstance(body, dict):
        raise BadValue("", "not an object")
    if method == "submit":
        return (_command(method, body, "order"),)
    if method in ("cancel", "replace"):
        return _command(method, body, "request"), _ref(body)
    if method == "look_up":
        return (_ref(body),)
    if method in ("fills_since", "activities_since"):
        if not isinstance(body.get("ts_event"), str):
            raise BadValue("ts_event", "missing")
        return (instant_of(body["ts_event"]),)
    return ()


def messages_of(data: bytes) -> list[Message]:
    """Return the messages of an answer; raise `BadValue` where one cannot be read."""
    messages = [evolve(message, line=0, start=0) for message in read_jsonl(BytesIO(data))]
    for message in messages:
        if message.problem is not None:
            raise BadValue("", f"the answer cannot be read: {message.problem}")
    return messages


def deed_body_of(told: Mapping[str, Any]) -> bytes:
    """Return the body of a request that something be done to the account."""
    body = {
        key: plain(value) if isinstance(value, Decimal) else value
        for key, value in told.items()
        if value is not None
    }
    return json.dumps(body, separators=(",", ":")).encode()


def deed_of(deed: str, data: bytes) -> dict[str, Any]:
    """Return what is to be done, by key; raise `BadValue` where the body does not say."""
    try:
        body = json.loads(data or b"{}")
    except ValueError as bad:
        raise BadValue("", f"not JSON: {bad}") from None
    needed, others = DEEDS[deed]
    if not isinstance(body, dict) or not set(needed) <= set(body) <= {*needed, *others}:
        raise BadValue(
            "", f"give {', '.join(needed)}, and perhaps {', '.join(others) or 'nothing'}"
        )
    return {key: _read(key, value) for key, value in body.items()}


def _read(key: str, value: object) -> Any:
    if key == "is_told":
        if not isinstance(value, bool):
            raise BadValue(key, "not true or false")
        return value
    if not isinstance(value, str):
        raise BadValue(key, "not text")
    if key == "side":
        if value not in set(Side):
            raise BadValue(key, f"found {value!r}, which is no side")
        return Side(value)
    try:
        return value if key == "instrument_id" else decimal_of(value)
    except BadValue as bad:
        raise BadValue(key, bad.problem) from None


def _command(method: str, body: Mapping[str, Any], key: str) -> Any:
    if not isinstance(body.get(key), dict):
        raise BadValue(key, "missing")
    (message,) = read_jsonl(BytesIO(json.dumps(body[key]).encode()))
    if message.problem is not None:
        raise BadValue(key, message.problem)
    if not isinstance(message.content, _COMMANDS[method]):
        raise BadValue(key, f"found {message.kind}, which is no {method}")
    return message.content


def _ref(body: Mapping[str, Any]) -> OrderRef:
    told = body.get("order")
    if not isinstance(told, dict):
        raise BadValue("order", "missing")
    for key in _REF_KEYS:
        value = told.get(key)
        if not isinstance(value, str) and (value is not None or key != "venue_order_id"):
            raise BadValue(f"order.{key}", "missing, or not text")
    values: dict[str, Any] = {key: told.get(key) for key in _REF_KEYS}
    return OrderRef(**values)
