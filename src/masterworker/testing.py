"""For your own tests: a job inside one process, with a clock of your own and faults on demand.

manager, clock = memory_manager()
worker = Worker("any", handlers={"sqrt": math.sqrt}, connect=lambda: connection(manager))
"""

from __future__ import annotations

from masterworker.manager import Manager, Service
from masterworker.security.peer import OWNER
from masterworker.transport.memory import Faults, MemoryConnection

__all__ = ["FakeClock", "Faults", "MemoryConnection", "connection", "memory_manager"]


class FakeClock:
    """A clock that goes on only when a test advances it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def memory_manager() -> tuple[Manager, FakeClock]:
    """Make a task manager that no other process can reach, and its clock."""
    clock = FakeClock()
    return Manager(clock=clock), clock


def connection(manager: Manager, faults: Faults | None = None) -> MemoryConnection:
    """Make a connection to a manager of this process."""
    return MemoryConnection(Service(manager, OWNER), faults)
