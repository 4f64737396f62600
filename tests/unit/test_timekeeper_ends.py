"""The thread of a manager ends with the manager, also where it was never told to end."""

from __future__ import annotations

import gc
import threading

from masterworker import wire
from masterworker.manager import Manager
from support import wait_until


def timekeepers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "masterworker-timekeeper"]


def test_a_manager_that_is_forgotten_leaves_no_thread() -> None:
    """A process that does not sign off keeps the clock of its manager busy, but not for ever."""
    before = len(timekeepers())
    manager = Manager()
    manager.join(wire.introduce("someone", [], 1000.0, "name"))
    wait_until(lambda: len(timekeepers()) > before, what="it watches the clock")
    del manager
    gc.collect()
    wait_until(lambda: len(timekeepers()) <= before, what="its thread has ended")
