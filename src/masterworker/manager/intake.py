"""Where requests wait to be taken into the scheduler: many at a time, under one lock.

A program asks for tasks one by one, and workers come for them in batches. So a request is only
noted here, at the cost of a list entry; whoever next does anything under the manager's lock takes
all of them in. When somebody waits for work, the request itself does that at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from masterworker import forks
from masterworker.core.chunks import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from masterworker.core.options import Options
    from masterworker.core.task import Payload


class Numbered(Protocol):
    """What stands for a request in the master, and has its number; at first -1."""

    number: int


H = TypeVar("H", bound=Numbered)


class Run(NamedTuple):
    """Requests that came one after the other and have everything in common but the payload."""

    first: int
    tag: str
    options: Options | None
    direct: bool
    payloads: list[Payload] | Chunk
    #: Is told the id of the first before the scheduler has it.
    expect: Callable[[int], object] | None = None


class Intake:
    """Requests that the scheduler does not know yet, with the ids that they will have.

    The next id follows from what is there: to note a request is one step, which is done or not,
    wherever a Ctrl-C comes (see `masterworker.signals`). In the same step whoever asks gets to know
    its id, so that he can withdraw it.

    Thread-safe.
    """

    def __init__(self) -> None:
        self._lock: AbstractContextManager[object] = forks.lock()
        forks.tell(self)
        #: The id of the next request, if there are no runs.
        self._next = 1
        #: Read without the lock: whoever adds one looks afterwards whether somebody waits for
        #: work, and whoever begins to wait looks here afterwards, so one of them sees the other.
        self.runs: list[Run] = []

    def after_fork(self) -> None:
        """Refuse all requests: nobody would take them."""
        self._lock = forks.Refusal()

    def add(
        self,
        tag: str,
        payloads: Sequence[Payload] | Chunk,
        options: Options | None,
        noted: list[int],
        *,
        direct: bool,
        expect: Callable[[int], object] | None = None,
    ) -> None:
        """Note requests of one tag.

        Args:
            tag: Their tag.
            payloads: Their parameters.
            options: How they are to be treated.
            noted: Its only item becomes the id of the first, as soon as they are noted; the others
                count up from it.
            direct: Their outcomes leave at once.
            expect: Is told that id before anybody can have the task, with the manager's lock held.
                It must neither block nor call back.
        """
        if not isinstance(payloads, Chunk):
            payloads = list(payloads)
        with self._lock:
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
                    and isinstance(run.payloads, list)
                    and not isinstance(payloads, Chunk)
                ):
                    noted[0] = first  # one step
                    run.payloads.extend(payloads)
                    return
            run = Run(first, tag, options, direct, payloads, expect)
            noted[0] = first  # one step
            runs.append(run)

    def add_one(
        self, tag: str, payload: Payload, options: Options | None, future: H, futures: dict[int, H]
    ) -> None:
        """Note a request whose outcome leaves at once. Its future gets its number, and is known."""
        with self._lock:
            runs = self.runs
            number = self._next
            if runs:
                first, known, same, direct, payloads, _ = runs[-1]
                number = first + len(payloads)
                if known == tag and same is options and direct and payloads.__class__ is list:
                    futures[number] = future  # one step
                    future.number = number
                    payloads.append(payload)
                    return
            run = Run(number, tag, options, True, [payload])
            futures[number] = future  # one step
            future.number = number
            runs.append(run)

    def take(self) -> list[Run]:
        """Return what has been noted, in order, and forget it."""
        with self._lock:
            if not self.runs:
                return []
            last = self.runs[-1]
            self._next = last.first + len(last.payloads)
            runs, self.runs = self.runs, []
            return runs
