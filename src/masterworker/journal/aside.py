"""Large payloads of a journal: each in a file of its own, named by the digest of its bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING

from masterworker.data.segment import Segment
from masterworker.journal.file import flush_folder, mapped
from masterworker.journal.records import Aside

if TYPE_CHECKING:
    from pathlib import Path

    from masterworker.core.task import Large

_PART = 16 << 20


class LargeFiles:
    """The folder of large payloads, beside the journal.

    Args:
        folder: Made when there is the first one.
        key: Of the user: the names are digests that others cannot make.
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._key = key

    def write(self, payload: Large, *, flush: bool) -> Aside:
        """Write a payload, if it is not there. On the disk before this returns, with `flush`.

        Raises:
            OSError: It could not be written.
        """
        with payload.open(writable=False) as view:
            aside = Aside(self._digest(view), len(view))
            path = self._path(aside)
            if self._size(path) == aside.size:
                return aside
            self._make_folder(path.parent, flush=flush)
            part = path.with_suffix(f".{os.getpid()}.part")
            try:
                fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
                try:
                    at = 0
                    while at < len(view):
                        at += os.write(fd, view[at : at + _PART])
                    if flush:
                        os.fsync(fd)
                finally:
                    os.close(fd)
                part.rename(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    part.unlink()
                raise
            if flush:
                flush_folder(path.parent)
        return aside

    def read(self, aside: Aside) -> Segment | None:
        """Return a payload; None: its file is gone, or holds something else."""
        try:
            fd = os.open(self._path(aside), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            if os.fstat(fd).st_size != aside.size:
                return None
            view = mapped(fd)
            return Segment.of([view]) if self._digest(view) == aside.digest else None
        finally:
            os.close(fd)

    def _make_folder(self, folder: Path, *, flush: bool) -> None:
        if folder.is_dir():
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if flush:
            flush_folder(self._folder.parent)
            flush_folder(self._folder)

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
