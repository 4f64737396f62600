"""A task starts a `multiprocessing.Pool` with a function of the script."""

import multiprocessing

from benchmarks.side_by_side.pools import start

RIGHT = [1, 4, 9]
POWER = 2


def power(x):
    return x**POWER


def work(items):
    with multiprocessing.Pool(2) as inner:
        return inner.map(power, items)


def main():
    with start() as pool:
        return pool.call(work, [1, 2, 3])


if __name__ == "__main__":
    print(repr(main()))
