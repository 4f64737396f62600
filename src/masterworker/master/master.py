"""The master as programs use it, and subclass it: what the reference documents, and nothing else.

How it asks for tasks is in `submission.Submitter`. The parts of a job are in `MasterEngine`. Each
of the two classes holds one object under one mangled name, so a subclass may use any other one.
"""

from __future__ import annotations

import os
from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from masterworker.checking import keywords_of, refuse
from masterworker.errors import UsageError
from masterworker.garbage import unsearched
from masterworker.launch.output import MARKED
from masterworker.master.grace import GRACE, grace_after
from masterworker.master.submission import Submitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from masterworker.awaits.iterators import Results
    from masterworker.core.audit import Summary
    from masterworker.master.engine import MasterEngine
    from masterworker.master.future import Future, T
    from masterworker.master.launcher import WorkerOptions
    from masterworker.master.shared import Shared
    from masterworker.master.status import Status
    from masterworker.pools import Pool


class Master(Submitter):
    """One job: its task manager, its address, and your side of it.

    Can be used with `with`; otherwise it ends when nothing refers to it, or with the program.
    Thread-safe: its methods can be called from any thread, also in callbacks of futures. In a fork
    of this process they refuse. A subclass may use any attribute name that is not documented here.

    Args:
        label: The name under which workers find the job; None: one is made up.
        workers: The number of workers to start on this machine at once; "auto" is one for each
            processor that may be used. Or workers elsewhere, or a list of both:
            "ssh:hostA*4,hostB*8", `Slurm("--time=1:00:00 -c 8", max=20)` and what else is in
            `masterworker.pools`.
        name_server: Enter the label in the Pyro name server, if one is running.
        host: The address or name of this machine to listen at, several with commas, or "0.0.0.0"
            or "::" for all. None: what MASTERWORKER_HOST says, else loopback; with a name server
            on another machine, the address from which that is reached.
        ports: The ports to try, in this order; 0 is any free one. MASTERWORKER_PORTS, as in
            7800-7900, takes their place.
        serial: Execute everything in this process, when a result is waited for: no workers, no
            connections, and a debugger sees everything.
        engine: Execute through what is there already, in place of workers: a Dask client or
            "dask://HOST:PORT", "ray", "mpi", any `concurrent.futures.Executor` or a function that
            makes one, or an `Engine` with further arguments. None: what MASTERWORKER_ENGINE says.
        handlers: Functions by tag, for `serial`, and for an engine in this process.
        accept: "any", or "data" for workers on machines that you trust less: from workers with a
            ticket only plain data is taken then, which need not be unpickled. They return
            numbers, texts, bytes, dates, lists, tuples, sets, dictionaries, and NumPy arrays.
        results_memory: The bytes (or "4G") that results may have which the program has not picked
            up; beyond that no more tasks are handed out until some are. None: a quarter of the
            memory that may be used.
        journal: The path of a file in which outcomes are kept, so that they are not computed again
            when the program is started again after its end or a crash (see docs/journal.md). None:
            in the folder MASTERWORKER_JOURNAL, if that is set, under the label.
        journal_mode: "disk": results are told of when they are on the disk; "relaxed": when they
            are written, so that a crash of the system costs those of the last second.
        journal_failures: "retry": tasks that have failed are tried again; "keep": their failures
            are given again.
        journal_changed: What to do where a function has changed since its outcomes were computed:
            "stop" (`CodeChangedError`), "use" them, or "recompute" them.
        seed: Of the tasks' random numbers (`task_rng`): an integer, 0 or more. Tasks are numbered
            in the order in which they are asked for. None: fresh for each run.
        web: Show the job in a browser, by a process of its own, which outlives this one; stderr
            says where (see docs/views.md). The job needs a label.
        report: The path of a report, which is written when the job has ended: `.html`, `.json` or
            `.csv`, by its ending (see docs/views.md). None: in the folder MASTERWORKER_REPORT, if
            that is set.
        worker_options: Further arguments of `launch_workers` for `workers`.

    Raises:
        LabelTakenError: A living master has this label.
        TransportError: None of the ports is free.
        JournalError: The journal cannot be used; says why.
        UsageError: The label, or another argument, cannot be used; or a worker imports the module
            that makes the master.
        UnknownKeywordError: There is no such keyword; says what may be meant.
    """

    def __init__(  # noqa: PLR0913  most are rarely given
        self,
        label: str | None = None,
        *,
        workers: int | str | Pool | Sequence[int | str | Pool] = 0,
        name_server: bool = False,
        host: str | None = None,
        ports: Sequence[int] = (0,),
        serial: bool = False,
        engine: Any = None,
        handlers: Mapping[str, Callable[..., Any]] | None = None,
        accept: str = "any",
        results_memory: int | str | None = None,
        journal: str | os.PathLike[str] | None = None,
        journal_mode: Literal["disk", "relaxed"] = "disk",
        journal_failures: Literal["retry", "keep"] = "retry",
        journal_changed: Literal["stop", "use", "recompute"] = "stop",
        seed: int | None = None,
        web: bool = False,
        report: str | os.PathLike[str] | None = None,
        **worker_options: Unpack[WorkerOptions],
    ) -> None:
        ahead = None
        here: Any = workers
        pools: list[Pool] = []
        if not isinstance(workers, int) and workers != "auto":
            from masterworker.pools.child import divide

            here, pools = divide(workers)
        if engine is not None and (here or pools):
            raise UsageError("give workers= or engine=: what executes the tasks is one of them")
        if web:
            from masterworker.launch.page import check_page  # for few jobs

            check_page(label, serial=serial)
        has_workers = here and not serial and not os.environ.get("MASTERWORKER_ENGINE")
        if has_workers:  # first of all: it imports while this process does
            with unsearched():
                from masterworker.launch.template.ahead import Ahead

            ahead = Ahead.begin()
        try:
            with unsearched():
                from masterworker.launch import checks
                from masterworker.master.beginning import begin
                from masterworker.master.engine import JournalOptions, MasterEngine
                from masterworker.master.launcher import WorkerOptions

            known = frozenset(WorkerOptions.__annotations__)
            if worker_options.keys() - known:
                refuse("Master", worker_options, known | keywords_of(Master.__init__))
            number = checks.number_of_workers(here)
            settings: dict[str, Any] = {"name_server": name_server, "host": host, "ports": ports}
            settings |= {"accept": accept, "results_memory": results_memory, "seed": seed}
            self.__engine = parts = MasterEngine(
                label,
                **settings,
                serial=serial,
                engine=engine,
                handlers=handlers,
                journal=JournalOptions(journal, journal_mode, journal_failures, journal_changed),
                report=report,
                ahead=ahead,
            )
            parts.manager.looking.set(**settings, serial=serial, engine=engine)
            super().__init__(parts.submission)
            if number or pools or web:
                begin(parts, number, pools, worker_options, web=web)
        except BaseException:
            if ahead is not None:
                ahead.end()
            raise

    @cached_property
    def label(self) -> str:
        """The name under which workers find the job."""
        return self.__engine.label

    # -- to be overridden, for programs that are written as a class -------------------------

    def run(self) -> None:
        """Override this with what the master does; `start` calls it."""

    def start(self) -> None:
        """Call `run`, and shut down whatever happens in it."""
        with self:
            self.run()

    # -- outcomes --------------------------------------------------------------------------

    def as_completed(
        self, futures: Iterable[Future[T]], timeout: float | None = None
    ) -> Results[Future[T]]:
        """Iterate over futures as their outcomes come, each once; with `for` or `async for`.

        Args:
            futures: Of this master; in a list, or what can be made one.
            timeout: Seconds for all of them, from this call on; None: as long as it takes.

        Raises:
            UsageError: One of them is no future of this master.
            TimeoutError: Not all were done in time. Raised by the iterator.
            Terminated: The job has ended without some of them.
        """
        from masterworker.master import completion  # a master begins without

        return completion.as_completed(self.__engine.router, futures, timeout)

    def retrieve_result(
        self, tag: str | None = None, timeout: float | None = None
    ) -> tuple[str, str, Any]:
        """Wait for the outcome of some task by tag, in the order of their arrival.

        Each outcome is given to one caller. After 10 s the log says once what this waits for.

        Args:
            tag: Only of tasks of this tag.
            timeout: Seconds to wait at most; None: as long as it takes.

        Returns:
            (task id, tag, result).

        Raises:
            TaskFailed: The task raised; its cause is the original exception.
            TaskLost: The task took too many workers with it.
            TaskCancelled: The task was cancelled.
            TimeoutError: There was none in time; says what the tasks wait for.
            WorkerStartError: No worker could start, and no other one can join.
            Terminated: The job is over.
        """
        return self.__engine.outcomes.retrieve(tag, timeout)

    def results(
        self, tag: str | None = None, *, return_errors: bool = False
    ) -> Iterator[tuple[str, str, Any]]:
        """Iterate over outcomes of tasks by tag as they come, until no task is outstanding.

        Args:
            tag: Only of tasks of this tag.
            return_errors: Give the exception in place of the result of a task that failed; else
                it is raised, and a further loop goes on with the next one.

        Yields:
            (task id, tag, result).

        Raises:
            Terminated: The job has ended before the tasks.
        """
        from masterworker.master.outcomes import ResultIterator

        return ResultIterator(self.__engine.outcomes, tag, return_errors=return_errors)

    # -- values that all tasks use ----------------------------------------------------------

    def share(self, **values: Any) -> Shared:
        """Store named values once, for all tasks, which can read them and not change them.

        Arrays, also inside of other objects, are sent once to each machine. All its workers map the
        same memory: opening one costs microseconds, whatever its size.

            with master.share(table=table) as shared:
                results = list(master.map(look_up, itertools.repeat(shared.table), keys))

        Args:
            values: They are fixed now: a later change of an array does not matter.

        Returns:
            An object with an attribute for each of them, which is to be given to tasks in place of
            the value; also inside of lists, tuples and dictionaries.

        Raises:
            UnpicklableError: One of them cannot be sent; says which and why.
            UsageError: There are none.
        """
        return self.__engine.shared.share(values)

    def store_state(self, **values: Any) -> int:
        """Store named values once, for all tasks. Returns the state's id: 1, 2, 3, ...

        Give `StateValue(id, name)` to tasks in place of a value. As `share`, but each worker has
        values of its own, which it can change: what it writes to an array no other worker sees.

        Args:
            values: They are fixed now.

        Raises:
            UnpicklableError: One of them cannot be sent; says which and why.
        """
        return self.__engine.shared.store(values, fixed=False)

    def delete_state(self, state_id: int) -> None:
        """Forget a state, here and in the workers. Tasks that use it will fail.

        Args:
            state_id: What `store_state` has returned.

        Raises:
            UsageError: There is none of this id.
        """
        self.__engine.shared.delete(state_id)

    # -- the job ----------------------------------------------------------------------------

    def launch_workers(  # noqa: PLR0913  most are rarely given
        self,
        number: int | str = 1,
        *,
        wait: bool = False,
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
        **resources: Any,
    ) -> None:
        """Start workers on this machine, or in an engine. One that dies is replaced.

        All end with this process. From an engine they must reach this master: see `host` there.

        Args:
            number: How many; "auto" is one for each processor that may be used, or one for each
                place of the engine.
            wait: Return when they are there, or after 5 s; with `start_timeout` as long as that
                says.
            max_tasks: Number of tasks after which a worker process is replaced by a new one.
            idle_timeout: Seconds without a task after which a worker leaves.
            memory_limit: A worker with more memory than this is killed: bytes, or "500M".
            lifetime: Seconds after which these workers leave, and give back what they have not
                finished.
            initializer: Called by each worker process before its first task.
            start_timeout: Seconds after which a worker process that is not ready (it imports, or
                its initializer hangs) is ended, and its start has failed. None: it may take any
                time, and is named in the log after 5 s.
            output: What tasks write comes out "marked" with the worker, "plain" as it was written,
                or not at all ("none"). Lines are never mixed.
            preload: Modules of installed libraries, which workers then have from the start where
                they are forks of a template. None: what this program has imported of NumPy,
                SciPy, pandas, xarray and networkx; `()`: none.
            on: The engine in which they are to be: a Dask client or address ("dask://host:8786"),
                "ray" or "ray://host:port", "mpi" or a communicator (see `masterworker.mpi`), or an
                executor of `concurrent.futures`, or a function that makes one. A worker that has
                left after `idle_timeout` comes back when tasks wait.
            no_workers_timeout: Seconds in which the engine must have begun one of them, or waiting
                raises WorkerStartError. After 10 s the log says that it has not.
            resources: In the engine's own terms: `workers`, `resources`, `priority` of Dask;
                `num_gpus` and other options of Ray's remote functions.

        Raises:
            WorkerStartError: With `wait`: one ended at once. Shows its stderr. Or: no engine there.
            UsageError: One of these makes no sense.
        """
        if resources and on is None:
            refuse("launch_workers", resources, keywords_of(Master.launch_workers))
        self.__engine.execution.launch_workers(
            number,
            wait=wait,
            max_tasks=max_tasks,
            idle_timeout=idle_timeout,
            memory_limit=memory_limit,
            lifetime=lifetime,
            initializer=initializer,
            start_timeout=start_timeout,
            output=output,
            preload=preload,
            on=on,
            no_workers_timeout=no_workers_timeout,
            resources=resources,
        )

    @property
    def number_of_workers(self) -> int:
        """How many workers have joined and are here, from anywhere; costs as much as `status`."""
        engine = self.__engine
        processes = engine.status().processes
        return sum(process.member_id != engine.process_id for process in processes)

    def status(self) -> Status:
        """Count everything at one instant: tasks by tag, workers, troubles.

        Costs some microseconds for each worker and tag. Holds up the job meanwhile.

        Returns:
            The counts. Its `snapshot` is all that views show of the job (see docs/snapshot.md),
            and is made when it is asked for, of that moment.
        """
        return self.__engine.status()

    def note(self, text: str) -> None:
        """Show a line of your own with the job, such as "query 4 of 10", wherever it is looked at.

        Args:
            text: The line, which takes the place of the one before; "" for none.
        """
        self.__engine.manager.looking.note(" ".join(str(text).split())[:200])

    def ticket(self, valid: str = "7d", *, role: str = "worker") -> str:
        """Make a ticket: one line of text with which others join this job, from anywhere.

        It is a secret, for a private file or standard input: `task_manager worker --ticket FILE`.

        Args:
            valid: For how long, as 12h or 7d; the end of this job ends it, too.
            role: "worker", or "observer" for one that may only look on.

        Raises:
            UsageError: One of these cannot be used, or this is a job with `serial=True`.
            CredentialError: This user's keys cannot be used.
        """
        return self.__engine.ticket(valid, role)

    def shutdown(self, grace: float = GRACE) -> Summary:
        """End the job: workers stop, and waiting tasks are not executed any more.

        Safe to call twice, and from any thread.

        Args:
            grace: Seconds to wait for workers that are busy. They are ended then, and this
                returns at most 2 s later.

        Returns:
            How many tasks were done, failed, were cancelled, and were not run.
        """
        return self.__engine.end.shutdown(grace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown(grace_after(kind))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Shut down in a thread of its own; when the coroutine was cancelled, as after Ctrl-C."""
        from masterworker.awaits import loops  # of use to programs with asyncio only

        grace = grace_after(KeyboardInterrupt if loops.is_cancelled(kind) else kind)
        await loops.in_thread(partial(self.shutdown, grace))

    def __repr__(self) -> str:
        engine = self.__engine
        where = "in this process" if engine.endpoint is None else f"at {engine.endpoint.address}"
        return f"<{type(self).__name__} {engine.label!r} {where}: {engine.describe()}>"

    def _repr_html_(self) -> str:
        """Return how the job stands, for notebooks: plain HTML, without scripts."""
        from masterworker.recorder.shapes import Looked
        from masterworker.views.progress import html

        engine = self.__engine
        return html.job(engine.label, engine.manager.looking.look(Looked()))


#: Return the engine of a master, for the other modules of this package.
engine_of: Callable[[Master], MasterEngine] = attrgetter("_Master__engine")
