"""Named values that are stored once and stand in for themselves in tasks' parameters.

A `StateValue` is resolved while the parameters are unpickled in the worker, wherever it is nested,
so a task that has none pays nothing.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from masterworker.data.pickling import open_payload
from masterworker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from masterworker.core.task import Payload


class StateCache:
    """The values of states that one process has fetched; each is fetched once.

    Args:
        fetch: Returns the pickled value that the manager has under a name; None: it has none.
    """

    def __init__(self, fetch: Callable[[str], Payload | None]) -> None:
        self._fetch = fetch
        self._values: dict[tuple[int, str], Any] = {}

    def value(self, state_id: int, name: str, *, fixed: bool = False) -> Any:
        """Return a value.

        Args:
            state_id: Of which state.
            name: Under which it was stored.
            fixed: Arrays in it cannot be changed.

        Raises:
            UsageError: It was never stored, or has been deleted.
        """
        key = (state_id, name)
        if key not in self._values:
            data = self._fetch(f"{state_id}/{name}")
            if data is None:
                raise UsageError(
                    f"state {state_id} has no value {name!r}: it was never stored, or deleted"
                )
            self._values[key] = open_payload(data, writable=not fixed)
        return self._values[key]

    def forget(self, state_id: int) -> None:
        """Drop the values of a state."""
        for key in [k for k in self._values if k[0] == state_id]:
            del self._values[key]

    def clear(self) -> None:
        """Drop everything."""
        self._values.clear()


class _Here(threading.local):
    source: StateCache | None = None


_here = _Here()


class StateValue:
    """A placeholder for one value of a state.

    Args:
        state_id: What the call that stored the state returned.
        name: The name under which the value was stored.
    """

    def __init__(self, state_id: int, name: str) -> None:
        self.state_id = state_id
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.state_id!r}, {self.name!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StateValue):
            return NotImplemented
        return (self.state_id, self.name) == (other.state_id, other.name)

    def __hash__(self) -> int:
        return hash((self.state_id, self.name))

    def __reduce__(self) -> tuple[Any, ...]:
        return _resolve, (type(self), self.state_id, self.name)


class SharedValue(StateValue):
    """A placeholder for a value that is never changed: see `Master.share`."""


def _resolve(kind: type[StateValue], state_id: int, name: str) -> Any:
    source = _here.source
    if source is None:
        return kind(state_id, name)
    return source.value(state_id, name, fixed=issubclass(kind, SharedValue))


@contextmanager
def resolving(source: StateCache | None) -> Iterator[None]:
    """In this thread, let what is unpickled find the values of states in `source`."""
    before, _here.source = _here.source, source
    try:
        yield
    finally:
        _here.source = before
