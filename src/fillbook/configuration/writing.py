"""Write the configuration that `fillbook init` begins with: every key, explained."""

from fillbook.configuration.settings import SECTIONS, Tolerance, keys_of

__all__ = ["template"]


def template() -> str:
    """Return a configuration with every key, explained, that says the defaults."""
    lines = [
        "# The configuration of a robot (TOML).  What is left out is as written here.",
        '# Durations are in seconds.  Secrets stay outside: { env = "NAME" } or { file = "path" }.',
    ]
    for name, cls in SECTIONS.items():
        lines += ["", *_comment(str(cls.__doc__).split("\n\n")[0].split("\n")[0])]
        lines.append(f"[{name}.default]" if cls is Tolerance else f"[{name}]")
        for key in keys_of(cls):
            lines += _comment(key.metadata["about"])
            value = key.metadata["example"] if key.default is None else _toml(key.default)
            lines.append(f"{'# ' if key.default is None else ''}{key.name} = {value}")
        lines += _MORE.get(name, [])
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
    "tolerance": ["", '# [tolerance."SBER"]', "# critical = 100"],
}


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in text.split("\n")]


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
