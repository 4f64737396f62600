"""What a pool does for the process that scales it, whether by a batch system or through ssh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.pools.keeping import KeptPool
    from masterworker.pools.pool import Pool
    from masterworker.recorder.shapes import Snapshot


class Driving(Protocol):
    """One pool. Not thread-safe."""

    pool: Pool
    #: Notes how all pools stand; to be called as soon as there is a new id of a job.
    note: Callable[[], None]

    def check(self) -> None:
        """Check that what it needs is here.

        Raises:
            UsageError: It is not, or what is asked for makes no sense there.
        """
        ...

    def shown(self) -> str:
        """Return what would be started, as commands and scripts."""
        ...

    def turn(self, snapshot: Snapshot, need: int) -> None:
        """Do what is to be done.

        Args:
            snapshot: Of the job.
            need: How many workers the pool could have.
        """
        ...

    def here(self) -> int:
        """Return how many workers are here that come and go with the need."""
        ...

    def most(self) -> int:
        """Return how many such workers it may have."""
        ...

    def resume(self) -> None:
        """Go on after starts that failed."""
        ...

    def renew(self) -> None:
        """The master was started again: those that come later join the new run.

        Raises:
            MasterworkerError: It is not known where it is.
            OSError: That cannot be written.
        """
        ...

    def adopt(self, kept: KeptPool) -> None:
        """Go on with the jobs that a process before this one has submitted."""
        ...

    def kept(self) -> KeptPool:
        """Return how it stands."""
        ...

    def finish(self) -> None:
        """The job is over, or lost: take back what waits; what runs ends by itself."""
        ...

    def waiting(self) -> list[str]:
        """Return the jobs that are not known to run or to be over."""
        ...

    def close(self) -> None:
        """Let go of what is kept for those that begin."""
        ...
