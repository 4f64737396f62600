"""Where a `map` is shown: a bar of tqdm on a terminal, lines in a log, HTML in a notebook.

In a log there is no bar: one that goes back to the beginning of its line makes one endless line
there (tqdm#750). In a notebook there is no widget: what those show is not in the saved file, or as
it was at first (tqdm#1120).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

if TYPE_CHECKING:
    from typing import TextIO

    from masterworker.views.progress.state import State

#: A log has its first line after this time (seconds), and then ever fewer: each pause is longer by
#: a half, up to the longest.
FIRST_LINE: Final = 5.0
LONGEST_PAUSE: Final = 300.0


class Terminal:
    """A bar of tqdm. One inside of another is below it, and gone when it is done.

    Args:
        name: What is in front of it.
        total: How many tasks there will be; None: that is not known.
        is_inner: It is inside of another.

    Raises:
        ImportError: There is no tqdm.
    """

    def __init__(self, name: str, total: int | None, *, is_inner: bool) -> None:
        from tqdm import tqdm

        more = {"leave": not is_inner, "mininterval": 0, "miniters": 0, "ncols": _columns()}
        self._bar: Any = tqdm(total=total, desc=name, unit="task", **more)

    def show(self, state: State) -> None:
        """See `Display.show`."""
        bar, counts = self._bar, state.counts
        bar.desc = f"{state.name}: "
        bar.total, bar.ncols = counts.total, _columns()
        bar.set_postfix_str(state.extras(), refresh=False)
        new = counts.settled - bar.n
        if new > 0:  # else the time since the last one would count as none
            bar.update(new)
        else:
            bar.refresh()
        if state.is_last:
            bar.close()


class Lines:
    """Lines of text, now and again, and one at the end; of one inside of another if it took long.

    Args:
        stream: Where they go.
        is_inner: It is inside of another.
    """

    def __init__(self, stream: TextIO, *, is_inner: bool) -> None:
        self._stream, self._is_inner = stream, is_inner
        self._pause = self._next = FIRST_LINE

    def show(self, state: State) -> None:
        """See `Display.show`."""
        if state.elapsed < self._next and (not state.is_last or self._is_brief):
            return
        self._pause = min(1.5 * self._pause, LONGEST_PAUSE)
        self._next = state.elapsed + self._pause
        self._stream.write(f"{state.line()}\n")
        self._stream.flush()

    @property
    def _is_brief(self) -> bool:
        return self._is_inner and self._next == FIRST_LINE


class Notebook:
    """HTML below the cell, which is exchanged, and stays as it was at the end.

    Args:
        is_inner: It is inside of another: it is empty at the end, and the next one takes its place.
    """

    #: The ids of those that are empty.
    _free: Final[list[str]] = []

    def __init__(self, *, is_inner: bool) -> None:
        self._is_inner = is_inner
        self._shown = ""
        if not is_inner:
            self._free.clear()
        self._id = self._free.pop() if self._free else ""
        if not self._id:
            self._id = uuid4().hex
            self._publish("", "")

    def show(self, state: State) -> None:
        """See `Display.show`."""
        from masterworker.views.progress.html import bar

        text = "" if state.is_last and self._is_inner else state.line()
        if text != self._shown:
            self._shown = text
            self._publish(text, bar(state) if text else "", update=True)
        if state.is_last and self._is_inner:
            self._free.append(self._id)

    def _publish(self, text: str, html: str, **more: bool) -> None:
        display = sys.modules["IPython.display"].display
        display({"text/plain": text, "text/html": html}, raw=True, display_id=self._id, **more)


def _columns() -> int:
    """Return how wide a bar may be: with room for the "^C" of Ctrl-C, which else makes it two."""
    try:
        return max(20, os.get_terminal_size(sys.stderr.fileno()).columns - 3)
    except (OSError, ValueError):  # it is no terminal in truth
        return 77


def in_notebook() -> bool:
    """Return whether this program is a notebook, whose front end shows HTML."""
    found = sys.modules.get("IPython")
    shell = None if found is None else found.get_ipython()
    return getattr(shell, "kernel", None) is not None and "IPython.display" in sys.modules
