"""No interleaving of four threads loses a future's end; bugs that are planted are found."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis.stateful import run_state_machine_as_test

from masterworker.core.task import CANCELLED, Finished
from masterworker.executor.job import Job
from masterworker.master import callbacks, future
from masterworker.master.callbacks import Callbacks
from masterworker.master.results import ResultRouter
from races import machine
from races.search import search

if TYPE_CHECKING:
    from races.machine import Stage

Plant = Callable[[pytest.MonkeyPatch, list[Any]], None]

pytestmark = pytest.mark.search


@pytest.mark.timeout(300)
def test_each_future_ends_once() -> None:
    """The long form is `make races`."""
    with machine.staged() as stage:
        run_state_machine_as_test(machine.races_on(stage), settings=search(1_000))


def lock_around(lock: Callable[[Stage], Any]) -> Plant:
    """A lock of ours is held while a callback runs."""

    def plant(patch: pytest.MonkeyPatch, stages: list[Stage]) -> None:
        call = callbacks._call

        def held(callback: Any, argument: Any) -> None:
            with lock(stages[0]):
                call(callback, argument)

        patch.setattr(callbacks, "_call", held)

    return plant


def cancel_only_said(patch: pytest.MonkeyPatch, _stages: list[Stage]) -> None:
    """`cancel` says that it has cancelled, and nothing else happens."""
    patch.setattr(Job, "cancel_waiting", lambda _job, _futures: True)


def cancel_not_delivered(patch: pytest.MonkeyPatch, _stages: list[Stage]) -> None:
    """The future of a task that was cancelled is not told."""
    arrive = ResultRouter.arrive

    def lossy(router: ResultRouter, finished: Any) -> None:
        arrive(router, [each for each in finished if getattr(each, "kind", "") != CANCELLED])

    patch.setattr(ResultRouter, "arrive", lossy)


def called_twice(patch: pytest.MonkeyPatch, _stages: list[Stage]) -> None:
    """Each callback is run twice."""
    post = Callbacks.post

    def twice(self: Callbacks, callback: Any, argument: Any) -> None:
        post(self, callback, argument)
        post(self, callback, argument)

    patch.setattr(Callbacks, "post", twice)


def result_twice(patch: pytest.MonkeyPatch, _stages: list[Stage]) -> None:
    """When a result has been delivered, the one before it gets that as well."""
    to_futures = ResultRouter._to_futures
    before: list[Any] = []

    def again(router: ResultRouter, first: int, payloads: Any, worker: str) -> None:
        task = router.futures.get(first)
        to_futures(router, first, payloads, worker)
        if task is not None:
            for each in before:
                each._outcome = task._outcome
            before[:] = [task]

    patch.setattr(ResultRouter, "_to_futures", again)


def result_after_cancelling(patch: pytest.MonkeyPatch, _stages: list[Stage]) -> None:
    """A future that was cancelled gets a result after all."""
    cancel = ResultRouter.arrive

    def arrive(router: ResultRouter, finished: Any) -> None:
        lost = [
            (router.futures.get(each.task_id), each)
            for each in finished
            if isinstance(each, Finished) and each.kind == CANCELLED
        ]
        cancel(router, finished)
        for task, _ in lost:
            if task is not None:
                task._notify()
                task._value, task._error, task._outcome = -1, None, future._OPENED

    patch.setattr(ResultRouter, "arrive", arrive)


# Where a lock is held, it may be another thread that first says so.
HELD = "a lock is held|TimeoutError|hangs"
NO_END = "shutdown hangs|has no end|TimeoutError"
WRONG = "is not the call's number|and is|executed 0 times"
#: How to plant each, and what the search says then.
BUGS: dict[str, tuple[Plant, str]] = {
    "the manager's lock around callbacks": (lock_around(lambda at: at.engine.manager.guard), HELD),
    "the watchers' lock around callbacks": (
        lock_around(lambda at: at.engine.router.watching),
        HELD,
    ),
    "the callbacks' lock around callbacks": (
        lock_around(lambda at: at.engine.router.callbacks._lock),
        HELD,
    ),
    "a cancel that is only said": (cancel_only_said, "cancel said that it never runs"),
    "a cancel that is not delivered": (cancel_not_delivered, NO_END),
    "a callback that is called twice": (called_twice, "a callback of .* raised|called twice"),
    "a result that is delivered twice": (result_twice, WRONG),
    "a result after cancelling": (result_after_cancelling, WRONG),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the rounds of the search above."""
    plant, expected = BUGS[bug]
    if expected in (HELD, NO_END):  # it is found by a wait that has no end: a short one
        monkeypatch.setattr(machine, "HANG", 2.0)
        monkeypatch.setattr(machine, "ANSWER", 0.5)
    stages: list[Stage] = []
    with pytest.MonkeyPatch.context() as planted:
        plant(planted, stages)
        with pytest.raises((Exception, BaseExceptionGroup)):  # or that it did not come again
            _search_on_a_new_stage(stages)
    assert re.search(expected, " ".join(stages[0].found)), stages[0].found


def _search_on_a_new_stage(stages: list[Stage]) -> None:
    with machine.staged() as stage:
        stages.append(stage)
        run_state_machine_as_test(machine.races_on(stage), settings=search(1_000))
