"""Tables in a given width, of texts that may be long, wide or foreign."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unicodedata import combining, east_asian_width

from masterworker.data.record import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What stands for the end of a text that is cut.
CUT = "…"
#: Space between two columns.
GAP = 2


def cells(text: str) -> int:
    """Return how many places of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, width: int) -> str:
    """Return a text that can be printed and takes no more places than this."""
    text = printable(text[: 8 * width + 8])
    if cells(text) <= width:
        return text
    while text and cells(text) > width - 1:
        text = text[:-1]
    return text + CUT if width > 0 else ""


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Return a text that takes just this number of places."""
    text = cut(text, width)
    space = " " * (width - cells(text))
    return space + text if right else text + space


def table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], width: int, numbers: frozenset[int]
) -> list[str]:
    """Lay out rows below their titles, in lines of a width.

    Args:
        titles: Of the columns. The first gives way where there is too little room, then the last.
        rows: Their texts.
        width: Places in a line.
        numbers: The columns that are aligned to the right.
    """
    every = [titles, *rows]
    widths = [max(cells(cut(row[n], width)) for row in every) for n in range(len(titles))]
    for column, least in ((0, 12), (len(titles) - 1, 8), (0, 4)):
        over = sum(widths) + GAP * (len(titles) - 1) - width
        if over > 0:
            widths[column] = max(min(least, widths[column]), widths[column] - over)
    return [
        cut(
            (" " * GAP)
            .join(pad(text, widths[n], right=n in numbers) for n, text in enumerate(row))
            .rstrip(),
            width,
        )
        for row in every
    ]
