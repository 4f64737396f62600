"""Tickets: one small file for each living master, in a folder that is the user's alone.

A ticket says where a label's master listens. The master holds a lock on the file as long as it
lives, which the system releases however the master ends, so a ticket that was left behind is told
from a living one with certainty.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any

from masterworker.errors import LabelTakenError, TransportError
from masterworker.transport.address import Address

FORMAT = 1
LOCK_TRIES = 10


def runtime_folder() -> Path:
    """Return the folder of this user's tickets and sockets, made if need be.

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
        folder = Path(tempfile.gettempdir(), f"masterworker-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise TransportError(f"no folder for tickets at {folder}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise TransportError(
            f"{folder} must be a folder of your own that nobody else can enter: "
            f"remove it, or run chmod 700 {folder}"
        )
    return folder


def _stem(label: str) -> str:
    """Name a label's files: short, whatever the label (a socket's path may have 108 bytes)."""
    return hashlib.sha256(label.encode()).hexdigest()[:16]


class Ticket:
    """The ticket of a master that lives in this process.

    Args:
        label: The label; it is ours until `release`.

    Raises:
        LabelTakenError: A living master of this user has it.
        TransportError: The folder cannot be used.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        folder = runtime_folder()
        self._path = folder / f"{_stem(label)}.ticket"
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

    def publish(self, address: Address) -> None:
        """Write where the master listens."""
        if self._file is None:
            return
        content = {
            "format": FORMAT,
            "label": self.label,
            "pid": os.getpid(),
            "host": address.host,
            "port": address.port,
            "socket": address.socket,
            "boot": _boot_id(),
        }
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(content).encode(), 0)

    def release(self) -> None:
        """Remove the ticket. Safe to call twice."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self.let_go()

    def let_go(self) -> None:
        """Close the file, and with it the lock, but leave it where it is."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


_living: list[Any] = []


def _let_go_in_children(ticket: Ticket) -> None:
    """A forked child must not keep the label of a master that has ended."""
    if not _living:
        os.register_at_fork(after_in_child=_let_go_all)
    _living[:] = [ref for ref in _living if ref() is not None]
    _living.append(weakref.ref(ticket))


def _let_go_all() -> None:
    for ref in _living:
        if (ticket := ref()) is not None:
            ticket.let_go()


def find(label: str) -> Address | None:
    """Return where a label's living master listens; None: no ticket, or one left behind."""
    known = _read_living(runtime_folder() / f"{_stem(label)}.ticket")
    return None if known is None else _address(known)


def all_tickets() -> dict[str, Address]:
    """Return the labels of all living masters of this user here, and where they listen."""
    found = {}
    for path in sorted(runtime_folder().glob("*.ticket")):
        known = _read_living(path)
        if known is not None:
            found[str(known["label"])] = _address(known)
    return found


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
    except (OSError, ValueError):
        return None
    keys = {"label", "pid", "host", "port", "socket", "boot"}
    return known if isinstance(known, dict) and keys <= known.keys() else None


def _address(known: dict[str, Any]) -> Address:
    return Address(str(known["host"]), int(known["port"]), str(known["socket"]))


def _boot_id() -> str:
    """Identify this run of this machine, so that a ticket in a shared home is not misread."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return os.uname().nodename
