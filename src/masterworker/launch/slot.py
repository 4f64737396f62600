"""The place of one worker process: which one comes next, and when.

A worker that has worked is replaced at once: a task that ends its workers is given up after three.
One that ended before is started again after a pause, which grows, and not for ever.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from masterworker.launch import exits

if TYPE_CHECKING:
    from masterworker.launch.process import WorkerProcess
    from masterworker.launch.spec import Spec

#: First and longest pause before a worker that did not start is tried again (seconds).
PAUSES: Final = (0.1, 30.0)
#: Failed starts in a row after which a slot is given up.
TRIES: Final = 5


class Reason(Enum):
    """What the end of a worker process means."""

    #: It left in good order.
    LEFT = "left"
    #: It has done what one process should do.
    RECYCLED = "recycled"
    #: It ended in the middle of its work.
    FELL = "fell"
    #: It did not come to work at all.
    FAILED = "failed"
    #: It did not come to work in time.
    OVERDUE = "overdue"
    #: It will never work, however often it is tried.
    HOPELESS = "hopeless"
    #: It says that its master is gone.
    ORPHANED = "orphaned"


def reason_of(chosen: int | None, *, worked: bool, overdue: bool = False) -> Reason:
    """Judge the end of a worker process.

    Args:
        chosen: The exit status that the worker itself has chosen; None: a handler or the system
            has ended the process.
        worked: It has executed or begun a task.
        overdue: It was ended since it did not come to work in time.
    """
    if overdue:
        return Reason.OVERDUE
    if chosen in exits.LEFT:
        return Reason.LEFT
    if chosen == exits.RECYCLED:
        return Reason.RECYCLED
    if chosen == exits.MASTER_GONE:
        return Reason.ORPHANED
    if chosen in exits.HOPELESS:
        return Reason.HOPELESS
    return Reason.FELL if worked else Reason.FAILED


class Slot:
    """Where one worker after the other works.

    Args:
        spec: What kind of worker.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.process: WorkerProcess | None = None
        #: When the next one is to be started; None: not at all, as long as things are as they are.
        self.due: float | None = 0.0
        #: A template has been asked for one, and has not answered.
        self.is_asked = False
        #: The next one waits until then at most for a template to become ready, or has waited; and
        #: nothing has become of a template since.
        self.held_until: float | None = None
        self.is_held = False
        #: The next one is started as a program of its own.
        self.is_plain = False
        #: Starts in a row that have failed.
        self.failures = 0
        #: A process has worked here.
        self.has_worked = False
        #: No process will work here any more.
        self.closed = False
        #: What was said of the last one that failed to start; "" if it did not.
        self.trouble = ""

    def is_due(self, now: float) -> bool:
        """Return whether a process is to be started here now."""
        return self.process is None and (due := self.next_due) is not None and due <= now

    @property
    def next_due(self) -> float | None:
        """When a process is to be started here; None: not at all, as long as things are so."""
        if self.due is None or self.held_until is None or not self.is_held:
            return self.due
        return max(self.due, self.held_until)

    @property
    def was_tried(self) -> bool:
        """Return whether the first one has been started, or could not be."""
        return self.process is not None or self.due != 0.0 or self.held_until is not None

    @property
    def is_done(self) -> bool:
        """Return whether there is no process here, and none will come."""
        return self.closed and self.process is None and not self.is_asked

    @property
    def gave_up(self) -> bool:
        """Return whether no process will come because the last one did not start."""
        return self.is_done and bool(self.trouble)

    @property
    def pid(self) -> int | None:
        """The process id of the worker that is here; None: none is."""
        return None if self.process is None else self.process.pid

    def close(self) -> None:
        """Start no more processes here."""
        self.closed = True
        self.due = None

    def after(self, reason: Reason, now: float) -> None:
        """The worker that was here has ended: decide what comes next."""
        self.process = None
        if reason is Reason.LEFT or reason is Reason.HOPELESS or self.closed:
            self.close()
        elif reason is Reason.RECYCLED or reason is Reason.FELL:
            self.failures, self.has_worked = 0, True
            self.due = now
        else:
            self.failures += 1
            self.is_plain = True  # in case it is the fault of a template
            first, longest = PAUSES
            self.due = now + min(longest, first * 2 ** (self.failures - 1))
            # The caller waits for a start that hangs each time, and has said for how long.
            if self.failures >= TRIES or (reason is Reason.OVERDUE and not self.has_worked):
                self.close()
        deadline = self.spec.limits.deadline
        if self.due is not None and deadline is not None and self.due >= deadline:
            self.close()
