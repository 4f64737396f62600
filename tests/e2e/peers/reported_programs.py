"""What users of executors and pools have reported of theirs, as programs that must hold here.

Each one names the report: owner/repository#number of the issue or pull request at GitHub.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import joblib
import masterworker.joblib  # noqa: F401  registers the name
from joblib import Parallel, delayed
from masterworker import Executor, Pool, TaskFailed, UnpicklableError
from running import execute

#: No wait takes longer.
HANG = 60


def same(value: Any) -> Any:
    return value


def square(x: int) -> int:
    return x * x


def program_many_tasks_with_data() -> None:
    """python/cpython#105829: the queues were full on both sides, for good."""
    with Executor(2) as executor:
        futures = [executor.submit(same, bytes(1000)) for _ in range(5_000)]
        assert sum(len(future.result(HANG)) for future in futures) == 5_000_000


class RefusesToTravel:
    def __getstate__(self) -> Any:
        raise RuntimeError("not this one")


class CannotBeOpened:
    def __reduce__(self) -> Any:
        return int, ("no number",)


def program_arguments_that_fail_on_their_way() -> None:
    """python/cpython#74734, #3895: a pickle that failed on either side hung the executor."""
    with Executor(1) as executor:
        refused = executor.submit(same, RefusesToTravel())
        assert isinstance(refused.exception(HANG), UnpicklableError)
        opened = executor.submit(same, CannotBeOpened())
        assert opened.exception(HANG) is not None
        returned = executor.submit(CannotBeOpened)
        assert returned.exception(HANG) is not None
        assert executor.submit(same, 1).result(HANG) == 1


def program_shutdown_with_what_cannot_be_sent() -> None:
    """python/cpython#116685, #83285: shutdown hung after failed pickles."""
    for wait in (True, False):
        with Executor(1) as executor:
            futures = [executor.submit(same, threading.Lock()) for _ in range(10)]
            assert all(future.exception(HANG) for future in futures)
            executor.shutdown(wait=wait, cancel_futures=True)


def program_asked_for_and_not_awaited() -> None:
    """python/cpython#105464: an executor for each call, whose future is not awaited."""

    async def once(number: int) -> None:
        with Executor(1) as executor:
            asyncio.get_running_loop().run_in_executor(executor, same, number)

    async def all_of_them() -> None:
        for number in range(3):
            await once(number)

    asyncio.run(all_of_them())


def program_in_the_body_of_a_module() -> None:
    """python/cpython#155890: the import lock of a module that asks while it is imported."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "asks.py").write_text(
            "from masterworker import Executor\n"
            "def square(x):\n"
            "    return x * x\n"
            "if __name__ != '__mp_main__' and not __import__('os').environ.get('ASKED'):\n"
            "    __import__('os').environ['ASKED'] = '1'\n"
            "    with Executor(1) as executor:\n"
            "        print(executor.submit(square, 3).result(60))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", "import asks"], cwd=folder, capture_output=True, text=True,
            timeout=2 * HANG, check=False, env={**os.environ, "PYTHONPATH": folder},
        )  # fmt: skip
        assert done.stdout == "9\n", done


def program_an_iterator_keeps_its_pool() -> None:
    """python/cpython#79559, #79810: the pool was collected while its iterator was used."""
    assert list(Pool(1).imap(square, range(5))) == [0, 1, 4, 9, 16]
    assert sorted(Pool(1).imap_unordered(square, range(3))) == [0, 1, 4]
    assert Pool(1).map_async(square, [3]).get(HANG) == [9]


def program_an_iterator_after_with() -> None:
    """uqfoundation/multiprocess#57: results that are taken after the pool's end hung."""
    with Pool(1) as pool:
        results = pool.imap(square, range(4))
    with contextlib.suppress(concurrent.futures.BrokenExecutor):
        assert set(results) <= {0, 1, 4, 9}


def program_a_bounded_iterator_that_is_left() -> None:
    """python/cpython#155477: close and join hung after some results of a bounded `imap`."""
    pool = Pool(2)
    results = pool.imap(square, range(1000), buffersize=2)
    assert next(results) == 0
    pool.close()
    pool.join()
    assert sum(results) == sum(square(x) for x in range(1000))


class Stuff:
    one, two = 1, 2


class Peculiar(Exception):
    def __init__(self, stuff: Any) -> None:
        super().__init__(stuff.two)


