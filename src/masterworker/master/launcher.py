"""The master's side of workers on its own machine: how many, with what limits, executing what."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, TypedDict

from masterworker import program, wire
from masterworker.checking import keywords_of, known_keywords, refuse
from masterworker.errors import Terminated, WorkerStartError
from masterworker.launch import options
from masterworker.launch.local import LocalWorkers
from masterworker.launch.parent import STORED, WorkerLimits
from masterworker.machine import process_number, raise_descriptor_limit
from masterworker.master.changes import Changes
from masterworker.master.forgotten import weakly
from masterworker.master.recursion_guard import require_a_place
from masterworker.master.results import Requests
from masterworker.surroundings import python

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masterworker.launch.slot import Slot
    from masterworker.manager import Manager

logger = logging.getLogger("masterworker.master")

#: Seconds within which a launched worker must be there, or its failure be known.
START_BOUND = 5.0


class WorkerOptions(TypedDict, total=False):
    """What can be said about workers that are launched; see `Master.launch_workers`."""

    max_tasks: int | None
    idle_timeout: float | None
    memory_limit: int | str | None
    lifetime: float | None
    initializer: Callable[[], object] | None


def check_worker_options(kind: type[Launching], given: Mapping[str, object]) -> None:
    """Refuse what `launch_workers` would not know.

    Args:
        kind: The class of masters; what its constructor takes is told as well.
        given: What was given to it beyond that.

    Raises:
        UnknownKeywordError: Says what may be meant.
    """
    known = frozenset(WorkerOptions.__annotations__)
    if given.keys() - known:
        refuse(kind.__name__, given, known | keywords_of(kind.__init__))


class Launching(Requests):
    """What a master knows of the workers that it launches.

    Args:
        label: The label of the job.
        manager: Its task manager.
        serial: There are no workers: the master executes everything itself.
    """

    def __init__(self, label: str, manager: Manager, *, serial: bool) -> None:
        if not serial:
            require_a_place()
        super().__init__(manager)
        if not serial:
            raise_descriptor_limit()
        self.label = label
        self.manager = manager
        #: Others can find this job, so that it need not fail when its own workers do not start.
        self.can_be_found = True
        self.local_workers = LocalWorkers(label, manager.attend, weakly(self._on_workers))
        self._is_stuck = False
        self._is_serial = self.one_by_one = serial
        self._changes = None if serial else Changes(manager)
        self._hash_seed = python.hash_seed(manager.instance)
        self._program: program.Program | None = None

    def store_program(self, what: program.Program) -> None:
        """Store what workers execute that are started from the label alone."""
        ours = what.surroundings._replace(hash_seed=self._hash_seed)
        self._program = what._replace(surroundings=ours)
        self.manager.put(wire.PROGRAM, program.KEY, self._program.encode())
        self.manager.program_digest = what.digest

    def forget_program(self) -> None:
        """Forget what was stored: no more workers can be started from the label alone."""
        self.manager.drop(wire.PROGRAM, program.KEY)
        self.manager.program_digest = ""

    @known_keywords("launch_workers")
    def launch_workers(
        self,
        number: int | str = 1,
        *,
        wait: bool = False,
        max_tasks: int | None = None,
        idle_timeout: float | None = None,
        memory_limit: int | str | None = None,
        lifetime: float | None = None,
        initializer: Callable[[], object] | None = None,
    ) -> None:
        """Start workers on this machine. One that dies is replaced; all end with this process.

        Args:
            number: How many; "auto" is one for each processor that may be used.
            wait: Return when they are there, or after 5 s.
            max_tasks: After so many tasks a worker process is replaced by a new one.
            idle_timeout: After so many seconds without a task a worker leaves.
            memory_limit: A worker with more memory than this is killed: bytes, or "500M".
            lifetime: After so many seconds these workers leave, and give back what they have not
                finished.
            initializer: Called by each worker process before its first task.

        Raises:
            WorkerStartError: With `wait`: one of them ended at once. Shows its stderr.
            UsageError: One of these makes no sense.
        """
        number = options.number_of_workers(number)
        max_tasks = options.number_of_tasks(max_tasks)
        idle_timeout, lifetime = options.span(idle_timeout), options.span(lifetime)
        size = options.memory_size(memory_limit)
        if self._is_serial or not number:
            return
        end = options.deadline_after(lifetime)
        limits = WorkerLimits(max_tasks, idle_timeout, end, self._store_initializer(initializer))
        if self.manager.core.terminated:
            raise Terminated("the job is over: no more workers are launched")
        if self._program is not None and self._program.kind == program.GENERIC:
            self.store_program(program.generic())  # folders and settings of this moment
        started = self.local_workers.launch(number, limits, size, self._hash_seed)
        if wait:
            self._wait_for_start(started)

    def _stop_workers(self, seconds: float) -> None:
        """Wait for all to end by themselves, for so long; then end them."""
        if self._changes is not None:
            self._changes.close()
        self.local_workers.stop(seconds)

    def _store_initializer(self, initializer: Callable[[], object] | None) -> str:
        """Store what worker processes call first. Returns under which name."""
        if initializer is None:
            return ""
        import hashlib

        _, pickled, hold = self.needs.of_function(initializer)
        self.needs.keep(hold)  # a worker may start at any time
        name = f"initializer {hashlib.sha256(pickled).hexdigest()}"
        self.manager.put(wire.PROGRAM, name, pickled)
        return STORED + name

    def _on_workers(self) -> None:
        """Workers have been started, or have ended; called by the supervisor's thread."""
        self.manager.notify()
        stuck = bool(self.local_workers.trouble())
        if stuck and not self._is_stuck:
            import shlex  # hardly ever needed

            self._wake()
            if self.can_be_found:
                logger.warning(
                    "no worker of this master could start; the job waits for others: "
                    "task_manager worker %s",
                    shlex.quote(self.label),
                )
        self._is_stuck = stuck

    def _tell_starting(self) -> str:
        starting = self.local_workers.starting()
        if not starting:
            return ""
        since = time.monotonic() - starting[0]
        many = "1 worker process has" if len(starting) == 1 else f"{len(starting)} of them have"
        return f"; {many} been starting for {since:.0f} s (importing, or in the initializer)"

    def _require_workers(self) -> None:
        """Refuse to wait where nobody will ever execute anything.

        Raises:
            WorkerStartError: Says why no worker could start.
        """
        if not self._is_stuck or self.can_be_found or not (why := self.local_workers.trouble()):
            return
        if self.manager.wait_for(lambda _: bool(self.manager.remote_workers()), 0.0):
            return
        raise WorkerStartError(
            "no worker could start, so nothing will ever be done: none that this master has "
            f"launched, and without a label nobody else can join. The last one: {why}"
        )

    def _wait_for_start(self, started: list[Slot]) -> None:
        self.manager.wait_for(
            lambda core: (
                {slot.pid for slot in started}
                <= {process_number(m.info) for m in core.members.values()}
                or any(slot.trouble for slot in started)
            ),
            START_BOUND,
        )
        for slot in started:
            if slot.trouble:
                self.local_workers.abandon(started)
                raise WorkerStartError(f"a worker that was launched did not start: {slot.trouble}")
