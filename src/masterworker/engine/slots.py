"""The engine of a job, as its master knows it: one thread does all that concerns it.

It is woken by replies of the manager and by futures of the engine, and looks from time to time how
many slots there are. Before any lane joins, a bundle without tasks finds out what the processes of
the engine can execute, and whether they fit.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from masterworker import wire
from masterworker.engine import kept
from masterworker.engine.adapters.base import Died, Withdrawn, say
from masterworker.engine.parcel import Answer
from masterworker.engine.traffic import Later, Traffic
from masterworker.engine.use import Use
from masterworker.errors import EngineError, Terminated
from masterworker.machine import random_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from masterworker.engine.opening import Engine
    from masterworker.engine.parcel import Known
    from masterworker.manager import Manager

logger = logging.getLogger("masterworker.engine")

#: Seconds between looks at how many slots there are.
LOOK: Final = 0.5
#: An engine without workers, or one that does not answer, is named in the log after this time.
NAMED_AFTER: Final = 10.0
#: The first bundle is sent again this many times if its process ends.
PROBES: Final = 3


class Slots:
    """What executes the tasks of one job through an engine. Thread-safe.

    Args:
        engine: Which engine, and how it is to be used.
        manager: The task manager.
        label: The label of the job.
        handlers: Functions by tag, for bundles in this process.
        on_stuck: Called when nothing more can be executed; must neither block nor raise.
    """

    def __init__(
        self,
        engine: Engine,
        manager: Manager,
        label: str,
        handlers: Mapping[str, Callable[..., Any]],
        on_stuck: Callable[[], None],
    ) -> None:
        self._engine, self._manager, self._label = engine, manager, label
        self._on_stuck = on_stuck
        self.handlers = dict(handlers)
        #: Why nothing is executed any more.
        self.failure: EngineError | None = None
        self._events: queue.SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]]]
        self._events = queue.SimpleQueue()
        #: Of the one that looks after the members.
        self._name = random_name()
        self._use: Use | None = None
        self._traffic: Traffic | None = None
        self._probe: Any = None
        self._probed = 0
        #: Since when nothing has been known to work.
        self._since = time.monotonic()
        self._is_named = False
        self._pid = os.getpid()
        kept.homes[manager.instance] = kept.Home(self.handlers)
        self._thread = threading.Thread(target=self._run, name="masterworker-engine", daemon=True)
        self._thread.start()

    # -- for the master ---------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The engine, for messages."""
        return repr(self._engine) if self._use is None else self._use.adapter.name

    def program_changed(self) -> None:
        """Another slave program has been stored."""
        self._put(self._look)

    def require_workers(self) -> None:
        """Refuse to wait where nothing will be executed any more.

        Raises:
            EngineError: Says what the engine has said.
        """
        if self.failure is not None:
            raise self.failure

    def describe_starting(self) -> str:
        """Say what the engine lacks, and what to do; "": it executes tasks. Takes no lock."""
        use = self._use
        if use is None:
            return f"{self.name} has not been reached yet"
        if use.is_over or (use.number > 0 and use.tags is not None):
            return ""
        return f"{self.name} {self._silence(use)}"

    def leave(self) -> None:
        """The job ends: cancel what the engine has not begun. What it has begun is waited for."""
        self._put(self._end)

    def close(self, seconds: float) -> None:
        """Let go of the engine."""
        if os.getpid() != self._pid:
            return
        self._put(self._stop)
        self._thread.join(seconds)
        kept.homes.pop(self._manager.instance, None)

    # -- the thread -------------------------------------------------------------------------

    def _put(self, function: Callable[..., None], *args: Any) -> None:
        self._events.put((function, args))

    def _run(self) -> None:
        self._put(self._open)
        due = 0.0
        while True:
            try:
                function, args = self._events.get(timeout=LOOK)
            except queue.Empty:
                function, args = self._look, ()
            try:
                function(*args)
                if time.monotonic() > due:
                    due = time.monotonic() + LOOK
                    self._look()
            except _Stopped:
                return
            except Terminated:
                self._end()
            except EngineError as error:
                self._fail(error)
            except Exception as error:
                logger.exception("the engine of job %r cannot be used any more", self._label)
                self._fail(EngineError(f"{self.name} cannot be used: {say(error)}"))

    def _open(self) -> None:
        use = self._use = Use(self._engine, self._engine.open(), self._manager, self._label)
        self._traffic = Traffic(use, self._name, self._put, self._fail)
        use.program = self._manager.program_digest
        self._manager.attach(self._name)
        self._attend()

    def _attend(self) -> None:
        """Ask for orders to the members, which do not listen while the engine has a bundle."""
        assert self._traffic is not None  # noqa: S101  for the type checker
        alive = [lane.member_id for lane in self._traffic.lanes]
        asked = wire.Attendance(self._name, alive, [], wire.LONGEST_WAIT)
        orders = self._manager.attend_later(Later(partial(self._put, self._take_orders)), asked)
        if orders is not None:
            self._take_orders([True, orders])

    def _take_orders(self, reply: Any) -> None:
        use, traffic = self._use, self._traffic
        if use is None or traffic is None or use.is_over or reply is None or not reply[0]:
            return
        for order, member_id, _ in reply[1]:
            if order == wire.STOP:
                self._end()
                return
            traffic.listen(member_id)
        self._attend()

    # -- looking ----------------------------------------------------------------------------

    def _look(self) -> None:
        """Look at the engine, and at the program that is stored."""
        use, traffic = self._use, self._traffic
        if use is None or traffic is None or use.is_over:
            return
        if use.program != self._manager.program_digest:
            use.program, use.tags = self._manager.program_digest, None
            self._forget_probe()
            traffic.part_idle()
        use.number = use.adapter.slots()
        traffic.adjust()
        if use.number > 0 and use.tags is not None:
            self._is_named, self._since = False, time.monotonic()
            return
        if self._probe is None and (use.number > 0 or self._manager.core.waiting.count):
            self._send_probe(use, [])  # without workers, too: some engines start them when asked
        self._name_silence(use)

    def _name_silence(self, use: Use) -> None:
        """Say that the engine does nothing, or end the job for that."""
        silent, bound = time.monotonic() - self._since, self._engine.no_workers_timeout
        if use.number < 1 and bound is not None and silent > bound:
            said = f"it has had no workers for {bound:g} s{use.adapter.shortage()}"
            self._fail(use.error(said))
        elif silent > NAMED_AFTER and not self._is_named and self._manager.core.waiting.count:
            self._is_named = True
            logger.warning("%s %s; the job waits for it", self.name, self._silence(use))

    def _silence(self, use: Use) -> str:
        """Return what the engine lacks, and what to do."""
        if use.number < 1:
            return f"has no workers at this moment{use.adapter.shortage()}"
        return (
            f"has executed nothing for {time.monotonic() - self._since:.0f} s: its processes may "
            "still start, or be busy with something else"
        )

    # -- the first bundle -------------------------------------------------------------------

    def _send_probe(self, use: Use, missing: Sequence[Known]) -> None:
        """Find out what processes of the engine can execute, and whether they fit."""
        self._probed += 1
        done = partial(self._put, self._on_probe, self._probed)
        self._probe = use.send([], -1, missing, done)

    def _forget_probe(self) -> None:
        self._probe, self._probed = None, self._probed + 1

    def _on_probe(self, number: int, future: Any) -> None:
        use = self._use
        if use is None or use.is_over or number != self._probed:
            return
        found = use.outcome(future)
        is_call = use.tags is not None  # for workers, and no more
        if isinstance(found, Withdrawn) or (isinstance(found, Died) and is_call):
            self._forget_probe()
        elif isinstance(found, Died) and self._probed < PROBES and use.adapter.renew():
            self._send_probe(use, [])
        elif not isinstance(found, Answer):
            self._fail(use.error(found.text))
        elif found.refusal:
            self._fail(use.error(found.refusal))
        elif found.missing:
            self._send_probe(use, found.missing)
        else:
            self._forget_probe()
            use.tags = found.tags
            if not found.is_main:
                logger.info("%s executes in threads: time limits do not hold there", self.name)
            self._look()

    # -- the end ----------------------------------------------------------------------------

    def _fail(self, error: EngineError) -> None:
        """Nothing will be executed any more."""
        if self._use is not None:
            self._use.is_over = True
        if self.failure is None and not self._manager.core.terminated:
            self.failure = error
            logger.warning("%s", error)
            if self._traffic is not None:
                self._traffic.part_idle()
            self._on_stuck()

    def _end(self) -> None:
        """The job is over."""
        if self._use is not None and self._traffic is not None:
            self._use.is_over = True
            self._traffic.end()
        self._manager.notify()

    def _stop(self) -> None:
        """Let go of everything, and end the thread."""
        if self._use is not None and self._traffic is not None:
            self._use.is_over = True
            self._traffic.stop()
            if self._probe is not None:
                self._probe.cancel()
            try:
                self._use.close()
            except Exception:
                logger.warning("%s could not be let go of", self.name, exc_info=True)
        raise _Stopped


class _Stopped(Exception):
    """The thread ends."""
