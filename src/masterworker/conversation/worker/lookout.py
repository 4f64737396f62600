"""The courier's looks at what its worker executes: when, and what follows from each.

Nothing follows as long as tasks are short. When one goes on for some time, the manager is told that
it has begun. When one overruns, what is finished is delivered and what has not been started is
given back, so that no task waits behind a long one; and a long task has its heart beaten for it.
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

#: While anything is executed, look this often (seconds), so that the manager knows of a task
#: that it has begun when it has gone on for one to two times as long.
GLANCE = 0.015
#: After this many looks that have found nothing to be executed, look no more until there is.
IDLE_LOOKS = 20

#: A batch that goes on for longer than this is broken up, also when each of its tasks is short.
LONGEST_BATCH = 0.25
#: While there are tasks with a time limit, look at the clock this often (seconds).
LIMIT_LOOK = 0.1


class Look(Enum):
    """What follows from a look."""

    NOTHING = "nothing"
    GIVE_BACK = "deliver what is finished, and give back what has not been started"
    BEGUN = "deliver what is finished, and say what is being executed"
    LISTEN = "the same, since the manager has an order"
    BEAT = "the same, to be heard of"


def look_after(task_seconds: float) -> float:
    """Return the seconds between looks after a batch of tasks that usually take this long.

    Args:
        task_seconds: 0: it is not known.
    """
    return LOOK if task_seconds < SHORT else min(LOOK, max(OFTENEST, SOON * task_seconds))


class Lookout:
    """What the courier knows between two looks.

    The main thread says when a batch begins and ends; each of that is one step.
    `is_dozing` is written before it is looked whether there is anything to execute, and the main
    thread reads it when there is: so either it finds that it has to wake the courier, or the
    courier finds the batch.

    Args:
        session: Of the worker that it looks after.
    """

    def __init__(self, session: WorkerSession) -> None:
        self._session = session
        #: Since when several tasks are being executed; None: they are not, or are seen to.
        self.batch_began: float | None = None
        #: A batch is broken up after this time (seconds); and not before, for a single long task.
        self.longest_batch = LONGEST_BATCH
        self.is_patient = False
        #: A task with a time limit has been executed.
        self.limited = False
        #: The next look is far away: a batch that begins has to ring.
        self.is_dozing = True
        #: Which task the last look has seen, and since when it has been executed, at least.
        self._last = 0
        self._since = 0.0
        #: What follows from the last look is still to be done.
        self._has_missed = False
        self._pause = GLANCE
        self._idle_looks = 0

    def begins(self, now: float, *, alone: bool) -> bool:
        """Tasks are about to be executed. True: the courier has to look now.

        Args:
            now: The time.
            alone: It is one task, so there is nothing to give back.
        """
        self._last = self._idle_looks = self._session.started = 0
        if not alone:
            self.batch_began = now
            return True
        return self.is_dozing

    def pause(self) -> float:
        """Return how many seconds to wait before the next look."""
        if self.batch_began is not None:
            self.is_dozing = False
            self._pause = min(GLANCE, look_after(self._session.pace.task_seconds))
            return self._pause
        self._pause = GLANCE
        if self._is_awake() or self._has_missed:
            self.is_dozing = False
            return GLANCE
        return LIMIT_LOOK if self.limited else self._session.heartbeat / 2

    def look(self, now: float, *, has_order: bool = False) -> Look:
        """Return what is to be done now.

        Args:
            now: The time.
            has_order: The manager has left an order for this worker.
        """
        self._has_missed = False
        session, hand = self._session, self._session.hand
        last, current, began = self._last, hand.current, self.batch_began
        self._last = current
        if current != last:
            self._since = now - self._pause
        seconds = now - self._since
        if began is not None and current and (hand.leases or hand.outcomes):
            usual = session.pace.task_seconds
            patience = max(2 * look_after(usual), OVERRUN * usual)
            overruns = seconds >= 0.9 * patience and not self.is_patient
            if overruns or now - began > self.longest_batch:
                return Look.GIVE_BACK
        elif current and now - session.last_call >= session.heartbeat:
            return Look.BEAT
        if has_order:
            return Look.LISTEN
        if self._is_news(current) and seconds >= 0.9 * 2 * GLANCE:
            return Look.BEGUN
        return Look.NOTHING

    def _is_news(self, current: int) -> bool:
        """Return whether the manager does not know that this task is being executed."""
        return current not in {0, self._session.started}

    def _is_awake(self) -> bool:
        """Return whether to look again soon: there is something to do, or was a moment ago."""
        self.is_dozing = True
        hand = self._session.hand
        current = hand.current
        if hand.has_more or self._is_news(current):
            self._idle_looks = 0
        else:
            self._idle_looks += 1
        self.is_dozing = self._idle_looks > (0 if current else IDLE_LOOKS)
        return not self.is_dozing

    def has_given_back(self) -> None:
        """Nothing waits behind the task any more: it needs signs of life, and no looks."""
        self.batch_began = None

    def missed(self) -> None:
        """What follows from the last look could not be done: another thread is in a call."""
        self._has_missed = True

    def forget(self) -> None:
        """What was to be done has failed: the next look is a first one."""
        self._last = 0
