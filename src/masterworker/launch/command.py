"""The command that starts a worker: built here, and read here, and nowhere else.

A supervisor writes it, so it is read without the parser of the command line, whose loading would
take a tenth of a worker's start.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from masterworker.launch import scoreboard
from masterworker.launch.worker_limits import WorkerLimits
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.launch.spec import Spec
    from masterworker.surroundings.python import Interpreter

#: Begins the words of a worker that a supervisor launches.
_COMMAND: Final = "worker"
_LAUNCHER: Final = "--launched-by"
_VERBOSE: Final = "--verbose"


class Order(NamedTuple):
    """What the supervisor that launches a worker says to it."""

    label: str
    #: Process id of the supervisor, and the file descriptor of what is shared with it.
    launcher: int
    slot_fd: int
    #: "host" or "host:port" of the master; None: look it up by the label.
    master: str | None = None
    #: Path of the master's private socket; "": it is to be found.
    socket: str = ""
    #: File descriptor from which the ticket is read; None: there is none.
    ticket_fd: int | None = None
    limits: WorkerLimits = WorkerLimits()
    verbose: bool = False


#: Becomes a worker. What is loaded for its start stays: looking for garbage among it takes time.
_BEGIN: Final = "import gc; gc.disable(); {path}from masterworker.cli.child import begin; begin()"
#: Reads from the scoreboard where to import from, before anything of ours can be found.
_PATH: Final = (
    "import posix, sys; sys.path[:] = posix.pread({fd}, {size}, {offset})"
    ".decode(sys.getfilesystemencoding(), 'surrogateescape').split(chr(0)); "
)


def worker_command(spec: Spec, slot_fd: int, ticket_fd: int | None = None) -> list[str]:
    """Build the command of a worker on this machine.

    Args:
        spec: What kind of worker.
        slot_fd: File descriptor of what it shares with its supervisor, which is in this process;
            the worker ends with it.
        ticket_fd: File descriptor from which it reads its ticket, which is a secret.
    """
    command = [
        *_interpreter(spec.interpreter, slot_fd),
        _COMMAND,
        f"{_LAUNCHER}={os.getpid()}",
        f"--supervised={slot_fd}",
    ]
    limits = spec.limits
    for name, value in (
        ("--master", spec.master),
        ("--socket", spec.socket or None),
        ("--ticket-fd", ticket_fd),
        ("--max-tasks", limits.max_tasks),
        ("--idle-timeout", limits.idle_timeout),
        ("--deadline", limits.deadline),
        ("--initializer", limits.initializer or None),
    ):
        if value is not None:
            command.append(f"{name}={value}")
    if spec.verbose:
        command.append(_VERBOSE)
    return [*command, "--", spec.label]


def _interpreter(given: Interpreter, slot_fd: int) -> list[str]:
    """Return what is to be started, up to where the worker's own words begin."""
    if given.frozen:  # its own main program sees these words
        return [given.executable]
    path, safe = "", ["-P"]  # the folder of the moment is not to be imported from
    if given.path:
        path, safe = (
            _PATH.format(fd=slot_fd, size=scoreboard.LONGEST_PATH, offset=scoreboard.PATH),
            [],
        )
    return [given.executable, *safe, *given.options, "-c", _BEGIN.format(path=path)]


def is_order(words: Sequence[str]) -> bool:
    """Return whether a command line (without the program's name) is one of `worker_command`."""
    return len(words) > 1 and words[0] == _COMMAND and words[1].startswith(_LAUNCHER + "=")


def order_in(words: Sequence[str]) -> Order | None:
    """Return the orders in a command line; None: it is not that of a launched worker."""
    for begin in range(len(words)):
        if is_order(words[begin:]):
            with contextlib.suppress(ValueError, KeyError):
                return read_order(words[begin:])
    return None


def read_order(words: Sequence[str]) -> Order:
    """Read a command line of `worker_command`.

    Raises:
        ValueError: `worker_command` has not written it.
    """
    *options, mark, label = words[1:]
    if mark != "--":
        raise ValueError("there is no label")
    given = dict(option.partition("=")[::2] for option in options)
    verbose = given.pop(_VERBOSE, None) is not None
    take = given.pop
    order = Order(
        label,
        int(take(_LAUNCHER)),
        int(take("--supervised", "-1")),
        take("--master", None),
        take("--socket", ""),
        int(take("--ticket-fd")) if "--ticket-fd" in given else None,
        WorkerLimits(
            int(take("--max-tasks")) if "--max-tasks" in given else None,
            float(take("--idle-timeout")) if "--idle-timeout" in given else None,
            float(take("--deadline")) if "--deadline" in given else None,
            take("--initializer", ""),
        ),
        verbose,
    )
    if given:
        raise ValueError(f"unknown options: {', '.join(given)}")
    return order
