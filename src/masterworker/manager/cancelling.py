"""Cancelling tasks, at once or where they have not begun, and whether they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.manager.calls import Calls, Event
    from masterworker.manager.guard import Guard

#: A worker that is asked whether a task has begun answers within about 20 ms. One that stands still
#: is not waited for longer than this (seconds).
REVOKE_SECONDS = 0.5


class Cancelling:
    """Cancels tasks of one job. Thread-safe.

    Args:
        guard: Is held around each step.
        calls: Wait for workers to answer.
        revoke: What the machine does to cancel what has not begun.
        clock: The manager's clock.
    """

    def __init__(
        self,
        guard: Guard,
        calls: Calls,
        revoke: Event[list[int]],
        clock: Callable[[], float],
    ) -> None:
        self._guard, self._calls, self._clock = guard, calls, clock
        self._revoke = revoke

    def cancel(self, task_ids: Sequence[int]) -> list[int]:
        """Cancel tasks, whatever has become of them. Returns those without an outcome."""
        with self._guard as machine:
            return machine.cancel(task_ids, self._clock())

    def revoke(self, task_ids: Sequence[int]) -> list[int]:
        """Cancel those of these tasks that have not begun.

        Where a worker has one, it is asked, and this waits for its answer, `REVOKE_SECONDS` at
        most, without the lock.

        Returns:
            The ids of those that are cancelled now, and never run.
        """
        return self._calls.call(self._revoke, task_ids, wait=REVOKE_SECONDS)

    def is_handed_out(self, task_id: int) -> bool:
        """Return whether a worker has a task that has no outcome yet."""
        with self._guard as machine:
            machine.flush(self._clock())
            return machine.core.holder_of(task_id) is not None

    def is_running(self, task_ids: Sequence[int]) -> bool:
        """Return whether a worker has said that it has begun with one of these tasks."""
        with self._guard as machine:
            machine.flush(self._clock())
            return any(map(machine.revoking.has_begun, task_ids))
