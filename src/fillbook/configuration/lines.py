"""Read TOML and say on which line a key stands, which the standard library does not tell.

The lines are found by looking at headers and keys again; what stands inside an inline table is
named by the line of the table.  That is for people: what the file says comes from `tomllib` alone.
"""

import re
import tomllib
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from fillbook.errors import BadInput

__all__ = ["TomlText", "nearest"]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")
_HEADER = re.compile(rf"\s*\[\s*({_PART}(?:\s*\.\s*{_PART})*)\s*\]")
_AT = re.compile(r" \(at line (\d+), column \d+\)")

Path = tuple[str, ...]


class TomlText:
    """One file.

    Attributes:
        values: What it says; numbers with a point are `Decimal`s.
    """

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        try:
            self.values: dict[str, Any] = tomllib.loads(text, parse_float=Decimal)
        except (tomllib.TOMLDecodeError, ValueError, RecursionError) as exc:
            raise self._unreadable(exc) from exc

    def wrong(
        self, path: Path, problem: str, word: str = "", words: tuple[str, ...] = ()
    ) -> BadInput:
        """Return the error that *path* has this *problem*; *words* would have been right."""
        where = f"[{'.'.join(path[:-1])}] {path[-1]}" if len(path) > 1 else f"[{path[0]}]"
        remedy = f"it takes {', '.join(words)}" if words else ""
        return BadInput(
            f"{self._name}:{self._line(path)}: {where}: {problem}{nearest(word, words)}", remedy
        )

    def _unreadable(self, exc: Exception) -> BadInput:
        said = str(exc)
        found = _AT.search(said)
        line = int(found[1]) if found else self._text.count("\n") + 1
        return BadInput(
            f"{self._name}:{line}: this is not TOML: {_AT.sub('', said) or type(exc).__name__}",
            "text stands in quotes, a section's name in brackets",
        )

    def _line(self, path: Path) -> int:
        """Return the line of *path*, or of what it lies in."""
        lines = _lines(self._text)
        for end in range(len(path), 0, -1):
            if path[:end] in lines:
                return lines[path[:end]]
        return 1


def _lines(text: str) -> dict[Path, int]:
    lines: dict[Path, int] = {}
    section: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header is not None:
            section = _path(header[1])
            lines.setdefault(section, number)
        elif key is not None:
            lines.setdefault((*section, *_path(key[1])), number)
    return lines


def _path(dotted: str) -> Path:
    value: Any = tomllib.loads(f"{dotted} = 0")
    path = []
    while isinstance(value, dict):
        ((key, value),) = value.items()
        path.append(key)
    return tuple(path)


def nearest(word: object, words: tuple[str, ...]) -> str:
    """Return the question whether one of *words* was meant; empty where none is near."""
    near = get_close_matches(word.lower(), words, 1, 0.6) if isinstance(word, str) else []
    return f"; did you mean {near[0]}?" if near else ""
