"""`task_manager slave LABEL`: be the supervisor of worker processes. No user code runs here."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from masterworker import program, units, wire
from masterworker.cli import exit_codes, hangup
from masterworker.cli.finding import find
from masterworker.cli.stops import Stops
from masterworker.client import Client
from masterworker.data.segment import bytes_of
from masterworker.errors import JobEndedError, NotTrustedError, TransportError, UsageError
from masterworker.launch import checks
from masterworker.launch import patience as patiences
from masterworker.launch.exits import PROGRAM
from masterworker.launch.preload import Preload, check, choose
from masterworker.launch.spec import Spec, deadline_after
from masterworker.launch.supervisor import Supervisor
from masterworker.launch.variables import environment
from masterworker.launch.worker_limits import WorkerLimits
from masterworker.machine import raise_descriptor_limit
from masterworker.security.peer import Role
from masterworker.surroundings import folders, python
from masterworker.surroundings.installed import SAFE, package_of
from masterworker.transport.discovery import reach, ticket_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from masterworker.launch.reporter import Attend

logger = logging.getLogger("masterworker.cli")

#: Time for workers that are asked to leave to finish what they are doing (seconds).
GRACE: Final = 10.0


def run(label: str, options: argparse.Namespace) -> int:
    """Let workers execute tasks until the job ends."""
    raise_descriptor_limit()
    number, spec = _spec(label, options)
    talks = options.verbose or sys.stderr.isatty()
    if spec.ticket is not None and spec.ticket.role is not Role.WORKER:
        raise NotTrustedError(
            f"this ticket lets an observer look on, not work: ask for one for a worker "
            f"(task_manager ticket {label!r} --out FILE)"
        )

    def begin(supervisor: Supervisor) -> Stops:
        stops = Stops(supervisor, GRACE if options.grace is None else options.grace)
        stops.install()
        hangup.watch()
        if options.lifeline:
            hangup.watch_input()
        if talks:
            workers = "1 worker" if number == 1 else f"{number} workers"
            print(f"{workers} for {label!r} (Ctrl-C ends them)", file=sys.stderr)
        return stops

    try:
        status, why = supervise(
            spec, number, begin, wait=options.wait, preloads=options.preload is not None
        )
    except JobEndedError as ended:
        if not ended.is_fresh:
            raise
        if talks:
            print(f"{PROGRAM}{ended}", file=sys.stderr)
        return exit_codes.OK
    if why:
        print(f"{PROGRAM}{why}", file=sys.stderr)
    return status


def supervise(
    spec: Spec,
    number: int,
    begin: Callable[[Supervisor], Stops],
    *,
    wait: bool = False,
    name: str = "",
    patience: float | None = None,
    preloads: bool = False,
) -> tuple[int, str]:
    """Be the supervisor of these workers, until they have left or the job ends.

    Args:
        spec: What kind of worker.
        number: How many.
        begin: Called first; returns what the signals mean.
        wait: Wait for the master to appear.
        name: Of the supervisor; "": a random one.
        patience: Seconds to look for a master that does not answer; None: as usual, and longer for
            one that may be started again.
        preloads: It is said already which libraries they have from the start.

    Returns:
        The exit status, and why it is not 0, if that is to be said.

    Raises:
        JobEndedError: The job had ended before.
        MasterworkerError: The master cannot be reached, or does not take workers of ours.
    """
    client = find(spec.label, spec.master, wait=wait)
    spec = _like_the_master(client, spec, is_given=preloads)
    waits = patience is None and patiences.patience() > 0
    comes_back = waits and bool(client.job())
    if patience is None:
        patience = patiences.patience() if comes_back else patiences.RECONNECT
    messenger = Client(lambda: reach(spec.label, spec.master))

    def saying(attend: Callable[..., list[wire.SupervisorOrder]]) -> Attend:
        def ask(*said: Any, **of: int) -> list[wire.SupervisorOrder]:
            ways = supervisor.starter.describe_ways()
            return attend(*said, ways=f"on {os.uname().nodename} {ways}" if ways else "", **of)

        return ask

    supervisor = Supervisor(
        saying(client.attend),
        saying(messenger.attend),
        patience=patience,
        name=name,
        comes_back=comes_back,
    )
    log = _Log(supervisor)
    stops = begin(supervisor)
    try:
        log.begin()
        supervisor.launch(spec, number)
        supervisor.wait(None)
    finally:
        supervisor.close()
        log.end()
        client.disconnect()
        messenger.disconnect()
    if stops.status is not None:
        return stops.status, ""
    return (exit_codes.OK, "") if supervisor.failed is None else supervisor.failed


def _spec(label: str, options: argparse.Namespace) -> tuple[int, Spec]:
    """Read the options. Returns how many workers, and of what kind."""
    given = "1" if options.number is None else options.number
    number = checks.number_of_workers(int(given[:18]) if given.isdecimal() else given)
    if number < 1:
        raise UsageError("no worker at all: -n must be 1 or more")
    checks.check_limits(options.max_tasks, options.idle_timeout, options.lifetime, options.grace)
    checks.span(options.start_timeout)
    lifetimes = [] if options.lifetime is None else [options.lifetime]
    if options.until == "auto":
        from masterworker.cli import allotted_time  # asks a batch system, which few need

        lifetimes += allotted_time.seconds_left()
    elif options.until is not None:
        lifetimes.append(units.seconds_until(options.until))
    module, _, name = (options.initializer or "").partition(":")
    if options.initializer and not (module and name):
        raise UsageError(f"--initializer is MODULE:FUNCTION, not {options.initializer!r}")
    return number, Spec(
        label,
        options.master,
        environment(dict(os.environ), number),
        WorkerLimits(
            options.max_tasks,
            options.idle_timeout,
            deadline_after(min(lifetimes, default=None)),
            options.initializer or "",
        ),
        checks.memory_size(options.memory_limit),
        verbose=options.verbose,
        ticket=ticket_of(label),
        start_timeout=options.start_timeout,
        preload=choose(_modules(options)) if options.preload is not None else Preload(),
    )


def _modules(options: argparse.Namespace) -> tuple[str, ...]:
    return check(name.strip() for name in options.preload.split(",") if name.strip()) or ()


def _like_the_master(client: Client, spec: Spec, *, is_given: bool) -> Spec:
    """Let workers start as the master's own do, as far as that holds on every machine."""
    path = folders.path_of_tool()
    try:
        stored = client.get(wire.PROGRAM, program.KEY)
    except TransportError:  # the connection has broken since it was made; the next call makes one
        stored = client.get(wire.PROGRAM, program.KEY)
    if stored is None:  # each worker will say so
        return spec._replace(interpreter=python.interpreter((), path))
    theirs = program.decode(bytes_of(stored)).surroundings
    safe = [name for name in theirs.libraries if package_of(name) in SAFE]
    return spec._replace(
        preload=spec.preload if is_given else choose(safe, is_given=False),
        interpreter=python.interpreter(python.understood(theirs.options), path),
        environment={**spec.environment, python.HASH_SEED: theirs.hash_seed},
    )


class _Log(logging.Handler):
    """Prints our own log as the supervisor prints: a terminal that is stuck must not stop it.

    Args:
        supervisor: It prints the log.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        super().__init__()
        self._supervisor = supervisor
        self._logger = logging.getLogger("masterworker")
        self._before: list[logging.Handler] = []

    def begin(self) -> None:
        """From now on it goes this way."""
        self._before, self._logger.handlers = self._logger.handlers, [self]

    def end(self) -> None:
        """It goes the way that it went before."""
        self._logger.handlers = self._before

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        self._supervisor.say(self.format(record))
