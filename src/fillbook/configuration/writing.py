"""Write the configuration that `fillbook init` begins with: every key, explained."""

from typing import Any

from attrs import Attribute

from fillbook.configuration.settings import SECTIONS, ToleranceSettings, keys_of

__all__ = ["template"]


def template() -> str:
    """Return a configuration with every key, explained, that says the defaults."""
    lines = [
        "# The configuration of a robot (TOML).  What is left out is as written here.",
        '# Durations are in seconds.  Secrets stay outside: { env = "NAME" } or { file = "path" }.',
    ]
    for name, cls in SECTIONS.items():
        lines += ["", *_comment(str(cls.__doc__).split("\n\n")[0].split("\n")[0])]
        lines.append(f"[{name}.default]" if cls is ToleranceSettings else f"[{name}]")
        for key in keys_of(cls):
            if not key.metadata["is_own"]:
                lines += _explained(key)
        lines += _MORE.get(name, [])
        if cls is ToleranceSettings:
            for key in keys_of(cls):
                if key.metadata["is_own"]:
                    lines += _explained(key)
    return "\n".join(lines) + "\n"


_MORE = {
    "broker": [
        "# Of the paper exchange: its market, what goes wrong, and where its account is kept (else",
        "# beside the ledger); or instead of all that the address of a `fillbook paper`.",
        "# seed = 7",
        '# faults = "all"',
        '# path = "robot.ledger.paper"',
        '# url = "http://127.0.0.1:8099"',
        "# Of another broker: whatever its factory takes.",
        '# token = { env = "BROKER_TOKEN" }',
        '# password = { file = "broker.password" }',
    ],
    "tolerance": [
        "",
        "# What an instrument leaves out is as above and in reconcile.",
        '# [tolerance."SBER"]',
        "# critical = 100",
    ],
}


def _explained(key: "Attribute[Any]") -> list[str]:
    """Return the key with its default; with an example, commented out, where it has none."""
    lines = _comment(key.metadata["about"])
    if key.default is None:
        return [*lines, f"# {key.name} = {key.metadata['example']}"]
    return [*lines, f"{key.name} = {_toml(key.default)}"]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in text.split("\n")]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
