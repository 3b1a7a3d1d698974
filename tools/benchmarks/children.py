"""Run in a process of its own what must not share memory or warm caches with anything else.

    python -m benchmarks.children NAME ARGUMENT…     prints one JSON object

`peak_kib` is the most memory that the whole process ever held.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["bare_select", "environment", "peak_kib", "run_child"]

TOOLS = Path(__file__).resolve().parents[1]


def run_child(name: str, *arguments: object, timeout_s: float = 1800) -> dict[str, Any]:
    """Run *name* of this module in a fresh process and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.children", name, *map(str, arguments)],
        cwd=TOOLS,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def environment() -> dict[str, str]:
    """Return the environment of a child, in which this checkout's package is found."""
    paths = [str(TOOLS.parent / "src"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def peak_kib() -> int:
    """Return the peak of this process' memory.

    Not `ru_maxrss` where the system tells better: a child begins with its parent's there.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def build(path: str, count: str, tail_count: str) -> dict[str, Any]:
    """Make the large ledger."""
    from benchmarks.ledgers import build_ledger

    start = time.perf_counter()
    types = build_ledger(Path(path), int(count), int(tail_count))
    return {"types": types, "seconds": time.perf_counter() - start}


def replay(path: str) -> dict[str, Any]:
    """Fold a whole log and draw every position."""
    from fillbook.wiring import open_reader, recover

    with open_reader(path) as reader:
        start = time.perf_counter()
        book = recover(reader, use_snapshot=False)
        views = book.position_views()
        seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "count": book.seq,
        "positions": len(views),
        "open": len(book.open),
        "state": _digest(book),
    }


def recovery(path: str) -> dict[str, Any]:
    """Come back from the snapshot and the events after it."""
    from fillbook.wiring import open_reader, recover, reducer_fingerprint

    with open_reader(path) as reader:
        saved = reader.load_snapshot(reducer_fingerprint())
        assert saved is not None, "no snapshot fits"
        start = time.perf_counter()
        book = recover(reader)
        book.position_views()
        seconds = time.perf_counter() - start
    tail = book.seq - saved[0]
    return {"seconds": seconds, "count": book.seq, "tail": tail, "state": _digest(book)}


def bare_select(path: str) -> dict[str, Any]:
    """Loop over the columns that the fold reads, and do nothing with them."""
    from fillbook.log._sqlite import connect

    connection = connect(f"file:{path}?mode=ro", uri=True)
    start = time.perf_counter()
    for row in connection.execute(  # noqa: B007
        "SELECT seq, op, stream, status, position, qty, px, fee, fee_currency"
        " FROM events ORDER BY seq"
    ):
        pass
    seconds = time.perf_counter() - start
    connection.close()
    return {"seconds": seconds, "count": row[0]}  # seq counts from 1 without gaps


def bare_bodies(path: str, target: str) -> dict[str, Any]:
    """Write every body to a file, one a line."""
    from fillbook.log._sqlite import connect

    connection = connect(f"file:{path}?mode=ro", uri=True)
    start = time.perf_counter()
    count = 0
    with open(target, "w", encoding="utf-8") as file:
        for (body,) in connection.execute("SELECT body FROM events ORDER BY seq"):
            file.write(body + "\n")
            count += 1
    seconds = time.perf_counter() - start
    connection.close()
    return {"seconds": seconds, "count": count}


def command(target: str, *arguments: str) -> dict[str, Any]:
    """Run the command `fillbook` in this process, its output to a file."""
    from fillbook.cli import main

    kept = os.dup(1)
    with open(target, "wb") as file:
        os.dup2(file.fileno(), 1)
    start = time.perf_counter()
    sys.argv = ["fillbook", *arguments]
    try:
        main()
        status = 0
    except SystemExit as done:
        status = done.code if isinstance(done.code, int) else 0
    sys.stdout.flush()
    seconds = time.perf_counter() - start
    os.dup2(kept, 1)
    return {"seconds": seconds, "status": status}


def _digest(book: Any) -> str:
    """Return a digest of all that a book is."""
    import hashlib

    from fillbook.core.replaying import book_state

    text = json.dumps(book_state(book), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class _Still:
    """A broker at which orders rest: it takes them, and answers look-ups with what it took."""

    def __init__(self, calls_a_second: int) -> None:
        from fillbook.brokers.live import Capabilities

        self.capabilities = Capabilities(
            name="still", has_stream=False, can_look_up=True, can_look_up_by_venue_id=True,
            calls=calls_a_second,
        )  # fmt: skip
        self.moments: list[float] = []

    def submit(self, order: Any) -> list[Any]:
        from fillbook.core.values import ExecType

        return [self._told(order.client_order_id, ExecType.NEW)]

    def look_up(self, order: Any) -> list[Any]:
        from fillbook.core.values import ExecType

        self.moments.append(time.monotonic())
        return [self._told(order.first_client_order_id, ExecType.ORDER_STATUS)]

    def _told(self, order_id: str, exec_type: Any) -> Any:
        from fillbook.brokers.port import Message
        from fillbook.core.reports import OrderReport
        from fillbook.core.values import OrderStatus

        report = OrderReport(
            client_order_id=order_id, venue_order_id=f"V-{order_id}", exec_type=exec_type,
            order_status=OrderStatus.NEW,
        )  # fmt: skip
        return Message(0, "report", report, b'{"status": "NEW"}')

    def close(self) -> None:
        pass


def open_orders_robot(path: str, orders: str, seconds: str, calls: str) -> dict[str, Any]:
    """Let a robot watch many resting orders for a while."""
    from fillbook import NewOrder, Robot

    broker = _Still(10_000)
    with Robot.open(path, broker=broker) as robot:  # type: ignore[arg-type]
        for number in range(int(orders)):
            robot.submit(NewOrder.limit(f"I-{number % 50}", "BUY", 1, 100))
        tracker = robot._runner.tracker
        robot.wait_until(lambda: not tracker.unanswered_count(), 120)
    broker = _Still(int(calls))
    with Robot.open(path, broker=broker, recover_timeout_s=120) as robot:  # type: ignore[arg-type]
        broker.moments.clear()
        cpu, wall = time.process_time(), time.monotonic()
        time.sleep(int(seconds))
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        moments = sorted(broker.moments)
        held = len(robot._runner.tracker.book.open)
    most = max((sum(1 for m in moments if s <= m < s + 1) for s in moments), default=0)
    return {"cpu_s": cpu, "wall_s": wall, "open": held, "calls": len(moments),
            "most_calls_in_a_second": most, "peak_kib": peak_kib()}  # fmt: skip


def stream_fills(path: str, count: str) -> dict[str, Any]:
    """Let fills arrive one by one, and note when the callback knows of each."""
    import threading

    from fillbook import NewOrder, Robot
    from fillbook.brokers.port import Message
    from fillbook.core.exact import decimal_of
    from fillbook.core.reports import OrderReport
    from fillbook.core.values import ExecType, OrderStatus

    told = threading.Event()
    seconds = []
    with Robot.open(
        path,
        broker=_Still(1000),
        on_fill=lambda order, event: told.set(),  # type: ignore[arg-type]
    ) as robot:
        order = robot.submit(NewOrder.limit("SBER", "BUY", 10**6, 100))
        robot.wait_until(lambda: order.venue_order_id is not None, 30)
        one = decimal_of("1")
        for number in range(1, int(count) + 1):
            report = OrderReport(
                client_order_id=order.client_order_id, venue_order_id=order.venue_order_id,
                exec_type=ExecType.TRADE, order_status=OrderStatus.PARTIALLY_FILLED,
                trade_id=f"T{number}", exec_id=f"E{number}", last_qty=one, last_px=one,
                cum_qty=decimal_of(str(number)),
            )  # fmt: skip
            message = Message(0, "report", report, b'{"trade": "a message of some length"}')
            told.clear()
            start = time.perf_counter()
            robot._runner.hear(message)
            assert told.wait(30)
            seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "count": len(seconds)}


_CHILDREN: dict[str, Callable[..., dict[str, Any]]] = {
    each.__name__: each
    for each in (
        build,
        replay,
        recovery,
        bare_select,
        bare_bodies,
        command,
        open_orders_robot,
        stream_fills,
    )
}

if __name__ == "__main__":
    answer = _CHILDREN[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(answer | {"peak_kib": peak_kib()}))
