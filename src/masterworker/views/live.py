"""A job on the terminal, as long as it is looked at."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from masterworker.views import keys
from masterworker.views.screen import View, screen_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from masterworker.recorder.shapes import Snapshot

#: Seconds between two looks at keys and at the size of the window.
LOOK: Final = 0.25
#: How the styles of `screen` look; what they mean is also told by signs and words.
STYLES: Final = {
    "good": "green",
    "bad": "red",
    "busy": "yellow",
    "dim": "dim",
    "bold": "bold",
    "chosen": "reverse",
}


class Job(Protocol):
    """What is looked at. No method waits for the job."""

    def look(self) -> tuple[Snapshot, str, bool]:
        """Return how it stands, what is to be said besides, and whether there is no more to see."""

    def explain(self, task: str) -> None:
        """Begin to ask about a task."""

    def explained(self) -> tuple[str, Sequence[str]] | None:
        """Return the task that was asked about and what is known of it; None: it is not here."""


def show(label: str, job: Job) -> None:
    """Show a job until a key ends it, or there is nothing more to see.

    The last picture stays on the terminal, which is otherwise as it was, however this ends. It is
    so as well while this is stopped (Ctrl-Z); then it goes on (fg).

    Args:
        label: Its name.
        job: What is asked.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    # The size is that of the window, also where it was exported once.
    environment = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES"}}
    console = Console(highlight=False, _environ=environment)
    screen = _Screen(label, job, console)
    try:
        with _Stops() as stops:
            while screen.watch(stops):
                stops.stop()
    finally:
        snapshot, message, _ = job.look()
        console.print(_draw(label, snapshot, console, View(message=message, keys=False)))


class _Screen:
    """What is on the screen, and the keys that change it."""

    def __init__(self, label: str, job: Job, console: Console) -> None:
        self._label, self._job, self._console = label, job, console
        self._view = View()

    def watch(self, stops: _Stops) -> bool:
        """Show it until it is over, or has been left. True: it is only to be stopped."""
        with (
            _pressed() as pressed,
            Live(console=self._console, screen=True, auto_refresh=False) as live,
        ):
            while not stops.is_due:
                snapshot, message, last = self._job.look()
                told = self._job.explained()
                text = self._view.text
                if told is not None and text is not None and text[0] == f"task {told[0]}":
                    self._view = self._view._replace(text=(text[0], told[1]))
                view = self._view._replace(message=message)
                live.update(_draw(self._label, snapshot, self._console, view), refresh=True)
                if last:
                    return False
                for key in pressed(LOOK):
                    if key in keys.QUITS:
                        return False
                    self._view, task = keys.after(self._view, key, snapshot)
                    if task:
                        self._job.explain(task)
        return True


class _Stops:
    """Ctrl-Z, which is obeyed when the terminal is as it was; and going on after it."""

    def __enter__(self) -> Self:
        #: The terminal is to be given back for now.
        self.is_due = False
        self._is_continued = False
        self._before = {
            number: signal.signal(number, self._note)
            for number in (signal.SIGTSTP, signal.SIGCONT)
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def stop(self) -> None:
        """Stop this process, unless it was stopped by others already and goes on."""
        if not self._is_continued:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTSTP)  # it goes on behind this when it is continued
            signal.signal(signal.SIGTSTP, self._note)
        self.is_due = self._is_continued = False

    def _note(self, number: int, _: Any) -> None:
        self.is_due = True
        self._is_continued = number == signal.SIGCONT


def _draw(label: str, snapshot: Snapshot, console: Console, view: View) -> Text:
    """Return what is on the screen."""
    width, height = console.size
    text = Text(no_wrap=True, overflow="crop", end="")
    for n, line in enumerate(screen_of(label, snapshot, width, height, view)):
        text.append("\n" if n else "")
        for piece, style in line:
            text.append(piece, STYLES.get(style, ""))
    return text


@contextmanager
def _pressed() -> Iterator[Callable[[float], Sequence[bytes]]]:
    """Read keys, which are not echoed; the terminal is as before when this ends."""
    fd = sys.stdin.fileno()
    if not os.isatty(fd):  # of a script that is read from there, say
        yield lambda seconds: select.select([], [], [], seconds)[0]
        return
    before = termios.tcgetattr(fd)

    def read(seconds: float) -> Sequence[bytes]:
        ready, _, _ = select.select([fd], [], [], seconds)
        if not ready:
            return []
        # Nothing: the terminal is gone.
        return keys.split(os.read(fd, 256)) or [b"q"]

    try:
        tty.setcbreak(fd)
        yield read
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
