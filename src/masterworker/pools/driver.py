"""Carries out for one pool what `elastic` decides: submits, takes back, asks, and keeps the ids."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import shlex
import sys
import time
from typing import TYPE_CHECKING, Final

from masterworker.data.record import printable
from masterworker.errors import MasterworkerError
from masterworker.machine import job_in, job_title
from masterworker.pools import commands, keeping, queue
from masterworker.pools.commands import CommandError
from masterworker.pools.elastic import LOOKS, Cancel, Elastic, Look, Remove, Submit
from masterworker.pools.keeping import KeptJob, KeptPool
from masterworker.pools.systems import scripts
from masterworker.pools.systems.choice import check_options, system_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from masterworker.pools.keeping import Place
    from masterworker.pools.pool import Pool
    from masterworker.recorder.shapes import Snapshot

logger = logging.getLogger("masterworker.pools")

#: Seconds that workers have to finish what they are doing once the batch system says so.
GRACE: Final = 45.0
#: A ticket is good for this long, and a new one is written after a part of that (seconds).
VALID: Final = "30d"
RENEWED: Final = 86_400.0


#: Of submissions of this process; pools of one job have one folder.
_serials = itertools.count(1)


class Driver:
    """One pool in a batch system. Not thread-safe.

    Args:
        label: Of the job.
        pool: What is asked for.
        place: Where everything is kept.
        ticket: Makes a ticket of this job, valid for so long.
    """

    def __init__(self, label: str, pool: Pool, place: Place, ticket: Callable[[str], str]) -> None:
        self.pool, self.elastic = pool, Elastic(pool.min, pool.max, pool.backlog)
        self._label, self._place, self._new_ticket = label, place, ticket
        self._system = system_of(pool)
        #: Notes how it stands; called as soon as there is a new id.
        self.note: Callable[[], None] = lambda: None
        self._renew_at = 0.0
        self._next_cancel = -math.inf
        self._finishes = False
        self._outputs: dict[str, str] = {}
        self._failed, self._trouble = 0, ""
        #: What is known of the start that failed last; "": none has failed since one did not.
        self._failure = ""

    # -- for others -------------------------------------------------------------------------

    def check(self) -> None:
        """See `Driving.check`: the batch system, and options whose jobs can be followed."""
        check_options(self.pool)
        commands.require(self._system.programs, self._system.title)

    def shown(self) -> str:
        """See `Driving.shown`."""
        path = str(self._place.path / "job-1.sh")
        submit = self._system.submit(self.pool, path, self._title(), _output(path))
        return "\n".join([" ".join(_quoted(submit)), "", f"# {path}", self._script()])

    def turn(self, snapshot: Snapshot, need: int) -> None:
        """See `Driving.turn`."""
        here, worked = self._here(snapshot)
        if here:
            self._failure = ""
        self.elastic.need(need)
        self.elastic.here(here, worked)
        if self.elastic.jobs:  # those that wait are to find a ticket that is good
            with contextlib.suppress(MasterworkerError, OSError):
                self._renew()
        self._act()

    def here(self) -> int:
        """See `Driving.here`."""
        return sum(job.here for job in self.elastic.jobs.values())

    def most(self) -> int:
        """See `Driving.most`."""
        return self.pool.max * self.elastic.workers_each

    def resume(self) -> None:
        """See `Driving.resume`."""
        self.elastic.resume()

    def adopt(self, kept: KeptPool) -> None:
        """See `Driving.adopt`."""
        now = time.monotonic()
        for job in kept.jobs:
            self.elastic.submitted(job.name, now)

    def finish(self) -> None:
        """See `Driving.finish`."""
        self._finishes = True
        self.elastic.finish()
        self._act()

    def close(self) -> None:
        """Remove the ticket: a job that begins from now on ends at once."""
        self._place.remove(self._ticket_path().name)

    def waiting(self) -> list[str]:
        """See `Driving.waiting`."""
        jobs = self.elastic.jobs.values()
        return [job.name for job in jobs if not job.is_running and not job.is_taken_back]

    def kept(self) -> KeptPool:
        """See `Driving.kept`."""
        elastic = self.elastic
        jobs = [
            KeptJob(job.name, job.is_running, job.here, job.reason, job.start, job.end)
            for job in elastic.jobs.values()
        ]
        return KeptPool(
            self.pool.name,
            self._system.title,
            elastic.least,
            elastic.most,
            jobs,
            elastic.ended,
            elastic.failed,
            elastic.cancelled,
            elastic.paused,
            elastic.refusal or self._trouble or self._failure or self._useless(),
            keeping.encode(self.pool),
        )

    def _useless(self) -> str:
        if not self.elastic.useless:
            return ""
        return (
            f"workers of {job_title(self._system.title, self.elastic.useless)} took no task: they "
            "may execute none of those that wait, or none fits into the time of their job"
        )

    # -- inside -----------------------------------------------------------------------------

    def _here(self, snapshot: Snapshot) -> tuple[dict[str, int], set[str]]:
        """Return how many workers each job has here, of those that have or had any; and which work.

        Args:
            snapshot: Of the job.
        """
        titles = {job_title(self._system.title, name): name for name in self.elastic.jobs}
        here: dict[str, int] = {}
        worked: set[str] = set()
        for worker in snapshot.worker_list:
            if (name := titles.get(job_in(worker.info))) is not None:
                here[name] = here.get(name, 0) + (worker.left is None)
                if worker.tasks or worker.tag:
                    worked.add(name)
        return here, worked

    def _act(self) -> None:
        for action in self.elastic.actions(time.monotonic()):
            match action:
                case Submit():
                    self._submit()
                case Cancel(jobs):
                    self._cancel(jobs)
                case Remove(jobs):
                    self._remove(jobs)
                case Look():
                    self._look()
        if self.elastic.failed != self._failed:
            self._failed = self.elastic.failed
            self._say_failed()

    def _submit(self) -> None:
        stem = f"job-{os.getpid()}-{next(_serials)}"
        output = str(self._place.path / f"{stem}.out")
        try:
            self._renew()
            stays = len(self.elastic.jobs) < self.elastic.least
            text = self._script(stays=stays)
            script = self._place.write(f"{stem}.sh", text.encode(), 0o700)
            command = self._system.submit(self.pool, str(script), self._title(), output)
            job = self._system.job_of(_answer(command))
        except (MasterworkerError, OSError) as error:
            if str(error) != self.elastic.refusal:
                logger.warning("pool %s: no job was submitted: %s", self.pool.name, error)
            self.elastic.refused(str(error), time.monotonic())
            return
        self._outputs[job] = output
        self.elastic.submitted(job, time.monotonic())
        self.note()
        self._place.thin(len(self.elastic.jobs))
        logger.info("pool %s: submitted %s", self.pool.name, job_title(self._system.title, job))

    def _cancel(self, jobs: tuple[str, ...]) -> None:
        """Take back those that still wait, as the queue says now: they may have begun since."""
        now = time.monotonic()
        if now < self._next_cancel and not self._finishes:
            return
        self._next_cancel = now + LOOKS
        self._look()
        if self._trouble and not self._finishes:
            return
        known = self.elastic.jobs
        still = tuple(name for name in jobs if name in known and not known[name].is_running)
        if not still:
            return
        try:
            commands.run(self._system.cancel(still))
        except MasterworkerError as error:
            logger.warning("pool %s: jobs were not taken back: %s", self.pool.name, error)
            return
        self.elastic.taken_back(still)
        logger.info("pool %s: took back %s", self.pool.name, ", ".join(still))

    def _remove(self, jobs: tuple[str, ...]) -> None:
        """Take out what has failed, and would stay in the queue."""
        try:
            commands.run(self._system.cancel(jobs))
        except MasterworkerError as error:
            logger.warning("pool %s: jobs that failed still wait: %s", self.pool.name, error)

    def _look(self) -> None:
        entries = None
        try:
            entries = queue.ask(self._system, self.elastic.jobs)
            self._trouble = ""
        except MasterworkerError as error:
            if not self._trouble:
                logger.warning(
                    "pool %s: how its jobs stand is not known: %s", self.pool.name, error
                )
            self._trouble = str(error)
        self.elastic.listed(entries, time.monotonic())

    def _renew(self) -> None:
        """Write a new ticket, if it is time, as it is at first; jobs that wait will read it."""
        if time.monotonic() >= self._renew_at or not self._ticket_path().exists():
            self.renew()

    def renew(self) -> None:
        """See `Driving.renew`: with a new ticket the jobs that wait join the new run."""
        self._place.write(self._ticket_path().name, self._new_ticket(VALID).encode() + b"\n")
        self._renew_at = time.monotonic() + RENEWED

    def _ticket_path(self) -> Path:
        return self._place.path / "ticket"

    def _script(self, *, stays: bool = False) -> str:
        """Return the text of the script of a job, whose workers leave when idle or stay."""
        pool = self.pool
        worker = [pool.python or sys.executable, "-m", "masterworker.cli", "worker"]
        worker += ["--ticket", str(self._ticket_path()), "-n", pool.workers]
        worker += ["--until", "auto", "--grace", f"{GRACE:g}"]
        if not stays:
            worker += ["--idle-timeout", f"{pool.idle:g}"]
        return scripts.text(pool, worker)

    def _title(self) -> str:
        kept = "".join(c if c.isascii() and c.isalnum() else "_" for c in self._label)
        return f"mw-{kept[:30]}"

    def _say_failed(self) -> None:
        """Say what a job has printed of which no worker has joined, and whether others follow."""
        job = self.elastic.last_failed
        said = keeping.last_lines(self._outputs.get(job, ""))
        self._failure = f"{job_title(self._system.title, job)} ended before a worker joined"
        if said:
            self._failure += f"; it printed: {printable(' / '.join(said.splitlines()))}"
        logger.warning("pool %s: %s", self.pool.name, self._failure)
        if self.elastic.paused:
            logger.warning(
                "pool %s is paused: %s. Go on with: task_manager scale %s --resume",
                *(self.pool.name, self.elastic.paused, self._label),
            )


def _answer(command: list[str]) -> str:
    """Submit. Returns what was printed: also by a command that goes on when the job is queued."""
    try:
        return commands.run(command)
    except CommandError as error:
        if not error.printed:
            raise
        return error.printed


def _output(path: str) -> str:
    return path.removesuffix(".sh") + ".out"


def _quoted(command: list[str]) -> list[str]:
    return [shlex.quote(word) for word in command]
