"""A robot in a process of its own, on a broker that remembers what it was sent; told by lines.

submit        one order; answers `ID STATUS` or `refused: …`
wait ID WORD  until the order has that status
sent          how many orders the broker was given, and how many cancels
hold ID QTY   from now on the broker says that the account holds this
slow SECONDS  the next order is handed to the broker only after a while (as a rate limit would)
quit          stop in order

With the word `mute` the broker takes an order and does not answer.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any


class Client:
    """The chapter's four methods on a venue that lets every order rest."""

    def __init__(self) -> None:
        self.placed: dict[str, dict[str, Any]] = {}
        self.held: dict[str, str] = {}
        self.cancels = 0
        self.answers = True

    def place_order(self, order: dict[str, Any]) -> dict[str, Any]:
        venue_id = f"V-{len(self.placed) + 1}"
        self.placed[venue_id] = {"status": "new", **order}
        if not self.answers:
            raise TimeoutError("no answer")
        return {"order_id": venue_id, "status": "new"}

    def get_order_status(self, order_id: str) -> dict[str, Any]:
        order = self.placed[order_id]
        return {
            "order_id": order_id, "status": order["status"], "filled_quantity": "0",
            "quantity": str(order["quantity"]),
        }  # fmt: skip

    def cancel_order(self, order_id: str) -> bool:
        self.cancels += 1
        self.placed[order_id]["status"] = "canceled"
        return True

    def get_positions(self) -> list[dict[str, Any]]:
        return [{"symbol": name, "quantity": qty} for name, qty in self.held.items()]


class RobotProcess:
    """The process as a test sees it; `with` ends it, whatever it is doing."""

    def __init__(self, ledger: Path, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(ledger), *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.pid = self._process.pid
        try:
            assert self._line() == "ready"
        except BaseException:
            self.kill()
            raise

    def say(self, *words: str) -> str:
        self.tell(*words)
        return self._line()

    def tell(self, *words: str) -> None:
        """Say something without waiting for what comes of it."""
        assert self._process.stdin is not None
        print(*words, file=self._process.stdin, flush=True)

    def answer(self) -> str:
        return self._line()

    def _line(self) -> str:
        """Return its next line; one that does not come ends the process, and so the test."""
        assert self._process.stdout is not None
        watch = threading.Timer(30, self._process.kill)
        watch.start()
        try:
            return self._process.stdout.readline().strip()
        finally:
            watch.cancel()

    def stop(self) -> None:
        """Have it hang, as SIGSTOP has it."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=30)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> "RobotProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def main() -> None:
    from fillbook import NewOrder, Robot
    from fillbook.brokers import ClientBroker
    from fillbook.errors import RequestRefused
    from fillbook.reconcile.choices import Choices
    from fillbook.reconcile.wishes import SECOND, Patience

    client = Client()
    client.answers = "mute" not in sys.argv
    broker: Any = ClientBroker(client)
    pause = 0.0
    slow = threading.Event()

    soon = Choices(patience=Patience(between_ns=SECOND // 10))
    robot = Robot.open(sys.argv[1], broker=broker, reconciliation=soon)
    make = robot._runner._last_look.concerns

    def concerns(call: Any) -> bool:
        if slow.is_set() and call.kind == "submit":
            slow.clear()
            time.sleep(pause)
        return make(call)

    robot._runner._last_look.concerns = concerns  # type: ignore[method-assign]
    print("ready", flush=True)
    for line in sys.stdin:
        match line.split():
            case ["submit"]:
                try:
                    order = robot.submit(NewOrder.limit("SBER", "BUY", "10", "275.5"))
                    print(order.client_order_id, order.order_status, flush=True)
                except RequestRefused as exc:
                    print(f"refused: {exc}", flush=True)
            case ["wait", order_id, word]:
                found = robot.order(order_id)
                robot.wait_until(lambda f=found, w=word: f.order_status == w, 20)
                print(found.order_status, flush=True)
            case ["sent"]:
                print(json.dumps([len(client.placed), client.cancels]), flush=True)
            case ["hold", name, qty]:
                client.held[name] = qty
                print("ok", flush=True)
            case ["slow", seconds]:
                pause = float(seconds)
                slow.set()
                print("ok", flush=True)
            case ["quit"]:
                break
    robot.close()
    print("closed", flush=True)


if __name__ == "__main__":
    main()
