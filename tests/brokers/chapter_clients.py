"""Clients as the chapter has them: four methods that say what they are told to say."""

import asyncio
import threading
from typing import Any

from attrs import Factory, define


@define
class ChapterClient:
    """Answers what it was prepared to answer; an exception among the answers is raised."""

    answers: dict[str, list[Any]] = Factory(dict)
    calls: list[tuple[Any, ...]] = Factory(list)
    threads: list[str] = Factory(list)

    def _answer(self, method: str, *args: Any) -> Any:
        self.calls.append((method, *args))
        self.threads.append(threading.current_thread().name)
        prepared = self.answers[method]
        answer = prepared.pop(0) if len(prepared) > 1 else prepared[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def place_order(self, order: dict[str, Any]) -> Any:
        return self._answer("place_order", order)

    def get_order_status(self, order_id: Any) -> Any:
        return self._answer("get_order_status", order_id)

    def cancel_order(self, order_id: Any) -> Any:
        return self._answer("cancel_order", order_id)

    def get_positions(self) -> Any:
        return self._answer("get_positions")


class FullClient(ChapterClient):
    """With the four further methods."""

    def get_order_by_client_id(self, client_order_id: str) -> Any:
        return self._answer("get_order_by_client_id", client_order_id)

    def replace_order(self, order_id: Any, changes: dict[str, Any]) -> Any:
        return self._answer("replace_order", order_id, changes)

    def get_open_orders(self) -> Any:
        return self._answer("get_open_orders")

    def get_fills(self, since: Any) -> Any:
        return self._answer("get_fills", since)


class AsyncClient(ChapterClient):
    """The same four, as coroutines."""

    async def place_order(self, order: dict[str, Any]) -> Any:
        await asyncio.sleep(0)
        return self._answer("place_order", order)

    async def get_order_status(self, order_id: Any) -> Any:
        await asyncio.sleep(0)
        return self._answer("get_order_status", order_id)

    async def cancel_order(self, order_id: Any) -> Any:
        await asyncio.sleep(0)
        return self._answer("cancel_order", order_id)

    async def get_positions(self) -> Any:
        await asyncio.sleep(0)
        return self._answer("get_positions")
