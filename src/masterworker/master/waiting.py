"""How a thread of the master waits, and when it would wait in vain."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from masterworker.errors import Terminated
from masterworker.status.text import situation

if TYPE_CHECKING:
    from masterworker.engine.slots import Slots
    from masterworker.manager import Mailbox, Manager
    from masterworker.master.launcher import Launcher
    from masterworker.worker.serial import SerialWorker

logger = logging.getLogger("masterworker.master")

#: Seconds after which a wait that gets nowhere is explained in the log, once.
NOTICE_AFTER = 10.0


class Waiting:
    """The rules of waiting in one job. Thread-safe.

    Everything through which a program uses the job refers to this object. When nothing does any
    more, the job ends (`forgotten.end_with`).

    Args:
        manager: The task manager of the job.
        launcher: Its workers on this machine, or its engine; None: there never are any.
        serial: What executes tasks in this process; None: nothing does.
    """

    def __init__(
        self,
        manager: Manager,
        launcher: Launcher | Slots | None = None,
        serial: SerialWorker | None = None,
    ) -> None:
        self._manager = manager
        self._rule, self._dispatch = manager.machine.rule, manager.core.dispatch
        self._launcher = launcher
        self._serial = serial
        #: Tasks are executed in this process, while it waits.
        self.executes = serial is not None
        self._pid = os.getpid()

    def turn(self, box: Mailbox, seconds: float) -> None:
        """Wait at a mailbox once, or execute a task meanwhile where this process executes tasks."""
        if self._serial is None or not self._serial.step():
            self._manager.leading.wait(box, seconds)

    def execute_one(self) -> bool:
        """Execute a task, if this process executes tasks. False: there was none."""
        return self._serial is not None and self._serial.step()

    def picking_up(self, *, asking: bool = False) -> None:
        """Results are picked up, or asked for: further tasks may be handed out.

        Args:
            asking: A result was asked for that is not there.
        """
        self._rule.hurried = 0
        if self._dispatch.held_back:
            self._manager.weigh(asking=asking)

    def require_open(self) -> None:
        """Refuse to wait for what will never come.

        Raises:
            JournalError: Nothing can be kept any more.
            Terminated: The job is over, or this process is a fork of the master's.
            WorkerStartError: No worker could start, and no other one can join.
        """
        if self._dispatch.terminated:
            raise self._manager.machine.ended()
        if os.getpid() != self._pid:
            self.require_own_process()
        if self._launcher is not None:
            self._launcher.require_workers()

    def require_own_process(self) -> None:
        """Refuse to wait in a fork.

        Raises:
            Terminated: This process is a fork of the master's.
        """
        if os.getpid() != self._pid:
            raise Terminated("this is a fork of the master; only the master itself can wait")

    def require_workers(self) -> None:
        """Refuse to wait where no worker will ever come.

        Raises:
            WorkerStartError: Says why no worker could start.
        """
        if self._launcher is not None:
            self._launcher.require_workers()

    def situation(self, tag: str | None = None) -> str:
        """Say in one sentence what a wait for an outcome (of a tag) is waiting for."""
        self.picking_up(asking=True)
        starting = "" if self._launcher is None else self._launcher.describe_starting()
        return situation(self._manager.census(), tag, starting)

    def explain(self, tag: str | None = None) -> None:
        """Say the same in the log."""
        logger.warning("waiting for a result: %s", self.situation(tag))
