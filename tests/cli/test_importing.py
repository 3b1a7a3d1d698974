"""Import a file again, in parts, after a crash: the ledger holds every message once."""

import gc
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from cli.running import COMMAND, day, environment, fill, jsonl, order, report, run
from fillbook.cli.importing import import_command
from fillbook.errors import BadInput


def many(count: int) -> list[dict[str, Any]]:
    """*count* orders of three messages each."""
    rows = []
    for number in range(count):
        name = f"R-{number}"
        ids = {"client_order_id": name, "venue_order_id": f"V-{number}"}
        rows += [
            order(name, side="BUY" if number % 3 else "SELL"),
            report(name, exec_type="NEW", order_status="NEW", cum_qty="0", exec_id=f"N-{number}"),
            fill(f"T-{number}", "10", "10", f"{100 + number % 7}", **ids),
        ]
    return rows


def head(ledger: Path) -> tuple[int, str]:
    """Return where the ledger ends; it must be whole."""
    done = run("verify", "--ledger", ledger, "--json")
    assert done.status == 0, done
    return done.json["head_seq"], done.json["head"]


def shown(ledger: Path) -> tuple[Any, Any]:
    return (
        run("orders", "--ledger", ledger, "--json").json,
        run("positions", "--ledger", ledger, "--json").json,
    )


def test_the_same_file_twice_adds_nothing(tmp_path: Path):
    file, ledger = tmp_path / "day.jsonl", tmp_path / "a.ledger"
    file.write_bytes(jsonl(day()))
    assert run("import", file, "--ledger", ledger).status == 0
    before = head(ledger)

    again = run("import", file, "--ledger", ledger, "--trace")

    assert again.status == 0
    assert again.err == ""
    assert [line["events"] for line in again.lines] == [[]] * len(day())
    assert {line["outcome"] for line in again.lines} == {"DUPLICATE"}
    assert again.lines[-1]["order_status"] == "CANCELED"
    assert head(ledger) == before


def test_the_garbage_collector_is_left_as_it_was(tmp_path: Path):
    """The command may be called inside a program that goes on; it may also fail there."""
    file, ledger, before = tmp_path / "day.jsonl", tmp_path / "a.ledger", gc.get_threshold()
    words = [str(file), "--ledger", str(ledger)]
    with pytest.raises(BadInput):
        import_command.main(words, standalone_mode=False)
    assert gc.get_threshold() == before
    file.write_bytes(jsonl(day()))
    assert import_command.main(words, standalone_mode=False) == 0
    assert gc.get_threshold() == before


def test_the_same_messages_under_another_order_of_bytes_add_nothing(tmp_path: Path):
    """Another file, so each message is judged by itself."""
    ledger = tmp_path / "a.ledger"
    assert run("import", "-", "--ledger", ledger, stdin=jsonl(day())).status == 0
    before = head(ledger)

    done = run("import", "-", "--ledger", ledger, "--trace", stdin=b"\n" + jsonl(day()))

    assert [line["events"] for line in done.lines] == [[]] * len(day())
    assert [line["line"] for line in done.lines] == list(range(2, 9))
    assert head(ledger) == before


def test_of_a_grown_file_only_the_new_lines_are_judged(tmp_path: Path):
    file, ledger, whole = (tmp_path / name for name in ("day.jsonl", "a.ledger", "b.ledger"))
    file.write_bytes(jsonl(day()[:4]))
    assert run("import", file, "--ledger", ledger).status == 0
    file.write_bytes(jsonl(day()))

    grown = run("import", file, "--ledger", ledger, "--trace")

    assert [line["outcome"] for line in grown.lines] == ["DUPLICATE"] * 4 + ["RECORDED"] * 3
    run("import", file, "--ledger", whole)
    assert shown(ledger) == shown(whole)
    head(ledger)


def test_two_halves_are_the_whole(tmp_path: Path):
    halves, whole = tmp_path / "halves.ledger", tmp_path / "whole.ledger"
    for rows in (day()[:4], day()[4:]):
        assert run("import", "-", "--ledger", halves, stdin=jsonl(rows)).status == 0
    run("import", "-", "--ledger", whole, stdin=jsonl(day()))

    assert shown(halves) == shown(whole)
    head(halves)


@pytest.fixture(scope="module")
def long_day(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, tuple[Any, Any]]:
    """A day of more than three flushes, and what an import without any trouble makes of it."""
    data = jsonl(many(1200))
    ledger = tmp_path_factory.mktemp("long") / "whole.ledger"
    assert run("import", "-", "--ledger", ledger, stdin=data).status == 0
    return data, shown(ledger)


