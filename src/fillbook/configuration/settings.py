"""Read `fillbook.toml`: what a robot's owner has chosen, checked, exact, and with its defaults.

Every key is declared once, with its default, its check and its explanation; the file that
`fillbook init` writes is made of the same declarations.  What is wrong is named by file, line and
key, with the nearest right word.  Secrets are never in the file, only where to find them.
"""

# ruff: noqa: RUF009 (`_key` makes a field, as `attrs.field` does)

import os
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal

import attrs
from attrs import Attribute, frozen

from fillbook.brokers.bounds import id_of, shown
from fillbook.configuration.lines import TomlText, nearest
from fillbook.configuration.secrets import Secret, checked_options
from fillbook.core.exact import decimal_of, plain
from fillbook.errors import BadInput, BadValue

__all__ = [
    "BrokerSettings",
    "Configuration",
    "FeedbackSettings",
    "HaltSettings",
    "PartialFillSettings",
    "RobotSettings",
    "Tolerance",
    "parse_configuration",
    "read_configuration",
    "template",
]

MAX_BYTES = 1 << 20
_LONGEST_S = 10 * 24 * 3600

Check = Callable[[Any], Any]


# ---- what a value may be


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValue("", f"found {shown(value)}, expected text in quotes")
    return id_of(value)


def _one_of(*words: str) -> Check:
    def check(value: Any) -> str:
        if value in words:
            return str(value)
        raise BadValue("", f"found {shown(value)}, expected {_or(words)}{nearest(value, words)}")

    return check


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise BadValue("", f"found {shown(value)}, expected a number")
    return decimal_of(str(value))


def _qty(value: Any) -> Decimal:
    number = _number(value)
    if number < 0:
        raise BadValue("", f"{plain(number)} is negative")
    return number


def _seconds(value: Any) -> Decimal:
    number = _number(value)
    if not 0 < number <= _LONGEST_S:
        raise BadValue("", f"{plain(number)} is not between 0 and {_LONGEST_S} seconds (ten days)")
    return number


def _limit_s(value: Any) -> Decimal:
    return Decimal(0) if _number(value) == 0 else _seconds(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1_000_000:
        raise BadValue("", f"found {shown(value)}, expected a whole number from 0 to 1000000")
    return value


def _broker_kind(value: Any) -> str:
    text = _text(value)
    if text in ("paper", "client"):
        return text
    if ":" not in text:
        words = ("paper", "client")
        raise BadValue(
            "", f"found {shown(text)}, expected paper, client or module:factory"
            f"{nearest(text, words)}"
        )  # fmt: skip
    return _factory(text)


def _factory(value: Any) -> str:
    module, _, name = _text(value).partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), name]):
        raise BadValue("", f"{shown(value)} is not of the form module:factory")
    return f"{module}:{name}"


def _faults(value: Any) -> str:
    from fillbook.brokers.paper_faults import FaultPlan

    text = _text(value)
    try:
        FaultPlan.parse(text)
    except BadInput as bad:
        raise BadValue("", str(bad)) from bad
    return text


def _url(value: Any) -> str:
    text = _text(value)
    if not text.startswith("http://"):
        raise BadValue("", f"{shown(text)} does not begin with http://")
    return text


_PAPER: dict[str, Check] = {"seed": _count, "faults": _faults, "path": _text, "url": _url}
"""The further keys of the paper exchange, which is ours: those of other brokers are their own."""


def _key(default: Any, check: Check, about: str, example: str = "") -> Any:
    return attrs.field(
        default=default, metadata={"check": check, "about": about, "example": example}
    )


# ---- the sections


@frozen(kw_only=True)
class RobotSettings:
    """Who the robot is and where its book lies."""

    name: str = _key("robot", _text, "Goes into the ledger and into every log line.")
    ledger: str = _key("robot.ledger", _text, "Beside this file, unless the path is absolute.")
    durability: Literal["strict", "relaxed"] = _key(
        "strict", _one_of("strict", "relaxed"),
        "strict: nothing acknowledged is lost; relaxed: a power cut may cost a tail.",
    )  # fmt: skip


@frozen(kw_only=True)
class BrokerSettings:
    """Whom the robot trades with.  All other keys of this section are given to the factory.

    Attributes:
        options: Those other keys; a secret among them is a `Secret`.
    """

    kind: str = _key(
        "paper", _broker_kind,
        "paper: the exchange in this package; client: an object with the four methods\n"
        "place_order, get_order_status, cancel_order and get_positions, made by the factory\n"
        "that `client` names; or a factory of your own broker, as module:factory.",
    )  # fmt: skip
    account: str = _key("default", _text, "The account's name in the book.")
    client: str | None = _key(
        None, _factory, "What makes the client, where kind is client.", '"mybot.api:make_client"'
    )
    options: Mapping[str, Any] = attrs.field(factory=dict)

    def resolved(self) -> dict[str, Any]:
        """Return the options with every secret read from where it is kept."""
        return {key: _revealed(value) for key, value in self.options.items()}


