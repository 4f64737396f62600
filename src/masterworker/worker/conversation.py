"""The worker's side of the conversation: join, exchange, and find the master again."""

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
from masterworker.core.hand import Hand, Pace
from masterworker.data.chunks import put_together
from masterworker.data.segment import bytes_of
from masterworker.data.states import StateCache
from masterworker.errors import (
    CredentialError,
    JobEndedError,
    MasterNotFoundError,
    NotRegisteredError,
    RejectedError,
    Terminated,
    TransportError,
)
from masterworker.launch import exits
from masterworker.launch.process_context import this_process
from masterworker.launch.scoreboard import DEADLINE, LAST, MEMBER, SHELF, TASK
from masterworker.machine import process_info
from masterworker.transport.discovery import reach
from masterworker.worker.interrupts import Interrupts

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Payload
    from masterworker.data.shelf import Shelf
    from masterworker.launch.process_context import ProcessContext
    from masterworker.transport.base import Connection

logger = logging.getLogger("masterworker.worker")

#: Longest time between signs of life (seconds).
HEARTBEAT = 5.0
#: How long a worker looks for a master that is gone, before it ends (seconds).
RECONNECT = 20.0
#: First and longest pause between two attempts (seconds).
PAUSES = (0.05, 2.0)


class Conversation:
    """What a worker says to the manager, and hears from it. `WorkerEngine` adds the work."""

    def __init__(
        self,
        label: str,
        master: str | None,
        heartbeat: float | None,
        reconnect: float,
        connect: Callable[[], Connection] | None,
        context: ProcessContext | None,
        option: str,
    ) -> None:
        self._context = this_process.context if context is None else context
        self.label = label
        self._process_id: int | None = None
        self.reconnect = reconnect
        self.hand = Hand(put_together)
        #: The tasks that wait for others, outermost first, inside which this worker executes one.
        self._inside: list[int] = []
        self._watched = heartbeat is not None
        self.heartbeat = HEARTBEAT if heartbeat is None else min(heartbeat, HEARTBEAT)
        #: A call that waits is a sign of life only when it begins and ends.
        self._longest_wait = min(wire.LONGEST_WAIT, self.heartbeat)
        self._interrupts = Interrupts(self._context)
        self.client = Client(
            connect or (lambda: reach(label, master, option=option)),
            self._interrupts.calling,
            self._interrupts.holding,
        )
        self._handlers: dict[str, Callable[..., Any]] = {}
        self._talk = forks.rlock()
        self.pace = Pace()
        self.states = StateCache(self._fetch_state)
        self._shelf: Shelf | None = None
        self._stopped = False
        #: It has an old version of some module, so it takes no more tasks.
        self._outdated = False
        #: The master takes no pickles from this process.
        self._data_only = False
        #: Of which run of the manager the task is that is being executed; "" for none.
        self._run = ""
        self._thread: threading.Thread | None = None
        self._last_call = time.monotonic()
        try:
            self.client.connect()
        except JobEndedError as error:
            self._end_with_job(error)

    @property
    def process_id(self) -> int:
        """The number under which the manager knows this process; joins if need be."""
        if self._process_id is None:
            self._join(wait=False)
        assert self._process_id is not None  # noqa: S101  for the type checker
        return self._process_id

    def _end_with_job(self, error: JobEndedError) -> None:
        """Have nothing to do, since the job is over; which is no failure.

        Raises:
            JobEndedError: It has been over for long, so this worker was hardly meant for it.
        """
        if not error.is_fresh:
            raise error
        logger.info("%s", error)
        self._stopped = True

    def _fetch_state(self, name: str) -> Payload | None:
        return self._fetch(wire.STATES, name)

    def fetch_definition(self, key: str) -> Payload | None:
        """Get what a function refers to; large values once for all workers of a supervisor."""
        return self._fetch(wire.DEFINITIONS, key)

    def _fetch(self, space: str, name: str) -> Payload | None:
        with self._interrupts.holding():
            shelf = None if self.client.is_private else self._reach_shelf()
            if shelf is None:
                return self._get(space, name)
            return shelf.get(f"{self.hand.instance}/{name}", lambda: self._get(space, name))

    def _get(self, space: str, name: str) -> Payload | None:
        with self._talk:
            return self.client.get(space, name)

    def _reach_shelf(self) -> Shelf | None:
        """Return where the workers of one supervisor share what they have fetched, if they do."""
        if self._shelf is None and self._context.board[SHELF]:
            from masterworker.data.shelf import Shelf

            with contextlib.suppress(OSError):
                self._shelf = Shelf(os.getppid(), self._context.board[SHELF] - 1)
        return self._shelf

    def _require_same_run(self) -> None:
        """A task of a run of the manager that is over must not ask another run for anything."""
        if self._run and self._run != self.hand.instance:
            raise NotRegisteredError("the master that has asked for this task is gone")

    def deliver(self, *, give_back: bool) -> None:
        """Send what is finished and what is being executed; get nothing new."""
        with self._talk:
            returned = self.hand.put_down() if give_back else []
            self._exchange(0, 0.0, returned)

    def seconds_silent(self) -> float:
        """Tell how long ago the last call ended."""
        return time.monotonic() - self._last_call

    def _exchange(self, want: int, wait: float, returned: list[int] | None = None) -> wire.Reply:
        with self._talk:
            seconds, spent = (self.pace.seconds, self.pace.report()) if want else (0.0, ())
            while True:
                hand = self.hand
                current = hand.current if hand.executing else 0
                began = time.monotonic()
                try:
                    asked = wire.Exchange(
                        self.process_id if self._process_id is None else self._process_id,
                        hand.to_send(),
                        returned or [],
                        current if self._run == hand.instance else 0,
                        want,
                        wait,
                        seconds=seconds,
                        spent=spent,
                    )
                    reply = self.client.exchange(asked)
                except TransportError as error:
                    self._find_again(error)
                    returned = None
                    continue
                break
            self._last_call = time.monotonic()
            self.pace.observe_round_trip(self._last_call - began - reply.waited)
            self.hand.take(reply.leases)
            for order, argument in reply.orders:
                self._obey(order, argument)
            return reply

    def _obey(self, order: str, argument: int) -> None:
        if order == wire.STOP:
            self._stopped = True
            if argument:  # the job goes on, without this worker
                date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(argument))
                logger.warning("the ticket of this worker was valid until %s: it leaves", date)
        elif order == wire.FORGET:
            self.states.forget(argument)
            if self._shelf is not None:
                self._shelf.forget(f"{self.hand.instance}/{argument}/")
        elif order == wire.RENEW:
            self._renew(argument)
        elif order == wire.REJOIN:
            self.hand.cut_off()
            self._join(wait=True)
        elif order == wire.CANCEL and not self.hand.drop(argument):
            self._break_off(argument)

    def _renew(self, number: int) -> None:
        """The master has loaded a module again: who has the old one is to be replaced."""
        name = bytes_of(self.client.get(wire.PROGRAM, f"{wire.RELOADED}{number}") or b"").decode()
        if name not in sys.modules:
            return
        if self._context.is_launched:
            logger.info("the master has loaded %s again: a new worker takes our place", name)
            self._outdated = True
            self._context.is_recycled = True
        else:
            logger.warning("the master has loaded %s again; this worker has the old one", name)

    def _break_off(self, task_id: int) -> None:
        if task_id in {self.hand.current, *self._inside}:
            self._interrupts.cancel(task_id)

    def _find_again(self, error: TransportError) -> None:
        """The connection broke: look for the master, and join again."""
        logger.info("%s; looking for the master", error)
        self.hand.cut_off()
        try:
            self._context.require_launcher(PAUSES[0])
            self._join(wait=True)
        except TransportError as gone:
            self._stopped = True
            if self._interrupts.in_charge and threading.current_thread() is not self._thread:
                self._context.end_process(str(gone))  # the handler works for nobody any more
            raise

    def _join_first(self) -> bool:
        """Join for the first time. False: the job is over."""
        try:
            if not self._stopped:
                self._join_now()
        except JobEndedError as error:
            self._end_with_job(error)
        except Terminated:
            self._stopped = True
        return not self._stopped

    def _join_now(self) -> None:
        try:
            self._join(wait=False)
        except (MasterNotFoundError, CredentialError, RejectedError):
            raise
        except TransportError:  # the connection broke: is that the end of the job?
            self._join(wait=False)

    def _join(self, *, wait: bool) -> None:
        """Join; with `wait`, try for so long as a master may be gone, from its last answer on."""
        end = self._last_call + self.reconnect if wait else 0.0
        name_at = time.monotonic() + exits.NAMED_AFTER_SECONDS
        pause, longest = PAUSES
        while True:
            try:
                with self._talk:
                    welcome = self.client.join(self._hello())
                    self._last_call = time.monotonic()
                break
            except RejectedError:
                raise
            except (Terminated, JobEndedError):
                if not wait or self._process_id is None:
                    raise
                self._stopped = True
                return
            except TransportError as error:
                if time.monotonic() + pause > end or self._context.is_orphaned:
                    if not wait:
                        raise
                    raise MasterNotFoundError(f"the master is gone: {error}") from error
                # A supervisor says it once, for all of its workers.
                if time.monotonic() > name_at and not self._context.is_launched:
                    name_at = float("inf")
                    logger.warning(exits.UNREACHABLE, end - time.monotonic())
                threading.Event().wait(pause)
                pause = min(2 * pause, longest)
        if self.hand.instance not in {"", welcome.instance}:
            for each in (TASK, LAST, DEADLINE):  # its number means another task now
                self._context.board[each] = 0
        self.hand.joined(welcome.instance)
        self.states.clear()  # an order to forget one may have been lost with the connection
        self._data_only = welcome.results == wire.PLAIN
        self._process_id = welcome.member_id
        self._context.board[MEMBER] = welcome.member_id + 1

    def _hello(self) -> wire.Hello:
        tags = sorted(self._handlers)
        heartbeat = self.heartbeat if self._watched else None
        return wire.introduce(
            process_info(),
            tags,
            heartbeat,
            self.client.name,
            self._context.program_digest,
            self._context.supervisor,
        )

    def _sign_off(self) -> None:
        self.hand.leases.clear()
        with contextlib.suppress(TransportError, Terminated):
            if pending := self.hand.to_send():
                self.client.exchange(wire.Exchange(self.process_id, pending))
                self.hand.take(())
            self.client.leave(self.process_id)
        self.client.disconnect()
