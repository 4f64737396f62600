"""Files and folders that no other user can read or change, judged before they are believed.

A key that others can read is a key that others have, so it is refused and not repaired.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from masterworker.errors import CredentialError, TransportError, UsageError

LIMIT = 1 << 16  # bytes; a key with two certificates has 2,000
FOR_OTHERS = 0o077


def private_folder(path: Path, *, named: bool = False) -> Path:
    """Return a folder that is the user's alone, made if need be (its parents as usual).

    Args:
        path: The folder.
        named: The user has named it for us, so it is made wherever it is. Otherwise it is made
            only below a folder of the user, or below one for all users, as /tmp.

    Raises:
        TransportError: It cannot be made, belongs to another user, or others can enter it.
    """
    try:
        if not named and not os.path.lexists(path):
            _judge_place(path)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise TransportError(f"no private folder at {path}: {error.strerror}") from None
    if stat.S_ISLNK(found.st_mode):
        raise TransportError(f"{path} is a symbolic link, and must be a folder itself: remove it")
    if found.st_uid != os.geteuid():
        raise TransportError(
            f"{path} belongs to another user (id {found.st_uid}): use another folder, "
            f"or with sudo: sudo -H"
        )
    if found.st_mode & FOR_OTHERS:
        raise TransportError(f"other users can enter {path}: run chmod 700 {path}")
    return path


def _judge_place(path: Path) -> None:
    """Check that a folder, and the parents that it lacks, may be made where they would be.

    Under sudo, HOME may be that of the calling user: root's folders there would lock that user out
    of them for good.

    Raises:
        TransportError: They would be in another user's folder.
    """
    above = next(parent for parent in path.absolute().parents if parent.exists())
    found = above.stat()
    for_all = found.st_mode & stat.S_ISVTX and found.st_mode & stat.S_IWOTH
    if found.st_uid != os.geteuid() and not for_all:
        raise TransportError(
            f"{path} is not made, since {above} belongs to another user (id {found.st_uid}): "
            f"use another folder, or with sudo: sudo -H"
        )


def read_private(path: Path, limit: int = LIMIT) -> bytes:
    """Return what is in a file that only this user can have read or written.

    Judged is the file that was opened, so it cannot be exchanged in between.

    Args:
        path: The file itself: a symbolic link is refused.
        limit: More bytes than this are refused.

    Raises:
        CredentialError: It is missing, unsafe, or too large; the text says which.
    """
    # without O_NONBLOCK, a fifo would let us wait for a writer
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        if path.is_symlink():  # for a clear message; O_NOFOLLOW is what protects
            raise CredentialError(f"{path} is a symbolic link: name the file itself")
        content = _content(path, os.open(path, flags), limit)
    except OSError as error:
        raise CredentialError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > limit:
        raise CredentialError(f"{path} is larger than {limit} bytes: it is not what it should be")
    return content


def _content(path: Path, handle: int, limit: int) -> bytes:
    try:
        _judge(path, os.fstat(handle))
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(limit + 1)
    finally:
        os.close(handle)


def _judge(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise CredentialError(f"{path} is not a regular file: name a file, or remove it")
    if found.st_uid != os.geteuid():
        raise CredentialError(
            f"{path} belongs to another user (id {found.st_uid}): make a copy of your own, "
            f"with chmod 600"
        )
    if found.st_mode & FOR_OTHERS:
        raise CredentialError(
            f"other users can read or change {path}, which must be a secret: "
            f"run chmod 600 {path}, or make a new one if others may have read it"
        )


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only this user can read, all of it or nothing.

    Raises:
        CredentialError: The folder cannot be written to.
    """
    try:
        draft = _draft(path, data)
        try:
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(path, error) from None


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, and that only this user can read from the beginning.

    Raises:
        UsageError: There is something of this name, if only a link that leads nowhere.
        CredentialError: It cannot be written, or not be kept from others; nothing is left of it.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} exists already: name a new file, or remove it") from None
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        _fill(path, handle, data)
    except BaseException as error:
        with contextlib.suppress(OSError):
            path.unlink()
        if isinstance(error, OSError):
            raise _unwritable(path, error) from None
        raise
    finally:
        os.close(handle)


def _fill(path: Path, handle: int, data: bytes) -> None:
    found = os.fstat(handle)
    if found.st_uid != os.geteuid() or found.st_mode & FOR_OTHERS:  # its file system knows no users
        raise CredentialError(f"{path} cannot be kept from other users: name a file elsewhere")
    write_all(handle, data)


def write_all(handle: int, data: bytes) -> None:
    """Write to an open file at once, past all buffers.

    Raises:
        OSError: Not all of it could be written.
    """
    while data:
        data = data[os.write(handle, data) :]


def create_private(path: Path, data: bytes) -> bytes:
    """Write a file unless it exists, and return what is in it.

    Of several processes that try it at once, also on several machines over NFS, one wins, and
    all of them return what that one wrote.

    Raises:
        CredentialError: It cannot be written, or what is there is unsafe.
    """
    try:
        draft = _draft(path, data)
        try:
            # a complete file gets its name in one step, or another process's has it already;
            # over NFS "exists" may also mean that we won and the answer was lost
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(draft)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None
    return read_private(path)


def _draft(path: Path, data: bytes) -> Path:
    """Write a new file beside the one that is meant."""
    import tempfile  # most processes write none, and it is slow to load

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _unwritable(path: Path, error: OSError) -> CredentialError:
    return CredentialError(f"{path} cannot be written: {error.strerror}")
