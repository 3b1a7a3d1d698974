"""Bad input: one clear sentence, the right exit status, and a ledger as good as before."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.running import COMMAND, TIMEOUT_S, Done, day, environment, jsonl, order, run, run_each

ORDER = jsonl([order("R-9")])


def head(ledger: Path) -> tuple[int, str]:
    """Return where the ledger ends; it must be whole."""
    done = run("verify", "--ledger", ledger, "--json")
    assert done.status == 0, done
    return done.json["head_seq"], done.json["head"]


def counts(ledger: Path) -> dict[str, int]:
    done = run("verify", "--ledger", ledger, "--json")
    assert done.status == 0, done
    found: dict[str, int] = done.json["counts"]
    return found


# ---- messages that cannot be believed: set aside, and the import goes on


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"kind": "order", "client_ord', "truncated"),
        (b'{"kind": "order", "client_order_id": "\xff\xfe"}', "not UTF-8: byte 39"),
        (b'{"kind": "mark", "instrument_id": "S", "px": ' + b"9" * 1_000_000 + b"}",
         "px: found the number of 1000000 characters"),
        (b'{"kind": "mark", "instrument_id": "S", "px": "' + b"9" * 1_000_000 + b'"}',
         "(1000000 characters)"),
        (b'{"kind": "mark", "instrument_id": "S", "px": NaN}', "px: found the number NaN"),
        (b'{"kind": "mark", "instrument_id": "S", "px": "NaN"}', "px: 'NaN' is not a decimal"),
        (b"8=FIX.4.4|9=5|35=0|10=161|", "not JSON"),
    ],
    ids=["truncated", "utf8", "digits", "quoted-digits", "nan", "quoted-nan", "fix"],
)  # fmt: skip
def test_a_bad_line_is_set_aside_with_its_place(
    ledger: Path, tmp_path: Path, line: bytes, words: str
):
    before = counts(ledger)
    file = tmp_path / "bad.jsonl"
    file.write_bytes(ORDER + line)

    done = run("import", file, "--ledger", ledger, "--format", "jsonl")

    assert done.status == 1
    assert len(done.err.splitlines()) == 1
    assert f"{file}:2: set aside: " in done.err
    assert words in done.err
    assert len(done.err) < 600
    after = counts(ledger)
    assert after.pop("message.set_aside") == 1
    assert sum(after.values()) == sum(before.values()) + 2  # the order and how far it got


def test_a_last_line_that_was_cut_is_read_once_it_is_whole(ledger: Path, tmp_path: Path):
    file = tmp_path / "growing.jsonl"
    whole = ORDER + jsonl([order("R-10")])
    file.write_bytes(whole[:-20])
    assert run("import", file, "--ledger", ledger).status == 1
    file.write_bytes(whole)

    done = run("import", file, "--ledger", ledger, "--trace")

    assert done.status == 0
    assert [line["outcome"] for line in done.lines] == ["DUPLICATE", "RECORDED"]


def fix(body: str, checksum: str | None = None) -> bytes:
    text = body.replace("|", "\x01")
    start = f"8=FIX.4.4\x019={len(text)}\x01{text}"
    return f"{start}10={checksum or f'{sum(start.encode()) % 256:03d}'}\x01\n".encode()


def test_a_wrong_checksum_is_set_aside_or_believed_on_request(tmp_path: Path):
    body = "35=D|34=2|49=R|56=V|52=20260313-07:00:00|11=R-{}|55=SBER|54=1|38=10|40=1|"
    file = tmp_path / "day.fix"
    file.write_bytes(fix(body.format(1)) + fix(body.format(2), "xxx") + fix(body.format(3)))

    refused = run("import", file, "--ledger", tmp_path / "a.ledger")
    believed = run("import", file, "--ledger", tmp_path / "b.ledger", "--checksum", "warn")

    assert refused.status == 1
    assert f"{file}:2: set aside: " in refused.err
    assert "checksum or length: 1; " in refused.err
    assert "`--checksum warn`" in refused.err
    assert len(run("orders", "--ledger", tmp_path / "a.ledger", "--json").json) == 2
    assert believed.status == 0
    assert f"{file}: 1 messages with a wrong checksum" in believed.err
    assert "`--checksum warn`" not in believed.err
    assert len(run("orders", "--ledger", tmp_path / "b.ledger", "--json").json) == 3


_MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""


def test_a_line_of_64_mib_costs_no_memory(tmp_path: Path):
    """The child of a small child: a process starts with the peak of the one that started it."""
    path, out = tmp_path / "long.ledger", tmp_path / "out"
    with out.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", _MEASURE, *COMMAND, "import", "-", "--ledger", str(path)],
            stdin=subprocess.PIPE, stdout=file, stderr=subprocess.PIPE, env=environment(),
        )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(ORDER + b'{"kind": "')
    for _ in range(64):
        process.stdin.write(b"9" * (1 << 20))
    process.stdin.write(b'"}\n' + jsonl([order("R-10")]))
    _, err = process.communicate(timeout=TIMEOUT_S)

    status, peak_kib = out.read_text().splitlines()[-1].split()
    assert status == "1"
    assert b"-:2: set aside: line too long: 67108" in err
    assert int(peak_kib) < 150 * 1024
    assert len(run("orders", "--ledger", path, "--json").json) == 2


# ---- files that cannot be used


def test_a_file_that_cannot_be_read(ledger: Path, tmp_path: Path):
    before = head(ledger)
    missing = tmp_path / "none.jsonl"

    run("import", tmp_path, "--ledger", ledger).refused(str(tmp_path), "directory", "name a file")
    run("import", missing, "--ledger", ledger).refused(str(missing), "No such file", "name a file")

    assert head(ledger) == before


def a_text(path: Path) -> None:
    path.write_text("hello\n" * 1000)


def a_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (a)")
    connection.close()


def a_half(path: Path) -> None:
    run("import", "-", "--ledger", path, stdin=jsonl(day()))
    path.write_bytes(path.read_bytes()[:20_000])


def a_newer(path: Path) -> None:
    run("import", "-", "--ledger", path, stdin=jsonl(day()))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Path.mkdir, ("a directory, not a fillbook ledger", "name another path")),
        (a_text, ("not a fillbook ledger", "name another path")),
        (a_database, ("an SQLite database of something else", "name another path")),
        (a_half, ("malformed", "nothing was changed", "go on from")),
        (a_newer, ("format 99", "upgrade fillbook")),
    ],
    ids=["directory", "text", "database", "half", "newer"],
)
def test_what_is_no_ledger_is_not_touched(
    tmp_path: Path, make: Callable[[Path], None], words: tuple[str, ...]
):
    path = tmp_path / "x.ledger"
    make(path)
    before = path.read_bytes() if path.is_file() else sorted(path.iterdir())

    file = tmp_path / "order.jsonl"
    file.write_bytes(ORDER)
    verbs = (["import", file], ["orders"], ["verify"], ["backup", tmp_path / "copy"])
    for done in run_each(*([*verb, "--ledger", path] for verb in verbs)):
        done.refused(str(path), *words)

    assert not (tmp_path / "copy").exists()
    assert (path.read_bytes() if path.is_file() else sorted(path.iterdir())) == before


def test_readers_make_no_ledger(tmp_path: Path):
    path = tmp_path / "none.ledger"

    verbs = (["orders"], ["tail"], ["export"], ["backup", tmp_path / "copy"])
    for done in run_each(*([*verb, "--ledger", path] for verb in verbs)):
        done.refused(str(path), "no such ledger", "check the path")

    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_becomes_a_ledger(tmp_path: Path):
    path = tmp_path / "empty.ledger"
    path.touch()

    run("orders", "--ledger", path).refused(str(path), "empty", "not touched")
    assert run("import", "-", "--ledger", path, stdin=ORDER).status == 0
    assert head(path)[0] == 3


def test_a_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")

    for path in (tmp_path / "file" / "x.ledger", tmp_path / "none" / "x.ledger"):
        imported, demo = run_each(
            ["import", tmp_path / "file", "--ledger", path], ["demo", "--ledger", path]
        )
        imported.refused(
            str(path), "folder does not exist", "nothing was written", "make the folder"
        )
        demo.refused(str(path), "nothing was written")
    if Path("/proc/version").exists():
        done = run("import", "-", "--ledger", "/proc/x.ledger", stdin=ORDER)
        done.refused("/proc/x.ledger", "nothing was written")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], capture_output=True
        )
    except OSError as exc:
        pytest.skip(f"cannot mount: {exc}")
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path):
    path = small_disk / "x.ledger"
    assert run("import", "-", "--ledger", path, stdin=jsonl(day())).status == 0
    before = head(path)
    pad = small_disk / "pad"
    pad.write_bytes(bytes(5 << 19))  # of 4 MiB, one is the ballast
    many = tmp_path / "many.jsonl"
    many.write_bytes(jsonl([order(f"M-{number}") for number in range(3_000)]))

    full = run("import", many, "--ledger", path)

    full.refused(
        str(path), "the disk is full", "what was committed is in the ledger", "make room",
        "import it again: it goes on from there",
    )  # fmt: skip
    assert head(path)[0] >= before[0]
    assert len(run("orders", "--ledger", path, "--json").json) < 3_002

    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert run("import", many, "--ledger", path).status == 0
    assert len(run("orders", "--ledger", path, "--json").json) == 3_002
    head(path)


def test_output_that_cannot_be_written(ledger: Path, tmp_path: Path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    before = head(ledger)
    for words in (["orders", "--json"], ["export"], ["import", "-", "--trace"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [*COMMAND, *words, "--ledger", str(ledger)],
                stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                env=environment(), timeout=TIMEOUT_S,
            )  # fmt: skip
        if words[0] != "import":  # that one had nothing to say
            Done(done.returncode, "", done.stderr.decode()).refused("No space left on device")
    run("export", "--ledger", ledger, "--out", tmp_path / "no" / "out").refused(
        str(tmp_path / "no" / "out"), "No such file", "name a file that can be written"
    )
    assert head(ledger) == before


def test_a_trace_that_cannot_be_written_is_no_fault_of_the_file(tmp_path: Path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    many = tmp_path / "many.jsonl"
    many.write_bytes(jsonl([order(f"M-{number}") for number in range(200)]))
    path = tmp_path / "x.ledger"

    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "import", str(many), "--ledger", str(path), "--trace"],
            stdout=full, stderr=subprocess.PIPE, env=environment(), timeout=TIMEOUT_S,
        )  # fmt: skip

    Done(done.returncode, "", done.stderr.decode()).refused("the trace", "import the file again")
    head(path)


# ---- a second writer

_HOLD = """
import sys
from fillbook.wiring import open_log
log = open_log(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
log.close()
"""


def test_a_second_writer_is_told_who_holds_the_ledger(ledger: Path):
    before = head(ledger)
    writer = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(ledger)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"

        second = run("import", "-", "--ledger", ledger, stdin=ORDER)

        second.refused(str(ledger), f"process {writer.pid} ", "nothing was written", "stop it")
        verbs = ("orders", "positions", "state", "tail", "export")
        read = run_each(*([verb, "--ledger", ledger] for verb in verbs))
        assert [done.status for done in read] == [0] * len(verbs)
        assert head(ledger) == before
    finally:
        writer.communicate(b"\n", timeout=60)
    assert run("import", "-", "--ledger", ledger, stdin=ORDER).status == 0


def test_the_lock_of_a_killed_writer_is_free(ledger: Path):
    writer = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(ledger)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.communicate(timeout=60)

    assert run("import", "-", "--ledger", ledger, stdin=ORDER).status == 0
    head(ledger)


# ---- options


def test_options_that_make_no_sense(ledger: Path):
    before = head(ledger)
    last, _ = before
    cases: list[tuple[list[str], tuple[str, ...]]] = [
        (["nonsense"], ("'nonsense'", "fillbook --help")),
        (["orders", "--nonsense"], ("--nonsense", "fillbook orders --help")),
        (["import"], ("FILE", "fillbook import --help")),
        (["import", "-", "--format", "xml"], ("xml", "jsonl", "fix")),
        (["tail", "-n", "-1"], ("-1", "x>=0")),
        (["orders", "--status", "DONE"], ("--status DONE", "FILLED")),
        (["positions", "--mark", "SBER"], ("--mark SBER:", "SBER=275.50")),
        (["positions", "--mark", "SBER=NaN"], ("'NaN' is not a decimal", "SBER=275.50")),
        (["positions", "--mark", "=1"], ("--mark =1:", "SBER=275.50")),
        (["state", "--mark", "SBER=1e99999"], ("--mark SBER=1e99999:", "SBER=275.50")),
        (["state", "--at", "yesterday"], ("'yesterday'", "2026-03-13T10:15:00.250Z")),
        (["state", "--at", "2026-02-30"], ("'2026-02-30'", "2026-03-13T10:15:00.250Z")),
        (["state", "--at", "-1"], ("'-1'", "neither a seq nor a time")),
        (["state", "--at", str(last + 1)], (str(last + 1), f"ends at seq {last}")),
        (["state", "--at", "9" * 5000], (f"ends at seq {last}",)),
        (["state", "--happened", "--at", str(last + 1)], (f"ends at seq {last}",)),
        (["state", "--known-at", "1"], ("--known-at", "--happened")),
        (["export", "--day", "2026-03-13", "--tz", "Mars/Base"], ("Mars/Base", "Europe/Moscow")),
        (["export", "--day", "13.03.2026"], ("13.03.2026", "2026-03-13")),
        (["export", "--tz", "Europe/Moscow"], ("--tz Europe/Moscow", "--day")),
        (["export", "--format", "csv"], ("three files", "--out")),
        (["orders"], ("--ledger", "fillbook orders --help")),
    ]
    without = (["nonsense"], ["orders"])
    commands = [
        words if words in without else [*words, "--ledger", str(ledger)] for words, _ in cases
    ]
    for (_, told), done in zip(cases, run_each(*commands), strict=True):
        done.refused(*told)
    run("orders", "--nonsense").refused("--nonsense", "fillbook orders --help")
    assert head(ledger) == before
