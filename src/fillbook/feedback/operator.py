"""Do what an operator asks of a robot: halt, resume, cancel all, resolve, adjust, tell how it is.

One place, whether the robot runs or not.  With a tracker the operator's word is acted on at once;
without one it is put on record, and the robot acts on it when it starts.  Every act is an event
with who and why.  Whoever calls holds the robot's lock, or is the ledger's only writer.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fillbook.brokers.port import Message
from fillbook.core.commands import CancelOrder
from fillbook.core.deciding_silence import decide_identified, decide_never_arrived
from fillbook.core.exact import plain
from fillbook.core.operator_events import CancelAllRequested, OrderResolved, PositionAdjusted
from fillbook.core.orders import Order
from fillbook.core.robot_events import HaltDeclared, HaltLifted, QueuedOrderDropped
from fillbook.core.values import Source
from fillbook.errors import BadRequest, OperatorRefused, RequestRefused
from fillbook.feedback.keeper import Keeper
from fillbook.feedback.summary import halts, summary, summary_at_rest
from fillbook.feedback.tracker import Tracker
from fillbook.feedback.watching import is_unanswered, ref_of, unanswered_requests

__all__ = ["LEVELS", "Operator"]

LEVELS = ("HALTED", "REDUCE_ONLY")


class Operator:
    """What an operator may do, on one ledger.

    Every method returns what it did as plain data; `OperatorRefused` changed nothing.

    Args:
        make_id: Makes the client order ids of cancels that are recorded without a robot.
        tracker: The robot's, where it runs.
        trouble: Tells what stopped the robot for good.
    """

    def __init__(
        self,
        keeper: Keeper,
        make_id: Callable[[], str],
        tracker: Tracker | None = None,
        trouble: Callable[[], BaseException | None] = lambda: None,
    ) -> None:
        self.keeper = keeper
        self._make_id = make_id
        self._tracker = tracker
        self._trouble = trouble

    # ---- halts

    def halt(
        self,
        now: int,
        by: str,
        reason: str,
        instrument_id: str | None = None,
        level: str = "HALTED",
    ) -> dict[str, Any]:
        """Let nothing new out, or with level `REDUCE_ONLY` only what takes a position down."""
        if level not in LEVELS:
            raise OperatorRefused(f"level {level!r} is none of {', '.join(LEVELS)}")
        event = HaltDeclared(
            ts_event=now, level=level, cause="OPERATOR", by=by, reason=reason,
            instrument_id=instrument_id,
        )  # fmt: skip
        self.keeper.note_other(event, "OPERATOR")
        return self._halts()

    def resume(
        self, now: int, by: str, reason: str, instrument_id: str | None = None
    ) -> dict[str, Any]:
        """Lift the halt of *instrument_id*, or the one of everything; nothing else ever does."""
        held = self.keeper.book.control.halts
        if (instrument_id or "") not in held:
            where = instrument_id or "everything"
            others = ", ".join(sorted(key or "everything" for key in held))
            raise OperatorRefused(
                f"{where} is not halted", f"halted: {others}" if others else "nothing is"
            )
        event = HaltLifted(ts_event=now, by=by, reason=reason, instrument_id=instrument_id)
        self.keeper.note_other(event, "OPERATOR")
        return self._halts()

    def _halts(self) -> dict[str, Any]:
        return {"halts": halts(self.keeper.book), "head_seq": self.keeper.book.seq}

    # ---- orders

    def cancel_all(
        self, now: int, by: str, reason: str, instrument_id: str | None = None
    ) -> dict[str, Any]:
        """Have every open order canceled, and take back those that wait for the line.

        Without a robot the requests are recorded; it sends them when it starts.
        """
        book = self.keeper.book
        wanted = [
            order
            for order in book.open_orders()
            if instrument_id in (None, order.instrument_id) and not order.standing.is_over()
        ]
        queued = [
            client_order_id
            for client_order_id, event in book.control.queued.items()
            if instrument_id in (None, event.instrument_id)
        ]
        asked: list[str] = []
        refused: list[dict[str, str]] = []
        if wanted or queued:
            self.keeper.note_other(
                CancelAllRequested(
                    ts_event=now, by=by, reason=reason, instrument_id=instrument_id,
                    order_count=len(wanted) + len(queued),
                ),
                "OPERATOR",
            )  # fmt: skip
        for order in wanted:
            name = order.client_order_id or order.venue_order_id or f"stream {order.stream}"
            try:
                self._cancel(order, now)
            except RequestRefused as exc:  # one order must not keep the others
                refused.append({"order": name, "problem": str(exc)})
            else:
                asked.append(name)
        for client_order_id in queued:
            dropped = QueuedOrderDropped(
                ts_event=now, client_order_id=client_order_id, reason="CANCELED", text=reason
            )
            self.keeper.note_other(dropped, "OPERATOR")
        return {
            "cancels_asked": asked,
            "not_canceled": refused,
            "taken_from_queue": queued,
            "is_sent_at_next_start": self._tracker is None and bool(asked),
            "head_seq": self.keeper.book.seq,
        }

    def _cancel(self, order: Order, now: int) -> None:
        if self._tracker is not None:
            self._tracker.intents.cancel(order, now)
            return
        if any(request.kind == "CANCEL" for _, request in unanswered_requests(order)):
            return  # the robot asks for it again by itself
        if order.client_order_id is None:
            raise BadRequest("it is somebody else's, without a client order id")
        command = CancelOrder(
            client_order_id=self._make_id(),
            orig_client_order_id=ref_of(order).client_order_id,
            ts_event=now,
        )
        self.keeper.intend(Message(0, "cancel", command, b""), "OPERATOR")

    def resolve(
        self,
        now: int,
        by: str,
        reason: str,
        client_order_id: str,
        venue_order_id: str | None = None,
        never_arrived: bool = False,
    ) -> dict[str, Any]:
        """Say what became of an order that nobody can tell of: the venue's id, or that it has none.

        With its id it is asked about from then on; without it ends as `REJECTED`, and a report
        that shows it after all is believed.
        """
        if (venue_order_id is None) is not never_arrived:
            raise OperatorRefused("say either its venue_order_id or that it never arrived")
        order = self._unanswered(client_order_id)
        verdict = "NEVER_ARRIVED" if venue_order_id is None else "IDENTIFIED"
        cause = OrderResolved(
            ts_event=now, client_order_id=client_order_id, verdict=verdict, by=by, reason=reason,
            venue_order_id=venue_order_id,
        )  # fmt: skip
        if venue_order_id is None:
            evidence = f"{by} looked: {reason}"
            events = decide_never_arrived(order, evidence, now, Source.OPERATOR)
        else:
            self._must_be_free(order, venue_order_id)
            events = decide_identified(order, venue_order_id, now)
        judgement = self.keeper.note("resolve", order, events, "OPERATOR", cause)
        if self._tracker is not None:
            self._tracker.noted(judgement, now)
        assert judgement.order is not None
        halt = self.keeper.book.control.halt_of(order.instrument_id)
        return {
            "client_order_id": client_order_id,
            "verdict": verdict,
            "order_status": str(judgement.order.order_status),
            "venue_order_id": judgement.order.venue_order_id,
            "still_halted": None if halt is None else halt.instrument_id or "everything",
            "head_seq": self.keeper.book.seq,
        }

    def _unanswered(self, client_order_id: str) -> Order:
        """Return the order of that id, which nothing may be known of."""
        order = self.keeper.book.find_order(client_order_id, None)
        if order is None:
            raise OperatorRefused(f"there is no order {client_order_id!r} in this ledger")
        if not is_unanswered(order):
            known = f" as {order.venue_order_id}" if order.venue_order_id else ""
            raise OperatorRefused(
                f"order {client_order_id} is {order.order_status}, and the venue told of it{known}",
                "only an order that nobody ever answered for needs to be resolved",
            )
        if self._tracker is not None and self._tracker.schedule.is_wanted("submit", order.stream):
            raise OperatorRefused(
                f"order {client_order_id} is being sent at this moment", "wait for its answer"
            )
        return order

    def _must_be_free(self, order: Order, venue_order_id: str) -> None:
        """Raise where the venue's id is on record as another order's: one of the two is wrong."""

        def is_alike(other: Order) -> bool:
            return (other.account_id, other.instrument_id) == (
                order.account_id, order.instrument_id,
            )  # fmt: skip

        other = self.keeper.book.find_order(None, venue_order_id, fits=is_alike)
        if other is not None and other is not order:
            raise OperatorRefused(
                f"{venue_order_id} is on record as the order "
                f"{other.client_order_id or 'of somebody else'}, which is {other.order_status}",
                "two orders cannot be the same one at the venue: look again",
            )

    # ---- positions

    def adjust(
        self,
        now: int,
        by: str,
        reason: str,
        instrument_id: str,
        qty: Decimal,
        px: Decimal | None = None,
        account_id: str = "default",
    ) -> dict[str, Any]:
        """Add the signed *qty* to a position without a trade; its opposite takes it back.

        It moves at the position's average and realizes nothing; *px* (quote per base unit) is the
        price of what it opens.
        """
        if not qty:
            raise OperatorRefused("a quantity of 0 adjusts nothing")
        before = self._position(account_id, instrument_id)
        self.keeper.adjust(
            PositionAdjusted(
                ts_event=now, account_id=account_id, instrument_id=instrument_id, adjusted_qty=qty,
                px=px, by=by, reason=reason,
            ),
            "OPERATOR",
        )  # fmt: skip
        after = self._position(account_id, instrument_id)
        assert after is not None
        return {
            "account_id": account_id,
            "instrument_id": instrument_id,
            "adjusted_qty": plain(qty),
            "position_qty_before": "0" if before is None else before["position_qty"],
            "position": after,
            "head_seq": self.keeper.book.seq,
        }

    def _position(self, account_id: str, instrument_id: str) -> dict[str, Any] | None:
        for view in self.keeper.book.position_views():
            if (view.account_id, view.instrument_id) == (account_id, instrument_id):
                return view.as_json()
        return None

    # ---- how it stands

    def status(self, now: int) -> dict[str, Any]:
        """Return how the robot stands, as plain data."""
        if self._tracker is None:
            return summary_at_rest(self.keeper.book)
        return summary(self._tracker, self._trouble(), now)
