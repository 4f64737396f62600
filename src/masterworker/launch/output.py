"""What worker processes write: passed on line by line, with the worker's mark, and bounded.

    pipe of a worker --Lines--> [worker 12345] text --Printer's queue--> sys.stdout, sys.stderr

A supervisor must never wait for a terminal, and a worker never for its supervisor. So pipes are
always read, the queue has a bound, and what is too much is counted and left out.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from typing import IO, TYPE_CHECKING, Final

from masterworker.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The rest of a longer line is left out (bytes).
LONGEST_LINE: Final = 1 << 16
#: Bytes that a worker may write at once, and in each second from then on.
BURST: Final = 8 << 20
RATE: Final = 1 << 20
#: Bytes that each line counts in addition to its own.
LINE: Final = 100
#: Bytes at the end of what was left out that are shown all the same.
KEPT_END: Final = 2048
#: Characters that wait to be printed, at most: the bursts of two workers.
QUEUE: Final = 2 * BURST
#: Last lines of a worker's stderr that are kept for reports, and characters of each.
KEPT_LINES: Final = 40
KEPT_WIDTH: Final = 4096

#: Control characters disturb terminals, except the tabulator and the beginning of a colour.
_PLAIN: Final = dict.fromkeys((*range(9), *range(10, 27), *range(28, 32), 127), "\ufffd")

#: What workers write is shown with their marks, as it is, or not at all.
MARKED, PLAIN, NONE = OUTPUTS = "marked", "plain", "none"


def marked(line: str, pid: int, output: str) -> str:
    """Return a line as it is shown."""
    return line if output == PLAIN else f"[worker {pid}] {line}"


class Lines:
    """Cuts a stream of bytes into lines, as long as there are not too many of them.

    Args:
        now: Seconds of the monotonic clock.
    """

    def __init__(self, now: float) -> None:
        self._rest = b""
        self._cut = 0
        self._allowed = float(BURST)
        self._looked = now
        #: Bytes, and ends of lines, that were left out and not reported yet.
        self.left_out = self._lines_left_out = 0
        self._last = b""

    def feed(self, data: bytes, now: float) -> Iterator[str]:
        """Take what has come, and yield the lines that are complete."""
        self._refill(now)
        cost = len(data) + LINE * data.count(b"\n")
        if cost > self._allowed or (self.left_out and self._allowed < RATE):
            self.left_out += len(data) + len(self._rest) + self._cut
            self._lines_left_out += data.count(b"\n")
            self._last = (self._last + self._rest + data[-KEPT_END:])[-KEPT_END:]
            self._rest, self._cut = b"", 0
            return
        self._allowed -= cost
        yield from self._notice()
        yield from self._split(data)

    def look(self, now: float) -> Iterator[str]:
        """Yield what is to be said of what was left out, once the flood has gone."""
        self._refill(now)
        if self._allowed >= RATE:
            yield from self._notice()

    def end(self) -> Iterator[str]:
        """Yield what is left when nothing comes any more."""
        yield from self._notice()
        if self._rest:
            yield self._take()

    def _refill(self, now: float) -> None:
        self._allowed = min(BURST, self._allowed + (now - self._looked) * RATE)
        self._looked = now

    def _split(self, data: bytes) -> Iterator[str]:
        *complete, last = data.split(b"\n")
        for part in complete:
            self._add(part)
            yield self._take()
        self._add(last)

    def _notice(self) -> Iterator[str]:
        """Say how much was left out, and show its end: it may say why the worker has ended."""
        if self.left_out:
            end = self._last.partition(b"\n")[2]
            lines = self._lines_left_out - end.count(b"\n")
            yield f"[... {lines:,} lines ({self.left_out - len(end):,} bytes) left out]"
            self.left_out, self._lines_left_out, self._last = 0, 0, b""
            yield from self._split(end)

    def _add(self, part: bytes) -> None:
        data = self._rest + part
        back = data.endswith(b"\r")
        line = data[:-1] if back else data
        if b"\r" in line:  # a progress bar has gone back to the beginning of its line
            line = line.rpartition(b"\r")[2]
            self._cut = 0
        self._cut += max(0, len(line) - LONGEST_LINE)
        self._rest = line[:LONGEST_LINE] + (b"\r" if back else b"")

    def _take(self) -> str:
        text = _text(self._rest.removesuffix(b"\r")).translate(_PLAIN)
        if self._cut:
            text += f" [... {self._cut:,} bytes left out]"
        self._rest = b""
        self._cut = 0
        return text


def _text(data: bytes) -> str:
    """Decode a line: a worker writes in the encoding that we have, what it starts perhaps not."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode(getattr(sys.__stdout__, "encoding", None) or "utf-8", "replace")


class Stream:
    """What a worker writes to stdout or stderr.

    Args:
        pipe: The reading end.
        now: Seconds of the monotonic clock.
    """

    def __init__(self, pipe: IO[bytes] | None, now: float) -> None:
        assert pipe is not None  # noqa: S101  for the type checker
        self.pipe = pipe
        self.fd = pipe.fileno()
        self.lines = Lines(now)
        self.at_end = False
        os.set_blocking(self.fd, False)


class Printer:
    """Writes lines to `sys.stdout` and `sys.stderr`, in a thread of its own.

    Whatever these names stand for at the time is used: notebooks and tests replace them.
    """

    def __init__(self) -> None:
        self._lines: deque[tuple[bool, str]] = deque()
        self._size = 0
        self._dropped = 0
        self._changed = threading.Condition()
        self._busy = self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, text: str, *, error: bool) -> None:
        """Print a line, to stderr or stdout. Never waits: if there is no room it is left out."""
        with self._changed:
            if self._size + len(text) > QUEUE:
                self._dropped += 1
                return
            if self._dropped:
                self._tell_dropped()
            self._lines.append((error, text))
            self._size += len(text)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="masterworker-output", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until all is written, this many seconds at most. False: it is not."""
        deadline = Deadline(seconds)
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._lines and not self._busy, deadline.left()
            )

    def close(self, seconds: float) -> None:
        """Write what is left, for this many seconds at most, and end."""
        self.flush(seconds)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
                lines = list(self._lines)
                self._lines.clear()
                self._busy = True
            for error in (False, True):
                text = "".join(f"{line}\n" for to_error, line in lines if to_error is error)
                if text:
                    _write(text, error=error)
            with self._changed:
                self._size = max(0, self._size - sum(len(line) for _, line in lines))
                if self._dropped and not self._lines:
                    self._tell_dropped()

    def _tell_dropped(self) -> None:
        self._lines.append((True, f"[... {self._dropped:,} lines of workers left out]"))
        self._dropped = 0


def _write(text: str, *, error: bool) -> None:
    stream = sys.stderr if error else sys.stdout
    # None where there is no terminal; closed; or a pipe without a reader: none is a fault of ours.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        try:
            stream.write(text)
        except UnicodeEncodeError:
            code = stream.encoding or "ascii"
            stream.write(text.encode(code, "backslashreplace").decode(code))
        stream.flush()
