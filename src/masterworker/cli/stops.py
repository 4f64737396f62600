"""What Ctrl-C and SIGTERM to a supervisor mean for its workers."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

from masterworker.cli import exit_codes
from masterworker.launch.health import KILL_GRACE_SECONDS

if TYPE_CHECKING:
    from types import FrameType

    from masterworker.launch.supervisor import Supervisor

_WHY: Final = "it was asked to stop"


class Stops:
    """The signals that end a supervisor.

    Ctrl-C: its workers give back what they are doing. SIGTERM, or the end of the terminal: they
    finish it, within the grace. The second signal: they end at once. Signals that reach the workers
    themselves, as from a batch system that signals every process, do not count there.

    Args:
        supervisor: Whose workers end.
        grace: Seconds.
    """

    def __init__(self, supervisor: Supervisor, grace: float) -> None:
        self._supervisor = supervisor
        self._grace = grace
        #: What this process ends with, once a signal has come.
        self.status: int | None = None

    def install(self) -> None:
        """From now on signals mean this."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            signal.signal(signal.SIGHUP, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  Python's
        interrupted = number == signal.SIGINT
        if self.status is None:
            self._first(interrupted=interrupted)
        else:
            was_interrupted = interrupted or self.status == exit_codes.INTERRUPTED
            self.status = exit_codes.INTERRUPTED if was_interrupted else exit_codes.TERMINATED
            self._supervisor.end(_WHY, (0.0, signal.SIGINT), (KILL_GRACE_SECONDS, signal.SIGKILL))

    def _first(self, *, interrupted: bool) -> None:
        grace, end = self._grace, self._supervisor.end
        if interrupted:
            self.status = exit_codes.INTERRUPTED
            end(_WHY, (0.0, signal.SIGINT), (grace, signal.SIGKILL))
        else:
            self.status = exit_codes.OK
            end(
                _WHY,
                (0.0, signal.SIGTERM),
                (grace, signal.SIGINT),
                (grace + KILL_GRACE_SECONDS, signal.SIGKILL),
            )
