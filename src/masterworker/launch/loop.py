"""The supervisor's one thread: waits for events, for others' wishes, and for the time to come."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("masterworker.launch")

#: Pause after an unexpected error (seconds).
STUMBLE: Final = 0.25


class Loop:
    """A thread that does one thing at a time.

    Args:
        next_due: Returns when it has something to do, by the monotonic clock; None: never.
        turn: Called after each wait, with the time.

    Thread-safe. What it calls must not block.
    """

    def __init__(self, next_due: Callable[[], float | None], turn: Callable[[float], None]) -> None:
        self._next_due, self._turn = next_due, turn
        self._wishes: deque[Callable[[float], None]] = deque()
        self._selector = selectors.DefaultSelector()
        # Sockets, since one that is closed is closed: its number cannot mean another file.
        self._bell, self._rope = socket.socketpair()
        for end in (self._bell, self._rope):
            end.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ, self._rung)
        self._closed = False
        self._thread = threading.Thread(
            target=self._run, name="masterworker-supervisor", daemon=True
        )

    @property
    def has_begun(self) -> bool:
        """Return whether the thread was started."""
        return self._thread.ident is not None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ask(self, wish: Callable[[float], None] = lambda _: None) -> None:
        """Let the thread do something; what it is given is the time. From signal handlers, too."""
        self._wishes.append(wish)
        with contextlib.suppress(OSError):  # full: it will wake anyway; closed: it has ended
            self._rope.send(b"x")

    def listen(self, fd: int, then: Callable[[float], object]) -> None:
        """Call something whenever there is something to read. For the thread itself."""
        self._selector.register(fd, selectors.EVENT_READ, then)

    def forget(self, fd: int | None) -> None:
        """Do not listen any more, if it did. For the thread itself."""
        if fd is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(fd)

    def close(self, seconds: float) -> None:
        """End the thread, and wait for it this many seconds at most."""
        self._closed = True
        if self.has_begun:
            self.ask()
            self._thread.join(seconds)
        else:
            self._free()

    def _rung(self, now: float) -> None:  # noqa: ARG002  as all that is called on an event
        with contextlib.suppress(BlockingIOError):
            self._bell.recv(4096)

    def _run(self) -> None:
        pause = threading.Event()
        while not self._closed:
            try:
                due = self._next_due()
                wait = None if due is None else max(0.0, due - time.monotonic())
                for key, _ in self._selector.select(wait):
                    key.data(time.monotonic())
                while self._wishes:
                    self._wishes.popleft()(time.monotonic())
                self._turn(time.monotonic())
            except Exception:  # all workers end with this thread
                logger.exception("the supervisor stumbled; it goes on")
                pause.wait(STUMBLE)
        self._free()

    def _free(self) -> None:
        self._selector.close()
        self._bell.close()
        self._rope.close()