@frozen(kw_only=True)
class FeedbackSettings:
    """How often the broker is asked, and what happens while it cannot be."""

    poll_interval_s: Decimal = _key(Decimal(30), _seconds, "Between two questions per open order.")
    position_interval_s: Decimal = _key(Decimal(300), _seconds, "Between two looks at positions.")
    call_timeout_s: Decimal = _key(Decimal(10), _seconds, "After so long a call counts as failed.")
    offline: str = _key(
        "refuse", _one_of("refuse", "queue"),
        "New orders while the line is down: refused, or queued; cancels are always queued.",
    )  # fmt: skip
    queue_expiry_s: Decimal = _key(
        Decimal(60), _seconds, "A queued order older than this is never sent."
    )


@frozen(kw_only=True)
class PartialFillSettings:
    """What becomes of the rest of an order that was filled in part."""

    policy: str = _key(
        "keep", _one_of("keep", "cancel", "cancel_after", "cancel_below", "reprice"),
        "keep: it goes on working; cancel: the rest is canceled at once; cancel_after: after\n"
        "after_s; cancel_below: at once where less than minimum_qty is filled, else kept;\n"
        "reprice: the rest moves once by reprice_by toward the market.",
    )  # fmt: skip
    after_s: Decimal = _key(Decimal(30), _seconds, "Of cancel_after, counted from the first fill.")
    minimum_qty: Decimal | None = _key(None, _qty, "Base units.", "10")
    reprice_by: Decimal | None = _key(None, _qty, "Quote currency per base unit.", "0.05")


@frozen(kw_only=True)
class Tolerance:
    """When the broker's position and ours differ, per instrument in a section of its name."""

    rounding: Decimal = _key(Decimal("0.001"), _qty, "A difference up to this is none.")
    critical: Decimal = _key(Decimal(10), _qty, "Above this a difference is critical (see halts).")
    unit: str = _key(
        "base", _one_of("base", "lot"), "What both are counted in: base units or lots."
    )


_HALTS = _one_of("halt", "reduce_only", "none")


@frozen(kw_only=True)
class HaltSettings:
    """When trading stops by itself: halt, reduce_only (no new risk) or none.  0 is no limit."""

    max_unknown_s: Decimal = _key(
        Decimal(60), _limit_s, "An order may be UNKNOWN for so long before on_unknown."
    )
    max_rejects: int = _key(5, _count, "Rejects in a row on one instrument before on_rejects.")
    stale_s: Decimal = _key(
        Decimal(120), _limit_s, "So long without any answer of the broker before on_stale."
    )
    on_critical: str = _key("halt", _HALTS, "A critical difference in a position.")
    on_unknown: str = _key("halt", _HALTS, "The instrument of an order unknown for too long.")
    on_rejects: str = _key("halt", _HALTS, "The instrument of too many rejects.")
    on_stale: str = _key("halt", _HALTS, "The whole robot, when the broker is silent.")


def _default_tolerances() -> dict[str, Tolerance]:
    return {"default": Tolerance()}


@frozen(kw_only=True)
class Configuration:
    """Everything in the file."""

    robot: RobotSettings = RobotSettings()
    broker: BrokerSettings = BrokerSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    partial_fills: PartialFillSettings = PartialFillSettings()
    tolerance: Mapping[str, Tolerance] = attrs.field(factory=_default_tolerances)
    halts: HaltSettings = HaltSettings()

    def tolerance_of(self, instrument_id: str) -> Tolerance:
        """Return the instrument's own, else the default."""
        return self.tolerance.get(instrument_id, self.tolerance["default"])


_SECTIONS: dict[str, type[Any]] = {
    "robot": RobotSettings,
    "broker": BrokerSettings,
    "feedback": FeedbackSettings,
    "partial_fills": PartialFillSettings,
    "tolerance": Tolerance,
    "halts": HaltSettings,
}


# ---- reading


def read_configuration(path: str) -> Configuration:
    """Return what the file at *path* says; the ledger's path and secrets' files are beside it.

    Raises `BadInput` with the first thing that is wrong.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as exc:
        raise BadInput(
            f"{path}: {exc.strerror or exc}", "`fillbook init` writes a configuration"
        ) from exc
    if len(data) > MAX_BYTES:
        raise BadInput(f"{path}: it has more than {MAX_BYTES} bytes", "name a configuration")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise BadInput(f"{path}:{line}: it is not UTF-8", "save it as UTF-8") from exc
    return parse_configuration(text, path, os.path.dirname(path))


def parse_configuration(text: str, name: str, folder: str = "") -> Configuration:
    """Return what *text* says; *name* is the file's, for errors; paths are taken from *folder*."""
    toml = TomlText(text, name)
    for key, said in toml.values.items():
        if key not in _SECTIONS:
            raise toml.wrong((key,), "there is no such section", key, tuple(_SECTIONS))
        if not isinstance(said, dict):
            raise toml.wrong((key,), f"found {shown(said)}, expected a section [{key}]")
    values: dict[str, Any] = {}
    for key in _SECTIONS:
        said = toml.values.get(key, {})
        if key == "tolerance":
            values[key] = _tolerances(toml, said)
        else:
            values[key] = _section(toml, (key,), said, folder)
    return Configuration(**values)