def fed(ledger: Path, data: bytes) -> "subprocess.Popen[bytes]":
    """Start an import, feed it *data* without an end, and wait until some of it is durable."""
    process = subprocess.Popen(
        [*COMMAND, "import", "-", "--ledger", str(ledger)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        tail = run("tail", "--ledger", ledger, "--json", "-n", "1")
        if tail.status == 0 and tail.lines[0]["seq"] > 1000:
            assert process.poll() is None
            return process
        time.sleep(0.2)
    process.kill()
    raise AssertionError("nothing was flushed")


@pytest.mark.crash
def test_an_import_that_was_killed_goes_on_where_it_stopped(
    tmp_path: Path, long_day: tuple[bytes, tuple[Any, Any]]
):
    data, expected = long_day
    ledger = tmp_path / "a.ledger"
    process = fed(ledger, data[: len(data) * 4 // 5])
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    reached = head(ledger)[0]

    done = run("import", "-", "--ledger", ledger, "--json", stdin=data)

    assert done.status == 0, done
    assert done.json["outcomes"]["DUPLICATE"] >= 1000
    assert done.json["outcomes"]["RECORDED"] > 0
    assert head(ledger)[0] > reached > 1000
    assert shown(ledger) == expected


def test_ctrl_c_in_the_middle(tmp_path: Path, long_day: tuple[bytes, tuple[Any, Any]]):
    data, expected = long_day
    ledger = tmp_path / "a.ledger"
    process = fed(ledger, data[: len(data) * 4 // 5])
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert b"Traceback" not in err
    assert b"interrupted; what was committed is in the ledger" in err
    head(ledger)
    assert run("import", "-", "--ledger", ledger, stdin=data).status == 0
    assert shown(ledger) == expected


def test_memory_makes_no_file(tmp_path: Path):
    done = run("import", "-", "--ledger", ":memory:", stdin=jsonl(day()), cwd=tmp_path)

    assert done.status == 0
    assert list(tmp_path.iterdir()) == []


def test_the_format_is_recognized(tmp_path: Path):
    body = "35=D\x0134=2\x0149=R\x0156=V\x0152=20260313-07:00:00\x01"
    body += "11=R-1\x0155=SBER\x0154=1\x0138=10\x0140=1\x01"
    text = f"8=FIX.4.4\x019={len(body)}\x01{body}"
    fix = f"{text}10={sum(text.encode()) % 256:03d}\x01\n"
    for data, form in (
        (jsonl(day()), "jsonl"),
        (b"\xef\xbb\xbf" + jsonl(day()), "jsonl"),
        (fix.encode(), "fix"),
        (b"2026-03-13 07:00:00.000 : " + fix.encode(), "fix"),
    ):
        done = run("import", "-", "--ledger", ":memory:", "--json", stdin=data)
        assert (done.status, done.json["format"]) == (0, form), done


def fix_message(number: int, body: str, *, checksum: int | None = None) -> bytes:
    """Return one FIX 4.4 message; *checksum* instead of the right one where given."""
    fields = f"35={body[0]}|34={number}|49=R|56=V|52=20260313-07:00:0{number}|{body[2:]}|"
    text = f"8=FIX.4.4|9={len(fields)}|{fields}".replace("|", "\x01")
    right = sum(text.encode()) % 256
    return f"{text}10={right if checksum is None else checksum:03d}\x01\n".encode()


def fix_day(**last: int) -> bytes:
    """An order that the venue takes and fills; *last* is for the message of the fill."""
    return b"".join(
        (
            fix_message(1, "D|11=R-1|55=SBER|54=1|38=10|40=1"),
            fix_message(2, "8|37=V-1|11=R-1|17=E-1|150=0|39=0|55=SBER|54=1|38=10|14=0|151=10|6=0"),
            fix_message(3, "8|37=V-1|11=R-1|17=E-2|150=F|39=2|55=SBER|54=1|38=10|32=10|31=275.4"
                        "|14=10|151=0|6=275.4", **last),
        )
    )  # fmt: skip


def status(ledger: Path) -> list[tuple[str, str]]:
    orders = run("orders", "--ledger", ledger, "--json").json
    return [(each["order_status"], each["cum_qty"]) for each in orders]


def test_a_file_read_in_the_wrong_format_first_is_booked_when_read_rightly(tmp_path: Path):
    ledger, file = tmp_path / "a.ledger", tmp_path / "day.fix"
    file.write_bytes(fix_day())
    wrong = run("import", file, "--ledger", ledger, "--format", "jsonl", "--json")
    assert (wrong.status, wrong.json["outcomes"]["SET_ASIDE"]) == (1, 3)

    right = run("import", file, "--ledger", ledger, "--json")

    assert (right.status, right.json["outcomes"]["RECORDED"]) == (0, 3)
    assert status(ledger) == [("FILLED", "10")]
    again = run("import", file, "--ledger", ledger, "--json")
    assert (again.status, again.json["outcomes"]["DUPLICATE"]) == (0, 3)


def test_what_was_refused_for_its_checksum_may_be_believed_later(tmp_path: Path):
    ledger, file = tmp_path / "a.ledger", tmp_path / "day.fix"
    file.write_bytes(fix_day(checksum=0))
    first = run("import", file, "--ledger", ledger, "--json")
    assert (first.status, first.json["outcomes"]["SET_ASIDE"]) == (1, 1)
    assert status(ledger) == [("NEW", "0")]

    believed = run("import", file, "--ledger", ledger, "--checksum", "warn", "--json")

    outcomes = believed.json["outcomes"]
    assert (outcomes["RECORDED"], outcomes["DUPLICATE"]) == (1, 2)
    assert status(ledger) == [("FILLED", "10")]


def test_an_empty_file_is_no_trouble(tmp_path: Path):
    done = run("import", "-", "--ledger", tmp_path / "a.ledger", "--json")

    assert done.status == 0
    assert done.json["messages"] == 0
    assert head(tmp_path / "a.ledger")[0] == 1


def test_every_event_is_a_log_line_on_request(tmp_path: Path):
    ledger = tmp_path / "a.ledger"
    rows = [*day(), order("R-3", ts_event="2026-03-13T07:00:06Z"),
            report("R-3", exec_type="REJECTED", order_status="REJECTED", cum_qty="0",
                   text="password=hunter2hunter2 is wrong")]  # fmt: skip

    done = run("import", "-", "--ledger", ledger, "--trace", "--log", "json", stdin=jsonl(rows))

    assert done.status == 0
    lines = [json.loads(line) for line in done.err.splitlines()]
    traced = [event for line in done.lines for event in line["events"]]
    assert [line["type"] for line in lines] == traced
    counts = run("verify", "--ledger", ledger, "--json").json["counts"]
    own = counts["ledger.created"] + counts["import.progressed"]
    assert len(lines) == sum(counts.values()) - own
    assert "hunter2" not in done.err
    assert "***" in done.err
