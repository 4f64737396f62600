"""Functions that end one of the processes that execute them. For workers: a module of its own."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

#: At this call of its own a process dies, if it is the first one.
FATAL = 3

_calls = 0


class Perilous:
    """A function; one of the worker processes that call it is killed in the middle of a call.

    Args:
        function: What is called.
        marker: A file that is there when a process has been killed.
    """

    def __init__(self, function: Any, marker: Path) -> None:
        self.function = function
        self.marker = marker
        self.home = os.getpid()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        global _calls
        _calls += 1
        if _calls >= FATAL and os.getpid() != self.home and self._is_first():
            os.kill(os.getpid(), signal.SIGKILL)
        return self.function(*args, **kwargs)

    def _is_first(self) -> bool:
        if self.marker.exists():
            return False
        try:
            self.marker.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
