"""Any `concurrent.futures.Executor`: loky, pools of processes or threads, mpi4py, Parsl, ..."""

from __future__ import annotations

import os
from concurrent.futures import BrokenExecutor, CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from masterworker.engine.adapters.base import Died, Gone, Unfit, Verdict, Withdrawn, is_missing, say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

#: Names of errors that say that a process has ended, in executors that are not broken by it.
_DEATHS = frozenset({"WorkerLost", "ManagerLost", "EngineError", "TerminatedWorkerError"})
#: Packages whose executors do not replace a process that has ended, or take half a minute for it.
_LASTING = frozenset({"executorlib", "ipyparallel", "parsl"})
#: Where executors have the number of their workers.
_NUMBERS = ("_max_workers", "num_workers", "max_workers")


class ExecutorAdapter:
    """Speaks to an executor.

    Args:
        executor: The executor; None: the first one is still to be made.
        make: Makes one anew; None: a broken one stays broken.
        slots: How many bundles at one time; None: as the executor says.
    """

    def __init__(
        self,
        executor: Executor | None,
        make: Callable[[], Executor] | None = None,
        slots: int | None = None,
    ) -> None:
        self._make = make or _remake(executor)
        self._is_mine = executor is None
        self._slots = slots
        if executor is None:
            assert make is not None  # noqa: S101  for the type checker
            executor = make()
        self._executor = executor
        self.name = type(executor).__name__.lstrip("_")
        self.in_process = isinstance(executor, ThreadPoolExecutor)
        homes = {each.__module__.partition(".")[0] for each in type(executor).__mro__}
        self.apart = not _LASTING.isdisjoint(homes)

    def slots(self) -> int:
        """See `Adapter.slots`."""
        return self._slots or _number(self._executor)

    def send(self, function: Callable[..., Any], args: Sequence[Any], values: Sequence[Any]) -> Any:
        """See `Adapter.send`."""
        return self._executor.submit(function, *args, *values)

    def shortage(self) -> str:
        """Say nothing: it always has some."""
        return ""

    def hold(self, value: bytes) -> Any:  # noqa: ARG002  as declared
        """Hold nothing: there is no way to all processes of an executor."""
        return None

    def release(self, held: Any) -> None:
        """See `Adapter.release`."""

    def judge(self, error: BaseException) -> Verdict:
        """See `Adapter.judge`."""
        names = {each.__name__ for each in type(error).__mro__}
        if isinstance(error, CancelledError):
            return Withdrawn(say(error))
        if is_missing(error):
            return Unfit(say(error), is_final=True)
        if isinstance(error, BrokenExecutor):
            return Died(say(error), is_shared=True)
        if names & _DEATHS:
            return Died(say(error))
        if isinstance(error, RuntimeError) and "shutdown" in str(error):
            return Gone(say(error))
        return Unfit(say(error))

    def renew(self) -> bool:
        """See `Adapter.renew`."""
        if self._make is None:
            return False
        broken = self._executor
        self._executor = self._make()
        if self._is_mine and broken is not self._executor:
            broken.shutdown(wait=False, cancel_futures=True)
        return True

    def close(self) -> None:
        """End the executor if it was made for this job."""
        if self._is_mine:
            self._executor.shutdown(wait=False, cancel_futures=True)


def _number(executor: Any) -> int:
    for name in _NUMBERS:
        number = getattr(executor, name, None)
        if isinstance(number, int) and number > 0:
            return number
    view = getattr(executor, "view", None)  # of ipyparallel
    if view is not None:
        return max(1, len(view))
    return os.cpu_count() or 1


def _remake(executor: Any) -> Callable[[], Executor] | None:
    """Return what makes another executor in the place of loky's reusable one; None: it is none."""
    if type(executor).__name__ != "_ReusablePoolExecutor":
        return None
    number = _number(executor)

    def make() -> Executor:
        module = type(executor).__module__
        import importlib

        loky = importlib.import_module(module)
        made: Executor = loky.get_reusable_executor(number)
        return made

    return make
