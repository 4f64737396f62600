"""Keeps the calls that fail in the user's state folder, at its own pace.

Most jobs never fail, so there is nothing here until a call does: no thread, no file. Where many
fail the newest are kept, and the rest is forgotten unwritten.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from masterworker import failed_limits, forks, program, wire
from masterworker.data.segment import bytes_of
from masterworker.master.needs import stored_for
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker import failed
    from masterworker.core.effects import Failed
    from masterworker.core.task import Payload
    from masterworker.manager import Manager

#: Bytes that wait to be written, at most; older ones are forgotten. Two calls' parameters that are
#: as large as can be kept.
HELD_BYTES = 128 << 20
#: Seconds between two times of writing, at least, ...
PAUSE = 1.0
#: ... or the time that writing took, times this, where that is longer.
PAUSE_SHARE = 20.0


class _Waiting(NamedTuple):
    when: int
    #: Bytes of the parameters, also where they are left out.
    size: int
    call: Failed
    #: What it refers to, by key; nothing where that is too much to be kept.
    needs: dict[str, Payload]


class DeadLetters:
    """Writes failed calls of one job. Thread-safe.

    Args:
        label: The label of the job.
        manager: Returns its manager.
    """

    def __init__(self, label: str, manager: Callable[[], Manager]) -> None:
        self._label = label
        self._manager = manager
        self._lock = forks.lock()
        self._newest: deque[_Waiting] = deque()
        self._bytes = 0
        self._thread: threading.Thread | None = None
        self._there = threading.Event()
        self._closing = threading.Event()
        self._complained = False

    def take(self, calls: list[Failed]) -> None:
        """Take calls that have failed; called with the manager's lock held."""
        if not calls or self._closing.is_set():
            return
        if not failed_limits.is_wanted():
            return
        when, most = time.time_ns(), failed_limits.KEPT_CALLS
        with self._lock:
            for call in calls[-most:]:
                size = len(call[2])
                if size > failed_limits.LARGEST:
                    call = (*call[:2], b"", *call[3:])  # noqa: PLW2901  without them
                needs = stored_for(call[2], self._manager())
                if sum(map(len, needs.values())) > failed_limits.LARGEST:
                    needs = {}
                self._newest.append(_Waiting(when, size, call, needs))
                self._bytes += _weight(call)
            while len(self._newest) > most or (self._bytes > HELD_BYTES and len(self._newest) > 1):
                self._bytes -= _weight(self._newest.popleft().call)
            self._there.set()
            if self._thread is None:
                self._start()

    def close(self, seconds: float = 1.0) -> None:
        """Write what is left, this many seconds at most. Safe to call twice."""
        self._closing.set()
        self._there.set()
        if self._thread is not None:
            self._thread.join(seconds)
        else:
            self._write()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="masterworker-failed", daemon=True)
        with contextlib.suppress(RuntimeError):  # no more threads: `close` writes
            thread.start()
            self._thread = thread

    def _work(self) -> None:
        while not self._closing.is_set():
            self._there.wait()
            began = time.monotonic()
            self._write()
            self._closing.wait(max(PAUSE, PAUSE_SHARE * (time.monotonic() - began)))
        self._write()

    def _write(self) -> None:
        with self._lock:
            waiting, self._newest, self._bytes = self._newest, deque(), 0
            self._there.clear()
        if not waiting:
            return
        from masterworker import failed_keeping  # most masters never need it

        try:
            failed_keeping.save(self._label, [self._complete(each) for each in waiting])
        except Exception as error:  # whatever is wrong with the disk, the job goes on
            self._complain(error)

    def _complete(self, waiting: _Waiting) -> failed.Call:
        from masterworker import failed

        manager = self._manager()
        when, size, call, needs = waiting
        summary = failed.summarise(self._label, manager.instance, call, when, size)
        stored = bytes_of(manager.get(wire.PROGRAM, program.KEY) or b"")
        kept = bytes_of(call[2]) if size <= failed_limits.LARGEST else None
        needs = {**needs, **stored_for(stored, manager)}
        parts = {key: bytes_of(part) for key, part in needs.items()}
        return failed.Call(summary, kept, call[4], stored, parts)

    def _complain(self, error: Exception) -> None:
        """Say once that calls cannot be kept."""
        if self._complained:
            return
        self._complained = True
        manager = self._manager()
        with manager.guard:
            message = f"failed calls cannot be kept for a replay: {error}"
            manager.troubles.note("disk", message, manager._clock())


def _weight(call: Failed) -> int:
    return len(call[2]) + len(call[4])
