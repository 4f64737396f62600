"""Requests on their way to the scheduler: buffered one by one, taken in many at a time.

A program asks for tasks one by one, and workers come for them in batches. So a request is only
noted, at the cost of a list entry; the next step under the manager's lock takes all of them in.
When a worker waits for work, the request itself causes such a step: see `FlushRule`.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from math import inf
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from masterworker.core.chunks import Chunk
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager

    from masterworker.core.options import Options
    from masterworker.core.task import Payload

#: While tasks wait, a tick looks after them this often (seconds).
LOOK: Final = 1.0


class Numbered(Protocol):
    """What stands for a request in the master, and has its number; at first -1."""

    number: int


H = TypeVar("H", bound=Numbered)


class Recalled(NamedTuple):
    """What is known of the outcomes of requests that are kept already."""

    kind: int
    worker: str


class Again(NamedTuple):
    """What is known of a single request that has ended workers in an earlier run."""

    #: One line for each of these.
    losses: Sequence[str]


#: Where the keys of tasks are, the key of the next one, and where it is noted for the journal.
Noting = tuple[dict[int, bytes], bytes, deque[tuple[int, str, int]]]


class Run(NamedTuple):
    """Requests that came one after the other and have everything in common but the payload."""

    first: int
    tag: str
    options: Options | None
    direct: bool
    payloads: list[Payload] | Chunk
    #: Called with the id of the first before the scheduler has it.
    expect: Callable[[int], object] | None = None
    #: Their outcomes are kept, and these are the payloads; or what else is kept of a single one.
    recalled: Recalled | Again | None = None


class SubmissionBuffer:
    """Requests that the scheduler does not know yet, with the ids that they will have.

    The next id follows from what is there: to note a request is one step, which is done or not,
    wherever a Ctrl-C comes (see `masterworker.signals`). In the same step the caller gets to know
    its id, so that it can withdraw it.

    Args:
        lock: Is held around each change. The only thing here that is for several threads: to add
            a request takes no other lock.
    """

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        #: May be replaced: in a fork of the master by one that refuses everything.
        self.lock = lock
        #: The id of the next request, if there are no runs.
        self._next = 1
        #: Read without the lock: a caller that adds one looks afterwards whether a worker waits,
        #: and a step that lets a worker wait looks here afterwards, so one of them sees the other.
        self.runs: list[Run] = []

    def add(
        self,
        tag: str,
        payloads: Sequence[Payload] | Chunk,
        options: Options | None,
        noted: list[int],
        *,
        direct: bool,
        expect: Callable[[int], object] | None = None,
        recalled: Recalled | Again | None = None,
    ) -> None:
        """Note requests of one tag.

        Args:
            tag: Their tag.
            payloads: Their parameters.
            options: How they are to be treated.
            noted: Its only item becomes the id of the first, as soon as they are noted; the others
                count up from it.
            direct: Their outcomes leave at once.
            expect: Called with that id before a worker can have the task, with the manager's lock
                held. It must neither block nor call back.
            recalled: Their outcomes are kept, and `payloads` are those.
        """
        if not isinstance(payloads, Chunk):
            payloads = list(payloads)
        with self.lock:
            runs = self.runs
            first = self._next
            if runs:
                run = runs[-1]
                first = run.first + len(run.payloads)
                if (
                    run.tag == tag
                    and run.options is options
                    and run.direct is direct
                    and expect is None
                    and recalled is None
                    and run.recalled is None
                    and isinstance(run.payloads, list)
                    and not isinstance(payloads, Chunk)
                ):
                    noted[0] = first  # one step
                    run.payloads.extend(payloads)
                    return
            run = Run(first, tag, options, direct, payloads, expect, recalled)
            noted[0] = first  # one step
            runs.append(run)

    def add_one(
        self,
        tag: str,
        payload: Payload,
        options: Options | None,
        future: H,
        futures: dict[int, H],
        noted: Noting | None = None,
    ) -> None:
        """Note a request whose outcome leaves at once. Its future gets its number, and is known.

        So is its key, where it has one: `noted` says where, which, and where that is noted.
        """
        with self.lock:
            runs = self.runs
            number = self._next
            if runs:
                first, known, same, direct, payloads, _, recalled = runs[-1]
                number = first + len(payloads)
                one_more = known == tag and same is options and direct and recalled is None
                if noted is not None:
                    noted[0][number] = noted[1]
                    noted[2].append((number, tag, 1))
                if one_more and payloads.__class__ is list:
                    futures[number] = future  # one step
                    future.number = number
                    payloads.append(payload)
                    return
            elif noted is not None:
                noted[0][number] = noted[1]
                noted[2].append((number, tag, 1))
            run = Run(number, tag, options, True, [payload])
            futures[number] = future  # one step
            future.number = number
            runs.append(run)

    def take(self) -> list[Run]:
        """Return what has been noted, in order, and forget it."""
        with self.lock:
            if not self.runs:
                return []
            last = self.runs[-1]
            self._next = last.first + len(last.payloads)
            runs, self.runs = self.runs, []
            return runs

    def size(self) -> int:
        """Count the requests that are noted."""
        return sum(len(run.payloads) for run in self.runs)


class Flush(IntEnum):
    """What a caller has to do that has just noted a single request."""

    #: Nothing: the next tick takes it in.
    LATER = 0
    #: Let a tick come now: `FlushRule.looking` is to be set in the same step.
    POKE = 1
    #: Take the lock, and let the machine take all requests in.
    NOW = 2


#: A caller flushes the buffer itself this many times, until it waits.
MOST_FLUSHES: Final = 2


class FlushRule:
    """When a buffered request is taken in. Read and set without the manager's lock.

    A caller that asks for one task after the other would send each of them alone, and let go of the
    interpreter each time. So it flushes the buffer itself once, and after that lets another thread
    do it; until that thread has got hold of the interpreter, there are many. But that can take 5
    ms, so the caller flushes once more when there is one request for each idle worker.

    Args:
        buffer: Where the requests are.
        parked: The claims that wait for tasks.
    """

    __slots__ = ("_buffer", "_parked", "hurried", "looking", "waited", "watching")

    def __init__(self, buffer: SubmissionBuffer, parked: Collection[object]) -> None:
        self._buffer = buffer
        self._parked = parked
        #: A tick is to come within `LOOK`, and takes in what is noted until then.
        self.watching = False
        #: When tasks were last seen to wait.
        self.waited = -inf
        #: How many times the caller has flushed the buffer itself since it last waited.
        self.hurried = 0
        #: A tick is about to take in what is noted.
        self.looking = False

    def after_one(self, *, kept: bool) -> Flush:
        """Say what to do after a single request has been noted.

        To be asked whenever a claim waits for tasks, or `watching` is not set.

        Args:
            kept: The scheduler keeps waiting tasks of this tag for a worker that is back soon.
        """
        if self._parked and not kept:
            if not self.hurried:
                self.hurried = 1
                return Flush.NOW
            if self.hurried == 1 and self._buffer.size() >= len(self._parked):
                self.hurried = MOST_FLUSHES
                return Flush.NOW
            return Flush.LATER if self.looking else Flush.POKE
        if self.watching:
            return Flush.LATER
        self.hurried = self.hurried or 1
        return Flush.NOW

    def about_to_wait(self) -> bool:
        """A caller that has asked for tasks waits now. True: it has to flush the buffer itself."""
        self.hurried = 0
        return self.looking

    def tick(self) -> None:
        """A tick begins: requests that come from now on may have to cause the next one.

        To be called before the buffer is emptied.
        """
        self.looking = self.watching = False

    def ticked(self, now: float, *, waiting: bool) -> bool:
        """A tick ends. True: the next one is to come within `LOOK`.

        Args:
            now: Seconds on the manager's clock.
            waiting: Tasks wait.
        """
        if waiting:
            self.waited = now
        # Where tasks come and go all the time, none of them has to cause a tick.
        self.watching = waiting or now < self.waited + LOOK
        return self.watching

    def watch(self, now: float) -> bool:
        """The buffer has been emptied. True: a tick is needed that was not planned."""
        if self.watching:
            return False
        self.watching = True
        self.waited = now
        return True
