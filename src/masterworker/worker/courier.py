"""The courier: the thread of a worker that speaks to the manager while a task goes on.

It looks when and does what `masterworker.conversation.worker.lookout` says, and sees when the time
of a task is up.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from masterworker.conversation.worker.lookout import GLANCE, Look, Lookout
from masterworker.launch.scoreboard import ORDERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.worker.session_shell import SessionShell

logger = logging.getLogger("masterworker.worker")


class Courier:
    """Looks after one worker, in a thread of its own.

    Args:
        talk: The worker's conversation.
        look_at_clock: Called at each look: breaks off what has taken too long.
        board: Where the supervisor says that the manager has an order.
    """

    def __init__(
        self, talk: SessionShell, look_at_clock: Callable[[], None], board: memoryview
    ) -> None:
        self._talk = talk
        self._board = board
        #: How many orders it has asked for.
        self._heard = 0
        self._look_at_clock = look_at_clock
        self._lookout = Lookout(talk.session)
        self._bell = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="masterworker-courier", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for a call that is under way, with a bound."""
        self._stopped = True
        self._bell.set()
        self._thread.join(timeout=2.0)

    def look_only_after(self, longest: float) -> None:
        """Give back what has not begun after this time (seconds), and not before."""
        self._lookout.longest_batch, self._lookout.is_patient = longest, True

    def limit_begins(self) -> None:
        """A task with a time limit is about to be executed."""
        if not self._lookout.limited:
            self._lookout.limited = True
            self._bell.set()

    def batch_begins(self, *, alone: bool) -> None:
        """Tasks are about to be executed: several, or one alone."""
        if self._lookout.begins(time.monotonic(), alone=alone):
            self._bell.set()

    def batch_ends(self) -> None:
        """They are done."""
        self._lookout.batch_began = None

    def _run(self) -> None:
        lookout = self._lookout
        while not self._stopped:
            self._bell.wait(lookout.pause())
            self._bell.clear()
            try:
                if not self._stopped:
                    self._look()
                self._look_at_clock()
            except Exception:
                logger.exception("the courier stumbled; it goes on")
                lookout.forget()

    def _look(self) -> None:
        lookout, orders = self._lookout, self._board[ORDERS]
        what = lookout.look(time.monotonic(), has_order=orders != self._heard)
        if what is Look.NOTHING:
            return
        give_back = what is Look.GIVE_BACK
        # The main thread may wait in a call of its own, which time limits are to end: so this
        # thread must not wait for it, but look at the clock.
        if not self._talk.deliver_if_free(GLANCE, give_back=give_back):
            lookout.missed()
            return
        self._heard = orders
        if give_back:
            lookout.has_given_back()
