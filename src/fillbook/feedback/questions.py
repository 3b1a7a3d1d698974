"""Ask about orders until evidence comes, and say when "not found" is evidence.

One answer that knows nothing of an order proves nothing: the broker may need a while to know it.
Only after its settling time, several times, and over everything that can be asked for does an order
count as one that never arrived.
"""

from fillbook.core.deciding_silence import decide_never_arrived
from fillbook.core.orders import Order
from fillbook.feedback.requests import OURS, Requests
from fillbook.feedback.schedule import Call, Kind
from fillbook.feedback.watching import Watch, is_unanswered, ref_of, unanswered_requests
from fillbook.feedback.work import Work

__all__ = ["Questions"]

_BEFORE_NS = 3600 * 1_000_000_000
_OVERLAP_NS = 300 * 1_000_000_000
"""Fills are asked for from so long before the last moment at which all were known: after a time
without the broker, and while all is well."""


class Questions:
    """What is asked, when, and what the answers tell.

    Attributes:
        poll_ns: When all open orders are to be asked about next.
    """

    def __init__(self, work: Work, requests: Requests) -> None:
        self._work = work
        self._requests = requests
        self._fills_known_ns = 0
        self.poll_ns = 0

    # ---- one order

    def ask(self, watch: Watch, now: int) -> None:
        """Ask about one order, or, where it cannot be asked about alone, for all."""
        work = self._work
        order = work.book.order(watch.stream)
        if order.is_closed:
            work.watches.pop(watch.stream, None)
            return
        if not work.line.is_up:
            return
        watch.ask_later(now, work.settings.most_wait_ns)
        if work.can_look_up(order):
            if not work.schedule.is_wanted("look_up", watch.stream):
                work.schedule.want(Call("look_up", order=ref_of(order), stream=watch.stream))
        elif is_unanswered(order):
            self.ask_scope(order, watch, now)
        self._requests.settle_replacements(order, watch, now)
        if watch.is_cancel_wanted:
            self._requests.cancel_again(order, watch, now)

    def looked_up(self, call: Call, is_found: bool, now: int) -> None:
        """Take the answer to a look-up: whether the broker knows the order."""
        work = self._work
        order = work.order_of(call)
        if order is None or order.stream not in work.watches:
            return
        watch = work.watches[order.stream]
        if is_found:
            self._requests.settle_replacements(order, watch, now)
            if watch.is_cancel_wanted:
                self._requests.cancel_again(order, watch, now)
            return
        if not is_unanswered(order) or not self._tells(call, order, watch):
            settled_ns = watch.sent_ns + work.capabilities.settling_ns
            watch.ask_ns = min(watch.ask_ns, max(now + watch.wait_ns, settled_ns))
            return
        if not watch.misses:
            watch.first_miss_ns = now
        watch.misses += 1
        if watch.misses >= work.settings.misses:
            self.ask_scope(order, watch, now)

    def listed(self, call: Call, found: set[int], now: int) -> None:
        """Take what a list of orders or fills did not have."""
        work = self._work
        if call.kind == "fills_since":
            self._fills_known_ns = max(self._fills_known_ns, call.started_ns)
        for watch in list(work.watches.values()):
            order = work.book.order(watch.stream)
            if watch.stream in found or watch.heard_ns >= call.started_ns:
                continue
            if is_unanswered(order):
                if self._tells(call, order, watch):
                    watch.scope.add(call.kind)
                    if watch.misses >= self._misses_wanted(order):
                        self.ask_scope(order, watch, now)
            elif call.kind == "open_orders" and not order.is_closed and order.venue_order_id:
                watch.ask_ns = min(watch.ask_ns, now)  # not among the open ones: what became of it?

    def _tells(self, call: Call, order: Order, watch: Watch) -> bool:
        """Tell whether *call* not finding *order* says anything: it had left, long enough ago."""
        work = self._work
        settled_ns = watch.sent_ns + work.capabilities.settling_ns
        return call.started_ns >= settled_ns and not work.schedule.is_wanted("submit", order.stream)

    def _misses_wanted(self, order: Order) -> int:
        work = self._work
        return work.settings.misses if work.can_look_up(order) else 0

    def ask_scope(self, order: Order, watch: Watch, now: int) -> None:
        """Ask everything else that could show the order; when all is in vain, it never arrived."""
        work = self._work
        kinds: tuple[tuple[Kind, bool], ...] = (
            ("open_orders", work.capabilities.has_open_orders),
            ("fills_since", work.capabilities.has_fills_since),
        )
        left = [kind for kind, has in kinds if has and kind not in watch.scope]
        asked = [kind for kind, has in kinds if has]
        if left:
            for kind in left:
                if not work.schedule.is_wanted(kind):
                    since = max(watch.since_ns - 60_000_000_000, 0)
                    work.schedule.want(Call(kind, since=since))
            return
        if not work.can_look_up(order) and not asked:
            return
        how = [f"{watch.misses} look-ups"] if watch.misses else []
        evidence = (
            f"{' and '.join([*how, *asked])} between {work.capabilities.settling_ns / 1e9:g} s and "
            f"{(now - watch.since_ns) / 1e9:.0f} s after it was sent did not find it"
        )
        events = decide_never_arrived(order, evidence, now, OURS)
        work.note("never_arrived", order, events, now)

    # ---- everything the account tells

    def poll(self, now: int) -> None:
        """Ask for all open orders in one call, and for the fills, where the broker has that.

        Fills are asked for whatever is open: a bust, or a fill that the stream did not tell, may
        concern an order that was closed long ago.
        """
        work = self._work
        if now < self.poll_ns:
            return
        self.poll_ns = now + work.interval_ns(now)
        if work.capabilities.has_open_orders and work.watches:
            self._want_once(Call("open_orders"))
        if work.capabilities.has_fills_since:
            self._want_once(Call("fills_since", since=max(self._fills_since_ns(_OVERLAP_NS), 0)))

    def _want_once(self, call: Call) -> None:
        if not self._work.schedule.is_wanted(call.kind):
            self._work.schedule.want(call)

    def catch_up(self, purpose: str) -> list[Call]:
        """Ask what became of everything that is open or unanswered; return the questions."""
        work = self._work
        calls: list[Call] = []
        if purpose and work.capabilities.has_instruments:
            calls.append(Call("instruments", purpose=purpose))
        for watch in list(work.watches.values()):
            order = work.book.order(watch.stream)
            needs = is_unanswered(order) or bool(unanswered_requests(order))
            if work.can_look_up(order) and (needs or not work.capabilities.has_open_orders):
                call = Call("look_up", order=ref_of(order), stream=watch.stream, purpose=purpose)
                calls.append(call)
        if work.capabilities.has_open_orders:
            calls.append(Call("open_orders", purpose=purpose))
        if work.capabilities.has_fills_since:
            calls.append(
                Call("fills_since", since=max(self._fills_since_ns(_BEFORE_NS), 0), purpose=purpose)
            )
        for call in calls:
            if purpose or not work.schedule.is_waiting(call):
                work.schedule.want(call)
        return calls

    def _fills_since_ns(self, before_ns: int) -> int:
        """Return from when on fills may be missing, *before_ns* to be safe."""
        return max(self._work.keeper.head_ns, self._fills_known_ns) - before_ns
