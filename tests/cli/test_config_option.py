"""`--config`: every verb finds its ledger in the file that describes the robot."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cli.running import day, environment, jsonl, order, run, run_each

WHY = ("--reason", "a test", "--by", "olga")
READING: list[Sequence[object]] = [
    ["orders", "--json"], ["positions", "--json"], ["state", "--json"], ["tail", "--json"],
    ["export"], ["verify", "--json"], ["doctor", "--json"], ["status", "--json"],
]  # fmt: skip
WRITING: list[Sequence[object]] = [
    ["halt", *WHY, "--json"],
    ["resume", *WHY, "--json"],
    ["cancel-all", *WHY, "--json"],
    ["resolve", "R-9", "--never-arrived", *WHY],
    ["adjust", "--instrument", "SBER", "--qty", "1", *WHY, "--json"],
    ["accept-tail-loss", *WHY],
    ["backup", "copy.ledger", "--json"],
    ["import", "day.jsonl", "--json"],
]


@pytest.fixture
def folder(ledger: Path, tmp_path: Path) -> Path:
    """A folder with `sber.ledger`, and `conf/robot.toml` that names it; nothing is implied yet."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/robot.toml").write_text('[robot]\nledger = "../sber.ledger"\n')
    (tmp_path / "day.jsonl").write_bytes(jsonl([order("R-9")]))
    return tmp_path


def imply(folder: Path, ledger: str = "sber.ledger") -> None:
    (folder / "fillbook.toml").write_text(f'[robot]\nledger = "{ledger}"\n')


def test_every_verb_that_reads_finds_its_ledger_in_each_of_three_ways(folder: Path):
    named = run_each(*([*words, "--ledger", "sber.ledger"] for words in READING), cwd=folder)
    described = run_each(
        *([*words, "--config", "conf/robot.toml"] for words in READING), cwd=folder
    )
    imply(folder)
    implied = run_each(*READING, cwd=folder)

    for words, one, two, three in zip(READING, named, described, implied, strict=True):
        assert one.status in ((0, 1) if words[0] == "doctor" else (0,)), one
        if words[0] == "doctor":  # what is free on the disk changes from one to the next
            whats = [[each["what"] for each in done.json] for done in (one, two, three)]
            assert whats[0] == whats[1] == whats[2]
            assert "checkpoint" in whats[0]
            continue
        assert one == three, words
        expected = one.out.replace('"sber.ledger"', '"conf/../sber.ledger"')
        assert (two.status, two.out) == (one.status, expected), words


@pytest.mark.parametrize("is_implied", [False, True], ids=["config", "folder"])
def test_every_verb_that_writes_finds_its_ledger_too(folder: Path, is_implied: bool):
    if is_implied:
        imply(folder)
    given = [] if is_implied else ["--config", "conf/robot.toml"]

    halt, resume, cancel, resolve, adjust, loss, backup, imported = run_each(
        *([*words, *given] for words in WRITING), cwd=folder
    )

    assert [done.json["how"] for done in (halt, resume, cancel, adjust)] == ["LEDGER"] * 4
    resolve.refused("R-9")
    loss.refused("nothing is missing")
    assert backup.json["bytes"] > 0
    assert imported.json["outcomes"]["RECORDED"] == 1
    types = [line["type"] for line in run("tail", "--ledger", folder / "sber.ledger",
                                            "-n", "99", "--json").lines]  # fmt: skip
    assert {"trading.halted", "trading.resumed", "position.adjusted"} <= set(types)


def test_watch_finds_it(folder: Path):
    imply(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "fillbook", "watch", "--json", "--every", "0.1"],
        cwd=folder, stdout=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ledger"] == "sber.ledger"
    finally:
        process.kill()
        process.communicate()


