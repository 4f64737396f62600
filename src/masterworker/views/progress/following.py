"""Follows a `map` in a thread of its own, and has it shown, until that is over or left.

So what is shown stays true while the program works with a result, and while it waits for one that
comes late: it counts what is settled, not what has been yielded.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from masterworker.views.progress.state import Watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.views.progress.state import Counts, State

logger = logging.getLogger("masterworker.views")

#: Seconds between two looks.
PERIOD: Final = 0.2
#: Seconds that the end of a loop waits for the last picture, at most.
LAST: Final = 2.0


class Display(Protocol):
    """Where a `map` is shown."""

    def show(self, state: State) -> None:
        """Show how it stands; the last time if it says so."""


#: The threads in which loops go on that are shown, once for each loop.
_loops: Final[list[int]] = []


class Follower:
    """Shows one `map`. Ends by itself when nothing is left to be settled.

    Args:
        watched: What is looked at.
        display: Where it is shown.
        is_over: Says that the job has ended.
    """

    def __init__(self, watched: Watched, display: Display, is_over: Callable[[], bool]) -> None:
        self._watched, self._display, self._is_over = watched, display, is_over
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="masterworker-progress", daemon=True)
        self._thread.start()
        self._loop: int | None = threading.get_ident()
        _loops.append(self._loop)

    def close(self) -> None:
        """Show how it stands a last time. May be called from a finalizer, so it waits briefly."""
        self._closed.set()
        if self._loop is not None:
            _loops.remove(self._loop)
            self._loop = None
        # At the end of the interpreter the thread stands still; a fork has none.
        if not sys.is_finalizing() and threading.current_thread() is not self._thread:
            self._thread.join(LAST)

    def _run(self) -> None:
        try:
            state = self._watched.look(time.monotonic())
            while not state.counts.is_over and not self._is_over():
                self._display.show(state)
                if self._closed.wait(PERIOD):
                    break
                state = self._watched.look(time.monotonic())
            self._display.show(self._watched.look(time.monotonic(), is_last=True))
        except Exception as error:  # the stream is closed, or the disk full: the job goes on
            logger.debug("progress is not shown any more: %r", error)


def follow(
    name: str, counts: Callable[[], Counts], workers: Callable[[], int], is_over: Callable[[], bool]
) -> Follower | None:
    """Show a `map` from now on; None where that is not wanted, or there is nowhere to show it.

    Args:
        name: Of the function or tag.
        counts: Says how many tasks there are. As the next ones, is called in another thread.
        workers: Says how many workers there are.
        is_over: Says that the job has ended.
    """
    if os.environ.get("TQDM_DISABLE", "0").lower() not in {"", "0", "false"}:
        return None
    try:
        display = _choose(name, counts().total)
        if display is None:
            return None
        watched = Watched(name, counts, workers, time.monotonic())
        return Follower(watched, display, is_over)
    except (RuntimeError, OSError, ValueError) as error:  # no more threads, a closed stream
        logger.warning("no progress is shown: %s", error)
        return None


def _choose(name: str, total: int | None) -> Display | None:
    """Return where it is to be shown: in a notebook, on a terminal, or as lines of a log."""
    from masterworker.views.progress import displays

    is_inner = threading.get_ident() in _loops
    if displays.in_notebook():
        return displays.Notebook(is_inner=is_inner)
    stream = sys.stderr
    if stream is None:  # of a program without a terminal
        return None
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return displays.Lines(stream, is_inner=is_inner)
    try:
        return displays.Terminal(name, total, is_inner=is_inner)
    except ImportError:
        logger.warning(
            "no progress bar is shown without tqdm: pip install 'masterworker[progress]'"
        )
        return displays.Lines(stream, is_inner=is_inner)
