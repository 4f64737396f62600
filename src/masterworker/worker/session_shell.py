"""The shell of the worker's half: one lock, and what its machine asks for is carried out.

What is said, and what follows from replies, `masterworker.conversation.worker` decides.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from masterworker import forks, wire
from masterworker.client import Client
from masterworker.conversation.steps import carry_out
from masterworker.conversation.worker import effects
from masterworker.conversation.worker.session import HEARTBEAT, RECONNECT, WorkerSession
from masterworker.conversation.worker.states import Event
from masterworker.core.streams import stream_of_run
from masterworker.data.chunks import put_together
from masterworker.data.segment import bytes_of
from masterworker.data.states import StateCache
from masterworker.errors import JobEndedError, MasterworkerError
from masterworker.launch import exits
from masterworker.launch.patience import patience
from masterworker.launch.scoreboard import CANCEL, DEADLINE, LAST, MEMBER, RUN, SHELF, TASK
from masterworker.machine import process_info
from masterworker.worker.interrupts import Interrupts

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from masterworker.conversation.worker.session import Steps
    from masterworker.core.streams import Stream
    from masterworker.core.task import Finished, Lease, Payload
    from masterworker.data.shelf import Shelf
    from masterworker.launch.process_context import ProcessContext
    from masterworker.transport.base import Connection

    T = TypeVar("T")

__all__ = ["HEARTBEAT", "RECONNECT", "SessionShell"]

logger = logging.getLogger("masterworker.worker")


class SessionShell:
    """What a worker process says to the manager, and hears from it.

    Thread-safe: one procedure of the machine after the other.

    Args:
        connect: Makes a connection.
        heartbeat: Longest time between signs of life (seconds); None: it is not watched.
        reconnect: Seconds to look for a master that does not answer any more; None: as usual.
        context: Of the process.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        heartbeat: float | None,
        reconnect: float | None,
        context: ProcessContext,
    ) -> None:
        self._context = context
        #: It promises signs of life.
        self.watched = heartbeat is not None
        period = HEARTBEAT if heartbeat is None else min(heartbeat, HEARTBEAT)
        self.session = WorkerSession(
            put_together,
            period,
            RECONNECT if reconnect is None else reconnect,
            time.monotonic(),
            patience=patience() if reconnect is None else reconnect,
        )
        self.interrupts = Interrupts(context)
        self.client = Client(connect, self.interrupts.calling, self.interrupts.holding)
        self._lock = forks.rlock()
        self.states = StateCache(self._fetch_state)
        self._shelf: Shelf | None = None
        #: What it can execute.
        self.tags: list[str] = []
        #: The thread that executes.
        self._thread: threading.Thread | None = None
        #: It signs off: the courier looks for no master any more.
        self._leaving = threading.Event()
        #: It has said in the log that the master cannot be reached.
        self._named = False
        #: By the clock of files (seconds since 1970).
        self._began = time.time()
        self._acts: dict[type, Callable[[Any], Any]] = {
            wire.Exchange: self.client.exchange,
            effects.Join: lambda _: self.client.join(self.hello()),
            effects.Joined: self._on_joined,
            effects.Leave: lambda effect: self.client.leave(effect.member_id),
            effects.Collect: self._collect,
            effects.CutOff: self._on_cut_off,
            effects.Pause: self._pause,
            effects.GaveUp: self._on_gave_up,
            effects.MayGoOn: lambda _: self.interrupts.raise_pending(),
            effects.IsPending: lambda _: self.interrupts.is_pending(),
            effects.BreakOff: lambda effect: self.interrupts.cancel(effect.task_id),
            effects.Forget: self._forget,
            effects.Renew: self._renew,
            effects.TicketOver: _name_ticket,
            effects.TellStack: self._tell_stack,
        }
        try:
            self.client.connect()
        except JobEndedError as error:
            self._end_with_job(error)

    @property
    def process_id(self) -> int:
        """The number under which the manager knows this process; joins if need be."""
        session = self.session
        if session.member_id is None:
            self._perform(session.join())
        assert session.member_id is not None  # noqa: S101  for the type checker
        return session.member_id

    def works_here(self) -> None:
        """Take note that the calling thread is the one that executes."""
        self._thread = threading.current_thread()

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread is the one that executes."""
        return threading.current_thread() is self._thread

    def hello(self) -> wire.Hello:
        """Return how this process introduces itself."""
        context = self._context
        return wire.introduce(
            process_info(),
            self.tags,
            self.session.heartbeat if self.watched else None,
            self.client.name,
            context.program_digest,
            context.supervisor,
            waits=self.session.patience > 0 and not context.is_masters_own,
        )

    def join_first(self) -> bool:
        """Join for the first time. Returns False: the job is over."""
        try:
            return self._perform(self.session.join_first())
        except JobEndedError as error:
            self._end_with_job(error)
            return False

    def resign(self) -> None:
        """Sign off if it has joined, to join again with other tags."""
        self._perform(self.session.resign())

    def exchange(self, want: int, wait: float) -> wire.Reply:
        """Deliver outcomes, and ask for tasks; wait for one (seconds)."""
        return self._perform(self.session.exchange(want, wait, []))

    def deliver(self, *, give_back: bool) -> None:
        """Send what is finished and what is being executed; get nothing new."""
        self._perform(self.session.deliver(give_back=give_back))

    def deliver_if_free(self, seconds: float, *, give_back: bool) -> bool:
        """Do the same, unless another thread's call goes on for longer than this.

        Returns:
            False: it does. One that waits for an outcome may go on for `longest_wait`.
        """
        if not self._lock.acquire(timeout=seconds):
            return False
        try:
            self.deliver(give_back=give_back)
        finally:
            self._lock.release()
        return True

    def collect(self, tag: str | None, wait: float) -> tuple[Finished | None, list[Lease]]:
        """Ask once for an outcome, or for tasks to execute meanwhile if this thread executes."""
        return self._perform(self.session.collect(tag, wait, mine=self.is_mine))

    def request(self, tag: str, payload: Payload) -> int:
        """Ask for a further task. Returns its id."""
        with self._lock:
            self.session.require_same_run()
            return self.client.request(tag, [payload], task_id=self.session.hand.current)

    def begin_to_leave(self) -> None:
        """From now on no thread waits for a master that is gone."""
        self._leaving.set()

    def leave(self) -> None:
        """Deliver what is finished, and sign off."""
        self._leaving.set()
        self._perform(self.session.leave())
        self.client.disconnect()

    # -- values -----------------------------------------------------------------------------

    def stream_of_task(self) -> Stream | None:
        """Return the stream of the task that is executed, as one without a seed."""
        task_id, run = self._context.board[TASK], self.session.run
        return stream_of_run(run, task_id) if task_id and run else None

    def fetch_definition(self, key: str) -> Payload | None:
        """Get what a function refers to; large values once for all workers of a supervisor."""
        return self._fetch(wire.DEFINITIONS, key)

    def _fetch_state(self, name: str) -> Payload | None:
        return self._fetch(wire.STATES, name)

    def _fetch(self, space: str, name: str) -> Payload | None:
        with self.interrupts.holding():
            shelf = None if self.client.is_private else self._reach_shelf()
            if shelf is None:
                return self._get(space, name)
            instance = self.session.hand.instance
            return shelf.get(f"{instance}/{name}", lambda: self._get(space, name))

    def _get(self, space: str, name: str) -> Payload | None:
        with self._lock:
            return self.client.get(space, name)

    def _reach_shelf(self) -> Shelf | None:
        """Return where the workers of one supervisor share what they have fetched, if they do."""
        if self._shelf is None and self._context.board[SHELF]:
            from masterworker.data.shelf import Shelf

            with contextlib.suppress(OSError):
                self._shelf = Shelf(os.getppid(), self._context.board[SHELF] - 1)
        return self._shelf

    # -- what the machine asks for ------------------------------------------------------------

    def _perform(self, steps: Steps[T]) -> T:
        """Carry out one procedure.

        What is no `Exception` is meant for this thread and not for the machine: it ends the
        procedure where it is, as the end of a connection would.
        """
        with self._lock:
            self.session.now = time.monotonic()
            return carry_out(steps, self._act)

    def _act(self, effect: object) -> Any:
        try:
            return self._acts[type(effect)](effect)
        finally:
            self.session.now = time.monotonic()

    def _on_joined(self, joined: effects.Joined) -> bool:
        self._named = False
        board = self._context.board
        if joined.another_run:
            for each in (TASK, LAST, DEADLINE, CANCEL):  # its number means another task now
                board[each] = 0
        self.states.clear()  # an order to forget one may have been lost with the connection
        board[RUN] = wire.number_of_run(self.session.hand.instance)
        board[MEMBER] = joined.member_id + 1
        if not joined.another_run:
            return False
        from masterworker.surroundings.reloads import changed_since  # most masters are there once

        changed = changed_since(self._began)
        return bool(changed) and self._has_old(f"{changed[0]} has changed since it was loaded")

    def _collect(self, asked: effects.Collect) -> tuple[list[Finished], list[Lease]]:
        mine, is_pending = asked.mine, self.interrupts.is_pending
        is_wanted = lambda: not (mine and is_pending())  # noqa: E731
        what = (asked.member_id, asked.tag, 1, asked.wait, asked.lend)
        return self.client.collect(*what, is_wanted, asked.task_id)

    def _on_cut_off(self, cut_off: effects.CutOff) -> None:
        logger.info("%s; looking for the master", cut_off.error)
        self._context.require_launcher(cut_off.pause)

    def _pause(self, pause: effects.Pause) -> bool:
        if self._context.is_orphaned:
            return False
        # A supervisor says it once, for all of its workers.
        is_due = pause.sought > exits.NAMED_AFTER_SECONDS and not self._context.is_launched
        if is_due and not self._named:
            self._named = True
            logger.warning(exits.UNREACHABLE, pause.left)
        return not self._leaving.wait(pause.seconds)

    def _on_gave_up(self, gave_up: effects.GaveUp) -> None:
        if self.interrupts.in_charge and not self.is_mine and not self._leaving.is_set():
            self._context.end_process(gave_up.reason)  # what the handler does is of no use

    def _forget(self, order: effects.Forget) -> None:
        self.states.forget(order.state_id)
        if self._shelf is not None:
            self._shelf.forget(f"{self.session.hand.instance}/{order.state_id}/")

    def _renew(self, order: effects.Renew) -> bool:
        """The master has loaded a module again: a process with the old one is to be replaced."""
        name = f"{wire.RELOADED}{order.number}"
        name = bytes_of(self.client.get(wire.PROGRAM, name) or b"").decode()
        if name not in sys.modules:
            return False
        return self._has_old(f"the master has loaded {name} again")

    def _tell_stack(self, asked: effects.TellStack) -> None:
        """Say where a task is; without an answer the manager's call ends by itself."""
        session, thread = self.session, self._thread
        lines = ["its worker has it in hand, and is not executing it at this moment"]
        is_here = asked.task_id in {session.hand.current, *session.inside}
        if is_here and session.run in {"", session.hand.instance} and thread is not None:
            lines = _stack_of(thread.ident or 0)
        try:
            self.client.tell_stack(asked.member_id, asked.task_id, lines)
        except MasterworkerError as error:
            logger.debug("the stack of a task was not told: %s", error)

    def _has_old(self, why: str) -> bool:
        """There is a newer version of a module. Returns whether a new process takes our place."""
        if self._context.is_launched:
            logger.info("%s: a new worker takes our place", why)
            self._context.is_recycled = True
            return True
        logger.warning("%s; this worker has the old one", why)
        return False

    def _end_with_job(self, error: JobEndedError) -> None:
        """Have nothing to do, since the job is over; which is no failure.

        Raises:
            JobEndedError: It has been over for long, so this worker was hardly meant for it.
        """
        if not error.is_fresh:
            raise error
        logger.info("%s", error)
        self.session.happens(Event.STOPPED)


def _stack_of(thread_id: int) -> list[str]:
    """Return where a thread is, in lines."""
    try:
        from masterworker.worker.stack import lines_of  # hardly ever asked for

        return lines_of(thread_id)
    except Exception as error:  # no descriptor to load it or a source file with, say
        return [f"its stack cannot be told: {error!r}"]


def _name_ticket(over: effects.TicketOver) -> None:
    date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(over.until))
    logger.warning("the ticket of this worker was valid until %s: it leaves", date)
