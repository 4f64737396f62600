"""The user's state folder: where what outlives a job is kept, for the user alone.

    <state>/<label>/failed    what `failed` keeps
    <state>/records           what `job_record` keeps
    <state>/pools/<label>     what `pools.keeping` keeps

Symbolic links are not followed, and what others could have changed is not entered.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from masterworker.errors import UsageError
from masterworker.machine import random_name

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = "failed"
#: A file that was begun before this time will not be finished any more (seconds).
ABANDONED: Final = 3600.0
_NEW: Final = ".new-"


def state_folder() -> Path:
    """Return the folder of what outlives a job. It need not exist.

    MASTERWORKER_STATE names another one than that below XDG_STATE_HOME or ~/.local/state.
    """
    chosen = os.environ.get("MASTERWORKER_STATE")
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_STATE_HOME", "")
    try:
        base = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise UsageError(f"there is no folder for failed calls and records: {error}") from None
    return base / "masterworker"


def stem_of(label: str) -> str:
    """Return what a label's file or folder is called: short, and safe whatever the label."""
    digest = hashlib.sha256(label.encode()).hexdigest()[:16]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', label)[:40]}-{digest}"


def place_of(label: str) -> Path:
    """Say where a label's failed calls are."""
    return state_folder() / stem_of(label) / FOLDER


@contextlib.contextmanager
def entered(path: Path, inside: int | None = None, *, make: bool = False) -> Iterator[int]:
    """Open a folder that must be the user's alone; symbolic links are not followed.

    Args:
        path: The folder.
        inside: The folder that it is in, if that has been opened.
        make: Make it, if need be.
    """
    name = path if inside is None else path.name
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=inside)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(name, flags, dir_fd=inside)
    try:
        check_owner(folder, path)
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def folder_of(label: str, *, make: bool = False) -> Iterator[tuple[int, int]]:
    """Open the state folder, and in it the folder of a label's failed calls."""
    root, place = state_folder(), place_of(label)
    if make:
        root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        entered(root, make=make) as base,
        entered(place.parent, base, make=make) as own,
        entered(place, own, make=make) as folder,
    ):
        yield base, folder


def check_owner(file: int, path: Path) -> None:
    """Refuse a file or folder that others could have changed.

    Raises:
        UsageError: They could.
    """
    found = os.fstat(file)
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        whose = "is not yours" if found.st_uid != os.getuid() else "can be written by others"
        raise UsageError(
            f"{path} {whose}, so it is not used (a saved call is a program): remove it, or set "
            "MASTERWORKER_STATE to a folder of your own"
        )


@contextlib.contextmanager
def written(
    name: str, folder: int, mode: int = 0o600, *, flushed: bool = False
) -> Iterator[IO[bytes]]:
    """Write a file that takes the place of one of this name when all is written, or not at all.

    Args:
        name: Of the file.
        folder: In which it is; it has been opened.
        mode: Its rights.
        flushed: It is to be on the disk when it takes the place.
    """
    new = _NEW + random_name()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(new, flags, mode, dir_fd=folder), "wb") as out:
            yield out
            if flushed:
                out.flush()
                os.fsync(out.fileno())
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        remove(new, folder)
        raise


def remove_abandoned(folder: int) -> None:
    """Remove files that were begun long ago, and will not be finished any more."""
    for name in names_in(folder):
        if name.startswith(_NEW) and changed(name, folder) < time.time() - ABANDONED:
            remove(name, folder)


def names_in(folder: int) -> list[str]:
    """Return the names of what is in a folder."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def size_of(name: str, folder: int) -> int:
    """Return the size of a file in bytes; 0: it is not there."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
    except OSError:
        return 0


def remove(name: str, folder: int) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)


def changed(name: str, folder: int) -> float:
    """Return when a file or folder was changed last; 0: it is not there."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
    except OSError:
        return 0.0
