"""The ranks of an MPI job as an executor: rank 0 sends calls, each other rank executes them.

Who waits, looks from time to time: a call of MPI that waits takes a processor.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, Final

from masterworker.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

#: Tags of messages: calls, and what they have returned. Each library that implements MPI has these.
_CALL: Final = 27_182
_RETURNED: Final = 27_183
#: Between two looks for a message (seconds).
_PAUSE: Final = 0.01
#: Ranks have this long to return what they are executing (seconds).
_LAST: Final = 20.0


def serve(comm: Any) -> None:
    """Execute what rank 0 sends, until it says that nothing more comes; on each other rank.

    Args:
        comm: The communicator.
    """
    pause = threading.Event()
    while True:
        while not comm.iprobe(source=0, tag=_CALL):
            pause.wait(_PAUSE)
        call = comm.recv(source=0, tag=_CALL)
        if call is None:
            return
        try:
            value = call()
        except Exception as error:
            value = f"{type(error).__name__}: {error}"
        comm.send(value, dest=0, tag=_RETURNED)


class Ranks(Executor):
    """An executor on rank 0, with a place on each other rank, which serve. Thread-safe.

    Args:
        comm: The communicator. Nothing else uses the tags 27182 and 27183 on it.
    """

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self._max_workers = comm.Get_size() - 1
        self._idle = list(range(self._max_workers, 0, -1))
        self._busy: dict[int, Future[Any]] = {}
        self._waiting: deque[tuple[Future[Any], Callable[..., Any]]] = deque()
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="masterworker-ranks", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Let a rank call a function, without arguments.

        Raises:
            RuntimeError: It was shut down.
        """
        if args or kwargs:
            raise TypeError("calls on ranks have no arguments")
        future: Future[Any] = Future()
        with self._changed:
            if self._over:
                raise RuntimeError("the ranks were told that nothing more comes")
            self._waiting.append((future, fn))
            self._changed.notify_all()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        """Tell the ranks that nothing more comes. Can be called twice.

        Args:
            wait: Wait until they have returned what they execute.
            cancel_futures: Always true: what has not begun is cancelled.
        """
        del cancel_futures
        with self._changed:
            self._over = True
            self._changed.notify_all()
        if wait and threading.current_thread() is not self._thread:
            self._thread.join(_LAST)

    def _run(self) -> None:
        pause = threading.Event()
        end: Deadline | None = None
        while True:
            with self._changed:
                while not (self._over or self._busy or (self._waiting and self._idle)):
                    self._changed.wait()
                if self._over:
                    self._cancel_all()
                    end = end or Deadline(_LAST)
                    if not self._busy or end.left() <= 0:
                        break
                sends = self._assign()
            for rank, call in sends:
                self._comm.send(call, dest=rank, tag=_CALL)
            if not self._receive():
                pause.wait(_PAUSE)
        for rank in range(1, self._max_workers + 1):
            self._comm.send(None, dest=rank, tag=_CALL)

    def _assign(self) -> list[tuple[int, Callable[..., Any]]]:
        sends = []
        while self._waiting and self._idle:
            future, call = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                rank = self._idle.pop()
                self._busy[rank] = future
                sends.append((rank, call))
        return sends

    def _receive(self) -> bool:
        found = False
        for rank in list(self._busy):
            if self._comm.iprobe(source=rank, tag=_RETURNED):
                value = self._comm.recv(source=rank, tag=_RETURNED)
                with self._changed:
                    future = self._busy.pop(rank)
                    self._idle.append(rank)
                future.set_result(value)
                found = True
        return found

    def _cancel_all(self) -> None:
        while self._waiting:
            future, _ = self._waiting.popleft()
            future.cancel()


class _OfProgram:
    """What `masterworker.mpi` has found, for the masters of the program that it runs."""

    #: On which each master of this process has its workers; None: on none.
    executor: Executor | None = None


of_program: Final = _OfProgram()
