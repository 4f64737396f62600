"""What an executor does with its job: which calls are its own, and how it ends."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from concurrent.futures import BrokenExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from masterworker import forks
from masterworker.awaits.chains import Chains
from masterworker.errors import EngineError, Terminated, WorkerStartError
from masterworker.master import engine_of
from masterworker.master.future import Future

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masterworker.master import Master
    from masterworker.master.requests import Requests


#: Calls that are done are looked for when there are this many, and after as many again.
SWEEP: Final = 1024
#: Seconds that workers have to leave when all is done.
GRACE: Final = 10.0


class Mapped:
    """The calls of one `map`, as a job knows them.

    Args:
        requests: Asks for them.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    @property
    def _outcome(self) -> object:
        """Of a `Future`: None as long as they are not done, and are wanted."""
        asked = self._requests
        return self if asked.has_ended or asked.are_done() or asked.router.has_ended else None

    def open_ids(self) -> list[int]:
        """Return the ids of the calls that have not ended."""
        return self._requests.open_ids()

    def cancel(self) -> None:
        """Cancel the calls that have not ended."""
        self._requests.end()


class Job:
    """The job of one executor. Thread-safe.

    Args:
        master: The master.
        owned: It was made for the executor, and ends with it.
    """

    def __init__(self, master: Master, *, owned: bool) -> None:
        self.master = master
        self.engine = engine_of(master)
        self.owned = owned
        #: Of futures that loops of asyncio wait for.
        self.chains = Chains(self.engine.router)
        #: Why no worker could start.
        self.failure: WorkerStartError | None = None
        self.is_shut_down = False
        #: The interpreter is ending.
        self.at_exit = False
        self.pid = os.getpid()
        self._calls: deque[Future[Any] | Mapped] = deque()
        #: Held by what takes calls out of these.
        self._sweeping = forks.lock()
        self._sweep_at = SWEEP
        #: The collector of garbage may end an executor while its thread is in here.
        self._lock = forks.rlock()
        self._ending: threading.Thread | None = None
        if owned:
            self.engine.execution.watch(self._on_stuck)

    def note(self, call: Future[Any] | Mapped) -> None:
        """A call was asked for, or many as one. Those that are done are forgotten."""
        calls = self._calls
        calls.append(call)
        if calls[0]._outcome is not None or len(calls) > self._sweep_at:
            self._forget_done()

    def _forget_done(self) -> None:
        """Forget those at the front, and if there are many, those behind one that takes long."""
        calls = self._calls
        with self._sweeping:
            while calls and calls[0]._outcome is not None:
                calls.popleft()
            if len(calls) > self._sweep_at:
                for _ in range(len(calls)):
                    call = calls.popleft()
                    if call._outcome is None:
                        calls.append(call)
                self._sweep_at = 2 * len(calls) + SWEEP

    def _is_done(self) -> bool:
        self._forget_done()
        return not self.outstanding() and not (self.owned and self.engine.router.batches)

    def outstanding(self) -> list[Future[Any] | Mapped]:
        """Return the calls that are not done."""
        with self._sweeping:
            return [each for each in tuple(self._calls) if each._outcome is None]

    def cancel_waiting(self, futures: Iterable[Future[Any]]) -> bool:
        """Cancel calls that have not begun; see `Manager.revoke`. False: there is none of these."""
        return bool(self.engine.manager.revoke([each.number for each in futures]))

    def is_handed_out(self, future: Future[Any]) -> bool:
        """Return whether a worker has a call."""
        return self.engine.manager.is_handed_out(future.number)

    def require_open(self) -> None:
        """Refuse a call that comes too late.

        Raises:
            RuntimeError: After `shutdown`, at the end of the interpreter, or in a fork.
            BrokenExecutor: No worker could start.
        """
        if self.is_shut_down or self.failure is not None or os.getpid() != self.pid:
            raise self.refusal()

    def refusal(self) -> RuntimeError:
        """Return the error of a call that comes too late."""
        if os.getpid() != self.pid:
            return RuntimeError("this is a fork of the process with the executor: make one here")
        if self.failure is not None:
            return self.broken()
        end = "interpreter shutdown" if self.at_exit else "shutdown"
        return RuntimeError(f"cannot schedule new futures after {end}")

    def broken(self, why: Terminated | WorkerStartError | None = None) -> BrokenExecutor:
        """Return the error of each call when no worker could start, or the workers were ended.

        Args:
            why: What the job says of it.
        """
        if isinstance(why, WorkerStartError):
            self.failure = why
        if self.failure is None:
            return BrokenExecutor("the workers were ended before this call was done")
        what = "" if isinstance(self.failure, EngineError) else "no worker could start: "
        error = BrokenExecutor(f"{what}{self.failure}")
        error.__cause__ = self.failure
        return error

    # -- the end ----------------------------------------------------------------------------

    def shut_down(self, *, wait: bool, cancel: bool) -> None:
        """Take no more calls; when those that were asked for are done, end the job."""
        with self._lock:
            first, self.is_shut_down = not self.is_shut_down, True
            if first:
                self._ending = threading.Thread(
                    target=self._end, name="masterworker-executor-end", daemon=False
                )
                self._ending.start()
            ending = self._ending
        if cancel:
            self._cancel_all()
        if wait and ending is not None and ending is not threading.current_thread():
            try:
                ending.join()
            except KeyboardInterrupt:
                self.kill()
                raise

    def _cancel_all(self) -> None:
        """Cancel what has not begun; the oldest is done all the same if none is known to have."""
        manager = self.engine.manager
        ids: list[int] = []
        for each in self.outstanding():
            ids += [each.number] if isinstance(each, Future) else each.open_ids()
        if ids and not manager.is_running(ids):
            del ids[0]
        manager.revoke(ids)

    def kill(self) -> None:
        """End now: calls that are not done have no result."""
        self.is_shut_down = True
        if self.owned:
            self.master.shutdown(0.0)
        else:
            for each in self.outstanding():
                each.cancel()

    def _end(self) -> None:
        with contextlib.suppress(Terminated, WorkerStartError):
            self.engine.router.wait_until(self._is_done, None)
        if self.owned:
            self.master.shutdown(GRACE)

    def _on_stuck(self) -> None:
        """End the job if none of its workers could start, since no other one can join.

        By a thread of its own: this is called by the one that the end waits for.
        """
        try:
            self.engine.waiting.require_workers()
        except WorkerStartError as error:
            self.failure = error
            self.is_shut_down = True
            with contextlib.suppress(RuntimeError):  # no more threads: waits find out by themselves
                ending = partial(self.master.shutdown, 0.0)
                threading.Thread(target=ending, name="masterworker-starts", daemon=True).start()
