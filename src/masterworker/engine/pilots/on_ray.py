"""Pilots in Ray: each is a task with a processor, which Ray does not repeat."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING, Any

from masterworker.engine.elsewhere import as_function
from masterworker.engine.pilots.adapter import End, EngineGoneError
from masterworker.errors import UsageError, WorkerStartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masterworker.engine.elsewhere import Call


logger = logging.getLogger("masterworker.master")


class OnRay:
    """A Ray cluster: the one that this process has joined, else the one that is named.

    Args:
        on: "ray", or "ray://host:port".
        resources: Options of its remote functions.

    Raises:
        WorkerStartError: There is none at this address.
        UsageError: It does not know the resources.
    """

    def __init__(self, on: str, resources: Mapping[str, Any]) -> None:
        try:
            import ray
        except ImportError:
            raise UsageError("workers in Ray need it: pip install 'masterworker[ray]'") from None
        self._ray = ray
        address = on if on.startswith("ray://") else os.environ.get("RAY_ADDRESS")
        if not ray.is_initialized():
            if address is None:
                logger.warning(
                    "there is no Ray cluster (RAY_ADDRESS is not set): a local one is started"
                )
            try:
                ray.init(address=address, log_to_driver=True)
            except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
                where = address or "this machine"
                raise WorkerStartError(f"no Ray cluster at {where}: {error}") from None
        options = {"num_cpus": 1, "max_retries": 0, "name": "masterworker_pilot", **resources}
        try:
            self._function = ray.remote(**options)(as_function("masterworker_pilot"))
        except (ValueError, TypeError) as error:
            raise UsageError(f"Ray does not take these resources: {error}") from None
        self._needs = options["num_cpus"] or 1
        self.name = f"Ray at {address}" if address else "Ray"

    @property
    def is_joined_at_exit(self) -> bool:
        """Return that the interpreter does not wait for it."""
        return False

    def slots(self) -> int:
        """Return for how many pilots it has processors."""
        found: dict[str, float] = self._ray.cluster_resources()
        return int(found.get("CPU", 0) // self._needs)

    def shortage(self) -> str:
        """Say nothing: that takes a call that may wait."""
        return ""

    def send(self, pilot: Call, on_done: Callable[[], None]) -> SentToRay:
        """Let it execute a pilot."""
        if not self._ray.is_initialized():
            raise EngineGoneError("this process has left it (ray.shutdown)")
        return SentToRay(self._ray, self._function.remote(pilot), on_done)

    def close(self) -> None:
        """Stay in the cluster: other parts of the program may use it."""


class SentToRay:
    """A task of Ray."""

    def __init__(self, ray: Any, reference: Any, on_done: Callable[[], None]) -> None:
        self._ray, self._reference = ray, reference
        self._future = reference.future()
        self._future.add_done_callback(lambda _: on_done())

    def is_done(self) -> bool:
        """Return whether it has ended, or this process is in the cluster no more."""
        return bool(self._future.done()) or not self._ray.is_initialized()

    def end(self) -> tuple[End, str]:
        """Say what has become of it."""
        if not self._ray.is_initialized():
            return End.GONE, "this process has left it (ray.shutdown)"
        if self._future.cancelled():
            return End.FAILED, "Ray has cancelled the task"
        if (error := self._future.exception()) is not None:
            first = next(iter(str(error).strip().splitlines()), "")
            return End.FAILED, f"{type(error).__name__}: {first}"
        said = self._future.result()
        return (End.LEFT, "") if said == 0 else (End.FAILED, str(said))

    def cancel(self) -> None:
        """Let Ray not begin it."""
        with contextlib.suppress(Exception):
            self._ray.cancel(self._reference)

    def release(self) -> None:
        """Hold no reference any more."""
        self._reference = None
