"""The stack of a thread, as lines of text: where it is, and nothing of the values that it has."""

from __future__ import annotations

import linecache
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

#: Frames that are told: the outermost, and the innermost.
OUTER: Final = 15
INNER: Final = 60
#: A line of source is not longer (characters).
LONGEST: Final = 200

_OURS: Final = __file__.rpartition("worker/")[0]
#: Where tasks are called from.
_CALLS: Final = frozenset(f"{_OURS}worker/{name}.py" for name in ("execution", "rows"))


def lines_of(thread_id: int) -> list[str]:
    """Return where a thread is, the innermost call last, as in a traceback.

    What is ours before the call of the task is left out. Costs some microseconds for each frame.

    Args:
        thread_id: Its `ident`.
    """
    places = _places(sys._current_frames().get(thread_id))
    calls = [n for n, (file, _, _) in enumerate(places) if file in _CALLS]
    first = calls[0] if calls else 0
    while calls and first < len(places) and places[first][0].startswith(_OURS):
        first += 1
    if calls and first == len(places):
        return ["in the function that was called, which is not written in Python"]
    del places[:first]
    left_out = len(places) - OUTER - INNER
    if left_out > 0:
        places[OUTER : OUTER + left_out] = []
    told = []
    for n, (file, number, name) in enumerate(places):
        if left_out > 0 and n == OUTER:
            told.append(f"... {left_out} calls are left out")
        told.append(f"{file}:{number}, in {name}")
        if source := linecache.getline(file, number).strip():
            told.append(f"    {source[:LONGEST]}")
    return told or ["its thread has ended"]


def _places(frame: FrameType | None) -> list[tuple[str, int, str]]:
    """Return file, line and function of all frames, at once: the thread goes on meanwhile."""
    places = []
    while frame is not None:
        code = frame.f_code
        places.append((code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_qualname))
        frame = frame.f_back
    return places[::-1]
