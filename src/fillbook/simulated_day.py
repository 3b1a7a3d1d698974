"""Live a robot's day in virtual time against a broker that lies, and compare with its truth.

The tracker is the very one that runs live; only time, the calls and the stream are played.
Everything is drawn from the seed: what the robot wants, what the market does, what goes wrong on
the way, when the robot is killed and comes back.  At the end nothing more goes wrong, the robot has
time to ask, and its book must be the broker's truth, every difference explained by events.
"""

from collections import Counter
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from attrs import define, field, frozen

from fillbook.brokers.live import Capabilities
from fillbook.brokers.paper_faults import FaultPlan
from fillbook.brokers.paper_market import LISTINGS, Listing
from fillbook.brokers.paper_sim import PAPER, LineChange, SimulatedBroker
from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.client_ids import client_order_id
from fillbook.core.commands import SubmitOrder
from fillbook.core.exact import EXACT
from fillbook.core.orders import Order
from fillbook.core.values import OrderStatus, Side, Source
from fillbook.errors import RequestRefused
from fillbook.feedback.keeper import Keeper
from fillbook.feedback.schedule import Call
from fillbook.feedback.settings import SECOND, Settings
from fillbook.feedback.tracker import Tracker
from fillbook.log.sqlite import SqliteLog
from fillbook.reconcile.choices import Choices
from fillbook.wiring import MEMORY, recover
from fillbook.wiring.reconciling import reconcile_task

__all__ = ["OPENS_NS", "Day", "SimulatedRobot", "Wishes", "differences", "live", "order_difference"]

OPENS_NS = 1_773_388_800 * SECOND  # 2026-03-13T08:00:00Z
_SETTLE_S = 120
_LAST_S = 1200
_TICK_NS = 1_000_000
_POLICIES = (None, None, None, None, "CANCEL_REST", "MINIMUM:5", "CANCEL_AFTER:20")
_WRONG = 0.04
_SETTINGS = Settings(most_rejects=None, most_unknown_ns=None)  # no operator is there to resume


@frozen(kw_only=True)
class Wishes:
    """What kind of day it is.

    Attributes:
        orders: How many orders the robot tries to send.
        minutes: How long it trades.
        most_crashes: How often it may be killed.
        capabilities: What the broker can do.
        settings: How the robot keeps its feedback.
        choices: How it compares its book with the broker.
    """

    orders: int = 40
    minutes: int = 20
    most_crashes: int = 2
    capabilities: Capabilities = PAPER
    settings: Settings = _SETTINGS
    choices: Choices = field(factory=Choices)


@define(eq=False)
class Day:
    """What came of a day.

    Attributes:
        problems: How the book differs from the truth at the end; empty where it does not.
        order_count: Orders that were sent.
        crash_count: How often the robot was killed.
        calls, events: How many of each kind.
        heard: Messages by what came of them.
    """

    seed: int
    plan: FaultPlan
    problems: list[str] = field(factory=list)
    order_count: int = 0
    crash_count: int = 0
    calls: Counter[str] = field(factory=Counter)
    events: Counter[str] = field(factory=Counter)
    heard: Counter[str] = field(factory=Counter)


