"""Tables for people: as wide as they need to be in a pipe, fitted to a terminal.

A terminal that is too narrow gets one blank between columns, then shorter fractions of amounts
(marked `…`), then texts on several lines; a number is broken only where nothing else is left.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

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
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[visible(str(cell)) for cell in row] for row in rows]
    if not cells:
        print(f"{title}: none")
        return
    console = Console(highlight=False)
    cells, widths, gap = _fitted(columns, cells, console.width if console.is_terminal else None)
    if not console.is_terminal:
        console = Console(highlight=False, width=sum(widths) + gap * len(widths))
    table = Table(
        title=title, box=SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False,
        collapse_padding=True, show_edge=False, padding=(0, gap - 1),
    )  # fmt: skip
    for (heading, kind), width in zip(columns, widths, strict=True):
        justify: Literal["left", "right"] = "left" if kind == "text" else "right"
        table.add_column(heading, justify=justify, overflow="fold", width=width)
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


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
    broken = [[_broken(cell, width) for cell, width in zip(row, widths, strict=True)]
              for row in tried]  # fmt: skip
    return broken, widths, 1


def _widths(rows: Iterable[Sequence[str]]) -> list[int]:
    """Return how many cells of a terminal the widest text of each column takes."""
    from rich.cells import cell_len

    return [max(map(cell_len, column)) for column in zip(*rows, strict=True)]


def _narrowed(widths: list[int], floors: list[int], room: int) -> list[int]:
    """Return *widths* with the widest made narrower, none below its floor, until they fit."""
    widths = list(widths)
    while sum(widths) > room:
        spare = [at for at, width in enumerate(widths) if width > floors[at]]
        if not spare:
            break
        widths[max(spare, key=widths.__getitem__)] -= 1
    return widths


def _broken(text: str, width: int) -> str:
    """Return *text* on as many lines as it needs, broken after a blank or a sign where possible."""
    if not text.isascii():  # the terminal's own cells count there
        return text
    lines = []
    while len(text) > width:
        at = max(text.rfind(sign, 1, width + (sign == " ")) for sign in _BREAKS) + 1 or width
        lines.append(text[:at].rstrip(" "))
        text = text[at:]
    return "\n".join([*lines, text])
