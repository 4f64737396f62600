"""The master: asks for tasks, picks up results, and owns everything that a job needs.

your program --request_task, submit, map--> Manager <--Session-- Server <== workers
             <--results, futures-----------/   |
                                          Notice, name server: where to find us
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self, Unpack

from masterworker import program, wire
from masterworker.checking import time_limit
from masterworker.data import definitions
from masterworker.data.outcome import open_finished
from masterworker.errors import TaskError, Terminated, TransportError, UsageError
from masterworker.launch import options
from masterworker.machine import process_info, random_name
from masterworker.manager import Mailbox, Manager, service_for
from masterworker.master import forgotten
from masterworker.master.arrivals import Arrivals
from masterworker.master.dead_letters import DeadLetters
from masterworker.master.launcher import check_worker_options
from masterworker.master.shared import Sharing
from masterworker.status.text import situation
from masterworker.transport import endings
from masterworker.transport.address import check_label
from masterworker.transport.hosts import hosts_to_listen_at, ports_to_try
from masterworker.transport.notice import Notice
from masterworker.transport.pyro.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from masterworker.core.audit import Census, Summary
    from masterworker.core.task import Finished
    from masterworker.master.launcher import WorkerOptions
    from masterworker.transport.pyro.names import NameServer
    from masterworker.worker.serial import SerialWorker

logger = logging.getLogger("masterworker.master")

#: Seconds that `shutdown` waits for workers, and that the end of a program or Ctrl-C does.
GRACE = 10.0
GRACE_AT_EXIT = 2.0
#: Seconds after which a loop over results looks whether anything is outstanding still.
LOOK = 1.0

_numbers = itertools.count(1)


class Master(Sharing):
    """One job: its task manager, its address, and your side of it.

    Can be used with `with`; otherwise it ends when nothing refers to it, or with the program.

    Args:
        label: The name under which workers find the job; None: one is made up.
        workers: Start so many workers on this machine at once; "auto" is one for each processor
            that may be used.
        name_server: Enter the label in the Pyro name server, if one is running.
        host: The address or name of this machine to listen at, several with commas, or "0.0.0.0"
            or "::" for all. None: what MASTERWORKER_HOST says, else loopback; with a name server
            on another machine, the address from which that is reached.
        ports: The ports to try, in this order; 0 is any free one. MASTERWORKER_PORTS, as in
            7800-7900, takes their place.
        serial: Execute everything in this process, when a result is waited for: no workers, no
            connections, and a debugger sees everything.
        handlers: Functions by tag, for `serial`.
        results: "any", or "data" for workers on machines that you trust less: from workers with a
            ticket only plain data is taken then, which nobody has to unpickle. They return
            numbers, texts, bytes, dates, lists, tuples, sets, dictionaries, and NumPy arrays.
        results_memory: Results that nobody has picked up may have so many bytes (or "4G"); beyond
            that no more tasks are handed out until some are picked up. None: a quarter of the
            memory that may be used.
        worker_options: What else `launch_workers` is to be told about `workers`.

    Raises:
        LabelTakenError: A living master has this label.
        TransportError: None of the ports is free.
        UsageError: The label cannot be used.
    """

    #: Workers that are started from the label alone can execute calls of functions, without a
    #: stored program.
    GENERIC_WORKERS = True
    #: What keeps the tasks.
    MANAGER = Manager

    def __init__(  # noqa: PLR0913  most are rarely given
        self,
        label: str | None = None,
        *,
        workers: int | str = 0,
        name_server: bool = False,
        host: str | None = None,
        ports: Sequence[int] = (0,),
        serial: bool = False,
        handlers: Mapping[str, Callable[..., Any]] | None = None,
        results: str = wire.ANYTHING,
        results_memory: int | str | None = None,
        **worker_options: Unpack[WorkerOptions],
    ) -> None:
        check_worker_options(Master, worker_options)
        definitions.is_master()
        number = options.number_of_workers(workers)
        if results not in (wire.ANYTHING, wire.PLAIN):  # of any type
            raise UsageError(f'results must be "any" or "data", not {results!r}')
        made_up = f"job-{os.getuid()}-{os.getpid()}-{next(_numbers)}"
        self._is_named = label is not None
        label = made_up if label is None else check_label(label)
        self._keeper = DeadLetters(label, lambda: manager)
        on_failed = None if serial else self._keeper.take
        manager = self.MANAGER(
            forgotten.weakly(self._outcomes_arrive),
            on_failed=on_failed,
            results=results,
            # Where this process executes everything itself, nothing can pile up while it waits.
            results_memory=sys.maxsize if serial else options.memory_size(results_memory),
        )
        super().__init__(label, manager, serial=serial)
        self.can_be_found = self._is_named or name_server
        self._ended = threading.RLock()
        self._is_ended = False
        self._pid = os.getpid()
        self.serial = self._execute_here(handlers or {}) if serial else None
        self.process_id = self._register()
        self.server: Server | None = None
        self._notice: Notice | None = None
        self.registered: NameServer | None = None
        if self.GENERIC_WORKERS:
            self.store_program(program.generic())
        if not serial:
            self._open(host, ports, name_server=name_server)
        self._no_exit = forgotten.at_exit(self.shutdown, GRACE_AT_EXIT)
        self._not_forgotten = forgotten.end_with(self)
        if number:
            try:
                self.launch_workers(number, **worker_options)
            except BaseException:
                self.shutdown(0.0)
                raise

    # -- to be overridden, for programs that are written as a class -------------------------

    def run(self) -> None:
        """Override this with what the master does; `start` calls it."""

    def start(self) -> None:
        """Call `run`, and shut down whatever happens in it."""
        with self:
            self.run()

    def retrieve_result(self, tag: str | None = None, timeout: float | None = None) -> Any:
        """Wait for the outcome of some task, in the order of their arrival.

        Args:
            tag: Only of tasks of this tag.
            timeout: Seconds to wait at most; None: as long as it takes.

        Returns:
            (task id, tag, result).

        Raises:
            TaskFailed: The task raised; its cause is the original exception.
            TaskLost: The task took too many workers with it.
            TimeoutError: There was none in time.
            Terminated: The job is over.
        """
        finished = self.collect(tag, timeout)
        try:
            return open_finished(finished)
        except TaskError:
            raise
        except BaseException:  # of a signal handler, say: it waits for the next call
            self.manager.repairs.append((self.manager.to_undelivered, [finished]))
            raise

    def results(self, tag: str | None = None, *, return_errors: bool = False) -> Iterator[Any]:
        """Iterate over outcomes as they come, until no task is outstanding.

        Args:
            tag: Only of tasks of this tag.
            return_errors: Give the exception in place of the result of a task that failed; else
                it is raised, and a further loop goes on with the next one.

        Yields:
            (task id, tag, result).

        Raises:
            Terminated: The job has ended before the tasks.
        """
        return Arrivals(self.manager, self._next_arrival, tag, return_errors=return_errors)

    def collect(self, tag: str | None, timeout: float | None) -> Finished:
        """Wait for one outcome, unopened; see `retrieve_result`."""
        timeout = time_limit(timeout)
        end = float("inf") if timeout is None else time.monotonic() + timeout
        finished = self._wait_for_outcome(tag, end, wire.LONGEST_WAIT, lambda: True)
        if finished is None:
            raise TimeoutError(f"no outcome in {timeout} seconds: {self._situation(tag)}")
        return finished

    def _next_arrival(self, tag: str | None) -> Finished | None:
        """Wait for one outcome as long as any is outstanding.

        Somebody else may take the last one meanwhile, so it is looked at again and again.
        """
        return self._wait_for_outcome(
            tag, float("inf"), LOOK, lambda: self.manager.outstanding(tag) > 0
        )

    def _wait_for_outcome(
        self, tag: str | None, end: float, look: float, worth: Callable[[], bool]
    ) -> Finished | None:
        self._require_own_process()
        notice = time.monotonic() + self.NOTICE_AFTER
        while worth():
            wait = min(look, max(0.0, end - time.monotonic()))
            if self.serial is not None and self.serial.step():
                wait = 0.0
            finished, _ = self.manager.collect(self.process_id, tag, 1, wait)
            if finished:
                return finished[0]
            self._require_workers()
            now = time.monotonic()
            if now >= end:
                return None
            if now >= notice:
                notice = float("inf")
                logger.warning("waiting for a result: %s", self._situation(tag))
        return None

    @property
    def number_of_workers(self) -> int:
        """How many workers are here right now."""
        return sum(pid != self.process_id for pid, _, _ in self.status().processes)

    def status(self) -> Census:
        """Count everything at one instant."""
        self.picking_up(asking=True)
        return self.manager.census()

    def ticket(self, valid: str = "7d", *, role: str = "worker") -> str:
        """Make a ticket: one line of text with which others join this job, from anywhere.

        It is a secret, for a private file or standard input: `task_manager worker --ticket FILE`.

        Args:
            valid: For how long, as 12h or 7d; the end of this job ends it, too.
            role: "worker", or "observer" for those who may only look on.

        Raises:
            UsageError: One of these cannot be used, or this is a job with `serial=True`.
            CredentialError: This user's keys cannot be used.
        """
        from masterworker.master.inviting import make_ticket

        self.can_be_found = True
        return make_ticket(self.label, self.manager.instance, self.server, valid, role)

    def shutdown(self, grace: float = GRACE) -> Summary:
        """End the job: workers are told, waiting tasks are not executed any more.

        Safe to call twice, and from any thread.

        Args:
            grace: Seconds to wait for workers that are busy. They are ended then, and this
                returns at most 2 s later.

        Returns:
            How many tasks were done, failed, were cancelled, and were not run.
        """
        with self._ended:
            if self._is_ended or os.getpid() != self._pid:  # a fork has no say in its parent's job
                return self.manager.summary()
            end = time.monotonic() + grace
            try:
                self.manager.terminate()
                self.local_workers.expect_end()
                if self.serial is not None:
                    self.serial.leave()
                self._wake()
                self.manager.wait_for(lambda _: not self.manager.remote_workers(), grace)
            finally:  # also when Ctrl-C ends the wait
                try:
                    self._close(max(0.2, end - time.monotonic()))
                except BaseException:  # a second one: nobody is waited for any more
                    self._close(0.0)
                    raise
            summary = self.manager.summary()
            level = logging.WARNING if summary.not_run else logging.INFO
            logger.log(level, "job %r has ended: %s", self.label, summary)
            return summary

    def _close(self, seconds: float) -> None:
        """Free everything; each step can be done twice."""
        if self.server is not None and self._is_named:
            endings.note(self.label, self.manager.instance, self.server.address.port)
        if self.registered is not None and self.server is not None:
            try:
                self.registered.remove(self.label, self.server.uri)
            except TransportError as error:
                logger.warning("the label stays in the name server: %s", error)
        if self.server is not None:
            self.server.close()
        self._stop_workers(seconds)
        self._keeper.close()
        if self._notice is not None:
            self._notice.release()
        self._is_ended = True
        self._no_exit()
        self._not_forgotten()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.shutdown(GRACE_AT_EXIT if interrupted else GRACE)

    def __repr__(self) -> str:
        where = "in this process" if self.server is None else f"at {self.server.address}"
        return f"<{type(self).__name__} {self.label!r} {where}>"

    # -- inside -----------------------------------------------------------------------------

    def _register(self) -> int:
        hello = wire.introduce(process_info(), [], None, random_name())
        return self.manager.join(hello).member_id

    def _open(self, host: str | None, ports: Sequence[int], *, name_server: bool) -> None:
        names = None
        if name_server:
            from masterworker.transport.pyro.names import NameServer

            names = NameServer()
        self._notice = Notice(self.label)
        manager = self.manager
        try:
            self.server = Server(
                lambda peer: service_for(manager, manager.replies, peer),
                self.label,
                hosts_to_listen_at(host, (names.host, names.port) if names else None),
                ports_to_try(ports),
                self._notice.socket_path,
                manager.instance,
            )
            if names is not None and self._enter(names, self.server.uri):
                self.registered = names
            self.local_workers.socket = self._notice.socket_path
            self._notice.publish(self.server.address, self.server.addresses, manager.instance)
        except BaseException:
            if self.server is not None:
                self.server.close()
            self._notice.release()
            raise

    def _execute_here(self, handlers: Mapping[str, Callable[..., Any]]) -> SerialWorker:
        from masterworker.worker.serial import SerialWorker  # other masters execute nothing

        return SerialWorker(self.manager, handlers)

    def _enter(self, names: NameServer, uri: str) -> bool:
        from masterworker.master.name_entry import enter_name

        return enter_name(names, self.label, uri)

    def _situation(self, tag: str | None) -> str:
        """Say in one sentence what is going on."""
        return situation(self.status(), tag) + self._tell_starting()

    def _explain_wait(self) -> None:
        logger.warning("waiting for a result: %s", self._situation(None))

    def _wait_a_turn(self, box: Mailbox, seconds: float) -> None:
        if self.serial is not None and self.serial.step():
            return
        box.wait(seconds)

    def _require_open(self) -> None:
        if self.manager.core.terminated:
            raise Terminated("the job is over")
        self._require_own_process()
        self._require_workers()

    def _require_own_process(self) -> None:
        if os.getpid() != self._pid:
            raise Terminated("this is a fork of the master; only the master itself can wait")
