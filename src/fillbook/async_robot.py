"""The same robot for an asyncio program: the verbs awaited, events as an async iterator.

The feedback loop itself keeps to its own threads, so a program that blocks its event loop blocks
no fill; what is awaited here waits in a thread and never in the loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from fillbook.core.events import Event
from fillbook.core.holdings import PositionView
from fillbook.feedback.keeper import News
from fillbook.new_order import Amount, NewOrder
from fillbook.order_handle import OrderHandle
from fillbook.robot import Robot

__all__ = ["AsyncOrder", "AsyncRobot"]

_LONGEST_WAIT_S = 1.0
"""Trouble is no event: somebody has to look."""


class AsyncOrder:
    """One order; its figures are those of `OrderHandle`."""

    def __init__(self, robot: "AsyncRobot", handle: OrderHandle) -> None:
        self.handle = handle
        self._robot = robot

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handle, name)

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing of it is open; False where that took longer than *timeout_s*."""
        return await self._robot.wait_until(lambda: self.handle.is_closed, timeout_s)

    async def cancel(self) -> None:
        """See `Robot.cancel`."""
        await self._robot.cancel(self)


class AsyncRobot:
    """One robot on one ledger; made by `await AsyncRobot.open(…)`, ended by `async with`."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot
        self._waiting: set[Callable[[], None]] = set()
        robot._runner.when_told("waiting", self._wake_all)

    def _wake_all(self, _: object) -> None:
        for wake in list(self._waiting):
            wake()

    @classmethod
    async def open(cls, ledger: str, **options: Any) -> "AsyncRobot":
        """See `Robot.open`; callbacks are called on a thread of the robot's, not in the loop."""
        return cls(await asyncio.to_thread(partial(Robot.open, ledger, **options)))

    async def __aenter__(self) -> "AsyncRobot":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, reason: str = "the program ended", drain_s: float = 10) -> None:
        """See `Robot.close`."""
        await asyncio.to_thread(self.robot.close, reason, drain_s)

    async def submit(self, order: NewOrder) -> AsyncOrder:
        """See `Robot.submit`."""
        return AsyncOrder(self, await asyncio.to_thread(self.robot.submit, order))

    async def cancel(self, order: AsyncOrder) -> None:
        """See `Robot.cancel`."""
        await asyncio.to_thread(self.robot.cancel, order.handle)

    async def replace(self, order: AsyncOrder, **terms: Amount) -> None:
        """See `Robot.replace`."""
        await asyncio.to_thread(partial(self.robot.replace, order.handle, **terms))

    async def cancel_all(self, instrument_id: str | None = None) -> int:
        """See `Robot.cancel_all`."""
        return await asyncio.to_thread(self.robot.cancel_all, instrument_id)

    async def halt(self, reason: str, instrument_id: str | None = None, **more: str) -> None:
        """See `Robot.halt`."""
        await asyncio.to_thread(partial(self.robot.halt, reason, instrument_id, **more))

    async def resume(self, reason: str, instrument_id: str | None = None, *, by: str) -> None:
        """See `Robot.resume`."""
        await asyncio.to_thread(partial(self.robot.resume, reason, instrument_id, by=by))

    async def position(
        self, instrument_id: str, account_id: str | None = None
    ) -> PositionView | None:
        """See `Robot.position`."""
        return await asyncio.to_thread(self.robot.position, instrument_id, account_id)

    async def positions(self) -> list[PositionView]:
        """See `Robot.positions`."""
        return await asyncio.to_thread(self.robot.positions)

    async def reconcile(self, **options: Any) -> dict[str, Any]:
        """See `Robot.reconcile`."""
        return await asyncio.to_thread(partial(self.robot.reconcile, **options))

    async def summary(self) -> dict[str, Any]:
        """See `Robot.summary`."""
        return await asyncio.to_thread(self.robot.summary)

    async def wait_until(self, is_so: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Wait until *is_so*, asked after every event; False where *timeout_s* passed first."""
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop may be closed meanwhile
                loop.call_soon_threadsafe(changed.set)

        self._waiting.add(wake)
        try:
            async with asyncio.timeout(timeout_s):
                while not await asyncio.to_thread(is_so):
                    self.robot._must_live()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LONGEST_WAIT_S):
                            await changed.wait()
                    changed.clear()
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(wake)
        return True

    async def events(self) -> AsyncIterator[Event]:
        """Yield every event of the ledger from now on, until the robot is closed.

        Raises what stopped it where it was not closed.
        """
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[Event] = asyncio.Queue()

        def tell(news: News) -> None:
            with suppress(RuntimeError):  # the loop may be closed meanwhile
                loop.call_soon_threadsafe(heard.put_nowait, news.event)

        runner = self.robot._runner
        runner.when_told("events", tell)
        try:
            while True:
                try:
                    async with asyncio.timeout(_LONGEST_WAIT_S):
                        event = await heard.get()
                except TimeoutError:
                    if runner.trouble is not None:
                        raise runner.trouble from None
                    if runner.is_over:
                        return
                    continue
                yield event
                if event.type == "robot.stopped":
                    return
        finally:
            runner.tell_no_more(tell)
