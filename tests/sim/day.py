"""Live a robot's day in virtual time against a broker that lies, and compare with its truth.

Everything is drawn from the seed: what the robot wants, what the market does, what goes wrong on
the way, when the robot is killed and comes back.  At the end nothing more goes wrong, the robot has
time to ask, and its book must be the broker's truth, every difference explained by events.
"""

from collections import Counter
from decimal import Decimal
from random import Random
from typing import Any

from attrs import define, field

from fillbook.brokers.live import Capabilities
from fillbook.brokers.paper_faults import FaultPlan
from fillbook.brokers.paper_market import LISTINGS
from fillbook.brokers.paper_sim import PAPER, LineChange, SimulatedBroker
from fillbook.brokers.port import Message
from fillbook.core.client_ids import client_order_id
from fillbook.core.commands import SubmitOrder
from fillbook.core.values import OrderStatus, Side, Source
from fillbook.errors import RequestRefused
from fillbook.feedback.keeper import Keeper
from fillbook.feedback.schedule import Call
from fillbook.feedback.settings import SECOND, Settings
from fillbook.feedback.tracker import Tracker
from fillbook.log.sqlite import SqliteLog
from fillbook.wiring import LogHistory
from fillbook.core.book import Book

__all__ = ["Day", "live"]

OPENS_NS = 1_768_000_000 * SECOND
_POLICIES = (None, None, None, None, "CANCEL_REST", "MINIMUM:5", "CANCEL_AFTER:20")


@define(eq=False)
class Day:
    """One day.

    Attributes:
        problems: How the book differs from the truth at the end; empty where it does not.
    """

    seed: int
    plan: FaultPlan
    problems: list[str] = field(factory=list)
    order_count: int = 0
    crash_count: int = 0
    call_counts: Counter[str] = field(factory=Counter)
    event_counts: Counter[str] = field(factory=Counter)


