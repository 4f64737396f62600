"""Ray: bundles are Ray tasks, and large values are Ray objects."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import ray

from masterworker.engine.adapters.base import Died, Gone, Unfit, Verdict, Withdrawn, is_missing, say
from masterworker.engine.elsewhere import as_function
from masterworker.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger("masterworker.engine")


class RayAdapter:
    """Speaks to a Ray cluster.

    Args:
        given: "ray": the cluster that the program has joined, or RAY_ADDRESS names, else a local
            one; or "ray://HOST:PORT".
        resources: Keywords of `ray.remote`, as `num_gpus`.
        slots: How many bundles at one time; None: as many as the cluster has processors for.
        within: Seconds in which it must be reached.

    Raises:
        EngineError: It cannot be reached.
    """

    in_process = apart = False

    def __init__(
        self, given: str, resources: dict[str, Any], slots: int | None, within: float
    ) -> None:
        self._is_mine = not ray.is_initialized()
        if self._is_mine:
            _join(given, within)
        self._needs = {"num_cpus": 1, **resources}
        self._slots = slots
        self._options = {"max_retries": 0, **self._needs}
        self._remote: Any = None
        self.name = "Ray" if given == "ray" else f"Ray at {given}"

    def slots(self) -> int:
        """See `Adapter.slots`."""
        have = ray.cluster_resources()
        cpus = float(self._needs["num_cpus"] or 0)
        number = int(have.get("CPU", 0) / cpus) if cpus else 1_000
        gpus = float(self._needs.get("num_gpus") or 0)
        if gpus:
            number = min(number, int(have.get("GPU", 0) / gpus))
        return number if self._slots is None else min(number, self._slots)

    def send(self, function: Callable[..., Any], args: Sequence[Any], values: Sequence[Any]) -> Any:
        """See `Adapter.send`."""
        if not ray.is_initialized():
            raise EngineError("the program has left the Ray cluster")
        if self._remote is None:
            by_name = as_function(function.__name__)
            self._remote = ray.remote(by_name).options(**self._options)
        future = self._remote.remote(function, *args, *values).future()
        future.set_running_or_notify_cancel()  # Ray does not say when it begins
        return future

    def shortage(self) -> str:
        """See `Adapter.shortage`."""
        wanted = ", ".join(f"{name}={value}" for name, value in self._needs.items())
        return f": no node has {wanted}; add one, as with `ray start --address=...`"

    def hold(self, value: bytes) -> Any:
        """Make it an object of Ray, which each node fetches once."""
        return ray.put(value)

    def release(self, held: Any) -> None:
        """Let go of an object: Ray counts who refers to it."""

    def judge(self, error: BaseException) -> Verdict:
        """See `Adapter.judge`."""
        errors = ray.exceptions
        dead = [errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError]
        if isinstance(error, tuple(dead)):
            return Died(say(error))
        if isinstance(error, errors.TaskCancelledError):
            return Withdrawn(say(error))
        cause = getattr(error, "cause", None)
        if is_missing(error) or (isinstance(cause, BaseException) and is_missing(cause)):
            return Unfit(say(error), is_final=True)
        if isinstance(error, errors.RayTaskError):
            return Unfit(say(error))
        if isinstance(error, (EngineError, errors.RayError, ConnectionError)):
            return Gone(say(error))
        return Unfit(say(error))

    def renew(self) -> bool:
        """Say that Ray starts its workers itself."""
        return bool(ray.is_initialized())

    def close(self) -> None:
        """Leave the cluster, if it was joined for this job."""
        if self._is_mine:
            ray.shutdown()


def _join(given: str, within: float) -> None:
    """Join a cluster, or start a local one."""
    address: str | None = given
    if given == "ray":
        address = os.environ.get("RAY_ADDRESS")
        if not address:
            logger.info("no Ray cluster is named by RAY_ADDRESS: a local one is started")
    try:
        ray.init(
            address=address or "local",
            log_to_driver=True,
            logging_level=logging.WARNING,
            include_dashboard=False if not address else None,
            configure_logging=False,
        )
    except Exception as error:
        raise EngineError(
            f"no Ray cluster answers at {address} (tried for {within:g} s): {say(error)}"
        ) from error
