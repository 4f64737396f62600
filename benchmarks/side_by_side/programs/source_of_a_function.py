"""`inspect.getsource` and `inspect.signature` of functions and classes, in a task."""

import inspect

from benchmarks.side_by_side.pools import start

RIGHT = ["def helper(x, *, y=2):", "class Thing:", "(x, *, y=2)", True]


def helper(x, *, y=2):
    return x + y


class Thing:
    pass


def work(_):
    return [
        inspect.getsource(helper).splitlines()[0],
        inspect.getsource(Thing).splitlines()[0],
        str(inspect.signature(helper)),
        inspect.getmodule(helper) is not None,
    ]


def main():
    with start() as pool:
        return pool.call(work, 0)


if __name__ == "__main__":
    print(repr(main()))
