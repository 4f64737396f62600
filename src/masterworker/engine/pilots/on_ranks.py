"""Pilots on the ranks of an MPI job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker.engine.pilots.on_executor import OnExecutor
from masterworker.engine.pilots.ranks import Ranks, of_program
from masterworker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masterworker.engine.elsewhere import Call
    from masterworker.engine.pilots.on_executor import SentToExecutor


class OnRanks:
    """The ranks that serve.

    Args:
        on: "mpi": those that `masterworker.mpi` has found; or a communicator, whose other ranks
            call `masterworker.mpi.serve` with it.
        resources: None are known.

    Raises:
        UsageError: There are no such ranks.
    """

    def __init__(self, on: Any, resources: Mapping[str, Any]) -> None:
        self._ours: Ranks | None = None
        if on == "mpi":
            if of_program.executor is None:
                raise UsageError(
                    'on="mpi" needs ranks that execute nothing else: start the program with '
                    "mpiexec -n 5 python -m masterworker.mpi PROGRAM, or give a communicator whose "
                    "other ranks call masterworker.mpi.serve(communicator)"
                )
            executor = of_program.executor
        elif on.Get_rank() or on.Get_size() < 2:
            raise UsageError(
                f"this is rank {on.Get_rank()} of {on.Get_size()}: rank 0 launches workers, and "
                "there must be others, which call masterworker.mpi.serve(communicator)"
            )
        else:
            executor = self._ours = Ranks(on)
        self._inner = OnExecutor(executor, resources)
        self.name = "MPI"

    @property
    def is_joined_at_exit(self) -> bool:
        """Return that the interpreter waits for the other ranks."""
        return True

    def slots(self) -> int:
        """Return how many ranks there are."""
        return self._inner.slots()

    def shortage(self) -> str:
        """Say what may be missing."""
        return ": do the other ranks call masterworker.mpi.serve?" if self._ours else ""

    def send(self, pilot: Call, on_done: Callable[[], None]) -> SentToExecutor:
        """Let a rank execute a pilot."""
        return self._inner.send(pilot, on_done)

    def close(self) -> None:
        """Let the ranks go on that serve this job alone."""
        if self._ours is not None:
            self._ours.shutdown()
