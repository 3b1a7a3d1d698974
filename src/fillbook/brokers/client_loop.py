"""Call a client's methods, whether they answer at once or are coroutines.

A plain method runs in the caller's thread.  A coroutine runs on one event loop that belongs to the
client alone and lives in a daemon thread, so that sessions and locks it makes stay on one loop
whoever calls, and nothing that the robot's own loop does can wait for it.
"""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from fillbook.brokers.live import NotSent

__all__ = ["ClientLoop"]

_STOP_S = 5.0
"""How long what is under way may take to notice that the loop ends."""


class ClientLoop:
    """Where one client's coroutines run; the thread begins with the first of them.

    Args:
        timeout_s: After so long a coroutine is canceled, so that no caller waits for ever.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def call(self, method: Callable[..., Any], *args: object) -> Any:
        """Return what *method* answers; its errors come as they are.

        Raises `NotSent` after `close`, `TimeoutError` where a coroutine takes too long, and
        `ConnectionAbortedError` where `close` interrupted it.
        """
        if self._is_closed:
            raise NotSent("the broker is closed")
        if inspect.iscoroutinefunction(method):
            return self._wait(_outcome(lambda: method(*args)))
        answer = method(*args)
        return self._wait(_outcome(lambda: answer)) if inspect.isawaitable(answer) else answer

    def close(self, last: Callable[[], Awaitable[object]] | None = None) -> None:
        """Cancel what is under way, await *last* on the loop, and end its thread."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(_end(last), loop).result(2 * _STOP_S)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_STOP_S)

    def _wait(self, coroutine: Any) -> Any:
        try:
            future: Future[tuple[Any, Exception | None]] = asyncio.run_coroutine_threadsafe(
                coroutine, self._running()
            )
        except NotSent:
            coroutine.close()
            raise
        try:
            answer, error = future.result(self._timeout_s)
        except CancelledError:
            raise ConnectionAbortedError("the call was canceled while it was under way") from None
        except TimeoutError:
            future.cancel()
            raise TimeoutError(f"no answer within {self._timeout_s:g} s") from None
        if error is not None:
            raise error
        return answer

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_closed:
                raise NotSent("the broker is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run, args=(self._loop,), name="fillbook-client", daemon=True
                )
                self._thread.start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _outcome(begin: Callable[[], Awaitable[Any]]) -> tuple[Any, Exception | None]:
    """Return the answer or the error as a value: futures make another of a `TimeoutError`."""
    try:
        return await begin(), None
    except Exception as exc:  # a client is anybody's code; `_wait` raises it again
        return None, exc


async def _end(last: Callable[[], Awaitable[object]] | None) -> None:
    under_way = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in under_way:
        task.cancel()
    if under_way:
        await asyncio.wait(under_way, timeout=_STOP_S)
    if last is not None:
        await asyncio.wait_for(last(), _STOP_S)
