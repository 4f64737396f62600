"""The worker: joins a master, executes tasks, and always says what became of them.

    main thread                                     courier (side thread)
    -----------                                     ---------------------
    exchange: outcomes out, leases in   <-- one -->  a task overruns: deliver what is finished,
    execute the leases, one by one     connection    give back what has not started, beat the heart
    and again, until told to stop

Handlers run in the main thread, so signals, libraries and debuggers behave as usual.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.client import Client
from masterworker.core.hand import Hand, Pace
from masterworker.core.lanes import CALL_MARK
from masterworker.core.task import Finished, Lease, Outcome
from masterworker.data.outcome import open_finished
from masterworker.data.pickling import dumps_call
from masterworker.data.states import StateCache, resolving
from masterworker.errors import (
    MasterNotFoundError,
    RejectedError,
    Terminated,
    TransportError,
)
from masterworker.launch import parent
from masterworker.machine import process_info
from masterworker.taskid import task_name
from masterworker.transport.discovery import reach
from masterworker.worker import current
from masterworker.worker.courier import Courier
from masterworker.worker.execution import call, execute
from masterworker.worker.interrupts import Interrupts, LeftIdle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masterworker.transport.base import Connection

logger = logging.getLogger("masterworker.worker")

#: Longest time between signs of life (seconds).
HEARTBEAT = 5.0
#: How long a worker looks for a master that is gone, before it ends (seconds).
RECONNECT = 20.0
#: First and longest pause between two attempts (seconds).
PAUSES = (0.05, 2.0)
#: A handler may wait for further tasks, whose handlers wait for further tasks, ... so deep.
MAX_DEPTH = 16

_new = tuple.__new__  # makes a named tuple in half the time


class Worker:
    """One process that executes tasks.

    Subclass it and add a method `do_<tag>` for each tag, or give handlers.

    Args:
        label: The label of the job.
        master: "host" or "host:port" of the master; None: look it up by the label.
        handlers: Functions by tag.
        heartbeat: Longest time between signs of life, in seconds; None: silence never means that
            this worker is lost.
        reconnect: Seconds to look for a master that does not answer any more.
        connect: Makes connections in another way; for tests.
    """

    def __init__(
        self,
        label: str,
        master: str | None = None,
        *,
        handlers: Mapping[str, Callable[..., Any]] | None = None,
        heartbeat: float | None = HEARTBEAT,
        reconnect: float = RECONNECT,
        connect: Callable[[], Connection] | None = None,
    ) -> None:
        self.label = label
        self._process_id: int | None = None
        self.reconnect = reconnect
        self.hand = Hand()
        self._given = dict(handlers or {})
        self._watched = heartbeat is not None
        self.heartbeat = HEARTBEAT if heartbeat is None else min(heartbeat, HEARTBEAT)
        #: A call that waits is a sign of life only when it begins and ends.
        self._longest_wait = min(wire.LONGEST_WAIT, self.heartbeat)
        self._interrupts = Interrupts()
        self.client = Client(connect or (lambda: reach(label, master)), self._interrupts.calling)
        self._handlers: dict[str, Callable[..., Any]] = {}
        self._talk = threading.RLock()
        self._pace = Pace()
        self._courier = Courier(self)
        self.states = StateCache(self._fetch_state)
        self._instance = ""
        self._stopped = False
        self._depth = 0
        self._thread: threading.Thread | None = None
        self._last_call = time.monotonic()
        self.client.connect()

    # -- for users --------------------------------------------------------------------------

    def run(self) -> None:
        """Execute tasks until the job ends or `wants_to_stop`.

        Raises:
            TransportError: The master is gone, and did not come back in time.
            RejectedError: A master came back that this worker does not fit.
        """
        self._thread = threading.current_thread()
        self._declare()
        self._courier.start()
        with current.working_as(self), resolving(self.states), self._interrupts.installed():
            try:
                self._work()
            except (KeyboardInterrupt, LeftIdle):
                if not self._interrupts.leaving:
                    raise
                logger.info("interrupted: giving tasks back")
                if self._interrupts.came:
                    current.note_interrupt()
            finally:
                self._courier.stop()
                self._sign_off()

    @property
    def process_id(self) -> int:
        """The number under which the manager knows this process; joins if need be."""
        if self._process_id is None:
            self._join(wait=False)
        assert self._process_id is not None  # noqa: S101  for the type checker
        return self._process_id

    def set_handlers(self, handlers: Mapping[str, Callable[..., Any]]) -> None:
        """Give handlers by tag, before `run`."""
        self._given = dict(handlers)

    def wants_to_stop(self) -> bool:
        """Override this to end between two tasks, in good order. Asked before each task."""
        return False

    def request_task(self, tag: str, *parameters: Any) -> str:
        """Ask for a further task, from inside a handler. Returns its id."""
        payload = dumps_call(f"task {tag!r}", parameters)
        with self._talk:
            return task_name(tag, self.client.request(tag, [payload]))

    def retrieve_result(self, tag: str | None = None, timeout: float | None = None) -> Any:
        """Wait for the outcome of some further task, from inside a handler.

        While it waits, this worker executes waiting tasks itself, so that a job with one worker
        goes on as well.

        Returns:
            (task id, tag, result).

        Raises:
            TaskFailed: The task raised an exception.
            TimeoutError: There was none in so many seconds.
            Terminated: The job is over.
        """
        return open_finished(self.collect(tag, timeout))

    # -- outcomes of further tasks ----------------------------------------------------------

    def collect(self, tag: str | None, timeout: float | None) -> Finished:
        """Wait for one outcome; see `retrieve_result`."""
        end = None if timeout is None else time.monotonic() + timeout
        mine = threading.current_thread() is self._thread
        if mine:
            self.deliver(give_back=True)
        while True:
            wait = self._longest_wait if end is None else end - time.monotonic()
            lend = 1 if mine and self._depth < MAX_DEPTH else 0
            with self._talk:
                try:
                    finished, leases = self.client.collect(
                        self.process_id, tag, 1, min(max(0.0, wait), self._longest_wait), lend
                    )
                except TransportError as error:
                    self._find_again(error)
                    continue
                self._last_call = time.monotonic()
            if finished:
                if leases:  # both came in the same instant
                    self._exchange(0, 0.0, [lease[0] for lease in leases])
                return finished[0]
            for lease in leases:
                self._execute_inside(lease)
            if end is not None and time.monotonic() >= end and not leases:
                raise TimeoutError(f"no outcome in {timeout} seconds")

    def _execute_inside(self, lease: Lease) -> None:
        """Execute a task while another one waits."""
        outer = self.hand.current
        self._depth += 1
        try:
            self.hand.leases.append(lease)
            self._execute_leases()
        finally:
            self._depth -= 1
            self.hand.current = outer
        self.deliver(give_back=False)

    # -- values of states -------------------------------------------------------------------

    def _fetch_state(self, name: str) -> bytes | None:
        with self._talk:
            return self.client.get(wire.STATES, name)

    # -- the main loop ----------------------------------------------------------------------

    def _declare(self) -> None:
        methods = {name[3:]: getattr(self, name) for name in dir(self) if name.startswith("do_")}
        self._handlers = {**methods, **self._given, CALL_MARK: call}
        if self._process_id is not None:  # somebody asked for it before: now with all tags
            self.client.leave(self._process_id)
        self._join(wait=False)

    def _work(self) -> None:
        while not self._stopped:
            if self._interrupts.leaving or self.wants_to_stop():
                return
            with self._interrupts.may_break(idle=True):
                reply = self._exchange(self._pace.want, self._longest_wait)
            if not reply.leases:
                continue
            with self._interrupts.may_break():
                self._execute_batch(len(reply.leases))

    def _execute_batch(self, size: int) -> None:
        began = time.monotonic()
        if size > 1:
            self._courier.batch_begins()
        done = self._execute_leases()
        if size > 1:
            self._courier.batch_ends()
        if done:
            self._pace.observe(done, time.monotonic() - began)

    def _execute_leases(self) -> int:
        """Execute what is in the hand. Returns how many tasks that were."""
        hand, handlers, interrupts = self.hand, self._handlers, self._interrupts
        leases, outcomes = hand.leases, hand.outcomes
        done = 0
        while leases:
            if not self._depth and (interrupts.leaving or (done and self.wants_to_stop())):
                break  # but not while a task that waits needs what is in hand
            try:
                lease = leases.popleft()
            except IndexError:  # the courier was faster
                break
            hand.current = lease
            task_id, attempt, tag, payload = lease
            handler = handlers[tag if tag[0] != CALL_MARK else CALL_MARK]
            kind, answer = execute(handler, payload, interrupts.has_come)
            outcomes.append(_new(Outcome, (task_id, attempt, kind, answer)))
            hand.current = None
            done += 1
        return done

    # -- the conversation -------------------------------------------------------------------

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
            while True:
                current = self.hand.current
                began = time.monotonic()
                try:
                    reply = self.client.exchange(
                        self.process_id,
                        self.hand.to_send(),
                        returned or (),
                        0 if current is None else current[0],
                        want,
                        wait,
                    )
                except TransportError as error:
                    self._find_again(error)
                    returned = None
                    continue
                break
            self._last_call = time.monotonic()
            self._pace.observe_round_trip(self._last_call - began - reply.waited)
            self.hand.acknowledged()
            self.hand.leases.extend(reply.leases)
            for order, argument in reply.orders:
                self._obey(order, argument)
            return reply

    def _obey(self, order: str, argument: int) -> None:
        if order == wire.STOP:
            self._stopped = True
        elif order == wire.FORGET:
            self.states.forget(argument)
        elif order == wire.REJOIN:
            self.hand.leases.clear()  # the manager has given them to others
            self._join(wait=True)

    def _find_again(self, error: TransportError) -> None:
        """The connection broke: look for the master, and join again."""
        logger.info("%s; looking for the master", error)
        self.hand.leases.clear()  # whoever finds the connection closed gives them to others
        try:
            parent.end_if_orphaned(PAUSES[0])
            self._join(wait=True)
        except TransportError as gone:
            self._stopped = True
            if self._interrupts.in_charge and threading.current_thread() is not self._thread:
                parent.end_process(str(gone))  # the handler works for nobody any more
            raise

    def _join(self, *, wait: bool) -> None:
        """Join; with `wait`, try for so long as a master may be gone, from its last answer on."""
        end = self._last_call + self.reconnect if wait else 0.0
        pause, longest = PAUSES
        while True:
            try:
                with self._talk:
                    welcome = self.client.join(self._hello())
                    self._last_call = time.monotonic()
                break
            except RejectedError:
                raise
            except Terminated:
                if not wait or self._process_id is None:
                    raise
                self._stopped = True
                return
            except TransportError as error:
                if time.monotonic() + pause > end or parent.orphaned():
                    if not wait:
                        raise
                    raise MasterNotFoundError(f"the master is gone: {error}") from error
                threading.Event().wait(pause)
                pause = min(2 * pause, longest)
        if self._instance and welcome.instance != self._instance:
            self.hand.forget_all()
        self.states.clear()  # an order to forget one may have been lost with the connection
        self._instance = welcome.instance
        self._process_id = welcome.member_id

    def _hello(self) -> wire.Hello:
        tags = sorted(self._handlers)
        heartbeat = self.heartbeat if self._watched else None
        program = current.program_digest()
        return wire.introduce(process_info(), tags, heartbeat, self.client.name, program)

    def _sign_off(self) -> None:
        self.hand.leases.clear()
        with contextlib.suppress(TransportError, Terminated):
            if pending := self.hand.to_send():
                self.client.exchange(self.process_id, pending)
                self.hand.acknowledged()
            self.client.leave(self.process_id)
        self.client.disconnect()
