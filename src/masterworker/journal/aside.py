"""Large payloads of a journal: each in a file of its own, named by the digest of its bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING

from masterworker.core.chunks import Chunk
from masterworker.data.segment import Segment
from masterworker.journal.file import flush_folder, mapped
from masterworker.journal.records import Aside, Done

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from masterworker.core.task import Large
    from masterworker.journal.records import Entry

_PART = 16 << 20


def asides_in(records: Iterable[Entry]) -> Iterator[Aside]:
    """Yield the files that records refer to."""
    for record in records:
        if isinstance(record, Done) and not isinstance(record.payloads, Chunk):
            yield from (each for each in record.payloads if isinstance(each, Aside))


def folder_of(path: Path) -> Path:
    """Return the folder of a journal's large payloads."""
    return path.with_name(path.name + ".d")


class LargeFiles:
    """The folder of large payloads, beside the journal.

    Args:
        folder: Made when there is the first one.
        key: Of the user: the names are digests that others cannot make.
        flushes: Each is on the disk as soon as it is written; else after `flush`.
    """

    def __init__(self, folder: Path, key: bytes, *, flushes: bool = False) -> None:
        self._folder = folder
        self._key = key
        self._flushes = flushes
        #: What this process has written: of others it is not known whether it is on the disk.
        self._written: set[Aside] = set()
        #: Folders that are there, and whose names are on the disk.
        self._sure: set[Path] = set()
        #: What is not on the disk yet.
        self._behind: list[Path] = []

    def write(self, payload: Large) -> Aside:
        """Write a payload, if it was not written before.

        Raises:
            OSError: It could not be written.
        """
        with payload.open(writable=False) as view:
            aside = Aside(self._digest(view), len(view))
            path = self._path(aside)
            if aside in self._written and self._size(path) == aside.size:
                return aside
            self._make_folder(path.parent)
            self._put(path, view)
            if self._flushes:
                flush_folder(path.parent)
            else:
                self._behind.append(path)
        self._written.add(aside)
        return aside

    def give(self, folder: Path, some: Iterable[Aside]) -> None:
        """Let another folder have payloads, too: no byte is copied where the file system is one.

        Args:
            folder: Of another journal of this user.
            some: Which ones; what is gone is left out.

        Raises:
            OSError: It could not be written.
        """
        other = LargeFiles(folder, self._key, flushes=True)
        for aside in dict.fromkeys(some):
            path, to = self._path(aside), other._path(aside)
            if self._size(path) != aside.size or self._size(to) == aside.size:
                continue
            other._make_folder(to.parent)
            try:
                os.link(path, to)
            except OSError:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    other._put(to, mapped(fd))
                finally:
                    os.close(fd)
            flush_folder(to.parent)

    def flush_later(self, some: Iterable[Aside]) -> None:
        """What another master has written is not on the disk yet, perhaps."""
        self._behind += map(self._path, some)

    def flush(self) -> None:
        """Let all that was written be on the disk.

        Raises:
            OSError: The disk has not taken something.
        """
        behind, self._behind = self._behind, []
        for path in behind:
            with contextlib.suppress(FileNotFoundError):
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
        for folder in {path.parent for path in behind}:
            if os.path.isdir(folder):  # noqa: PTH112
                self._flush_folders(folder)
                flush_folder(folder)

    def read(self, aside: Aside) -> Segment | None:
        """Return a payload; None: its file is gone, or holds something else."""
        path = self._path(aside)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            if os.fstat(fd).st_size != aside.size:
                return None
            view = mapped(fd)
            if self._digest(view) != aside.digest:
                return None
            return Segment.of([view])
        finally:
            os.close(fd)

    def _put(self, path: Path, view: memoryview) -> None:
        """Let a file have these bytes, as a whole."""
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            self._write(part, view)
            os.rename(part, path)  # noqa: PTH104  all by calls of the system
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(part)  # noqa: PTH108
            raise

    def _write(self, part: Path, view: memoryview) -> None:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            at = 0
            while at < len(view):
                at += os.write(fd, view[at : at + _PART])
            if self._flushes:
                os.fsync(fd)
        finally:
            os.close(fd)

    def _make_folder(self, folder: Path) -> None:
        if folder in self._sure and os.path.isdir(folder):  # noqa: PTH112
            return
        for each in (self._folder, folder):
            with contextlib.suppress(FileExistsError):
                os.mkdir(each, 0o700)  # noqa: PTH102
        if self._flushes:
            self._flush_folders(folder)
            self._sure.add(folder)

    def _flush_folders(self, folder: Path) -> None:
        """Let the name of a folder be on the disk, and of the one that it is in."""
        flush_folder(self._folder.parent)
        flush_folder(folder.parent)

    def _path(self, aside: Aside) -> Path:
        return self._folder / aside.digest[:2] / aside.digest[2:]

    def _digest(self, view: memoryview) -> str:
        return hashlib.blake2b(view, digest_size=20, key=self._key).hexdigest()

    @staticmethod
    def _size(path: Path) -> int:
        try:
            return os.lstat(path).st_size
        except OSError:
            return -1
