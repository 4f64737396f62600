"""The calls that failed last, kept in the user's state folder so that they can be replayed.

    <state>/<label>/failed/<when>-<task>-<run>.call     one file for each call: a summary, the rest
                           <digest>.needs               what several calls refer to, once

Folders and files are the user's alone, and what others could have changed is not read: to
replay a call is to unpickle it. Nothing is unpickled here. `failed_keeping` writes them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack
import msgspec

from masterworker.core.task import LOST, read_history
from masterworker.data.record import decode
from masterworker.errors import NotKeptError, UsageError
from masterworker.named import NamedTuple
from masterworker.statefolder import (
    check_owner,
    folder_of,
    names_in,
    place_of,
    state_folder,
)
from masterworker.taskid import shown_number, task_name
from masterworker.wire import python_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.core.effects import Failed

logger = logging.getLogger("masterworker.failed")

#: Version of the files.
FORMAT = 2
#: What the names of files end with: calls, and what several of them refer to.
ENDING, NEEDS = ".call", ".needs"
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
        return f"{self.when:020d}-{self.number}-{self.run[:8]}{ENDING}"


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
                if name.endswith(ENDING):
                    with contextlib.suppress(FileNotFoundError):  # removed just now
                        found.append(read_in(folder, place_of(label) / name, whole=False).summary)
    except FileNotFoundError:
        return found
    except OSError as error:
        raise unreadable(error) from None
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
            return read_in(folder, place_of(summary.label) / summary.name, whole=True)
    except FileNotFoundError:
        raise NotKeptError(f"the call of {summary.task_id} is not kept any more") from None
    except OSError as error:
        raise unreadable(error) from None


def read_in(folder: int, path: Path, *, whole: bool) -> Call:
    """Read a failed call from an opened folder: its summary alone, or the whole.

    Raises:
        UsageError: It cannot be read, or others could have changed it.
    """
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


def unreadable(error: OSError) -> UsageError:
    """Return the error for a caller that cannot enter the folder."""
    return UsageError(f"the failed calls in {state_folder()} cannot be read: {error.strerror}")