def live(
    seed: int,
    plan: FaultPlan | None = None,
    wishes: Wishes | None = None,
    ledger: str = MEMORY,
    robot: str = "simulated",
) -> Day:
    """Live the day of *seed* on a new *ledger*; without a *plan* that is drawn too."""
    wishes = wishes or Wishes()
    day = Day(seed, FaultPlan.drawn(seed) if plan is None else plan)
    living = SimulatedRobot(day, wishes, ledger, robot)
    random = living.random
    span = wishes.minutes * 60
    agenda = sorted(
        [(random.uniform(1, span), "trade") for _ in range(wishes.orders)]
        + [(random.uniform(1, span), "change") for _ in range(wishes.orders // 2)]
        + [
            (random.uniform(1, span), "crash")
            for _ in range(random.randrange(wishes.most_crashes + 1))
        ]
    )
    try:
        living.begin()
        for seconds, what in agenda:
            living.live_until(OPENS_NS + int(seconds * SECOND))
            getattr(living, what)()
        living.live_until(OPENS_NS + span * SECOND)
        living.broker.settle()
        living.live_until(living.now + _SETTLE_S * SECOND)
        living.cancel_rest()
        living.live_until(living.now + _LAST_S * SECOND)
        living.end()
    finally:
        living.log.close()
        living.broker.close()
    return day


class SimulatedRobot:
    """One robot, its broker and its clock.

    Attributes:
        broker: The one that lies; its `truth()` does not.
        tracker: The loop of the robot as it lives now; a crash makes another one.
        now: ns since 1970, UTC.
    """

    def __init__(self, day: Day, wishes: Wishes, ledger: str, robot: str) -> None:
        self.day = day
        self.now = OPENS_NS
        self.random = Random(f"{day.seed}/robot")
        self.broker = SimulatedBroker(
            day.seed, day.plan, OPENS_NS, capabilities=wishes.capabilities, pace_ns=3 * SECOND
        )
        chance = Random(f"{day.seed}/log")
        self.log = SqliteLog.open(
            ledger,
            durability="none" if ledger == MEMORY else "strict",
            robot=robot,
            clock=lambda: self.now,
            mono=lambda: self.now,
            # What a log takes from chance is in the chain, and so in the ids: drawn from the seed
            # too, or a day could not be lived again.
            new_id=lambda: UUID(int=chance.getrandbits(128)),
            new_salt=chance.randbytes,
            boot=lambda: "simulated",
        )
        self._wishes = wishes
        self._under_way: list[tuple[int, int, Call, Any]] = []
        self._seq = self._call_count = 0
        self.wake()

    def wake(self) -> None:
        self.keeper = Keeper(self.log, lambda: recover(self.log), self._wishes.settings.fill_policy)
        self.tracker = Tracker(
            self.keeper,
            self._wishes.capabilities,
            self._wishes.settings,
            self._make_id,
            Random(f"{self.day.seed}/{self.day.crash_count}"),
        )
        self.tracker.task = reconcile_task(self.tracker, self._wishes.choices)

    def _make_id(self) -> str:
        head = self.log.head()
        self._seq = max(self._seq, head.seq) + 1
        form, run = self._wishes.capabilities.client_id_form, self.day.crash_count + 1
        return client_order_id(form, run, self._seq, head.event_hash)

    def begin(self) -> None:
        self.tracker.start(self.now)

    def end(self) -> None:
        self.tracker.stop(self.now, "the day is over")
        for listing in LISTINGS:
            mark = self.broker.market.mark(listing.instrument_id)
            self.keeper.hear(Message(0, "mark", mark, b""), Source.IMPORT)
        for record in self.log.records():
            self.day.events[record.type] += 1
        self.day.problems += differences(self.tracker.book, self.broker.truth())

    # ---- what happens to it

    def trade(self) -> None:
        """Send an order of some kind, now and then one that no exchange takes."""
        random = self.random
        listing = random.choice(LISTINGS)
        is_buy = random.random() < 0.5
        order_type = random.choice(["LIMIT", "LIMIT", "LIMIT", "MARKET"])
        order_qty = listing.qty(1 + random.randrange(listing.level_steps * 2))
        if random.random() < _WRONG:
            order_qty = EXACT.add(listing.max_order_qty, order_qty)
        command = SubmitOrder(
            client_order_id=self._make_id(),
            instrument_id=listing.instrument_id,
            side=self._side(listing, order_qty, is_buy=is_buy),
            order_type=order_type,
            order_qty=order_qty,
            limit_px=self._px(listing, is_buy=is_buy) if order_type == "LIMIT" else None,
            time_in_force=random.choice(["DAY", "GTC", "GTC", "IOC"]),
            partial_fills=random.choice(_POLICIES),
            ts_event=self.now,
        )
        try:
            self.tracker.intents.submit(command, self.now)
        except RequestRefused:
            return
        self.day.order_count += 1

    def _side(self, listing: Listing, order_qty: Decimal, *, is_buy: bool) -> Side:
        if is_buy:
            return Side.BUY
        held = self.broker.market.held_qty(listing.instrument_id)
        return Side.SELL_SHORT if listing.shorts and held < order_qty else Side.SELL

    def _px(self, listing: Listing, *, is_buy: bool) -> Decimal:
        """Return a price close to where the market is."""
        bid, ask = self.broker.market.quote(listing.instrument_id)
        near = (ask if is_buy else bid) or listing.start_px
        steps = EXACT.multiply(Decimal(self.random.randrange(-3, 4)), listing.px_step)
        return EXACT.add(near, steps)

    def change(self) -> None:
        """Cancel or replace something that is open."""
        open_orders = [each for each in self.tracker.book.open_orders() if each.asked is not None]
        if not open_orders:
            return
        order = self.random.choice(open_orders)
        try:
            if self.random.random() < 0.6 or order.limit_px is None:
                self.tracker.intents.cancel(order, self.now)
            else:
                step = self.broker.market.listings[order.instrument_id].px_step
                towards = EXACT.add if self.random.random() < 0.5 else EXACT.subtract
                self.tracker.intents.replace(
                    order, self.now, limit_px=towards(order.limit_px, step)
                )
        except RequestRefused:
            pass

    def crash(self) -> None:
        """Be killed, and come back up to a minute later; what was on the way is lost."""
        self.day.crash_count += 1
        self._under_way.clear()
        self.now += self.random.randrange(60) * SECOND
        self.broker.advance(self.now)  # nobody hears the stream
        self.wake()
        self.tracker.start(self.now)

    def cancel_rest(self) -> None:
        """Cancel what is still open."""
        for order in list(self.tracker.book.open_orders()):
            if order.asked is not None and not order.standing.is_over():
                self.tracker.intents.cancel(order, self.now)

    # ---- time

    def live_until(self, end: int) -> None:
        """Let time pass, from one thing that happens to the next."""
        while True:
            self._hand_over()
            self.tracker.tick(self.now)
            for call in self.tracker.start_calls(self.now):
                self.make_call(call)
            if self.now >= end:
                return
            moments = [end, self.broker.next_ns]
            due = self.tracker.due_ns(self.now)
            if due is not None:
                moments.append(due)
            moments += [entry[0] for entry in self._under_way]
            self.now = min(max(min(moments), self.now + _TICK_NS), end)

    def make_call(self, call: Call) -> None:
        self.day.calls[call.kind] += 1
        due_ns, outcome = self.broker.call(self.now, call.kind, *call.arguments())
        self._call_count += 1
        if due_ns is not None:  # else it hangs
            self._under_way.append((due_ns, self._call_count, call, outcome))

    def _hand_over(self) -> None:
        """Give the tracker what has arrived by now, in the order of arrival."""
        arrived: list[tuple[int, int, int, Any]] = [
            (ns, 0, number, each) for number, (ns, each) in enumerate(self.broker.advance(self.now))
        ]
        for entry in [entry for entry in self._under_way if entry[0] <= self.now]:
            self._under_way.remove(entry)
            arrived.append((entry[0], 1, entry[1], entry[2:]))
        for _, kind, _, what in sorted(arrived, key=lambda each: each[:3]):
            if kind == 0:
                self._hear(what)
            else:
                self.answer(*what)

    def _hear(self, what: Message | LineChange) -> None:
        if isinstance(what, LineChange):
            self.tracker.stream_line(what.is_up, what.problem, self.now)
        else:
            self.day.heard[self.tracker.hear(what, self.now).outcome] += 1

    def answer(self, call: Call, outcome: list[Message] | BaseException) -> None:
        if isinstance(outcome, BaseException):
            self.tracker.failed(call, outcome, self.now)
        else:
            self.tracker.answered(call, outcome, self.now)


def differences(book: Book, truth: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return how *book* differs from what is true at the broker, in words; empty where it agrees.

    Compared are every order's status and filled quantity, that none was sent twice, that none is
    left unknown, and every position's quantity.
    """
    sent = Counter(row["client_order_id"] for row in truth["orders"] if row["client_order_id"])
    problems = [f"order {each} is there {n} times" for each, n in sent.items() if n > 1]
    known: set[int] = set()
    for row in truth["orders"]:
        order = book.find_order(row["client_order_id"], row["venue_order_id"])
        if order is not None:
            known.add(order.stream)
        problem = order_difference(order, row)
        if problem is not None:
            problems.append(f"{row['client_order_id'] or row['venue_order_id']}: {problem}")
    for stream in book.open:
        order = book.order(stream)
        if stream not in known:
            problems.append(f"{order.client_order_id}: {order.order_status}, not at the broker")
        if order.order_status is OrderStatus.UNKNOWN:
            problems.append(f"{order.client_order_id}: still unknown")
    held = {
        (view.account_id, view.instrument_id): view.position_qty for view in book.position_views()
    }
    for row in truth["positions"]:
        ours = held.get((row["account_id"], row["instrument_id"]), Decimal(0))
        if ours != Decimal(row["position_qty"]):
            name = row["instrument_id"]
            problems.append(f"{name}: {ours} held, {row['position_qty']} at the broker")
    return problems


def order_difference(order: Order | None, row: dict[str, Any]) -> str | None:
    if order is None:  # one that was refused at the door has no id there, and none here
        return f"not in the book, {row['order_status']}" if row["venue_order_id"] else None
    if str(order.order_status) != row["order_status"]:
        return f"{order.order_status} in the book, {row['order_status']} at the broker"
    if order.standing.cum_qty != Decimal(row["cum_qty"]):
        return f"{order.standing.cum_qty} filled in the book, {row['cum_qty']} at the broker"
    return None
