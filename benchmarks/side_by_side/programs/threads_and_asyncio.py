"""Tasks use threads and `asyncio`, with functions and globals of the script."""

import asyncio
import concurrent.futures

from benchmarks.side_by_side.pools import start

RIGHT = [[2, 4, 6], [2, 4]]
FACTOR = 2


def times(x):
    return FACTOR * x


async def slowly(x):
    await asyncio.sleep(0.001)
    return times(x)


async def all_of(items):
    return await asyncio.gather(*map(slowly, items))


def work(items):
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        found = list(threads.map(times, items))
    return [found, asyncio.run(all_of(items[:2]))]


def main():
    with start() as pool:
        return pool.call(work, [1, 2, 3])


if __name__ == "__main__":
    print(repr(main()))
