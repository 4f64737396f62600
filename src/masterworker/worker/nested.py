"""Calls inside of calls: `current_worker().submit` and `.map`.

A worker that waits for one executes other tasks meanwhile, so a job with one worker goes on as
well. Outcomes of calls that were asked for at one depth of tasks inside tasks are collected there:
a wait that is further inside would else take what the outer one waits for.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from masterworker.deadline import Deadline
from masterworker.errors import UnpicklableError
from masterworker.worker.further import FurtherCalls, pickled_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from masterworker.worker.further import Asks

T = TypeVar("T")

#: A `map` has asked for at most this many calls whose results it has not returned.
AHEAD: Final = 256
#: After this number of names, depths and threads further calls have one name.
NAMES: Final = 100
SOME: Final = "call"


class NestedFuture(Generic[T]):
    """The future of a call that a task has asked for. For the thread that has asked.

    Args:
        calls: It is one of these; None: it has ended already.
    """

    def __init__(self, calls: _Calls | None) -> None:
        self._calls = calls
        self._outcome: tuple[Any, BaseException | None] | None = None
        #: Called once the outcome is known.
        self.on_settled: Callable[[], object] | None = None

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Note the outcome."""
        self._outcome = value, error
        tell, self.on_settled = self.on_settled, None
        if tell is not None:
            tell()

    @property
    def has_ended(self) -> bool:
        """Whether the outcome is known; does not ask for it."""
        return self._outcome is not None

    @property
    def collected_with(self) -> object:
        """What is the same for calls whose outcomes are collected together."""
        return self._calls

    def collect(self, timeout: float | None) -> None:
        """Wait for one outcome: of this call, or of one that is collected with it.

        Raises:
            TimeoutError: None came in this time.
        """
        if self._outcome is None and self._calls is not None:
            self._calls.collect(timeout)

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result, and execute other tasks meanwhile.

        Args:
            timeout: Seconds to wait at most, beside a task that is executed meanwhile; None: as
                long as it takes.

        Raises:
            TimeoutError: It was not done in this time.
            Exception: What the function has raised.
        """
        error = self.exception(timeout)
        if error is not None:
            try:
                raise error
            finally:
                del error, self  # the error refers to this frame, and this future to the error
        assert self._outcome is not None  # noqa: S101  `exception` has waited for it
        result: T = self._outcome[0]
        return result

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait as `result` does; return what the function has raised, or None."""
        deadline = Deadline(timeout)
        while self._outcome is None:
            self.collect(deadline.left())
        return self._outcome[1]

    def __reduce__(self) -> Any:
        raise UnpicklableError(
            "a future is of use in the task that has asked for it only: send future.result()"
        )


class _Calls:
    """The calls of functions of one name that were asked for in one thread, at one depth.

    Args:
        engine: Of the worker.
        name: Theirs.
    """

    def __init__(self, engine: Asks, name: str) -> None:
        self._calls = FurtherCalls(engine, name)
        #: What was dropped is not kept: its outcome is taken and forgotten.
        self._futures: weakref.WeakValueDictionary[int, NestedFuture[Any]] = (
            weakref.WeakValueDictionary()
        )

    def submit(
        self, function: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> NestedFuture[T]:
        """Ask for a call. Where many outcomes are not waited for, some are taken first."""
        while self._calls.under_way > AHEAD + 2 * len(self._futures):
            self.collect(None)
        future: NestedFuture[T] = NestedFuture(self)
        self._futures[self._calls.ask(pickled_function(function), args, kwargs)] = future
        return future

    def collect(self, timeout: float | None) -> None:
        """Wait for some outcome, and tell its future."""
        number, value, error = self._calls.wait(timeout)
        future = self._futures.pop(number, None)
        if future is not None:
            future.settle(value, error)


class NestedCalls:
    """What the tasks of a worker ask for by calls.

    Args:
        engine: Of the worker.
    """

    def __init__(self, engine: Asks) -> None:
        self._engine = engine
        #: By name, by depth of tasks inside tasks, and by thread where a task has threads.
        self._calls: dict[tuple[str, int, int], _Calls] = {}

    def submit(
        self, function: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> NestedFuture[T]:
        """Ask for a call; see `Worker.submit`."""
        engine, name = self._engine, _name_of(function)
        depth = engine.depth
        here = (name, 0, threading.get_ident()) if depth is None else (name, depth, 0)
        calls = self._calls.get(here)
        if calls is None:
            if len(self._calls) >= NAMES:  # the master keeps some figures for each
                name, here = SOME, (SOME, *here[1:])
            calls = self._calls.setdefault(here, _Calls(engine, name))
        return calls.submit(function, args, kwargs)

    def starmap(
        self, function: Callable[..., T], rows: Iterable[tuple[Any, ...]], ahead: int = AHEAD
    ) -> Iterator[T]:
        """Ask for a call for each row of arguments; see `Worker.map`.

        Args:
            function: What is called.
            rows: Its arguments.
            ahead: At most this many are under way, or done and not taken.
        """
        calls = FurtherCalls(self._engine, _name_of(function))
        results = _results(calls, pickled_function(function), iter(rows), ahead)
        next(results)  # asks for the first ones now, and is closed in order from here on
        return results


def _name_of(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__


def _results(
    calls: FurtherCalls, pickled: bytes, rows: Iterator[tuple[Any, ...]], ahead: int
) -> Iterator[Any]:
    """Yield None once the first calls have been asked for, then the results in order."""
    outcomes: dict[int, tuple[Any, BaseException | None]] = {}
    try:
        order = deque(calls.ask(pickled, row) for row in islice(rows, ahead))
        yield None
        while order:
            number = order.popleft()
            while number not in outcomes:
                done, value, error = calls.wait()
                outcomes[done] = value, error
            value, error = outcomes.pop(number)
            if error is not None:
                raise error
            order.extend(calls.ask(pickled, row) for row in islice(rows, 1))
            yield value
    finally:
        calls.end()
