"""Carry one decision: the order as it was, the standing as it becomes, the events on the way.

Nothing outside is touched: the order is read, its standing is copied, and what this decision adds
(fills, ids, inferred quantity) is kept here until the fold takes it from the events.
"""

from decimal import Decimal
from typing import Any

from fillbook.core.events import OrderDisputed, OrderEvent
from fillbook.core.exact import EXACT
from fillbook.core.orders import Fill, Inferred, Order
from fillbook.core.policies import FillPolicy
from fillbook.core.reports import OrderReport
from fillbook.core.values import Flag, Source

__all__ = ["Draft"]


class Draft:
    """One decision about one order.

    Attributes:
        order: As the book holds it; never changed here.
        now: The standing, with everything decided so far applied.
        events: What was decided so far, in append order.
        fills: Fills changed or made by this decision, by `fill_no`.
        inferred: What still stands inferred.
        ts_fact: Time of the last fill, bust or correction known, this decision's own included.
    """

    __slots__ = (
        "events",
        "fill_ids",
        "fills",
        "inferred",
        "new_client_id",
        "new_venue_id",
        "next_fill_no",
        "now",
        "order",
        "policy",
        "report",
        "request_id",
        "source",
        "ts_event",
        "ts_fact",
        "ts_received",
        "was_over",
    )

    def __init__(
        self, order: Order, report: OrderReport | None, policy: FillPolicy, source: Source
    ) -> None:
        self.order = order
        self.report = report
        self.policy = policy
        self.source = source
        self.now = order.standing.copy()
        self.events: list[OrderEvent] = []
        self.fills: dict[int, Fill] = {}
        self.fill_ids: dict[str, int] = {}
        self.inferred: list[Inferred] = order.inferred
        self.next_fill_no = len(order.fills) + 1
        self.was_over = self.now.is_over()
        self.request_id: str | None = None
        self.new_client_id: str | None = None
        self.new_venue_id: str | None = None
        self.ts_event: int | None = None
        self.ts_fact = order.ts_fact
        self.ts_received: int | None = None
        if report is not None:
            self.ts_event = report.ts_event
            self.ts_received = report.ts_received

    def emit(self, kind: type[OrderEvent], flags: tuple[str, ...] = (), **fields: Any) -> None:
        """Append an event; `now` must already be what it leads to."""
        order, now = self.order, self.now
        if "ts_event" not in fields:
            fields["ts_event"] = self.ts_event
        if "exec_id" not in fields:
            fields["exec_id"] = self.report.exec_id if self.report is not None else None
        if "request_id" not in fields:
            fields["request_id"] = self.request_id
        self.events.append(
            kind(
                account_id=order.account_id,
                instrument_id=order.instrument_id,
                side=order.side,
                client_order_id=order.client_order_id or self.new_client_id,
                venue_order_id=self.new_venue_id or order.venue_order_id,
                order_status=now.status(),
                order_qty=now.order_qty,
                cum_qty=now.cum_qty,
                leaves_qty=now.leaves_qty(),
                avg_px=now.avg_px(),
                flags=flags,
                source=self.source,
                ts_received=self.ts_received,
                **fields,
            )
        )

    def dispute(self, why: str, claim: str, held: str) -> None:
        """Record a contradiction, unless the very same one is on record."""
        if (why, claim, held) not in self.order.disputes:
            self.emit(OrderDisputed, (Flag.CONFLICT,), why=why, claim=claim, held=held)

    # ---- fills, with those of this decision over those of the order

    def fill(self, fill_no: int) -> Fill:
        """Return the fill as it stands in this decision."""
        return self.fills.get(fill_no) or self.order.fills[fill_no]

    def find_fill(self, *ids: str | None) -> Fill | None:
        """Return the fill that one of these trade or execution ids names."""
        for fill_id in ids:
            if fill_id is None:
                continue
            fill_no = self.fill_ids.get(fill_id) or self.order.fill_ids.get(fill_id)
            if fill_no is not None:
                return self.fill(fill_no)
        return None

    def cum_qty_at(self, ts: int | None) -> Decimal:
        """Return what was filled by *ts*, this decision's own fills included."""
        ts_fact = self.ts_fact
        if ts is None or ts_fact is None or ts >= ts_fact:
            return self.now.cum_qty
        total = self.true_qty_at(ts)
        for part in self.inferred:
            if part.ts is None or part.ts <= ts:
                total = EXACT.add(total, part.qty)
        return total

    def counted_by(self, claimed: Decimal, ts: int | None) -> tuple[Decimal, Decimal | None]:
        """Return what a claim of *claimed*, made at *ts*, counts of the fills we know.

        That is every fill that had happened by then, and every one that a total of so much must
        include: two clocks may disagree.  The second figure is quantity times price, None where a
        price is unknown.
        """
        ts_fact = self.ts_fact
        if ts is None or ts_fact is None or ts >= ts_fact:
            return self.now.cum_qty, None if self.now.unpriced_qty else self.now.notional
        qty, notional = Decimal(0), Decimal(0)
        is_priced = True
        for fill_no in self.order.fills.keys() | self.fills.keys():
            fill = self.fill(fill_no)
            part = fill.qty if fill.is_inferred else fill.qty_at(ts)
            if fill.ts is not None and fill.ts > ts:
                part = fill.qty if fill.counted <= claimed else Decimal(0)
            if part:
                qty = EXACT.add(qty, part)
                if fill.px is None:
                    is_priced = False
                else:
                    notional = EXACT.add(notional, EXACT.multiply(part, fill.px))
        return qty, notional if is_priced else None

    def is_late(self, ts: int | None) -> bool:
        """Tell whether *ts* is before the last fill, bust or correction that we know."""
        ts_fact = self.ts_fact
        return ts is not None and ts_fact is not None and ts < ts_fact

    def true_qty_at(self, ts: int | None) -> Decimal:
        """Return the same, of true fills only."""
        total = Decimal(0)
        for fill_no, fill in self.order.fills.items():
            fill = self.fills.get(fill_no, fill)
            if not fill.is_inferred:
                total = EXACT.add(total, fill.qty if ts is None else fill.qty_at(ts))
        for fill_no, fill in self.fills.items():
            if fill_no not in self.order.fills and not fill.is_inferred:
                total = EXACT.add(total, fill.qty if ts is None else fill.qty_at(ts))
        return total
