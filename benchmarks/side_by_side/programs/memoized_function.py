"""A function with `functools.lru_cache` remembers, from task to task of a worker."""

import functools

from benchmarks.side_by_side.pools import start

RIGHT = [1, 1, 1]
CALLS = []


@functools.cache
def load(name):
    CALLS.append(name)
    return name


def work(_):
    load("a")
    return len(CALLS)


def main():
    with start(workers=1) as pool:
        return [pool.call(work, i) for i in range(3)]


if __name__ == "__main__":
    print(repr(main()))
