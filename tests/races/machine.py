"""Four threads submit, cancel, call back and shut down; each future must end exactly once.

The worker is a thread, and speaks to the master over memory. What the threads do is drawn by
Hypothesis; which of them is faster is not, so a failure may not come again with the same seed.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import logging
import threading
from concurrent.futures import CancelledError
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from masterworker import Executor, Master, Worker
from masterworker.master import engine_of
from masterworker.testing import connection
from races import work
from support import unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

THREADS: Final = 4
#: Nothing takes so long, unless it hangs (seconds).
HANG: Final = 20.0
#: A thread that a callback waits for has answered by then, unless a lock is held (seconds).
ANSWER: Final = 5.0

DEEDS: Final = (
    *("submit", "submit", "submit closed", "cancel", "cancel", "callback", "callback"),
    *("look", "result", "open", "shutdown", "shutdown and cancel", "shutdown and wait"),
)
_numbers = itertools.count()


class Stage:
    """A master with one worker, four threads, and one that callbacks ask; without processes."""

    def __init__(self) -> None:
        #: What is logged as an error: that a future was to end twice, for one.
        self.errors: list[str] = []
        self.rounds = 0
        #: What was wrong: Hypothesis may only say that it was not wrong when it was done again.
        self.found: list[str] = []
        self._log = logging.Handler(logging.ERROR)
        self._log.emit = lambda record: self.errors.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("masterworker").addHandler(self._log)
        label = unique_label()
        self.master = Master(label)
        self.engine = engine_of(self.master)
        worker = Worker(label, connect=lambda: connection(self.engine.manager))
        self._worker = threading.Thread(target=worker.run, name="worker", daemon=True)
        self._worker.start()
        self._threads = concurrent.futures.ThreadPoolExecutor(THREADS)
        self._questions: SimpleQueue[threading.Event | None] = SimpleQueue()
        self._answering = threading.Thread(target=self._answer, name="answering", daemon=True)
        self._answering.start()

    def at_once(self, plans: list[list[Callable[[], None]]]) -> None:
        """Carry plans out, each in a thread, and wait for all."""
        barrier = threading.Barrier(len(plans))

        def carry_out(plan: list[Callable[[], None]]) -> None:
            barrier.wait(HANG)
            for deed in plan:
                deed()

        running = [self._threads.submit(carry_out, plan) for plan in plans]
        for each in running:
            each.result(HANG)

    def ask(self) -> bool:
        """Let another thread do something with futures. False: it cannot, as long as this waits."""
        answered = threading.Event()
        self._questions.put(answered)
        return answered.wait(ANSWER)

    def _answer(self) -> None:
        while (question := self._questions.get()) is not None:
            task = self.master.submit(work.execute, next(_numbers))
            task.add_done_callback(_nothing)
            task.running()
            task.cancel()
            question.set()

    def close(self) -> None:
        """End everything."""
        work.gate.set()
        self._questions.put(None)
        self._answering.join(HANG)
        self.master.shutdown()  # no thread waits for a future any more
        self._threads.shutdown()
        self._worker.join(HANG)
        logging.getLogger("masterworker").removeHandler(self._log)
        assert not self._worker.is_alive()


@contextlib.contextmanager
def staged() -> Iterator[Stage]:
    """A stage, for as long as it is needed."""
    stage = Stage()
    try:
        yield stage
    finally:
        stage.close()


def _nothing(_: object) -> None:
    pass


class Call:
    """A future, and what has been seen of it."""

    def __init__(self, number: int, future: concurrent.futures.Future[int]) -> None:
        self.number = number
        self.future = future
        self.said_cancelled = False
        self.callbacks = 0
        #: What callbacks and waiting threads have seen, in any order.
        self.seen: list[int | str] = []
        self.called: list[bool] = []

    def outcome(self) -> int | str:
        """What has become of it; it is done."""
        try:
            return self.future.result(0)
        except CancelledError:
            return "cancelled"


class Scene:
    """One executor, from its beginning to its end."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._executor = Executor(master=stage.master)
        self._calls: list[Call] = []
        self.is_ending = False
        self._may_cancel = False
        self._stuck: list[str] = []
        work.gate.clear()

    def deed(self, name: str, at: int) -> Callable[[], None]:
        """Return what a thread does. `at` chooses the future, among those that are there then."""
        if name.startswith("submit"):
            return lambda: self._submit(work.execute if name == "submit" else work.wait_and_execute)
        if name == "open":
            return work.gate.set
        if name.startswith("shutdown"):
            return lambda: self._shut_down(name)
        return lambda: self._with_one(name, at)

    def _submit(self, function: Callable[[int], int]) -> None:
        number = next(_numbers)
        try:
            future = self._executor.submit(function, number)
        except RuntimeError:
            assert self.is_ending, "refused, and nobody has shut it down"
            return
        self._calls.append(Call(number, future))

    def _shut_down(self, name: str) -> None:
        self.is_ending = True
        if name == "shutdown and wait":
            work.gate.set()
        self._may_cancel |= name == "shutdown and cancel"
        self._executor.shutdown(
            wait=name == "shutdown and wait", cancel_futures=name == "shutdown and cancel"
        )

    def _with_one(self, name: str, at: int) -> None:
        calls = self._calls
        if not calls:
            return
        call = calls[-1 - at % len(calls)]
        if name == "cancel":
            call.said_cancelled |= call.future.cancel()
        elif name == "callback":
            call.callbacks += 1  # by one thread or another: counted by what was added
            call.future.add_done_callback(lambda _: self._called_back(call))
        elif call.future.done() if name == "look" else self._is_done_soon(call):
            call.seen.append(call.outcome())

    def _is_done_soon(self, call: Call) -> bool:
        return bool(concurrent.futures.wait([call.future], 0.001).done)

    def _called_back(self, call: Call) -> None:
        if not self._stage.ask():
            self._stuck.append("a lock is held around callbacks")
        call.seen.append(call.outcome())
        call.called.append(True)

    def finish(self) -> None:
        """End the executor, and look at each of its futures."""
        work.gate.set()
        ending = threading.Thread(target=self._executor.shutdown, daemon=True)
        ending.start()
        ending.join(HANG)
        assert not ending.is_alive(), "shutdown hangs"
        for call in self._calls:
            self._check(call)
        assert not self._stuck, self._stuck[0]
        assert not self._stage.errors, self._stage.errors[0]

    def _check(self, call: Call) -> None:
        future = call.future
        assert concurrent.futures.wait([future], HANG).done, f"{future} has no end"
        outcome = call.outcome()
        times = work.runs.pop(call.number, 0)
        wait_until(lambda: len(call.called) >= call.callbacks, HANG, "callbacks are called")
        assert set(call.seen) <= {outcome}, f"it was {call.seen}, and is {outcome}"
        assert len(call.called) == call.callbacks, "a callback was called twice"
        if outcome == "cancelled":
            assert call.said_cancelled or self._may_cancel, "nobody has cancelled it"
            assert not times, "it was cancelled, and executed"
        else:
            assert outcome == call.number, f"{outcome} is not the call's number, {call.number}"
            assert not call.said_cancelled, "cancel said that it never runs"
            assert times == 1, f"it was executed {times} times"


class Races(RuleBasedStateMachine):
    """Rounds of four threads, with one executor after the other."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self._scene = Scene(self.stage)

    @rule(deeds=st.lists(st.sampled_from(DEEDS), min_size=THREADS, max_size=4 * THREADS))
    def round(self, deeds: list[str]) -> None:
        """Four threads do all this at once."""
        self.stage.rounds += 1
        steps: list[Any] = [self._scene.deed(name, at) for at, name in enumerate(deeds)]
        with self._noting():
            self.stage.at_once([steps[first::THREADS] for first in range(THREADS)])
        if self._scene.is_ending:
            self.teardown()
            self._scene = Scene(self.stage)

    def teardown(self) -> None:
        """Whatever is left ends well."""
        with self._noting():
            self._scene.finish()

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.stage.found.append(f"{type(error).__name__}: {error}")
            raise


def races_on(stage: Stage) -> type[Races]:
    """The state machine with a stage."""
    return type("RacesHere", (Races,), {"stage": stage})
