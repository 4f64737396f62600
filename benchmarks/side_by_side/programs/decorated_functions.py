"""Decorators of the script: with `functools.wraps`, with arguments, as a class, on methods."""

import functools

from benchmarks.side_by_side.pools import start

RIGHT = [[6, 6, "work", "What it does."], 8, [1, 2]]


def repeated(times):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args):
            return sum(function(*args) for _ in range(times))

        return wrapper

    return decorate


class Counted:
    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.function = function
        self.calls = 0

    def __call__(self, *args):
        self.calls += 1
        return self.function(*args)


@repeated(times=3)
def work(x):
    """What it does."""
    return x


@Counted
def counted(x):
    return counted.calls


class Thing:
    @repeated(2)
    def double(self, x):
        return x * 2


def all_of(x):
    return [work(x), work.__wrapped__(x) * 3, work.__name__, work.__doc__]


def main():
    with start(workers=1) as pool:
        pool.call(work, 1)
        found = pool.call(all_of, 2)
        return [found, pool.call(Thing().double, 2), [pool.call(counted, i) for i in range(2)]]


if __name__ == "__main__":
    print(repr(main()))