def _tolerances(toml: TomlText, said: dict[str, Any]) -> dict[str, Tolerance]:
    """Return them by instrument; what an instrument leaves out is as in the default."""
    for name, section in said.items():
        if not isinstance(section, dict):
            raise toml.wrong(
                ("tolerance", name),
                f"found {shown(section)}, expected a section such as [tolerance.default]",
            )
    default = _section(toml, ("tolerance", "default"), said.get("default", {}), "")
    tolerances = {"default": default} | {
        name: _section(toml, ("tolerance", name), attrs.asdict(default) | section, "")
        for name, section in said.items()
        if name != "default"
    }
    for name, each in tolerances.items():
        if each.critical < each.rounding:
            raise toml.wrong(
                ("tolerance", name, "critical"),
                f"{plain(each.critical)} is less than rounding, {plain(each.rounding)}",
            )
    return tolerances


def _section(toml: TomlText, path: tuple[str, ...], said: dict[str, Any], folder: str) -> Any:
    cls = _SECTIONS[path[0]]
    keys = {each.name: each for each in _keys(cls)}
    values: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for key, value in said.items():
        if key in keys:
            try:
                values[key] = keys[key].metadata["check"](value)
            except BadValue as bad:
                raise toml.wrong((*path, key), bad.problem) from bad
        elif cls is BrokerSettings:
            options[key] = value
        else:
            raise toml.wrong((*path, key), "there is no such key", key, tuple(keys))
    if cls is BrokerSettings:
        values["options"] = checked_options(toml, path, options, folder)
        kind = values.get("kind", "paper")
        if kind == "paper":
            values["options"] = _paper_options(toml, path, values["options"], tuple(keys), folder)
        is_client = kind == "client"
        if is_client and "client" not in values:
            problem = "a client needs the key client, the factory that makes it (module:factory)"
            raise toml.wrong((*path, "kind"), problem)
        if not is_client and "client" in values:  # it would trade on paper and look alive
            raise toml.wrong((*path, "client"), 'there is a client, and kind is not "client"')
    made = cls(**values)
    if isinstance(made, RobotSettings) and folder and made.ledger != ":memory:":
        made = attrs.evolve(made, ledger=os.path.join(folder, made.ledger))
    if isinstance(made, PartialFillSettings):
        for policy, key in (("cancel_below", "minimum_qty"), ("reprice", "reprice_by")):
            if made.policy == policy and getattr(made, key) is None:
                raise toml.wrong((*path, "policy"), f"{policy} needs the key {key}")
    return made


def _paper_options(
    toml: TomlText, path: tuple[str, ...], said: dict[str, Any], keys: tuple[str, ...], folder: str
) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key, value in said.items():
        if key not in _PAPER:
            problem = "the paper exchange has no such key"
            raise toml.wrong((*path, key), problem, key, (*keys, *_PAPER))
        try:
            options[key] = _PAPER[key](value)
        except BadValue as bad:
            raise toml.wrong((*path, key), bad.problem) from bad
    if "url" in options and len(options) > 1:
        raise toml.wrong(
            (*path, "url"), "seed, faults and path are then the server's; leave them out"
        )
    if "path" in options:
        options["path"] = os.path.join(folder, options["path"])
    return options


def _keys(cls: type[Any]) -> "list[Attribute[Any]]":
    return [each for each in attrs.fields(cls) if "check" in each.metadata]


def _revealed(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.read()
    if isinstance(value, dict):
        return {key: _revealed(each) for key, each in value.items()}
    return [_revealed(each) for each in value] if isinstance(value, list) else value


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


# ---- the file that `fillbook init` writes


def template() -> str:
    """Return a configuration with every key, explained, that says the defaults."""
    lines = [
        "# The configuration of a robot (TOML).  What is left out is as written here.",
        '# Durations are in seconds.  Secrets stay outside: { env = "NAME" } or { file = "path" }.',
    ]
    for name, cls in _SECTIONS.items():
        lines += ["", *_comment(str(cls.__doc__).split("\n\n")[0].split("\n")[0])]
        lines.append(f"[{name}.default]" if cls is Tolerance else f"[{name}]")
        for key in _keys(cls):
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
