"""Every signal at every step of a task that waits for another: nothing is lost, and nothing hangs.

A worker in this process executes a task that waits for the outcome of another one. Meanwhile it
executes what else there is: tasks that ask for that other one, and that one itself. One run counts
the steps of this (lines of the worker's own code), and then there is a run for each of them in
which something happens there: one of the tasks is cancelled, or its time is up; the worker is told
to leave; the connection breaks.

`MASTERWORKER_STEPS=1` goes through every step; else it is one of some, others each time.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import masterworker
from masterworker.core.options import Options
from masterworker.core.task import FAILURE, RESULT, Lease, ids_of
from masterworker.data.pickling import dumps_call
from masterworker.launch import scoreboard
from masterworker.launch.process_context import ProcessContext
from masterworker.manager import Manager
from masterworker.testing import MemoryConnection, connection
from masterworker.worker import Worker, engine_of
from masterworker.worker.interrupts import Interrupts
from support import HANG

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Happening = Callable[["Job"], None]

PACKAGE = Path(masterworker.__file__).parent
#: A signal comes to the code of the worker: what the manager does is in another process.
OURS = tuple(str(PACKAGE / name) for name in ("worker/", "client.py", "core/hand.py"))
#: A time limit that is up when a test says so, and not before (seconds).
NEVER = 1000.0
#: One of so many steps is tried in a run of all tests.
SHARE = int(os.environ.get("MASTERWORKER_STEPS", "12"))
#: No run has so many steps.
NOTHING = 1 << 62
#: A task waits for so long for an outcome that does not come (seconds).
PATIENCE = 0.2


class Job:
    """A manager with tasks, and a worker in this process for them.

    Args:
        happening: What happens.
        step: When.
        between: How many tasks are executed inside the first one, while it waits; each asks for one
            that the first may wait for.
    """

    def __init__(self, happening: Happening, step: int, between: int) -> None:
        self._happening, self._step = happening, step
        self.manager = Manager(on_direct=self._on_settled)
        #: Of the workers: this process is not their own.
        self.context = ProcessContext()
        self.steps = 0
        self.settled: dict[int, int] = {}
        self.links: list[MemoryConnection] = []
        options = Options(timeout=NEVER)
        self.outer = self.manager.request("outer", [dumps_call("it", ())], options, direct=True)
        calls = [dumps_call("it", (i,)) for i in range(between)]
        self.between = self.manager.request("between", calls, direct=True)
        self.expected = {self.outer, *range(self.between, self.between + between)}
        self.workers = 0
        self.lost = ""

    def run(self) -> None:
        """Let workers work, one after the other, until all is done."""
        bound = threading.Timer(HANG / 3, self._give_up)
        bound.daemon = True
        bound.start()
        try:
            while not (self.is_over() or self.lost):
                self.workers += 1
                assert self.workers < 4, "the worker leaves again and again"
                Working(self).run()
        finally:
            sys.settrace(None)
            bound.cancel()
            bound.join()

    def _give_up(self) -> None:
        self.lost = f"it hangs: {self.manager.census()}"
        self.manager.terminate()

    def connect(self) -> MemoryConnection:
        """Make the next connection of the worker."""
        self.links.append(connection(self.manager))
        return self.links[-1]

    def _on_settled(self, finished: list[Any]) -> None:
        for each in finished:
            for task_id in ids_of(Lease(each.task_id, 0, "", getattr(each, "payloads", [b""]))):
                assert task_id not in self.settled, "settled twice"
                self.settled[task_id] = getattr(each, "kind", RESULT)

    def is_over(self) -> bool:
        """All tasks have their outcomes, and nothing is in anybody's hands."""
        core = self.manager.core
        idle = not core.waiting.count and not any(m.in_hand for m in core.members.values())
        return idle and self.expected <= set(self.settled)

    # -- the steps --------------------------------------------------------------------------

    def watch(self) -> None:
        """From here on, count the steps of this thread, and let it happen at one of them."""
        if not self.steps:
            sys.settrace(self._on_call)

    def _on_call(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._on_line if frame.f_code.co_filename.startswith(OURS) else None

    def _on_line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self.steps += 1
            if self.steps == self._step:
                sys.settrace(None)
                self._happening(self)
                return None
        return self._on_line


class Working(Worker):
    """The worker; it leaves when all is done."""

    def __init__(self, job: Job) -> None:
        self.job = job
        super().__init__("any", connect=job.connect, heartbeat=None, context=job.context)

    def wants_to_stop(self) -> bool:
        """Between two tasks."""
        engine = engine_of(self)
        engine.talk.deliver(give_back=False)
        if not engine.talk.session.inside and not engine.hand.leases:
            member = self.job.manager.core.members.get(engine.process_id)
            if member is not None and member.in_hand:
                self.job.lost = f"{member.in_hand} tasks are in the hand of a worker that is idle"
        return self.job.is_over() or bool(self.job.lost)

    def do_outer(self) -> str:
        """Wait; not for ever, since another execution of this may have got the only outcome."""
        self.job.watch()
        try:
            with contextlib.suppress(TimeoutError):
                self.retrieve_result("inner", timeout=PATIENCE)
        finally:
            sys.settrace(None)
        return "outer"

    def do_between(self, number: int) -> int:
        """Something else, which asks for what is waited for."""
        self.request_task("inner")
        return number

    def do_inner(self) -> str:
        """What is waited for."""
        return "inner"


# -- what happens ----------------------------------------------------------------------------------


def cancel(job: Job, task_id: int) -> None:
    """Cancel a task, as a master and the worker's supervisor do it."""
    job.manager.cancel([task_id])
    tell_of_cancelled(job, task_id)


def tell_of_cancelled(job: Job, task_id: int) -> None:
    if job.context.board[scoreboard.TASK] == task_id:
        job.context.board[scoreboard.CANCEL] = task_id
        signal.raise_signal(scoreboard.LOOK)


def cancel_what_waits(job: Job) -> None:
    cancel(job, job.outer)


def cancel_what_is_executed(job: Job) -> None:
    if job.context.board[scoreboard.TASK]:
        cancel(job, job.context.board[scoreboard.TASK])


def cancel_what_comes(job: Job) -> None:
    if job.between in job.expected:
        cancel(job, job.between)


def cancel_without_a_supervisor(job: Job) -> None:
    job.manager.cancel([job.outer])


def cancel_told_late(job: Job) -> None:
    """The supervisor is slow, and tells it twice."""
    job.manager.cancel([job.outer])
    threading.Timer(0.001, os.kill, (os.getpid(), scoreboard.LOOK)).start()
    job.context.board[scoreboard.CANCEL] = job.outer
    with contextlib.suppress(ValueError):
        signal.raise_signal(scoreboard.LOOK)


def time_is_up(job: Job) -> None:
    if job.context.board[scoreboard.DEADLINE]:
        job.context.board[scoreboard.DEADLINE] = 1
        signal.raise_signal(scoreboard.LOOK)


def time_is_up_and_cancelled(job: Job) -> None:
    job.manager.cancel([job.outer])
    time_is_up(job)


def ctrl_c(job: Job) -> None:
    signal.raise_signal(signal.SIGINT)


def terminate(job: Job) -> None:
    signal.raise_signal(signal.SIGTERM)


def lose_connection(job: Job) -> None:
    job.links[-1].close()


def lose_connection_and_cancel(job: Job) -> None:
    job.links[-1].close()
    cancel(job, job.outer)


HAPPENINGS = [
    cancel_what_waits,
    cancel_what_is_executed,
    cancel_what_comes,
    cancel_without_a_supervisor,
    cancel_told_late,
    time_is_up,
    time_is_up_and_cancelled,
    ctrl_c,
    terminate,
    lose_connection,
    lose_connection_and_cancel,
]


@pytest.mark.parametrize("between", [1, 3])
@pytest.mark.parametrize("happening", HAPPENINGS, ids=lambda each: each.__name__)
def test_nothing_is_lost(happening: Happening, between: int) -> None:
    """Every task has its outcome, and the worker goes on or leaves in good order."""
    calm = Job(happening, NOTHING, between)
    calm.run()
    for step in range(1 + random.randrange(SHARE), calm.steps + 1, SHARE):
        job = Job(happening, step, between)
        job.run()
        where = f"{happening.__name__} at step {step} of {calm.steps}"
        assert not job.lost, f"{where}: {job.lost}"
        job.manager.check()
        assert sum(kind == FAILURE for kind in job.settled.values()) <= 1, where


def test_it_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose task can be broken off anywhere loses what it was given in that instant."""
    monkeypatch.setattr(Interrupts, "holding", lambda _: contextlib.nullcontext())
    calm = Job(cancel_what_waits, NOTHING, 1)
    calm.run()
    for step in range(1, calm.steps):
        job = Job(cancel_what_waits, step, 1)
        job.run()
        if job.lost:
            return
    pytest.fail("nothing was ever lost")
