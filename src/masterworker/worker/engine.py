"""What is behind a `Worker`: joins a master, executes tasks, and says what became of each.

    main thread                                     courier (side thread)
    -----------                                     ---------------------
    exchange: outcomes out, leases in   <-- one -->  a task overruns: deliver what is finished,
    execute the leases, one by one     connection    give back what has not started, beat the heart
    and again, until asked to stop

Handlers run in the main thread, so signals, libraries and debuggers behave as usual.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from masterworker import forks
from masterworker.core.filters import CALL_MARK
from masterworker.core.hand import MAX_WANT
from masterworker.core.row import Row
from masterworker.core.task import Lease, Outcome, size_of
from masterworker.data import definitions
from masterworker.data.outcome import open_finished
from masterworker.data.pickling import dumps_call
from masterworker.data.states import StateCache, resolving
from masterworker.deadline import Deadline
from masterworker.errors import MasterworkerError, UsageError
from masterworker.launch.process_context import end_broken, this_process
from masterworker.launch.scoreboard import DEADLINE, DONE, LAST, TASK, TICK
from masterworker.launch.worker_limits import UNLIMITED
from masterworker.taskid import task_name
from masterworker.transport.discovery import reach
from masterworker.worker import limits, streams
from masterworker.worker.courier import Courier
from masterworker.worker.execution import broken_off, call, execute
from masterworker.worker.interrupts import Broken, LeftIdle
from masterworker.worker.rows import execute_row
from masterworker.worker.session_shell import HEARTBEAT, SessionShell

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterator, Mapping

    from masterworker.core.options import Terms
    from masterworker.core.task import Finished, Payload
    from masterworker.launch.process_context import ProcessContext
    from masterworker.transport.base import Connection
    from masterworker.worker.nested import NestedCalls

logger = logging.getLogger("masterworker.worker")


class WorkerEngine:
    """Executes tasks of one job in this process. The other arguments are those of `Worker`.

    Args:
        worker: What `current_worker()` returns to handlers.
        option: How the user says where the master is; part of an error's text.
    """

    def __init__(  # noqa: PLR0913  as many as Worker's
        self,
        worker: object,
        label: str,
        master: str | None = None,
        *,
        handlers: Mapping[str, Callable[..., Any]] | None = None,
        heartbeat: float | None = HEARTBEAT,
        reconnect: float | None = None,
        connect: Callable[[], Connection] | None = None,
        context: ProcessContext | None = None,
        option: str = 'master="HOST:PORT"',
    ) -> None:
        self.worker = worker
        self.label = label
        #: Handlers that are functions, by tag.
        self.given = {tag: f for tag, f in (handlers or {}).items() if callable(f)}
        self._handlers: dict[str, Callable[..., Any]] = {}
        self._done = 0
        #: Asks the program whether to stop; None: it never says so, which need not be asked for
        #: each of many tasks.
        self._wants_to_stop: Callable[[], bool] | None = None
        #: The program is being asked; and: a handler has broken this process.
        self._is_asking = self._is_broken = False
        self._master = master
        self._context = this_process.context_of_worker() if context is None else context
        connect = connect or self._context.connect
        #: Its process is its own, and the master is where the label leads.
        main = threading.current_thread() is threading.main_thread()
        self._watchable = main and connect is None and heartbeat is not None
        connect = connect or (lambda: reach(label, master, option=option))
        self._converse = partial(SessionShell, connect, heartbeat, reconnect, self._context)
        self.begin()

    def begin(self) -> None:
        """Have a conversation: the first one, or another one when `run` has ended."""
        self.talk = talk = self._converse()
        self._session, self._interrupts, self.client = talk.session, talk.interrupts, talk.client
        self.hand, self._pace = talk.session.hand, talk.session.pace
        self.states = talk.states
        self._courier = Courier(talk, self.look_at_clock, self._context.board)

    @property
    def process_id(self) -> int:
        """The number under which the manager knows this process; joins if need be."""
        return self.talk.process_id

    def run(
        self,
        handlers: Mapping[str, Callable[..., Any]],
        wants_to_stop: Callable[[], bool] | None = None,
    ) -> None:
        """Execute tasks; see `Worker.run`.

        Args:
            handlers: By tag.
            wants_to_stop: Asked before each task; None: it need not be.
        """
        if self._context.use_instead(self, handlers):
            return
        streams.start_afresh()
        forks.begin()
        self._wants_to_stop = wants_to_stop
        self.talk.works_here()
        if self._watchable and not self._context.supervisor:
            from masterworker.worker import sidecar  # not for those that have a supervisor

            sidecar.start(self._context, self.label, self._master)
        if self._watchable:
            definitions.live_apart()
        definitions.fetch_from(self.talk.fetch_definition)
        with (
            self._interrupts.installed()
        ):  # first: a worker that has joined signs off, whatever comes
            if self._declare(handlers):
                self._courier.start()
                asking = streams.asking(self.talk.stream_of_task)
                with this_process.working_as(self.worker), resolving(self.states), asking:
                    self._work_and_leave()

    @contextmanager
    def standing_by(
        self,
        handlers: Mapping[str, Callable[..., Any]],
        fetch_state: Callable[[str], Payload | None],
    ) -> Iterator[None]:
        """Within this, one handler is called by other means, and may ask for further tasks.

        Args:
            handlers: By tag.
            fetch_state: Returns the pickled value of a state.
        """
        self.states = StateCache(fetch_state)
        self.talk.watched = False  # however long this takes
        self.talk.works_here()
        self._declare(handlers)
        try:
            with this_process.working_as(self.worker), resolving(self.states):
                yield
        finally:
            self.talk.leave()

    def request_task(self, tag: str, parameters: tuple[Any, ...]) -> str:
        """Ask for a further task; see `Worker.request_task`."""
        payload = dumps_call(f"task {tag!r}", streams.further_parameters(parameters))
        return task_name(tag, self.request(tag, payload))

    def request(self, tag: str, payload: Payload) -> int:
        """Ask for a further task. Returns its number."""
        with self._interrupts.holding():
            return self.talk.request(tag, payload)

    @property
    def depth(self) -> int | None:
        """How many tasks wait for others here; None: this thread executes none."""
        return len(self._session.inside) if self.talk.is_mine else None

    @cached_property
    def nested(self) -> NestedCalls:
        """What its tasks ask for by calls."""
        from masterworker.worker.nested import NestedCalls  # most tasks ask for nothing

        return NestedCalls(self)

    def look_at_clock(self) -> None:
        """Break off what has taken too long, and show that this thread is alive."""
        self._context.board[TICK] += 1
        self._interrupts.look_at_clock()

    def retrieve(self, tag: str | None, timeout: float | None) -> tuple[str, str, Any]:
        """Wait for one outcome, and open it; see `Worker.retrieve_result`."""
        return open_finished(self.collect(tag, timeout))

    # -- outcomes of further tasks ----------------------------------------------------------

    def collect(self, tag: str | None, timeout: float | None) -> Finished:
        """Wait for one outcome; see `Worker.retrieve_result`."""
        if forks.mark.is_fork:
            raise UsageError("this is a fork of a worker; only the worker itself can wait")
        deadline, talk, longest = Deadline(timeout), self.talk, self._session.longest_wait
        mine = talk.is_mine
        with self._interrupts.holding():
            if mine:
                talk.deliver(give_back=True)
            while True:
                wait = deadline.left(longest)
                if mine:
                    wait = limits.shorter(wait, time.monotonic(), self._context.board)
                finished, leases = talk.collect(tag, wait)
                if finished is not None:
                    return finished
                for lease in leases:
                    self._execute_inside(lease)
                if deadline.has_passed and not leases:
                    raise TimeoutError(f"no outcome in {timeout} seconds")

    def _execute_inside(self, lease: Lease) -> None:
        """Execute a task while another one waits."""
        outer, environment, context = self.hand.executing, definitions.entered(), self._context
        tag, inside = context.shown_tag, self._session.inside
        inside.append(context.board[TASK])
        try:
            with limits.suspended(context.board), streams.executing(None):
                self.hand.leases.append(lease)
                self._courier.batch_begins(alone=True)
                self._execute_leases()
        finally:
            inside.pop()
            self.hand.executing = outer
            context.show_tag(tag)
            definitions.enter(environment)
        self.talk.deliver(give_back=False)

    # -- the main loop ----------------------------------------------------------------------

    def _declare(self, handlers: Mapping[str, Callable[..., Any]]) -> bool:
        """Join with all handlers. False: the job is over."""
        self._handlers = {**handlers, CALL_MARK: call}
        self.talk.tags = sorted(self._handlers)
        self.talk.resign()  # its number was asked for before: now it joins with all tags
        return self.talk.join_first()

    def _work_and_leave(self) -> None:
        try:
            self._work()
        except (KeyboardInterrupt, LeftIdle):
            if not self._interrupts.leaving:
                raise
            logger.info("interrupted: giving tasks back")
        except MasterworkerError:
            raise
        except BaseException:  # none of a task: a handler has broken this process
            self._is_broken = not self._is_asking
            if self._is_broken and self._context.is_launched:
                end_broken()
            raise
        finally:
            self._context.was_interrupted |= self._interrupts.came
            self._leave()

    def _work(self) -> None:
        context, session, idle_since = self._context, self._session, time.monotonic()
        pace, exchange = session.pace, self.talk.exchange
        unbounded = (bounds := context.limits) == UNLIMITED
        waiting, working = self._interrupts.may_break(idle=True), self._interrupts.may_break()
        while not session.stopped:
            leaving = self._interrupts.leaving or session.outdated
            if leaving or self._is_to_stop():
                return
            want = MAX_WANT if unbounded else limits.most(context, self._done, pace.task_seconds)
            idle = time.monotonic() - idle_since
            if want < 1 or (bounds.idle_timeout is not None and idle > bounds.idle_timeout):
                return
            wait = session.longest_wait
            if bounds.idle_timeout is not None:
                wait = min(wait, max(0.01, bounds.idle_timeout - idle))
            with waiting:
                reply = exchange(want, wait)
            leases = reply.leases
            if not leases or session.outdated:
                continue
            with working:
                alone = size_of(leases) == 1
                self._execute_batch(alone=alone)
            idle_since = time.monotonic()

    def _leave(self) -> None:
        self._interrupts.calm_down()
        self.talk.begin_to_leave()
        self._courier.stop()
        if self._is_broken:  # no goodbye: the task that has done this is to be blamed
            self.client.disconnect()
        else:
            self.talk.leave()
            self._context.has_left()

    def _is_to_stop(self) -> bool:
        if self._wants_to_stop is None:
            return False
        self._is_asking = True
        answer = self._wants_to_stop()
        self._is_asking = False
        return answer

    def _execute_batch(self, *, alone: bool) -> None:
        """Execute what has come; one task alone needs no courier to look after the others."""
        self._courier.batch_begins(alone=alone)
        done = self._execute_leases()
        if not alone:
            self._courier.batch_ends()
        if done:
            self._done += done
            self._context.board[DONE] = self._done

    def _execute_leases(self) -> int:
        """Execute what is in the hand. Returns how many tasks that were."""
        hand, session, pace = self.hand, self._session, self._pace
        done, outer_run = 0, session.run
        while hand.leases:
            if not session.inside and (self._interrupts.leaving or (done and self._is_to_stop())):
                break  # but not while a task that waits needs what is in hand
            outcomes = hand.outcomes  # of this run of the manager; there may come another one
            session.run = hand.instance
            try:
                lease = hand.leases[0]
            except IndexError:  # the courier was faster
                break
            if isinstance(lease, Row):
                done += self._execute_row(lease, outcomes)
            elif hand.done_with(lease):
                began = pace.begin(lease.tag, time.monotonic())
                outcomes.append(self._execute_one(lease))
                hand.executing = 0
                pace.observe(lease.tag, lease.task_id, 1, time.monotonic() - began)
                done += 1
        session.run = outer_run
        return done

    def _execute_row(self, row: Row, outcomes: deque[Outcome | Row]) -> int:
        """Execute tasks in a row, as far as none of them is to be the last one."""
        if row.executing:  # this is inside one of its tasks, which has given back the rest
            self.hand.done_with(row)
            return 0
        if not row.begun:
            row.begun = True
            outcomes.append(row)
        row.executing = True
        stop = None if self._wants_to_stop is None else self._is_to_stop
        handler, only, board = self._handler(row.tag), self._session.data_only, self._context.board
        began = self._pace.begin(row.tag, time.monotonic())
        done = execute_row(row, handler, self.hand, self._interrupts, board, stop, data_only=only)
        if done:
            self._pace.observe(row.tag, row.next - 1, done, time.monotonic() - began)
        row.executing = False
        if not row.has_more():
            row.over = True
            self.hand.done_with(row)
        return done

    def _handler(self, tag: str) -> Callable[..., Any]:
        self._context.show_tag(tag)
        return self._handlers[tag if tag[0] != CALL_MARK else CALL_MARK]

    def _execute_one(self, lease: Lease) -> Outcome:
        board, hand, interrupts = self._context.board, self.hand, self._interrupts
        task_id, payload, terms = lease.task_id, lease.payload, lease.terms
        outer, held = board[TASK], interrupts.held
        hand.executing = task_id
        handler, only = self._handler(lease.tag), self._session.data_only
        try:
            board[TASK] = task_id
            interrupts.held = False
            if terms is None:
                has_come = interrupts.has_come
                kind, answer = execute(handler, payload, has_come, data_only=only)
            else:
                kind, answer = self._execute_limited(handler, payload, terms)
            interrupts.held = held
        except Broken as broken:  # it came a moment before or after the handler's own code
            kind, answer = broken_off(broken, terms, data_only=only)
        finally:
            interrupts.held = held  # first: what is meant for the outer task finds it waiting
            board[LAST], board[TASK] = task_id, outer  # from here on, nothing can be meant for it
            interrupts.is_over(task_id)
        return Outcome(task_id, lease.attempt, kind, [answer])

    def _execute_limited(
        self, handler: Callable[..., Any], payload: Payload, terms: Terms
    ) -> tuple[int, Payload]:
        """Execute a task that has a time limit, or whose failures may be tried again."""
        outer = self._context.board[DEADLINE]
        if terms[0] is not None:
            self._courier.limit_begins()
        limits.begin(terms, self._context.board)
        streams.begin_again()
        try:
            has_come, only = self._interrupts.has_come, self._session.data_only
            return execute(handler, payload, has_come, terms, data_only=only)
        finally:
            self._context.board[DEADLINE] = outer
