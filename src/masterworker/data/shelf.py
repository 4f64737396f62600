"""Large values that the workers of one supervisor have fetched: each once for all of them.

Workers of the master's own machine get a file in memory from the master itself. To another machine
its bytes have to be sent. The first worker there that needs a value fetches it and notes, on the
*shelf*, where it has it; the others open the same file through /proc, which the system allows to
processes of one user, and note that they have it, too. So it is there as long as any of them lives.

The shelf itself is a file in memory of the supervisor's, with one line of JSON, locked by the
worker that fetches: the others wait for it, and the system unlocks the file if that worker ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from masterworker import forks
from masterworker.data import memfile
from masterworker.data.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from masterworker.core.task import Payload


#: Process id and file descriptor of the holder of a value; device and inode of the file.
_Place = list[int]


def create() -> int:
    """Make a shelf. Returns its file descriptor; -1: this system has no such thing."""
    if not memfile.POSSIBLE:
        return -1
    return os.memfd_create("masterworker-shelf", os.MFD_CLOEXEC)


class Shelf:
    """The shelf as one worker sees it. Thread-safe.

    Args:
        supervisor: The process that has made it.
        fd: Its file descriptor there.

    Raises:
        OSError: It cannot be reached.
    """

    def __init__(self, supervisor: int, fd: int) -> None:
        self._file = os.open(f"/proc/{supervisor}/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
        self._lock = forks.lock()
        #: What this process has fetched, and keeps for the others.
        self._kept: dict[str, Segment] = {}

    def get(self, key: str, fetch: Callable[[], Payload | None]) -> Payload | None:
        """Return a value: what another worker has, or what `fetch` gets, for the others, too."""
        with self._locked():
            noted = self._read()
            places = noted.setdefault(key, [])
            found = next(filter(None, map(_borrow, places)), None)
            value = fetch() if found is None else found
            if isinstance(value, Segment) and value.fd is not None:
                self._kept[key] = value
                about = os.fstat(value.fd)
                places.append([os.getpid(), value.fd, about.st_dev, about.st_ino])
                self._write(noted)
            return value

    def forget(self, prefix: str) -> None:
        """Values whose keys begin so have been deleted: do not keep them."""
        for key in [key for key in tuple(self._kept) if key.startswith(prefix)]:
            del self._kept[key]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _read(self) -> dict[str, list[_Place]]:
        """Return the holders of the values, as far as these processes live."""
        content = os.pread(self._file, os.fstat(self._file).st_size, 0)
        try:
            noted: dict[str, list[_Place]] = json.loads(content) if content else {}
        except ValueError:  # a worker was killed while writing
            return {}
        living = {
            key: [place for place in places if Path(f"/proc/{place[0]}").exists()]
            for key, places in noted.items()
        }
        return {key: places for key, places in living.items() if places}

    def _write(self, noted: dict[str, list[_Place]]) -> None:
        content = json.dumps(noted).encode()
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, content, 0)


def _borrow(place: _Place) -> Segment | None:
    """Open what another process has; None: it is not there (any more)."""
    pid, number, device, inode = place
    try:
        fd = os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    about = os.fstat(fd)
    if (about.st_dev, about.st_ino) != (device, inode):  # the number means another file by now
        os.close(fd)
        return None
    try:
        return Segment.received(fd)
    except (ValueError, OSError):
        return None