def test_ledger_goes_before_config_and_config_before_the_folder(folder: Path):
    """What is not used is not read: a slip in it does not keep anyone from halting a robot."""
    shutil.copy(folder / "sber.ledger", folder / "other.ledger")
    (folder / "bad.toml").write_text("[robot\n")
    imply(folder, "other.ledger")
    config = ["--config", "conf/robot.toml"]

    by_ledger, by_both, by_config, by_folder = run_each(
        ["verify", "--ledger", "other.ledger", "--config", "bad.toml"],
        ["verify", *config, "--ledger", "other.ledger"],
        ["verify", *config],
        ["verify"],
        cwd=folder,
    )
    (folder / "fillbook.toml").write_text("[robot\n")
    beside_a_bad_one = run_each(
        ["verify", "--ledger", "other.ledger"], ["verify", *config], cwd=folder
    )

    for done, name in [
        (by_ledger, "other.ledger"), (by_both, "other.ledger"),
        (by_config, "conf/../sber.ledger"), (by_folder, "other.ledger"),
        (beside_a_bad_one[0], "other.ledger"), (beside_a_bad_one[1], "conf/../sber.ledger"),
    ]:  # fmt: skip
        assert done.status == 0, done
        assert done.out.startswith(f"{name}: whole\n")


def test_where_nothing_names_a_ledger_one_sentence_says_what_to_give(tmp_path: Path):
    (tmp_path / "day.jsonl").write_bytes(jsonl(day()))
    without_doctor = [words for words in READING if words[0] != "doctor"]

    for words, done in zip(
        [*without_doctor, *WRITING],
        run_each(*without_doctor, *WRITING, cwd=tmp_path),
        strict=True,
    ):
        done.refused(
            "--ledger FILE", "--config FILE", "fillbook.toml", f"fillbook {words[0]} --help"
        )
    assert [each.name for each in tmp_path.iterdir()] == ["day.jsonl"]


def test_doctor_without_a_ledger_looks_at_the_machine(tmp_path: Path):
    [done] = run_each(["doctor", "--json"], cwd=tmp_path)

    whats = {each["what"] for each in done.json}
    assert whats
    assert "checkpoint" not in whats


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[robot]\n\nledgr = "a"\n', ("c.toml:3:", "[robot] ledgr", "did you mean ledger?")),
        ("[robot]\nledger = 7\n", ("c.toml:2:", "[robot] ledger")),
        ('[halts]\non_stale = "stop"\n', ("c.toml:2:", "[halts] on_stale", "reduce_only")),
        ("[robt]\n", ("c.toml:1:", "did you mean robot?")),
        ("[robot\n", ("c.toml:1:", "not TOML")),
        (None, ("c.toml", "No such file", "fillbook init")),
    ],
    ids=["key", "type", "value", "section", "toml", "none"],
)
def test_what_is_wrong_in_the_file_is_named_by_file_and_line(
    tmp_path: Path, text: str | None, words: tuple[str, ...]
):
    if text is not None:
        (tmp_path / "c.toml").write_text(text)
    commands = (["orders"], ["halt", *WHY], ["import", "-"], ["doctor"])

    for done in run_each(*([*each, "--config", "c.toml"] for each in commands), cwd=tmp_path):
        done.refused(*words)


def test_a_slip_in_the_implied_file_is_named_too(tmp_path: Path):
    (tmp_path / "fillbook.toml").write_text("[robot]\nlegder = 'a'\n")

    run("status", cwd=tmp_path).refused("fillbook.toml:2:", "did you mean ledger?")


def test_a_link_to_nowhere_is_no_missing_file(tmp_path: Path):
    """The configuration lies on a disk that is not mounted: not the same as having none."""
    (tmp_path / "fillbook.toml").symlink_to(tmp_path / "gone/fillbook.toml")

    run("status", cwd=tmp_path).refused("fillbook.toml: No such file")


def test_a_ledger_that_is_not_made_yet_is_named(tmp_path: Path):
    assert run("init", cwd=tmp_path).status == 0

    run("orders", cwd=tmp_path).refused("robot.ledger", "no such ledger", "a robot makes")
    assert run("doctor", cwd=tmp_path).out.count("does not exist yet") == 1


