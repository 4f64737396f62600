"""The courier's looks at what its worker executes: when, and what follows from each.

Nothing follows as long as tasks are short. When one overruns, what is finished is delivered and
what has not been started is given back, so that no task waits behind a long one; and a long task
has its heart beaten for it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masterworker.conversation.worker.session import WorkerSession

#: While a batch of several tasks is executed, look after it this often (seconds). A task that is
#: still the same at the next look has overrun, ...
LOOK = 0.025
#: ... unless tasks usually take long: then one that takes this many times as long.
OVERRUN = 2.0
#: Where tasks usually take only some milliseconds, look once in the time of this many of them, but
#: not more often than that (seconds). Where they take less than `SHORT`, looking would cost more
#: than it saves.
SOON, OFTENEST, SHORT = 2.5, 0.005, 0.001

#: A batch that goes on for longer than this is broken up, also when each of its tasks is short.
LONGEST_BATCH = 0.25
#: While there are tasks with a time limit, look at the clock this often (seconds).
LIMIT_LOOK = 0.1


class Look(Enum):
    """What follows from a look."""

    NOTHING = "nothing"
    GIVE_BACK = "deliver what is finished, and give back what has not been started"
    BEAT = "deliver what is finished, and be heard of"


def look_after(task_seconds: float) -> float:
    """Return the seconds between looks after a batch of tasks that usually take this long.

    Args:
        task_seconds: 0: it is not known.
    """
    return LOOK if task_seconds < SHORT else min(LOOK, max(OFTENEST, SOON * task_seconds))


class Lookout:
    """What the courier knows between two looks.

    The main thread says when a batch begins and ends; each of that is one step.

    Args:
        session: Of the worker that it looks after.
    """

    def __init__(self, session: WorkerSession) -> None:
        self._session = session
        #: Since when several tasks are being executed; None: they are not, or are seen to.
        self.batch_began: float | None = None
        #: A task with a time limit has been executed.
        self.limited = False
        #: Which task the last look has seen, and when the first did that has seen it.
        self._last = 0
        self._seen = 0.0

    def pause(self) -> float:
        """Return how many seconds to wait before the next look."""
        if self.batch_began is not None:
            return look_after(self._session.pace.task_seconds)
        self._last = 0
        return LIMIT_LOOK if self.limited else self._session.heartbeat / 2

    def look(self, now: float) -> Look:
        """Return what is to be done now."""
        session, hand = self._session, self._session.hand
        last, current, began = self._last, hand.current, self.batch_began
        self._last = current
        if began is not None and current and (hand.leases or hand.outcomes):
            usual = session.pace.task_seconds
            pause = look_after(usual)
            if current != last:
                self._seen = now - pause
            patience = max(2 * pause, OVERRUN * usual)
            if now - self._seen >= 0.9 * patience or now - began > LONGEST_BATCH:
                return Look.GIVE_BACK
        elif current and now - session.last_call >= session.heartbeat:
            return Look.BEAT
        return Look.NOTHING

    def has_given_back(self) -> None:
        """Nothing waits behind the task any more: it needs signs of life, and no looks."""
        self.batch_began = None

    def forget(self) -> None:
        """What was to be done has failed: the next look is a first one."""
        self._last = 0
