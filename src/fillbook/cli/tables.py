"""Tables for people: as wide as they need to be in a pipe, fitted to a terminal.

A terminal that is too narrow gets one blank between columns, then shorter fractions of amounts
(marked `…`), then texts on several lines; a number is broken only where nothing else is left.
"""

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Literal

import click

from fillbook.cli.common import visible

__all__ = ["Kind", "print_table"]

Kind = Literal["text", "number", "amount"]
"""What a column holds; texts stand on the left."""

_TRIES = ((2, 6), (1, 6), (1, 4), (1, 3), (1, 2))
"""Blanks between columns and digits of a fraction, the most comfortable first."""
_NARROW = 12, 8
"""How narrow a column of long words becomes before others have to."""
_BREAKS = " -/_"
"""After these a text that is too long goes on in the next line."""


def print_table(
    title: str, columns: Sequence[tuple[str, Kind]], rows: Iterable[Sequence[str]]
) -> None:
    """Print *rows* under their headings; of an `amount` a long fraction is cut, JSON has it whole.

    What is in a cell is shown as it is, control characters as escapes: it may be the venue's words.
    """
    cells = [[visible(str(cell)) for cell in row] for row in rows]
    if not cells:
        print(f"{title}: none")
        return
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    cells, widths, gap = _fitted(columns, cells, limit)
    layout = [(kind, width) for (_, kind), width in zip(columns, widths, strict=True)]
    if title:
        click.secho(title, bold=True)  # where no terminal reads it is plain
    for line in _lines([heading for heading, _ in columns], layout, gap):
        click.secho(line, bold=True)
    print(_rule() * (sum(widths) + gap * (len(widths) - 1)))
    for row in cells:
        for line in _lines(row, layout, gap):
            print(line)


def _rule() -> str:
    try:
        "─".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "-"
    return "─"


def _lines(row: Sequence[str], layout: Sequence[tuple[Kind, int]], gap: int) -> Iterable[str]:
    """Yield the lines of *row*: one, or as many as its longest cell needs."""
    parts = [
        _broken(cell, width) if _cells(cell) > width else [cell]
        for cell, (_, width) in zip(row, layout, strict=True)
    ]
    for at in range(max(map(len, parts))):
        line = []
        for part, (kind, width) in zip(parts, layout, strict=True):
            text = part[at] if at < len(part) else ""
            padding = " " * (width - _cells(text))
            line.append(text + padding if kind == "text" else padding + text)
        yield (" " * gap).join(line).rstrip(" ")


def _cells(text: str) -> int:
    """Return how many cells of a terminal *text* takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # for most tables there is no need

    return cell_len(text)


def _shortened(amount: str, digits: int) -> str:
    """Return *amount* with a fraction longer than *digits* cut there and marked with `…`.

    Of an amount below one at least three digits stay that are not leading zeros.
    """
    whole, _, fraction = amount.partition(".")
    if whole in ("0", "-0"):
        digits = max(digits, len(fraction) - len(fraction.lstrip("0")) + 3)
    return f"{whole}.{fraction[:digits]}…" if len(fraction) > digits + 1 else amount


def _fitted(
    columns: Sequence[tuple[str, Kind]], cells: list[list[str]], limit: int | None
) -> tuple[list[list[str]], list[int], int]:
    """Return the cells, the width of each column and the blanks between them, within *limit*."""
    headings = [heading for heading, _ in columns]
    for gap, digits in _TRIES:
        tried = [
            [
                _shortened(cell, digits) if kind == "amount" else cell
                for cell, (_, kind) in zip(row, columns, strict=True)
            ]
            for row in cells
        ]
        widths = _widths([headings, *tried])
        if limit is None or sum(widths) + gap * (len(widths) - 1) <= limit:
            return tried, widths, gap
    assert limit is not None
    room = limit - (len(widths) - 1)
    words = _widths([[max(cell.split(" "), key=len) for cell in row] for row in [headings, *tried]])
    for floors in (words, *([min(width, floor) for width in words] for floor in _NARROW)):
        widths = _narrowed(widths, floors, room)
    widths = _narrowed(widths, [1] * len(widths), room)
    return tried, widths, 1


def _widths(rows: Iterable[Sequence[str]]) -> list[int]:
    """Return how many cells of a terminal the widest text of each column takes."""
    return [max(1, *map(_cells, column)) for column in zip(*rows, strict=True)]


def _narrowed(widths: list[int], floors: list[int], room: int) -> list[int]:
    """Return *widths* with the widest made narrower, none below its floor, until they fit."""
    widths = list(widths)
    while sum(widths) > room:
        spare = [at for at, width in enumerate(widths) if width > floors[at]]
        if not spare:
            break
        widths[max(spare, key=widths.__getitem__)] -= 1
    return widths


def _broken(text: str, width: int) -> list[str]:
    """Return *text* in lines of at most *width*, broken after a blank or a sign where possible."""
    if not text.isascii():
        from rich.cells import chop_cells

        return chop_cells(text, width)
    lines = []
    while len(text) > width:
        at = max(text.rfind(sign, 1, width + (sign == " ")) for sign in _BREAKS) + 1 or width
        lines.append(text[:at].rstrip(" "))
        text = text[at:]
    return [*lines, text]
