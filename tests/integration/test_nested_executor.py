"""An executor inside of its own calls: `submit` asks for further tasks there, with one worker."""

from __future__ import annotations

import concurrent.futures
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from masterworker import Executor
from support import HANG, lasting, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    """With one worker: what waits there has to execute what it waits for."""
    with Executor(1) as made:
        lasting.add(made._job.master.label)
        yield made


def fail(text: str) -> None:
    raise ValueError(text)


def fibonacci(executor: Any, number: int) -> int:
    if number < 2:
        return number
    parts = [executor.submit(fibonacci, executor, number - each) for each in (1, 2)]
    return sum(part.result() for part in parts)


def waits(executor: Any) -> list[Any]:
    futures = [executor.submit(abs, -number) for number in range(5)]
    done, left = concurrent.futures.wait(futures)
    first = concurrent.futures.wait(
        [executor.submit(abs, -7)], return_when=concurrent.futures.FIRST_COMPLETED
    )
    completed = concurrent.futures.as_completed([executor.submit(abs, -n) for n in range(3)])
    return [len(done), len(left), len(first.done), sorted(each.result() for each in completed)]


def until_allowed(folder: str, name: str) -> str:
    Path(folder, f"begun {name}").touch()
    wait_until(Path(folder, f"allowed {name}").exists, HANG)
    return name


def begun(folder: str, name: str) -> None:
    wait_until(Path(folder, f"begun {name}").exists, HANG)


def gives_up(executor: Any, folder: str) -> list[Any]:
    """Wait in each way for a call that another worker executes, and that does not end."""
    found: list[Any] = []
    long = executor.submit(until_allowed, folder, "a")
    begun(folder, "a")
    done, left = concurrent.futures.wait([long], timeout=0.1)
    found.append((len(done), len(left)))
    for limit in (0.1, 0):
        with pytest.raises(TimeoutError):
            list(concurrent.futures.as_completed([long], timeout=limit))
        with pytest.raises(TimeoutError):
            long.result(timeout=limit)
        with pytest.raises(TimeoutError):
            long.exception(timeout=limit)
    others = [executor.submit(abs, -1), executor.submit(int, "7"), executor.submit(abs, -2)]
    first = concurrent.futures.wait([long, *others], return_when=concurrent.futures.FIRST_COMPLETED)
    found.append(long in first.not_done and len(first.done) >= 1)
    done, left = concurrent.futures.wait([long, *others], timeout=1)
    found.append(left == {long})
    order = concurrent.futures.as_completed([long, *others])
    found.append({next(order).result() for _ in others})
    assert "pending" in repr(long)
    Path(folder, "allowed a").touch()
    found += [next(order).result(), next(order, None), long.done(), long.result(0)]
    failed = concurrent.futures.wait(
        [executor.submit(fail, "x"), executor.submit(abs, -1)],
        timeout=HANG,
        return_when=concurrent.futures.FIRST_EXCEPTION,
    )
    found.append(sum(each.exception() is not None for each in failed.done))
    return found


def beside_a_thread(executor: Any, folder: str) -> list[Any]:
    """Futures of threads of the task, and of further tasks, are waited for together."""
    long = executor.submit(until_allowed, folder, "b")
    begun(folder, "b")
    with ThreadPoolExecutor(1) as threads:
        there = threads.submit(abs, -5)
        first = concurrent.futures.wait(
            [long, there], HANG, return_when=concurrent.futures.FIRST_COMPLETED
        )
        found = [long in first.not_done]
        event = threading.Event()
        late = threads.submit(event.wait, HANG)
        Path(folder, "allowed b").touch()
        all_but = concurrent.futures.wait([long, late], 1.0)
        found.append(late in all_but.not_done)
        event.set()
        found.append(not concurrent.futures.wait([long, late], HANG).not_done)
    return found


def many(executor: Any) -> int:
    futures = [executor.submit(abs, -number) for number in range(300)]
    return sum(each.result() for each in concurrent.futures.as_completed(futures, HANG))


def calls_back(executor: Any) -> list[int]:
    found: list[int] = []
    future = executor.submit(abs, -3)
    future.add_done_callback(lambda each: found.append(each.result()))
    return found


def asks_whether_done(executor: Any) -> int:
    future = executor.submit(abs, -4)
    assert future.running()
    assert not future.cancel()
    wait_until(future.done)
    assert not future.running()
    result: int = future.result(0)
    return result


def ends(executor: Any, path: str) -> bool:
    with executor:
        for number in range(600):
            executor.submit(int, number)
        executor.submit(Path.mkdir, Path(path))
    return Path(path).is_dir()


def in_a_thread(executor: Any) -> int:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: executor.submit(abs, -6).result()).result()


def errors(executor: Any) -> list[str]:
    lock, raised = executor.submit(id, threading.Lock()), executor.submit(fail, "no")
    return [type(lock.exception()).__name__, repr(raised.exception())]


def test_calls_inside_of_calls_to_some_depth(executor: Executor) -> None:
    """Each with a reference to the executor, which is sent along."""
    assert executor.submit(fibonacci, executor, 7).result(HANG) == 13


def test_the_standard_library_waits_for_futures(executor: Executor) -> None:
    """As it does for those of other executors."""
    assert executor.submit(waits, executor).result(HANG) == [5, 0, 1, [0, 1, 2]]
    assert executor.submit(calls_back, executor).result(HANG) == [3]


def test_time_limits_of_waits_inside_of_a_task(tmp_path: Path) -> None:
    """They count, while another worker has what is waited for; one after the other is found."""
    with Executor(2) as executor:
        found = executor.submit(gives_up, executor, str(tmp_path)).result(HANG)
        assert found == [(0, 1), True, True, {1, 7, 2}, "a", None, True, "a", 1]
        assert executor.submit(beside_a_thread, executor, str(tmp_path)).result(HANG) == [True] * 3


def test_many_that_are_completed_one_after_the_other(executor: Executor) -> None:
    """By the worker that waits for them."""
    assert executor.submit(many, executor).result(HANG) == sum(range(300))


def test_asking_whether_a_call_is_done_gets_it_done(executor: Executor) -> None:
    """A loop that asks would not end else."""
    assert executor.submit(asks_whether_done, executor).result(HANG) == 4


def test_its_end_waits_for_what_was_asked_for(executor: Executor, tmp_path: Any) -> None:
    """Also where no future was kept."""
    assert executor.submit(ends, executor, str(tmp_path / "made")).result(HANG)


def test_a_thread_of_a_task_executes_what_it_asks_for(executor: Executor) -> None:
    """It would wait for the task that waits for it."""
    assert executor.submit(in_a_thread, executor).result(HANG) == 6


def test_what_fails_is_its_futures_own(executor: Executor) -> None:
    """What cannot be sent as well."""
    found = executor.submit(errors, executor).result(HANG)
    assert found == ["UnpicklableError", "ValueError('no')"]
