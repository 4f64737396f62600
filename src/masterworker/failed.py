"""The calls that failed last, kept in the user's state folder so that they can be replayed.

    <state>/<label>/failed/<when>-<task>-<run>.call     one file for each call: a summary, the rest
                           <digest>.needs               what several calls refer to, once

Folders and files are the user's alone, and what others could have changed is not read: to
replay a call is to unpickle it. Nothing is unpickled here.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
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
from masterworker.statefolder import (
    FOLDER,
    changed,
    check_owner,
    entered,
    folder_of,
    names_in,
    place_of,
    remove,
    size_of,
    state_folder,
)
from masterworker.taskid import shown_number, task_name
from masterworker.wire import python_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from masterworker.core.effects import Failed

logger = logging.getLogger("masterworker.failed")

#: Version of the files.
FORMAT = 2
#: How many calls of a label are kept, and of how many labels.
KEPT_CALLS = 100
KEPT_LABELS = 50
#: At most this many bytes for all labels together, ...
KEPT_BYTES = 200 * 10**6
#: ... and none is kept for longer (seconds; 30 days).
KEPT_SECONDS = 30 * 86_400.0
#: Larger parameters are not kept (bytes).
LARGEST = 64 << 20

_ENDING, _NEEDS, _NEW = ".call", ".needs", ".new-"
#: A file that was begun before this time will not be finished any more (seconds).
_ABANDONED = 3600.0
#: What calls refer to is written before them, by other processes, too (seconds).
_FRESH = 60.0
#: Words for no.
_NO = {"0", "no", "off", "false", "never", "none"}
#: What one file can hold at most (bytes), for the reader's buffer.
_LARGEST_FILE = (1 << 31) - 1


class Summary(NamedTuple):
    """The summary of a failed call, before it is read as a whole."""

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


# -- writing --------------------------------------------------------------------------------


def save(label: str, calls: Sequence[Call]) -> None:
    """Write failed calls of a label, and remove those that are too many.

    Raises:
        OSError: The disk is full, or nothing can be written there.
        UsageError: The folder could be changed by others.
    """
    with folder_of(label, make=True) as (base, folder):
        for call in calls:
            _write(folder, call)
        names = names_in(folder)
        kept = sorted(name for name in names if name.endswith(_ENDING))
        for name in kept[:-KEPT_CALLS]:
            remove(name, folder)
        _forget_needs(folder, place_of(label))
        for name in names:
            if name.startswith(_NEW) and changed(name, folder) < time.time() - _ABANDONED:
                remove(name, folder)
        _forget_labels(base)
        _forget_old(base)


def _write(folder: int, call: Call) -> None:
    summary = call.summary
    if call.needs:
        digest = hashlib.sha256("".join(sorted(call.needs)).encode()).hexdigest()[:32]
        summary = summary._replace(needs=digest + _NEEDS)
        if not changed(summary.needs, folder):
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
        remove(new, folder)
        raise


# -- forgetting -----------------------------------------------------------------------------


def is_wanted() -> bool:
    """Return whether failed calls are kept at all: MASTERWORKER_KEEP_FAILED=0 says no."""
    return os.environ.get("MASTERWORKER_KEEP_FAILED", "").strip().lower() not in _NO


def clear(label: str | None = None) -> int:
    """Remove all failed calls that are kept. Returns how many.

    Args:
        label: Those of one label; None: of all.

    Raises:
        UsageError: Others could have changed the folder.
    """
    try:
        with entered(state_folder()) as base:
            chosen = names_in(base) if label is None else [place_of(label).parent.name]
            return sum(_forget(base, name) for name in chosen)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise _unreadable(error) from None


def tidy() -> None:
    """Remove what is too old."""
    with contextlib.suppress(OSError, UsageError), entered(state_folder()) as base:
        _forget_old(base)


def _forget_old(base: int) -> None:
    """Remove the oldest calls of all labels that are too old, or too large together."""
    kept: list[tuple[str, str, int]] = []
    beside: dict[str, int] = {}
    doomed: dict[str, list[str]] = {}
    too_old = time.time() - KEPT_SECONDS
    for label in names_in(base):
        with contextlib.suppress(OSError, UsageError), _inside(base, label) as folder:
            for name in names_in(folder):
                if not name.endswith(_ENDING):
                    beside[label] = beside.get(label, 0) + size_of(name, folder)
                elif changed(name, folder) < too_old:
                    doomed.setdefault(label, []).append(name)
                else:
                    kept.append((name, label, size_of(name, folder)))
    room = KEPT_BYTES
    for number, (name, label, size) in enumerate(sorted(kept, reverse=True)):
        room -= size + beside.pop(label, 0)  # what they share counts with the newest
        if room < 0 and number:
            doomed.setdefault(label, []).append(name)
    for label, names in doomed.items():
        with contextlib.suppress(OSError, UsageError), _inside(base, label) as folder:
            for name in names:
                remove(name, folder)
            _forget_needs(folder, state_folder() / label / FOLDER, since=time.time() - _FRESH)


def _forget_needs(folder: int, place: Path, since: float = float("inf")) -> None:
    """Remove what no call refers to any more, if it was written before some time."""
    names = names_in(folder)
    needs = [name for name in names if name.endswith(_NEEDS)]
    wanted = set()
    for name in names if needs else ():
        if name.endswith(_ENDING):
            with contextlib.suppress(OSError, UsageError):
                wanted.add(_read(folder, place / name, whole=False).summary.needs)
    for name in needs:
        if name not in wanted and changed(name, folder) < since:
            remove(name, folder)


def _forget_labels(base: int) -> None:
    """Remove the failed calls of labels that have had none for the longest time."""
    labels = names_in(base)
    if len(labels) <= KEPT_LABELS:
        return
    labels.sort(key=lambda name: changed(f"{name}/{FOLDER}", base))
    for label in labels[:-KEPT_LABELS]:
        _forget(base, label)


def _forget(base: int, label: str) -> int:
    """Remove all calls of a label, whose folder this is. Returns how many there were."""
    number = 0
    with contextlib.suppress(OSError, UsageError):
        with _inside(base, label) as folder:
            for name in names_in(folder):
                number += name.endswith(_ENDING)
                remove(name, folder)
        with entered(state_folder() / label, base) as own:
            os.rmdir(FOLDER, dir_fd=own)
        os.rmdir(label, dir_fd=base)
    return number


@contextlib.contextmanager
def _inside(base: int, label: str) -> Iterator[int]:
    place = state_folder() / label / FOLDER
    with entered(place.parent, base) as own, entered(place, own) as folder:
        yield folder


# -- reading --------------------------------------------------------------------------------


def saved(label: str) -> list[Summary]:
    """Return the failed calls of a label that are kept, newest first.

    Raises:
        UsageError: Others could have changed them.
    """
    found = []
    try:
        with folder_of(label) as (_, folder):
            for name in sorted(names_in(folder), reverse=True):
                if name.endswith(_ENDING):
                    with contextlib.suppress(FileNotFoundError):  # removed just now
                        found.append(_read(folder, place_of(label) / name, whole=False).summary)
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
        with folder_of(summary.label) as (_, folder):
            return _read(folder, place_of(summary.label) / summary.name, whole=True)
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
        check_owner(file.fileno(), path)
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UsageError(f"{path} is not a file")
        try:
            yield msgpack.Unpacker(file, read_size=size, max_buffer_size=_LARGEST_FILE)
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            message = (
                str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
            )
            raise UsageError(f"{path} cannot be read, remove it: {_one_line(message)}") from None


def _unreadable(error: OSError) -> UsageError:
    return UsageError(f"the failed calls in {state_folder()} cannot be read: {error.strerror}")
