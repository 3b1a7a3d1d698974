"""What a robot's owner writes: defaults, exact numbers, secrets elsewhere, and errors that help."""

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from fillbook.configuration import (
    BrokerSettings,
    Configuration,
    Secret,
    factory_at,
    parse_configuration,
    read_configuration,
    template,
)
from fillbook.errors import BadInput
from fillbook.reconcile.choices import Choices
from fillbook.reconcile.policies import Size, Tolerance
from fillbook.wiring.chosen import choices_of, policies_of


def parsed(text: str) -> Configuration:
    return parse_configuration(text, "fillbook.toml")


def refusal(text: str) -> str:
    with pytest.raises(BadInput) as refused:
        parsed(text)
    return str(refused.value)


# ---- the template and the defaults


def test_the_template_says_the_defaults():
    """Whoever uncomments nothing changes nothing."""
    assert parsed(template()) == parsed("") == Configuration()


SECTIONS = {
    "robot": Configuration().robot,
    "broker": Configuration().broker,
    "feedback": Configuration().feedback,
    "partial_fills": Configuration().partial_fills,
    "reconcile": Configuration().reconcile,
    "tolerance.default": Configuration().tolerance["default"],
    "halts": Configuration().halts,
}
KEYS = [
    (section, each.name)
    for section, settings in SECTIONS.items()
    for each in attrs.fields(type(settings))
    if each.name != "options"
]


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_the_template_names_every_key_with_an_explanation(section: str, key: str):
    (body,) = re.findall(rf"^\[{re.escape(section)}\]\n(.*?)(?=^\[|\Z)", template(), re.M | re.S)

    assert re.search(rf"^# .+\n(# )?{key} = \S", body, re.MULTILINE)


def test_what_the_template_comments_out_can_be_turned_on():
    """An example that does not work costs its reader an evening."""
    text = re.sub(r"^# (?=[a-z_]+ = |\[)", "", template(), flags=re.MULTILINE)
    text = text.replace('kind = "paper"', 'kind = "client"')

    configuration = parsed(text)

    assert configuration.broker.client == "mybot.api:make_client"
    assert configuration.broker.options["token"] == Secret(env="BROKER_TOKEN")
    assert configuration.partial_fills.minimum_qty == 10
    sber, policies = configuration.tolerance_of("SBER"), policies_of(configuration)
    assert (sber.critical, sber.rounding) == (100, Decimal("0.001"))
    assert policies.action("SBER", Size.MINOR) == "RESTORE"
    assert policies.action("GAZP", Size.MINOR) == "ALERT"


def test_all_sections_are_tested():
    assert {name.partition(".")[0] for name in SECTIONS} == {
        each.name for each in attrs.fields(Configuration)
    }
    assert len(KEYS) == 38


def test_the_numbers_of_the_chapter_are_the_defaults():
    configuration = parsed("")

    assert configuration.feedback.poll_interval_s == 30
    assert configuration.feedback.call_timeout_s == 10
    assert configuration.reconcile.interval_s == 300
    limits = policies_of(configuration).limits("ANY", None, None)
    assert (limits.rounding_qty, limits.critical_qty) == (Decimal("0.001"), 10)
    assert configuration.broker.kind == "paper"


# ---- values


def test_numbers_are_exact():
    """0.1 as a float would be a tolerance that nobody wrote."""
    configuration = parsed("[tolerance.default]\nrounding = 0.1\ncritical = 10.00\n")

    assert str(configuration.tolerance_of("X").rounding) == "0.1"
    assert str(configuration.tolerance_of("X").critical) == "10"


def test_what_an_instrument_leaves_out_is_as_in_the_default():
    configuration = parsed(
        '[tolerance.default]\nrounding = 0.5\nunit = "lot"\n[tolerance."BTC/USDT"]\ncritical = 2\n'
    )

    tolerance = configuration.tolerance_of("BTC/USDT")
    assert (tolerance.rounding, tolerance.critical, tolerance.unit) == (
        Decimal("0.5"), 2, "lot",
    )  # fmt: skip
    assert configuration.tolerance_of("SBER").critical is None


# ---- reconciliation


def test_what_is_left_out_is_what_reconciliation_does_by_itself():
    """A robot without a file and one with an empty file are the same."""
    assert choices_of(parsed("")) == choices_of(parsed(template())) == Choices()


