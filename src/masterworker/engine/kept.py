"""What a process of an engine keeps of a job between bundles: stored values, and its workers."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from masterworker import forks, wire
from masterworker.data import definitions
from masterworker.data.states import StateCache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from masterworker.core.task import Payload
    from masterworker.engine.parcel import Known

#: Jobs whose values a process keeps.
JOBS: Final = 8
#: Larger values are kept as segments (bytes), and do not travel with each bundle.
SMALL: Final = 1 << 16


class Home:
    """The master of a job is in this process.

    Args:
        handlers: Its handlers that are functions, by tag.
    """

    def __init__(self, handlers: Mapping[str, Callable[..., Any]]) -> None:
        self.handlers = handlers
        self.pid = os.getpid()


#: By the random name of the run.
homes: Final[dict[str, Home]] = {}


class Store:
    """The values of one job, as they have come with bundles. Thread-safe."""

    def __init__(self) -> None:
        self._lock = forks.lock()
        self._values: dict[tuple[str, str], tuple[int, Payload]] = {}
        #: States as they have been rebuilt; each thread has its own.
        self._caches: list[KeptStates] = []

    def update(
        self, known: Sequence[Known], shipped: Sequence[Known], values: Sequence[Payload]
    ) -> list[Known]:
        """Take in what has come with a bundle, and forget what the job has forgotten.

        Returns:
            What is missing.
        """
        with self._lock:
            for (space, name, version), value in zip(shipped, values, strict=True):
                self._values[space, name] = version, value
            wanted = {(space, name): version for space, name, version in known}
            for key in [key for key in self._values if key not in wanted]:
                del self._values[key]
                for cache in self._caches:
                    cache.forget_name(*key)
            return [
                (space, name, version)
                for (space, name), version in wanted.items()
                if self._values.get((space, name), (0,))[0] != version
            ]

    def get(self, space: str, name: str) -> Payload | None:
        """Return a value; None where there is none.

        Definitions are found in any job: their names are digests of what they are, and threads of
        one process that execute tasks of several jobs have one place where they look for them.
        """
        found = self._values.get((space, name))
        if found is None and space == wire.DEFINITIONS:
            others = (each._values.get((space, name)) for each in tuple(_stores.values()))
            found = next(filter(None, others), None)
        return None if found is None else found[1]

    def states(self) -> KeptStates:
        """Return a further cache of states."""
        cache = KeptStates(lambda name: self.get(wire.STATES, name))
        with self._lock:
            self._caches.append(cache)
        return cache


class KeptStates(StateCache):
    """States that outlive a bundle: a process that joins anew forgets none of them."""

    def clear(self) -> None:
        """Do nothing: what is of no use any more is not in the next bundle's list."""

    def forget_name(self, space: str, name: str) -> None:
        """A value has been forgotten by the job."""
        state_id, _, _ = name.partition("/")
        if space == wire.STATES and state_id.isdecimal():
            self.forget(int(state_id))


_stores: Final[OrderedDict[str, Store]] = OrderedDict()
_lock: Final = forks.lock()


def store_of(instance: str) -> Store:
    """Return where the values of a job are kept."""
    with _lock:
        store = _stores.get(instance)
        if store is None:
            store = _stores[instance] = Store()
            while len(_stores) > JOBS:
                _stores.popitem(last=False)
        _stores.move_to_end(instance)
        return store


def home_of(instance: str) -> Home | None:
    """Return the home of a job, if its master is in this process."""
    home = homes.get(instance)
    return home if home is not None and home.pid == os.getpid() else None


def live_apart() -> None:
    """Let what a master sends not replace the main program that this process has.

    A fork of a process with a master has a copy of that, from which functions must not come: what
    their names mean in the master may have changed since.
    """
    if any(home.pid != os.getpid() for home in homes.values()):
        homes.clear()
        definitions._here.has_master = False
    definitions.live_apart()


class OfThread(threading.local):
    """What one thread keeps."""

    def __init__(self) -> None:
        self.places: OrderedDict[tuple[str, str], Any] = OrderedDict()
