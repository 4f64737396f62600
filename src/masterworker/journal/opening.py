"""Opening the file of a journal for a master: a new one is begun, what is there is taken in."""

from __future__ import annotations

import logging
import os
import platform
import sys
import time
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING

from masterworker.errors import JournalError
from masterworker.journal import format as layout
from masterworker.journal.aside import asides_in
from masterworker.journal.file import cut, flush_folder, lock, mapped, write_all
from masterworker.journal.reading import read
from masterworker.journal.records import Began, Header
from masterworker.journal.writing import Place
from masterworker.named import NamedTuple
from masterworker.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from masterworker.journal.aside import LargeFiles
    from masterworker.journal.records import Entry

logger = logging.getLogger("masterworker.journal")


class Opened(NamedTuple):
    """A file that can be written to."""

    #: Where the next group goes.
    place: Place
    keyed: layout.Keyed
    #: The random name of the job.
    job: str


def open_or_make(
    fd: int,
    path: Path,
    key: bytes,
    take_in: Callable[[Entry, int, int], object],
    large: LargeFiles,
) -> Opened:
    """Lock a journal, read it, and cut off an end that is torn.

    Args:
        fd: The file.
        path: Its path.
        key: The user's.
        take_in: Is given each record, where its group begins, and which record of that it is.
        large: The large payloads beside it.

    Raises:
        JournalError: It cannot be used; says why.
    """
    if not lock(fd, path):
        raise JournalError(f"another master writes the journal {path}{_holder(fd, key)}")
    try:
        if layout.is_unfinished(mapped(fd)):
            return _make(fd, path, key)
        return _go_on(fd, path, key, take_in, large)
    except OSError as error:
        raise JournalError(f"the journal {path} cannot be written: {error}") from error


def began(run: str) -> Began:
    """Make the record of a master that begins.

    Args:
        run: The random name of this run of its manager.
    """
    # Its path may have bytes that are no text.
    program = " ".join(sys.argv[:1]).encode("utf-8", "backslashreplace").decode()
    return Began(time.time(), os.uname().nodename, os.getpid(), program, versions(), run)


def versions() -> dict[str, str]:
    """Return the versions of what keys may depend on, as far as it is there."""
    found = {"python": platform.python_version(), "masterworker": __version__}
    for name in ("numpy", "pandas"):
        if name in sys.modules:
            found[name] = str(getattr(import_module(name), "__version__", ""))
    return found


def _make(fd: int, path: Path, key: bytes) -> Opened:
    """Begin a journal: the file is new, or the first master was killed as it began."""
    torn = cut(fd, path, 0)
    if torn is not None:
        logger.warning("the first bytes of %s were not whole: they are in %s now", path, torn)
    header = Header(os.urandom(16).hex(), layout.name_of(key), time.time())
    end = write_all(fd, [layout.write_header(header, key)], 0)
    os.fsync(fd)
    flush_folder(path.parent)
    return Opened(Place(fd, path, end, 0), layout.Keyed(key, header.journal), header.journal)


def _go_on(
    fd: int,
    path: Path,
    key: bytes,
    take_in: Callable[[Entry, int, int], object],
    large: LargeFiles,
) -> Opened:
    """Take in what there is."""
    # What a master that was killed has written is perhaps only in the cache of the system: it is
    # on the disk before anything tells of it.
    os.fsync(fd)
    flush_folder(path.parent)
    try:
        contents = read(mapped(fd), key)
        for group in contents.groups:
            for number, record in enumerate(layout.records_of(group)):
                take_in(record, group.begin, number)
    except JournalError as error:
        raise JournalError(f"the journal {path} is not used: {error}") from None
    large.flush_later(asides_in(chain.from_iterable(map(layout.records_of, contents.behind))))
    large.flush()
    end = contents.end
    torn = cut(fd, path, end)
    if torn is not None:
        logger.warning(
            "the end of the journal %s was not whole, as after a crash: what follows byte %d "
            "is in %s now; all whole groups count",
            *(path, end, torn),
        )
    place = Place(fd, path, end, len(contents.groups))
    return Opened(place, contents.keyed, contents.header.job or contents.header.journal)


def _holder(fd: int, key: bytes) -> str:
    """Say which process has opened it last."""
    try:
        found = [
            record
            for group in read(mapped(fd), key).groups
            for record in layout.records_of(group)
            if isinstance(record, Began)
        ]
    except JournalError:
        return ""
    return f": process {found[-1].pid} on {found[-1].host}" if found else ""
