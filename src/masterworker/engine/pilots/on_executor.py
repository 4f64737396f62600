"""Pilots in an executor of `concurrent.futures`: Parsl's, loky's, ipyparallel's, a pool's, ..."""

from __future__ import annotations

import contextlib
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from typing import TYPE_CHECKING, Any

from masterworker.checking import refuse
from masterworker.engine.pilots.adapter import End, EngineGoneError
from masterworker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masterworker.engine.elsewhere import Call


class OnExecutor:
    """An executor, or what makes one: that is called again where one has broken.

    Args:
        on: The executor, or a function without parameters that returns one.
        resources: None are known.

    Raises:
        UsageError: It is none of them, or there are resources.
    """

    def __init__(self, on: Any, resources: Mapping[str, Any]) -> None:
        if resources:
            refuse("launch_workers(on=executor)", resources, frozenset())
        self._make: Callable[[], Any] | None = None
        if not is_executor(on):
            self._make, on = on, on()
            if not is_executor(on):
                raise UsageError(f"on= is a function that returns {on!r}, which is no executor")
        elif hasattr(on, "_executor_manager_thread") and type(on).__module__.startswith("loky"):
            self._make = _loky(on)
        self._executor = on
        self.name = type(on).__name__.lstrip("_")

    @property
    def is_joined_at_exit(self) -> bool:
        """Return that the interpreter waits for it."""
        return True

    def slots(self) -> int:
        """Return how many workers it has, where it says that."""
        number = getattr(self._executor, "_max_workers", None)
        if isinstance(number, int) and number > 0:
            return number
        raise UsageError(f"{self.name} does not say how many workers it has: say a number")

    def shortage(self) -> str:
        """Say nothing: executors do not tell."""
        return ""

    def send(self, pilot: Call, on_done: Callable[[], None]) -> SentToExecutor:
        """Let it execute a pilot."""
        try:
            future = self._executor.submit(pilot)
        except (BrokenExecutor, RuntimeError) as error:  # RuntimeError: it was shut down
            if self._make is None:
                raise EngineGoneError(f"{type(error).__name__}: {error}") from None
            self._executor = self._make()
            future = self._executor.submit(pilot)
        future.add_done_callback(lambda _: on_done())
        return SentToExecutor(future, self._make is not None)

    def close(self) -> None:
        """Shut it down, if it was made here."""
        if self._make is not None and not type(self._executor).__module__.startswith("loky"):
            self._executor.shutdown(wait=False)


class SentToExecutor:
    """A call in an executor."""

    def __init__(self, future: Future[Any], can_be_made: bool) -> None:
        self._future, self._can_be_made = future, can_be_made

    def is_done(self) -> bool:
        """Return whether it has ended."""
        return bool(self._future.done())

    def end(self) -> tuple[End, str]:
        """Say what has become of it."""
        if self._future.cancelled():
            return End.FAILED, "the executor has cancelled it"
        try:
            error = self._future.exception(timeout=0)
        except (CancelledError, TimeoutError) as found:
            error = found
        if error is not None:
            broken = isinstance(error, BrokenExecutor) and not self._can_be_made
            return (End.GONE if broken else End.FAILED), f"{type(error).__name__}: {error}"
        said = self._future.result()
        return (End.LEFT, "") if said == 0 else (End.FAILED, str(said))

    def cancel(self) -> None:
        """Let it not begin."""
        with contextlib.suppress(Exception):
            self._future.cancel()

    def release(self) -> None:
        """Hold nothing: a future that is done is no load."""


def is_executor(value: Any) -> bool:
    """Return whether this is used as an executor is: some are of no class of the library's."""
    return isinstance(value, Executor) or (
        callable(getattr(value, "submit", None)) and callable(getattr(value, "shutdown", None))
    )


def _loky(executor: Any) -> Callable[[], Any]:
    """Return what makes a pool of loky's again; the reusable one is shared by the program."""
    from loky import get_reusable_executor

    number = executor._max_workers
    return lambda: get_reusable_executor(max_workers=number)
