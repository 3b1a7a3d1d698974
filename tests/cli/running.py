"""Run the command as a person does: a process of its own, and what it printed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import frozen

COMMAND = [sys.executable, "-m", "fillbook"]
TIMEOUT_S = 120


@frozen
class Done:
    """A finished run."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    def refused(self, *words: str) -> None:
        """Assert one clear sentence, no traceback, exit 2, and that it names *words*."""
        assert self.status == 2, self
        assert "Traceback" not in self.err
        assert len(self.err.strip().splitlines()) == 1, self.err
        for word in words:
            assert word in self.err, f"{word!r} is not in {self.err!r}"


def environment() -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("FILLBOOK")}
    return env | {"COLUMNS": "80", "NO_COLOR": "1"}


def run(*words: object, stdin: bytes = b"", cwd: Path | None = None) -> Done:
    """Run `fillbook` with *words*."""
    done = subprocess.run(
        [*COMMAND, *map(str, words)],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_S,
        cwd=cwd,
        env=environment(),
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


_EACH = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from fillbook.cli import main
for words in json.load(sys.stdin):
    sys.argv = ["fillbook", *words]
    out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in "oe")
    status = None
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as exc:
            status = exc.code
    print(json.dumps([status, *(each.buffer.getvalue().decode() for each in (out, err))]))
"""


def run_each(*commands: Iterable[object], cwd: Path | None = None) -> list[Done]:
    """Run `fillbook` with each of *commands* in one process: starting it is what takes time."""
    done = subprocess.run(
        [sys.executable, "-c", _EACH],
        input=json.dumps([[str(word) for word in words] for words in commands]),
        capture_output=True, text=True, timeout=TIMEOUT_S, cwd=cwd, env=environment(),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [Done(*json.loads(line)) for line in done.stdout.splitlines()]


def jsonl(rows: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def order(order_id: str = "R-1", **more: Any) -> dict[str, Any]:
    return {
        "kind": "order", "client_order_id": order_id, "instrument_id": "SBER", "side": "BUY",
        "order_qty": "10", "order_type": "LIMIT", "limit_px": "275.5",
    } | more  # fmt: skip


def report(order_id: str = "R-1", **more: Any) -> dict[str, Any]:
    return {"kind": "report", "client_order_id": order_id, "venue_order_id": f"V-{order_id}"} | more


def fill(trade_id: str, qty: str, cum: str, px: str = "275.4", **more: Any) -> dict[str, Any]:
    status = "FILLED" if cum == "10" else "PARTIALLY_FILLED"
    return report(
        **{
            "exec_type": "TRADE", "order_status": status, "cum_qty": cum, "last_qty": qty,
            "last_px": px, "trade_id": trade_id, "exec_id": f"E-{trade_id}",
        } | more
    )  # fmt: skip


def day() -> list[dict[str, Any]]:
    """A small day: an order filled in two, one canceled; times in 2026."""
    return [
        {"kind": "instrument", "instrument_id": "SBER", "quote_currency": "RUB"},
        order(ts_event="2026-03-13T07:00:00Z"),
        report(exec_type="NEW", order_status="NEW", cum_qty="0",
               ts_event="2026-03-13T07:00:01Z"),
        fill("T-1", "4", "4", commission="0.5", commission_currency="RUB",
             ts_event="2026-03-13T07:00:02Z"),
        fill("T-2", "6", "10", "275.6", ts_event="2026-03-13T07:00:03Z"),
        order("R-2", side="SELL", ts_event="2026-03-13T07:00:04Z"),
        report("R-2", exec_type="CANCELED", order_status="CANCELED", cum_qty="0",
               ts_event="2026-03-13T07:00:05Z"),
    ]  # fmt: skip
