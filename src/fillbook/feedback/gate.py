"""Say whether a new order may be sent as things stand, and when the robot must halt itself."""

from datetime import UTC, datetime
from decimal import Decimal

from fillbook.core.book import Book
from fillbook.core.commands import SubmitOrder
from fillbook.core.control import reduces
from fillbook.core.exact import EXACT
from fillbook.core.orders import Order
from fillbook.core.robot_events import HaltDeclared
from fillbook.core.values import Side
from fillbook.errors import TradingHalted

__all__ = ["refuse_if_halted", "refuse_replace_if_halted"]


def refuse_if_halted(book: Book, command: SubmitOrder) -> None:
    """Raise `TradingHalted` where a halt forbids *command*; it names who, when and why."""
    halt = book.control.halt_of(command.instrument_id)
    if halt is None or (halt.level == "REDUCE_ONLY" and _only_reduces(book, command)):
        return
    raise TradingHalted(
        halt.level, halt.instrument_id or "everything", halt.by, _when(halt), halt.reason
    )


def refuse_replace_if_halted(
    book: Book,
    order: Order,
    order_qty: Decimal | None,
    limit_px: Decimal | None,
    stop_px: Decimal | None,
) -> None:
    """Raise `TradingHalted` where a halt forbids to give *order* these terms; None keeps one.

    Allowed is a smaller quantity at the order's own prices: at another it may trade where it did
    not.
    """
    halt = book.control.halt_of(order.instrument_id)
    is_smaller = order_qty is not None and order_qty < (order.standing.order_qty or 0)
    keeps = limit_px in (None, order.limit_px) and stop_px in (None, order.stop_px)
    if halt is not None and not (is_smaller and keeps):
        raise_for = SubmitOrder(
            client_order_id="", instrument_id=order.instrument_id, side=order.side,
            order_type=order.order_type or "LIMIT", account_id=order.account_id,
        )  # fmt: skip
        refuse_if_halted(book, raise_for)


def _when(halt: HaltDeclared) -> str:
    if halt.ts_event is None:
        return "an unknown time"
    seconds = halt.ts_event // 1_000_000_000
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}Z"


def _only_reduces(book: Book, command: SubmitOrder) -> bool:
    """Tell whether *command* only takes its position down, with all that is on the way counted."""
    if command.order_qty is None:  # an amount of money may turn out to be any quantity
        return False
    number = book.positions.number(command.account_id, command.instrument_id)
    if number is None:
        return False
    book.refresh_positions()
    position = book.positions.by_number[number]
    open_qty = Decimal(0)
    for order in book.open_orders():
        whose = (order.account_id, order.instrument_id)
        if whose != (command.account_id, command.instrument_id):
            continue
        if order.client_order_id == command.client_order_id:  # itself, recorded and not yet sent
            continue
        if (order.side is Side.BUY) != (command.side is Side.BUY):
            continue
        leaves_qty = order.standing.leaves_qty()
        if leaves_qty is None:
            return False
        open_qty = EXACT.add(open_qty, leaves_qty)
    return reduces(position.qty, open_qty, command.side, command.order_qty)
