"""A template that begins before the master is there: it imports while the master does.

It is started by the program's main thread. A supervisor takes it over for its first workers, if
they are of its kind still; else it ends.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from masterworker.errors import WorkerStartError
from masterworker.launch.template.decision import reason_against
from masterworker.launch.template.inherited import early, inherited
from masterworker.launch.template.supervised import Template
from masterworker.launch.variables import environment
from masterworker.machine import raise_descriptor_limit, random_name
from masterworker.surroundings import python

if TYPE_CHECKING:
    from collections.abc import Callable


class Ahead:
    """A template that no supervisor has yet.

    Args:
        hash_seed: Of all workers of the job.
    """

    def __init__(self, hash_seed: str) -> None:
        self.hash_seed = hash_seed
        self._pid = os.getpid()
        raise_descriptor_limit()  # as the master does, before its workers are started
        self._interpreter = python.own_interpreter()
        variables = environment(dict(os.environ), 1, hash_seed)
        if why := reason_against(self._interpreter, variables):
            raise WorkerStartError(why)
        self._kind = self._interpreter, early(variables), inherited()
        now = time.monotonic()
        self._template: Template | None = Template(self._interpreter, variables, now, lambda: None)

    @classmethod
    def begin(cls) -> Self | None:
        """Begin a template where the workers of this process will be forks of one.

        Costs some milliseconds. Does not wait for the template.

        Returns:
            None: it begins with the first worker, if at all.
        """
        # The system ends a template with the thread that has started it, and no worker is to begin
        # one before it is known that it may be a master.
        is_main = threading.current_thread() is threading.main_thread()
        if not is_main or python.STARTING in os.environ or _is_worker():
            return None
        try:
            return cls(python.hash_seed(random_name()))
        except (OSError, WorkerStartError):  # said when a worker is started
            return None

    def take(self, kind: tuple[object, ...], on_change: Callable[[], None]) -> Template | None:
        """Give the template away, or end it.

        Args:
            kind: What is wanted.
            on_change: See `Template`.

        Returns:
            None: it is of another kind, as something has changed meanwhile, or has ended.
        """
        template = self._template
        if template is None or os.getpid() != self._pid:
            return None
        if kind != self._kind:
            self.end()
            return None
        self._template = None
        template.on_change = on_change
        return template

    def end(self) -> None:
        """End the template, unless it was given away."""
        template, self._template = self._template, None
        if template is not None and os.getpid() == self._pid:
            template.close()


def _is_worker() -> bool:
    """Return whether this process is a worker, without loading what only a worker has."""
    known = sys.modules.get("masterworker.launch.process_context")
    return known is not None and known.this_process.is_worker
