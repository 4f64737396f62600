"""A Ctrl-C at each point of a call at which Python looks for signals, one after the other.

Such points are the beginning of a function, what follows the call of a function that is written
in C, and the end of a turn of a loop; see the interpreter's `eval_breaker`. A tracer counts them
in the code of the package, and lets the handler of SIGINT run at the one that is wanted, or raises
there whatever the handlers do, as `PyThreadState_SetAsyncExc` would.
"""

from __future__ import annotations

import _signal
import dis
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import masterworker

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

PACKAGE = str(Path(masterworker.__file__).parent)
#: After these Python looks; not after `CALL` if a Python function was called, which looks itself.
_LOOKING = {"RESUME", "CALL", "CALL_KW", "CALL_FUNCTION_EX", "JUMP_BACKWARD"}


class Interruption:
    """Runs calls, each interrupted at one point.

    Args:
        at: The number of that point, from 0.
        anyway: Raise, even where signals are held.
    """

    def __init__(self, at: int, *, anyway: bool = False) -> None:
        self.left = at
        self.came = False
        #: Where, for whoever has to find out what went wrong.
        self.where = ""
        self._anyway = anyway
        self._before: tuple[FrameType | None, bool] = (None, False)
        self._looks: dict[CodeType, dict[int, bool]] = {}

    def run(self, call: Callable[[], Any]) -> Any:
        """Make a call. Raises `KeyboardInterrupt` if it was interrupted."""
        sys.settrace(self._enter)
        try:
            return call()
        finally:
            sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            self._before = frame, False
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._step

    def _step(self, frame: FrameType, event: str, argument: object) -> Any:
        if event != "opcode" or self.came:
            self._before = frame, False
            return self._step
        known, looks = self._before
        if known is frame and looks:
            self.left -= 1
            if self.left < 0:
                self._interrupt(frame)
        code = frame.f_code
        table = self._looks.get(code)
        if table is None:
            found = dis.get_instructions(code)
            table = self._looks[code] = {i.offset: i.opname in _LOOKING for i in found}
        self._before = frame, table[frame.f_lasti]
        return self._step

    def _interrupt(self, frame: FrameType) -> None:
        self.came = True
        name = Path(frame.f_code.co_filename).relative_to(PACKAGE)
        self.where = f"{name}:{frame.f_lineno} {frame.f_code.co_name}"
        if self._anyway:
            raise KeyboardInterrupt
        handler = _signal.getsignal(signal.SIGINT)
        handler(signal.SIGINT, frame)
