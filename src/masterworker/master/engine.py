"""What is behind a `Master`: the parts of one job, put together.

Submitter --request, submit--> Manager <--Service-- Endpoint <== workers
Future, MapCall <--ResultRouter---'  '---OutcomeQueue--> retrieve_result, results
                                     '---Launcher--> workers on this machine
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Unpack

from masterworker import program, wire
from masterworker.data import definitions
from masterworker.errors import UsageError
from masterworker.launch import checks
from masterworker.launch.process_context import this_process
from masterworker.machine import process_info, raise_descriptor_limit, random_name
from masterworker.manager import Manager
from masterworker.master import forgotten
from masterworker.master.asking import Submission
from masterworker.master.changes import Changes
from masterworker.master.dead_letters import DeadLetters
from masterworker.master.endpoint import Endpoint
from masterworker.master.forgotten import WeakCallback
from masterworker.master.launcher import START_BOUND, Launcher, check_bounds
from masterworker.master.needs import Needs
from masterworker.master.outcomes import OutcomeQueue
from masterworker.master.record_keeper import RecordKeeper
from masterworker.master.recursion_guard import require_a_place
from masterworker.master.results import ResultRouter
from masterworker.master.shared import SharedValues
from masterworker.master.shutdown import JOURNAL, JobEnd, Parts
from masterworker.master.stored_program import StoredProgram
from masterworker.master.through_engine import choose, use
from masterworker.master.waiting import Waiting
from masterworker.named import NamedTuple
from masterworker.status.text import counted
from masterworker.streams.seeds import SeedBook, check_seed
from masterworker.transport.address import check_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from masterworker.core.census import Census
    from masterworker.core.task import Finished
    from masterworker.engine.pilots.crews import Crews
    from masterworker.engine.slots import Slots
    from masterworker.journal.journal import Journal
    from masterworker.launch.local import LocalWorkers
    from masterworker.launch.template.ahead import Ahead
    from masterworker.master.journaled import Journaled
    from masterworker.master.launcher import Bounds, WorkerOptions
    from masterworker.transport.pyro.server import Server
    from masterworker.worker.serial import SerialWorker

logger = logging.getLogger("masterworker.master")

_numbers = itertools.count(1)


class JournalOptions(NamedTuple):
    """What is said about a journal; see `Master`."""

    path: str | os.PathLike[str] | None = None
    mode: str = "disk"
    failures: str = "retry"
    changed: str = "stop"


NO_JOURNAL: Final = JournalOptions()


class MasterEngine:
    """The parts of one job. The arguments are those of `Master`.

    Args:
        is_generic: Workers that are started from the label alone can execute calls of functions,
            without a stored program.
        manager_class: What keeps the tasks.
        ahead: A template of workers that has begun already; None: there is none.
    """

    def __init__(  # noqa: PLR0913, PLR0915  as many as Master's; a part after the other
        self,
        label: str | None,
        *,
        name_server: bool = False,
        host: str | None = None,
        ports: Sequence[int] = (0,),
        serial: bool = False,
        engine: Any = None,
        handlers: Mapping[str, Callable[..., Any]] | None = None,
        accept: str = wire.ANYTHING,
        results_memory: int | str | None = None,
        seed: int | None = None,
        journal: JournalOptions = NO_JOURNAL,
        is_generic: bool = True,
        manager_class: type[Manager] = Manager,
        ahead: Ahead | None = None,
    ) -> None:
        if accept not in (wire.ANYTHING, wire.PLAIN):  # of any type
            raise UsageError(f'accept must be "any" or "data", not {accept!r}')
        if seed is not None:
            check_seed(seed)
        chosen = choose(engine, serial=serial)
        definitions.is_master()
        made_up = f"job-{os.getuid()}-{os.getpid()}-{next(_numbers)}"
        by_label = label is not None
        self.label = label = made_up if label is None else check_label(label)
        arrive, wake, on_ended = WeakCallback(), WeakCallback(), WeakCallback()
        self.dead_letters = DeadLetters(label, lambda: manager)
        kept = _journal(journal, label if by_label else "")
        self.manager = manager = manager_class(
            arrive if kept is None else partial(_arrived, kept, arrive),
            on_failed=None if serial else self.dead_letters.take,
            accept=accept,
            # Where this process executes everything itself, nothing can pile up while it waits.
            results_memory=sys.maxsize if serial else checks.memory_size(results_memory),
            keep=kept,
        )
        if not serial:
            require_a_place()
            raise_descriptor_limit()
        self.needs = Needs(manager)
        self.program = StoredProgram(manager, "" if ahead is None else ahead.hash_seed)
        changes = None if serial else Changes(manager)
        here = _executor(manager, handlers or {}) if serial else None
        found = by_label or name_server
        self.launcher = launcher = (
            None
            if serial
            else Launcher(label, manager, self.needs, self.program, wake, can_be_found=found)
        )
        hello = wire.introduce(process_info(), [], None, random_name())
        self.process_id = manager.join(hello).member_id
        #: Called when an engine executes nothing any more.
        self.when_stuck = WeakCallback()
        #: What executes tasks through an engine that is there already; None: workers do.
        self.slots = use(chosen, manager, label, handlers or {}, (wake, self.when_stuck))
        self.program.on_change = self.slots.program_changed if self.slots else None
        if launcher is not None:
            manager.troubles.starting, manager.troubles.ways_to_start = (
                forgotten.weakly((self.slots or launcher).describe_starting, ""),
                forgotten.weakly(launcher.describe_ways_to_start, ""),
            )
        waiting = Waiting(manager, self.slots or self.launcher, here)
        self.router = ResultRouter(manager, waiting, label)
        arrive.bind(self.router.arrive)
        wake.bind(self.router.wake)
        on_ended.bind(self.router.end)
        seeds = SeedBook(manager.streams)
        self.submission: Submission = Submission(
            *(manager, self.router, self.needs, seeds, not serial),
            streams=seeds.shared(seed),
            journaled=None if kept is None else _journaled(kept, manager, self.router, wake),
        )
        self.outcomes = OutcomeQueue(manager, self.process_id, waiting)
        self.shared = SharedValues(manager, self.needs, waiting, self.submission.journaled)
        self.waiting = waiting
        if is_generic:
            self.program.store(program.generic())
        is_hidden = serial or (chosen is not None and not found)
        self.endpoint: Endpoint | None = None
        try:
            if not is_hidden:
                last = 0 if kept is None else kept.earlier.port
                self.endpoint = Endpoint(
                    label, manager, host, ports, name_server=name_server, last_port=last
                )
                if kept is not None:
                    _compare_ports(self.endpoint.server.port, last, kept.earlier.workers)
                    kept.note_port(self.endpoint.server.port)
        except BaseException:
            if changes is not None:
                changes.close()
            if kept is not None:
                kept.close(JOURNAL)
            if self.slots is not None:
                self.slots.close(0.0)
            raise
        parts = Parts(
            *(manager, self.dead_letters, _leaving(manager, here, self.slots)),
            *(self._local_workers(ahead), changes),
            *(self.endpoint, self.router.callbacks),
            lambda: None if launcher is None else launcher.crews,
            kept,
            self.slots,
            # Jobs of tasks, and those whose label was made up, are not looked for afterwards.
            RecordKeeper(label, manager.looking)
            if by_label and self.endpoint is not None and not this_process.is_worker
            else None,
        )
        self.end: JobEnd = JobEnd(label, parts, wake, on_ended, by_label=by_label)
        forgotten.end_with(waiting, label, self.end)
        #: Its workers are the ranks of MPI, whatever number the program asks for.
        self._is_on_ranks = self._join_ranks()

    def _local_workers(self, ahead: Ahead | None) -> LocalWorkers | None:
        if self.launcher is None or self.endpoint is None:
            return None
        local = self.launcher.local_workers
        local.socket, local.ahead = self.endpoint.socket, ahead
        return local

    @property
    def server(self) -> Server | None:
        """Where the master listens; None: nowhere, as everything is executed in this process."""
        return None if self.endpoint is None else self.endpoint.server

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
        if (
            self.launcher is None
            or self.slots is not None
            or ranks is None
            or ranks.of_program.executor is None
        ):
            return False
        self._crews().launch_on_ranks()
        return True

    def _crews(self) -> Crews:
        """Return the workers in engines, which are loaded where a program has some."""
        assert self.launcher is not None and self.endpoint is not None  # noqa: S101, PT018
        if self.launcher.crews is None:
            from masterworker.engine.pilots.crews import Crews

            make = partial(self.endpoint.ticket, role="worker", one_run=True)
            self.launcher.crews = Crews(
                self.manager, make, self.launcher.on_crews, self.end.at_exit
            )
        return self.launcher.crews

    def status(self) -> Census:
        """Count everything at one instant."""
        self.waiting.picking_up(asking=True)
        return self.manager.census()

    def describe(self) -> str:
        """Say in a few words how it stands. Takes no lock, so it may be called at any point."""
        core = self.manager.core
        tally, workers = core.tally, len(core.recorder.workers)
        failed = tally.failures + tally.given_up
        settled = tally.results + failed + tally.cancelled
        asked = max(settled, tally.submitted)
        said = "over" if core.terminated else counted(workers, "worker")
        said += f", {settled:,} of {asked:,} {'task' if asked == 1 else 'tasks'} done"
        return said + (f", {failed:,} failed" if failed else "")

    def ticket(self, valid: str, role: str) -> str:
        """Make a ticket; see `Master.ticket`."""
        if self.endpoint is None or self.launcher is None:
            raise UsageError(
                "a job with serial=True, or with an engine and no label, takes no workers, so "
                "there are no tickets"
            )
        ticket = self.endpoint.ticket(valid, role)
        self.launcher.can_be_found = True
        return ticket


def _compare_ports(port: int, last: int, workers: Iterable[str]) -> None:
    """Say if workers with tickets cannot come back: they know no other port than the last one."""
    if not last or port == last:
        return
    from masterworker.manager.guest_operations import MARK  # hardly ever

    if lost := sum(name.startswith(MARK) for name in workers):
        logger.warning(
            "this master listens at port %d, since port %d of its last run is taken, or not among "
            "ports=: tickets made then lead to nowhere, and workers with one cannot come back (%d)",
            *(port, last, lost),
        )


def _leaving(
    manager: Manager, here: SerialWorker | None, slots: Slots | None
) -> Callable[[], object] | None:
    """Return what signs off that executes tasks, but for workers."""
    if here is not None:
        return partial(manager.leave, here.member_id)
    return None if slots is None else slots.leave


def _journal(options: JournalOptions, label: str) -> Journal | None:
    """Open the journal of a job; None: it has none."""
    if options.path is None and (
        this_process.is_worker or not os.environ.get("MASTERWORKER_JOURNAL")
    ):
        return None  # masters that tasks make are no jobs of their own
    from masterworker.journal.options import open_journal  # most jobs have none

    return open_journal(*options, label)


def _journaled(
    journal: Journal, manager: Manager, router: ResultRouter, wake: Callable[[], object]
) -> Journaled:
    """Let requests use a journal, and let it tell the manager."""
    from masterworker.master.journaled import Journaled

    def give_up(reason: str) -> None:
        manager.give_up(f"the journal {journal.path} has failed: {reason}")
        wake()

    # It must not refer to what keeps the job alive.
    manager.job = journal.job
    journal.begin(manager.instance, manager.kept, manager.stall, give_up)
    manager.keeping.come_back(journal.earlier, journal.note_worker, journal.sign)
    return Journaled(journal, manager, router)


def _arrived(
    journal: Journal, arrive: Callable[[list[Finished]], object], finished: list[Finished]
) -> None:
    journal.forget(finished)
    arrive(finished)


def _executor(manager: Manager, handlers: Mapping[str, Callable[..., Any]]) -> SerialWorker:
    """Make what executes tasks in this process."""
    from masterworker.worker.serial import SerialWorker  # other masters execute nothing

    return SerialWorker(manager, handlers)
