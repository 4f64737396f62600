"""What workers execute that are started from the label alone, as it is stored with the job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker import program, wire
from masterworker.data.segment import bytes_of
from masterworker.surroundings import python

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.manager import Manager


class StoredProgram:
    """The program that is stored with one job.

    Args:
        manager: The task manager of the job.
        hash_seed: All processes of the job hash alike; "": with one that is made up.
    """

    def __init__(self, manager: Manager, hash_seed: str = "") -> None:
        self._manager = manager
        self.hash_seed = hash_seed or python.hash_seed(manager.instance)
        self._is_generic = False
        #: Called when another one has been stored.
        self.on_change: Callable[[], None] | None = None

    def store(self, what: program.Program) -> None:
        """Store a program in the place of the one before."""
        surroundings = what.surroundings._replace(hash_seed=self.hash_seed)
        stored = what._replace(surroundings=surroundings)
        self._manager.put(wire.PROGRAM, program.KEY, stored.encode())
        self._manager.program_digest = what.digest
        self._is_generic = what.kind == program.GENERIC
        if self.on_change is not None:
            self.on_change()

    def forget(self) -> None:
        """Forget what was stored: no more workers can be started from the label alone."""
        self._manager.drop(wire.PROGRAM, program.KEY)
        self._manager.program_digest = ""

    def for_workers(self) -> bytes:
        """Return what is stored at this moment; b"": nothing is. Thread-safe."""
        stored = self._manager.store.get(wire.PROGRAM, program.KEY)
        return b"" if stored is None else bytes_of(stored)

    def bring_up_to_date(self) -> None:
        """Store the folders and settings of this moment, where only calls are executed."""
        if self._is_generic:
            self.store(program.generic())
