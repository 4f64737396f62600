"""Moments at which two things happen at once, and one of them used to get lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from masterworker import Master, UsageError, wire
from masterworker.core.task import RESULT, Outcome
from masterworker.data import outcome
from masterworker.manager import Manager
from masterworker.master import engine_of
from support import unique_label, wait_until


def _join(manager: Manager, tags: list[str], name: str) -> int:
    return manager.join(wire.introduce(name, tags, None, name)).member_id


def test_an_outcome_and_a_task_in_one_instant_are_both_accounted_for() -> None:
    """Who waits for either gets one; what nobody gets is in a queue, not in limbo."""
    manager = Manager()
    helper, other = _join(manager, ["a"], "helper"), _join(manager, ["a"], "other")
    manager.request("a", [b"1", b"2"])
    leases = [
        *manager.exchange(wire.Exchange(other, want=1)).leases,
        *manager.exchange(wire.Exchange(other, want=1)).leases,
    ]
    got: list[tuple[int, int]] = []

    def wait() -> None:
        finished, lent = manager.collect(helper, wait=5.0, lend=1)
        got.append((len(finished), len(lent)))

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: list(manager.core.results.claims))
    done = Outcome(leases[0].task_id, leases[0].attempt, RESULT, [b"r"])
    manager.exchange(wire.Exchange(other, [done], returned=[leases[1].task_id]))
    thread.join(10.0)

    assert got == [(1, 0)]
    assert manager.census().waiting == {"a": 1}
    manager.check()


def test_two_loops_over_the_same_handles_both_end() -> None:
    """One `as_completed` does not take the news from another."""
    with Master(serial=True) as master:
        futures = [master.submit(abs, -i) for i in range(5)]
        first, second = master.as_completed(futures), master.as_completed(futures)
        seen = [next(first), next(second)]
        seen += [*first, *second]
    assert sorted(future.result() for future in seen) == sorted([*range(5), *range(5)])


def test_ctrl_c_while_a_result_is_opened_does_not_spoil_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interruption was for the one who waited, not for the task."""
    with Master(serial=True, handlers={"twice": lambda x: 2 * x}) as master:
        future = master.submit(abs, -7)
        engine_of(master).router.wait_until(future.done, 5.0)
        master.request_task("twice", 4)

        def interrupted(_: bytes) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(outcome, "open_payload", interrupted)
            with pytest.raises(KeyboardInterrupt):
                future.result()
            with pytest.raises(KeyboardInterrupt):
                master.retrieve_result()
        assert future.result() == 7
        assert master.retrieve_result(timeout=5.0)[2] == 8


@pytest.mark.parametrize("workers", [-1, "2", None])
def test_a_nonsensical_number_of_workers_leaves_the_label_free(workers: object) -> None:
    """It is refused before anything is opened."""
    label = unique_label()
    with pytest.raises(UsageError, match="workers must be a number"):
        Master(label, workers=workers)  # type: ignore[arg-type]
    Master(label).shutdown()


def test_a_slow_source_does_not_keep_map_from_beginning() -> None:
    """The first task is under way before the second item is drawn."""

    with Master(workers=1) as master:
        gate = threading.Event()

        def source():
            yield 1
            gate.wait(30.0)
            yield 2

        results = []

        def run() -> None:
            results.extend(master.map(abs, source()))

        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: master.status().delivered == 1)
        gate.set()
        thread.join(30.0)
        assert results == [1, 2]


def test_a_connection_comes_while_workers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread notes it without the lock under which the end of a job counts them."""
    manager = Manager()
    here = _join(manager, ["a"], "worker")
    manager.remote.add(here)

    class Members(dict[int, Any]):
        def __contains__(self, key: object) -> bool:
            manager.remote.add(len(manager.remote) + 1_000)  # as another thread would
            return super().__contains__(key)

    monkeypatch.setattr(manager.core, "members", Members(manager.core.members))
    assert manager.remote_workers() == {here}
