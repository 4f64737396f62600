"""The supervisor of a pilot: `engine.pilots.inside` starts it in a process of an engine.

Its standard input is the order, with the ticket, and then a pipe that closes when the engine's
process ends. It ends with that at once, and says so to the master: no task is to blame.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

import msgspec

from masterworker.cli import exit_codes
from masterworker.cli.stderr import describe, show_log
from masterworker.cli.stops import Stops
from masterworker.cli.worker import GRACE, supervise
from masterworker.engine.pilots.travelling import NAME, Order
from masterworker.errors import JobEndedError, MasterworkerError
from masterworker.launch.patience import VARIABLE
from masterworker.launch.preload import Preload, choose
from masterworker.launch.spec import Spec, deadline_after
from masterworker.launch.variables import environment
from masterworker.launch.worker_limits import WorkerLimits
from masterworker.machine import raise_descriptor_limit, random_name
from masterworker.security import ticket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.launch.supervisor import Supervisor

#: How long it looks for a master that is gone (seconds): a slot of an engine is not to be kept.
RECONNECT: Final = 12.0
#: Its workers are killed at once, and this process ends after these seconds at the latest.
_LAST: Final = 3.0
#: What makes a process a rank of an MPI job. A task that uses MPI by itself is to be none of it.
_OF_A_RANK: Final = (
    "PMI_", "PMIX_", "PRTE_", "HYDI_", "HYDRA_", "MPI_LOCAL", "OMPI_COMM_WORLD_", "OMPI_UNIVERSE",
    "OMPI_MCA_orte_", "OMPI_MCA_ess", "OMPI_APP_CTX", "OMPI_FIRST_RANKS", "OMPI_FILE_LOCATION",
    "OMPI_ARGV", "OMPI_COMMAND", "OMPI_NUM_APP",
)  # fmt: skip
_WHY: Final = "the engine's process that it was started in has ended"


def main(words: Sequence[str]) -> int:
    """Be the supervisor. Returns the exit status."""
    telling, engine = map(int, words)
    os.set_inheritable(telling, False)
    life = _Life(engine)
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    life.watch()
    raise_descriptor_limit()
    show_log(logging.INFO if order.verbose else logging.WARNING)
    try:
        status, why = _run(order, life)
    except JobEndedError:
        return exit_codes.OK
    except MasterworkerError as error:
        status, why = describe(error)
    if status:
        with contextlib.suppress(OSError):
            os.write(telling, why.encode("utf-8", "replace"))
    return status


def _run(order: Order, life: _Life) -> tuple[int, str]:
    leave = ticket.parse(order.ticket)
    ticket.hold(leave)
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(_OF_A_RANK)
    }
    limits = WorkerLimits(
        order.max_tasks, order.idle_timeout, deadline_after(order.lifetime), order.initializer
    )
    spec = Spec(
        leave.label,
        None,
        {**environment(variables, 1), VARIABLE: "0"},  # they end with their master
        limits,
        memory_limit=order.memory_limit,
        verbose=order.verbose,
        ticket=leave,
        output=order.output,
        start_timeout=order.start_timeout,
        preload=Preload() if order.preload is None else choose(order.preload),
    )

    def begin(supervisor: Supervisor) -> Stops:
        stops = Stops(supervisor, GRACE)
        stops.install()
        life.ends(supervisor)
        return stops

    given = order.preload is not None
    return supervise(
        spec, 1, begin, preloads=given, name=order.name + random_name()[NAME:], patience=RECONNECT
    )


class _Life:
    """The life of the engine's process, which this one does not outlive.

    Args:
        engine: Its process id.
    """

    def __init__(self, engine: int) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._supervisor: Supervisor | None = None
        self._is_over = False
        self._pidfd = -1
        with contextlib.suppress(OSError, AttributeError):
            self._pidfd = os.pidfd_open(engine)
        if os.getppid() != engine:  # it has ended, and its number may be another's by now
            os._exit(exit_codes.TERMINATED)

    def watch(self) -> None:
        """From now on its end is noticed. Standard input has been read up to where it stays."""
        threading.Thread(target=self._wait, name="masterworker-engine", daemon=True).start()

    def ends(self, supervisor: Supervisor) -> None:
        """Let these workers end with it."""
        with self._lock:
            self._supervisor = supervisor
            if self._is_over:
                self._end(supervisor)

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(0, 0)
        if self._pidfd >= 0:
            poll.register(self._pidfd, select.POLLIN)
        poll.poll()
        last = threading.Timer(_LAST, os._exit, [exit_codes.TERMINATED])
        last.daemon = True
        last.start()
        with self._lock:
            self._is_over = True
            if self._supervisor is None:
                os._exit(exit_codes.TERMINATED)
            self._end(self._supervisor)

    def _end(self, supervisor: Supervisor) -> None:
        supervisor.end(_WHY, (0.0, signal.SIGKILL))
