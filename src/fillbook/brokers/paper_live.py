"""Be a live broker with nothing to set up: the paper exchange, in this process or over HTTP.

In this process a thread lets the exchange keep the time of a real clock and passes the stream on;
what it is at any moment, and what goes wrong, is `SimulatedBroker`'s.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Protocol

from attrs import evolve, fields_dict

from fillbook.brokers.live import Capabilities, Listener, OrderRef
from fillbook.brokers.paper_faults import FaultPlan
from fillbook.brokers.paper_market import LISTINGS, Listing
from fillbook.brokers.paper_sim import (
    PAPER,
    LineChange,
    SimulatedBroker,
    is_declared,
    known_ids,
)
from fillbook.brokers.paper_wire import SECOND
from fillbook.brokers.port import Message
from fillbook.core.commands import CancelOrder, ReplaceOrder, SubmitOrder
from fillbook.core.values import Side

__all__ = ["PaperBroker", "Truth"]

Truth = dict[str, list[dict[str, Any]]]

_LONGEST_NAP_S = 0.05
_STOP_S = 5.0


class Way(Protocol):
    """How calls reach the exchange and the stream comes back."""

    def call(self, method: str, *args: Any) -> list[Message]: ...

    def connect(self, listener: Listener) -> None: ...

    def instruments(self) -> list[Message]: ...

    def truth(self) -> Truth: ...

    def have_done(self, deed: str, **told: Any) -> str | None: ...

    def settle(self) -> None: ...

    def close(self) -> None: ...


class PaperBroker:
    """The paper broker; see `live.Broker` for its calls.

    Attributes:
        capabilities: Everything there is, less what a test takes away.
    """

    def __init__(
        self,
        seed: int = 7,
        *,
        path: str | os.PathLike[str] | None = None,
        faults: FaultPlan | str | None = None,
        url: str | None = None,
        clock: Callable[[], int] = time.time_ns,
        without: Sequence[str] = (),
        capabilities: Capabilities = PAPER,
        listings: Sequence[Listing] = LISTINGS,
        pace_ns: int = SECOND,
        hang_s: float = 60.0,
    ) -> None:
        """Open the account.

        Args:
            path: The file in which the account is kept; None keeps it in memory, or beside the
                ledger of the robot that uses it (`keep_beside`).
            faults: What goes wrong, as `FaultPlan.parse` reads it.
            url: Of a paper server; then the account, its faults and its pace are the server's.
            clock: Nanoseconds since 1970.
            without: Names of capabilities that it does not declare.
            pace_ns: How long everybody else sits still, on average.
            hang_s: After how long a call that hangs raises `TimeoutError`, and over HTTP any call.
        """
        for name in without:
            assert name in fields_dict(Capabilities), f"{name} is no capability"
        taken_away: dict[str, Any] = dict.fromkeys(without, False)
        self._capabilities = evolve(capabilities, **taken_away)
        self._way: Way
        self._opened: Callable[[str | os.PathLike[str] | None], Way] | None = None
        if url is not None:
            from fillbook.brokers.paper_client import OverHttp

            assert path is None and faults is None, "path and faults are the server's"  # noqa: PT018
            self._way = OverHttp(url, timeout_s=hang_s)
        else:

            def opened(path: str | os.PathLike[str] | None) -> Way:
                exchange = SimulatedBroker(
                    seed,
                    faults,
                    clock(),
                    path=path,
                    listings=listings,
                    pace_ns=pace_ns,
                    capabilities=self._capabilities,
                )
                return InProcess(exchange, clock, hang_s)

            self._way = opened(path)
            if path is None:
                self._opened = opened

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def keep_beside(self, ledger: str) -> None:
        """Keep the account in `LEDGER.paper`, where nothing else was said and nothing traded yet.

        So the next run finds the account that its book remembers.
        """
        if self._opened is not None and not any(self.truth().values()):
            self._way.close()
            self._way = self._opened(f"{ledger}.paper")
            self._opened = None

    def connect(self, listener: Listener) -> None:
        """Begin to pass the stream on to *listener*, from a thread of its own."""
        if self._capabilities.has_stream:
            self._way.connect(listener)

    def close(self) -> None:
        """Stop the stream, fail the calls that hang and let go of the account's file."""
        self._way.close()

    def submit(self, order: SubmitOrder) -> Sequence[Message]:
        return self._call("submit", order)

    def cancel(self, request: CancelOrder, order: OrderRef) -> Sequence[Message]:
        return self._call("cancel", request, order)

    def replace(self, request: ReplaceOrder, order: OrderRef) -> Sequence[Message]:
        return self._call("replace", request, order)

    def look_up(self, order: OrderRef) -> Sequence[Message]:
        return self._call("look_up", known_ids(self._capabilities, order))

    def open_orders(self) -> Sequence[Message]:
        return self._call("open_orders")

    def fills_since(self, ts_event: int) -> Sequence[Message]:
        return self._call("fills_since", ts_event)

    def positions(self) -> Sequence[Message]:
        return self._call("positions")

    def activities_since(self, ts_event: int) -> Sequence[Message]:
        return self._call("activities_since", ts_event)

    def cash(self) -> Sequence[Message]:
        return self._call("cash")

    def _call(self, method: str, *args: Any) -> list[Message]:
        assert is_declared(self._capabilities, method), f"{method} is not declared"
        return self._way.call(method, *args)

    # ---- what only a paper broker can do

    def instruments(self) -> Sequence[Message]:
        """Return an `InstrumentReport` of each instrument; nothing goes wrong with it."""
        return self._way.instruments()

    def truth(self) -> Truth:
        """Return `orders`, `fills`, `positions`, `activities` and `balances` as they are."""
        return self._way.truth()

    def trade_by_hand(
        self, instrument_id: str, side: Side, qty: Decimal, *, is_told: bool = False
    ) -> str | None:
        """Trade on the account as somebody else would; see `SimulatedBroker.trade_by_hand`."""
        told: dict[str, Any] = {"side": side, "qty": qty, "is_told": is_told}
        return self._way.have_done("trade_by_hand", instrument_id=instrument_id, **told)

    def liquidate(self, instrument_id: str) -> str | None:
        """Let the broker close a position; see `SimulatedBroker.liquidate`."""
        return self._way.have_done("liquidate", instrument_id=instrument_id)

    def split(self, instrument_id: str, numerator: Decimal, denominator: Decimal) -> None:
        """Let *denominator* units become *numerator*; see `SimulatedBroker.split`."""
        told = {"numerator": numerator, "denominator": denominator}
        self._way.have_done("split", instrument_id=instrument_id, **told)

    def transfer(self, instrument_id: str, qty: Decimal, px: Decimal | None = None) -> str | None:
        """Move a position in or out without a trade; see `SimulatedBroker.transfer`."""
        return self._way.have_done("transfer", instrument_id=instrument_id, qty=qty, px=px)

    def settle(self) -> None:
        """Let nothing more go wrong from now on."""
        self._way.settle()


