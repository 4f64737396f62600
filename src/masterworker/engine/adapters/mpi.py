"""MPI: rank 0 is the master, and each other rank carries out bundles in a child process.

One thread of rank 0 makes all calls of MPI. What waits looks again and again, with pauses: a call
of MPI that waits takes a processor. Where there is only rank 0, it has a child of its own.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, Final

from mpi4py import MPI

from masterworker.engine.adapters.base import Died, Gone, Unfit, Verdict, Withdrawn, is_missing, say
from masterworker.engine.child import Child, ChildEnded
from masterworker.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: First and longest pause between looks for a message (seconds).
PAUSES: Final = (0.0002, 0.005)
#: Seconds that the end waits for ranks.
END_WITHIN: Final = 5.0


class _World:
    """What this process has of MPI: made once, since ranks serve all jobs of a program."""

    ranks: Ranks | None = None


def begin(given: Any) -> None:
    """Serve the master if this is another rank than 0; then this process ends.

    Raises:
        SystemExit: The master has ended.
    """
    communicator = MPI.COMM_WORLD if isinstance(given, str) else given
    if communicator.Get_rank():
        serve(communicator.Dup())
        raise SystemExit(0)
    if _World.ranks is None:
        _World.ranks = Ranks(communicator.Dup() if communicator.Get_size() > 1 else None)
        atexit.register(_World.ranks.end)


def finish() -> None:
    """Let the ranks end now, and not with the program; nothing more can be sent to them."""
    if _World.ranks is not None:
        _World.ranks.end()


def serve(communicator: Any) -> None:
    """Carry out bundles in a child process, until the master says that there are no more."""
    child = Child()
    try:
        while (message := _receive(communicator)) is not None:
            number, args = message
            try:
                answer = number, True, child.call(args)
            except ChildEnded as error:
                answer = number, False, str(error)
            communicator.send(answer, dest=0)
    finally:
        child.end()


def _receive(communicator: Any) -> Any:
    pause, longest = PAUSES
    never = threading.Event()
    while not communicator.Iprobe(source=0):
        never.wait(pause)
        pause = min(longest, pause * 1.5)
    return communicator.recv(source=0)


class Ranks:
    """The other ranks, as rank 0 knows them. Thread-safe.

    Args:
        communicator: Of all ranks; None: there is only this one.
    """

    def __init__(self, communicator: Any) -> None:
        self._communicator = communicator
        self.number = 1 if communicator is None else communicator.Get_size() - 1
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Future[Any], list[Any]]] = deque()
        self._busy: dict[int, Future[Any]] = {}
        self._is_over = False
        look = self._speak if communicator is not None else self._execute
        self._thread = threading.Thread(target=look, name="masterworker-mpi", daemon=True)
        self._thread.start()

    def send(self, args: list[Any]) -> Future[Any]:
        """Let a rank carry out a bundle."""
        future: Future[Any] = Future()
        with self._changed:
            if self._is_over:
                raise EngineError("MPI has been finalized")
            self._waiting.append((future, args))
            self._changed.notify()
        return future

    def end(self) -> None:
        """Let the ranks end."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join(END_WITHIN)

    def _speak(self) -> None:
        free = deque(range(1, self.number + 1))
        never, pause = threading.Event(), PAUSES[0]
        while True:
            with self._changed:
                while not self._waiting and not self._busy and not self._is_over:
                    self._changed.wait()
                if self._is_over:
                    break
                item = self._waiting.popleft() if self._waiting and free else None
            if item is not None:
                future, args = item
                if future.set_running_or_notify_cancel():
                    rank = free.popleft()
                    self._busy[rank] = future
                    self._communicator.send((rank, args), dest=rank)
            elif self._communicator.Iprobe():
                rank, good, found = self._communicator.recv()
                free.append(rank)
                _settle(self._busy.pop(rank), good, found)
                pause = PAUSES[0]
            else:
                never.wait(pause)
                pause = min(PAUSES[1], pause * 1.2)
        self._let_end(free)

    def _let_end(self, free: Sequence[int]) -> None:
        """Tell all ranks; those that are busy hear of it when their bundle is done."""
        until = time.monotonic() + END_WITHIN
        open_ = [self._communicator.isend(None, dest=rank) for rank in range(1, self.number + 1)]
        del free
        never = threading.Event()
        while not MPI.Request.testall(open_)[0] and time.monotonic() < until:
            if self._communicator.Iprobe():
                self._communicator.recv()
            never.wait(PAUSES[1])

    def _execute(self) -> None:
        child = Child()
        while True:
            with self._changed:
                while not self._waiting and not self._is_over:
                    self._changed.wait()
                if self._is_over:
                    break
                future, args = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    _settle(future, True, child.call(args))
                except ChildEnded as error:
                    _settle(future, False, str(error))
        child.end()


def _settle(future: Future[Any], good: bool, found: Any) -> None:
    if good:
        future.set_result(found)
    else:
        future.set_exception(ChildEnded(found))


class MpiAdapter:
    """Speaks to the other ranks.

    Args:
        given: "mpi", or a communicator.
        slots: How many bundles at one time; None: one for each other rank.
    """

    in_process = apart = False

    def __init__(self, given: Any, slots: int | None) -> None:  # noqa: ARG002  `begin` has had it
        assert _World.ranks is not None  # noqa: S101  for the type checker
        self._ranks, self._slots = _World.ranks, slots
        many = self._ranks.number
        self.name = f"MPI with {many + 1} ranks" if self._ranks.number > 1 else "MPI"

    def slots(self) -> int:
        """See `Adapter.slots`."""
        return min(self._ranks.number, self._slots or self._ranks.number)

    def send(self, function: Callable[..., Any], args: Sequence[Any], values: Sequence[Any]) -> Any:  # noqa: ARG002  a child knows what it carries out
        """See `Adapter.send`."""
        return self._ranks.send([*args, *values])

    def shortage(self) -> str:
        """Say nothing: it always has some."""
        return ""

    def hold(self, value: bytes) -> Any:  # noqa: ARG002  as declared
        """Hold nothing: a rank that lacks a value says so, once."""
        return None

    def release(self, held: Any) -> None:
        """See `Adapter.release`."""

    def judge(self, error: BaseException) -> Verdict:
        """See `Adapter.judge`."""
        if isinstance(error, ChildEnded):
            return Died(str(error))
        if isinstance(error, CancelledError):
            return Withdrawn(say(error))
        if isinstance(error, EngineError):
            return Gone(say(error))
        return Unfit(say(error), is_missing(error))

    def renew(self) -> bool:
        """Say that ranks start their children anew themselves."""
        return True

    def close(self) -> None:
        """Leave the ranks to the next job of this program."""
