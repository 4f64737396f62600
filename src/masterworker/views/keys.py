"""What keys do to a live view: pure, so that each can be tried without a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from masterworker.views import wording
from masterworker.views.screen import HELP, View, chosen
from masterworker.views.sections import SECTIONS

if TYPE_CHECKING:
    from masterworker.recorder.shapes import Snapshot

#: A key that is a sequence of bytes, or a single one.
_KEY: Final = re.compile(rb"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Za-z]|.", re.DOTALL)
ESCAPE: Final = b"\x1b"
#: By how many rows they go.
STEPS: Final = {
    b"\x1b[A": -1,
    b"\x1bOA": -1,
    b"k": -1,
    b"\x1b[5~": -10,
    b"\x1b[B": 1,
    b"\x1bOB": 1,
    b"j": 1,
    b"\x1b[6~": 10,
    b" ": 10,
}
FIRST: Final = frozenset((b"g", b"\x1b[H", b"\x1bOH", b"\x1b[1~"))
LAST: Final = frozenset((b"G", b"\x1b[F", b"\x1bOF", b"\x1b[4~"))
EXPLAINS: Final = frozenset((b"e", b"\r", b"\n"))
QUITS: Final = frozenset((b"q", b"Q"))
#: More rows than there are.
_END: Final = 1 << 30


def split(data: bytes) -> list[bytes]:
    """Return the keys in what a terminal has sent."""
    return _KEY.findall(data)


def after(view: View, key: bytes, snapshot: Snapshot) -> tuple[View, str]:
    """Return what is shown after a key.

    Args:
        view: What is shown now.
        key: It.
        snapshot: How the job stands.

    Returns:
        What is shown, and the task that is to be explained; "" for none.
    """
    if key.isdigit() and int(key) <= len(SECTIONS):
        return View(int(key)), ""
    if key in {b"?", b"h"}:
        return view._replace(text=("keys", HELP), below=(), cursor=0), ""
    if key == ESCAPE:
        is_text = view.text is not None
        return (view._replace(text=None, cursor=0) if is_text else View()), ""
    if view.text is not None:
        return _moved(view, key, _END), ""
    return _of_section(view, key, snapshot) if view.section else (view, "")


def _moved(view: View, key: bytes, last: int) -> View:
    """Return what follows from a key that goes to another row, of which this is the last."""
    if key in STEPS:
        return view._replace(cursor=max(0, min(view.cursor, last) + STEPS[key]))
    if key in FIRST or key in LAST:
        return view._replace(cursor=0 if key in FIRST else _END)
    return view


def _of_section(view: View, key: bytes, snapshot: Snapshot) -> tuple[View, str]:
    """Return what follows from a key where there are rows."""
    section, row = chosen(snapshot, view)
    if key in {b"s", b"S"}:
        number = len(section.titles)
        column = (view.column + (1 if key == b"s" else -1) + 1) % (number + 1) - 1
        return view._replace(column=column, cursor=0), ""
    if key == b"r":
        return view._replace(backwards=not view.backwards, cursor=0), ""
    if key in EXPLAINS:
        if section.rows and (task := section.rows[row].task):
            title = f"task {wording.name_of(task)}"
            below = section.rows[row].more
            return view._replace(text=(title, ["..."]), below=below, cursor=0), task
        said = [
            "There is no task to explain in this row: choose one of workers (3) or failures (4)."
        ]
        return view._replace(text=("explain", said), below=(), cursor=0), ""
    return _moved(view, key, len(section.rows) - 1), ""
