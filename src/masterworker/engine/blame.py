"""Who is to blame when a process of the engine has ended.

Where each bundle has a process of its own, its tasks are: the scheduler hands them out alone until
it is known which one. Executors lose everything that is with them at once, so there the tasks of
all bundles are in doubt, and are executed with nothing else beside them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masterworker.engine.adapters.base import Died
    from masterworker.engine.lane import Lane
    from masterworker.engine.use import Use

    class Lost(Protocol):
        """Takes what a lane has out of its hands."""

        def __call__(self, lane: Lane, why: str, blame: bool) -> None:
            """Say why, and whether its tasks may be to blame."""


logger = logging.getLogger("masterworker.engine")

#: A task is given up after this many ends, as in `core.crashes`; an engine may have counted more.
STRIKES: Final = 3
#: An executor that breaks again and again is made anew this many times, until a bundle is done.
RENEWALS: Final = 30


class Blame:
    """Keeps in mind which tasks are in doubt. For one thread.

    Args:
        use: The engine.
        lost: Takes what a lane has out of its hands.
    """

    def __init__(self, use: Use, lost: Lost) -> None:
        self._use, self._lost = use, lost
        self._doubtful: set[int] = set()
        #: Ends of processes that the engine has counted, and the manager not yet, by task.
        self._strikes: dict[int, int] = {}
        self._renewals = 0

    @property
    def in_doubt(self) -> bool:
        """Whether any task is."""
        return bool(self._doubtful)

    def is_doubtful(self, task_ids: Iterable[int]) -> bool:
        """Return whether one of these tasks may end a process, with what else is in it."""
        return not self._doubtful.isdisjoint(task_ids)

    def is_well(self, lane: Lane) -> None:
        """A bundle has been executed."""
        self._renewals = 0
        if self._doubtful:
            self._doubtful.difference_update(lane.task_ids)

    def has_struck(self, lane: Lane) -> bool:
        """Return whether a task has ended more processes than the manager knows, and say so."""
        task_ids = lane.task_ids
        if len(task_ids) != 1 or not self._strikes.get(task_ids[0]):
            return False
        self._strikes[task_ids[0]] -= 1
        if not self._strikes[task_ids[0]]:
            del self._strikes[task_ids[0]]
        self._lost(lane, "its process ended when the engine repeated it", blame=True)
        return True

    def on_death(self, lane: Lane, died: Died, sent: list[Lane]) -> bool:
        """A process has ended that executed a bundle.

        Args:
            lane: Whose bundle.
            died: What the adapter says.
            sent: All lanes with bundles at the engine, this one included.

        Returns:
            False: the engine executes nothing any more.
        """
        if not died.is_shared:
            self._blame(lane, died)
            return True
        alone = sent == [lane]
        for each in sent:
            self._doubtful.update(each.task_ids)
            if each is not lane:
                each.future.cancel()
        goes_on = self._renew()
        self._use.is_over = self._use.is_over or not goes_on
        for each in sent:
            if alone and goes_on:
                self._blame(each, died)
            else:
                self._lost(each, f"was with an engine whose process ended: {died.text}", False)
        return goes_on

    def _blame(self, lane: Lane, died: Died) -> None:
        task_ids = lane.task_ids
        if len(task_ids) == 1 and died.processes > 1:
            self._strikes[task_ids[0]] = min(died.processes, STRIKES) - 1
        self._lost(lane, died.text, blame=True)

    def _renew(self) -> bool:
        """Make a broken engine anew. False: that cannot be done, or does not help."""
        self._renewals += 1
        if self._renewals > RENEWALS:
            return False
        try:
            return self._use.adapter.renew()
        except Exception:
            logger.exception("%s cannot be made anew", self._use.adapter.name)
            return False
