"""Send what the robot wants, and say what an answer, a refusal or a failure means for it.

An order is sent once.  A cancel is asked for until it is known to be over: where it is proven that
one was not heard, the next goes out under a new id.
"""

from contextlib import suppress
from decimal import Decimal

from fillbook.brokers.live import BrokerRefused, NotSent
from fillbook.brokers.port import Message
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.deciding_silence import decide_lost, decide_never_arrived
from fillbook.core.orders import Order, Request
from fillbook.core.reports import CancelReject, OrderReport
from fillbook.core.robot_events import OrderQueued, QueuedOrderDropped
from fillbook.core.values import ExecType, OrderStatus, Origin, Source
from fillbook.errors import StorageFailed
from fillbook.feedback.partial_fills import act_on_rest
from fillbook.feedback.safeguards import Safeguards
from fillbook.feedback.schedule import Call
from fillbook.feedback.watching import Watch, is_unanswered, ref_of, unanswered_requests
from fillbook.feedback.work import Work, storable

__all__ = ["OURS", "Requests"]

OURS = Source.INFERRED
"""The source of what we conclude ourselves."""

_MOST_CANCELS = 5


class Requests:
    """What one robot asks of its broker, and what becomes of it."""

    def __init__(self, work: Work, safeguards: Safeguards) -> None:
        self._work = work
        self._safeguards = safeguards

    # ---- sending

    def send(self, command: SubmitOrder, now: int) -> Order:
        """Record a new order and have it sent."""
        order = self._work.intend("order", command)
        self.send_recorded(order, command, now)
        return order

    def send_recorded(self, order: Order, command: SubmitOrder, now: int) -> None:
        """Have an order sent that is on record already."""
        work = self._work
        watch = work.watch(order, now)
        watch.ask_ns = now + work.settings.poll_ns
        call = Call("submit", command=command, order=ref_of(order), stream=order.stream)
        work.schedule.want(call)

    def replace(
        self,
        order: Order,
        now: int,
        order_qty: Decimal | None = None,
        limit_px: Decimal | None = None,
        stop_px: Decimal | None = None,
    ) -> None:
        """Record that we want other terms of *order*, and have that sent."""
        work = self._work
        ref = ref_of(order)
        command = ReplaceOrder(
            client_order_id=work.make_id(),
            orig_client_order_id=ref.client_order_id,
            order_qty=order_qty,
            limit_px=limit_px,
            stop_px=stop_px,
            ts_event=now,
        )
        order = work.intend("replace", command)
        watch = work.watch(order, now)
        watch.replace_ns = now
        watch.ask_ns = min(watch.ask_ns, now + work.settings.call_timeout_ns)
        work.schedule.want(Call("replace", command=command, order=ref, stream=order.stream))

    def ask_cancel(self, order: Order, watch: Watch, now: int) -> None:
        """Record that we want *order* canceled, and send that as soon as the order can be named."""
        work = self._work
        ref = ref_of(order)
        command = CancelOrder(
            client_order_id=work.make_id(), orig_client_order_id=ref.client_order_id, ts_event=now
        )
        order = work.intend("cancel", command)
        watch.is_cancel_wanted = True
        watch.cancel_count += 1
        if self._would_find(order):
            self._want_cancel(command, order, watch, now)
        else:
            watch.deferred = command

    def _would_find(self, order: Order) -> bool:
        """Tell whether a cancel would find *order*: it can be named, and is not overtaken."""
        work = self._work
        if is_unanswered(order) and work.schedule.is_wanted("submit", order.stream):
            return False
        return order.venue_order_id is not None or work.capabilities.can_look_up

    def is_cancel_asked(self, order: Order, watch: Watch) -> bool:
        """Tell whether a cancel is on the way, or will be sent again without being asked for."""
        return (
            watch.is_cancel_wanted
            and watch.cancel_count < _MOST_CANCELS
            and any(
                request.kind == "CANCEL" and not request.is_answered
                for request in order.requests.values()
            )
        )

    def _want_cancel(self, command: CancelOrder, order: Order, watch: Watch, now: int) -> None:
        watch.deferred, watch.cancel_ns = None, now
        self._work.schedule.want(
            Call("cancel", command=command, order=ref_of(order), stream=order.stream)
        )

    def cancel_again(self, order: Order, watch: Watch, now: int) -> None:
        """Send a cancel again where the last one is known not to have been heard."""
        work = self._work
        if order.standing.is_over():
            watch.is_cancel_wanted = False
            return
        if order.standing.pending or work.schedule.is_wanted("cancel", order.stream):
            return
        if watch.deferred is not None:
            if self._would_find(order):
                self._want_cancel(watch.deferred, order, watch, now)
            return
        unheard = [each for each in unanswered_requests(order) if each[1].kind == "CANCEL"]
        if not unheard:
            watch.is_cancel_wanted = False  # it was answered: no
            return
        if watch.cancel_count >= _MOST_CANCELS:
            reason = f"order {order.client_order_id} takes no cancel: {_MOST_CANCELS} went unheard"
            self._safeguards.halt(order.instrument_id, "CANCEL_UNHEARD", reason, now)
            return
        settled_ns = watch.cancel_ns + work.capabilities.settling_ns
        if is_unanswered(order) or watch.heard_ns < settled_ns:
            watch.ask_ns = min(watch.ask_ns, max(settled_ns, now + work.settings.ask_again_ns))
            return
        for request_id, request in unheard:
            reject = CancelReject(
                client_order_id=request_id,
                orig_client_order_id=request.orig_client_order_id,
                reason="NEVER_ARRIVED",
                text="the order was looked up later and is still open",
            )
            work.record(Message(0, "cancel_reject", reject, b""), Source.INFERRED, now)
        self.ask_cancel(work.book.order(order.stream), watch, now)

    def settle_replacements(self, order: Order, watch: Watch, now: int) -> None:
        """Say of a replacement that nobody answered whether it became real.

        After the settling time the order is as it is: with the terms that were asked for the
        replacement is real, with others it was not heard, and is not sent again.
        """
        work = self._work
        settled_ns = watch.replace_ns + work.capabilities.settling_ns
        if order.standing.pending or work.schedule.is_wanted("replace", order.stream):
            return
        if is_unanswered(order) or watch.heard_ns < settled_ns:
            return
        for request_id, request in unanswered_requests(order):
            if request.kind != "REPLACE":
                continue
            content: OrderReport | CancelReject
            if _has_terms(order, request):
                content = OrderReport(
                    client_order_id=request_id,
                    orig_client_order_id=request.orig_client_order_id,
                    exec_type=ExecType.REPLACED,
                    order_qty=request.order_qty,
                    limit_px=request.limit_px,
                    stop_px=request.stop_px,
                )
            else:
                content = CancelReject(
                    client_order_id=request_id,
                    orig_client_order_id=request.orig_client_order_id,
                    reason="NEVER_ARRIVED",
                    text="the order was looked up later and has other terms",
                )
            kind = "report" if isinstance(content, OrderReport) else "cancel_reject"
            work.record(Message(0, kind, content, b""), Source.INFERRED, now)

    # ---- what became of them

    def answered(self, call: Call, now: int) -> None:
        """Take the answer to an intent; what it said of the order is recorded already."""
        work = self._work
        order = work.order_of(call)
        if order is None:
            return
        if call.kind == "submit" and is_unanswered(order):
            problem = "the answer does not tell of the order"
            self.failed(call, ValueError(problem), problem, now)
        elif call.kind != "submit" and unanswered_requests(order):
            # Taken note of; the stream or a poll tells what came of it.
            work.watch(order, now).ask_ns = now + work.settings.ask_again_ns

    def failed(self, call: Call, error: BaseException, problem: str, now: int) -> None:
        """Take note that an intent has no answer: unless it never left, that proves nothing."""
        work = self._work
        order = work.order_of(call)
        if order is None:
            return
        watch = work.watch(order, now)
        if call.kind == "submit":
            watch.sent_ns = max(watch.sent_ns, call.started_ns)
            if isinstance(error, NotSent):
                events = decide_never_arrived(order, f"it was not sent: {problem}", now, OURS)
                work.note("never_arrived", order, events, now)
                return
            work.note("lost", order, decide_lost(order, problem, now, OURS), now)
            if not work.can_look_up(order) and not work.capabilities.has_open_orders:
                self._safeguards.halt(order.instrument_id, "UNKNOWN_ORDER",
                           f"order {order.client_order_id} has no answer ({problem}) and "
                           f"{work.capabilities.name} cannot be asked about it", now)  # fmt: skip
        watch.ask_ns = now + work.settings.ask_again_ns
        watch.wait_ns = work.settings.ask_again_ns

    def held_back(self, call: Call, why: str, now: int) -> None:
        """Record that what *call* would have sent never left, because of a halt."""
        work, command = self._work, call.command
        order = work.order_of(call)
        if order is None or command is None:
            return
        if isinstance(command, SubmitOrder):
            events = decide_never_arrived(order, f"it was not sent: {why}", now, OURS)
            work.note("never_arrived", order, events, now)
            return
        reject = CancelReject(
            client_order_id=command.client_order_id,
            orig_client_order_id=command.orig_client_order_id,
            reason="NEVER_ARRIVED",
            text=f"it was not sent: {why}",
        )
        work.record(Message(0, "cancel_reject", reject, b""), Source.INFERRED, now)

    def refused(self, call: Call, error: BrokerRefused, now: int) -> None:
        """Take the broker's no; that an id is taken is none, somebody has to look."""
        work = self._work
        order, command = work.order_of(call), call.command
        if order is None or command is None:
            return
        is_cancel = isinstance(command, CancelOrder)
        if is_cancel and error.reason == "UNKNOWN_ORDER" and is_unanswered(order):
            self.failed(call, error, str(error), now)  # it may have come before its order
        elif not isinstance(command, SubmitOrder):
            reject = CancelReject(
                client_order_id=command.client_order_id,
                orig_client_order_id=command.orig_client_order_id,
                reason=error.reason,
                text=error.text,
                ts_received=now,
            )
            work.record(Message(0, "cancel_reject", reject, error.raw), Source.POLL, now)
            work.watch(order, now).ask_ns = now
        elif error.reason == "DUPLICATE_ORDER":
            # Somebody has an order under this id: perhaps ours arrived before.  Look, do not guess.
            watch = work.watch(order, now)
            text = f"the broker knows this id already: {storable(error.text)}"
            work.note("lost", order, decide_lost(order, text, now, OURS), now)
            watch.ask_ns = now
        else:
            report = OrderReport(
                client_order_id=command.client_order_id,
                exec_type=ExecType.REJECTED,
                order_status=OrderStatus.REJECTED,
                reason=error.reason,
                text=error.text,
                ts_received=now,
            )
            work.record(Message(0, "report", report, error.raw), Source.POLL, now)

    # ---- policies and the queue

    def act_on_rest(self, order: Order, now: int) -> None:
        """Do once what the order's policy asks for about its rest."""
        work = self._work
        watch = work.watches.get(order.stream)
        if watch is None or order.origin is not Origin.ROBOT:
            return
        if order.standing.cum_qty:
            watch.filled_ns = watch.filled_ns or now
        act = act_on_rest(order, watch.filled_ns)
        if act is None or not work.schedule.is_open:
            return
        if act.at_ns > now:
            watch.ask_ns = min(watch.ask_ns, act.at_ns)
        elif act.kind == "CANCEL":
            self.ask_cancel(order, watch, now)
        elif work.capabilities.can_replace and work.keeper.storage_problem is None:
            with suppress(StorageFailed):  # the keeper has it; feedback must go on
                self.replace(order, now, limit_px=act.limit_px)

    def queue(self, command: SubmitOrder, now: int) -> None:
        """Record that *command* waits for the line."""
        work = self._work
        work.keeper.note_other(
            OrderQueued(
                ts_event=now,
                client_order_id=command.client_order_id,
                account_id=command.account_id,
                instrument_id=command.instrument_id,
                side=command.side,
                order_type=command.order_type,
                valid_until=now + work.settings.queue_ns,
                order_qty=command.order_qty,
                cash_order_qty=command.cash_order_qty,
                limit_px=command.limit_px,
                stop_px=command.stop_px,
                time_in_force=command.time_in_force,
                expire_time=command.expire_time,
                venue=command.venue,
                partial_fills=command.partial_fills,
            )
        )

    def expire_queued(self, now: int) -> None:
        """Drop what has waited for the line for too long."""
        for client_order_id, queued in list(self._work.book.control.queued.items()):
            if queued.valid_until <= now:
                self.drop_queued(client_order_id, "EXPIRED", "the line was down for too long", now)

    def drop_queued(self, client_order_id: str, reason: str, text: str | None, now: int) -> None:
        """Record that a queued order will not be sent."""
        self._work.keeper.note_other(
            QueuedOrderDropped(
                ts_event=now, client_order_id=client_order_id, reason=reason, text=text
            )
        )


def _has_terms(order: Order, request: Request) -> bool:
    """Tell whether *order* stands as *request* asked for."""
    return (
        request.order_qty in (None, order.standing.order_qty)
        and request.limit_px in (None, order.limit_px)
        and request.stop_px in (None, order.stop_px)
    )
