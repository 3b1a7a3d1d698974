"""Build drafts and ledgers for the tests of the log; nothing here decides anything."""

import itertools
import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from fillbook.core.events import (
    Event,
    InstrumentDefined,
    MessageSetAside,
    OrderCanceled,
    OrderFilled,
    OrderSubmitted,
)
from fillbook.core.values import OrderStatus, Side
from fillbook.log.port import Draft
from fillbook.log.sqlite import SqliteLog

ACCOUNT = {"account_id": "default", "instrument_id": "SBER"}


def order_fields(**told: Any) -> dict[str, Any]:
    """What every order's event needs."""
    return {
        **ACCOUNT,
        "side": Side.BUY,
        "client_order_id": "R-1",
        "order_status": OrderStatus.PARTIALLY_FILLED,
        "order_qty": Decimal(10),
        "cum_qty": Decimal(4),
        "leaves_qty": Decimal(6),
        **told,
    }


def a_submission(client_order_id: str = "R-1", **told: Any) -> OrderSubmitted:
    fields = order_fields(
        client_order_id=client_order_id,
        order_status=OrderStatus.PENDING_NEW,
        cum_qty=Decimal(0),
        leaves_qty=Decimal(10),
        order_type="LIMIT",
        limit_px=Decimal("101.5"),
    )
    return OrderSubmitted(**(fields | told))


def a_fill(fill_no: int = 1, **told: Any) -> OrderFilled:
    fields = order_fields(
        fill_no=fill_no,
        trade_id=f"T-{fill_no}",
        last_qty=Decimal(4),
        last_px=Decimal("101.4"),
        avg_px=Decimal("101.4"),
        commission=Decimal("0.12"),
        commission_currency="RUB",
    )
    return OrderFilled(**(fields | told))


def a_note(problem: str = "no such order") -> MessageSetAside:
    return MessageSetAside(kind="report", problem=problem)


def a_cancel(**told: Any) -> OrderCanceled:
    return OrderCanceled(**order_fields(order_status=OrderStatus.CANCELED, **told))


def an_instrument(instrument_id: str = "SBER") -> InstrumentDefined:
    return InstrumentDefined(instrument_id=instrument_id)


def draft(event: Event | None = None, stream: int | None = 0, **told: Any) -> Draft:
    """A draft; without an event a note in the ledger's own stream."""
    return Draft(event=event or a_note(), stream=stream, **({"actor": "ROBOT"} | told))


def new_order(client_order_id: str, **told: Any) -> Draft:
    """A draft that opens an order's stream."""
    return draft(a_submission(client_order_id), None, client_order_id=client_order_id, **told)


def ticking(start: int = 1_700_000_000_000_000_000, step: int = 1000) -> Callable[[], int]:
    """A clock that moves by itself, the same way every time."""
    return itertools.count(start, step).__next__


def numbered_ids() -> Callable[[], uuid.UUID]:
    numbers = itertools.count(1)
    return lambda: uuid.UUID(int=next(numbers))


def open_fixed(path: str | os.PathLike[str], **told: Any) -> SqliteLog:
    """Open a ledger whose bytes are the same in every run."""
    fixed: dict[str, Any] = {
        "clock": ticking(),
        "mono": ticking(5_000),
        "new_id": numbered_ids(),
        "new_salt": lambda size: bytes(range(size)),
        "boot": lambda: "boot-1",
        "program": "test",
        "robot": "tester",
    }
    return SqliteLog.open(path, **(fixed | told))


def python(code: str, *arguments: str | os.PathLike[str], **told: Any) -> str:
    """Run *code* in a Python of its own and return what it prints; stderr on failure."""
    process = start_python(code, *arguments, **told)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def start_python(
    code: str, *arguments: str | os.PathLike[str], **told: Any
) -> "subprocess.Popen[str]":
    """Start *code* in a Python of its own, which imports what this one imports."""
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(os.fspath, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        **told,
    )


def run_as_nobody(work: Callable[[], str]) -> str:
    """Return what *work* returns in a fork that has no rights, as root has all of them."""
    if os.geteuid() != 0:
        return work()
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(send, work().encode())
            status = 0
        finally:
            os._exit(status)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        said = pipe.read().decode()
    assert os.waitpid(child, 0)[1] == 0, said
    return said


def open_folder(tmp_path: Path) -> Path:
    """Return a folder that others may enter: pytest's own ones are closed to them."""
    folder = tmp_path
    while folder.stat().st_uid == os.geteuid() and folder != folder.parent:
        if folder.name.startswith("pytest-"):
            folder.chmod(0o755)
        folder = folder.parent
    tmp_path.chmod(0o755)
    return tmp_path


def events_of(log: Any) -> Iterator[tuple[int, str]]:
    """(seq, type) of everything."""
    return ((record.seq, record.type) for record in log.records())
