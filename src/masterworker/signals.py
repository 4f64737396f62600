"""Steps of the main thread that no signal handler breaks off.

Python runs the handlers of signals in the main thread, at nearly any point of whatever it does, and
most of them raise: Ctrl-C is a `KeyboardInterrupt`, an alarm some code's timeout, SIGTERM a
`SystemExit`. Within `held` they wait: a note is taken in their place, and they run when it is over,
so nothing is left half done, and no signal is lost. It costs some microseconds, in the main thread
alone, and is for steps that are short and wait for nothing.

What can be done in one step needs no such thing: Python looks for signals when a function begins,
when a call of a function that is written in C has returned, and when a loop goes back. So such a
call with nothing but assignments before it is done, with them, or not at all.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import threading
from _thread import get_ident
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Handler = Callable[[int, FrameType | None], Any]

# Those of `signal` make an enumeration of what they return, which takes longer than all the rest.
_get: Final[Callable[[int], Any]] = _signal.getsignal
_set: Final[Callable[[int, Any], Any]] = _signal.signal
#: All that can have a handler.
_ALL: Final = tuple(sorted({*_signal.valid_signals()} - {_signal.SIGKILL, _signal.SIGSTOP}))


class Signals:
    """The signals of this process. Used through `held`, or in a thread known to be `main`."""

    def __init__(self) -> None:
        #: The thread in which handlers run.
        self.main = threading.main_thread().ident or 0
        self._depth = 0
        #: What all handlers were when it was last looked.
        self._known: tuple[Any, ...] = ()
        #: Those that can raise, by signal.
        self._handlers: dict[int, Handler] = {}
        #: What has come while they were held.
        self.came: dict[int, FrameType | None] = {}
        #: Called when something comes meanwhile: it ends a wait of the main thread.
        self.wake: Callable[[], object] | None = None
        self._noting: Handler = self._note
        os.register_at_fork(after_in_child=self._after_fork)

    def hold(self) -> None:
        """From now on no handler runs. Only in the main thread; `release` as often as this."""
        if self._depth:
            self._depth += 1
            return
        known = tuple(map(_get, _ALL))
        if known != self._known:
            self._look(known)
        handlers, noting = self._handlers, self._noting
        try:
            self._depth = 1
            for number in handlers:
                before = _set(number, noting)
                if before is not noting:
                    handlers[number] = before
        except BaseException:  # what came before, or the handler of one that is not held yet
            self._depth = 0
            self._let_go()
            raise

    def release(self) -> None:
        """Let handlers run again, first those whose signals have come. They may raise."""
        self._depth -= 1
        if not self._depth:
            self._let_go()

    # -- inside -----------------------------------------------------------------------------

    def _look(self, known: tuple[Any, ...]) -> None:
        """Take over what other code has changed of the handlers since."""
        pairs = zip(_ALL, known, strict=True)
        before, noting = self._handlers, self._noting
        self._handlers = {
            number: before[number] if handler is noting else handler
            for number, handler in pairs
            if callable(handler)
        }
        self._known = known

    def _let_go(self) -> None:
        noting = self._noting
        try:
            for number, handler in self._handlers.items():
                if _get(number) is noting:
                    _set(number, handler)
        finally:  # if one has raised here, the others give way when their signals come
            if self.came:
                self._catch_up()

    def _catch_up(self) -> None:
        number, frame = self.came.popitem()
        try:
            self._handlers[number](number, frame)
        finally:
            if self.came:
                self._catch_up()

    def _note(self, number: int, frame: FrameType | None) -> Any:
        """Stands in for all handlers."""
        if self._depth:
            self.came[number] = frame
            if self.wake is not None:
                self.wake()
            return None
        handler = self._handlers[number]
        _set(number, handler)
        return handler(number, frame)

    def _after_fork(self) -> None:
        """What came was for the parent; and the thread that has held signals may not be here."""
        before, self.main = self.main, get_ident()
        self.came.clear()
        self.wake = None
        if self.main != before:
            self._depth = 0
            self._let_go()


signals: Final = Signals()


class _Held:
    """See `held`."""

    __slots__ = ()

    def __enter__(self) -> None:
        if get_ident() == signals.main:
            signals.hold()

    def __exit__(self, *_: object) -> None:
        if get_ident() == signals.main:
            signals.release()


#: Within this, no signal handler runs.
held: Final = _Held()
