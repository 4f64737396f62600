"""Notices: one small file for each living master, in a folder that is the user's alone.

A notice says where a label's master listens; it holds no secret. The master holds a lock on the
file as long as it lives, which the system releases however the master ends, so a notice that was
left behind is distinguished from a living one with certainty.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

import msgspec
from xxhash import xxh3_64_hexdigest

from masterworker.errors import LabelTakenError, TransportError
from masterworker.named import NamedTuple
from masterworker.transport.address import Address
from masterworker.transport.runtime import LONGEST_PATH, VARIABLE, boot_id, runtime_folders

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FORMAT = 1
LOCK_TRIES = 10


def _stem(label: str) -> str:
    """Name a label's files: short, whatever the label, since a socket's path has to be."""
    return xxh3_64_hexdigest(label.encode())


def _paths(label: str) -> list[Path]:
    """Return where a label's notice can be, the place for a new one first."""
    return [folder / f"{_stem(label)}.notice" for folder in runtime_folders()]


def _checked(path: str) -> str:
    """Return the path of a socket, if there can be one.

    Raises:
        TransportError: It is too long.
    """
    size = len(os.fsencode(path))
    if size > LONGEST_PATH:
        raise TransportError(
            f"{path} has {size} bytes, and a socket's path can have {LONGEST_PATH}: "
            f"name a shorter folder with {VARIABLE}"
        )
    return path


class Notice:
    """The notice of a master that lives in this process.

    Args:
        label: The label; it is ours until `release`.

    Raises:
        LabelTakenError: A living master of this user has it.
        TransportError: The folder cannot be used.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self._path = _paths(label)[0]
        #: Where the master's Unix-domain socket goes.
        self.socket_path = _checked(str(self._path.with_suffix(".sock")))
        with _writing(self._path):
            self._file = _lock(self._path)
        if self._file is None:
            raise _taken(label, self._path)
        try:
            self._look_elsewhere()
        except (TransportError, LabelTakenError):
            self.release()
            raise
        _let_go_in_children(self)

    def _look_elsewhere(self) -> None:
        """Check that no master has the label in another folder.

        Only after our own is locked: then, of two at once, the later one sees the other's lock.
        """
        for path in _paths(self.label):
            if path != self._path and _is_held(path):
                raise _taken(self.label, path)

    def publish(self, address: Address, hosts: Sequence[str] = (), job: str = "") -> None:
        """Write where the master listens.

        Args:
            address: Where this machine reaches it.
            hosts: What others can connect to, all at the same port.
            job: The random id of the job.
        """
        if self._file is None:
            return
        content = {
            "format": FORMAT,
            "label": self.label,
            "pid": os.getpid(),
            "host": address.host,
            "port": address.port,
            "socket": address.socket,
            "hosts": list(hosts),
            "job": job,
            "boot": boot_id(),
        }
        with _writing(self._path):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, msgspec.json.encode(content), 0)

    def release(self) -> None:
        """Remove the notice. Safe to call twice."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self.let_go()

    def let_go(self) -> None:
        """Close the file, and with it the lock, but leave it where it is."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say what to do where a folder is full, read-only or closed to us.

    Raises:
        TransportError: It is.
    """
    try:
        yield
    except OSError as error:
        raise TransportError(
            f"{path} cannot be written: {error.strerror} ({VARIABLE} can name another folder)"
        ) from None


def _taken(label: str, path: Path) -> LabelTakenError:
    known = _read(path)
    if known is not None and known["pid"] == os.getpid() and known["boot"] == boot_id():
        return LabelTakenError(
            f"label {label!r} is taken by a master of this program itself (process "
            f"{os.getpid()}), which has not ended: "
            "call its shutdown() first (in a notebook, before the cell is run again), write "
            f"`with Master({label!r}) as master:`, or use another label, or none"
        )
    holder = f" (process {known['pid']})" if known else ""
    return LabelTakenError(
        f"label {label!r} is taken by a master that is running{holder}: use another label, "
        f"or end that one; see: task_manager show {label!r}"
    )


_living: list[Any] = []


def _let_go_in_children(notice: Notice) -> None:
    """A forked child must not keep the label of a master that has ended."""
    if not _living:
        os.register_at_fork(after_in_child=_let_go_all)
    _living[:] = [ref for ref in _living if ref() is not None]
    _living.append(weakref.ref(notice))


def _let_go_all() -> None:
    for ref in _living:
        if (notice := ref()) is not None:
            notice.let_go()


def find(label: str) -> Address | None:
    """Return where a label's living master listens; None: no notice, or one left behind."""
    known = _known(label)
    return None if known is None else _address(known)


def all_notices() -> dict[str, Address]:
    """Return the labels of all living masters of this user here, and where they listen."""
    found = {}
    for folder in runtime_folders():
        for path in sorted(folder.glob("*.notice")):
            known = _read_living(path)
            if known is not None:
                found[str(known["label"])] = _address(known)
    return found


class Published(NamedTuple):
    """What a master of this machine has published of itself."""

    #: What others can connect to.
    hosts: list[str]
    port: int
    #: The random id of the job.
    job: str


def published(label: str) -> Published | None:
    """Return what a label's living master here says of itself; None: there is none."""
    known = _known(label)
    if known is None:
        return None
    return Published(list(known.get("hosts", ())), int(known["port"]), str(known.get("job", "")))


class LastSeen(NamedTuple):
    """A master whose notice is here, whether it lives or not."""

    pid: int
    #: The random id of the job.
    job: str


def last_seen(label: str) -> LastSeen | None:
    """Return the master whose notice is here: it lives, or was killed. None: there is none."""
    for path in _paths(label):
        known = _read(path)
        if known is not None and known["boot"] == boot_id():
            return LastSeen(int(known["pid"]), str(known["job"]))
    return None


#: What a notice holds.
_KINDS: Final = {
    **dict.fromkeys(("label", "host", "socket", "boot", "job"), str),
    **dict.fromkeys(("pid", "port"), int),
    "hosts": list,
}


def _lock(path: Path) -> int | None:
    """Open and lock a file for its life. None: a living master has it.

    A process that only looks whether it is locked holds it for an instant, so it is tried again.
    """
    for _ in range(LOCK_TRIES):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            threading.Event().wait(0.01)
            continue
        try:
            if os.fstat(file).st_ino == path.stat().st_ino:
                return file
        except FileNotFoundError:
            pass  # its holder removed it just now: once more, with a new file
        os.close(file)
    return None


def _known(label: str) -> dict[str, Any] | None:
    """Return the notice of a label's living master."""
    return next((known for path in _paths(label) if (known := _read_living(path))), None)


def _is_held(path: Path) -> bool:
    """Return whether this file is locked: its master lives."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(file)


def _read_living(path: Path) -> dict[str, Any] | None:
    known = _read(path) if _is_held(path) else None
    return known if known is not None and known["boot"] == boot_id() else None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        known = msgspec.json.decode(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(known, dict):
        return None
    return known if all(isinstance(known.get(key), kind) for key, kind in _KINDS.items()) else None


def _address(known: dict[str, Any]) -> Address:
    return Address(str(known["host"]), int(known["port"]), str(known["socket"]))
