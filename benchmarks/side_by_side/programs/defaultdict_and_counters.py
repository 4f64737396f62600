"""Containers of `collections` with a factory of the script, changed in place between calls."""

import collections

from benchmarks.side_by_side.pools import start

RIGHT = [(0, 1, [1]), (7, 2, [1, 2])]
TABLE = collections.defaultdict(lambda: 0)
COUNTS = collections.Counter("a")
LAST = collections.deque([1], maxlen=2)


def work(_):
    return TABLE["x"], COUNTS["a"], list(LAST)


def main():
    with start() as pool:
        first = pool.call(work, 0)
        TABLE["x"] = 7
        COUNTS["a"] += 1
        LAST.append(2)
        return [first, pool.call(work, 0)]


if __name__ == "__main__":
    print(repr(main()))
