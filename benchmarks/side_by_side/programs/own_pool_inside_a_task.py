"""A task starts workers in the same way as the script, with a function of the script."""

from benchmarks.side_by_side.pools import start

RIGHT = [2, 4, 6]
FACTOR = 2


def times(x):
    return FACTOR * x


def work(items):
    with start(workers=1) as inner:
        return inner.map(times, items)


def main():
    with start(workers=1) as pool:
        return pool.call(work, [1, 2, 3])


if __name__ == "__main__":
    print(repr(main()))
