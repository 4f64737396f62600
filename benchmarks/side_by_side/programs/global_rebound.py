"""A global gets a new value between two calls."""

from benchmarks.side_by_side.pools import start

RIGHT = [3, 6]
FACTOR = 1


def times(x):
    return FACTOR * x


def main():
    global FACTOR
    with start() as pool:
        first = pool.call(times, 3)
        FACTOR = 2
        return [first, pool.call(times, 3)]


if __name__ == "__main__":
    print(repr(main()))
