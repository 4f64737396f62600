"""Everything in one process: for debuggers, for tests, and for a first look at a program."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from masterworker import wire
from masterworker.core.filters import CALL_MARK
from masterworker.core.streams import stream_of_run
from masterworker.core.task import Outcome
from masterworker.data import definitions
from masterworker.data.outcome import open_finished
from masterworker.data.pickling import dumps_call
from masterworker.data.states import StateCache, resolving
from masterworker.launch.process_context import this_process
from masterworker.machine import process_info, random_name
from masterworker.taskid import task_name
from masterworker.worker import streams
from masterworker.worker.execution import call, execute
from masterworker.worker.nested import NestedFuture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from masterworker.manager import Manager

P = ParamSpec("P")
T = TypeVar("T")

#: Time between looks while all tasks pause after a failure (seconds).
PAUSE = 0.02


class SerialWorker:
    """Executes tasks in the thread that waits for them, one at a time.

    Args:
        manager: Whose tasks.
        handlers: Functions by tag.
    """

    def __init__(self, manager: Manager, handlers: Mapping[str, Callable[..., Any]]) -> None:
        self._manager = manager
        self._pause = threading.Event()
        #: The task that is being executed; 0: none.
        self._task_id = 0
        self._handlers = {**handlers, CALL_MARK: call}
        self.states = StateCache(lambda name: manager.get(wire.STATES, name))
        hello = wire.introduce(process_info(), sorted(self._handlers), None, random_name())
        #: The number under which the manager knows it.
        self.member_id = manager.join(hello).member_id

    def step(self) -> bool:
        """Execute one task, or wait a moment for one that pauses. False: there is neither."""
        reply = self._manager.exchange(wire.Exchange(self.member_id, want=1))
        if not reply.leases and self._manager.core.paused():
            self._pause.wait(PAUSE)
            return True
        for order, argument in reply.orders:
            if order == wire.FORGET:
                self.states.forget(argument)
        if reply.leases:
            definitions.fetch_from(lambda key: self._manager.get(wire.DEFINITIONS, key))
        for lease in reply.leases:
            handler = self._handlers[CALL_MARK if lease.tag[0] == CALL_MARK else lease.tag]
            outer, self._task_id = self._task_id, lease.task_id
            try:
                stream = stream_of_run(self._manager.instance, lease.task_id)
                working = this_process.working_as(self)
                with working, resolving(self.states), streams.executing(stream, is_seeded=False):
                    kind, payload = execute(handler, lease.payload, lambda: True, lease.terms)
            except KeyboardInterrupt:
                self._manager.exchange(wire.Exchange(self.member_id, returned=[lease.task_id]))
                raise
            finally:
                self._task_id = outer
            done = Outcome(lease.task_id, lease.attempt, kind, [payload])
            self._manager.exchange(wire.Exchange(self.member_id, [done]))
        return bool(reply.leases)

    def request_task(self, tag: str, *parameters: Any) -> str:
        """Ask for a further task, from inside a handler. Returns its id."""
        payload = dumps_call(f"task {tag!r}", streams.further_parameters(parameters))
        asked = wire.Submission("", 0, tag, [payload], task_id=self._task_id)
        expect = self._manager.expect(asked)
        return task_name(tag, self._manager.request(tag, asked.payloads, expect=expect))

    def retrieve_result(self, tag: str | None = None, timeout: float | None = None) -> Any:
        """Execute tasks until there is an outcome; from inside a handler.

        Raises:
            TimeoutError: Nothing is left to be executed, so there will be none.
        """
        while True:
            finished, _ = self._manager.collect(self.member_id, tag, task_id=self._task_id)
            if finished:
                return open_finished(finished[0])
            if not self.step():
                raise TimeoutError(f"no outcome, and nothing left to do (timeout {timeout})")

    def submit(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> NestedFuture[T]:
        """Execute a further call now, from inside a handler or call; see `Worker.submit`."""
        future: NestedFuture[T] = NestedFuture(None)
        try:
            future.settle(function(*args, **kwargs), None)
        except Exception as error:  # others end the program, as ever in one process
            future.settle(None, error)
        return future

    def map(self, function: Callable[..., T], /, *iterables: Iterable[Any]) -> Iterator[T]:
        """Call a function for each item when its result is taken; see `Worker.map`."""
        return map(function, *iterables)