class Counted(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__("one argument")
        self.parts = first, second


def raise_peculiar(_: object) -> None:
    raise Peculiar(Stuff())


def return_counted(x: int) -> Exception:
    return Counted(x, 2)


def program_exceptions_that_pickle_cannot_rebuild() -> None:
    """python/cpython#103061, #79492, agronholm/pythonfutures#30, uqfoundation/multiprocess#33."""
    with Pool(1) as pool:
        try:
            pool.map(raise_peculiar, [1])
        except Peculiar as error:
            assert error.args == (2,)
        else:
            raise AssertionError
        with contextlib.suppress(TaskFailed):  # as a result it fails alone, and is named
            pool.map(return_counted, [1])
        assert pool.apply(square, (2,)) == 4


def fail_at_two(number: int) -> int:
    if number == 2:
        raise ValueError(number)
    time.sleep(0.02)
    return number


def program_as_completed_after_cancelling() -> None:
    """python/cpython#136655: a loop over as_completed hung when shutdown cancelled the rest."""
    with Executor(2) as executor:
        futures = [executor.submit(fail_at_two, number) for number in range(1, 40)]
        seen = 0
        for future in concurrent.futures.as_completed(futures, HANG):
            seen += 1
            if not future.cancelled() and future.exception() is not None:
                executor.shutdown(wait=False, cancel_futures=True)
        assert seen == 39


class Processor:
    def __init__(self) -> None:
        self.step = lambda: 10

    def run(self, task: str) -> str:
        return f"{task} {self.step()}"


def program_a_method_of_an_object_with_a_lambda() -> None:
    """noxdafox/pebble#146: it cannot be pickled by the standard library, which hung."""
    with Executor(1) as executor:
        assert executor.submit(Processor().run, "task").result(HANG) == "task 10"


def program_workers_that_are_replaced() -> None:
    """python/cpython#115634, #115831: none took the place of one that had done its calls."""
    with Executor(1, max_tasks_per_child=2) as executor:
        futures = [executor.submit(os.getpid) for _ in range(7)]
        assert len({future.result(HANG) for future in futures}) >= 4


def program_terminate_in_a_callback() -> None:
    """python/cpython#87129: `terminate` in an error callback hung."""
    ended = threading.Event()
    pool = Pool(1)

    def stop(_: BaseException) -> None:
        pool.terminate()
        ended.set()

    pool.apply_async(fail_at_two, (2,), error_callback=stop)
    assert ended.wait(HANG)
    pool.join()


def program_callbacks_that_raise() -> None:
    """python/cpython#83371, joblib/loky#6: the thread of results died with the callback."""

    def raises(_: object) -> None:
        raise KeyError("in a callback")

    logging.getLogger("masterworker").setLevel(logging.CRITICAL)
    try:
        with Pool(1) as pool:
            first = pool.apply_async(square, (3,), callback=raises)
            second = pool.apply_async(fail_at_two, (2,), error_callback=raises)
            assert first.get(HANG) == 9
            second.wait(HANG)
            assert second.ready()
            assert pool.apply(square, (4,)) == 16
    finally:
        logging.getLogger("masterworker").setLevel(logging.NOTSET)


def touch_later(path: str) -> None:
    time.sleep(0.3)
    Path(path).touch()


def program_a_map_that_ran_out_of_time() -> None:
    """python/cpython#95166: the call that was waited for ran on, since only others were cancelled."""
    with tempfile.TemporaryDirectory() as folder:
        with Executor(1) as executor:
            begun = executor.submit(time.sleep, 3.0)
            while not begun.running():
                time.sleep(0.01)
            paths = [f"{folder}/{number}" for number in range(3)]
            with contextlib.closing(executor.map(touch_later, paths, timeout=0)) as results:
                with contextlib.suppress(TimeoutError):
                    next(results)
        assert os.listdir(folder) == []


def touch(path: str) -> None:
    Path(path).touch()


def program_a_map_whose_results_are_not_wanted() -> None:
    """python/cpython#136578: without an iteration all calls are made; after one the rest is not."""
    with tempfile.TemporaryDirectory() as folder:
        executor = Executor(1)
        for tens in range(3):
            executor.map(touch, [f"{folder}/{tens}{ones}" for ones in range(5)])
        executor.shutdown(wait=True)
        assert len(os.listdir(folder)) == 15


class Marked(Exception):
    """Can be referred to weakly."""


def raise_marked() -> None:
    raise Marked("x")


def program_errors_without_cycles() -> None:
    """python/cpython#80111, #131701: an error referred to its future, and that to the error."""
    gc.collect()
    gc.disable()
    try:
        with Executor(1) as executor:
            future: Any = executor.submit(raise_marked)
            try:
                future.result(HANG)
            except Marked as error:
                told = weakref.ref(error)
            known = weakref.ref(future)
            del future
            assert known() is None
            executor.submit(same, 1).result(HANG)  # those that are done are forgotten then
            assert told() is None
            with Pool(master=executor._job.master) as pool:
                asked: Any = pool.apply_async(raise_marked)
                with contextlib.suppress(Marked):
                    asked.get(HANG)
                known = weakref.ref(asked._call)
                del asked
                assert known() is None
    finally:
        gc.enable()


def stop_iterating() -> None:
    raise StopIteration


def program_stop_iteration_in_a_call() -> None:
    """agronholm/anyio#475, langchain-ai/langchain#22997: it left the future pending for ever."""

    async def main() -> None:
        with Executor(1) as executor:
            try:
                await asyncio.wait_for(
                    asyncio.get_running_loop().run_in_executor(executor, stop_iterating), HANG
                )
            except (TaskFailed, RuntimeError) as error:
                assert "StopIteration" in str(error)
            else:
                raise AssertionError

    asyncio.run(main())


def program_cancelled_while_it_waits() -> None:
    """noxdafox/pebble#154: calls whose awaiting coroutine is cancelled before they begin."""

    async def main(path: str) -> None:
        loop = asyncio.get_running_loop()
        with Executor(1) as executor:
            first = loop.run_in_executor(executor, time.sleep, 3.0)
            second = loop.run_in_executor(executor, touch, path)
            await asyncio.sleep(0.1)
            second.cancel()
            await first

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(f"{folder}/touched"))
        assert os.listdir(folder) == []