def test_an_instrument_says_what_is_its_own():
    said = parsed(
        "[reconcile]\non_rounding = 'alert'\non_minor = 'adopt'\non_critical = 'restore'\n"
        "halts = 'all'\nmost_restore_qty = 5\nprice = 'mark'\n"
        "[tolerance.default]\ncritical_value = 1000\nunit = 'lot'\ncritical = 3\n"
        "[tolerance.SBER]\non_critical = 'halt'\nmost_restore_qty = 7\nprice = 'unknown'\n"
        "[tolerance.GAZP]\nunit = 'step'\ncritical = 4\non_rounding = 'adopt'\n"
    )

    policies = policies_of(said)

    actions = {
        name: [str(policies.action(name, size)) for size in Size]
        for name in ("SBER", "GAZP", "LKOH")
    }
    assert actions == {
        "SBER": ["ALERT", "ADOPT", "HALT"],
        "GAZP": ["ADOPT", "ADOPT", "RESTORE"],
        "LKOH": ["ALERT", "ADOPT", "RESTORE"],
    }
    assert policies.halt_all
    assert policies.most_restore_qty == {"default": 5, "SBER": 7}
    assert policies.price_rule == {"default": "MARK", "SBER": "UNKNOWN"}
    assert policies.tolerances == {
        "default": Tolerance(critical=Decimal(3), unit="LOT", critical_value=Decimal(1000)),
        "SBER": Tolerance(critical=Decimal(3), unit="LOT", critical_value=Decimal(1000)),
        "GAZP": Tolerance(critical=Decimal(4), unit="STEP", critical_value=Decimal(1000)),
    }


def test_when_it_is_done():
    said = parsed("[reconcile]\ninterval_s = 0.5\nat_start = false\npatience_s = 7\n")

    choices = choices_of(said)

    assert choices.rhythm.interval_ns == 500_000_000
    assert not choices.rhythm.at_start
    assert choices.patience.most_ns == 7_000_000_000
    assert choices_of(parsed("[reconcile]\ninterval_s = 0\n")).rhythm.interval_ns is None


# ---- what is wrong


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[robot]\nnmae = 'x'", [":2: [robot] nmae: there is no such key", "did you mean name?"]),
        ("[feedback]\n\n# why\npoll_intervall_s = 3", [":4:", "did you mean poll_interval_s?"]),
        ("[feedbak]\nx = 1", [":1: [feedbak]: there is no such section", "did you mean feedback?"]),
        ("[robot]\nname='a'\n[feedback]\noffline = 'refuze'",
         [":4: [feedback] offline: found 'refuze'", "refuse or queue", "did you mean refuse?"]),
        ("[feedback]\npoll_interval_s = 'fast'", [":2:", "expected a number"]),
        ("[feedback]\npoll_interval_s = true", [":2:", "found True"]),
        ("[feedback]\npoll_interval_s = 0", [":2:", "0 is not between"]),
        ("[feedback]\npoll_interval_s = -1", [":2:", "-1 is not between"]),
        ("[feedback]\npoll_interval_s = 1e9", [":2:", "is not between"]),
        ("[feedback]\npoll_interval_s = nan", [":2:", "not a decimal number"]),
        ("[feedback]\npoll_interval_s = inf", [":2:", "not a decimal number"]),
        ("[robot]\ndurability = 'bulk'", [":2:", "strict or relaxed"]),
        ("[robot]\nname = 7", [":2:", "expected text in quotes"]),
        ("[robot]\nname = ''", [":2:", "is empty"]),
        ("robot = 3", [":1: [robot]: found 3, expected a section"]),
        ("robot = { nmae = 'x' }", [":1: [robot] nmae"]),
        ("robot.nmae = 'x'", [":1: [robot] nmae"]),
        ("[halts]\nmax_rejects = 1.5", [":2:", "whole number"]),
        ("[halts]\nmax_rejects = true", [":2:", "whole number"]),
        ("[halts]\nmax_unknown_s = -1", [":2:", "-1"]),
        ("[tolerance]\nrounding = 1", [":2: [tolerance] rounding", "[tolerance.default]"]),
        ("[tolerance.SBER]\nrounding = -1", [":2: [tolerance.SBER] rounding: -1 is negative"]),
        ("[tolerance.SBER]\nroundin = 1", [":2:", "did you mean rounding?"]),
        ("[tolerance.default]\ncritical = 10\n[tolerance.SBER]\nrounding = 20",
         [":3: [tolerance.SBER] critical: 10 is less"]),
        ("[tolerance.default]\nrounding = 2\ncritical = 1", [":3:", "1 is less than rounding, 2"]),
        ("[tolerance.default]\ncritical = 5\n[tolerance.SBER]\nrounding = 1\nunit = 'lot'",
         [":5: [tolerance.SBER] unit: critical in [tolerance.default] is counted in base"]),
        ("[tolerance.default]\non_minor = 'adopt'", [":2:", "for one instrument", "[reconcile]"]),
        ("[tolerance.SBER]\non_minor = 'adapt'", [":2:", "restore or halt", "mean adopt?"]),
        ("[tolerance.SBER]\nunit = 'lots'", [":2:", "base, step or lot", "mean lot?"]),
        ("[tolerance.SBER]\nhalts = 'all'", [":2:", "there is no such key"]),
        ("[reconcile]\nat_start = 1", [":2:", "found 1, expected true or false"]),
        ("[reconcile]\non_critical = 'reduce_only'", [":2:", "restore or halt"]),
        ("[reconcile]\npatience_s = 0", [":2:", "0 is not between"]),
        ("[feedback]\nposition_interval_s = 300",
         [":2: [feedback] position_interval_s: this is now interval_s in [reconcile]"]),
        ("[halts]\non_critical = 'halt'",
         [":2: [halts] on_critical: this is now on_critical in [reconcile]"]),
        ("[partial_fills]\npolicy = 'cancel_below'", [":2:", "needs the key minimum_qty"]),
        ("[partial_fills]\npolicy = 'reprice'", [":2:", "needs the key reprice_by"]),
        ("[broker]\nkind = 'papper'", [":2:", "module:factory", "did you mean paper?"]),
        ("[broker]\nkind = 'my bot:x'", [":2:", "not of the form module:factory"]),
        ("[broker]\nkind = 'client'", [":2:", "needs the key client"]),
        ("[broker]\nclient = 'bot:api'", [":2:", 'kind is not "client"']),
        ("[robot]\nname = x", ["fillbook.toml:2: this is not TOML"]),
        ("[robot]\nname = 'x'\nname = 'y'", [":3: this is not TOML"]),
        ("[robot", [":1: this is not TOML"]),
        ("a = " + "[" * 5000, [":1: this is not TOML"]),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text: str, words: list[str]):
    said = refusal(text)

    assert said.startswith("fillbook.toml:")
    assert len(said.splitlines()) == 1
    for word in words:
        assert word in said


