"""Play a robot's seeded day against the paper exchange, with everything that goes wrong on one.

The messages are those that the robot's process sends and sees, in that order: commands before their
reports, reports late or twice or never where the day says so.  Same seed, same bytes.
"""

from collections.abc import Iterator
from functools import partial
from random import Random

from attrs import frozen

from brokers.paper_carrier import Carrier
from brokers.paper_scenes import Occurrence, Scenes, Trouble
from brokers.paper_trader import MINUTE, Trader, between
from fillbook.brokers.paper import PaperExchange
from fillbook.brokers.paper_wire import MICROSECOND, SECOND
from fillbook.core.commands import Command
from fillbook.core.reports import Report

__all__ = ["CLOSES_NS", "ENDS_NS", "OPENS_NS", "Day", "play_day", "trading_day"]

OPENS_NS = 1_773_385_200 * SECOND
"""2026-03-13, 10:00 in Moscow."""

CLOSES_NS = OPENS_NS + 520 * MINUTE - 20 * SECOND
ENDS_NS = OPENS_NS + 520 * MINUTE - SECOND
"""Trading stops 20 s before 18:40 in Moscow, and the day's last message is there 1 s before it."""

_FIRST_NS = OPENS_NS + MINUTE
_LAST_NS = OPENS_NS + 495 * MINUTE
_MAKE_UP_MINUTES = 16
_FEWEST_ORDERS = 20


@frozen
class Day:
    """A day that was played.

    Attributes:
        messages: What the robot sent and saw, in order.
        exchange: The exchange as the day left it, for its truth.
        occurrences: What was odd about the day, in order.  Where a fill was lost for good
            (`LOST_FILL`), the robot has no way to know its fee.
    """

    seed: int
    messages: tuple[Command | Report, ...]
    exchange: PaperExchange
    occurrences: tuple[Occurrence, ...]


def trading_day(seed: int, order_count: int = 300) -> Iterator[Command | Report]:
    """Yield the messages of `play_day`."""
    yield from play_day(seed, order_count).messages


def play_day(seed: int, order_count: int = 300) -> Day:
    """Return the day of *seed*, with *order_count* orders of the robot, at least 20.

    Every trouble comes about at least once, and again for every further 300 orders.  For one that
    has not by the evening, the robot sends an order more.
    """
    assert order_count >= _FEWEST_ORDERS, f"{order_count} orders are too few for every trouble"
    exchange = PaperExchange(seed, opens_ns=OPENS_NS, closes_ns=CLOSES_NS)
    carrier = Carrier(exchange, ends_ns=ENDS_NS)
    trader = Trader(seed, carrier)
    scenes = Scenes(seed, carrier, trader, closes_ns=CLOSES_NS)
    carrier.messages += [listing.described(OPENS_NS) for listing in exchange.listings.values()]
    plan = _plan(Random(f"{seed}/plan"), order_count)
    for place, ns in enumerate(_times(Random(f"{seed}/clock"), order_count)):
        carrier.at(ns, partial(_take_turn, scenes, trader, plan.get(place)))
    for minute in range(1, _MAKE_UP_MINUTES):
        carrier.at(_LAST_NS + minute * MINUTE, partial(_make_up, scenes))
    carrier.at(CLOSES_NS - 10 * SECOND, trader.poll_open)
    carrier.run(ENDS_NS)
    carrier.messages += [exchange.mark(instrument_id) for instrument_id in exchange.listings]
    return Day(seed, tuple(carrier.messages), exchange, tuple(scenes.occurrences))


def _plan(random: Random, order_count: int) -> dict[int, Trouble]:
    """Return which of the day's orders are sent for a trouble, spread evenly over the day."""
    troubles = [each for each in Trouble for _ in range(max(order_count // 300, 1))]
    random.shuffle(troubles)
    room = order_count // len(troubles)
    return {
        place * room + random.randrange(room): trouble for place, trouble in enumerate(troubles)
    }


def _times(random: Random, order_count: int) -> Iterator[int]:
    """Yield when each order is sent: at some moment of its even share of the day."""
    share_ns = (_LAST_NS - _FIRST_NS) // order_count
    for place in range(order_count):
        begins_ns = _FIRST_NS + place * share_ns // MICROSECOND * MICROSECOND
        yield between(random, begins_ns, begins_ns + share_ns)


def _take_turn(scenes: Scenes, trader: Trader, trouble: Trouble | None) -> None:
    """Send one order: for the trouble that is planned, else for one to be played again."""
    sent_count = len(trader.orders)
    if trouble is None and scenes.again:
        trouble = scenes.again.pop(0)
    if trouble is not None:
        scenes.play(trouble)
    if len(trader.orders) == sent_count:
        trader.act()


def _make_up(scenes: Scenes) -> None:
    again, scenes.again = scenes.again, []
    for trouble in again:
        scenes.play(trouble)
