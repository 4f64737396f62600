"""How a worker process comes to be: as a program of its own, or as a fork of a template."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import IO, TYPE_CHECKING

from masterworker import forks
from masterworker.launch import scoreboard
from masterworker.launch.command import worker_command
from masterworker.launch.descriptors import readable
from masterworker.launch.template import messages
from masterworker.launch.template.supervised import Request
from masterworker.named import NamedTuple
from masterworker.surroundings.python import STARTING

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.launch.spec import Spec
    from masterworker.launch.template.supervised import Template


class Started(NamedTuple):
    """A process that has been started."""

    pid: int
    board: memoryview
    out: IO[bytes]
    err: IO[bytes]
    #: None: it is a fork of a template.
    popen: subprocess.Popen[bytes] | None = None


def start(spec: Spec, supervisor: str) -> Started:
    """Start a worker as a program of its own.

    Args:
        spec: What kind of worker.
        supervisor: Name of the supervisor.

    Raises:
        OSError: The system does not start any more processes.
    """
    fds, board = _shared(spec, supervisor)
    try:
        with forks.held_off():
            popen = subprocess.Popen(
                worker_command(spec, *fds),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                process_group=0,  # a Ctrl-C at the terminal is for the supervisor only
                pass_fds=fds,
                env=environment(spec),
            )
    finally:
        _close(fds)
    assert popen.stdout is not None  # noqa: S101  for the type checker
    assert popen.stderr is not None  # noqa: S101  for the type checker
    return Started(popen.pid, board, popen.stdout, popen.stderr, popen)


def ask(
    template: Template,
    spec: Spec,
    supervisor: str,
    now: float,
    then: Callable[[Started | None, str], None],
) -> bool:
    """Ask a template for a worker, without waiting.

    Args:
        template: It is ready.
        spec: What kind of worker.
        supervisor: Name of the supervisor.
        now: Seconds of the monotonic clock.
        then: Is given the worker, or None and why there is none.

    Returns:
        False: it could not be asked.

    Raises:
        OSError: There are no more file descriptors.
    """
    fds, board = _shared(spec, supervisor)
    ours: list[int] = []
    try:
        for _ in range(2):
            reading, writing = os.pipe()
            ours.append(reading)
            fds.insert(len(ours) - 1, writing)
        fds.insert(0, os.open(".", os.O_PATH | os.O_CLOEXEC))
        tickets = [messages.TICKET_FD] if spec.ticket is not None else []
        command = worker_command(spec, messages.BOARD_FD, *tickets)

        def on_answer(pid: int | None, why: str) -> None:
            if pid is None:
                _close(ours)
                then(None, why)
                return
            with contextlib.suppress(OSError):  # it has done so itself, or has ended
                os.setpgid(pid, pid)
            out, err = (os.fdopen(fd, "rb", 0) for fd in ours)
            then(Started(pid, board, out, err), "")

        program = b"" if spec.program is None else spec.program()
        request = Request(board, on_answer)
        asked = template.ask(command, environment(spec), fds, request, now, program)
    except BaseException:
        _close(ours)
        raise
    finally:
        _close(fds)
    if not asked:
        _close(ours)
    return asked


def environment(spec: Spec) -> dict[str, str]:
    """Return the variables of a worker process."""
    variables = {**spec.environment, STARTING: "1"}
    variables.pop("PYTHONINSPECT", None)  # it would take the place of the exit status
    return variables


def _shared(spec: Spec, supervisor: str) -> tuple[list[int], memoryview]:
    """Make what a worker inherits: its scoreboard, and its ticket if it needs one."""
    fd, board = scoreboard.create(supervisor, spec.interpreter.path)
    fds = [fd]
    if spec.ticket is not None:
        try:
            fds.append(readable(spec.ticket.text()))
        except BaseException:
            _close(fds)
            raise
    return fds, board


def _close(fds: list[int]) -> None:
    while fds:
        os.close(fds.pop())
