"""Which adapter is for what a program names as its engine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from masterworker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from masterworker.engine.pilots.adapter import Adapter


def adapter_for(on: Any, resources: Mapping[str, Any]) -> Adapter:
    """Return the adapter.

    Args:
        on: See `Master.launch_workers`.
        resources: In the engine's own terms.

    Raises:
        UsageError: It is no engine, or does not know the resources.
        WorkerStartError: There is none at this address.
    """
    if on == "mpi" or _is_communicator(on):
        from masterworker.engine.pilots.on_ranks import OnRanks

        return OnRanks(on, resources)
    if isinstance(on, str):
        if on == "ray" or on.startswith("ray://"):
            from masterworker.engine.pilots.on_ray import OnRay

            return OnRay(on, resources)
        if on.startswith(("dask://", "tcp://", "tls://")):
            from masterworker.engine.pilots.on_dask import OnDask

            return OnDask(on, resources)
        raise UsageError(
            f'on={on!r} is no engine: write "dask://HOST:PORT", "ray", "ray://HOST:PORT" or "mpi"'
        )
    if _is_of("distributed", "Client", on):
        from masterworker.engine.pilots.on_dask import OnDask

        return OnDask(on, resources)
    from masterworker.engine.pilots.on_executor import OnExecutor, is_executor

    if is_executor(on) or (callable(on) and not isinstance(on, type)):
        return OnExecutor(on, resources)
    raise UsageError(
        f"on= is {on!r}, which is no engine: give a Dask client or address, "
        '"ray", "mpi", an MPI communicator, or an executor of concurrent.futures'
    )


def _is_of(package: str, name: str, value: Any) -> bool:
    """Return whether a value is of a class of another library, which is not loaded for that."""
    there = getattr(sys.modules.get(package), name, None)
    return isinstance(there, type) and isinstance(value, there)


def _is_communicator(value: Any) -> bool:
    there = getattr(sys.modules.get("mpi4py.MPI"), "Comm", None)
    return isinstance(there, type) and isinstance(value, there)
