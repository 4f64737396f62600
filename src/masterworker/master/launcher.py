"""The master's side of workers on its own machine: how many, with what limits, executing what."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from masterworker import forks, wire
from masterworker.errors import Terminated, WorkerStartError
from masterworker.launch import checks
from masterworker.launch.local import LocalWorkers
from masterworker.launch.output import MARKED
from masterworker.launch.preload import check as check_preload
from masterworker.launch.spec import deadline_after
from masterworker.launch.worker_limits import STORED, WorkerLimits
from masterworker.machine import process_number
from masterworker.master.forgotten import WeakCallback
from masterworker.named import NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from masterworker.engine.pilots.crews import Crews
    from masterworker.launch.slot import Slot
    from masterworker.manager import Manager
    from masterworker.master.needs import Needs
    from masterworker.master.stored_program import StoredProgram

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
    start_timeout: float | None
    output: str
    preload: Iterable[str] | None
    on: Any
    no_workers_timeout: float | None


class Bounds(NamedTuple):
    """The same, checked: sizes in bytes, times in seconds."""

    max_tasks: int | None
    idle_timeout: float | None
    memory_limit: int | None
    lifetime: float | None
    initializer: Callable[[], object] | None
    start_timeout: float | None
    output: str
    preload: tuple[str, ...] | None
    #: The engine; None: this machine.
    on: Any
    no_workers_timeout: float | None


def check_bounds(  # noqa: PLR0913  as many as there are
    *,
    max_tasks: int | None = None,
    idle_timeout: float | None = None,
    memory_limit: int | str | None = None,
    lifetime: float | None = None,
    initializer: Callable[[], object] | None = None,
    start_timeout: float | None = None,
    output: str = MARKED,
    preload: Iterable[str] | None = None,
    on: Any = None,
    no_workers_timeout: float | None = None,
) -> Bounds:
    """Check what is said about workers.

    Raises:
        UsageError: One of these makes no sense.
    """
    return Bounds(
        checks.number_of_tasks(max_tasks),
        checks.span(idle_timeout),
        checks.memory_size(memory_limit),
        checks.span(lifetime),
        initializer,
        checks.span(start_timeout),
        checks.output_kind(output),
        check_preload(preload),
        on,
        checks.span(no_workers_timeout),
    )


class Launcher:
    """Launches workers for one job on this machine. Thread-safe.

    Args:
        label: The label of the job.
        manager: Its task manager.
        needs: Stores what an initializer refers to.
        stored: The program of the job.
        on_stuck: Called when no worker could start.
        can_be_found: Workers from elsewhere can join.
    """

    def __init__(
        self,
        label: str,
        manager: Manager,
        needs: Needs,
        stored: StoredProgram,
        on_stuck: Callable[[], None],
        *,
        can_be_found: bool,
    ) -> None:
        self._label = label
        self._manager = manager
        self._needs = needs
        self._stored = stored
        self._on_stuck = on_stuck
        #: Workers from elsewhere can join, so the job need not fail when its own do not start.
        self.can_be_found = can_be_found
        #: Called as `on_stuck` is, by the supervisor's thread: must neither block nor raise.
        self.when_stuck = WeakCallback()
        #: Called by the threads of supervisors and crews, which do not keep the job.
        self.on_crews = on_change = WeakCallback()
        on_change.bind(self._on_workers)
        self.local_workers = LocalWorkers(
            label, partial(_attend, manager), on_change, stored.for_workers
        )
        #: Its workers in engines; None: none was ever launched there.
        self.crews: Crews | None = None
        self._is_stuck = False
        self._pid = os.getpid()

    def launch(self, number: int, bounds: Bounds, *, wait: bool) -> None:
        """Start workers; see `Master.launch_workers`."""
        initializer = self.prepare(bounds)
        end = deadline_after(bounds.lifetime)
        limits = WorkerLimits(bounds.max_tasks, bounds.idle_timeout, end, initializer)
        seed = self._stored.hash_seed
        started = self.local_workers.launch(
            *(number, limits, bounds.memory_limit, seed),
            *(bounds.output, bounds.start_timeout, bounds.preload),
        )
        if wait:
            self._wait_for_start(started, bounds.start_timeout)

    def prepare(self, bounds: Bounds) -> str:
        """Store what workers need. Returns the name of their initializer.

        Raises:
            Terminated: The job is over.
        """
        if self._manager.core.terminated:
            raise Terminated("the job is over: no more workers are launched")
        if os.getpid() != self._pid:
            forks.refuse()
        initializer = self._store_initializer(bounds.initializer)
        self._stored.bring_up_to_date()
        return initializer

    def require_workers(self) -> None:
        """Refuse to wait where no worker will ever execute anything.

        Raises:
            WorkerStartError: Says why no worker could start.
        """
        in_vain = "" if self.crews is None else self.crews.in_vain()
        if not in_vain and (not self._is_stuck or self.can_be_found or not (why := self._why())):
            return
        if self._manager.wait_for(lambda _: bool(self._manager.remote_workers()), 0.0):
            return
        if in_vain:
            raise WorkerStartError(in_vain)
        raise WorkerStartError(
            "no worker could start, so nothing will ever be done: none that this master has "
            f"launched, and without a label no other can join. The last one: {why}"
        )

    def describe_starting(self) -> str:
        """Say how many workers have been starting, for how long, and what they do; "": none are.

        Takes no lock.
        """
        starting = self.local_workers.starting()
        if not starting and self.crews:
            return self.crews.describe_starting()
        why = self.local_workers.why_no_template if starting else ""
        return f"{starting}, each as a program of its own: {why}" if why else starting

    def describe_ways_to_start(self) -> str:
        """Say why workers of this machine are no forks of a template, as far as they are not.

        Takes no lock.
        """
        workers = self.local_workers
        lines = {
            "the master starts each worker as a program of its own": workers.why_no_template,
            "each worker imports its libraries itself": workers.why_not_preloaded,
        }
        return "; ".join(f"{text}: {why}" for text, why in lines.items() if why)

    # -- inside -----------------------------------------------------------------------------

    def _store_initializer(self, initializer: Callable[[], object] | None) -> str:
        """Store what worker processes call first. Returns under which name."""
        if initializer is None:
            return ""
        import hashlib

        _, pickled, hold = self._needs.of_function(initializer)
        self._needs.keep(hold)  # a worker may start at any time
        name = f"initializer {hashlib.sha256(pickled).hexdigest()}"
        self._manager.put(wire.PROGRAM, name, pickled)
        return STORED + name

    def _why(self) -> str:
        """Return why no worker that was launched will ever work; "": some do, or may."""
        here = self.local_workers.trouble()
        if not self.crews:
            return here
        return self.crews.trouble() if here or not self.local_workers.has_any() else ""

    def _on_workers(self) -> None:
        """Workers have been started, or have ended; called by the supervisor's thread."""
        self._manager.notify()
        in_vain = self.crews is not None and bool(self.crews.in_vain())
        stuck = in_vain or bool(self._why())
        was_stuck, self._is_stuck = self._is_stuck, stuck
        if stuck and not was_stuck:
            self._on_stuck()  # first of all: an import needs a descriptor, and there may be none
            self.when_stuck()
            if self.can_be_found and not in_vain:
                import shlex  # hardly ever needed

                logger.warning(
                    "no worker of this master could start; the job waits for others: "
                    "task_manager worker %s",
                    shlex.quote(self._label),
                )

    def _wait_for_start(self, started: list[Slot], timeout: float | None) -> None:
        self._manager.wait_for(
            lambda core: (
                {slot.pid for slot in started}
                <= {process_number(m.info) for m in core.members.values()} - {None}
                or any(slot.trouble for slot in started)
            ),
            START_BOUND if timeout is None else timeout + START_BOUND,
        )
        for slot in started:
            if slot.trouble:
                self.local_workers.abandon(started)
                raise WorkerStartError(f"a worker that was launched did not start: {slot.trouble}")


def _attend(
    manager: Manager,
    name: str,
    alive: list[int],
    endings: list[wire.Ending],
    wait: float,
    usage: Sequence[wire.Usage] = (),
    still: Sequence[wire.Still] = (),
) -> Sequence[wire.SupervisorOrder]:
    """Let the supervisor of this process report, and ask for orders; see `Attendance`."""
    manager.looking.seen(name, usage, still)
    return manager.attend(name, alive, endings, wait)
