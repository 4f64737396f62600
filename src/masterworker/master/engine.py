"""What is behind a `Master`: the parts of one job, put together.

Submitter --request, submit--> Manager <--Service-- Endpoint <== workers
Future, MapCall <--ResultRouter---'  '---OutcomeQueue--> retrieve_result, results
                                     '---Execution--> workers, or an engine, or this process
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from masterworker import program, wire
from masterworker.data import definitions
from masterworker.errors import UsageError
from masterworker.launch import checks
from masterworker.launch.process_context import this_process
from masterworker.machine import process_info, random_name
from masterworker.manager import Manager
from masterworker.master import forgotten
from masterworker.master.asking import Submission
from masterworker.master.changes import Changes
from masterworker.master.dead_letters import DeadLetters
from masterworker.master.endpoint import Endpoint
from masterworker.master.execution import Execution
from masterworker.master.forgotten import WeakCallback
from masterworker.master.needs import Needs
from masterworker.master.outcomes import OutcomeQueue
from masterworker.master.record_keeper import RecordKeeper
from masterworker.master.results import ResultRouter
from masterworker.master.shared import SharedValues
from masterworker.master.shutdown import JOURNAL, JobEnd, Parts
from masterworker.master.status import Status, status_of
from masterworker.master.stored_program import StoredProgram
from masterworker.master.through_engine import choose
from masterworker.master.waiting import Waiting
from masterworker.named import NamedTuple
from masterworker.status.text import counted
from masterworker.streams.seeds import SeedBook, check_seed
from masterworker.transport.address import check_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from masterworker.core.task import Finished
    from masterworker.journal.journal import Journal
    from masterworker.launch.template.ahead import Ahead
    from masterworker.master.journaled import Journaled
    from masterworker.master.report_writer import ReportWriter
    from masterworker.pools.child import Scaler
    from masterworker.transport.pyro.server import Server

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

    def __init__(  # noqa: PLR0913  as many as Master's
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
        report: str | os.PathLike[str] | None = None,
        is_generic: bool = True,
        manager_class: type[Manager] = Manager,
        ahead: Ahead | None = None,
    ) -> None:
        _check(accept, seed, report)
        chosen = choose(engine, serial=serial)
        definitions.is_master()
        by_label, found = label is not None, label is not None or name_server
        self.label = label = check_label(label) if label is not None else _made_up_label()
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
        self.needs = Needs(manager)
        self.program = StoredProgram(manager, "" if ahead is None else ahead.hash_seed)
        self.execution = Execution(
            *(label, manager, self.needs, self.program, wake, handlers or {}),
            serial=serial,
            can_be_found=found,
        )
        changes = None if serial else Changes(manager)
        hello = wire.introduce(process_info(), [], None, random_name())
        self.process_id = manager.join(hello).member_id
        self.execution.use(chosen)
        self.waiting = waiting = Waiting(manager, self.execution.elsewhere, self.execution.here)
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
        if is_generic:
            self.program.store(program.generic())
        self.endpoint: Endpoint | None = None
        if not serial and (chosen is None or found):
            self.endpoint = self._listen(host, ports, changes, kept, name_server=name_server)
        parts = self._parts(changes, kept, report, by_label=by_label)
        self.end: JobEnd = JobEnd(label, parts, wake, on_ended, by_label=by_label)
        forgotten.end_with(waiting, label, self.end)
        #: Starts workers on other machines; None: none are asked for.
        self.scaler: Scaler | None = None
        if self.endpoint is not None:
            self.execution.begin(self.endpoint, self.end.at_exit, ahead)

    def _listen(
        self,
        host: str | None,
        ports: Sequence[int],
        changes: Changes | None,
        kept: Journal | None,
        *,
        name_server: bool,
    ) -> Endpoint:
        """Make the job reachable, or end what has begun."""
        try:
            last = 0 if kept is None else kept.earlier.port
            endpoint = Endpoint(
                self.label, self.manager, host, ports, name_server=name_server, last_port=last
            )
            if kept is not None:
                _compare_ports(endpoint.server.port, last, kept.earlier.workers)
                kept.note_port(endpoint.server.port)
        except BaseException:
            if changes is not None:
                changes.close()
            if kept is not None:
                kept.close(JOURNAL)
            if self.execution.slots is not None:
                self.execution.slots.close(0.0)
            raise
        return endpoint

    def _parts(
        self,
        changes: Changes | None,
        kept: Journal | None,
        report: str | os.PathLike[str] | None,
        *,
        by_label: bool,
    ) -> Parts:
        """Return what the end of the job has to end. It must not keep the job alive."""
        endpoint, launcher = self.endpoint, self.execution.launcher
        local = None if launcher is None or endpoint is None else launcher.local_workers
        # Jobs of tasks, and those whose label was made up, are not looked for afterwards.
        recorded = by_label and endpoint is not None and not this_process.is_worker
        return Parts(
            *(self.manager, self.dead_letters, self.execution.leave, local, changes),
            *(endpoint, self.router.callbacks),
            crews=lambda: None if launcher is None else launcher.crews,
            journal=kept,
            slots=self.execution.slots,
            records=RecordKeeper(self.label, self.manager.looking) if recorded else None,
            report=_report_writer(self.label, self.manager, report),
        )

    @property
    def server(self) -> Server | None:
        """Where the master listens; None: nowhere, as everything is executed in this process."""
        return None if self.endpoint is None else self.endpoint.server

    def status(self) -> Status:
        """Count everything at one instant."""
        self.waiting.picking_up(asking=True)
        return status_of(self.manager.census(), self.manager.looking.afresh)

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
        if self.endpoint is None:
            raise UsageError(
                "a job with serial=True, or with an engine and no label, takes no workers, so "
                "there are no tickets"
            )
        ticket = self.endpoint.ticket(valid, role)
        self.execution.expect_others()
        return ticket


def _made_up_label() -> str:
    return f"job-{os.getuid()}-{os.getpid()}-{next(_numbers)}"


def _report_writer(
    label: str, manager: Manager, report: str | os.PathLike[str] | None
) -> ReportWriter | None:
    if report is None and (this_process.is_worker or not os.environ.get("MASTERWORKER_REPORT")):
        return None
    from masterworker.master.report_writer import ReportWriter, path_for  # all it takes: now

    return ReportWriter(label, manager.looking, path_for(report, label))


def _check(accept: str, seed: int | None, report: str | os.PathLike[str] | None) -> None:
    if accept not in (wire.ANYTHING, wire.PLAIN):  # of any type
        raise UsageError(f'accept must be "any" or "data", not {accept!r}')
    if seed is not None:
        check_seed(seed)
    if report is not None:
        from masterworker.master.report_writer import path_for

        path_for(report, "")


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
    in_hand = manager.core.dispatch.grain.under_way

    def lends() -> bool:
        """Let the caller write that waits, if no worker can have anything for it meanwhile."""
        return not in_hand.workers and manager.leading.takes_errand()

    journal.begin(manager.instance, manager.kept, manager.stall, give_up, lends)
    manager.leading.errand = journal.write_now
    manager.keeping.come_back(journal.earlier, journal.note_worker, journal.sign)
    return Journaled(journal, manager, router)


def _arrived(
    journal: Journal, arrive: Callable[[list[Finished]], object], finished: list[Finished]
) -> None:
    journal.forget(finished)
    arrive(finished)
