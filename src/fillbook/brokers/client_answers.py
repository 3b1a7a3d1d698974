"""Read what a client of four methods answers: dictionaries become reports, or are set aside.

An answer about another order than the one that was asked about says nothing about ours, fills
included.  Otherwise each fill is read for itself: one that is right counts though the status beside
it cannot be read.  What is wrong becomes a `Message` with its `problem`, and the answer is kept.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve, frozen

from fillbook.brokers.bounds import shown
from fillbook.brokers.client_values import (
    amount_in,
    average_in,
    id_in,
    instant_in,
    needed,
    qty_in,
    raw_of,
    side_in,
    status_in,
    text_in,
)
from fillbook.brokers.live import BrokerRefused, OrderRef
from fillbook.brokers.port import Message
from fillbook.core.commands import ReplaceOrder, SubmitOrder
from fillbook.core.reports import OrderReport, PositionReport, Report
from fillbook.core.values import ExecType, OrderStatus
from fillbook.errors import BadValue

__all__ = ["Answers", "NoAnswer", "refusal_in", "rows_of"]

Row = Mapping[str, Any]

_JUST_OPEN = {OrderStatus.PENDING_NEW, OrderStatus.NEW}
_NOT_FOUND = {"not_found", "unknown_order"}


class NoAnswer(Exception):
    """The client gave no answer, or none about what it was asked: no evidence of anything.

    Attributes:
        raw: What it answered, as JSON.
    """

    def __init__(self, problem: str, answer: object = None) -> None:
        self.raw = b"" if answer is None else raw_of(answer)
        said = self.raw.decode()
        short = said if len(said) <= 200 else f"{said[:200]}…"
        super().__init__(f"{problem}: {short}" if said else problem)


def refusal_in(answer: object, *, error_refuses: bool) -> BrokerRefused | None:
    """Return the refusal that *answer* is; None where it is none.

    It is one where its status is `rejected`, and, if *error_refuses*, where it has an `error` and
    no order.
    """
    if not isinstance(answer, Mapping):
        return None
    is_rejected = _status_word(answer) == "rejected"
    is_error = bool(answer.get("error")) and error_refuses and answer.get("order_id") is None
    if not is_rejected and not is_error:
        return None
    text = text_in(answer, "error", "text", "message", "reason") or "no words given"
    return BrokerRefused(_reason_in(answer) or "OTHER", text, raw_of(answer))


def rows_of(answer: object) -> list[Any]:
    """Return the items of a list; anything else is no answer, an empty list is one."""
    if isinstance(answer, (list, tuple)):
        return list(answer)
    raise NoAnswer("expected a list", answer)


@frozen(kw_only=True)
class Answers:
    """How one client's answers are read.

    Attributes:
        account_id: Whose they are.
        statuses: The status that each word in small letters means.
        clock: Tells nanoseconds since 1970, for `ts_received`.
    """

    account_id: str
    statuses: Mapping[str, OrderStatus]
    clock: Callable[[], int]

    # ---- about one order

    def placed(self, answer: object, order: SubmitOrder) -> list[Message]:
        """Read the answer to a new order: its id, and what else it tells.

        An id alone is a receipt, `PENDING_NEW`.  A status that says more than "open" counts only
        together with the quantity filled; without it the next poll tells.

        Raises `NoAnswer` where there is no id, or it is another order's.
        """
        if not isinstance(answer, Mapping) or not answer:
            raise NoAnswer("the order was not answered", answer)
        ref = OrderRef(
            client_order_id=order.client_order_id,
            first_client_order_id=order.client_order_id,
            venue_order_id=None,
            account_id=order.account_id,
            instrument_id=order.instrument_id,
        )
        try:
            needed(answer, "order_id")
            receipt = self._about(answer, ref)
            side = side_in(answer)
            if side not in (None, order.side):
                raise BadValue("side", f"{shown(side.value)}, expected {order.side.value}")
        except BadValue as bad:
            raise NoAnswer(f"the order was not answered ({bad})", answer) from bad
        raw = raw_of(answer)
        received = evolve(receipt, order_status=OrderStatus.PENDING_NEW)
        messages = self._fills(answer, receipt)
        try:
            status = status_in(answer, self.statuses)
            if status is None or (
                status not in _JUST_OPEN and answer.get("filled_quantity") is None
            ):
                return [Message(0, "report", received, raw), *messages]
            snapshot = self._snapshot(answer, receipt, status)
            return [*messages, Message(0, "report", snapshot, raw)]
        except BadValue as bad:
            return [
                Message(0, "report", received, raw), *messages,
                Message(0, "report", None, raw, str(bad)),
            ]  # fmt: skip

    def status(self, answer: object, ref: OrderRef) -> list[Message]:
        """Read what was answered about the order *ref*; empty where it says "not found".

        Raises `NoAnswer` for nothing, and for an error without a status.
        """
        if not answer:
            raise NoAnswer("there was no answer about the order", answer)
        if isinstance(answer, Mapping):
            if _status_word(answer) in _NOT_FOUND:
                return []
            if answer.get("error") and answer.get("status") is None:
                raise NoAnswer("the client answered an error", answer)
        return self._told(answer, ref)

    def replaced(self, answer: object, request: ReplaceOrder, ref: OrderRef) -> list[Message]:
        """Read the answer to a replacement: an `order_id` says that it is done.

        Anything else that is true was only taken note of.  Raises `NoAnswer` for what is not.
        """
        if not answer:
            raise NoAnswer("the replacement was not answered", answer)
        if not isinstance(answer, Mapping) or answer.get("order_id") is None:
            return []
        raw = raw_of(answer)
        try:
            new = evolve(ref, client_order_id=request.client_order_id, venue_order_id=None)
            about = self._about(answer, new)
            if status_in(answer, self.statuses) is OrderStatus.PENDING_REPLACE:
                return []
        except BadValue as bad:
            return [Message(0, "report", None, raw, str(bad))]
        report = evolve(
            about,
            orig_client_order_id=request.orig_client_order_id,
            exec_type=ExecType.REPLACED,
            order_qty=request.order_qty,
            limit_px=request.limit_px,
            stop_px=request.stop_px,
        )
        return [Message(0, "report", report, raw)]

    def canceled(self, answer: object, ref: OrderRef) -> list[Message]:
        """Read the answer to a cancel: a whole status is a report, anything else a note taken.

        Raises `NoAnswer` for what is false.
        """
        if not answer:
            raise NoAnswer("the cancel was not answered", answer)
        if not isinstance(answer, Mapping):
            return []
        has_status = all(answer.get(key) is not None for key in ("status", "filled_quantity"))
        return self._told(answer, ref) if has_status else []

    # ---- lists

    def open_orders(self, answer: object) -> list[Message]:
        """Read a list of orders, whoever sent them."""
        messages: list[Message] = []
        for row in rows_of(answer):
            messages += self._told(row, None)
        return messages

    def fills(self, answer: object) -> list[Message]:
        """Read a list of fills of any orders."""
        return [self._fill(row, None) for row in rows_of(answer)]

    def positions(self, answer: object) -> list[Message]:
        """Read what is held; an instrument that is listed twice is told by neither line."""
        rows = rows_of(answer)
        symbols = Counter(str(row.get("symbol")) for row in rows if isinstance(row, Mapping))
        return [self._read("position", row, lambda row: _position(row, symbols, self.account_id))
                for row in rows]  # fmt: skip

    # ---- one dictionary

    def _told(self, answer: object, ref: OrderRef | None) -> list[Message]:
        """Return the fills in *answer*, then the order as it stands."""
        raw = raw_of(answer)
        messages: list[Message] = []
        try:
            row = _dictionary(answer)
            about = self._about(row, ref)
            messages = self._fills(row, about)
            needed(row, "status")
            needed(row, "filled_quantity")
            status = status_in(row, self.statuses)
            report = self._snapshot(row, about, status)
        except BadValue as bad:
            return [*messages, Message(0, "report", None, raw, str(bad))]
        return [*messages, Message(0, "report", report, raw)]

    def _about(self, row: Row, ref: OrderRef | None) -> OrderReport:
        """Return an empty report of the order that *row* is about, which must be *ref*."""
        venue_order_id, client_order_id = id_in(row, "order_id"), id_in(row, "client_order_id")
        symbol, side = id_in(row, "symbol"), side_in(row)
        account_id = self.account_id
        if ref is None:
            if venue_order_id is None and client_order_id is None:
                raise BadValue("order_id", "missing")
        else:
            account_id = ref.account_id
            if venue_order_id is not None and ref.venue_order_id is not None:
                _same("order_id", venue_order_id, ref.venue_order_id)
            is_ours = bool(ref.client_order_id)  # else somebody else sent it, under any id
            known = (None, ref.first_client_order_id, *ref.asked_client_order_ids)
            if is_ours and client_order_id not in known:
                _same("client_order_id", client_order_id, ref.client_order_id)
            if symbol is not None:
                _same("symbol", symbol, ref.instrument_id)
            venue_order_id = venue_order_id or ref.venue_order_id
            client_order_id = ref.client_order_id or client_order_id
            symbol = ref.instrument_id
        return OrderReport(
            client_order_id=client_order_id,
            venue_order_id=venue_order_id,
            account_id=account_id,
            instrument_id=symbol,
            side=side,
            ts_received=self.clock(),
        )

    def _snapshot(self, row: Row, about: OrderReport, status: OrderStatus | None) -> OrderReport:
        cum_qty = qty_in(row, "filled_quantity")
        return evolve(
            about,
            order_status=status,
            order_qty=qty_in(row, "quantity") or None,
            cum_qty=cum_qty,
            avg_px=average_in(row, "average_price") if cum_qty else None,
            reason=_reason_in(row),
            text=text_in(row, "text", "message", "error"),
        )

    def _fills(self, row: Row, about: OrderReport) -> list[Message]:
        fills = row.get("fills")
        if not fills:
            return []
        if not isinstance(fills, (list, tuple)):
            problem = f"fills: found {shown(fills)}, expected a list"
            return [Message(0, "report", None, raw_of(row), problem)]
        return [self._fill(fill, about) for fill in fills]

    def _fill(self, fill: object, about: OrderReport | None) -> Message:
        def read(row: Row) -> Report:
            order = self._about(row, None) if about is None else about
            for key in ("trade_id", "quantity", "price"):
                needed(row, key)
            if about is not None and id_in(row, "symbol") is not None:
                _same("symbol", str(id_in(row, "symbol")), str(about.instrument_id))
            last_qty = qty_in(row, "quantity")
            if not last_qty:
                raise BadValue("quantity", "a fill is more than 0")
            return evolve(
                order,
                exec_type=ExecType.TRADE,
                side=side_in(row) or order.side,
                trade_id=id_in(row, "trade_id"),
                last_qty=last_qty,
                last_px=amount_in(row, "price"),
                commission=amount_in(row, "commission"),
                commission_currency=id_in(row, "commission_currency"),
                ts_event=instant_in(row, "timestamp"),
            )

        return self._read("report", fill, read)

    def _read(self, kind: str, answer: object, read: Callable[[Row], Report]) -> Message:
        raw = raw_of(answer)
        try:
            return Message(0, kind, read(_dictionary(answer)), raw)
        except BadValue as bad:
            return Message(0, kind, None, raw, str(bad))


def _position(row: Row, symbols: Mapping[str, int], account_id: str) -> PositionReport:
    needed(row, "symbol")
    needed(row, "quantity")
    instrument_id, position_qty = id_in(row, "symbol"), amount_in(row, "quantity")
    assert instrument_id is not None
    assert position_qty is not None
    if symbols[str(row["symbol"])] > 1:
        raise BadValue("symbol", f"{shown(instrument_id)} is listed more than once")
    side = str(row.get("side") or "").lower()
    if side in ("short", "sell") and position_qty > 0:
        raise BadValue("quantity", f"{shown(row['quantity'])} is long, and side says {side}")
    return PositionReport(
        instrument_id=instrument_id,
        position_qty=position_qty,
        avg_px=average_in(row, "average_price") if position_qty else None,
        account_id=account_id,
    )


def _dictionary(answer: object) -> Row:
    if isinstance(answer, Mapping):
        return answer
    raise BadValue("", f"found {shown(answer)}, expected a dictionary")


def _same(key: str, found: str | None, expected: str) -> None:
    if found != expected:
        raise BadValue(key, f"{shown(found)}, expected {shown(expected)}")


def _status_word(row: Row) -> str:
    status = row.get("status")
    return str(getattr(status, "value", status)).lower()


def _reason_in(row: Row) -> str | None:
    """Return the reason where it is a word; a sentence is `text`, not a reason."""
    reason = row.get("reason")
    if isinstance(reason, str) and 0 < len(reason) <= 40 and reason.replace("_", "").isalnum():
        return reason.upper()
    return None
