"""Which folder of this machine the notices and sockets of the user's masters are in.

All processes of a user have to find each other, whenever they begin. So a folder for new notices
is chosen, and notices are looked for wherever they can be.

Where a session has no folder of its own, that is one in /tmp. Any user can make one of that name
before us, so there is another one below the home folder, for new notices as long as the one in
/tmp is not ours. Whatever was made by which user, and when, a living master is found:

*   One whose notice is in /tmp: the folder was ours when it began, and no other user can remove or
    rename it, since /tmp is sticky. So it is ours still, and is looked into.
*   One whose notice is below the home folder, because the one in /tmp was another user's: that
    user may have removed it, and it may have become ours since. So the one below the home folder is
    looked into in any case.

For the same reason a master that takes a label looks into both, after it has locked its own.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from xxhash import xxh3_64_hexdigest

from masterworker.errors import TransportError
from masterworker.security.private import private_folder

#: A longer path of a socket is refused by the system (bytes; a zero is to follow it).
LONGEST_PATH: Final = 107
#: Of these the name of a socket, with the slash before it, takes this many.
LONGEST_NAME: Final = 22
#: Names another folder.
VARIABLE: Final = "MASTERWORKER_RUNTIME"


def runtime_folder() -> Path:
    """Return the folder for new notices and sockets of this user, made if need be.

    MASTERWORKER_RUNTIME names another one; else it is below XDG_RUNTIME_DIR, if that is ours;
    else below TMPDIR or /tmp; where another user has taken that one, below the home folder.
    One that is read-only, or too long for a socket's path, is passed over.

    Raises:
        TransportError: It cannot be made, belongs to another user, or others can enter it.
    """
    return runtime_folders()[0]


def runtime_folders() -> list[Path]:
    """Return all folders in which this user's notices can be, the one for new ones first.

    Raises:
        TransportError: The one for new ones cannot be made, belongs to another user, or others
            can enter it.
    """
    chosen = os.environ.get(VARIABLE)
    session = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    try:
        if chosen:
            return [private_folder(Path(chosen).absolute(), named=True)]
        # with sudo it may be that of the user that called it
        below = session / "masterworker"
        if session.is_absolute() and _is_ours(session, follow=True) and _is_of_use(below):
            return [private_folder(session / "masterworker")]
        return _shared_and_own()
    except TransportError as error:
        raise TransportError(f"{error} ({VARIABLE} can name another folder)") from None


def _shared_and_own() -> list[Path]:
    """Return the folder in /tmp, if it is ours, and the one below the home folder, if any."""
    own = _below_home()
    shared = _for_us(_temporary())
    try:
        folders = [_written(shared)]
    except TransportError as error:
        # what is ours is to be repaired, and not avoided
        if own is None or (_is_ours(shared) and _is_of_use(shared)):
            raise
        return [_instead(own, error)]
    if own is not None and os.path.lexists(own):
        with contextlib.suppress(TransportError):
            folders.append(private_folder(own))
    return folders


def _written(folder: Path) -> Path:
    if not _is_of_use(folder):
        raise TransportError(f"nothing can be written to {folder}")
    return private_folder(folder)


def _instead(own: Path, problem: TransportError) -> Path:
    try:
        return private_folder(own)
    except TransportError as error:
        raise TransportError(f"{problem}; and {error}") from None


def _temporary() -> Path:
    """Return the folder for temporary files.

    Not what `tempfile` says: that is another one as long as the disk is full.
    """
    given = Path(os.environ.get("TMPDIR", ""))
    if given.is_absolute() and given.is_dir() and _is_of_use(_for_us(given)):
        return given
    return Path("/tmp")  # noqa: S108  see above


def _for_us(temporary: Path) -> Path:
    return temporary / f"masterworker-{os.geteuid()}"


def _is_of_use(folder: Path) -> bool:
    """Return whether there can be sockets in a folder: its path is short, and it can be written to.

    Batch systems set a TMPDIR of a hundred characters, and containers have folders that are
    read-only. All processes of a user come to the same answer.
    """
    if len(os.fsencode(folder)) + LONGEST_NAME > LONGEST_PATH:
        return False
    there = next((path for path in (folder, *folder.parents) if path.exists()), None)
    # whether any process could have the right; that we have none is said where it is tried
    return there is None or not os.statvfs(there).f_flag & os.ST_RDONLY


def _below_home() -> Path | None:
    """Return the folder below the home folder; several machines may share that."""
    machine = xxh3_64_hexdigest(boot_id().encode())
    try:
        return Path.home() / ".cache" / "masterworker" / f"run-{machine}"
    except RuntimeError:
        return None


def _is_ours(path: Path, *, follow: bool = False) -> bool:
    try:
        return path.stat(follow_symlinks=follow).st_uid == os.geteuid()
    except OSError:
        return False


def boot_id() -> str:
    """Identify this run of this machine, so that a notice in a shared home is not misread."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return os.uname().nodename
