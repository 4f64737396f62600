"""The messages between a supervisor and the manager, so that neither waits for the other.

    supervisor's thread --vouch, report--> listener: asks again and again for orders
                        <--orders--------- messenger: delivers the ends of workers at once

In the master's process the manager is called directly, elsewhere through a connection for each of
the two threads: a call that waits for orders must not hold up the news of a dead worker.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from masterworker import wire
from masterworker.errors import JobEndedError, MasterworkerError, Terminated, TransportError
from masterworker.launch.exits import NAMED_AFTER_SECONDS, UNREACHABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    #: The name of the supervisor, members that are well, ends of workers, seconds to wait; and what
    #: workers use and which do nothing but execute, if that is said.
    Attend = Callable[..., Sequence[tuple[str, int, int]]]

logger = logging.getLogger("masterworker.launch")

#: One call waits for orders this long; the next says anew which workers are well (seconds):
#: in the master's process, and through a connection.
LOCAL_TURN: Final = 0.25
TURN: Final = 1.0
#: Shortest and longest pause between attempts when the manager does not answer (seconds).
PAUSES: Final = (0.05, 2.0)


class Reporter:
    """Speaks to the manager for a supervisor.

    Args:
        name: Name of the supervisor.
        listen: How to ask the manager for orders.
        report: How to send it reports meanwhile.
        on_orders: Called with the orders that come.
        on_over: Called once: the job is over.
        on_gone: Called once, with the reason: the master is gone, and did not come back. After the
            end of the job, too: till then it may take what workers are finishing.
        patience: Seconds to look for a master that does not answer; None: for ever.
    """

    def __init__(
        self,
        name: str,
        listen: Attend,
        report: Attend,
        on_orders: Callable[[list[tuple[str, int, int]]], None],
        on_over: Callable[[], None],
        on_gone: Callable[[str], None],
        patience: float | None,
    ) -> None:
        self._name = name
        self._attend = {"listener": listen, "messenger": report}
        self._on_orders, self._on_over, self._on_gone = on_orders, on_over, on_gone
        self._patience = patience
        self._well: list[int] = []
        self._endings: list[wire.Ending] = []
        self._usage: list[wire.Usage] = []
        self._still: list[wire.Still] = []
        self._run = 0
        self._changed = threading.Condition()
        self._closed = self._finished = self._is_over = False
        self._answered = time.monotonic()
        self._in_touch, self._named = True, False
        self._threads = [
            threading.Thread(target=run, name=f"masterworker-{name}", daemon=True)
            for name, run in (("listener", self._listen), ("messenger", self._report))
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def vouch(
        self,
        members: list[int],
        usage: Sequence[wire.Usage] = (),
        still: Sequence[wire.Still] = (),
        run: int = 0,
    ) -> None:
        """Take note of the members whose processes are well, and of what else is seen of them.

        Args:
            members: Their numbers.
            usage: What processes use.
            still: Those that do nothing but execute.
            run: The run of the manager in which all these numbers are (`wire.number_of_run`).
        """
        with self._changed:
            self._run = run
            self._usage = list(usage) or self._usage
            self._still = list(still)
            new = not set(members) <= set(self._well)
            self._well = members
            if new:  # it may have a short heartbeat: the first word is not to wait
                self._changed.notify_all()

    def report(self, ending: wire.Ending) -> None:
        """Report how a worker has ended, at once."""
        with self._changed:
            self._well = [member for member in self._well if member != ending.member_id]
            self._endings.append(ending)
            self._changed.notify_all()

    def flush(self, seconds: float) -> None:
        """Wait until the manager knows of all ends, this many seconds at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._endings or self._finished, seconds)

    def in_touch(self) -> bool:
        """Return whether the manager has answered when it was last asked."""
        return self._in_touch

    def close(self) -> None:
        """End; does not wait for a call that is under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # -- inside -----------------------------------------------------------------------------

    def _listen(self) -> None:
        turn = LOCAL_TURN if self._patience is None else TURN
        while not self._closed and not self._finished:
            with self._changed:
                well, run, usage, self._usage = self._well, self._run, self._usage, []
                seen = (usage, self._still) if usage or self._still else ()
            self._call("listener", well, [], turn, *seen, run=run)
        if self._is_over and self._patience is not None:
            self._see_off()

    def _see_off(self) -> None:
        """The job is over: wait until its master has gone, too."""
        while not self._closed:
            why = "the job is over"
            try:
                orders = self._attend["listener"](self._name, [], [], 0.0)
                here = any(name == wire.STOP for name, _, _ in orders)  # else it is another one
            except Terminated:
                here = True
            except MasterworkerError as error:
                here, why = False, str(error)
            except Exception:
                logger.exception("a supervisor's listener stumbled; it goes on")
                here = True
            if not here:
                self._on_gone(why)
                return
            self._pause(TURN)

    def _report(self) -> None:
        reported: list[int] = []
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._has_news(reported))
                endings, well, run = list(self._endings), self._well, self._run
                if self._closed and not endings:
                    return
            if self._call("messenger", well, endings, 0.0, run=run):
                reported[:] = well
                with self._changed:
                    del self._endings[: len(endings)]
                    self._changed.notify_all()

    def _has_news(self, reported: list[int]) -> bool:
        return bool(self._endings) or not set(self._well) <= set(reported)

    def _call(
        self,
        thread: str,
        well: list[int],
        endings: list[wire.Ending],
        wait: float,
        *seen: Any,
        run: int,
    ) -> bool:
        """Speak to the manager once. False: it did not get through; try again."""
        of_run = {"run": run} if run and self._patience is not None else {}
        try:
            orders = self._attend[thread](self._name, well, endings, wait, *seen, **of_run)
        except (Terminated, JobEndedError):  # the latter: the end came while the line was cut
            self._end()
            return True
        except TransportError as error:
            self._lost(str(error))
            return False
        except MasterworkerError:
            logger.exception("the manager does not understand a supervisor")
            self._pause(PAUSES[1])
            return True
        except Exception:  # this thread must live: workers depend on it
            logger.exception("a supervisor's %s stumbled; it goes on", thread)
            self._pause(PAUSES[1])
            return True
        self._answered, self._in_touch, self._named = time.monotonic(), True, False
        given = [(name, member, task) for name, member, task in orders]
        if given and given[0][0] != wire.STOP:
            self._on_orders(given)
        if any(name == wire.STOP for name, _, _ in given):
            self._end()
        return True

    def _lost(self, why: str) -> None:
        self._in_touch = False
        silent = time.monotonic() - self._answered
        if self._patience is not None and silent >= NAMED_AFTER_SECONDS and not self._named:
            self._named = True
            logger.warning(UNREACHABLE, self._patience - silent)
        if self._patience is not None and silent >= self._patience:
            self._finish(lambda: self._on_gone(why))
        self._pause(min(PAUSES[1], max(PAUSES[0], silent / 4)))

    def _end(self) -> None:
        self._is_over = True
        self._finish(self._on_over)

    def _finish(self, then: Callable[[], None]) -> None:
        with self._changed:
            if self._finished:
                return
            self._finished = True
            self._changed.notify_all()
        then()

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)
