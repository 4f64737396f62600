"""What changes in the master's program while its workers live: where it imports from, and what."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from masterworker import wire
from masterworker.surroundings import cells, common, reloads

if TYPE_CHECKING:
    from masterworker.manager import Manager


class Changes:
    """Lets workers know.

    A worker that misses a module asks where the master imports from by now. One that has a module
    that the master has loaded again is replaced before it takes another task.

    Args:
        manager: The task manager of the job.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._numbers = itertools.count(1)
        manager.store.provide(wire.PROGRAM, wire.IMPORT_PATH, common.encode_import_path)
        self._ends = [reloads.watch(self._on_reload), cells.watch(self._on_reload)]

    def close(self) -> None:
        """The job is over."""
        for end in self._ends:
            end()

    def _on_reload(self, module: str) -> None:
        number = next(self._numbers)
        self._manager.put(wire.PROGRAM, f"{wire.RELOADED}{number}", module.encode())
        self._manager.order_workers(wire.RENEW, number)
