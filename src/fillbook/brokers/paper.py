"""Run an exchange in miniature: commands go in, reports come out, each when it would arrive.

Everything is drawn from a seed and the clock is an argument, so the same seed and the same commands
give the same bytes.  The exchange keeps its own truth and answers for it; what can go wrong on the
way (a report lost, doubled, out of order) is not its business but that of whoever carries reports.

`paper_floor` says how orders are carried out.  Here, where venues differ: a replacement that only
takes quantity off keeps its place, any other goes to the back; a correction's fee is told after it.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

from attrs import evolve

from fillbook.brokers.paper_floor import Floor
from fillbook.brokers.paper_market import LISTINGS, Listing
from fillbook.brokers.paper_orders import (
    VenueOrder,
    objection_to,
    objection_to_terms,
    wanted_terms,
)
from fillbook.brokers.paper_truth import truth_of
from fillbook.brokers.paper_wire import MICROSECOND, SECOND, VenueMessage, Wire
from fillbook.core.commands import CancelOrder, Command, ReplaceOrder, SubmitOrder
from fillbook.core.exact import EXACT
from fillbook.core.reports import CancelReject, CashReport, MarkReport, OrderReport
from fillbook.core.values import ExecType, OrderStatus

__all__ = ["PaperExchange", "VenueMessage"]


class PaperExchange:
    """One trading session of the paper exchange.

    Attributes:
        listings: What is traded here, by `instrument_id`.
    """

    def __init__(
        self,
        seed: int,
        *,
        opens_ns: int,
        closes_ns: int,
        listings: Sequence[Listing] = LISTINGS,
        pace_ns: int = 30 * SECOND,
    ) -> None:
        """Open the session; *pace_ns* is how long everybody else sits still, on average."""
        assert opens_ns < closes_ns, "a session closes after it opens"
        self.listings = {listing.instrument_id: listing for listing in listings}
        self._random = Random(f"{seed}/venue")
        self._opens_ns, self._closes_ns = opens_ns, closes_ns
        self._wire = Wire(self._random, opens_ns)
        self._wire.at(closes_ns, self._close)
        self._floor = Floor(seed, self._wire, listings, closes_ns=closes_ns, pace_ns=pace_ns)
        self._by_client_id: dict[str, VenueOrder] = {}
        self._by_venue_id: dict[str, VenueOrder] = {}
        self._used_ids: set[str] = set()
        self._cash: dict[tuple[str, str], dict[str, Decimal]] = {}

    # ---- what a client does

    def submit(self, command: Command) -> None:
        """Send *command*, at its own `ts_event` or now; the answers come out of `advance`."""
        receive: Callable[[], object]
        if isinstance(command, SubmitOrder):
            receive = partial(self._receive, command, command.client_order_id)
        else:
            receive = partial(self._receive_request, command)
        self._wire.at(self._wire.arrival_ns(command.ts_event), receive)

    def poll(
        self, *, client_order_id: str | None = None, venue_order_id: str | None = None
    ) -> None:
        """Ask for the state of one order; the answer comes out of `advance` as a snapshot."""
        answer = partial(self._answer_poll, client_order_id, venue_order_id)
        self._wire.at(self._wire.arrival_ns(None), answer)

    def advance(self, to_ns: int) -> list[VenueMessage]:
        """Let time pass until *to_ns* and return what has been delivered by then, in order.

        A message's `ts_event` is when it happened here, `ts_received` when it is delivered.
        """
        return self._wire.run(to_ns)

    # ---- what anybody may look at

    @property
    def now_ns(self) -> int:
        """The exchange's clock; `advance` alone moves it."""
        return self._wire.now_ns

    @property
    def orders(self) -> list[VenueOrder]:
        """Every order that came in, refused ones included, in order of arrival.  Only to read."""
        return self._floor.orders

    def order(self, client_order_id: str) -> VenueOrder:
        """Return the order as it is here, under any id of its chain."""
        return self._by_client_id[client_order_id]

    def quote(self, instrument_id: str) -> tuple[Decimal | None, Decimal | None]:
        """Return the best bid and the best ask."""
        listing, book = self.listings[instrument_id], self._floor.books[instrument_id]
        bid, ask = book.best(is_buy=True), book.best(is_buy=False)
        return None if bid is None else listing.px(bid), None if ask is None else listing.px(ask)

    def held_qty(self, instrument_id: str, account_id: str = "default") -> Decimal:
        """Return what the account's fills add up to, signed; fees are not taken out.

        After a split that leaves a part of a step, to the nearest step.
        """
        steps = self._floor.held.get((account_id, instrument_id), 0)
        return self.listings[instrument_id].qty(round(steps))

    def mark(self, instrument_id: str) -> MarkReport:
        """Return the last price as of now."""
        px = self.listings[instrument_id].px(self._floor.books[instrument_id].last_px)
        return MarkReport(
            instrument_id=instrument_id, px=px, ts_event=self.now_ns, ts_received=self.now_ns
        )

    def truth(self) -> dict[str, list[dict[str, Any]]]:
        """Return `orders`, `fills` and `positions` as they are, as plain data.

        Amounts are decimal text.  A busted fill is gone, a corrected one stands as corrected.
        """
        return truth_of(self.orders, self._cash)

    # ---- what the exchange does of its own accord

    def enter_by_phone(self, command: SubmitOrder) -> VenueOrder:
        """Take an order that somebody else gives for the account; its reports name no client id."""
        return self._receive(command, None)

    def bust(self, trade_id: str) -> None:
        """Take a match back, on both sides; what it had filled is open again where that can be."""
        for order, fill in self._floor.trades[trade_id]:
            assert not fill.is_busted, f"{trade_id} was busted before"
            fill.is_busted = True
            self._floor.hold(order, -fill.steps, fill.ts_event)
            self._floor.tell(
                order,
                ExecType.TRADE_CANCEL,
                exec_ref_id=fill.exec_id,
                trade_id=trade_id,
                last_qty=Decimal(0),
                last_px=order.known_listing.px(fill.ticks),
            )
            self._floor.reopen(order)

    def correct(self, trade_id: str, *, last_qty: Decimal, last_px: Decimal) -> None:
        """Put another quantity and price in a match's place, on both sides."""
        for order, fill in self._floor.trades[trade_id]:
            listing = order.known_listing
            steps, ticks = listing.steps(last_qty) or 0, listing.ticks(last_px) or 0
            assert steps > 0 and ticks > 0, f"{last_qty} @ {last_px} is no trade"  # noqa: PT018
            assert not fill.is_busted, f"{trade_id} was busted before"
            self._floor.hold(order, steps - fill.steps, fill.ts_event)
            fee = listing.fee(steps, ticks, is_maker=fill.is_maker)
            exec_ref_id, prior_fee = fill.exec_id, fill.commission
            fill.exec_id = self._floor.next_id("E")
            fill.steps, fill.ticks, fill.commission = steps, ticks, fee
            self._floor.tell(
                order,
                ExecType.TRADE_CORRECT,
                exec_id=fill.exec_id,
                exec_ref_id=exec_ref_id,
                trade_id=trade_id,
                last_qty=last_qty,
                last_px=last_px,
            )
            if fee != prior_fee:
                self._send(order.fee_report(fill))
            self._floor.reopen(order)

    def fill_late(self, order: VenueOrder, qty: Decimal) -> bool:
        """Report a fill that was matched elsewhere just before the order was canceled.

        False, and nothing happens, where the order was not canceled with that much open.
        """
        steps, ticks = order.known_listing.steps(qty), order.limit_ticks
        if order.ended is not OrderStatus.CANCELED or not steps or ticks is None:
            return False
        if order.cum + steps > order.size:
            return False
        just_before_ns = order.ended_ns - MICROSECOND // 2
        self._floor.fill(
            order, self._floor.next_id("T"), steps, ticks, is_maker=True, ts_event=just_before_ns
        )
        return True

    def overfill(self, order: VenueOrder, qty: Decimal) -> bool:
        """Match *qty* more than was ordered; False, and nothing happens, where it is not full."""
        steps = order.known_listing.steps(qty)
        if not order.is_full or not steps:
            return False
        ticks = order.standing[-1].ticks
        self._floor.fill(order, self._floor.next_id("T"), steps, ticks, is_maker=False)
        return True

    def fund(self, instrument_id: str, rate: Decimal) -> int:
        """Move funding at *rate* of each position's value; return how many holders there were."""
        listing, last_px = self.listings[instrument_id], self._floor.books[instrument_id].last_px
        currency = listing.settlement_currency
        count = 0
        for key, steps in sorted(self._floor.held.items()):
            amount = listing.funding(steps, last_px, rate)
            if key[1] != instrument_id or not amount:
                continue
            report = CashReport(
                instrument_id=instrument_id,
                amount=amount,
                currency=currency,
                reason="FUNDING",
                account_id=key[0],
            )
            self._count_cash(report)
            self._send(report)
            count += 1
        return count

    def _count_cash(self, report: CashReport) -> None:
        amounts = self._cash.setdefault((report.account_id, report.instrument_id), {})
        held = amounts.get(report.currency, Decimal(0))
        amounts[report.currency] = EXACT.add(held, report.amount)

    # ---- orders

    def _receive(self, command: SubmitOrder, client_order_id: str | None) -> VenueOrder:
        order = VenueOrder(
            number=len(self.orders),
            listing=self.listings.get(command.instrument_id),
            client_order_ids=[client_order_id] if client_order_id else [],
            account_id=command.account_id,
            instrument_id=command.instrument_id,
            side=command.side,
            order_type=command.order_type,
            time_in_force=command.time_in_force or "DAY",
            order_qty=command.order_qty,
            limit_px=command.limit_px,
            stop_px=command.stop_px,
            expire_time=command.expire_time,
        )
        if client_order_id in self._used_ids:
            text = f"{client_order_id} was used before"
            self._floor.end(order, OrderStatus.REJECTED, reason="DUPLICATE_ORDER", text=text)
            return order
        self.orders.append(order)
        if client_order_id is not None:
            self._used_ids.add(client_order_id)
            self._by_client_id[client_order_id] = order
        objection: tuple[str, str] | None = ("EXCHANGE_CLOSED", "the session is over")
        if self._opens_ns <= self.now_ns < self._closes_ns:
            objection = objection_to(order, self.now_ns)
        if objection is not None:
            reason, text = objection
            self._floor.end(order, OrderStatus.REJECTED, reason=reason, text=text)
            return order
        self._number(order)
        if not self._random.randrange(8):
            self._floor.tell(order, ExecType.PENDING_NEW)
        order.is_accepted = True
        self._floor.tell(order, ExecType.NEW)
        self._floor.enter(order)
        self._plan_expiry(order)
        return order

    def _plan_expiry(self, order: VenueOrder) -> None:
        if order.time_in_force == "GTD" and not order.is_closed:
            assert order.expire_time is not None, "a GTD order without its end is refused"
            self._wire.at(max(order.expire_time, self.now_ns), partial(self._expire, order))

    def _expire(self, order: VenueOrder) -> None:
        if not order.is_closed:
            self._floor.end(order, OrderStatus.EXPIRED, text="its time is over")

    def _number(self, order: VenueOrder) -> None:
        order.venue_order_id = self._floor.next_id("V")
        self._by_venue_id[order.venue_order_id] = order

    # ---- requests

    def _receive_request(self, command: CancelOrder | ReplaceOrder) -> None:
        """Refuse a cancel or replacement, grant it, or acknowledge it and answer later."""
        order = self._by_client_id.get(command.orig_client_order_id)
        request_id = command.client_order_id
        if request_id in self._used_ids:
            text = f"{request_id} was used before"
            self._refuse(command, order, "DUPLICATE_CLIENT_ORDER_ID", text)
            return
        self._used_ids.add(request_id)
        if order is None:
            text = f"no order {command.orig_client_order_id} here"
            self._refuse(command, None, "UNKNOWN_ORDER", text)
        elif order.request is not None and not order.is_closed:
            text = f"{order.request.client_order_id} is not answered yet"
            self._refuse(command, order, "ALREADY_PENDING", text)
        elif self._refusal(order, command) is not None or self._random.randrange(3):
            self._answer(order, command)
        else:
            order.request = command
            is_cancel = isinstance(command, CancelOrder)
            self._floor.tell(
                order,
                ExecType.PENDING_CANCEL if is_cancel else ExecType.PENDING_REPLACE,
                client_order_id=request_id,
                orig_client_order_id=order.client_order_id,
            )
            delay_ns = (20 + self._random.randrange(480)) * 1_000 * MICROSECOND
            self._wire.at(self.now_ns + delay_ns, partial(self._answer_pending, order, command))

    def _answer_pending(self, order: VenueOrder, command: CancelOrder | ReplaceOrder) -> None:
        if order.request is command:
            order.request = None
            self._answer(order, command)

    def _answer(self, order: VenueOrder, command: CancelOrder | ReplaceOrder) -> None:
        refusal = self._refusal(order, command)
        if refusal is not None:
            self._refuse(command, order, *refusal)
        elif isinstance(command, ReplaceOrder):
            self._replace(order, command)
        else:
            self._floor.end(
                order,
                OrderStatus.CANCELED,
                client_order_id=command.client_order_id,
                orig_client_order_id=order.client_order_id,
            )

    def _refusal(
        self, order: VenueOrder, command: CancelOrder | ReplaceOrder
    ) -> tuple[str, str] | None:
        """Return why the request cannot be granted, as (reason, text); None where it can."""
        if order.is_closed:
            return "TOO_LATE_TO_CANCEL", f"the order is {order.order_status}"
        if isinstance(command, CancelOrder):
            return None
        wanted = wanted_terms(order, command)
        objection = objection_to_terms(order.known_listing, order.order_type, **wanted)
        if objection is not None:
            return "OTHER", objection[1]
        steps = order.known_listing.steps(wanted["order_qty"] or Decimal(0))
        if steps is None or steps <= order.cum:
            return "OTHER", "so much has been filled already"
        return None

    def _replace(self, order: VenueOrder, command: ReplaceOrder) -> None:
        orig_client_order_id, prior = order.client_order_id, (order.size, order.limit_px)
        wanted = wanted_terms(order, command)
        order.order_qty, order.limit_px = wanted["order_qty"], wanted["limit_px"]
        order.stop_px = wanted["stop_px"]
        order.client_order_ids.append(command.client_order_id)
        self._by_client_id[command.client_order_id] = order
        if order.known_listing.renumbers:
            self._number(order)
        self._floor.tell(order, ExecType.REPLACED, orig_client_order_id=orig_client_order_id)
        keeps_place = order.size <= prior[0] and order.limit_px == prior[1]
        self._floor.change(order, keeps_place=keeps_place)

    def _refuse(
        self,
        command: CancelOrder | ReplaceOrder,
        order: VenueOrder | None,
        reason: str,
        text: str,
    ) -> None:
        self._send(
            CancelReject(
                client_order_id=command.client_order_id,
                orig_client_order_id=command.orig_client_order_id,
                venue_order_id=order.venue_order_id if order else None,
                order_status=order.order_status if order else OrderStatus.REJECTED,
                reason=reason,
                text=text,
            )
        )

    def _answer_poll(self, client_order_id: str | None, venue_order_id: str | None) -> None:
        order = self._by_client_id.get(client_order_id or "")
        order = order or self._by_venue_id.get(venue_order_id or "")
        if order is not None:
            self._floor.tell(order, ExecType.ORDER_STATUS)
            return
        self._send(
            OrderReport(
                client_order_id=client_order_id,
                venue_order_id=venue_order_id,
                exec_type=ExecType.ORDER_STATUS,
                order_status=OrderStatus.REJECTED,
                reason="UNKNOWN_ORDER",
                text="no such order here",
            )
        )

    def _close(self) -> None:
        """Answer what is pending, and let everything that was for the day expire."""
        for order in self.orders:
            if order.request is not None:
                self._answer_pending(order, order.request)
        for order in self.orders:
            if not order.is_closed and order.time_in_force == "DAY":
                self._floor.end(order, OrderStatus.EXPIRED, text="the session is over")

    def _send(self, message: VenueMessage) -> None:
        ts_event = self._wire.moment()
        ts_received = self._wire.delivery_ns(ts_event)
        self._wire.send(evolve(message, ts_event=ts_event, ts_received=ts_received))
