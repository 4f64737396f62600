"""What an engine executes: one bundle of leases, by a worker that has no connection.

The worker is the one that launched processes have, with its rows, time limits and further tasks. A
process keeps it from one bundle to the next, so an object of a worker class lives as long.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

from masterworker import forks, program, wire
from masterworker.core.filters import CALL_MARK
from masterworker.data.pickling import open_payload
from masterworker.data.segment import Segment, bytes_of
from masterworker.engine import kept, parcel
from masterworker.engine.meanwhile import Meanwhile
from masterworker.engine.parcel import Answer, Order
from masterworker.errors import UsageError
from masterworker.launch.process_context import Assignment, ProcessContext, this_process
from masterworker.machine import process_info
from masterworker.surroundings import common, folders
from masterworker.worker import Worker, engine_of, methods_of, script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from masterworker.engine.kept import Store
    from masterworker.worker.engine import WorkerEngine

_of_thread: Final = kept.OfThread()
#: Held while the program of a job is executed, which finds its context in one place.
_executing: Final = forks.rlock()


def carry_out(versions: Sequence[Any], head: Any, large: Sequence[bytes], *values: Any) -> Any:
    """Carry out a bundle, in any process.

    Args:
        versions: What the master has, `parcel.VERSIONS`.
        head: The encoded order; or the order itself, where this is the master's process.
        large: Its large payloads.
        values: The stored values that have come along.

    Returns:
        The answer, in the same way: itself, or encoded with its large payloads. A text says why
        there is none.
    """
    host = process_info()
    if misfit := parcel.misfit(versions, host):
        return misfit
    order = head if isinstance(head, Order) else parcel.read(Order, head, large)
    answer = _carry_out(order, [_as_payload(value) for value in values])
    return answer if head is order else parcel.write(answer)


def _as_payload(value: Any) -> Any:
    """Return a stored value as it is kept: engines may bring it in another class."""
    if isinstance(value, bytes) and len(value) <= kept.SMALL:
        return value
    return Segment(len(value), data=value) if isinstance(value, bytes) else value


def _carry_out(order: Order, values: Sequence[Any]) -> Answer:
    store = kept.store_of(order.instance)
    if missing := store.update(order.known, order.shipped, values):
        return Answer(process_info(), missing=missing)
    places, key = _of_thread.places, (order.instance, order.program)
    place = places.get(key)
    if place is None or place.pid != os.getpid():
        place = places[key] = Place(order, store)
        while len(places) > kept.JOBS:
            places.popitem(last=False)
    return place.carry_out(order)


class Place:
    """Where one thread executes the bundles of one job.

    Args:
        order: The first of them.
        store: The stored values of the job.

    Raises:
        UsageError: The stored program has started no worker.
    """

    def __init__(self, order: Order, store: Store) -> None:
        self.pid = os.getpid()
        self._store = store
        self._states = store.states()
        self._order = order
        self._now: Meanwhile | None = None
        context = self._context = ProcessContext()
        context.connect = self._connect
        self._engine: WorkerEngine | None = None
        self._handlers: Mapping[str, Callable[..., Any]] = {}
        home = kept.home_of(order.instance)
        if home is not None:
            self._engine = engine_of(Worker(order.label, context=context, heartbeat=None))
            self._handlers = home.handlers
        else:
            with _executing:
                self._prepare(order)

    def carry_out(self, order: Order) -> Answer:
        """Execute a bundle."""
        engine = self._engine
        assert engine is not None  # noqa: S101  for the type checker
        now = self._now = Meanwhile(order, self._store)
        self._order = order
        handlers = {tag: f for tag, f in self._handlers.items() if tag[0] != CALL_MARK}
        main = threading.current_thread() is threading.main_thread()
        if order.leases:
            self._begin_again(engine, order.seconds)
            engine.run(handlers)
            interrupts = engine.talk.interrupts
            if interrupts.leaving and not interrupts.came:  # meant for the engine's own process
                os.kill(os.getpid(), signal.SIGTERM)
        answer = now.answer()
        answer.tags, answer.is_main = [CALL_MARK, *handlers], main
        return answer

    # -- inside -----------------------------------------------------------------------------

    def _begin_again(self, engine: WorkerEngine, longest: float) -> None:
        """Let a worker be as new, but for what is kept of states."""
        engine.__dict__.pop("nested", None)
        engine._is_broken = False
        engine.begin()
        engine.states = engine.talk.states = self._states
        engine._courier.look_only_after(longest)

    def _connect(self) -> Meanwhile:
        return self._now or Meanwhile(self._order, self._store)

    def _prepare(self, order: Order) -> None:
        """Do what a worker does that is started from the label alone, but for its process."""
        stored = self._store.get(wire.PROGRAM, program.KEY)
        what = program.generic() if stored is None else program.decode(bytes_of(stored))
        theirs = what.surroundings
        if what.kind == program.GENERIC:
            kept.live_apart()
            folders.merge_path(theirs.path, theirs.owners)
        else:
            common.enter(theirs, elsewhere=True)
        common.follow(theirs, self._import_path, elsewhere=True)
        if what.kind == program.GENERIC:
            self._engine = engine_of(Worker(order.label, context=self._context, heartbeat=None))
            return
        context, before = self._context, this_process.context
        context.assignment = Assignment(order.label, what.digest, what.worker_class, self._instead)
        this_process.context = context
        try:
            self._execute(what, order.label)
        finally:
            this_process.context, context.assignment = before, None
        if self._engine is None:
            raise UsageError(f"the slave code ({what.filename}) ended without starting a slave")

    def _execute(self, what: program.Program, label: str) -> None:
        from masterworker.data import definitions

        definitions.fetch_from(lambda key: self._store.get(wire.DEFINITIONS, key))
        try:
            if what.kind == program.SCRIPT:
                script.execute(what)
                return
            script.fresh_main(what.package)
            worker_class, start, keywords = open_payload(what.pickled)
            worker = worker_class(label, **keywords)
            if isinstance(worker, Worker):
                self._instead(engine_of(worker), methods_of(worker))
            else:
                getattr(worker, start)()
        except SystemExit:  # as in sys.exit(main()), when main has come back
            if self._engine is None:
                raise

    def _instead(self, engine: WorkerEngine, handlers: Mapping[str, Callable[..., Any]]) -> None:
        """Keep a worker that was about to work."""
        self._engine, self._handlers = engine, handlers

    def _import_path(self) -> bytes | None:
        found = self._store.get(wire.PROGRAM, wire.IMPORT_PATH)
        return None if found is None else bytes_of(found)
