"""Find a mapping: by its name in `mappings.toml`, or in a file of its own.

A file of one's own may say ``like = "binance-futures"``: then it needs only what differs.
"""

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from fillbook.brokers.bounds import shown
from fillbook.brokers.statements.mapping import StatementMapping, mapping_of
from fillbook.errors import BadInput

__all__ = ["all_mappings", "mapping_at", "mappings"]

_TABLE = Path(__file__).with_name("mappings.toml")
_MAX_BYTES = 1 << 20


def mappings() -> list[tuple[str, str]]:
    """Return the name of every mapping and what it reads, in one line."""
    return [(each.name, each.about) for each in all_mappings()]


@cache
def all_mappings() -> tuple[StatementMapping, ...]:
    """Return the mappings with a name, our own layout first."""
    return tuple(mapping_of(name, told, _TABLE.name) for name, told in _table().items())


def mapping_at(name: str) -> StatementMapping:
    """Return the mapping of that name, or the one in the file of that name.

    Raises `BadInput` where there is neither, or the file is no mapping.
    """
    table = _table()
    if name in table:
        return mapping_of(name, table[name], _TABLE.name)
    if not name.endswith(".toml") and os.sep not in name:
        near = get_close_matches(name, table, 1, 0.5)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise BadInput(
            f"there is no mapping {shown(name)}{meant}",
            f"there are {', '.join(table)}; one of your own is named as a file that ends in .toml",
        )
    told = dict(_read(name))
    like = told.pop("like", None)
    if like is not None:
        if not isinstance(like, str) or like not in table:
            raise BadInput(
                f"{name}: like: there is no mapping {shown(like)}", f"there are {', '.join(table)}"
            )
        told = {**table[like], **told}
    return mapping_of(name, told, name)


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(_TABLE.read_text("utf-8"))


def _read(path: str) -> Mapping[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as exc:  # a path with a NUL byte is a ValueError
        raise BadInput(
            f"{path}: {getattr(exc, 'strerror', None) or exc}",
            "name a mapping, or a file that can be read",
        ) from exc
    if len(data) > _MAX_BYTES:
        raise BadInput(f"{path}: more than {_MAX_BYTES} bytes", "a mapping is a few lines")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValueError, RecursionError) as exc:
        raise BadInput(
            f"{path}: this is not TOML: {exc or type(exc).__name__}",
            'a mapping has lines such as instrument_id = "Symbol"',
        ) from exc
