"""The file of a journal on the disk: opened safely, locked, read, added to."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import stat
from typing import TYPE_CHECKING

from masterworker.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Only the owner may read what is in a journal.
_MODE = 0o600
#: What is smaller is put together, and written as one (bytes).
_SMALL = 1 << 14


def open_file(path: Path, *, create: bool) -> int:
    """Open a journal for reading and writing. Returns its descriptor.

    Raises:
        JournalError: It cannot be opened, or is no ordinary file of this user.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
    try:
        fd = os.open(path, flags, _MODE)
    except OSError as error:
        raise JournalError(_why(path, error)) from error
    about = os.fstat(fd)
    if not stat.S_ISREG(about.st_mode):
        os.close(fd)
        raise JournalError(f"{path} is no file")
    if about.st_uid != os.geteuid():
        os.close(fd)
        raise JournalError(f"{path} belongs to another user (id {about.st_uid})")
    return fd


def _why(path: Path, error: OSError) -> str:
    folder = path.parent
    if error.errno == errno.ELOOP:
        return f"{path} is a symbolic link: give the path of the file itself"
    if error.errno == errno.ENOENT and not folder.is_dir():
        return f"there is no folder {folder} for the journal {path.name}: make it first"
    if error.errno == errno.EISDIR:
        return f"{path} is a folder: give the path of a file"
    return f"the journal {path} cannot be written: {error.strerror}"


def open_to_read(path: Path) -> int:
    """Open a journal for reading. Returns its descriptor.

    Raises:
        JournalError: It cannot be opened, or is no ordinary file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would be waited for
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise JournalError(f"{path} is no file: give the path of a journal")
    return fd


def lock(fd: int, path: Path) -> bool:
    """Lock a journal until its descriptor is closed. False: another master has it.

    Raises:
        JournalError: The file system knows no locks; or another file is there by now, as after
            `prune`.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise JournalError(
            f"{path} cannot be locked ({error.strerror}), so two masters might write it at once: "
            "put the journal onto a file system with locks"
        ) from error
    try:
        is_there = os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        is_there = False
    if not is_there:  # what is written into it would be gone
        raise JournalError(f"{path} was replaced or removed while it was opened: start again")
    return True


def mapped(fd: int) -> memoryview:
    """Look at the bytes of a file, as they are now, for as long as anything refers to the view."""
    size = os.fstat(fd).st_size
    return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ) if size else b"")


def unlock_and_close(fd: int) -> None:
    """Let another master have a journal, whatever still looks at its bytes."""
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


def write_all(fd: int, parts: Sequence[bytes], at: int) -> int:
    """Write at some place. Returns where that ends.

    Raises:
        OSError: It could not be written whole.
    """
    if sum(map(len, parts)) <= _SMALL:
        data = b"".join(parts)
        written = os.pwritev(fd, [data], at)
        at += written
        if written == len(data):
            return at
        parts = [data[written:]]
    left = [memoryview(part) for part in parts if part]
    while left:
        written = os.pwritev(fd, left[:64], at)
        at += written
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if left and written:
            left[0] = left[0][written:]
    return at


def flush_folder(folder: Path) -> None:
    """Let the names in a folder be on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def cut(fd: int, path: Path, end: int) -> Path | None:
    """Take off what follows the last whole group, which goes into a file of its own.

    Returns:
        That file; None: nothing follows.
    """
    size = os.fstat(fd).st_size
    if size == end:
        return None
    torn = _unused(path)
    out = os.open(torn, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    try:
        at = end
        while at < size:
            block = os.pread(fd, min(1 << 20, size - at), at)
            if not block:
                break
            write_all(out, [block], at - end)
            at += len(block)
        os.fsync(out)
    finally:
        os.close(out)
    flush_folder(path.parent)
    os.ftruncate(fd, end)
    os.fsync(fd)
    return torn


def _unused(path: Path) -> Path:
    number = 1
    while os.path.lexists(torn := path.with_name(f"{path.name}.torn-{number}")):
        number += 1
    return torn
