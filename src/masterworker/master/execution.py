"""What executes the tasks of a job: workers, an engine that is there already, or this process."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from masterworker.errors import UsageError
from masterworker.launch import checks
from masterworker.machine import raise_descriptor_limit
from masterworker.master import forgotten
from masterworker.master.forgotten import WeakCallback
from masterworker.master.launcher import START_BOUND, Launcher, check_bounds
from masterworker.master.recursion_guard import require_a_place
from masterworker.master.through_engine import use

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masterworker.engine.opening import Engine
    from masterworker.engine.pilots.crews import Crews
    from masterworker.engine.slots import Slots
    from masterworker.launch.template.ahead import Ahead
    from masterworker.manager import Manager
    from masterworker.master.endpoint import Endpoint
    from masterworker.master.launcher import Bounds, WorkerOptions
    from masterworker.master.needs import Needs
    from masterworker.master.stored_program import StoredProgram
    from masterworker.worker.serial import SerialWorker

logger = logging.getLogger("masterworker.master")


class Execution:
    """What executes the tasks of one job. It does not keep the job alive.

    Args:
        label: The label of the job.
        manager: Its task manager.
        needs: Stores what an initializer refers to.
        program: The stored program.
        on_stuck: Called when nothing will be executed any more; must neither block nor raise.
        handlers: Functions by tag, for tasks that this process executes.
        serial: This process executes all of them.
        can_be_found: Workers from elsewhere can join.
    """

    def __init__(
        self,
        label: str,
        manager: Manager,
        needs: Needs,
        program: StoredProgram,
        on_stuck: Callable[[], None],
        handlers: Mapping[str, Callable[..., Any]],
        *,
        serial: bool,
        can_be_found: bool,
    ) -> None:
        self._label, self._manager, self._program = label, manager, program
        self._on_stuck, self._handlers = on_stuck, handlers
        #: Called as `on_stuck` is.
        self._when_stuck = WeakCallback()
        #: Executes tasks in this process; None: it does not.
        self.here: SerialWorker | None = None
        #: Launches workers; None: there never are any.
        self.launcher: Launcher | None = None
        #: Executes tasks through an engine that is there already; None: workers do.
        self.slots: Slots | None = None
        if serial:
            from masterworker.worker.serial import SerialWorker  # other masters execute nothing

            self.here = SerialWorker(manager, handlers)
        else:
            require_a_place()
            raise_descriptor_limit()
            self.launcher = Launcher(
                label, manager, needs, program, on_stuck, can_be_found=can_be_found
            )
        self._reach: tuple[Endpoint, Callable[[], None]] | None = None
        #: Its workers are the ranks of MPI, whatever number the program asks for.
        self._is_on_ranks = False

    def use(self, engine: Engine | None) -> None:
        """Let an engine execute the tasks, if the job has one; from now on they can be executed."""
        on_stuck = (self._on_stuck, self._when_stuck)
        self.slots = use(engine, self._manager, self._label, self._handlers, on_stuck)
        self._program.on_change = self.slots.program_changed if self.slots else None
        if self.launcher is not None:
            troubles, starting = self._manager.troubles, (self.slots or self.launcher)
            troubles.starting = forgotten.weakly(starting.describe_starting, "")
            troubles.ways_to_start = forgotten.weakly(self.launcher.describe_ways_to_start, "")

    def begin(self, endpoint: Endpoint, at_exit: Callable[[], None], ahead: Ahead | None) -> None:
        """Workers can join from now on.

        Args:
            endpoint: Where.
            at_exit: Ends the job with the program.
            ahead: A template of workers that has begun already; None: there is none.
        """
        assert self.launcher is not None  # noqa: S101  for the type checker
        self._reach = endpoint, at_exit
        local = self.launcher.local_workers
        local.socket, local.ahead = endpoint.socket, ahead
        self._is_on_ranks = self._join_ranks()

    @property
    def elsewhere(self) -> Launcher | Slots | None:
        """What executes tasks outside of this process; None: nothing does."""
        return self.slots or self.launcher

    @property
    def leave(self) -> Callable[[], object] | None:
        """What signs off that executes tasks, but for workers; None: nothing."""
        if self.here is not None:
            return partial(self._manager.leave, self.here.member_id)
        return None if self.slots is None else self.slots.leave

    def watch(self, on_stuck: Callable[[], None]) -> None:
        """Have a method called when nothing will be executed any more, and now: it may be so.

        Never, where workers from elsewhere can still join. The method's object is not kept.
        """
        if self.slots is not None:
            self._when_stuck.bind(on_stuck)
        elif self.launcher is not None and not self.launcher.can_be_found:
            self.launcher.when_stuck.bind(on_stuck)
        else:
            return
        on_stuck()

    def expect_others(self) -> None:
        """Workers from elsewhere can join from now on."""
        assert self.launcher is not None  # noqa: S101  for the type checker
        self.launcher.can_be_found = True

    # -- launching --------------------------------------------------------------------------

    def launch_workers(
        self,
        number: int | str,
        *,
        wait: bool,
        resources: Mapping[str, Any] | None = None,
        **given: Unpack[WorkerOptions],
    ) -> None:
        """Start workers on this machine, or in an engine; see `Master.launch_workers`."""
        bounds = check_bounds(**given)
        self._manager.looking.set(workers=number, **given)
        if bounds.on is not None and self.slots is not None:
            raise UsageError(
                "this job has an engine, which executes its tasks: give on= or engine="
            )
        if bounds.on is not None and self.launcher is not None:
            self._launch_in_engine(number, bounds, resources or {}, wait=wait)
            return
        many = checks.number_of_workers(number)
        if self.slots is not None:
            logger.info("%s workers are not started: the engine executes the tasks", many)
        elif self.launcher is not None and many and not self._is_on_ranks:
            self.launcher.launch(many, bounds, wait=wait)

    def _launch_in_engine(
        self, number: int | str, bounds: Bounds, resources: Mapping[str, Any], *, wait: bool
    ) -> None:
        assert self.launcher is not None  # noqa: S101  for the type checker
        from masterworker.engine.pilots.travelling import Order

        order = Order(
            max_tasks=bounds.max_tasks,
            idle_timeout=bounds.idle_timeout,
            lifetime=bounds.lifetime,
            initializer=self.launcher.prepare(bounds),
            memory_limit=bounds.memory_limit,
            start_timeout=bounds.start_timeout,
            output=bounds.output,
            preload=bounds.preload,
        )
        bound = (bounds.start_timeout or START_BOUND) if wait else None
        self._crews().launch(
            number, bounds.on, order, bounds.no_workers_timeout, resources, wait=bound
        )

    def _join_ranks(self) -> bool:
        """Have workers on the ranks, if `masterworker.mpi` runs this program and found some."""
        ranks = sys.modules.get("masterworker.engine.pilots.ranks")
        if self.slots is not None or ranks is None or ranks.of_program.executor is None:
            return False
        self._crews().launch_on_ranks()
        return True

    def _crews(self) -> Crews:
        """Return the workers in engines, which are loaded where a program has some."""
        assert self.launcher is not None and self._reach is not None  # noqa: S101, PT018
        if self.launcher.crews is None:
            from masterworker.engine.pilots.crews import Crews

            endpoint, at_exit = self._reach
            make = partial(endpoint.ticket, role="worker", one_run=True)
            self.launcher.crews = Crews(self._manager, make, self.launcher.on_crews, at_exit)
        return self.launcher.crews
