"""A client of a Dask scheduler that leaves no thread behind when no scheduler answers."""

from __future__ import annotations

import distributed
from distributed.comm import connect as reach
from distributed.utils import LoopRunner


def connect(address: str, within: float) -> distributed.Client:
    """Return a client, which is not the default one.

    A `Client` that reaches no scheduler leaves the thread of its loop. So whether one listens is
    found out before, in a loop that ends with the answer.

    Args:
        address: Of the scheduler.
        within: Seconds in which it must answer.

    Raises:
        OSError: It does not.
        ValueError: This is no address.
    """
    LoopRunner().run_sync(_greet, address, within)
    return distributed.Client(address, timeout=within, set_as_default=False)


async def _greet(address: str, within: float) -> None:
    options = distributed.Security().get_connection_args("client")
    comm = await reach(address, timeout=within, **options)
    await comm.close()
