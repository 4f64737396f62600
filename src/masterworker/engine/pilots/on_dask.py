"""Pilots in Dask: each is a task of the scheduler, which Dask itself does not repeat."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from masterworker.checking import refuse
from masterworker.engine.pilots.adapter import End, EngineGoneError
from masterworker.errors import UsageError, WorkerStartError
from masterworker.machine import random_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masterworker.engine.elsewhere import Call


#: Seconds to find a scheduler.
_FOUND_IN: Final = 10.0
#: What `Client.submit` knows of where and when to execute.
_RESOURCES: Final = frozenset({"workers", "resources", "priority", "allow_other_workers"})
#: What the dashboard and the logs call a pilot.
_KEY: Final = "masterworker_pilot"


class OnDask:
    """A Dask cluster.

    Args:
        on: A client, or the address of a scheduler.
        resources: Further arguments of its `submit`.

    Raises:
        WorkerStartError: There is no scheduler.
        UsageError: It is a client of another kind, or does not know the resources.
    """

    def __init__(self, on: Any, resources: Mapping[str, Any]) -> None:
        if not resources.keys() <= _RESOURCES:
            refuse("launch_workers(on=Dask)", resources, _RESOURCES)
        self._resources = dict(resources)
        self._is_ours = isinstance(on, str)
        self._client = _connect(on) if self._is_ours else on
        if self._client.asynchronous:
            raise UsageError(
                "this Dask client is asynchronous, and masterworker calls it from a thread: give "
                "a client that was made without asynchronous=True, or the scheduler's address"
            )
        scheduler = self._client.scheduler
        self.name = f"Dask at {scheduler.address if scheduler is not None else 'no address'}"

    @property
    def is_joined_at_exit(self) -> bool:
        """Return that the interpreter does not wait for it."""
        return False

    def slots(self) -> int:
        """Return how many threads its workers have."""
        return sum(self._client.nthreads().values())

    def shortage(self) -> str:
        """Say how many workers it had when it was last heard of."""
        return f" (its client is {self._client.status})"

    def send(self, pilot: Call, on_done: Callable[[], None]) -> SentToDask:
        """Let it execute a pilot."""
        if self._client.status in {"closing", "closed"}:
            raise EngineGoneError("its client was closed")
        key = f"{_KEY}-{random_name()}"
        future = self._client.submit(pilot, key=key, pure=False, retries=0, **self._resources)
        future.add_done_callback(lambda _: on_done())
        return SentToDask(future, self._client)

    def close(self) -> None:
        """Close the client, if this has made it."""
        if self._is_ours:
            with contextlib.suppress(Exception):
                self._client.close(timeout=2)


class SentToDask:
    """A task of Dask."""

    def __init__(self, future: Any, client: Any) -> None:
        self._future, self._client = future, client

    def is_done(self) -> bool:
        """Return whether it has ended, or its client."""
        return bool(self._future.done()) or self._client.status in {"closing", "closed"}

    def end(self) -> tuple[End, str]:
        """Say what has become of it."""
        if self._client.status in {"closing", "closed"}:
            return End.GONE, "its client was closed"
        status = self._future.status
        if status == "error":
            error = self._future.exception(timeout=_FOUND_IN)
            return End.FAILED, f"{type(error).__name__}: {error}"
        if status != "finished":
            return End.FAILED, "Dask has cancelled or lost the task"
        said = self._future.result(timeout=_FOUND_IN)
        return (End.LEFT, "") if said == 0 else (End.FAILED, str(said))

    def cancel(self) -> None:
        """Let go of it, and so let the scheduler forget it."""
        self.release()

    def release(self) -> None:
        """Let go of it."""
        with contextlib.suppress(Exception):
            self._future.release()


def _connect(address: str) -> Any:
    try:
        from masterworker.engine.dask_client import connect
    except ImportError:
        raise UsageError("workers in Dask need it: pip install 'masterworker[dask]'") from None
    where = address.removeprefix("dask://")
    try:
        return connect(where, _FOUND_IN)
    except (OSError, ValueError) as error:
        raise WorkerStartError(
            f"no Dask scheduler answers at {where}, tried for {_FOUND_IN:.0f} s: {error}"
        ) from None
