"""Read `fillbook.toml`: what a robot's owner has chosen, checked, exact, and with its defaults.

What is wrong is named by file, line and key, with the nearest right word.  Secrets are never in the
file, only where to find them.
"""

import os
from typing import Any

import attrs

from fillbook.brokers.bounds import shown
from fillbook.configuration.checks import PAPER_KEYS
from fillbook.configuration.lines import TomlText
from fillbook.configuration.secrets import checked_options
from fillbook.configuration.settings import (
    MOVED,
    SECTIONS,
    BrokerSettings,
    Configuration,
    PartialFillSettings,
    RobotSettings,
    ToleranceSettings,
    keys_of,
)
from fillbook.core.exact import plain
from fillbook.errors import BadInput, BadValue

__all__ = ["MAX_BYTES", "parse_configuration", "read_configuration"]

MAX_BYTES = 1 << 20


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
        if key not in SECTIONS:
            raise toml.wrong((key,), "there is no such section", key, tuple(SECTIONS))
        if not isinstance(said, dict):
            raise toml.wrong((key,), f"found {shown(said)}, expected a section [{key}]")
    values: dict[str, Any] = {}
    for key in SECTIONS:
        said = toml.values.get(key, {})
        if key == "tolerance":
            values[key] = _tolerances(toml, said)
        else:
            values[key] = _section(toml, (key,), said, folder)
    return Configuration(**values)


def _tolerances(toml: TomlText, said: dict[str, Any]) -> dict[str, ToleranceSettings]:
    """Return them by instrument; what an instrument leaves out is as in the default."""
    for name, section in said.items():
        if not isinstance(section, dict):
            raise toml.wrong(
                ("tolerance", name),
                f"found {shown(section)}, expected a section such as [tolerance.default]",
            )
    general = said.get("default", {})
    default = _section(toml, ("tolerance", "default"), general, "")
    tolerances = {"default": default}
    for name, section in said.items():
        if name != "default":
            tolerances[name] = _section(toml, ("tolerance", name), general | section, "")
            _check_unit(toml, name, section, default, tolerances[name])
    for name, each in tolerances.items():
        if each.rounding is None or each.critical is None or each.critical >= each.rounding:
            continue
        raise toml.wrong(
            ("tolerance", name, "critical"),
            f"{plain(each.critical)} is less than rounding, {plain(each.rounding)}",
        )
    return tolerances


def _check_unit(
    toml: TomlText, name: str, section: dict[str, Any],
    default: ToleranceSettings, own: ToleranceSettings,
) -> None:  # fmt: skip
    """Refuse to take numbers of the default for numbers of another unit."""
    for key in ("rounding", "critical"):
        if own.unit != default.unit and key not in section and getattr(default, key) is not None:
            raise toml.wrong(
                ("tolerance", name, "unit"),
                f"{key} in [tolerance.default] is counted in {default.unit}: say it here too",
            )


def _section(toml: TomlText, path: tuple[str, ...], said: dict[str, Any], folder: str) -> Any:
    cls = SECTIONS[path[0]]
    keys = {each.name: each for each in keys_of(cls)}
    values: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for key, value in said.items():
        if key in keys:
            try:
                values[key] = keys[key].metadata["check"](value)
            except BadValue as bad:
                raise toml.wrong((*path, key), bad.problem) from bad
            if keys[key].metadata["is_own"] and path[-1] == "default":
                raise toml.wrong(
                    (*path, key), "this is for one instrument; for all of them it is in [reconcile]"
                )
        elif cls is BrokerSettings:
            options[key] = value
        elif (path[0], key) in MOVED:
            raise toml.wrong((*path, key), f"this is now {MOVED[path[0], key]}")
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
        if key not in PAPER_KEYS:
            problem = "the paper exchange has no such key"
            raise toml.wrong((*path, key), problem, key, (*keys, *PAPER_KEYS))
        try:
            options[key] = PAPER_KEYS[key](value)
        except BadValue as bad:
            raise toml.wrong((*path, key), bad.problem) from bad
    if "url" in options and len(options) > 1:
        raise toml.wrong(
            (*path, "url"), "seed, faults and path are then the server's; leave them out"
        )
    if "path" in options:
        options["path"] = os.path.join(folder, options["path"])
    return options
