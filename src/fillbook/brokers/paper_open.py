"""Keep the paper exchange open for ever: it answers at once, and an account can be taken up again.

A session of `PaperExchange` answers by and by, as a day's log has it.  A live client calls and
waits for an answer, asks what happened while it was away, and finds its orders again later.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from attrs import evolve, field, frozen

from fillbook.brokers.jsonlines_out import to_row
from fillbook.brokers.paper import PaperExchange
from fillbook.brokers.paper_market import LISTINGS, Listing
from fillbook.brokers.paper_orders import VenueFill, VenueOrder
from fillbook.brokers.paper_truth import Activity, balances_of, positions_of, truth_of
from fillbook.brokers.paper_wire import MICROSECOND, SECOND, VenueMessage
from fillbook.core.commands import Command, SubmitOrder
from fillbook.core.exact import EXACT
from fillbook.core.reports import (
    CashReport,
    CommissionReport,
    OrderReport,
    SplitReport,
    TransferReport,
)
from fillbook.core.values import ExecType, Side

__all__ = ["Account", "Execution", "OpenExchange"]

NEVER_NS = 9_000_000_000 * SECOND
"""When the session ends: in the year 2255."""

Execution = OrderReport | CommissionReport

_EXECUTIONS = (ExecType.TRADE, ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT)
_REQUEST_NS = 100_000 * MICROSECOND


@frozen(kw_only=True)
class Account:
    """What the exchange has to know to go on where an earlier session stopped.

    Attributes:
        ts_event: When this was so.
        counts: How many ids of each kind have been given out.
        last_px: Ticks by `instrument_id`.
        orders: In order of arrival.
        executions: All that was told of fills, by the order's number, in the order of telling.
        activities: Splits, transfers and cash, in the order in which they came.
    """

    ts_event: int
    counts: Mapping[str, int]
    last_px: Mapping[str, int]
    orders: Sequence[VenueOrder] = ()
    executions: Mapping[int, Sequence[Execution]] = field(factory=dict)
    activities: Sequence[Activity] = ()


class OpenExchange(PaperExchange):
    """The exchange as a live client meets it.

    Attributes:
        executions: All that was told of fills, by the order's number: the trades, what was taken
            back or corrected of them, and late fees, each as it was told first.
        activities: The splits, transfers and cash of every account, oldest first.
    """

    def __init__(
        self,
        seed: int,
        *,
        opens_ns: int,
        listings: Sequence[Listing] = LISTINGS,
        pace_ns: int = 30 * SECOND,
        account: Account | None = None,
    ) -> None:
        """Open, with what *account* knows where there is one."""
        if account is not None:
            opens_ns = max(opens_ns, account.ts_event + MICROSECOND)
            listings = [_as_it_was_left(listing, account) for listing in listings]
        super().__init__(
            seed, opens_ns=opens_ns, closes_ns=NEVER_NS, listings=listings, pace_ns=pace_ns
        )
        self.executions: dict[int, list[Execution]] = {}
        self.activities: list[Activity] = []
        self._told: list[VenueMessage] = []
        self._wire.on_send = self._note
        if account is not None:
            self._adopt(account)

    # ---- what a client does

    def enter(self, command: Command, order: VenueOrder | None = None) -> list[VenueMessage]:
        """Carry *command* out now and return what was told in doing so, in order.

        Args:
            order: The one that a cancel or replacement is about, where its id is not known here.
        """
        assert not self._told, "what was told before belongs to nobody's answer"
        if isinstance(command, SubmitOrder):
            self._receive(command, command.client_order_id)
        else:
            if order is not None and command.orig_client_order_id not in self._by_client_id:
                command = evolve(command, orig_client_order_id=order.client_order_id or "")
            self._receive_request(command)
        return self.take_told()

    def take_told(self) -> list[VenueMessage]:
        """Return what has been told since the last time, delivered or not.

        Each message's `ts_received` says when it will have been delivered.
        """
        told, self._told = self._told, []
        return told

    # ---- what nobody asked for

    def liquidate(self, instrument_id: str, account_id: str = "default") -> VenueOrder | None:
        """Close the account's position with an order of the broker's own, as far as the book goes.

        None, and nothing happens, where not a whole step is held.
        """
        held_qty = sum(
            (
                Decimal(row["position_qty"])
                for row in self.positions()
                if (row["account_id"], row["instrument_id"]) == (account_id, instrument_id)
            ),
            Decimal(0),
        )
        listing = self.listings[instrument_id]
        held = int(EXACT.divide_int(held_qty, listing.qty_step))
        steps = min(abs(held), listing.steps(listing.max_order_qty) or 0)
        if not steps:
            return None
        command = SubmitOrder(
            client_order_id="liquidation",
            account_id=account_id,
            instrument_id=instrument_id,
            side=Side.SELL if held > 0 else Side.BUY,
            order_type="MARKET",
            order_qty=listing.qty(steps),
        )
        return self.enter_by_phone(command)

    def split(self, instrument_id: str, numerator: Decimal, denominator: Decimal) -> None:
        """Let *denominator* units become *numerator*: what is held, and the price.

        What is open is canceled.  Fills stay what they were.
        """
        ratio = Fraction(numerator) / Fraction(denominator)
        assert ratio > 0, f"{numerator} for {denominator} is no split"
        report = SplitReport(
            instrument_id=instrument_id,
            numerator=numerator,
            denominator=denominator,
            ts_event=self._floor.split(instrument_id, ratio),
        )
        self.activities.append(report)

    def transfer(
        self,
        instrument_id: str,
        transferred_qty: Decimal,
        px: Decimal | None = None,
        account_id: str = "default",
    ) -> str:
        """Move a position in, or out where *transferred_qty* < 0, and return the transfer's id."""
        steps = self.listings[instrument_id].steps(transferred_qty)
        assert steps, f"{transferred_qty} of {instrument_id} cannot be transferred"
        count = sum(isinstance(each, TransferReport) for each in self.activities)
        report = TransferReport(
            instrument_id=instrument_id,
            transfer_id=f"M{self._floor.seed}-{count + 1}",
            transferred_qty=transferred_qty,
            px=px,
            account_id=account_id,
            ts_event=self._wire.moment(),
        )
        self.activities.append(report)
        self._move(report)
        return report.transfer_id

    # ---- what anybody may ask

    def is_used(self, client_order_id: str) -> bool:
        """Tell whether the id came before, of an order or of a request."""
        return client_order_id in self._used_ids

    def find(
        self, client_order_ids: Sequence[str], venue_order_id: str | None
    ) -> VenueOrder | None:
        """Return the order that one of the ids names, None where none does."""
        for client_order_id in client_order_ids:
            if client_order_id in self._by_client_id:
                return self._by_client_id[client_order_id]
        return self._by_venue_id.get(venue_order_id or "")

    def snapshot(self, order: VenueOrder) -> OrderReport:
        """Return *order* as it stands now, and why it ended where something was said of that."""
        return order.report(
            ExecType.ORDER_STATUS,
            ts_event=self._wire.moment(),
            reason=order.ended_reason,
            text=order.ended_text,
        )

    @property
    def next_ns(self) -> int:
        """When something happens next."""
        next_ns = self._wire.next_ns
        return NEVER_NS if next_ns is None else next_ns

    def positions(self) -> list[dict[str, Any]]:
        """Return `positions` as `truth` has them."""
        return positions_of(self.orders, self._cash, self.activities)

    def balances(self) -> list[dict[str, Any]]:
        """Return `balances` as `truth` has them."""
        return balances_of(self.orders, self._cash)

    def truth(self) -> dict[str, list[dict[str, Any]]]:
        """Return what `PaperExchange.truth` does, with `activities` and `balances`."""
        return truth_of(self.orders, self._cash, self.activities) | {
            "activities": [dict(to_row(each)) for each in self.activities],
            "balances": self.balances(),
        }

    @property
    def move_count(self) -> int:
        """How often what is held has changed."""
        return self._floor.move_count

    def sides(self, trade_id: str) -> list[tuple[VenueOrder, VenueFill]]:
        """Return the orders that a match filled, each with its fill."""
        return self._floor.trades.get(trade_id, [])

    # ---- what is kept

    def changes(self) -> tuple[VenueOrder, ...]:
        """Return the orders that something was told of since the last time."""
        touched = tuple(self._floor.touched.values())
        self._floor.touched.clear()
        return touched

    @property
    def counts(self) -> dict[str, int]:
        return dict(self._floor.counts)

    @property
    def last_px(self) -> dict[str, int]:
        """The last price of each instrument, in ticks."""
        return {each: book.last_px for each, book in self._floor.books.items()}

    def _adopt(self, account: Account) -> None:
        self._floor.counts.update(account.counts)
        self.executions = {number: list(told) for number, told in account.executions.items()}
        for order in account.orders:
            self._used_ids.update(order.client_order_ids)
            self._by_client_id.update(dict.fromkeys(order.client_order_ids, order))
            if order.venue_order_id is not None:
                self._by_venue_id[order.venue_order_id] = order
        for number, told in self.executions.items():
            for execution in told:  # an id that a replacement took away still names the order
                self._by_venue_id.setdefault(execution.venue_order_id or "", account.orders[number])
        self.activities = list(account.activities)
        for each in self.activities:
            if isinstance(each, SplitReport):
                ratio = Fraction(each.numerator) / Fraction(each.denominator)
                self._floor.note_split(each.instrument_id, ratio, each.ts_event or 0)
        for each in self.activities:
            if isinstance(each, TransferReport):
                self._move(each)
            elif isinstance(each, CashReport):
                self._count_cash(each)
        self._floor.adopt(account.orders)
        for order in account.orders:
            self._plan_expiry(order)
            if order.request is not None:
                answer = partial(self._answer_pending, order, order.request)
                self._wire.at(self.now_ns + _REQUEST_NS, answer)

    def _move(self, report: TransferReport) -> None:
        steps = self.listings[report.instrument_id].steps(report.transferred_qty) or 0
        self._floor.move(report.account_id, report.instrument_id, steps, report.ts_event or 0)

    def _note(self, message: VenueMessage) -> None:
        self._told.append(message)
        if isinstance(message, CashReport):
            self.activities.append(message)
        if isinstance(message, CommissionReport) or (
            isinstance(message, OrderReport) and message.exec_type in _EXECUTIONS
        ):
            order = self._by_venue_id[message.venue_order_id or ""]
            self.executions.setdefault(order.number, []).append(message)


def _as_it_was_left(listing: Listing, account: Account) -> Listing:
    last_px = account.last_px.get(listing.instrument_id)
    return listing if last_px is None else evolve(listing, start_px=listing.px(last_px))
