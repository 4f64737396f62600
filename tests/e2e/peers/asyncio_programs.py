"""Programs for `loop.run_in_executor` with processes, as their users write them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import os
import sys
import time
from typing import Any

from running import execute

if sys.argv[1] == "masterworker":
    from masterworker import Executor
else:
    from concurrent.futures import ProcessPoolExecutor as Executor  # type: ignore[assignment]


def blocking(seconds: float, value: Any) -> Any:
    time.sleep(seconds)
    return value


def cpu_bound() -> int:
    return sum(i * i for i in range(10**5))


def bad(number: int) -> float:
    return 1 / number


def program_the_example_of_the_documentation() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Executor() as pool:
            print("custom process pool", await loop.run_in_executor(pool, cpu_bound))

    asyncio.run(main())


def program_many_at_once() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Executor(2) as pool:
            tasks = [loop.run_in_executor(pool, pow, 2, n) for n in range(50)]
            print(sum(await asyncio.gather(*tasks)))

    asyncio.run(main())


def program_a_bound_on_what_is_under_way() -> None:
    async def main() -> None:
        loop, limit = asyncio.get_running_loop(), asyncio.Semaphore(3)
        with Executor(2) as pool:

            async def one(number: int) -> int:
                async with limit:
                    return await loop.run_in_executor(pool, abs, -number)

            print(await asyncio.gather(*map(one, range(20))))

    asyncio.run(main())


def program_errors() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Executor(2) as pool:
            try:
                await loop.run_in_executor(pool, bad, 0)
            except ZeroDivisionError as error:
                print("raised", error)
            found = await asyncio.gather(
                *(loop.run_in_executor(pool, bad, n) for n in (1, 0, 2)), return_exceptions=True
            )
            print(found)

    asyncio.run(main())


def program_a_group() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Executor(2) as pool:

            async def one(number: int) -> float:
                return await loop.run_in_executor(pool, bad, number)

            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(one(1))
                    group.create_task(one(0))
            except* ZeroDivisionError as errors:
                print(errors.exceptions)

    asyncio.run(main())


def program_time_limits() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Executor(1) as pool:
            try:
                await asyncio.wait_for(loop.run_in_executor(pool, blocking, 0.5, 1), 0.05)
            except TimeoutError:
                print("late")
            try:
                async with asyncio.timeout(0.05):
                    await loop.run_in_executor(pool, blocking, 0.5, 1)
            except TimeoutError:
                print("late again")
            print(await loop.run_in_executor(pool, blocking, 0, "still works"))

    asyncio.run(main())


def program_the_default_stays() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Executor(1) as pool:
            here = await loop.run_in_executor(None, os.getpid)
            there = await loop.run_in_executor(pool, os.getpid)
            print(here == os.getpid(), there == os.getpid())
            print(await asyncio.to_thread(pool.submit(abs, -3).result))

    asyncio.run(main())


def program_the_loop_goes_on() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ticks = 0
        with Executor(1) as pool:
            future = loop.run_in_executor(pool, blocking, 0.3, "done")
            while not future.done():
                ticks += 1
                await asyncio.sleep(0.01)
        print(future.result(), ticks > 3)

    asyncio.run(main())


def program_wait_and_as_completed() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Executor(2) as pool:
            run = functools.partial(loop.run_in_executor, pool, blocking)
            done, pending = await asyncio.wait(
                [run(0.5, "slow"), run(0, "fast")], return_when=asyncio.FIRST_COMPLETED
            )
            print(len(done) >= 1, sorted(await asyncio.gather(*done, *pending)))
            found = [await each for each in asyncio.as_completed([run(0, n) for n in range(3)])]
            print(sorted(found))

    asyncio.run(main())


def program_a_queue_of_work() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[int] = asyncio.Queue()
        found = []
        for number in range(8):
            queue.put_nowait(number)
        with Executor(2) as pool:

            async def consume() -> None:
                while not queue.empty():
                    found.append(await loop.run_in_executor(pool, pow, queue.get_nowait(), 2))

            await asyncio.gather(consume(), consume())
        print(sorted(found))

    asyncio.run(main())


def program_several_loops_one_after_the_other() -> None:
    async def once(pool: concurrent.futures.Executor, number: int) -> int:
        return await asyncio.get_running_loop().run_in_executor(pool, abs, number)

    with Executor(1) as pool:
        print([asyncio.run(once(pool, -n)) for n in range(3)])


if __name__ == "__main__":
    execute(globals())
