"""Futures, loops and masters in asyncio: no thread for a wait, no polling, nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import operator
import os
import signal
import threading
import uuid
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration.conftest import lasting_master
from masterworker import Executor, Master, TaskCancelled, TaskLost, Terminated, UsageError
from masterworker.errors import WorkerStartError
from support import HANG, python_script, start_script, wait_until

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from masterworker import Future


@pytest.fixture(scope="module")
def master() -> Iterator[Master]:
    with lasting_master(2) as made:
        yield made


def run(coroutine: Coroutine[Any, Any, Any], seconds: float = HANG) -> Any:
    """Run it to its end, with a bound, and in debug mode, which finds calls in wrong threads."""
    return asyncio.run(asyncio.wait_for(coroutine, seconds), debug=True)


def hold(begun: str, until: str) -> str:
    """A task that lasts until a file is there."""
    Path(begun).touch()
    wait_until(Path(until).exists, 1000)
    return until


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def do_not_start() -> None:
    raise OSError("no licence")


async def holding(master: Master, folder: Path, go: str = "never") -> Future[str]:
    """A task that runs: the worker imports nothing any more, which must not be broken off."""
    begun = folder / uuid.uuid4().hex
    future = master.submit(hold, str(begun), str(folder / go))
    while not begun.exists():  # noqa: ASYNC110  another process makes it
        await asyncio.sleep(0.01)
    return future


def fail(text: str) -> None:
    raise ValueError(text)


def no_sleepers(master: Master) -> bool:
    return not master._Master__engine.router.sleepers  # type: ignore[attr-defined]


# -- one future -----------------------------------------------------------------------------


def test_a_future_can_be_awaited(master: Master) -> None:
    """Before it is done and afterwards, by several coroutines, in several loops."""
    future = master.submit(pow, 2, 5)

    async def wait() -> int:
        return await future

    async def wait_twice() -> list[int]:
        return await asyncio.gather(wait(), wait(), future)

    assert run(wait_twice()) == [32] * 3
    assert run(wait()) == 32
    assert future.result() == 32
    assert no_sleepers(master)


def test_what_a_task_raises_is_raised(master: Master) -> None:
    """As by `result`; in a group of tasks as well."""

    async def wait() -> None:
        with pytest.raises(ValueError, match="no") as caught:
            await master.submit(fail, "no")
        assert "in fail" in caught.value.__notes__[0]
        found = await asyncio.gather(
            master.submit(fail, "one"), master.submit(abs, -1), return_exceptions=True
        )
        assert isinstance(found[0], ValueError)
        assert found[1] == 1

    run(wait())


def test_a_lost_worker_costs_nothing(master: Master, tmp_path: Path) -> None:
    """And a task that ends them all raises."""

    async def wait() -> None:
        with pytest.raises(TaskLost):
            await master.submit(die)
        assert await master.submit(abs, -2) == 2

    run(wait())


def test_cancelling_the_coroutine_cancels_the_task(master: Master, tmp_path: Path) -> None:
    """One that runs is broken off, as by `Future.cancel`; one that waits is never executed."""

    async def cancel() -> list[Future[str]]:
        futures = [await holding(master, tmp_path), await holding(master, tmp_path)]
        futures.append(master.submit(hold, str(tmp_path / "begun"), str(tmp_path / "never")))
        waiting = [asyncio.ensure_future(each) for each in futures]
        await asyncio.sleep(0)
        for each in reversed(waiting):  # a worker that gets free would take the last one
            each.cancel()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(each) for each in found} == {asyncio.CancelledError}
        return futures

    for future in run(cancel()):
        assert future.cancelled()
        with pytest.raises(TaskCancelled):
            future.result(0.0)
    assert not (tmp_path / "begun").exists()
    assert no_sleepers(master)


def test_a_time_limit_cancels_the_task(master: Master, tmp_path: Path) -> None:
    """With `asyncio.timeout` and with `wait_for`; `shield` keeps it."""

    async def wait() -> None:
        futures = [await holding(master, tmp_path), await holding(master, tmp_path)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await futures[0]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(futures[1], 0.05)
        assert all(each.cancelled() for each in futures)
        kept = await holding(master, tmp_path, "go")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(kept), 0.05)
        (tmp_path / "go").touch()
        assert await kept == str(tmp_path / "go")

    run(wait())


def test_a_group_of_tasks_cancels_the_others(master: Master, tmp_path: Path) -> None:
    """When one of them fails."""
    futures: list[Future[Any]] = []

    async def wait(future: Future[Any]) -> Any:
        return await future

    async def group() -> None:
        futures.append(await holding(master, tmp_path))
        futures.append(master.submit(fail, "no"))
        async with asyncio.TaskGroup() as tasks:
            for future in futures:
                tasks.create_task(wait(future))

    with pytest.raises(ExceptionGroup) as caught:
        run(group())
    assert caught.group_contains(ValueError)
    assert futures[0].cancelled()


def test_a_task_that_is_cancelled_elsewhere(master: Master, tmp_path: Path) -> None:
    """Raises what `result` raises: the coroutine was not cancelled."""

    async def wait() -> None:
        future = await holding(master, tmp_path)
        threading.Thread(target=future.cancel).start()
        with pytest.raises(TaskCancelled):
            await future

    run(wait())


# -- many -----------------------------------------------------------------------------------


def test_10000_awaits_need_no_threads(master: Master) -> None:
    """However many wait at once."""

    async def wait() -> list[int]:
        await master.submit(abs, -1)
        before = threading.active_count()
        waiting = asyncio.gather(*(master.submit(operator.neg, n) for n in range(10_000)))
        await asyncio.sleep(0)
        most = threading.active_count()
        found = await waiting
        assert max(most, threading.active_count()) <= before + 2
        return found

    assert asyncio.run(wait()) == [-n for n in range(10_000)]
    assert no_sleepers(master)


def test_as_completed_in_a_coroutine(master: Master, tmp_path: Path) -> None:
    """Futures come as they are done, cancelled ones too, and others go on meanwhile."""

    async def wait() -> None:
        slow = await holding(master, tmp_path)
        quick = [master.submit(abs, -n) for n in range(100)]
        found = []
        async for future in master.as_completed([slow, *quick]):
            found.append(future)
            if len(found) == 100:
                assert not slow.done()
                asyncio.get_running_loop().call_soon(slow.cancel)
        assert found[100] is slow
        assert set(found) == {slow, *quick}
        held = await holding(master, tmp_path, "go")
        with pytest.raises(TimeoutError, match="1 task is not done after"):
            async for _ in master.as_completed([held], timeout=0.05):
                pass
        (tmp_path / "go").touch()

    run(wait())
    assert no_sleepers(master)


@pytest.mark.parametrize("ordered", [True, False])
def test_map_in_a_coroutine(master: Master, ordered: bool) -> None:
    """Results come as ever, and other coroutines have their turn."""

    async def use() -> None:
        ticks, found = [0], []

        async def tick() -> None:
            while True:
                ticks[0] += 1
                await asyncio.sleep(0)

        ticking = asyncio.ensure_future(tick())
        async for result in master.map(operator.neg, range(30_000), ordered=ordered):
            found.append(result)
            if len(found) == 1:
                ticks[0] = 0
        assert ticks[0] > 100
        ticking.cancel()
        expected = [-n for n in range(30_000)]
        assert (found if ordered else sorted(found, reverse=True)) == expected
        assert [each async for each in master.map(operator.neg, [])] == []
        with pytest.raises(ValueError, match="no"):
            async for _ in master.map(fail, ["no"], ordered=ordered):
                pass
        found = [
            type(each) async for each in master.map(fail, "ab", ordered=ordered, return_errors=True)
        ]
        assert found == [ValueError] * 2
        bar = [each async for each in master.map(operator.neg, [1, 2], progress=True)]
        assert bar == [-1, -2]

    run(use())
    assert no_sleepers(master)


def test_a_map_that_is_cancelled(master: Master, tmp_path: Path) -> None:
    """Its tasks are cancelled, those that run as well; one that waits does not block the loop."""

    async def use() -> None:
        begun = [str(tmp_path / str(n)) for n in range(100)]

        async def loop() -> None:
            async for _ in master.map(hold, begun, [str(tmp_path / "never")] * 100):
                pass

        looping = asyncio.ensure_future(loop())
        while len(list(tmp_path.iterdir())) < 2:  # noqa: ASYNC110, ASYNC240  of other processes
            await asyncio.sleep(0.01)
        looping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looping
        assert await master.submit(abs, -1) == 1

    run(use())
    assert len(list(tmp_path.iterdir())) < 10
    assert no_sleepers(master)


# -- loops ----------------------------------------------------------------------------------


def test_loops_in_several_threads(master: Master) -> None:
    """Each has its own outcomes."""
    found: dict[int, list[int]] = {}

    async def wait(at: int) -> None:
        found[at] = await asyncio.gather(*(master.submit(abs, at * n) for n in range(300)))

    threads = [threading.Thread(target=asyncio.run, args=(wait(at),)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
    assert found == {at: [at * n for n in range(300)] for at in range(4)}
    assert no_sleepers(master)


def test_a_loop_that_is_closed_meanwhile(master: Master, tmp_path: Path) -> None:
    """Nothing of it is left when the outcome comes, and other loops go on."""
    loop = asyncio.new_event_loop()
    future = master.submit(hold, str(tmp_path / "begun"), str(tmp_path / "go"))

    async def wait() -> str:
        return await future

    waiting = loop.create_task(wait())
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    assert not no_sleepers(master)
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    (tmp_path / "go").touch()
    assert future.result(HANG) == str(tmp_path / "go")
    wait_until(lambda: no_sleepers(master))
    gone = weakref.ref(loop)
    waiting.get_coro().close()  # type: ignore[union-attr]
    del loop, waiting
    wait_until(lambda: (gc.collect() and gone() is None) or gone() is None)
    assert run(wait()) == str(tmp_path / "go")


def test_outside_of_asyncio(master: Master, tmp_path: Path) -> None:
    """The error says what to do."""
    future = master.submit(hold, str(tmp_path / "begun"), str(tmp_path / "never"))
    with pytest.raises(UsageError, match=r"trio\.to_thread"):
        future.__await__().send(None)
    future.cancel()


# -- masters and executors ------------------------------------------------------------------


def test_a_master_in_a_coroutine() -> None:
    """It ends in a thread of its own; the loop goes on meanwhile."""

    async def use() -> Master:
        async with Master(workers=1) as master:
            assert await master.submit(abs, -1) == 1
            late = master.submit(abs, -2)
        with pytest.raises(Terminated):
            await late if not late.done() else master.submit(abs, -1)
        return master

    master = run(use())
    assert master.number_of_workers == 0


def test_a_master_that_executes_everything_itself() -> None:
    """Awaiting executes."""

    async def use() -> None:
        async with Master(serial=True) as master:
            futures = [master.submit(abs, -n) for n in range(3)]
            assert await futures[1] == 1
            found = [await each async for each in master.as_completed(futures)]
            assert sorted(found) == [0, 1, 2]
            assert await asyncio.gather(*futures) == [0, 1, 2]

    run(use())


def test_workers_that_cannot_start() -> None:
    """All that is awaited fails, and says why."""

    async def use() -> None:
        async with Master(workers=1, initializer=do_not_start) as master:
            found = await asyncio.gather(
                *(master.submit(abs, -n) for n in range(3)), return_exceptions=True
            )
            assert {type(each) for each in found} == {WorkerStartError}

    run(use(), 3 * HANG)  # five starts


def test_a_master_that_ends_meanwhile() -> None:
    """Whatever is awaited is told at once."""

    async def use() -> None:
        async with Master() as master:
            waiting = [asyncio.ensure_future(master.submit(abs, -n)) for n in range(3)]

            async def loop() -> None:
                async for _ in master.map(abs, range(3)):
                    pass

            waiting.append(asyncio.ensure_future(loop()))
            await asyncio.sleep(0)
            await asyncio.to_thread(master.shutdown)
            found = await asyncio.gather(*waiting, return_exceptions=True)
            assert {type(each) for each in found} == {Terminated}

    run(use())


def test_an_executor_in_a_coroutine() -> None:
    """With `run_in_executor`, whose futures asyncio wraps; no default executor is needed."""

    async def use() -> None:
        loop = asyncio.get_running_loop()
        async with Executor(2) as executor:
            found = await asyncio.gather(
                *(loop.run_in_executor(executor, abs, -n) for n in range(100))
            )
            assert found == list(range(100))
            assert await asyncio.wrap_future(executor.submit(abs, -3)) == 3

    run(use())


def test_calls_of_an_executor_wait_without_threads(tmp_path: Path) -> None:
    """10,000 of them, whatever they bring; a cancelled one is taken back; nothing is left."""

    async def use() -> None:
        loop = asyncio.get_running_loop()
        async with Executor(2) as executor:
            await loop.run_in_executor(executor, abs, -1)
            router = executor._job.engine.router
            there = threading.active_count()
            calls = [loop.run_in_executor(executor, abs, -n) for n in range(10_000)]
            await asyncio.sleep(0)
            assert threading.active_count() <= there + 2
            assert await asyncio.gather(*calls) == list(range(10_000))
            large = [loop.run_in_executor(executor, bytes, 1 << size) for size in (10, 15, 22)]
            assert [len(each) for each in await asyncio.gather(*large)] == [
                1 << 10,
                1 << 15,
                1 << 22,
            ]
            with pytest.raises(ValueError, match="invalid literal"):
                await loop.run_in_executor(executor, int, "x")
            paths = [(str(tmp_path / str(n)), str(tmp_path / "go")) for n in range(8)]
            slow = [loop.run_in_executor(executor, hold, *each) for each in paths]
            slow[-1].cancel()
            (tmp_path / "go").touch()
            *done, cancelled = await asyncio.gather(*slow, return_exceptions=True)
            assert done == [str(tmp_path / "go")] * 7
            assert isinstance(cancelled, asyncio.CancelledError)
            wait_until(lambda: not router.sleepers, what="nothing waits")

    run(use())


def test_a_loop_that_ends_before_a_call_of_an_executor(tmp_path: Path) -> None:
    """What no loop waits for any more is done all the same, and the next loop waits as well."""
    with Executor(1) as executor:

        async def leave() -> None:
            loop = asyncio.get_running_loop()
            loop.run_in_executor(executor, hold, str(tmp_path / "begun"), str(tmp_path / "go"))
            while not (tmp_path / "begun").exists():  # noqa: ASYNC110  another process makes it
                await asyncio.sleep(0.01)

        async def again() -> int:
            return await asyncio.get_running_loop().run_in_executor(executor, abs, -1)

        asyncio.run(leave())
        (tmp_path / "go").touch()
        assert asyncio.run(again()) == 1


def test_ctrl_c_in_a_program(tmp_path: Path) -> None:
    """It ends soon, with KeyboardInterrupt, and leaves no worker."""
    script = python_script(
        tmp_path,
        "program.py",
        """
        import asyncio, time
        from masterworker import Master

        async def main():
            async with Master(workers=2) as master:
                await master.submit(abs, -1)
                futures = [master.submit(time.sleep, 1000) for _ in range(4)]
                print("begun", flush=True)
                await asyncio.gather(*futures)

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        """,
    )
    program = start_script(script)
    program.says("begun")
    program.process.send_signal(signal.SIGINT)
    assert program.wait(HANG) == 0, program.told
    assert "interrupted" in program.out
    assert "Traceback" not in program.err


def test_a_loop_may_go_on_without_asyncio(master: Master) -> None:
    """What is not here yet is waited for there."""
    results = master.map(slowly, range(4))

    async def first() -> int:
        async for result in results:
            return result
        return -1

    assert run(first()) == 0
    assert next(results) == 1
    assert list(results) == [2, 3]


def slowly(number: int) -> int:
    threading.Event().wait(0.1)
    return number