def test_the_configuration_runs_no_code_of_its_owner(tmp_path: Path, ledger: Path):
    """A verb asks it for the ledger alone: neither client nor secrets are looked for."""
    (tmp_path / "fillbook.toml").write_text(
        '[robot]\nledger = "sber.ledger"\n'
        '[broker]\nkind = "client"\nclient = "nowhere:make"\ntoken = { env = "NOT_SET" }\n'
    )

    assert run("verify", cwd=tmp_path).status == 0


def test_init_writes_the_file_that_config_names(tmp_path: Path):
    assert run("init", "--config", "sber.toml", cwd=tmp_path).status == 0
    run("init", "a.toml", "--config", "b.toml", cwd=tmp_path).refused("FILE and --config")

    assert [each.name for each in tmp_path.iterdir()] == ["sber.toml"]


def test_demo_writes_the_ledger_that_config_names_and_no_other_robots(tmp_path: Path):
    """A robot's own ledger, which the folder's configuration names, is no place for a demo."""
    (tmp_path / "fillbook.toml").write_text('[robot]\nledger = "robot.ledger"\n')
    (tmp_path / "demo.toml").write_text('[robot]\nledger = "day.ledger"\n')
    (tmp_path / "taken.toml").write_text('[robot]\nledger = "demo.toml"\n')
    words = ["demo", "--orders", "20", "--json"]

    named, plain, taken = run_each(
        [*words, "--config", "demo.toml"], words, [*words, "--config", "taken.toml"], cwd=tmp_path
    )

    assert (named.json["ledger"], plain.json["ledger"]) == ("day.ledger", "demo.ledger")
    taken.refused("demo.toml", "no demo's ledger")
    assert not (tmp_path / "robot.ledger").exists()


def served(folder: Path, *words: str) -> dict[str, object]:
    """Return what `fillbook paper` says that it serves."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fillbook", "paper", "--json", *words],
        cwd=folder, stdout=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said: dict[str, object] = json.loads(process.stdout.readline())
        return said
    finally:
        process.kill()
        process.communicate()


def test_paper_serves_the_exchange_that_config_describes(tmp_path: Path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    (tmp_path / "own").mkdir()
    (tmp_path / "own/robot.toml").write_text(
        '[broker]\nseed = 11\nfaults = "hang=0.01"\npath = "kept.paper"\n'
    )
    (tmp_path / "far.toml").write_text(f'[broker]\nurl = "{url}"\n')

    own = served(tmp_path, "--config", "own/robot.toml")
    assert (own["seed"], own["faults"]) == (11, "hang=0.01")
    assert (tmp_path / "own/kept.paper").exists()
    other = served(
        tmp_path, "--config", "own/robot.toml", "--seed", "12", "--account", "other.paper"
    )
    assert (other["seed"], other["faults"]) == (12, "hang=0.01")
    assert (tmp_path / "other.paper").exists()
    far = served(tmp_path, "--config", "far.toml")
    assert (far["url"], far["seed"], far["faults"]) == (url, 7, "none")


@pytest.mark.parametrize(
    ("broker", "words"),
    [
        ('kind = "client"\nclient = "mine:make"', ("its broker is client", 'kind = "paper"')),
        ('url = "http://example.com:8099"', ("example.com", "127.0.0.1")),
        ('url = "http://127.0.0.1"', ("no port", "127.0.0.1")),
        ('url = "http://127.0.0.1:port"', ("no port", "127.0.0.1")),
        ("seeds = 7", ("c.toml:2:", "did you mean seed?")),
    ],
)
def test_paper_refuses_a_configuration_without_an_exchange_to_serve(
    tmp_path: Path, broker: str, words: tuple[str, ...]
):
    (tmp_path / "c.toml").write_text(f"[broker]\n{broker}\n")

    run("paper", "--config", "c.toml", cwd=tmp_path).refused(*words)
