"""What a pool does next: submits a job, takes some back, asks the queue, or waits. Time comes in.

    submitted --queue: pending--> pending --queue or workers: running--> running --> gone
        '--no need for 30 s--> taken back     no worker has joined: a start that failed

Workers that join or leave are the truth; the queue's word comes second, and where it is not to be
had what was known stays. A job that runs is never taken back: its workers leave when they are idle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from masterworker.named import NamedTuple
from masterworker.pools.systems.system import State

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from masterworker.pools.systems.system import Entry

#: Between two submissions, and two looks at the queue (seconds).
SUBMISSIONS: Final = 2.0
LOOKS: Final = 15.0
#: A job that waits and is not needed is taken back after this time (seconds).
UNNEEDED: Final = 30.0
#: A job that the user takes back is not replaced for this time (seconds).
TAKEN_BACK: Final = 300.0
#: Starts that fail in a row before the pool is paused.
TRIES: Final = 3
#: Pauses after submissions that are refused, after jobs that vanish, and after jobs whose workers
#: took no task, though some waited: they may not execute them, or these do not fit (seconds).
REFUSED: Final = 60.0
VANISHED: Final = 120.0
USELESS: Final = 60.0
LONGEST_PAUSE: Final = 3840.0
#: A job that the queue does not list is gone after this many looks.
MISSED: Final = 2


class Submit(NamedTuple):
    """Submit one more job."""


class Cancel(NamedTuple):
    """Take these jobs back, unless they run."""

    jobs: tuple[str, ...]


class Remove(NamedTuple):
    """Take these jobs out of the queue: they have failed, and would stay there for ever."""

    jobs: tuple[str, ...]


class Look(NamedTuple):
    """Ask the queue how the jobs stand."""


class Job:
    """A job of the batch system that was submitted, and is not known to be over.

    Args:
        name: Its id.
        now: When it was submitted.
    """

    def __init__(self, name: str, now: float) -> None:
        self.name, self.submitted = name, now
        self.is_running = False
        #: Workers of it that are here, and whether there were any since it was queued last.
        self.here = 0
        self.has_joined = False
        #: Whether one of them has executed a task, and whether there was work all the time.
        self.has_worked, self.was_needed = False, True
        #: What the queue says: why it waits; when it is expected to start; when it ends.
        self.reason = self.start = self.end = ""
        #: Since when it is not needed; None: it is.
        self.unneeded: float | None = None
        self.is_taken_back = False
        #: Looks in a row in which the queue did not list it.
        self.missed = 0


class Elastic:
    """Decides for one pool. Not thread-safe.

    Args:
        least: Jobs that are there always.
        most: Jobs at once, at most: submitted, waiting and running ones.
        backlog: Jobs that wait at once, at most.
    """

    def __init__(self, least: int, most: int, backlog: int) -> None:
        self.least, self.most, self.backlog = least, most, backlog
        self.jobs: dict[str, Job] = {}
        #: Most workers that a job has had at once.
        self.workers_each = 1
        #: Jobs that are over, by how.
        self.ended = self.failed = self.cancelled = 0
        #: Why no more are submitted, until `resume`; "": they are.
        self.paused = ""
        #: Why the last submission was refused; "": it was not.
        self.refusal = ""
        #: The job whose start failed last.
        self.last_failed = ""
        self._need = 0
        self._failures = 0
        #: Jobs that may wait at once, doubled as jobs join; 0: the next has to show that it does.
        self._burst = 0
        self._next_submission = self._next_look = -math.inf
        #: Pauses after a submission that was refused, and after a job that vanished (seconds).
        self._refused = self._gone = 0.0
        #: The same after a job whose workers took no task, though there was work; and its id.
        self._useless = 0.0
        self.useless = ""
        #: Jobs that have failed, and are in the queue still.
        self._stuck: list[str] = []
        #: Until when jobs that the user took back are not replaced.
        self._held: list[float] = []
        self._finished = False

    # -- what happens -----------------------------------------------------------------------

    def need(self, workers: int) -> None:
        """Take note of how many workers of this pool could be used."""
        self._need = max(0, workers)

    def here(self, workers: Mapping[str, int], worked: Container[str] = ()) -> None:
        """Take note of how many workers jobs have here; 0: they had some, which have left.

        Args:
            workers: How many, by job.
            worked: Jobs of which one has executed a task.
        """
        for job in self.jobs.values():
            job.here = workers.get(job.name, 0)
            job.was_needed = job.was_needed and (self._need > 0 or not job.here)
            if job.name in worked and not job.has_worked:
                job.has_worked, self._useless, self.useless = True, 0.0, ""
            if job.here:
                self.workers_each = max(self.workers_each, job.here)
                job.is_running, job.unneeded, job.missed = True, None, 0
            if job.name in workers and not job.has_joined:
                job.has_joined = True
                self._burst = min(self.backlog, max(2, 2 * self._burst))
                self._failures, self._gone = 0, 0.0

    def submitted(self, name: str, now: float) -> None:
        """A job was submitted, and has this id."""
        self.jobs[name] = Job(name, now)
        self.refusal, self._refused = "", 0.0
        self._next_submission = now + SUBMISSIONS

    def refused(self, why: str, now: float) -> None:
        """A submission was refused, or it is not known whether it was not."""
        self.refusal = why
        self._refused = min(LONGEST_PAUSE, max(REFUSED, 2 * self._refused))
        self._next_submission = now + self._refused

    def listed(self, entries: Mapping[str, Entry] | None, now: float) -> None:
        """The queue has said how jobs stand; None: it has not."""
        self._next_look = now + LOOKS
        if entries is None:
            return
        for job in list(self.jobs.values()):
            entry = entries.get(job.name)
            if entry is None:
                job.missed += not job.here
                if job.missed >= MISSED:
                    self._vanished(job, now)
                continue
            job.missed = 0
            if entry.state is State.PENDING:
                self._pending(job, entry)
            elif entry.state is State.RUNNING:
                job.is_running, job.unneeded = True, None
                job.reason, job.end = "", entry.end
            elif not job.here:
                self._over(job, entry, now)

    def taken_back(self, names: Iterable[str]) -> None:
        """These jobs have been taken back by us: the queue will say that they are gone."""
        for name in names:
            if (job := self.jobs.get(name)) is not None:
                job.is_taken_back = True

    def resume(self) -> None:
        """Submit again after a pause."""
        self.paused = self.refusal = ""
        self._failures, self._next_submission = 0, -math.inf
        self._refused = self._gone = self._useless = 0.0
        self.useless = ""

    def finish(self) -> None:
        """The job of the master is over: take back all that waits, and submit no more."""
        self._finished = True

    # -- what is to be done -----------------------------------------------------------------

    def actions(self, now: float) -> list[Submit | Cancel | Remove | Look]:
        """Return what is to be done now. What it leads to is to be told before the next call."""
        wanted = self._wanted(now)
        waiting = [job for job in self.jobs.values() if not job.is_running]
        done: list[Submit | Cancel | Remove | Look] = []
        if self._stuck:
            done.append(Remove(tuple(self._stuck)))
            self._stuck.clear()
        if back := self._to_take_back(waiting, len(self.jobs) - wanted, now):
            done.append(Cancel(back))
        if len(self.jobs) < wanted and now >= self._next_submission and not self.paused:
            unproved = any(not job.has_joined for job in self.jobs.values())
            if len(waiting) < self._burst or not (self._burst or unproved):
                done.append(Submit())
        if self.jobs and now >= self._next_look:
            done.append(Look())
        return done

    def _wanted(self, now: float) -> int:
        self._held = [until for until in self._held if until > now]
        if self._finished:
            return 0
        most = max(0, self.most - len(self._held))
        return min(most, max(self.least, math.ceil(self._need / self.workers_each)))

    def _to_take_back(self, waiting: list[Job], surplus: int, now: float) -> tuple[str, ...]:
        """Return the jobs that wait and have not been needed for some time, the newest first."""
        there = [job for job in reversed(waiting) if not job.is_taken_back]
        surplus = max(0, surplus)
        for job in there[surplus:]:
            job.unneeded = None
        for job in there[:surplus]:
            job.unneeded = now if job.unneeded is None else job.unneeded
        return tuple(
            job.name
            for job in there[:surplus]
            if self._finished or (job.unneeded is not None and now - job.unneeded >= UNNEEDED)
        )

    # -- jobs that are over -----------------------------------------------------------------

    def _pending(self, job: Job, entry: Entry) -> None:
        if job.is_running and not job.here:  # it was queued again, under its old id
            job.is_running = job.has_joined = job.has_worked = False
            job.was_needed = True
        job.reason, job.start, job.end = entry.reason, entry.start, ""

    def _over(self, job: Job, entry: Entry, now: float) -> None:
        del self.jobs[job.name]
        if job.is_taken_back:
            self.cancelled += 1
        elif entry.state is State.CANCELLED:
            self.cancelled += 1
            self._held.append(now + TAKEN_BACK)
        elif entry.state is State.ENDED and entry.reason not in _WELL:
            self.ended += 1
        elif job.has_joined:
            self._ended(job, now)
        else:
            self._start_failed(job, entry.reason)
            if entry.state is State.STUCK:
                self._stuck.append(job.name)

    def _ended(self, job: Job, now: float) -> None:
        self.ended += 1
        if job.was_needed and not job.has_worked:
            self.useless = job.name
            self._useless = min(LONGEST_PAUSE, max(USELESS, 2 * self._useless))
            self._next_submission = max(self._next_submission, now + self._useless)

    def _vanished(self, job: Job, now: float) -> None:
        """The queue does not know it any more, and did not say how it ended."""
        del self.jobs[job.name]
        if job.is_taken_back:
            self.cancelled += 1
        elif job.has_joined:
            self._ended(job, now)
        else:  # it may have failed, or the user may have taken it back
            self.failed += 1
            self.last_failed = job.name
            self._burst = 0
            self._gone = min(LONGEST_PAUSE, max(VANISHED, 2 * self._gone))
            self._next_submission = max(self._next_submission, now + self._gone)

    def _start_failed(self, job: Job, how: str) -> None:
        self.failed += 1
        self._failures += 1
        self._burst = 0
        self.last_failed = job.name
        if self._failures >= TRIES and not self.paused:
            self.paused = f"{self._failures} jobs in a row ended before a worker joined"
            self.paused += f" (the last one: {how})" if how else ""


#: Words of ends that are good ones: no reason for a job without workers.
_WELL: Final = frozenset({"", "COMPLETED"})
