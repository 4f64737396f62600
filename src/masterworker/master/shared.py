"""Values that all tasks of a job use: stored once, sent once to each machine, mapped by all."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self

from masterworker.data.states import SharedValue
from masterworker.errors import Terminated, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from masterworker.manager import Manager
    from masterworker.master.journaled import Journaled
    from masterworker.master.needs import Hold, Needs
    from masterworker.master.waiting import Waiting


class SharedValues:
    """What one job stores for all its tasks. Thread-safe.

    Args:
        manager: The task manager of the job.
        needs: Stores what the values refer to.
        waiting: Is referred to, so that a shared value keeps the job alive.
        journaled: Is told what is stored; None: the job has no journal.
    """

    def __init__(
        self,
        manager: Manager,
        needs: Needs,
        waiting: Waiting,
        journaled: Journaled | None = None,
    ) -> None:
        self._journaled = journaled
        self._manager = manager
        self._needs = needs
        self._waiting = waiting
        #: Keep what states refer to in the store, by the states' ids.
        self._held: dict[int, tuple[Hold, ...]] = {}

    def share(self, values: dict[str, Any]) -> Shared:
        """Store values that tasks cannot change; see `Master.share`."""
        if not values:
            raise UsageError("share() needs named values, as in share(table=table)")
        return Shared(self, self.store(values, fixed=True), values)

    def store(self, values: dict[str, Any], *, fixed: bool) -> int:
        """Store values. Returns the id of the state.

        Args:
            values: By name.
            fixed: Tasks cannot change them.
        """
        stored, held = self._needs.of_values(values, fixed=fixed)
        state_id = self._manager.put_state(stored)
        if self._journaled is not None:
            self._journaled.stored(state_id, values)
        if held:
            self._held[state_id] = held
        return state_id

    def drop(self, state_id: int) -> bool:
        """Forget a state, here and in the workers. False: there is none of this id."""
        self._held.pop(state_id, None)
        return self._manager.drop_state(state_id)

    def delete(self, state_id: int) -> None:
        """Forget a state; see `Master.delete_state`."""
        if not self.drop(state_id):
            raise UsageError(
                f"there is no state {state_id}: it was never stored, or deleted before"
            )


class Shared:
    """Values that `Master.share` has stored, as attributes. Can be used with `with`.

    Args:
        values: Where they are stored.
        state_id: Under which number.
        names: Theirs.
    """

    def __init__(self, values: SharedValues, state_id: int, names: Iterable[str]) -> None:
        self._stored = values
        self._values = {name: SharedValue(state_id, name) for name in names}
        self.state_id = state_id

    def __getattr__(self, name: str) -> Any:  # what it stands for, to a type checker
        values: dict[str, SharedValue] = self.__dict__.get("_values", {})
        if name not in values:
            raise AttributeError(f"no value {name!r} is shared here, only {', '.join(values)}")
        return values[name]

    def delete(self) -> None:
        """Forget the values, here and in all workers. Tasks that use them will fail."""
        self._stored.drop(self.state_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(Terminated):  # a fork has nothing to forget
            self.delete()

    def __repr__(self) -> str:
        return f"<Shared {', '.join(self._values)}>"
