"""A supervisor for a worker that was not launched: a plain script that became a slave.

It is a process of its own, started by the worker (never a fork of it: the user's libraries may not
survive that). It beats the heart while a handler holds the interpreter's lock, and says which task
was being executed when the worker ended. It ends no process, and starts none in the worker's place.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from masterworker import wire
from masterworker.client import Client
from masterworker.launch import health, scoreboard
from masterworker.launch.health import Health
from masterworker.launch.patience import COMES_BACK
from masterworker.launch.reporter import Reporter
from masterworker.machine import process_info, random_name
from masterworker.transport.discovery import reach

if TYPE_CHECKING:
    from masterworker.launch.process_context import ProcessContext

#: Time between looks at the worker (seconds).
LOOK: Final = 0.5
#: The manager hears of the end within this time, or not at all (seconds).
LAST_WORD: Final = 2.0

#: The new process leaves the worker's family at once: a handler that waits for its children must
#: not wait for this one.
_BEGIN: Final = (
    "import os\n"
    "if os.fork(): os._exit(0)\n"
    "os.setsid()\n"
    "from masterworker.worker.sidecar import main\n"
    "main()\n"
)


def start(context: ProcessContext, label: str, master: str | None) -> None:
    """Give this process a sidecar. Where that is not possible, it goes on without.

    Args:
        context: Of this process, which has no supervisor.
        label: The label of the job.
        master: "host" or "host:port"; None: the sidecar looks it up by the label.
    """
    if not hasattr(os, "pidfd_open") or not sys.executable:
        return
    import subprocess  # the sidecar itself starts no process

    fd, _ = scoreboard.create(random_name())
    words = [str(os.getpid()), str(fd), label, master or ""]
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BEGIN, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(fd,),
        )
    except OSError:
        os.close(fd)
        return
    context.supervised_by(fd)
    threading.Thread(target=process.wait, name="masterworker-sidecar", daemon=True).start()


def main() -> None:
    """Be a sidecar."""
    pid, fd, label, master = sys.argv[1:]
    pidfd: int | None = None
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        pidfd = os.pidfd_open(int(pid))
    name, numbers = scoreboard.attach(int(fd))
    Sidecar(int(pid), pidfd, numbers, name, label, master or None).run()


class Sidecar:
    """Watches one worker process.

    Args:
        pid: Its process id, ...
        pidfd: ... and the system's handle on it; None: it has ended already.
        numbers: The scoreboard that is shared with it.
        name: The supervisor's name, under which it speaks to the manager.
        label: The label of the job.
        master: "host" or "host:port"; None: look it up by the label.
    """

    def __init__(
        self,
        pid: int,
        pidfd: int | None,
        numbers: memoryview,
        name: str,
        label: str,
        master: str | None,
    ) -> None:
        self._pid, self._pidfd, self._board = pid, pidfd, numbers
        self._over = threading.Event()
        self._clients = [Client(lambda: reach(label, master)) for _ in range(2)]
        self._reporter = Reporter(
            name,
            self._clients[0].attend,
            self._clients[1].attend,
            self._on_orders,
            self._over.set,
            lambda _: self._over.set(),
            COMES_BACK,  # it ends with its worker
        )
        self._health = Health(numbers, time.monotonic())

    def run(self) -> None:
        """Watch until the worker has ended, or its job."""
        self._reporter.start()
        while not self._over.is_set() and not self._board[scoreboard.LEFT]:
            if self._pidfd is None or select.select([self._pidfd], [], [], LOOK)[0]:
                self._tell_end()
                break
            self._look()
        self._reporter.close()
        for client in self._clients:
            client.disconnect()

    def _look(self) -> None:
        member = self._board[scoreboard.MEMBER] - 1
        self._health.look(health.look(self._pid), time.monotonic())
        if member >= 0 and self._health.has_stopped():
            self._report(
                member, self._board[scoreboard.TASK], "its process is stopped", ended=False
            )
        seconds = self._health.still_for(time.monotonic())
        still = [(member, seconds)] if member >= 0 and seconds else []
        well = [member] if member >= 0 and self._health.is_well else []
        self._reporter.vouch(well, still=still, run=self._board[scoreboard.RUN])

    def _tell_end(self) -> None:
        member, task = self._board[scoreboard.MEMBER] - 1, self._board[scoreboard.TASK]
        if member >= 0:
            how = "its process ended; how, only the process that started it knows"
            self._report(member, task or self._board[scoreboard.LAST], how, ended=True)
            self._reporter.flush(LAST_WORD)

    def _report(self, member: int, task: int, how: str, *, ended: bool) -> None:
        info, blame = process_info(self._pid), bool(task)
        run = self._board[scoreboard.RUN]
        self._reporter.report(wire.Ending(member, info, task, how, blame, "", None, ended, run))

    def _on_orders(self, orders: list[tuple[str, int, int]]) -> None:
        for order, member, task in orders:
            if self._pidfd is None or self._board[scoreboard.MEMBER] - 1 != member:
                continue
            self._board[scoreboard.ORDERS] += 1
            if order == wire.CANCEL and self._board[scoreboard.TASK] == task:
                self._board[scoreboard.CANCEL] = task
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._pidfd, scoreboard.LOOK)
