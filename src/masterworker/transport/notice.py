"""Notices: one small file for each living master, in a folder that is the user's alone.

A notice says where a label's master listens; it holds no secret. The master holds a lock on the
file as long as it lives, which the system releases however the master ends, so a notice that was
left behind is told from a living one with certainty.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from masterworker.errors import LabelTakenError
from masterworker.security.private import private_folder
from masterworker.transport.address import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT = 1
LOCK_TRIES = 10


def runtime_folder() -> Path:
    """Return the folder of this user's notices and sockets, made if need be.

    MASTERWORKER_RUNTIME names another one; else it is below XDG_RUNTIME_DIR, else below the
    system's folder for temporary files.

    Raises:
        TransportError: It belongs to somebody else, or others may write to it.
    """
    chosen = os.environ.get("MASTERWORKER_RUNTIME")
    session = os.environ.get("XDG_RUNTIME_DIR")
    if chosen:
        folder = Path(chosen)
    elif session and Path(session).is_dir():
        folder = Path(session, "masterworker")
    else:
        import tempfile  # slow to load

        folder = Path(tempfile.gettempdir(), f"masterworker-{os.getuid()}")
    return private_folder(folder)


def _stem(label: str) -> str:
    """Name a label's files: short, whatever the label (a socket's path may have 108 bytes)."""
    return hashlib.sha256(label.encode()).hexdigest()[:16]


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
        folder = runtime_folder()
        self._path = folder / f"{_stem(label)}.notice"
        #: Where the master's Unix-domain socket goes.
        self.socket_path = str(folder / f"{_stem(label)}.sock")
        self._file = _lock(self._path)
        if self._file is None:
            known = _read(self._path)
            holder = f" (process {known['pid']})" if known else ""
            raise LabelTakenError(
                f"label {label!r} is taken by a master that is running{holder}: use another label, "
                f"or end that one; see: task_manager show {label!r}"
            )
        _let_go_in_children(self)

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
            "boot": _boot_id(),
        }
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(content).encode(), 0)

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
    known = _read_living(runtime_folder() / f"{_stem(label)}.notice")
    return None if known is None else _address(known)


def all_notices() -> dict[str, Address]:
    """Return the labels of all living masters of this user here, and where they listen."""
    found = {}
    for path in sorted(runtime_folder().glob("*.notice")):
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
    known = _read_living(runtime_folder() / f"{_stem(label)}.notice")
    if known is None:
        return None
    return Published(list(known.get("hosts", ())), int(known["port"]), str(known.get("job", "")))


#: What a notice holds.
_KINDS: Final = {
    **dict.fromkeys(("label", "host", "socket", "boot", "job"), str),
    **dict.fromkeys(("pid", "port"), int),
    "hosts": list,
}


def _lock(path: Path) -> int | None:
    """Open and lock a file for its life. None: a living master has it.

    Somebody who just looks whether it is locked holds it for an instant, so it is tried again.
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


def _read_living(path: Path) -> dict[str, Any] | None:
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        known = _read(path)  # somebody holds it: its master lives
        return known if known is not None and known["boot"] == _boot_id() else None
    else:
        return None
    finally:
        os.close(file)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(known, dict):
        return None
    return known if all(isinstance(known.get(key), kind) for key, kind in _KINDS.items()) else None


def _address(known: dict[str, Any]) -> Address:
    return Address(str(known["host"]), int(known["port"]), str(known["socket"]))


def _boot_id() -> str:
    """Identify this run of this machine, so that a notice in a shared home is not misread."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return os.uname().nodename
