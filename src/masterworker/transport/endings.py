"""Which jobs of this user have ended here lately, for workers that come late.

One small file in the runtime folder, a line for each job that was ended in good order. It is of
use for a while and nothing depends on it, so what cannot be written or read is not there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

import msgspec

from masterworker.errors import TransportError
from masterworker.named import NamedTuple
from masterworker.transport.runtime import boot_id, runtime_folder, runtime_folders

if TYPE_CHECKING:
    from pathlib import Path

#: The file's name, and how long it gets before older lines are dropped (bytes).
NAME: Final = "endings"
LARGEST: Final = 1 << 15
#: How many lines are left then.
KEPT: Final = 50
#: An ending is known for this time (seconds).
LONGEST: Final = 3600.0


class Ending(NamedTuple):
    """A job that was ended in good order."""

    label: str
    #: Its random id.
    job: str
    #: Where its master listened on this machine.
    port: int
    #: Seconds of the monotonic clock, which all processes of a machine share until it starts again.
    when: float
    boot: str

    @property
    def seconds(self) -> float:
        """How long ago that was."""
        return time.monotonic() - self.when


def note(label: str, job: str, port: int) -> None:
    """Take note that a job ends now."""
    line = msgspec.json.encode(Ending(label, job, port, time.monotonic(), boot_id())) + b"\n"
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with contextlib.suppress(OSError, TransportError):
        file = os.open(runtime_folder() / NAME, flags, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # its holder is done in a moment
        except BlockingIOError:
            os.write(file, line)
        else:
            _append(file, line)
        finally:
            os.close(file)


def find(label: str) -> Ending | None:
    """Return the last ending of a label that is worth showing."""
    here, found = boot_id(), None
    for folder in runtime_folders():
        for ending in _read(folder / NAME):
            if ending.label == label and ending.boot == here and 0 <= ending.seconds < LONGEST:
                found = ending
    return found


def _append(file: int, line: bytes) -> None:
    if os.fstat(file).st_size > LARGEST:
        lines = os.pread(file, 2 * LARGEST, 0).splitlines(keepends=True)[-KEPT:]
        os.ftruncate(file, 0)
        line = b"".join(lines) + line
    os.write(file, line)


def _read(path: Path) -> list[Ending]:
    found = []
    with contextlib.suppress(OSError):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                found.append(msgspec.json.decode(line, type=Ending))
    return found
