"""The calls that failed last, kept in the user's state folder so that they can be replayed.

    <state>/<label>/failed/<when>-<task>-<run>.call     one file for each call: a summary, the rest
                           <digest>.needs               what several calls refer to, once

Folders and files are the user's alone, and what others could have changed is not read: whoever
replays a call unpickles it. Nothing is unpickled here.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgpack
import msgspec

from masterworker.core.task import LOST, read_history
from masterworker.data.record import decode
from masterworker.errors import NotKeptError, UsageError
from masterworker.machine import random_name
from masterworker.taskid import shown_number, task_name
from masterworker.wire import python_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from masterworker.core.effects import Failed

logger = logging.getLogger("masterworker.failed")

#: Version of the files.
FORMAT = 2
#: So many calls of a label are kept, and those of so many labels.
KEPT_CALLS = 100
KEPT_LABELS = 50
#: All those of a label together have no more than so many bytes.
KEPT_BYTES = 1 << 30
#: Larger parameters are not kept (bytes).
LARGEST = 64 << 20

_FOLDER, _ENDING, _NEEDS, _NEW = "failed", ".call", ".needs", ".new-"
#: A file that was begun so long ago will not be finished any more (seconds).
_ABANDONED = 3600.0
#: What one file can hold at most (bytes), for the reader's buffer.
_LARGEST_FILE = (1 << 31) - 1


class Summary(NamedTuple):
    """What is told of a failed call before it is read as a whole."""

    label: str
    #: Random name of the manager's run: task numbers mean nothing in another run.
    run: str
    number: int
    tag: str
    #: `FAILURE` or `LOST`.
    kind: int
    #: What it raised, in one line.
    raised: str
    #: Nanoseconds since 1970.
    when: int
    #: Version of Python, as "3.11".
    python: str
    #: Which process it was, as text; "" where that is not known.
    worker: str
    #: Bytes of its parameters, also where those were not kept.
    size: int
    #: Name of the file with what it refers to; "" for nothing.
    needs: str = ""

    @property
    def task_id(self) -> str:
        """The id that the request returned."""
        return task_name(self.tag, self.number)

    @property
    def local_time(self) -> str:
        """When it failed, to be read."""
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.when / 1e9))

    @property
    def name(self) -> str:
        """Name of its file. Later ones sort behind."""
        return f"{self.when:020d}-{self.number}-{self.run[:8]}{_ENDING}"


class Call(NamedTuple):
    """A failed call, as it is kept."""

    summary: Summary
    #: Pickled; None where they were larger than `LARGEST`.
    parameters: bytes | None
    #: The outcome's payload: a failure record, or a history of losses.
    outcome: bytes
    #: The stored slave program; empty for none.
    program: bytes
    #: What it refers to, by key. It is in a file of its own.
    needs: dict[str, bytes] = {}  # noqa: RUF012  never changed


def summarise(label: str, run: str, failed: Failed, when: int, size: int) -> Summary:
    """Make the summary of a failed call. Never raises, whatever the outcome holds."""
    number, tag, _, kind, outcome, worker = failed
    try:
        if kind == LOST:
            history = read_history(outcome)
            worker = _one_line(history[-1].partition(": ")[0])
            raised = f"ended {len(history)} processes that executed it"
        else:
            failure = decode(outcome)
            raised = f"{failure.type_name}: {failure.message}" if failure[1] else failure[0]
    except Exception:  # it comes from a worker
        raised = "(the record of its failure cannot be read)"
    return Summary(
        *(label, run, number, tag, kind, _one_line(raised)),
        *(when, python_version(), worker, size),
    )


def _one_line(text: str) -> str:
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "?" for c in line[:200])


# -- where ----------------------------------------------------------------------------------


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
        raise UsageError(f"there is no folder for failed calls: {error}") from None
    return base / "masterworker"


def _place(label: str) -> Path:
    """Say where a label's failed calls are: recognisable and short, whatever the label."""
    digest = hashlib.sha256(label.encode()).hexdigest()[:16]
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", label)[:40]
    return state_folder() / f"{stem}-{digest}" / _FOLDER


@contextlib.contextmanager
def _entered(path: Path, inside: int | None = None, *, make: bool = False) -> Iterator[int]:
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
        _check_owner(folder, path)
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def _folder_of(label: str, *, make: bool = False) -> Iterator[tuple[int, int]]:
    """Open the state folder, and in it the folder of a label's failed calls."""
    root, place = state_folder(), _place(label)
    if make:
        root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        _entered(root, make=make) as base,
        _entered(place.parent, base, make=make) as own,
        _entered(place, own, make=make) as folder,
    ):
        yield base, folder


def _check_owner(file: int, path: Path) -> None:
    found = os.fstat(file)
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        whose = "is not yours" if found.st_uid != os.getuid() else "can be written by others"
        raise UsageError(
            f"{path} {whose}, so it is not used (a saved call is a program): remove it, or set "
            "MASTERWORKER_STATE to a folder of your own"
        )


# -- writing --------------------------------------------------------------------------------


def save(label: str, calls: Sequence[Call]) -> None:
    """Write failed calls of a label, and remove those that are too many.

    Raises:
        OSError: The disk is full, or nothing can be written there.
        UsageError: The folder could be changed by others.
    """
    with _folder_of(label, make=True) as (base, folder):
        for call in calls:
            _write(folder, call)
        names = _names(folder)
        kept = sorted(name for name in names if name.endswith(_ENDING))
        for name in _too_many(kept, folder):
            _remove(name, folder)
        _forget_needs(label, [name for name in names if name.endswith(_NEEDS)], folder)
        for name in names:
            if name.startswith(_NEW) and _changed(name, folder) < time.time() - _ABANDONED:
                _remove(name, folder)
        _forget_labels(base)


