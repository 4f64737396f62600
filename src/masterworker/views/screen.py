"""A job on one screen of text: what is shown, in how many lines. Colours are styles by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker.data.record import printable
from masterworker.named import NamedTuple
from masterworker.views import wording
from masterworker.views.sections import SECTIONS, Section
from masterworker.views.tables import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.recorder.shapes import Snapshot

#: A piece of text, and how it looks: "", "bold", "dim", "good", "bad", "busy", "chosen".
Piece = tuple[str, str]
Line = list[Piece]

#: From this width on forecasts are beside all other sections, too.
WIDE: Final = 110
#: The last line, by what is shown.
KEYS_OF_ALL: Final = "q quit   1 tags  2 hosts  3 workers  4 failures   ? all keys"
KEYS_OF_ONE: Final = "q quit   0 all   up/down row   s sort   r reverse   e explain   ? all keys"
KEYS_OF_TEXT: Final = "q quit   Esc back   up/down scroll"
HELP: Final = (
    "q            quit; what is shown stays on the terminal",
    "1 2 3 4      only tags, hosts, workers, failures",
    "0, Esc       all of them",
    "up, down     one row; also k and j",
    "page up/down ten rows",
    "home, end    the first row, the last row; also g and G",
    "s, S         in the order of the next column, of the one before",
    "r            the other way round",
    "e, Enter     explain the task of the row: of a worker, or of a failure",
    "?, h         this help",
    "Ctrl-Z       stop, and go on with fg; Ctrl-C ends",
)


class View(NamedTuple):
    """What of it is shown."""

    #: Only this section; 0: all of them.
    section: int = 0
    #: The row that is chosen, or the first line of a text.
    cursor: int = 0
    #: By which column rows are in order, and the other way round; -1: as they matter.
    column: int = -1
    backwards: bool = False
    #: What is to be said besides, such as that there is no answer.
    message: str = ""
    #: The last line says which keys there are.
    keys: bool = True
    #: A text in the place of sections: its title, and its lines; and those that follow.
    text: tuple[str, Sequence[str]] | None = None
    below: Sequence[str] = ()


def screen_of(label: str, snapshot: Snapshot, width: int, height: int, view: View) -> list[Line]:
    """Return the lines of a screen: no more than its height, none longer than its width."""
    headline = wrapped(cut(wording.headline(label, snapshot), 3 * width), width, ", ")
    lines: list[Line] = [[(cut(text, width), "bold")] for text in headline[:2]]
    lines.append(bar(snapshot, width))
    lines += [[(cut(text, width), style)] for text, style in remarks(snapshot, view, width)]
    room = height - len(lines) - 1  # of which the last is for the keys, or for what follows
    if view.text is not None:
        keys, part = KEYS_OF_TEXT, _text(view, width, room)
    elif view.section:
        keys, part = KEYS_OF_ONE, _one(snapshot, view, width, room)
    else:
        keys, part = KEYS_OF_ALL, _all(snapshot, width, room)
    lines += part
    if not view.keys or height < 2:
        return lines[: max(1, height - 1)]
    lines += [[("", "")]] * (height - 1 - len(lines))
    return [*lines[: height - 1], [(cut(keys, width), "dim")]]


def chosen(snapshot: Snapshot, view: View) -> tuple[Section, int]:
    """Return the section that is shown, and the number of its row that is chosen."""
    section = SECTIONS[view.section - 1](snapshot, whole=True)
    section = section.sorted(view.column, backwards=view.backwards)
    return section, max(0, min(view.cursor, len(section.rows) - 1))


def _all(snapshot: Snapshot, width: int, room: int) -> list[Line]:
    parts = [section(snapshot, whole=width >= WIDE).lines(width) for section in SECTIONS[:1]]
    parts += [section(snapshot, whole=False).lines(width) for section in SECTIONS[1:]]
    parts = [part for part in parts if part]
    lines: list[Line] = []
    for part, share in zip(parts, shares([len(part) for part in parts], room), strict=True):
        lines += [[(text, "dim" if not n else "")] for n, text in enumerate(part[:share])]
    return lines


def _one(snapshot: Snapshot, view: View, width: int, room: int) -> list[Line]:
    """Return the rows of a section that fit, among them the one that is chosen."""
    section, row = chosen(snapshot, view)
    if not section.rows:
        name = ("tags", "hosts", "workers", "failures")[view.section - 1]
        return [[(cut(f"There are no {name}.", width), "dim")]]
    titles, *rows = section.lines(width - 2)
    first = max(0, row - max(1, room - 1) + 1)
    marked: list[Line] = [
        [(cut(f"> {text}" if n == row else f"  {text}", width), "chosen" if n == row else "")]
        for n, text in enumerate(rows)
    ]
    head: Line = [(cut(f"  {titles}", width), "dim")]
    return [head, *marked[first:]][: max(0, room)]


def _text(view: View, width: int, room: int) -> list[Line]:
    """Return the lines of a text that fit."""
    assert view.text is not None  # noqa: S101  for the type checker
    title, lines = view.text
    folded = [piece for line in (*lines, *view.below) for piece in folds(printable(line), width)]
    first = max(0, min(view.cursor, len(folded) - max(1, room - 1)))
    head: Line = [(cut(title, width), "dim")]
    return [head, *([(text, "")] for text in folded[first:])][: max(0, room)]


def folds(line: str, width: int) -> list[str]:
    """Return a line in pieces that fit; further ones begin where it begins."""
    text = line.lstrip(" ")
    indent = " " * min(len(line) - len(text), width // 2)
    pieces = []
    while text:
        piece = cut(text, width - len(indent))
        if piece == text or len(piece) < 2:
            pieces.append(indent + piece)
            break
        at = len(piece) - 1  # the last is the sign that it is cut
        space = text.rfind(" ", at // 2, at + 1)
        at = space + 1 if space > 0 else at
        pieces.append(indent + cut(text[:at].rstrip(), width - len(indent)))
        text = text[at:]
    return pieces or [""]


def bar(snapshot: Snapshot, width: int) -> Line:
    """Return a bar of what is done, what has failed, and what is in workers' hands."""
    asked = max(1, snapshot.asked)
    parts = (
        (snapshot.done, "━", "good"),
        (snapshot.failed + snapshot.cancelled, "x", "bad"),
        (snapshot.in_hand, "╌", "busy"),
    )
    line: Line = []
    used = 0
    for number, sign, style in parts:
        places = min(width - used, -(-number * width // asked) if number else 0)
        used += places
        line.append((sign * places, style))
    return [*line, ("·" * (width - used), "dim")]


def remarks(snapshot: Snapshot, view: View, width: int) -> list[Piece]:
    """Return what is to be said besides numbers, in lines."""
    found: list[Piece] = []
    if view.message:
        found.append((view.message, "bad"))
    if snapshot.note:
        found.append((snapshot.note, ""))
    for trouble in snapshot.troubles[:3]:
        found += [(line, "bad") for line in wrapped(f"! {trouble}", width)[:3]]
    return found


def wrapped(text: str, width: int, between: str = " ") -> list[str]:
    """Break a text into lines, at what is between words."""
    first, *words = text.split(between)
    lines = [first]
    for word in words:
        if len(lines[-1]) + len(between) + len(word) > width:
            lines[-1] += between.rstrip()
            lines.append(word)
        else:
            lines[-1] += between + word
    return lines


def shares(wanted: list[int], room: int) -> list[int]:
    """Divide lines among sections: no more than one wants, and otherwise alike."""
    given = [0] * len(wanted)
    while room > 0:
        hungry = [n for n, want in enumerate(wanted) if given[n] < want]
        if not hungry:
            break
        for n in hungry[:room]:
            given[n] += 1
        room -= len(hungry)
    return given
