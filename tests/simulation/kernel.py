"""Virtual time: events in a heap, threads as generators, processes that stop and die.

Nothing here knows what is simulated. One seed makes one history: all randomness comes from one
generator, and events of the same instant happen in the order in which they were planned.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    #: What a thread does: it yields seconds to sleep, or something that arranges its waking.
    Run = Generator[Any, Any, Any]


class Kernel:
    """The clock, the events to come, and the dice."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.events = 0
        self._heap: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._planned = 0

    def after(self, seconds: float, act: Callable[..., object], *args: Any) -> None:
        """Plan an event."""
        self._planned += 1
        heappush(self._heap, (self.now + seconds, self._planned, act, args))

    def step(self) -> bool:
        """Let the next event happen. False: there is none, ever."""
        if not self._heap:
            return False
        self.now, _, act, args = heappop(self._heap)
        self.events += 1
        act(*args)
        return True


class Process:
    """What is stopped, continued and killed as a whole."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        self.kernel = kernel
        self.name = name
        self.alive = True
        self.stopped = False
        self._held_up: deque[tuple[Thread, int, Any, BaseException | None]] = deque()

    def spawn(self, run: Run) -> Thread:
        """Start a thread of this process."""
        thread = Thread(self, run)
        self.kernel.after(0.0, thread.wake, 0)
        return thread

    def stop(self) -> None:
        """Stand still, as after SIGSTOP."""
        self.stopped = True

    def resume(self) -> None:
        """Go on; what came meanwhile is there at once."""
        self.stopped = False
        while self._held_up and self.alive and not self.stopped:
            thread, turn, value, error = self._held_up.popleft()
            thread.wake(turn, value, error)

    def hold_up(self, *waking: Any) -> None:
        """Something would wake a thread while the process stands still."""
        self._held_up.append(waking)

    def die(self) -> None:
        """End here and now, without another word."""
        self.alive = False
        self._held_up.clear()


class Thread:
    """A generator that is woken with a value or an error, each time it waits only once."""

    __slots__ = ("_run", "done", "process", "turn")

    def __init__(self, process: Process, run: Run) -> None:
        self.process = process
        #: How many times it has been woken: says which wait a waking belongs to.
        self.turn = 0
        self.done = False
        self._run = run

    def wake(self, turn: int, value: Any = None, error: BaseException | None = None) -> None:
        """End its wait number `turn`; if that is over already, do nothing."""
        process = self.process
        if turn != self.turn or not process.alive or self.done:
            return
        if process.stopped:
            process.hold_up(self, turn, value, error)
            return
        self.turn = turn = turn + 1
        try:
            wish = self._run.send(value) if error is None else self._run.throw(error)
        except StopIteration:
            self.done = True
            return
        if type(wish) is float:
            process.kernel.after(wish, self.wake, turn)
        else:
            wish(self)


class Mutex:
    """A lock that one thread may take several times."""

    def __init__(self) -> None:
        self._owner: object = None
        self._depth = 0
        self._waiting: deque[Thread] = deque()

    def acquire(self, me: object) -> Run:
        """Wait until it is free, and take it."""
        while self._owner is not None and self._owner is not me:
            yield self._waiting.append
        self._owner = me
        self._depth += 1

    def release(self) -> None:
        """Give it back."""
        self._depth -= 1
        if not self._depth:
            self._owner = None
            if self._waiting:
                thread = self._waiting.popleft()
                thread.process.kernel.after(0.0, thread.wake, thread.turn)
