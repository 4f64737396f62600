"""The courier: the thread of a worker that speaks to the manager while a task goes on.

It does nothing as long as tasks are short. When one overruns, it delivers what is finished, gives
back what has not been started, so that no task waits behind a long one, and beats the heart. It
also sees when the time of a task is up.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from masterworker.core.hand import Hand, Pace

    class Talker(Protocol):
        """What the courier needs of its worker."""

        hand: Hand
        heartbeat: float
        pace: Pace

        def deliver(self, *, give_back: bool) -> None:
            """Send what is finished, and what is being executed."""

        def seconds_silent(self) -> float:
            """Tell how long ago the last call ended."""

        def look_at_clock(self) -> None:
            """Break off what has taken too long, and show that this thread is alive."""


logger = logging.getLogger("masterworker.worker")

#: While a batch of several tasks is executed, look after it this often (seconds). A task that is
#: still the same at the next look has overrun, ...
LOOK = 0.025
#: ... unless tasks usually take long: then one that takes so many times as long.
OVERRUN = 2.0
#: Where tasks usually take only some milliseconds, look every so many of them, but not more often
#: than that (seconds). Where they take less than `SHORT`, looking would cost more than it saves.
SOON, OFTENEST, SHORT = 2.5, 0.005, 0.001

#: A batch that goes on for longer than this is broken up, also when each of its tasks is short.
LONGEST_BATCH = 0.25
#: While there are tasks with a time limit, look at the clock this often (seconds).
LIMIT_LOOK = 0.1


def look_after(task_seconds: float) -> float:
    """Tell how often to look after a batch of tasks that usually take so long; 0: not known."""
    return LOOK if task_seconds < SHORT else min(LOOK, max(OFTENEST, SOON * task_seconds))


class Courier:
    """Looks after one worker, in a thread of its own.

    Args:
        worker: Whose hand it watches.
    """

    def __init__(self, worker: Talker) -> None:
        self._worker = worker
        self._bell = threading.Event()
        self._stopped = False
        self._batch_began: float | None = None
        self._seen = 0.0
        self._limited = False
        self._thread = threading.Thread(target=self._run, name="masterworker-courier", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for a call that is under way, with a bound."""
        self._stopped = True
        self._bell.set()
        self._thread.join(timeout=2.0)

    def limit_begins(self) -> None:
        """A task with a time limit is about to be executed."""
        if not self._limited:
            self._limited = True
            self._bell.set()

    def batch_begins(self) -> None:
        """Several tasks are about to be executed."""
        self._batch_began = time.monotonic()
        self._bell.set()

    def batch_ends(self) -> None:
        """They are done."""
        self._batch_began = None

    def _run(self) -> None:
        worker = self._worker
        last = 0
        while not self._stopped:
            if self._batch_began is not None:
                pause = look_after(worker.pace.task_seconds)
            else:
                last = 0
                pause = LIMIT_LOOK if self._limited else worker.heartbeat / 2
            self._bell.wait(pause)
            self._bell.clear()
            try:
                last = 0 if self._stopped else self._look(last)
                worker.look_at_clock()
            except Exception:
                logger.exception("the courier stumbled; it goes on")
                last = 0

    def _look(self, last: int) -> int:
        worker, hand = self._worker, self._worker.hand
        current, began = hand.current, self._batch_began
        if began is not None and current and (hand.leases or hand.outcomes):
            now = time.monotonic()
            usual = worker.pace.task_seconds
            pause = look_after(usual)
            if current != last:
                self._seen = now - pause
            patience = max(2 * pause, OVERRUN * usual)
            if now - self._seen >= 0.9 * patience or now - began > LONGEST_BATCH:
                worker.deliver(give_back=True)
                self._batch_began = None
        elif current and worker.seconds_silent() >= worker.heartbeat:
            worker.deliver(give_back=False)
        return current
