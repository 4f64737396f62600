"""A task starts a spawning process pool of `concurrent.futures` with a function of the script."""

import concurrent.futures
import multiprocessing

from benchmarks.side_by_side.pools import start

RIGHT = [1, 4, 9]
POWER = 2


def power(x):
    return x**POWER


def work(items):
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as inner:
        return list(inner.map(power, items))


def main():
    with start() as pool:
        return pool.call(work, [1, 2, 3])


if __name__ == "__main__":
    print(repr(main()))