def test_a_limit_of_zero_is_none():
    halts = parsed("[halts]\nmax_unknown_s = 0\nstale_s = 0.0\nmax_rejects = 0").halts

    assert (halts.max_unknown_s, halts.stale_s, halts.max_rejects) == (0, 0, 0)


# ---- brokers and secrets


def test_further_keys_of_the_broker_are_for_its_factory():
    broker = parsed("[broker]\nkind = 'bot.api:make'\nurl = 'http://x'\nseed = 7\n").broker

    assert broker.kind == "bot.api:make"
    assert broker.resolved() == {"url": "http://x", "seed": 7}


def test_the_paper_exchange_has_keys_of_its_own(tmp_path: Path):
    file = tmp_path / "fillbook.toml"
    file.write_text("[broker]\nseed = 3\nfaults = 'drop=0.1'\npath = 'account'\n")

    assert read_configuration(str(file)).broker.resolved() == {
        "seed": 3, "faults": "drop=0.1", "path": str(tmp_path / "account"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sed = 3", "did you mean seed?"),
        ("acount = 'a'", "did you mean account?"),
        ("seed = 'x'", "expected a whole number"),
        ("faults = 'drp=0.1'", "did you mean 'drop'?"),
        ("faults = 3", "expected text in quotes"),
        ("url = '127.0.0.1:8099'", "does not begin with http://"),
        ("url = 'http://127.0.0.1:8099'\nseed = 3", "are then the server's"),
    ],
)
def test_a_wrong_key_of_the_paper_exchange_is_named(line: str, words: str):
    said = refusal(f"[broker]\n{line}\n")

    assert said.startswith("fillbook.toml:2: [broker]")
    assert words in said


@pytest.mark.parametrize(
    "line",
    [
        "token = 'hunter2'", "API_KEY = 'hunter2'", "apikey = 'hunter2'", "password = 'hunter2'",
        "client_secret = 'hunter2'", "private-key = 'hunter2'", "passphrase = ['hunter2']",
        "pin = 1234", "headers = { Authorization = 'hunter2' }", "token = { evn = 'hunter2' }",
        "url = 'https://me:hunter2@broker.example'", "urls = ['wss://me:hunter2@broker.example']",
    ],
)  # fmt: skip
def test_a_secret_in_the_file_is_refused_and_not_repeated(line: str):
    """The file is copied, committed and shown to others."""
    said = refusal(f"[broker]\n{line}\n")

    assert said.startswith("fillbook.toml:2: [broker")
    assert '{ env = "NAME" }' in said
    assert "hunter2" not in said


