"""Named values that a job keeps: opaque bytes, in spaces that are kept apart from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker import forks, wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Payload


class Store:
    """Stored values, and states made of several of them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = forks.lock()
        self._values: dict[tuple[str, str], Payload] = {}
        self._providers: dict[tuple[str, str], Callable[[], bytes]] = {}
        self._states: dict[int, list[str]] = {}
        self._next_state = 1

    def put(self, space: str, name: str, value: Payload) -> None:
        """Store a value."""
        with self._lock:
            self._values[space, name] = value

    def provide(self, space: str, name: str, make: Callable[[], bytes]) -> None:
        """Let a value be made whenever it is asked for."""
        self._providers[space, name] = make

    def get(self, space: str, name: str) -> Payload | None:
        """Return a value; None where there is none."""
        if (make := self._providers.get((space, name))) is not None:
            return make()
        with self._lock:
            return self._values.get((space, name))

    def entries(self) -> list[tuple[str, str, Payload]]:
        """Return all that is stored, with spaces and names; for what has no connection."""
        made = [(*key, make()) for key, make in tuple(self._providers.items())]
        with self._lock:
            return [*made, *((*key, value) for key, value in self._values.items())]

    def drop(self, space: str, name: str) -> bool:
        """Forget a value. False: there was none."""
        with self._lock:
            return self._values.pop((space, name), None) is not None

    def put_state(self, values: dict[str, Payload]) -> int:
        """Store the values of a state. Returns its id: 1, 2, 3, ...; never used again."""
        with self._lock:
            state_id = self._next_state
            self._next_state += 1
            self._states[state_id] = list(values)
            for name, value in values.items():
                self._values[wire.STATES, f"{state_id}/{name}"] = value
            return state_id

    def drop_state(self, state_id: int) -> bool:
        """Forget a state. False: there is none of this id."""
        with self._lock:
            names = self._states.pop(state_id, None)
            for name in names or ():
                del self._values[wire.STATES, f"{state_id}/{name}"]
            return names is not None
