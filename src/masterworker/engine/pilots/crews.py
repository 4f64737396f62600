"""The workers of one job that are in engines: launched, named when they fail, and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker.deadline import Deadline
from masterworker.engine.pilots import exits
from masterworker.engine.pilots.choice import adapter_for
from masterworker.engine.pilots.crew import Crew, Wish
from masterworker.engine.pilots.travelling import Order
from masterworker.errors import WorkerStartError
from masterworker.launch import checks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masterworker.engine.pilots.adapter import Adapter
    from masterworker.manager import Manager


class Crews:
    """The crews of one job. Thread-safe.

    Args:
        manager: Its task manager.
        ticket: Makes a ticket of this job, valid for the time that it is given.
        on_change: Called by a thread when workers have been given up.
        end: Ends the job with the program. It does not keep what the program uses.
    """

    def __init__(
        self,
        manager: Manager,
        ticket: Callable[[str], str],
        on_change: Callable[[], None],
        end: Callable[[], None],
    ) -> None:
        self._end = end
        self._manager, self._ticket, self._on_change = manager, ticket, on_change
        self._all: list[Crew] = []
        #: Of these, what each master has under `masterworker.mpi` by itself.
        self._on_ranks: Crew | None = None

    def launch(
        self,
        number: int | str,
        on: Any,
        order: Order,
        no_workers_timeout: float | None,
        resources: Mapping[str, Any],
        *,
        wait: float | None,
    ) -> None:
        """Launch workers in an engine; see `Master.launch_workers`.

        Args:
            number: How many.
            on: The engine.
            order: What each of them is told; its ticket and its name are made here.
            no_workers_timeout: Seconds after which an engine without workers is an error.
            resources: In the engine's own terms.
            wait: Wait for their start, this number of seconds at most; None: do not.
        """
        many = None if number == "auto" else checks.number_of_workers(number)
        if many == 0:
            return
        adapter = adapter_for(on, resources)
        if on == "mpi" and self._on_ranks is not None:  # the program says itself how many, and how
            self._on_ranks.retire()
        many = max(1, adapter.slots()) if many is None else many
        crew = self._keep(adapter, Wish(many, order, no_workers_timeout))
        if wait is not None and (why := crew.wait(wait)):
            self._all.remove(crew)
            crew.stop(0.0)
            raise WorkerStartError(f"a worker that was launched did not start: {why}")

    def launch_on_ranks(self) -> None:
        """Let the workers of this job be on the ranks that `masterworker.mpi` has found.

        They begin with the first task: the program may not have stored yet what they execute.
        """
        adapter = adapter_for("mpi", {})
        wish = Wish(adapter.slots(), Order(), begins_with_tasks=True)
        self._on_ranks = self._keep(adapter, wish)

    def _keep(self, adapter: Adapter, wish: Wish) -> Crew:
        crew = Crew(self._manager, adapter, wish, self._ticket, self._on_change)
        self._all.append(crew)
        if adapter.is_joined_at_exit:
            exits.add(id(self), self._end)
        crew.start()
        return crew

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._all)

    def trouble(self) -> str:
        """Return why no worker will ever come from an engine; "": some are here, or may come."""
        found = [crew.trouble() for crew in self._all if not crew.is_retired]
        return next(iter(found), "") if all(found) else ""

    def describe_starting(self) -> str:
        """Say which workers an engine has not begun, and what may be missing; "": none.

        Takes no lock.
        """
        return next(filter(None, (crew.describe_starting() for crew in self._all)), "")

    def in_vain(self) -> str:
        """Return why waiting for workers is to be an error, as the user has said; "": it is not."""
        return next((crew.in_vain for crew in self._all if crew.in_vain), "")

    def finish(self) -> None:
        """The job ends: send no more, and take back what has not begun."""
        for crew in self._all:
            crew.finish()

    def stop(self, seconds: float) -> None:
        """Wait for the engines' tasks to return, for these seconds in all; then let them go."""
        deadline = Deadline(seconds)
        for crew in self._all:
            crew.stop(max(0.0, deadline.left()))
        self._all.clear()
        exits.remove(id(self))