class InProcess:
    """The exchange in this process, one lock around it, and a thread that follows the clock."""

    def __init__(self, broker: SimulatedBroker, clock: Callable[[], int], hang_s: float) -> None:
        self._broker = broker
        self._clock = clock
        self._hang_s = hang_s
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def call(self, method: str, *args: Any) -> list[Message]:
        with self._lock:
            self._check_open()
            due_ns, outcome = self._broker.call(self._clock(), method, *args)
            if self._thread is None:
                self._broker.advance(self._broker.now_ns)  # nobody listens: let go of it
            now_ns = self._broker.now_ns  # the clock's, unless that was set back
            self._changed.notify_all()  # what the call set off may be due before the thread looks
        wait_s = self._hang_s if due_ns is None else (due_ns - now_ns) / SECOND
        if self._closing.wait(wait_s):
            raise ConnectionError("the broker was closed while the call was under way")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def connect(self, listener: Listener) -> None:
        with self._lock:
            self._check_open()
            assert self._thread is None, "it has a listener already"
            self._broker.advance(self._clock())  # what was told before is not this listener's
            is_up = self._broker.is_line_up
            self._thread = threading.Thread(
                target=self._follow, args=(listener, is_up), name="paper-stream", daemon=True
            )
            self._thread.start()

    def instruments(self) -> list[Message]:
        with self._lock:
            return self._broker.instruments()

    def truth(self) -> Truth:
        with self._lock:
            return self._broker.truth()

    def have_done(self, deed: str, **told: Any) -> str | None:
        with self._lock:
            self._check_open()
            self._broker.pass_time(self._clock())
            done: str | None = getattr(self._broker, deed)(**told)
            self._changed.notify_all()
        return done

    def settle(self) -> None:
        with self._lock:
            self._broker.settle()

    def close(self) -> None:
        self._closing.set()
        with self._lock:
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_S)
        with self._lock:
            self._broker.close()

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise ConnectionError("the broker is closed")

    def _follow(self, listener: Listener, is_up: bool) -> None:
        try:
            self._pass_on(listener, is_up)
        except BaseException as error:  # nobody waits for this thread: say that it is gone
            listener.line(False, f"the exchange stopped: {error}")
            raise

    def _pass_on(self, listener: Listener, is_up: bool) -> None:
        listener.line(is_up, "" if is_up else "the connection was lost")
        while not self._closing.is_set():
            with self._lock:
                events = self._broker.advance(self._clock())
            for _, event in events:
                if isinstance(event, LineChange):
                    listener.line(event.is_up, event.problem)
                else:
                    listener.hear(event)
            with self._lock:
                nap_s = (self._broker.next_ns - self._clock()) / SECOND
                if nap_s > 0 and not self._closing.is_set():
                    self._changed.wait(min(nap_s, _LONGEST_NAP_S))
