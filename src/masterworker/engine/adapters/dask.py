"""Dask: bundles are tasks of a `Client`.

Each is for one Dask worker, the one that has the fewest; where there is none, an adaptive cluster
starts one for what is for any. Dask would execute a task whose worker has
died four times more before it says so; one that is for a worker that is gone, it does not begin.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Final

import distributed

from masterworker.engine.adapters.base import Died, Gone, Unfit, Verdict, Withdrawn, is_missing, say
from masterworker.engine.dask_client import connect
from masterworker.errors import EngineError
from masterworker.machine import random_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: With this, bundles are found in the dashboard.
PREFIX: Final = "masterworker"
#: A result that does not come within this time is asked for again (seconds); then twice as long.
FIRST_FETCH: Final = 1.0
#: After a worker has left, it is looked for the others before each bundle for this time (seconds).
WARY: Final = 10.0


class DaskAdapter:
    """Speaks to a Dask cluster.

    Args:
        given: A client of the user's; or "dask://HOST:PORT".
        resources: What each bundle needs, of what Dask workers have.
        slots: How many bundles at one time; None: one for each thread of the workers.
        within: Seconds in which the scheduler must answer.

    Raises:
        EngineError: It does not.
    """

    in_process = apart = False

    def __init__(
        self, given: Any, resources: dict[str, Any], slots: int | None, within: float
    ) -> None:
        self._is_mine = isinstance(given, str)
        if isinstance(given, str):
            given = _reach("tcp://" + given.removeprefix("dask://"), within)
        self._client: Any = given
        self._resources, self._slots = resources, slots
        self._sent = 0
        self._wary_until = 0.0
        self._threads: dict[str, int] = {}
        self._under_way: set[_Sent] = set()
        self._job = random_name()[:8]
        self.name = f"Dask at {self._address()}"

    def slots(self) -> int:
        """See `Adapter.slots`. What was with workers that are gone is given up."""
        found: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        self._threads = {
            address: int(each.get("nthreads", 1))
            for address, each in found.items()
            if each.get("status", "running") == "running" and self._has_resources(each)
        }
        gone = [sent for sent in self._under_way if sent.address and sent.address not in found]
        number = Counter(sent.address for sent in gone)
        for sent in gone:
            self._wary_until = time.monotonic() + WARY
            sent.give_up(is_shared=number[sent.address] > 1)
        threads = sum(self._threads.values())
        return threads if self._slots is None else min(threads, self._slots)

    def send(self, function: Callable[..., Any], args: Sequence[Any], values: Sequence[Any]) -> Any:
        """See `Adapter.send`."""
        if self._client.status != "running":
            raise EngineError(f"the Dask client is {self._client.status}")
        if time.monotonic() < self._wary_until:
            self.slots()
        self._sent += 1
        busy = Counter(each.address for each in self._under_way)
        address = min(self._threads, key=lambda each: busy[each] / self._threads[each], default="")
        future = self._client.submit(
            *(function, *args, *values),
            key=f"{PREFIX}-{self._job}-{self._sent}",
            workers=[address] if address else None,
            pure=False,
            retries=0,
            resources=self._resources or None,
        )
        sent = _Sent(future, address, self._under_way.discard)
        self._under_way.add(sent)
        return sent

    def shortage(self) -> str:
        """See `Adapter.shortage`."""
        wanted = f" with resources {self._resources}" if self._resources else ""
        return f": start some{wanted}, as with `dask worker {self._address()}`"

    def hold(self, value: bytes) -> Any:  # noqa: ARG002  as declared
        """Hold nothing: what is scattered is lost for ever when all workers that have it end."""
        return None

    def release(self, held: Any) -> None:
        """See `Adapter.release`."""

    def judge(self, error: BaseException) -> Verdict:
        """See `Adapter.judge`."""
        if isinstance(error, WorkerGone):
            return Died(say(error), is_shared=error.is_shared)
        if isinstance(error, distributed.scheduler.KilledWorker):  # one with the same address
            many = int(getattr(error, "allowed_failures", 3)) + 1
            return Died(f"{many} Dask workers ended: {say(error)}", many, self._share_fate())
        if is_missing(error):
            return Unfit(say(error), is_final=True)
        if isinstance(error, EngineError) or self._client.status != "running":
            return Gone(say(error))
        if isinstance(error, (CancelledError, distributed.CancelledError)):
            return Withdrawn(say(error))
        return Unfit(say(error))

    def renew(self) -> bool:
        """Say that Dask starts its workers itself."""
        return bool(self._client.status == "running")

    def close(self) -> None:
        """Let Dask begin nothing more, and close the client if it was made for this job."""
        for sent in tuple(self._under_way):
            sent.forget()
        if self._is_mine:
            self._client.close(timeout=2)

    # -- inside -----------------------------------------------------------------------------

    def _has_resources(self, worker: dict[str, Any]) -> bool:
        has = worker.get("resources", {})
        return all(has.get(name, 0) >= number for name, number in self._resources.items())

    def _share_fate(self) -> bool:
        """Return whether bundles are executed in one process, in threads."""
        return any(threads > 1 for threads in self._threads.values())

    def _address(self) -> str:
        scheduler = self._client.scheduler
        return str(scheduler.address if scheduler is not None else "an unknown address")


def _reach(address: str, within: float) -> distributed.Client:
    """Return a client.

    Raises:
        EngineError: No scheduler answers in time.
    """
    try:
        return connect(address, within)
    except (OSError, TimeoutError, ValueError) as error:
        raise EngineError(
            f"no Dask scheduler answers at {address} within {within:g} s: {say(error)}"
        ) from error


class WorkerGone(Exception):
    """The Dask worker that a bundle was for has left the cluster.

    Args:
        text: Which one.
        is_shared: Other bundles were for it as well, so it is not known which one it executed.
    """

    def __init__(self, text: str, *, is_shared: bool) -> None:
        super().__init__(text)
        self.is_shared = is_shared


class _Sent:
    """A future of Dask, as the rest of us knows futures.

    Args:
        future: Dask's.
        address: Of the worker that it is for; "": of any, since there was none.
        on_done: Called with this when it is done.
    """

    def __init__(self, future: Any, address: str, on_done: Callable[[_Sent], object]) -> None:
        self._future, self.address, self._on_done = future, address, on_done
        self._done: Callable[[Any], None] | None = None
        self._result: Any = None
        self._error: BaseException | None = None

    def add_done_callback(self, done: Callable[[Any], None]) -> None:
        """Call a function with this when it is done, in a thread of Dask's."""
        self._done = done
        self._future.add_done_callback(self._fetch)

    def cancel(self) -> bool:
        """Cancel it if it has not begun, which cannot be known."""
        return False

    def give_up(self, *, is_shared: bool) -> None:
        """Its worker is gone."""
        text = f"the Dask worker at {self.address} has ended"
        self._error = WorkerGone(text, is_shared=is_shared)
        self._end()

    def forget(self) -> None:
        """Nothing is waited for any more: Dask is not to begin it."""
        self._done = None
        self._on_done(self)
        self._withdraw()

    def result(self) -> Any:
        """Return what the bundle has brought, or raise what has become of it."""
        if self._error is not None:
            raise self._error
        return self._result

    def _fetch(self, future: Any) -> None:
        patience = FIRST_FETCH
        while self._done is not None:  # one that is done may be lost with its worker once more
            try:
                self._result = future.result(timeout=patience)
            except TimeoutError:
                patience *= 2
                continue
            except BaseException as error:  # it is raised once more by `result`
                if self._error is None:
                    self._error = error
            self._end()

    def _end(self) -> None:
        done, self._done = self._done, None
        self._on_done(self)
        if done is not None:
            done(self)
            self._withdraw()

    def _withdraw(self) -> None:
        with contextlib.suppress(Exception):  # the client may be closed
            self._future.cancel(force=True)
