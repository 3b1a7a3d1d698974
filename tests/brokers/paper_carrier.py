"""Carry messages between a robot and the paper exchange, in the order in which the robot sees them.

Here is where the way can be bad: a report can be kept back, lost, doubled or changed before the
robot sees it.  It can never come earlier than the exchange delivers it.
"""

from collections.abc import Callable
from heapq import heappop, heappush

from attrs import evolve

from fillbook.brokers.paper import PaperExchange
from fillbook.brokers.paper_wire import VenueMessage
from fillbook.core.commands import Command
from fillbook.core.reports import CancelReject, OrderReport, Report

__all__ = ["Carrier", "Tamper", "delayed"]

Tamper = Callable[[VenueMessage], list[VenueMessage]]
"""What becomes of one message: usually itself; nothing, or several, or later, where it is bad."""


class Carrier:
    """The robot's clock, its agenda and its line.

    Attributes:
        messages: What the robot has sent and seen so far, in order.
        last_answers: The latest message seen under each client order id.
        on_seen: Called with each message that the robot sees.
    """

    def __init__(self, exchange: PaperExchange, *, ends_ns: int) -> None:
        self.exchange = exchange
        self.messages: list[Command | Report] = []
        self.last_answers: dict[str, OrderReport | CancelReject] = {}
        self.on_seen: Callable[[VenueMessage], None] = lambda message: None
        self._ends_ns = ends_ns
        self._agenda: list[tuple[int, int, Callable[[], object]]] = []
        self._under_way: list[tuple[int, int, VenueMessage]] = []
        self._count = 0
        self._tampers: dict[str, Tamper] = {}

    @property
    def now_ns(self) -> int:
        return self.exchange.now_ns

    def at(self, ns: int, action: Callable[[], object]) -> None:
        """Have *action* done at *ns*, or now if that is past."""
        self._count += 1
        heappush(self._agenda, (max(ns, self.now_ns), self._count, action))

    def after(self, wait_ns: int, action: Callable[[], object]) -> None:
        """Have *action* done in *wait_ns*."""
        self.at(self.now_ns + wait_ns, action)

    def send(self, command: Command) -> None:
        """Send *command* now."""
        command = evolve(command, ts_event=self.now_ns)
        self.messages.append(command)
        self.exchange.submit(command)

    def tamper(self, client_order_id: str, how: Tamper) -> None:
        """Let *how* say what becomes of every message that comes under *client_order_id*."""
        self._tampers[client_order_id] = how

    def run(self, to_ns: int) -> None:
        """Do what is on the agenda until *to_ns*, and let the robot see what arrives by then."""
        while self._agenda and self._agenda[0][0] <= to_ns:
            ns, _, action = heappop(self._agenda)
            self._pass_time(ns)
            action()
        self._pass_time(to_ns)

    def _pass_time(self, to_ns: int) -> None:
        for message in self.exchange.advance(to_ns):
            client_order_id = getattr(message, "client_order_id", None)
            how = self._tampers.get(client_order_id or "", _as_it_is)
            for each in how(message):
                self._put_under_way(each)
        while self._under_way and self._under_way[0][0] <= to_ns:
            self._see(heappop(self._under_way)[2])

    def _put_under_way(self, message: VenueMessage) -> None:
        assert message.ts_received is not None, "the exchange says when a message is delivered"
        if message.ts_received > self._ends_ns:
            message = evolve(message, ts_received=self._ends_ns)
        self._count += 1
        heappush(self._under_way, (message.ts_received or 0, self._count, message))

    def _see(self, message: VenueMessage) -> None:
        self.messages.append(message)
        if isinstance(message, OrderReport | CancelReject) and message.client_order_id is not None:
            self.last_answers[message.client_order_id] = message
        self.on_seen(message)


def delayed(message: VenueMessage, wait_ns: int) -> VenueMessage:
    """Return *message* as it comes *wait_ns* later."""
    assert message.ts_received is not None, "the exchange says when a message is delivered"
    return evolve(message, ts_received=message.ts_received + wait_ns)


def _as_it_is(message: VenueMessage) -> list[VenueMessage]:
    return [message]