def program_many_results_in_any_order() -> None:
    """joblib/joblib#1788: the set of jobs changed while it was looked at."""
    with joblib.parallel_config(backend="masterworker", n_jobs=2):
        found = Parallel(return_as="generator_unordered", batch_size=1)(
            delayed(square)(x) for x in range(1500)
        )
        assert sum(found) == sum(map(square, range(1500)))


chunk = ""


def with_chunk(number: int) -> str:
    return f"{chunk} {number}"


def program_a_global_that_changes_between_calls() -> None:
    """joblib/joblib#836: workers of earlier calls kept the first value."""
    global chunk  # noqa: PLW0603  that is what is replayed
    with joblib.parallel_config(backend="masterworker", n_jobs=2):
        for chunk in ("a", "b", "c"):  # noqa: PLW2901
            assert Parallel()(delayed(with_chunk)(n) for n in range(4)) == [
                f"{chunk} {n}" for n in range(4)
            ]


def program_a_timeout_in_any_order() -> None:
    """joblib/joblib#1586: `timeout` had no effect with "generator_unordered"."""
    with joblib.parallel_config(backend="masterworker", n_jobs=2):
        try:
            list(
                Parallel(timeout=0.3, return_as="generator_unordered")(
                    delayed(time.sleep)(seconds) for seconds in (0, 50)
                )
            )
        except Exception as error:
            assert "Timeout" in type(error).__name__  # noqa: PT017
        else:
            raise AssertionError


logger = logging.getLogger("of_the_script")


def logs(number: int) -> int:
    logger.info("called with %d", number)
    return number


def program_a_logger_with_an_open_file() -> None:
    """joblib/joblib#706: a function whose module has a file that is open for appending."""
    with tempfile.TemporaryDirectory() as folder:
        handler = logging.FileHandler(f"{folder}/log", mode="a")
        logger.addHandler(handler)
        try:
            with joblib.parallel_config(backend="masterworker", n_jobs=2):
                assert Parallel()(delayed(logs)(n) for n in range(3)) == [0, 1, 2]
        finally:
            logger.removeHandler(handler)
            handler.close()


def in_a_script(body: str) -> subprocess.CompletedProcess[str]:
    """Execute a program of its own; it must end."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.py")
        script.write_text(body)
        return subprocess.run(
            [sys.executable, script], capture_output=True, text=True, timeout=2 * HANG, check=False
        )


def program_pools_that_are_never_closed() -> None:
    """python/cpython#122930, EleutherAI/lm-evaluation-harness#3135: the program did not end."""
    done = in_a_script(
        "from masterworker import Pool\n"
        "class A:\n"
        "    def __init__(self):\n"
        "        self.pool = Pool(1)\n"
        "a, b = A(), A()\n"
        "print(a.pool.map(abs, [-1]), b.pool.map(abs, [-2]))\n"
    )
    assert (done.returncode, done.stdout) == (0, "[1] [2]\n"), done


def program_an_error_ends_the_program() -> None:
    """ipython/ipython#13653: an error in a `map` of a pool that is not closed hung the program."""
    done = in_a_script(
        "from masterworker import Pool\ndef f(i):\n    return 1 // i\nPool(1).map(f, range(10))\n"
    )
    assert done.returncode == 1, done
    assert "ZeroDivisionError" in done.stderr


def program_submit_when_the_interpreter_ends() -> None:
    """python/cpython#113964 and others: a late call raises the standard text, and nothing hangs."""
    done = in_a_script(
        "import atexit, threading\n"
        "from masterworker import Executor\n"
        "executor = Executor(1)\n"
        "def late():\n"
        "    try:\n"
        "        executor.submit(abs, -1)\n"
        "    except RuntimeError as error:\n"
        "        print(error)\n"
        "atexit.register(late)\n"
        "print(executor.submit(abs, -3).result(60))\n"
    )
    assert done.returncode == 0, done
    assert done.stdout == "3\ncannot schedule new futures after interpreter shutdown\n", done


def program_futures_do_not_travel() -> None:
    """A future of an executor in an argument: one clear error, as that of the standard library."""
    with Executor(1) as executor:
        first = executor.submit(same, 1)
        second = executor.submit(same, first)
        assert isinstance(second.exception(HANG), (UnpicklableError, TypeError, pickle.PickleError))


if __name__ == "__main__":
    execute(globals())
