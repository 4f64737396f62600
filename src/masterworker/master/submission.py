"""Submitter for tasks: by tag, as calls of functions, and many at a time.

What programs see of it. A master begins by importing this, so what it takes to ask for a task is
imported with the master's other parts (`asking`), meanwhile.
"""

from __future__ import annotations

from operator import attrgetter
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    ParamSpec,
    TypeVar,
    overload,
)

from masterworker.checking import known_keywords
from masterworker.errors import UnpicklableError
from masterworker.named import TypedDict
from masterworker.taskid import task_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.awaits.iterators import Results
    from masterworker.master.asking import Submission
    from masterworker.master.future import Future, T

P = ParamSpec("P")
A = TypeVar("A")
B = TypeVar("B")


class TaskOptions(TypedDict, total=False):
    """The keywords of `Submitter.options`."""

    timeout: float | None
    retries: int
    retry_on: type[BaseException] | tuple[type[BaseException], ...]
    delay: float
    priority: int
    pure: bool
    seed: int | None
    key: str | None


#: What may be meant for `options`, and is given to a function.
OPTION_NAMES: Final = frozenset(TaskOptions.__annotations__)


class Submitter:
    """Asks for tasks that all have the same options. Thread-safe.

    Returned by `Master.options`; a `Master` is one whose options are the usual ones. It holds one
    object under one mangled name, since masters are subclassed.

    Args:
        submission: Where requests go, and with what options.
    """

    def __init__(self, submission: Submission) -> None:
        self.__to = submission

    # -- options ----------------------------------------------------------------------------

    @known_keywords("options")
    def options(
        self,
        *,
        timeout: float | None = None,
        retries: int = 0,
        retry_on: type[BaseException] | tuple[type[BaseException], ...] = (),
        delay: float = 0.0,
        priority: int = 0,
        pure: bool = False,
        seed: int | None = None,
        key: str | None = None,
    ) -> Submitter:
        """Return an object with `submit`, `map` and `request_task` for tasks with options.

        Costs some microseconds; keep the object where many tasks get the same options. Options
        are not added to those of the object that this is called of, but for the seed: they take
        their place.

        Args:
            timeout: Seconds that one execution may take. Then it is interrupted, and its process
                ended 2 s later if it has not stopped (where it has a supervisor, as every
                launched worker has). The task fails with `TaskTimeout`.
            retries: The number of further attempts after a failure, 0 to 1,000,000.
            retry_on: Only after these exceptions; (): after any. `TaskTimeout` or `TimeoutError`
                means the time limit, too; `OSError` does not.
            delay: Seconds before the second attempt, doubled for each further one, up to an hour.
            priority: Tasks of higher priority are handed out first. Any integer up to a million.
            pure: The tasks have no side effects. When nothing is left to be handed out, an idle
                worker executes a copy of one that takes much longer than others of its kind.
            seed: Of the tasks' random numbers (`task_rng`): an integer, 0 or more. All tasks of a
                master with one seed are numbered in the order in which they are asked for.
            key: What a journal knows the tasks by, in the place of their parameters; of several
                with one key by their number as well.

        Raises:
            UsageError: One of the values cannot be used.
        """
        from masterworker.master.task_options import check_key, make_options  # begun without

        chosen = make_options(timeout, retries, retry_on, delay, priority, pure)
        to = self.__to
        streams = to.streams if seed is None else to.seeds.shared(seed)
        known_by = to.key if key is None else check_key(key)
        return Submitter(to._replace(options=chosen, streams=streams, key=known_by))

    def __reduce__(self) -> Any:
        raise UnpicklableError(
            "a master stays in its own process: a task that asks for further tasks uses "
            "masterworker.current_worker(), and data are given as parameters"
        )

    def __repr__(self) -> str:
        from masterworker.master.task_options import describe

        to = self.__to
        return f"<tasks of {to.router.label!r} with {describe(to.options)}>"

    def cancel(self, task_id: str) -> bool:
        """Cancel a task that was asked for by tag; see `Future.cancel`.

        Args:
            task_id: What `request_task` has returned.

        Returns:
            False: it has its outcome already.

        Raises:
            UsageError: It is not the id of a task.
        """
        return bool(self.__to.manager.cancel([task_number(task_id)]))

    # -- by tag -----------------------------------------------------------------------------

    def request_task(self, tag: str, *parameters: Any) -> str:
        """Ask for a task that handlers named `do_<tag>` execute. Does not wait.

        The outcome goes to `Master.retrieve_result` and `Master.results`.

        Args:
            tag: The kind of task: any text that does not begin with "@".
            parameters: Anything that can be pickled. They are fixed now: a later change of an
                array or list does not matter.

        Returns:
            The task's id: the tag, an underscore and a number.

        Raises:
            UnpicklableError: Names the parameter that cannot be sent.
            UsageError: The tag cannot be used.
            Terminated: The job is over.
        """
        return self.__to.request(tag, parameters)

    # -- calls of functions -----------------------------------------------------------------

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Ask for a call of a function in some worker. Does not wait.

        Costs 3 to 5 us for small arguments. For many calls of one function `map` costs a tenth
        of that.

        Args:
            function: Any function, also a lambda or one of the main program: what cannot be
                imported by the workers travels with the call.
            args: Its positional arguments. They are fixed now: a later change does not matter.
            kwargs: Its keyword arguments, likewise.

        Returns:
            The future of the call.

        Raises:
            UnpicklableError: Says what cannot be sent.
            UnknownKeywordError: A keyword is an option of tasks, and no argument of the function.
            Terminated: The job is over.
        """
        if kwargs and not OPTION_NAMES.isdisjoint(kwargs):
            from masterworker.master.task_options import refuse_options

            refuse_options(function, kwargs)
        return self.__to.submit(function, args, kwargs)

    @overload
    def map(
        self,
        function: Callable[[A], T],
        iterable: Iterable[A],
        /,
        *,
        ordered: bool = True,
        progress: bool = False,
        return_errors: Literal[False] = False,
        seed: int | None = None,
        timeout: float | None = None,
        keys: Iterable[str] | None = None,
    ) -> Results[T]: ...
    @overload
    def map(
        self,
        function: Callable[[A, B], T],
        iterable: Iterable[A],
        second: Iterable[B],
        /,
        *,
        ordered: bool = True,
        progress: bool = False,
        return_errors: Literal[False] = False,
        seed: int | None = None,
        timeout: float | None = None,
        keys: Iterable[str] | None = None,
    ) -> Results[T]: ...
    @overload
    def map(
        self,
        function: Callable[..., T],
        iterable: Iterable[Any],
        second: Iterable[Any],
        third: Iterable[Any],
        /,
        *more: Iterable[Any],
        ordered: bool = True,
        progress: bool = False,
        return_errors: Literal[False] = False,
        seed: int | None = None,
        timeout: float | None = None,
        keys: Iterable[str] | None = None,
    ) -> Results[T]: ...
    @overload
    def map(
        self,
        function: Callable[..., T],
        iterable: Iterable[Any],
        /,
        *more: Iterable[Any],
        ordered: bool = True,
        progress: bool = False,
        return_errors: bool,
        seed: int | None = None,
        timeout: float | None = None,
        keys: Iterable[str] | None = None,
    ) -> Results[T | BaseException]: ...
    @overload
    def map(
        self,
        function: str,
        iterable: Iterable[Any],
        /,
        *more: Iterable[Any],
        ordered: bool = True,
        progress: bool = False,
        return_errors: bool = False,
        seed: int | None = None,
        timeout: float | None = None,
        keys: Iterable[str] | None = None,
    ) -> Results[Any]: ...
    @known_keywords("map")
    def map(
        self,
        function: Callable[..., Any] | str,
        iterable: Iterable[Any],
        /,
        *more: Iterable[Any],
        ordered: bool = True,
        progress: bool = False,
        return_errors: bool = False,
        seed: int | None = None,
        timeout: float | None = None,
        keys: Iterable[str] | None = None,
    ) -> Results[Any]:
        """Call a function, or execute a tag, for each item.

        Items are drawn as needed, so the iterable may be endless.

        Args:
            function: A function, or the tag of a handler.
            iterable: The first argument of each call.
            more: Further arguments, item by item, as for the built-in `map`.
            ordered: Yield the results in the order of the items; else as they come.
            progress: Show how many tasks have their outcomes, whether or not those have been
                yielded, with workers, failures and the time that is left: as a bar on a terminal
                (it needs tqdm), in a notebook below the cell (it needs nothing), else as lines on
                stderr now and then.
            return_errors: Give the exception in place of the result of a call that failed, and go
                on; else it is raised, and the iterator has ended.
            seed: Of the calls' random numbers (`task_rng`): an integer, 0 or more. Item k has the
                stream of `numpy.random.SeedSequence(seed).spawn(n)[k]`. None: the seed of
                `options` or the master, which goes on from call to call; else a fresh one.
            timeout: Seconds from this call in which each result must have come; None: any time.
                When they have passed, the iterator raises `TimeoutError`, and ends as if it was
                left early. The time limit of one call is an option: `options(timeout=...)`.
            keys: What a journal knows each call by, in the place of its parameters.

        Returns:
            An iterator over the results, for `for` and `async for`. The first tasks are under way
            when it is returned, and at most 10,000 (or 64 MB of arguments) are under way whose
            results it has not yielded; of tiny tasks, of which it yields more than 400,000 a
            second, up to 40,000.
            An iterator that is left early (it has raised, a loop was left, it was closed or
            dropped) takes the rest back: tasks that no worker has begun are not executed, others
            are broken off, as `Future.cancel` does.

        Raises:
            UnpicklableError: Says what cannot be sent.
            UsageError: It is neither a function nor the tag of tasks.
            Terminated: The job is over.
            TimeoutError: While the results are iterated over: one has not come in time.
            Exception: While the results are iterated over: what a call, or the iterable, raised.
        """
        from masterworker.master.map_call import Bounds, end_after  # a master begins without
        from masterworker.master.maps import map_calls

        return map_calls(
            *(self.__to, function, (iterable, *more)),
            ordered=ordered,
            return_errors=return_errors,
            bounds=Bounds(end=end_after(timeout)),
            seed=seed,
            keys=keys,
            progress=progress,
        )


#: Return where the requests of a submitter go, for the other modules of this library.
submission_of: Callable[[Submitter], Submission] = attrgetter("_Submitter__to")
