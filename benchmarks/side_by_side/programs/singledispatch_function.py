"""A generic function, for which a further class is registered after the first call."""

import functools

from benchmarks.side_by_side.pools import start

RIGHT = ["something", "text", "a number"]


@functools.singledispatch
def describe(value):
    return "something"


@describe.register
def _(value: str):
    return "text"


def work(value):
    return describe(value)


def main():
    with start() as pool:
        found = [pool.call(work, 1), pool.call(work, "a")]
        describe.register(int, lambda value: "a number")
        return [*found, pool.call(work, 1)]


if __name__ == "__main__":
    print(repr(main()))
