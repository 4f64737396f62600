"""Further calls that a task asks for and waits for.

Outcomes are told apart by tags: the name of what is called, and who collects them. A process uses
as many of them as it has calls of several at one time, since the master keeps some figures for each
tag.
"""

from __future__ import annotations

import heapq
import os
from typing import TYPE_CHECKING, Any, Final, Protocol

from masterworker import forks
from masterworker.core.filters import CALL_MARK
from masterworker.data import definitions
from masterworker.data.mainmodule import MAIN, NAME
from masterworker.data.outcome import value_or_error
from masterworker.data.pickling import dumps, dumps_call
from masterworker.machine import random_name
from masterworker.taskid import COLLECTED_BY
from masterworker.worker import streams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masterworker.core.task import Finished, Payload


class Asks(Protocol):
    """What asks for tasks, and waits: the engine of a worker."""

    @property
    def depth(self) -> int | None:
        """How many tasks wait for others here; None: this thread executes none."""

    def request(self, tag: str, payload: Payload) -> int:
        """Ask for a further task. Returns its number."""

    def collect(self, tag: str | None, timeout: float | None) -> Finished:
        """Wait for an outcome, and execute tasks meanwhile."""


class _Tags:
    """The tags of this process that are free."""

    def __init__(self) -> None:
        self._lock = forks.lock()
        self._name = random_name()
        self._pid = os.getpid()
        self._made = 0
        self._free: list[int] = []

    def take(self) -> tuple[str, int]:
        """Take one. Returns what it ends with, and its number."""
        with self._lock:
            if self._pid != os.getpid():
                self._name, self._pid = random_name(), os.getpid()
            if not self._free:
                self._made += 1
                return f"{self._name}.{self._made}", self._made
            number = heapq.heappop(self._free)
            return f"{self._name}.{number}", number

    def free(self, number: int) -> None:
        """No outcome has this tag any more."""
        with self._lock:
            heapq.heappush(self._free, number)


_tags: Final = _Tags()

#: Arguments of these classes have nothing of the main program.
_PLAIN: Final = {int, float, str, bytes, bool, complex, type(None)}


def pickled_function(function: Callable[..., Any]) -> bytes:
    """Pickle a function for further calls: another worker finds what it refers to."""
    pickled = dumps(function)
    if not _names_main(pickled):
        return pickled
    return dumps(definitions.Further(definitions.resolve, pickled))


def _sent(args: Any) -> Any:
    """Return arguments as they are sent, likewise."""
    if not args or all(each.__class__ in _PLAIN for each in args):
        return args
    try:
        pickled = dumps(args)
    except Exception:  # what is wrong is said when all of it is pickled
        return args
    return definitions.Further(definitions.opened, pickled) if _names_main(pickled) else args


def _names_main(pickled: bytes) -> bool:
    return MAIN.encode() in pickled or NAME.encode() in pickled


class FurtherCalls:
    """Calls that a task asks for. For one thread.

    Args:
        engine: Of the worker that executes the task.
        what: The name of what is called.
    """

    def __init__(self, engine: Asks, what: str) -> None:
        self._engine = engine
        end, self._number = _tags.take()
        self._tag = f"{CALL_MARK}{what}{COLLECTED_BY}{end}"
        self._under_way: set[int] = set()

    @property
    def under_way(self) -> int:
        """The number of calls whose outcomes have not been taken."""
        return len(self._under_way)

    def submit(self, function: Callable[..., Any], *args: Any) -> int:
        """Ask for a call. Returns its number; see `ask`."""
        return self.ask(pickled_function(function), args)

    def ask(self, pickled: bytes, args: tuple[Any, ...], kwargs: Mapping[str, Any] = {}) -> int:
        """Ask for a call of a pickled function. Returns its number. Costs a round trip.

        Raises:
            UnpicklableError: An argument cannot be sent.
            Terminated: The job is over.
        """
        parameters = streams.further_parameters((pickled, _sent(args), _sent(dict(kwargs))))
        number = self._engine.request(self._tag, dumps_call("a further call", parameters))
        self._under_way.add(number)
        return number

    def wait(self, timeout: float | None = None) -> tuple[int, Any, BaseException | None]:
        """Wait for some call; meanwhile execute tasks that wait. Returns its number and outcome.

        Raises:
            TimeoutError: None was done in time.
            Terminated: The job is over.
        """
        finished = self._engine.collect(self._tag, timeout)
        self._under_way.discard(finished.task_id)
        return finished.task_id, *value_or_error(finished)

    def drain(self) -> None:
        """Wait for what is under way, whose outcomes are not wanted."""
        while self._under_way:
            self.wait()

    def end(self) -> None:
        """No more calls come: the tag is free again."""
        self.drain()
        _tags.free(self._number)
