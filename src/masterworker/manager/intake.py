"""Where requests wait to be taken into the scheduler: many at a time, under one lock.

A program asks for tasks one by one, and workers come for them in batches. So a request is only
noted here, at the cost of a list entry; whoever next does anything under the manager's lock takes
all of them in. When somebody waits for work, the request itself does that at once.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from masterworker.core.chunks import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.core.options import Options
    from masterworker.core.task import Payload


H = TypeVar("H")


class Run(NamedTuple):
    """Requests that came one after the other and have everything in common but the payload."""

    first: int
    tag: str
    options: Options | None
    direct: bool
    payloads: list[Payload] | Chunk


class Intake:
    """Requests that the scheduler does not know yet, with the ids that they will have.

    The next id follows from what is there: to note a request is one step, which is done or not,
    wherever a Ctrl-C comes.

    Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: The id of the next request, if there are no runs.
        self._next = 1
        #: Read without the lock: whoever adds one looks afterwards whether somebody waits for
        #: work, and whoever begins to wait looks here afterwards, so one of them sees the other.
        self.runs: list[Run] = []

    def add(
        self,
        tag: str,
        payloads: Sequence[Payload] | Chunk,
        options: Options | None,
        *,
        direct: bool,
        expect: Callable[[int], object] | None = None,
    ) -> int:
        """Note requests of one tag.

        Args:
            tag: Their tag.
            payloads: Their parameters.
            options: How they are to be treated.
            direct: Their outcomes leave at once.
            expect: Is told the id of the first before anybody can have the task. It must not block.

        Returns:
            The id of the first; the others count up from it.
        """
        with self._lock:
            runs = self.runs
            first = self._next
            if runs:
                run = runs[-1]
                first = run.first + len(run.payloads)
                if expect is not None:
                    expect(first)
                if (
                    run.tag == tag
                    and run.options is options
                    and run.direct is direct
                    and isinstance(run.payloads, list)
                    and not isinstance(payloads, Chunk)
                ):
                    run.payloads.extend(payloads)
                    return first
            elif expect is not None:
                expect(first)
            if not isinstance(payloads, Chunk):
                payloads = list(payloads)
            runs.append(Run(first, tag, options, direct, payloads))
            return first

    def add_one(
        self, tag: str, payload: Payload, options: Options | None, handle: H, handles: dict[int, H]
    ) -> int:
        """Note a request whose outcome leaves at once; `handles` has its handle first.

        Returns:
            Its id.
        """
        with self._lock:
            runs = self.runs
            if runs:
                first, known, same, direct, payloads = runs[-1]
                number = first + len(payloads)
                handles[number] = handle
                if known == tag and same is options and direct and payloads.__class__ is list:
                    payloads.append(payload)
                    return number
            else:
                number = self._next
                handles[number] = handle
            runs.append(Run(number, tag, options, True, [payload]))
            return number

    def take(self) -> list[Run]:
        """Return what has been noted, in order, and forget it."""
        with self._lock:
            if not self.runs:
                return []
            last = self.runs[-1]
            self._next = last.first + len(last.payloads)
            runs, self.runs = self.runs, []
            return runs
