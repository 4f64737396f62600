"""Workers that a master launches on its own machine: its supervisor, as the master sees it."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Final

from masterworker.launch.preload import choose
from masterworker.launch.spec import Spec
from masterworker.launch.starting import describe
from masterworker.launch.supervisor import Supervisor
from masterworker.launch.variables import environment
from masterworker.surroundings import python

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.launch.reporter import Attend
    from masterworker.launch.slot import Slot
    from masterworker.launch.template.ahead import Ahead
    from masterworker.launch.worker_limits import WorkerLimits

#: Time for a worker to end after it was asked to, before it is killed (seconds).
KILL_AFTER: Final = 1.0


class LocalWorkers:
    """All workers that one master has started here.

    Args:
        label: The label of the job.
        attend: The manager's method for supervisors.
        on_change: Called when one has been started or has ended.
        program: Returns what the master has stored for its workers; b"": nothing.
    """

    def __init__(
        self,
        label: str,
        attend: Attend,
        on_change: Callable[[], None],
        program: Callable[[], bytes] | None = None,
    ) -> None:
        self._label = label
        self._attend = attend
        self._on_change = on_change
        self._program = program
        self._supervisor: Supervisor | None = None
        #: A template that has begun before there was a supervisor; None: there is none.
        self.ahead: Ahead | None = None
        #: Path of the master's private socket; "": they look it up.
        self.socket = ""

    def launch(
        self,
        number: int,
        limits: WorkerLimits,
        memory_limit: int | None,
        hash_seed: str,
        output: str,
        start_timeout: float | None,
        preload: tuple[str, ...] | None,
    ) -> list[Slot]:
        """Start workers. Returns their slots.

        Raises:
            WorkerStartError: There is no Python interpreter to be started.
        """
        interpreter = python.own_interpreter()
        if self._supervisor is None:
            ahead, self.ahead = self.ahead, None
            self._supervisor = Supervisor(
                *(self._attend, self._attend), patience=None, on_change=self._on_change, ahead=ahead
            )
        here = sum(not slot.closed for slot in self._supervisor.slots)
        variables = environment(dict(os.environ), here + number, hash_seed)
        spec = Spec(
            self._label,
            None,
            variables,
            limits,
            memory_limit,
            socket=self.socket,
            interpreter=interpreter,
            output=output,
            start_timeout=start_timeout,
            preload=choose(preload),
            program=self._program,
        )
        return self._supervisor.launch(spec, number)

    def abandon(self, slots: list[Slot]) -> None:
        """Start no more processes in slots where none has begun to work."""
        if self._supervisor is not None:
            self._supervisor.drop(slots)

    def has_any(self) -> bool:
        """Return whether workers have been launched that have not all left in good order."""
        return self._supervisor is not None and any(
            not slot.is_done or slot.gave_up for slot in self._supervisor.slots
        )

    def trouble(self) -> str:
        """Return why none of them will ever work; "": some do, or may, or left in good order."""
        slots = () if self._supervisor is None else self._supervisor.slots
        if not slots or not all(slot.is_done for slot in slots):
            return ""
        return next((slot.trouble for slot in reversed(slots) if slot.gave_up), "")

    @property
    def why_no_template(self) -> str:
        """Why workers are programs of their own; "": they are forks of a template, or none is."""
        return "" if self._supervisor is None else self._supervisor.starter.why_not

    @property
    def why_not_preloaded(self) -> str:
        """Why workers import their libraries themselves; "": no attempt to preload has failed."""
        return "" if self._supervisor is None else self._supervisor.starter.why_not_preloaded

    def starting(self) -> str:
        """Say how many have not joined yet, since when, and what they do; "": all have."""
        slots = () if self._supervisor is None else self._supervisor.slots
        return describe(slots, time.monotonic())

    def expect_end(self) -> None:
        """The job ends: start no more processes, and end those that have not begun to work."""
        if self._supervisor is not None:
            self._supervisor.finish()
            self._supervisor.drop()

    def stop(self, seconds: float) -> None:
        """Wait this many seconds for all to end by themselves; then end them."""
        supervisor = self._supervisor
        if supervisor is None:
            return
        if not supervisor.wait(seconds):
            steps = (0.0, signal.SIGTERM), (KILL_AFTER, signal.SIGKILL)
            supervisor.end("the job is over", *steps)
            supervisor.wait(KILL_AFTER + KILL_AFTER)
        supervisor.close()
        self._supervisor = None