def _too_many(names: list[str], folder: int) -> Iterator[str]:
    """Yield the oldest of these files that are too many, or too large together."""
    room = KEPT_BYTES
    for number, name in enumerate(reversed(names)):
        with contextlib.suppress(OSError):
            room -= os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
        if number >= KEPT_CALLS or (room < 0 and number):
            yield name


def _write(folder: int, call: Call) -> None:
    summary = call.summary
    if call.needs:
        digest = hashlib.sha256("".join(sorted(call.needs)).encode()).hexdigest()[:32]
        summary = summary._replace(needs=digest + _NEEDS)
        if not _changed(summary.needs, folder):
            _write_file(folder, summary.needs, call.needs)
    _write_file(folder, summary.name, (FORMAT, summary), call[1:-1])


def _write_file(folder: int, name: str, *parts: object) -> None:
    new = _NEW + random_name()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(new, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(file, "wb") as out:
            for part in parts:
                out.write(msgpack.packb(part))
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        _remove(new, folder)
        raise


def _forget_needs(label: str, names: list[str], folder: int) -> None:
    """Remove what no call refers to any more."""
    if names:
        wanted = {summary.needs for summary in saved(label)}
        for name in names:
            if name not in wanted:
                _remove(name, folder)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _remove(name: str, folder: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)


def _changed(name: str, folder: int) -> float:
    """Tell when a file or folder was changed last; 0: it is not there."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
    except OSError:
        return 0.0


def _forget_labels(base: int) -> None:
    """Remove the failed calls of labels that have had none for the longest time."""
    labels = _names(base)
    if len(labels) <= KEPT_LABELS:
        return
    labels.sort(key=lambda name: _changed(f"{name}/{_FOLDER}", base))
    for label in labels[:-KEPT_LABELS]:
        place = state_folder() / label / _FOLDER
        with contextlib.suppress(OSError, UsageError), _entered(place.parent, base) as own:
            with _entered(place, own) as folder:
                for name in _names(folder):
                    _remove(name, folder)
            os.rmdir(_FOLDER, dir_fd=own)
            os.rmdir(label, dir_fd=base)


# -- reading --------------------------------------------------------------------------------


def saved(label: str) -> list[Summary]:
    """Return the failed calls of a label that are kept, newest first.

    Raises:
        UsageError: Others could have changed them.
    """
    found = []
    try:
        with _folder_of(label) as (_, folder):
            for name in sorted(_names(folder), reverse=True):
                if name.endswith(_ENDING):
                    with contextlib.suppress(FileNotFoundError):  # removed just now
                        found.append(_read(folder, _place(label) / name, whole=False).summary)
    except FileNotFoundError:
        return found
    except OSError as error:
        raise _unreadable(error) from None
    return [summary for summary in found if summary.label == label]


def find(label: str, task: str, run: str | None = None) -> Summary | None:
    """Find the newest failed call of a task.

    Args:
        label: The label of the job.
        task: The task's id, or its number alone.
        run: Only of this run of the manager.
    """
    for summary in saved(label):
        if task in {summary.task_id, str(shown_number(summary.number))} and run in {
            None,
            summary.run,
        }:
            return summary
    return None


def read(summary: Summary) -> Call:
    """Read a failed call as a whole.

    Raises:
        NotKeptError: It was removed meanwhile.
        UsageError: Others could have changed it.
    """
    try:
        with _folder_of(summary.label) as (_, folder):
            return _read(folder, _place(summary.label) / summary.name, whole=True)
    except FileNotFoundError:
        raise NotKeptError(f"the call of {summary.task_id} is not kept any more") from None
    except OSError as error:
        raise _unreadable(error) from None


def _read(folder: int, path: Path, *, whole: bool) -> Call:
    with _opened(folder, path, 1 << 20 if whole else 1 << 12) as unpacker:
        written, summary = unpacker.unpack()
        if written != FORMAT:
            raise ValueError(f"it has format {written!r}, not {FORMAT}")
        rest = unpacker.unpack() if whole else (None, b"", b"")
        call: Call = msgspec.convert([summary, *rest], Call, builtin_types=(bytes,))
    name = call.summary.needs
    if not (whole and name):
        return call
    with _opened(folder, path.parent / Path(name).name, 1 << 20) as unpacker:
        needs = msgspec.convert(unpacker.unpack(), dict[str, bytes], builtin_types=(bytes,))
        return call._replace(needs=needs)


@contextlib.contextmanager
def _opened(folder: int, path: Path, size: int) -> Iterator[msgpack.Unpacker]:
    """Open a file that must be the user's alone."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    with os.fdopen(os.open(path.name, flags, dir_fd=folder), "rb") as file:
        _check_owner(file.fileno(), path)
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UsageError(f"{path} is not a file")
        try:
            yield msgpack.Unpacker(file, read_size=size, max_buffer_size=_LARGEST_FILE)
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            told = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
            raise UsageError(f"{path} cannot be read, remove it: {_one_line(told)}") from None


def _unreadable(error: OSError) -> UsageError:
    return UsageError(f"the failed calls in {state_folder()} cannot be read: {error.strerror}")