def test_what_only_names_no_secret_is_none():
    options = parsed(
        "[broker]\nkind = 'a:b'\nurl = 'https://broker.example:8443/a'\nkeyboard = 1\n"
    ).broker

    assert options.resolved() == {"url": "https://broker.example:8443/a", "keyboard": 1}


def test_secrets_are_read_where_they_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "password").write_text("hunter2\n")
    file = tmp_path / "fillbook.toml"
    file.write_text(
        "[broker]\nkind = 'a:b'\ntoken = { env = 'FB_TOKEN' }\n"
        "[broker.login]\npassword = { file = 'password' }\n"
    )  # fmt: skip
    monkeypatch.setenv("FB_TOKEN", "swordfish")

    broker = read_configuration(str(file)).broker

    assert broker.resolved() == {"token": "swordfish", "login": {"password": "hunter2"}}
    assert "swordfish" not in repr(broker)
    assert "hunter2" not in repr(broker)


def test_a_secret_that_is_not_there_stops_the_start(tmp_path: Path):
    (tmp_path / "empty").write_text("\n")
    for secret, words in (
        (Secret(env="FILLBOOK_NO_SUCH_NAME"), "FILLBOOK_NO_SUCH_NAME is not set"),
        (Secret(file=str(tmp_path / "none")), "No such file"),
        (Secret(file=str(tmp_path / "empty")), "the file is empty"),
    ):
        with pytest.raises(BadInput, match=words):
            BrokerSettings(options={"token": secret}).resolved()


@pytest.mark.parametrize("said", ["{ env = 'A', file = 'b' }", "{ env = 3 }", "{ file = '' }"])
def test_a_reference_is_to_one_place(said: str):
    assert ":2:" in refusal(f"[broker]\ntoken = {said}\n")


def test_a_factory_is_found_or_named():
    assert factory_at("os.path:join") is os.path.join
    for where, words in (
        ("no_such_module:make", "there is no module no_such_module"),
        ("os.no_such:make", "there is no module os.no_such"),
        ("os.path:no_such", r"os\.path has no function no_such"),
        ("os:sep", "os has no function sep"),
    ):
        with pytest.raises(BadInput, match=words):
            factory_at(where)


def test_a_module_that_lacks_another_says_so_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """That `mybot` cannot be found would send its author looking in the wrong place."""
    (tmp_path / "fb_lacking.py").write_text("import fb_no_such_thing\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(ModuleNotFoundError, match="fb_no_such_thing"):
        factory_at("fb_lacking:make")


# ---- files


def test_the_ledger_lies_beside_the_file(tmp_path: Path):
    """Started from another folder, a robot must not begin an empty ledger there."""
    file = tmp_path / "fillbook.toml"
    for said, expected in (
        ("sber.ledger", str(tmp_path / "sber.ledger")), ("/var/x.ledger", "/var/x.ledger"),
        (":memory:", ":memory:"),
    ):  # fmt: skip
        file.write_text(f"[robot]\nledger = '{said}'\n")
        assert read_configuration(str(file)).robot.ledger == expected
    file.write_text("")
    assert read_configuration(str(file)).robot.ledger == str(tmp_path / "robot.ledger")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[robot]\nname = '\xff'\n", ":2: it is not UTF-8"),
        (b"#" * (1 << 20) + b"##", "more than 1048576 bytes"),
    ],
    ids=["bytes", "size"],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, data: bytes, words: str):
    file = tmp_path / "fillbook.toml"
    file.write_bytes(data)

    with pytest.raises(BadInput, match=words):
        read_configuration(str(file))


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(BadInput, match="No such file or directory; `fillbook init`"):
        read_configuration(str(tmp_path / "none.toml"))


def test_a_file_from_another_system(tmp_path: Path):
    """Editors elsewhere write a mark at the beginning and two characters at a line's end."""
    file = tmp_path / "fillbook.toml"
    file.write_bytes(b"\xef\xbb\xbf" + template().replace("\n", "\r\n").encode())

    configuration: Any = read_configuration(str(file))

    assert configuration.feedback == Configuration().feedback
