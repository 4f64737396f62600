"""A disk in memory: what is written and not flushed may be lost, torn, or be there out of order.

The product's own code writes to it: its modules find `System` in the place of `os`. A process can
be killed at any call of the system, the disk can be full, and a flush can fail.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

#: A disk writes this many bytes whole, or not at all.
SECTOR = 512


class Killed(BaseException):
    """The process has ended at this call of the system, without another word."""


class File:
    """What has bytes, under whichever name."""

    def __init__(self) -> None:
        #: What the system shows, and what the disk has.
        self.cache = bytearray()
        self.stable = bytearray()
        #: What has come since the last flush: where, and which bytes; None: the end is there.
        self.behind: list[tuple[int, bytes | None]] = []

    def write(self, at: int, data: bytes) -> None:
        _write(self.cache, at, data)
        self.behind.append((at, data))

    def cut(self, end: int) -> None:
        _cut(self.cache, end)
        self.behind.append((end, None))

    def flush(self) -> None:
        for at, data in self.behind:  # and not what a flush has lost that failed
            if data is None:
                _cut(self.stable, at)
            else:
                _write(self.stable, at, data)
        self.behind = []

    def crash(self, random: Random) -> None:
        """Of what was not flushed some is there: each sector is as it was at some time since."""
        states = [bytes(self.stable)]
        for at, data in self.behind:
            if data is None:
                _cut(self.stable, at)
            else:
                _write(self.stable, at, data)
            states.append(bytes(self.stable))
        share = random.choice((0.0, 0.1, 0.5, 1.0))

        def some() -> bytes:
            return random.choice(states) if random.random() < share else random.choice(ends)

        ends = random.choice((states[:1], states[-1:], [states[0], states[-1]]))
        whole = bytearray(len(some()))
        for begin in range(0, len(whole), SECTOR):
            end = min(begin + SECTOR, len(whole))
            whole[begin:end] = some()[begin:end].ljust(end - begin, b"\0")
        self.cache[:] = self.stable[:] = whole
        self.behind = []


def _above(path: str) -> str:
    """Return the folder in which something is."""
    return path.rpartition("/")[0] or "/"


def _write(to: bytearray, at: int, data: bytes) -> None:
    if len(to) < at:
        to.extend(bytes(at - len(to)))
    to[at : at + len(data)] = data


def _cut(some: bytearray, end: int) -> None:
    if len(some) < end:
        some.extend(bytes(end - len(some)))
    del some[end:]


class Change(NamedTuple):
    """Something that happened to the names in a folder."""

    gone: str
    #: Has this name now; "" for none.
    name: str
    file: File | None


class Disk:
    """Files, by their paths; folders are files that are None.

    Args:
        random: Says what a crash leaves.
        folder: Is there.
    """

    def __init__(self, random: Random, folder: str) -> None:
        self.random = random
        self.names: dict[str, File | None] = {folder: None}
        self._stable = dict(self.names)
        self._changes: list[Change] = []
        #: Writes fail for want of room; so many flushes fail from now on, and lose what they were
        #: to flush.
        self.full = False
        self.failing = 0
        self.locks: dict[int, System] = {}

    def change(self, gone: str, name: str, file: File | None = None) -> None:
        """A name is given, taken away, or both."""
        self._changes.append(Change(gone, name, file))
        _apply(self.names, self._changes[-1])

    def flush_folder(self, folder: str) -> None:
        """All names in a folder are on the disk."""
        here = [c for c in self._changes if _above(c.name or c.gone) == folder]
        for change in here:
            _apply(self._stable, change)
        self._changes = [c for c in self._changes if c not in here]

    def crash(self) -> None:
        """The power is gone, and back."""
        folders = {_above(c.name or c.gone) for c in self._changes}
        for folder in sorted(folders):
            here = [c for c in self._changes if _above(c.name or c.gone) == folder]
            for change in here[: self.random.randint(0, len(here))]:
                _apply(self._stable, change)
        self._changes = []
        reachable: dict[str, File | None] = {}
        for path, file in sorted(self._stable.items()):
            above = _above(path)
            if above in reachable or above == "/":
                reachable[path] = file
        for file in reachable.values():
            if file is not None:
                file.crash(self.random)
        self._stable, self.names = reachable, dict(reachable)
        self.locks.clear()


def _apply(names: dict[str, File | None], change: Change) -> None:
    if change.gone:
        names.pop(change.gone, None)
    if change.name:
        names[change.name] = change.file


class Status(NamedTuple):
    """What `fstat` says."""

    st_size: int
    st_mode: int
    st_uid: int
    st_ino: int


class System:
    """The calls of the system, as one process sees them: in the place of the module `os`.

    Args:
        disk: Where it writes.
        calls: At which of its calls that write the process is killed; -1: at none.
    """

    def __init__(self, disk: Disk, calls: int = -1) -> None:
        self.disk, self.calls = disk, calls
        self.alive = True
        self.path = self
        self._open: dict[int, tuple[str, File | None]] = {}
        self._next = 3

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def die(self) -> None:
        """The process is gone, and its locks are."""
        self.alive = False
        for held in [key for key, by in self.disk.locks.items() if by is self]:
            del self.disk.locks[held]

    def _step(self) -> None:
        if not self.alive:
            raise Killed
        self.calls -= 1
        if self.calls == 0:
            self.die()
            raise Killed

    def _file(self, fd: int) -> File:
        if not self.alive:
            raise Killed
        file = self._open[fd][1]
        assert file is not None
        return file

    # -- files ------------------------------------------------------------------------------

    def open(self, path: Any, flags: int, _mode: int = 0) -> int:
        if not self.alive:
            raise Killed
        name, names = str(path), self.disk.names
        if name not in names:
            if not flags & os.O_CREAT or _above(name) not in names:
                raise FileNotFoundError(errno.ENOENT, "No such file", name)
            self._step()
            self.disk.change("", name, File())
        elif flags & os.O_EXCL:
            raise FileExistsError(errno.EEXIST, "File exists", name)
        file = names[name]
        if file is not None and flags & os.O_TRUNC and file.cache:
            self._step()
            file.cut(0)
        self._next += 1
        self._open[self._next] = name, file
        return self._next

    def close(self, fd: int) -> None:
        if self.alive:
            _, file = self._open.pop(fd)
            if self.disk.locks.get(id(file)) is self:
                del self.disk.locks[id(file)]

    def fstat(self, fd: int) -> Status:
        return self._status(self._file(fd))

    def lstat(self, path: Any) -> Status:
        file = self.disk.names.get(str(path))
        if file is None:
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
        return self._status(file)

    @staticmethod
    def _status(file: File) -> Status:
        return Status(len(file.cache), stat.S_IFREG | 0o600, os.geteuid(), id(file))

    @staticmethod
    def samestat(one: Status, other: Status) -> bool:
        return one.st_ino == other.st_ino

    def pread(self, fd: int, size: int, at: int) -> bytes:
        return bytes(self._file(fd).cache[at : at + size])

    def pwritev(self, fd: int, parts: Sequence[Any], at: int) -> int:
        return self._write(fd, b"".join(parts), at)

    def write(self, fd: int, data: Any) -> int:
        return self._write(fd, bytes(data), len(self._file(fd).cache))

    def _write(self, fd: int, data: bytes, at: int) -> int:
        file, random = self._file(fd), self.disk.random
        some = random.randint(0, len(data)) if random.random() < 0.2 else len(data)
        try:
            self._step()
        except Killed:
            file.write(at, data[:some])
            raise
        if self.disk.full and random.random() < 0.8:
            file.write(at, data[: some // 2])
            if random.random() < 0.5 and some > 1:
                return some // 2
            raise OSError(errno.ENOSPC, "No space left on device")
        file.write(at, data[:some])
        return some

    def ftruncate(self, fd: int, end: int) -> None:
        file = self._file(fd)
        self._step()
        file.cut(end)

    def fsync(self, fd: int) -> None:
        if fd not in self._open and not self.alive:
            raise Killed
        name, file = self._open[fd]
        self._step()
        if file is None:
            self.disk.flush_folder(name)
        elif self.disk.failing:
            self.disk.failing -= 1
            file.behind = []  # the system takes it for written
            self.calls = -1
            raise OSError(errno.EIO, "Input/output error")
        else:
            file.flush()

    fdatasync = fsync

    # -- names ------------------------------------------------------------------------------

    def mkdir(self, path: Any, _mode: int = 0) -> None:
        name = str(path)
        if name in self.disk.names:
            raise FileExistsError(errno.EEXIST, "File exists", name)
        self._step()
        self.disk.change("", name)

    def rename(self, old: Any, new: Any) -> None:
        self._step()
        self.disk.change(str(old), str(new), self.disk.names[str(old)])

    def unlink(self, path: Any) -> None:
        self._step()
        self.disk.change(str(path), "")

    def lexists(self, path: Any) -> bool:
        return str(path) in self.disk.names

    def isdir(self, path: Any) -> bool:
        return self.disk.names.get(str(path), self) is None

    # -- in the place of other modules --------------------------------------------------------

    def flock(self, fd: int, how: int) -> None:
        file = self._file(fd)
        holder = self.disk.locks.get(id(file))
        if how & 8:  # LOCK_UN
            if holder is self:
                del self.disk.locks[id(file)]
        elif holder is not None and holder is not self:
            raise BlockingIOError(errno.EWOULDBLOCK, "locked")
        else:
            self.disk.locks[id(file)] = self

    def mmap(self, fd: int, size: int, **_: Any) -> bytes:
        return bytes(self._file(fd).cache[:size])

    LOCK_EX, LOCK_NB, LOCK_UN, ACCESS_READ = 2, 4, 8, 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within this the product's journal writes here."""
        from masterworker.journal import aside, file, journal, opening, writing

        modules = [(aside, "os"), (file, "os"), (journal, "os"), (writing, "os")]
        modules += [(opening, "os"), (file, "fcntl"), (file, "mmap")]
        before = [getattr(module, name) for module, name in modules]
        for module, name in modules:
            setattr(module, name, self)
        try:
            yield
        finally:
            for (module, name), real in zip(modules, before, strict=True):
                setattr(module, name, real)
