"""Values that all tasks of a job use: stored once, sent once to each machine, mapped by all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from masterworker.data.states import SharedValue
from masterworker.errors import UsageError
from masterworker.master.launcher import Launching

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from masterworker.manager import Manager
    from masterworker.master.needs import Hold


class Sharing(Launching):
    """What a master stores for all tasks."""

    def __init__(self, label: str, manager: Manager, *, serial: bool) -> None:
        super().__init__(label, manager, serial=serial)
        #: Keep what states refer to in the store, by the states' ids.
        self._held_for_states: dict[int, tuple[Hold, ...]] = {}

    def share(self, **values: Any) -> Shared:
        """Store named values once, for all tasks, which can read them and not change them.

        Arrays, also inside of other objects, are sent once to each machine. All its workers map the
        same memory: opening one costs microseconds, whatever its size.

            with master.share(table=table) as shared:
                results = list(master.map(look_up, itertools.repeat(shared.table), keys))

        Args:
            values: They are fixed now: a later change of an array does not matter.

        Returns:
            An object with an attribute for each of them, which is to be given to tasks in place of
            the value; also inside of lists, tuples and dictionaries.

        Raises:
            UnpicklableError: One of them cannot be sent; says which and why.
            UsageError: There are none.
        """
        if not values:
            raise UsageError("share() needs named values, as in share(table=table)")
        return Shared(self, self._store(values, fixed=True), values)

    def store_state(self, **values: Any) -> int:
        """Store named values once, for all tasks. Returns the state's id: 1, 2, 3, ...

        Give `StateValue(id, name)` to tasks in place of a value. As `share`, but each worker has
        values of its own, which it can change; what it writes to an array nobody else sees.

        Raises:
            UnpicklableError: One of them cannot be sent; says which and why.
        """
        return self._store(values, fixed=False)

    def _store(self, values: dict[str, Any], *, fixed: bool) -> int:
        stored, held = self.needs.of_values(values, fixed=fixed)
        state_id = self.manager.put_state(stored)
        if held:
            self._held_for_states[state_id] = held
        return state_id

    def _drop(self, state_id: int) -> bool:
        self._held_for_states.pop(state_id, None)
        return self.manager.drop_state(state_id)

    def delete_state(self, state_id: int) -> None:
        """Forget a state, here and in the workers.

        Raises:
            UsageError: There is none of this id.
        """
        if not self._drop(state_id):
            raise UsageError(
                f"there is no state {state_id}: it was never stored, or deleted before"
            )


class Shared:
    """Values that `Master.share` has stored, as attributes. Can be used with `with`.

    Args:
        master: Whose they are.
        state_id: Under which they are stored.
        names: Theirs.
    """

    def __init__(self, master: Sharing, state_id: int, names: Iterable[str]) -> None:
        self._master = master
        self._values = {name: SharedValue(state_id, name) for name in names}
        self.state_id = state_id

    def __getattr__(self, name: str) -> SharedValue:
        values: dict[str, SharedValue] = self.__dict__.get("_values", {})
        if name not in values:
            raise AttributeError(f"no value {name!r} is shared here, only {', '.join(values)}")
        return values[name]

    def delete(self) -> None:
        """Forget the values, here and in all workers. Tasks that use them will fail."""
        self._master._drop(self.state_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.delete()

    def __repr__(self) -> str:
        return f"<Shared {', '.join(self._values)}>"
