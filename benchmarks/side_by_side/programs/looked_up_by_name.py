"""A task looks globals up by name: `globals()`, `sys.modules[__name__]`, `__main__`, `eval`."""

import sys

from benchmarks.side_by_side.pools import start

RIGHT = [1, 2, 3, 4]
FIRST, SECOND, THIRD, FOURTH = 1, 2, 3, 4


def work(_):
    import __main__

    return [
        globals()["FIRST"],
        sys.modules[__name__].SECOND,
        __main__.THIRD,
        eval("FOURTH"),
    ]


def main():
    with start() as pool:
        return pool.call(work, 0)


if __name__ == "__main__":
    print(repr(main()))
