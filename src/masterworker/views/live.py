"""A job on the terminal, as long as it is looked at."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from masterworker.views.page import SECTIONS, View, page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from masterworker.recorder.shapes import Snapshot

#: Seconds between two looks at keys and at the size of the window.
LOOK: Final = 0.25
#: How the styles of `page` look; what they mean is also told by signs and words.
STYLES: Final = {"good": "green", "bad": "red", "busy": "yellow", "dim": "dim", "bold": "bold"}
UP, DOWN, NEXT, BACK = b"\x1b[A", b"\x1b[B", b"\x1b[6~", b"\x1b[5~"


def show(label: str, look: Callable[[], tuple[Snapshot, str, bool]]) -> None:
    """Show a job until a key ends it, or there is nothing more to see.

    The last picture stays on the terminal, which is otherwise as it was, however this ends.

    Args:
        label: Its name.
        look: Returns at once how it stands, what is to be said besides, and whether there is no
            more to see.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    # The size is that of the window, also where it was exported once.
    environment = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES"}}
    console = Console(highlight=False, _environ=environment)
    view, last = View(), False
    try:
        with _keys() as keys, Live(console=console, screen=True, auto_refresh=False) as screen:
            while not last:
                snapshot, message, last = look()
                drawn = _draw(label, snapshot, console, view._replace(message=message))
                screen.update(drawn, refresh=True)
                key = b"" if last else keys(LOOK)
                if key in {b"q", b"Q"}:
                    break
                view = _after(view, key)
    finally:
        snapshot, message, _ = look()
        console.print(_draw(label, snapshot, console, View(message=message, keys=False)))


def _draw(label: str, snapshot: Snapshot, console: Console, view: View) -> Text:
    """Return what is on the screen."""
    width, height = console.size
    text = Text(no_wrap=True, overflow="crop", end="")
    for n, line in enumerate(page(label, snapshot, width, height, view)):
        text.append("\n" if n else "")
        for piece, style in line:
            text.append(piece, STYLES.get(style, ""))
    return text


def _after(view: View, key: bytes) -> View:
    """Return what is shown after a key."""
    if key.isdigit() and int(key) <= len(SECTIONS):
        return View(int(key))
    steps = {UP: -1, DOWN: 1, b"k": -1, b"j": 1, BACK: -10, NEXT: 10}
    if key in steps and view.section:
        return view._replace(offset=max(0, view.offset + steps[key]))
    return view


@contextmanager
def _keys() -> Iterator[Callable[[float], bytes]]:
    """Read single keys, which are not echoed; the terminal is as before when this ends."""
    fd = sys.stdin.fileno()
    if not os.isatty(fd):  # of a script that is read from there, say
        yield lambda seconds: select.select([], [], [], seconds) and b""
        return
    before = termios.tcgetattr(fd)

    def read(seconds: float) -> bytes:
        ready, _, _ = select.select([fd], [], [], seconds)
        return os.read(fd, 16) if ready else b""

    try:
        tty.setcbreak(fd)
        yield read
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
