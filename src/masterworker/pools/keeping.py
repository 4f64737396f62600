"""What is kept of the pools of a label: ids of jobs, tickets, scripts, outputs, and how they stand.

    <state>/pools/<label>/lock        held by the process that scales
                         /pools       how the pools stand: `Kept`
                         /ticket      with which workers join, readable by the user alone
                         /job-....sh  scripts, and what jobs print (.out)
                         /resume      is there when a paused pool is to go on
                         /succeed     is there when the program of the owner was started again

Batch jobs read it, so it lies in a folder that the nodes see, as the home folder usually is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from masterworker.errors import UsageError
from masterworker.statefolder import (
    changed,
    entered,
    names_in,
    remove,
    state_folder,
    stem_of,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.pools.pool import Pool

FORMAT: Final = 1
FOLDER: Final = "pools"
#: Outputs and scripts of jobs that are kept.
OUTPUTS: Final = 20
#: How often a lock is tried, and the pause between two tries (seconds).
_TRIES: Final = 10
_PAUSE: Final = 0.05
_LOCK, _POOLS, _RESUME, _SUCCEED = "lock", "pools", "resume", "succeed"


class KeptJob(Struct, frozen=True):
    """A job of a batch system that is not known to be over."""

    name: str
    running: bool
    workers: int = 0
    #: What the queue says: why it waits, when it is expected to start, when it ends.
    reason: str = ""
    start: str = ""
    end: str = ""


class KeptPool(Struct, frozen=True):
    """How a pool stands."""

    name: str
    system: str
    least: int
    most: int
    jobs: list[KeptJob]
    ended: int = 0
    failed: int = 0
    cancelled: int = 0
    #: Why nothing more is started; "": it is.
    paused: str = ""
    #: What went wrong last; "": nothing.
    trouble: str = ""
    #: How it is spoken to, for those who come later.
    pool: msgspec.Raw = msgspec.Raw(b"null")


class Kept(Struct, frozen=True):
    """How the pools of a label stand."""

    format: int
    label: str
    pid: int
    host: str
    pools: list[KeptPool]


class Place:
    """The folder of a label's pools, which one process at a time owns.

    Args:
        label: The label.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.path = _root() / stem_of(label)
        self._lock = -1

    # -- the owner --------------------------------------------------------------------------

    def own(self) -> bool:
        """Make the folder if need be, and lock it. False: another process has it.

        Raises:
            UsageError: There can be no such folder.
        """
        try:
            _root().parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._entered(make=True) as folder:
                self._lock = os.open(
                    _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder
                )
            taken = self._locked()
        except OSError as error:
            raise UsageError(
                f"there is no folder for what batch jobs read ({error}): set MASTERWORKER_STATE to "
                "a folder of your own that the nodes see"
            ) from None
        if taken:
            self.remove(_SUCCEED)
        else:
            self.let_go()
        return taken

    def _locked(self) -> bool:
        """Lock the file; those that only look hold it for an instant, too."""
        for _ in range(_TRIES):
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                threading.Event().wait(_PAUSE)
            else:
                return True
        return False

    def let_go(self) -> None:
        """Release the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def save(self, pools: list[KeptPool]) -> None:
        """Write how the pools stand; atomic.

        Raises:
            OSError: It cannot be written.
        """
        kept = Kept(FORMAT, self.label, os.getpid(), os.uname().nodename, pools)
        self.write(_POOLS, msgspec.json.encode(kept))

    def write(self, name: str, content: bytes, mode: int = 0o600) -> Path:
        """Write a file, in place of one of this name. Returns its path.

        Raises:
            OSError: It cannot be written.
        """
        with (
            self._entered() as folder,
            written(name, folder, mode, flushed=True) as out,  # nodes may read it at once
        ):
            out.write(content)
        return self.path / name

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(OSError), self._entered() as folder:
            remove(name, folder)

    def thin(self, needed: int) -> None:
        """Remove the oldest scripts and outputs.

        Args:
            needed: Jobs that are not over; some systems read a script when its job begins.
        """
        with contextlib.suppress(OSError), self._entered() as folder:
            for ending in (".out", ".sh"):
                found = [name for name in names_in(folder) if name.endswith(ending)]
                found.sort(key=lambda name: changed(name, folder))
                for name in found[: -(OUTPUTS + needed)]:
                    remove(name, folder)

    def is_to_resume(self) -> bool:
        """Return whether a paused pool is to go on; asked once for each wish."""
        return self._took(_RESUME)

    def is_to_succeed(self) -> bool:
        """Return whether another process waits to take over; asked once for each wish."""
        return self._took(_SUCCEED)

    def _took(self, wish: str) -> bool:
        with contextlib.suppress(OSError, UsageError), self._entered() as folder:
            os.unlink(wish, dir_fd=folder)
            return True
        return False

    # -- others -----------------------------------------------------------------------------

    def resume(self) -> None:
        """Let the owner go on with a paused pool.

        Raises:
            OSError: It cannot be told.
        """
        self.write(_RESUME, b"")

    def succeed(self) -> None:
        """Ask the owner to make room, if its program is gone, and give it time to."""
        with contextlib.suppress(OSError, UsageError):
            self.write(_SUCCEED, b"")
        threading.Event().wait(_PAUSE)

    def read(self) -> Kept | None:
        """Return how the pools stood last; None: nothing is kept, or it cannot be read."""
        try:
            with self._entered() as folder:
                file = os.open(_POOLS, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                with os.fdopen(file, "rb") as source:
                    kept = msgspec.json.decode(source.read(), type=Kept)
        except (OSError, UsageError, msgspec.MsgspecError):
            return None  # of another version, or damaged
        return kept if kept.format == FORMAT and kept.label == self.label else None

    def is_owned(self) -> bool:
        """Return whether a process has it now."""
        try:
            with self._entered() as folder:
                file = os.open(_LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except (OSError, UsageError):
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # it is held, or this file system cannot say
            return True
        finally:
            os.close(file)
        return False

    @contextlib.contextmanager
    def _entered(self, *, make: bool = False) -> Iterator[int]:
        state, root = _root().parent, _root()
        with (
            entered(state, make=make) as base,
            entered(root, base, make=make) as pools,
            entered(self.path, pools, make=make) as folder,
        ):
            yield folder


def encode(pool: Pool) -> msgspec.Raw:
    """Return a pool as it is kept."""
    return msgspec.Raw(msgspec.json.encode(pool))


def _root() -> Path:
    return state_folder().absolute() / FOLDER  # batch jobs begin in other folders


def last_lines(path: str, number: int = 5) -> str:
    """Return the last lines of what a job has printed; "": there is nothing."""
    try:
        with Path(path).open("rb") as source:
            source.seek(0, os.SEEK_END)
            source.seek(max(0, source.tell() - 2000))
            text = source.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-number:])
