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


_CHILDREN: dict[str, Callable[..., dict[str, Any]]] = {
    each.__name__: each for each in (build, replay, recovery, bare_select, bare_bodies, command)
}

if __name__ == "__main__":
    answer = _CHILDREN[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(answer | {"peak_kib": peak_kib()}))