def live(
    seed: int,
    *,
    plan: FaultPlan | None = None,
    orders: int = 40,
    minutes: int = 20,
    capabilities: Capabilities = PAPER,
    crashes: int = 2,
) -> Day:
    """Live the day of *seed* and return what came of it."""
    plan = FaultPlan.drawn(seed) if plan is None else plan
    day = Day(seed, plan)
    robot = _Robot(day, capabilities)
    random = robot.random
    span = minutes * 60
    agenda = sorted(
        [(random.uniform(1, span), "trade") for _ in range(orders)]
        + [(random.uniform(1, span), "change") for _ in range(orders // 2)]
        + [(random.uniform(1, span), "crash") for _ in range(random.randrange(crashes + 1))]
    )
    robot.start()
    for seconds, what in agenda:
        robot.live_until(OPENS_NS + int(seconds * SECOND))
        getattr(robot, what)()
    robot.live_until(OPENS_NS + span * SECOND)
    robot.broker.settle()
    robot.live_until(robot.now + 120 * SECOND)
    robot.cancel_rest()
    robot.live_until(robot.now + 1200 * SECOND)
    robot.finish()
    return day


class _Robot:
    def __init__(self, day: Day, capabilities: Capabilities) -> None:
        self.day = day
        self.now = OPENS_NS
        self.random = Random(f"{day.seed}/robot")
        self.broker = SimulatedBroker(
            day.seed, day.plan, OPENS_NS, capabilities=capabilities, pace_ns=3 * SECOND
        )
        self.exchange = self.broker._desk.exchange  # the market, as any robot sees it
        self.log = SqliteLog.open(
            ":memory:", durability="none", clock=lambda: self.now, mono=lambda: self.now
        )
        self.under_way: list[tuple[int, int, Call, Any]] = []
        self.hanging: list[Call] = []
        self._seq = 0
        self._call_count = 0
        self._capabilities = capabilities
        self._wake()

    def _wake(self) -> None:
        self.keeper = Keeper(self.log, self._fold, Settings().fill_policy)
        self.tracker = Tracker(
            self.keeper, self._capabilities, _SETTINGS, self._make_id,
            Random(f"{self.day.seed}/{self.day.crash_count}"),
        )  # fmt: skip

    def _fold(self) -> Book:
        book = Book(LogHistory(self.log))
        for record in self.log.records():
            book.apply(record)
        return book

    def _make_id(self) -> str:
        head = self.log.head()
        self._seq = max(self._seq, head.seq) + 1
        return client_order_id(
            self._capabilities.client_id_form, self.day.crash_count + 1, self._seq, head.event_hash
        )

    def start(self) -> None:
        for listing in LISTINGS:
            message = Message(0, "instrument", listing.described(self.now), b"")
            self.keeper.hear(message, Source.IMPORT)
        self.tracker.start(self.now)

    # ---- what happens to it

    def trade(self) -> None:
        """Send an order of some kind."""
        random = self.random
        listing = random.choice(LISTINGS)
        bid, ask = self.exchange.quote(listing.instrument_id)
        is_buy = random.random() < 0.5
        order_type = random.choice(["LIMIT", "LIMIT", "LIMIT", "MARKET"])
        near = (ask if is_buy else bid) or listing.start_px
        shift = random.randrange(-3, 4) * listing.px_step
        held = self.exchange.held_qty(listing.instrument_id)
        side = Side.BUY if is_buy else Side.SELL
        steps = 1 + random.randrange(listing.level_steps * 2)
        if not is_buy and listing.shorts and held < listing.qty(steps):
            side = Side.SELL_SHORT
        command = SubmitOrder(
            client_order_id=self._make_id(),
            instrument_id=listing.instrument_id,
            side=side,
            order_type=order_type,
            order_qty=listing.qty(steps),
            limit_px=near + shift if order_type == "LIMIT" else None,
            time_in_force=random.choice(["DAY", "GTC", "GTC", "IOC"]),
            partial_fills=random.choice(_POLICIES),
            ts_event=self.now,
        )
        try:
            self.tracker.submit(command, self.now)
        except RequestRefused:
            return
        self.day.order_count += 1

    def change(self) -> None:
        """Cancel or replace something."""
        open_orders = [o for o in self.tracker.book.open_orders() if o.asked is not None]
        if not open_orders:
            return
        order = self.random.choice(open_orders)
        try:
            if self.random.random() < 0.6 or order.limit_px is None:
                self.tracker.cancel(order, self.now)
            else:
                listing = self.exchange.listings[order.instrument_id]
                px = order.limit_px + self.random.choice([-1, 1]) * listing.px_step
                self.tracker.replace(order, self.now, limit_px=px)
        except RequestRefused:
            pass

    def crash(self) -> None:
        """Be killed, and come back a little later; answers on the way are lost."""
        self.day.crash_count += 1
        self.under_way.clear()
        self.hanging.clear()
        self.now += self.random.randrange(60) * SECOND
        self.broker.advance(self.now)  # nobody hears the stream
        self._wake()
        self.tracker.start(self.now)

    def cancel_rest(self) -> None:
        for order in list(self.tracker.book.open_orders()):
            if order.asked is not None and not order.standing.is_over():
                self.tracker.cancel(order, self.now)

    # ---- time

    def live_until(self, end: int) -> None:
        while True:
            self._hand_over()
            self.tracker.tick(self.now)
            for call in self.tracker.start_calls(self.now):
                self._make(call)
            if self.now >= end:
                return
            due = self.tracker.due_ns(self.now)
            moments = [end, self.broker.next_ns]
            if due is not None:
                moments.append(due)
            if self.under_way:
                moments.append(min(entry[0] for entry in self.under_way))
            self.now = min(max(min(moments), self.now + 1_000_000), end)

    def _make(self, call: Call) -> None:
        self.day.call_counts[call.kind] += 1
        arguments: dict[str, tuple[Any, ...]] = {
            "submit": (call.command,),
            "cancel": (call.command, call.order),
            "replace": (call.command, call.order),
            "look_up": (call.order,),
            "open_orders": (),
            "fills_since": (call.since,),
            "positions": (),
        }
        due, outcome = self.broker.call(self.now, call.kind, *arguments[call.kind])
        self._call_count += 1
        if due is None:
            self.hanging.append(call)
        else:
            self.under_way.append((due, self._call_count, call, outcome))

    def _hand_over(self) -> None:
        """Give the tracker what has arrived by now, in the order of arrival."""
        arrived = [
            (ns, 0, number, each) for number, (ns, each) in enumerate(self.broker.advance(self.now))
        ]
        for entry in [entry for entry in self.under_way if entry[0] <= self.now]:
            self.under_way.remove(entry)
            arrived.append((entry[0], 1, entry[1], entry[2:]))
        for _, kind, _, what in sorted(arrived, key=lambda each: each[:3]):
            if kind == 0:
                if isinstance(what, LineChange):
                    self.tracker.stream_line(what.is_up, what.problem, self.now)
                else:
                    self.tracker.hear(what, self.now)
            else:
                call, outcome = what
                if isinstance(outcome, BaseException):
                    self.tracker.failed(call, outcome, self.now)
                else:
                    self.tracker.answered(call, outcome, self.now)

    # ---- the truth

    def finish(self) -> None:
        self.tracker.stop(self.now, "the day is over")
        for record in self.log.records():
            self.day.event_counts[record.type] += 1
        truth = self.broker.truth()
        self.day.problems += _differences(self.tracker.book, truth)


_SETTINGS = Settings(most_rejects=None, most_unknown_ns=None)


def _differences(book: Book, truth: dict[str, list[dict[str, Any]]]) -> list[str]:
    problems = []
    sent = Counter(row["client_order_id"] for row in truth["orders"] if row["client_order_id"])
    problems += [f"order {each} was sent {n} times" for each, n in sent.items() if n > 1]
    known: set[int] = set()
    for row in truth["orders"]:
        order = book.find_order(row["client_order_id"], row["venue_order_id"])
        name = row["client_order_id"] or row["venue_order_id"]
        if order is None:
            if row["venue_order_id"] is not None:
                problems.append(f"{name}: not in the book, {row['order_status']} at the broker")
            continue
        known.add(order.stream)
        ours = (str(order.order_status), str(order.standing.cum_qty.normalize()))
        theirs = (row["order_status"], str(Decimal(row["cum_qty"]).normalize()))
        if ours != theirs:
            problems.append(f"{name}: {ours} in the book, {theirs} at the broker")
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
        key = (row["account_id"], row["instrument_id"])
        ours_qty = held.get(key, Decimal(0))
        if ours_qty != Decimal(row["position_qty"]):
            problems.append(f"{key[1]}: {ours_qty} held, {row['position_qty']} at the broker")
    return problems
