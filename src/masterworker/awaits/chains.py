"""Futures of an executor that a loop of asyncio waits for, as `run_in_executor` does.

asyncio chains its own future to one of an executor by a callback, which only wakes the loop. So
that callback needs no thread of its own: the thread that brings the outcome calls it, with no lock
held, and the loop opens the result. What takes long to open is opened in the thread of callbacks.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from masterworker import forks

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import Protocol

    from masterworker.awaits.loops import Bell
    from masterworker.awaits.loops import Future as Task
    from masterworker.awaits.loops import Router as Sleepers

    class Router(Sleepers, Protocol):
        """What chains ask of the router of outcomes."""

        #: The thread of callbacks.
        callbacks: Any


logger = logging.getLogger("masterworker.master")

#: A loop opens results of at most this size (bytes).
SMALL: Final = 1 << 14


def only_wakes(callback: object) -> bool:
    """Return whether a callback is one of asyncio's, which wakes a loop and returns."""
    return getattr(callback, "__module__", None) == "asyncio.futures"


class Chains:
    """The chains of one job. Thread-safe.

    Args:
        router: The job's router of outcomes.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._arrived: deque[tuple[Callable[[Any], object], Future[Any], Any]] = deque()
        #: Number of chains whose outcomes have not come. Guarded by the lock.
        self._open = 0
        self._lock = forks.rlock()
        self._sleeper: tuple[Bell, Callable[[], bool]] = self, self._has_news

    def add(self, callback: Callable[[Any], object], future: Future[Any], task: Task) -> None:
        """Let a loop be woken when a task is done.

        Args:
            callback: Wakes it.
            future: Given to the callback; knows the outcome as soon as the task does.
            task: The task.
        """
        with self._lock:
            self._open += 1
            if self._open == 1:
                self._router.sleepers.append(self._sleeper)
        self._router.about_to_wait()
        task._watch(partial(self._arrive, callback, future))
        if self._arrived:
            self.ring()

    def ring(self) -> None:
        """Wake the loops whose outcomes have come. In any thread, with no lock held."""
        while self._arrived:
            try:
                callback, future, outcome = self._arrived.popleft()
            except IndexError:  # another thread was faster
                return
            with self._lock:
                self._open -= 1
                if not self._open:
                    self._router.sleepers.remove(self._sleeper)
            self._wake(callback, future, outcome)

    def _wake(
        self, callback: Callable[[Any], object], future: Future[Any], outcome: object
    ) -> None:
        """Wake a loop. Never raises: the thread has others to wake, and a worker to answer."""
        if not _is_small(outcome):
            with contextlib.suppress(RuntimeError):  # no more threads: then the loop opens it
                self._router.callbacks.start()
                self._router.callbacks.post(partial(_open_first, callback), future)
                return
        try:
            callback(future)
        except RuntimeError:  # the loop is closed
            pass
        except Exception:  # it is a loop of another library
            logger.exception("a loop could not be woken for %r", future)

    def _arrive(self, callback: Callable[[Any], object], future: Future[Any], task: Any) -> None:
        self._arrived.append((callback, future, task._outcome))

    def _has_news(self) -> bool:
        return bool(self._arrived)


def _is_small(outcome: object) -> bool:
    """Return whether it takes a moment to open a result: it is short, or one of several."""
    return outcome.__class__ is tuple or (isinstance(outcome, bytes) and len(outcome) <= SMALL)


def _open_first(callback: Callable[[Any], object], future: Future[Any]) -> None:
    with contextlib.suppress(BaseException):  # the loop gets it as well
        future.exception()
    callback(future)
