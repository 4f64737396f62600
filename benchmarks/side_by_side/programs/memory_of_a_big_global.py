"""A hundred calls of a function that uses an array of 60 MB: the memory of the workers is flat."""

import numpy as np
import psutil
from benchmarks.side_by_side.pools import start

RIGHT = [100, True]
REQUIRES = ("psutil",)
DATA = np.ones(60 << 17)


def other(x):
    return float(DATA[x])


def work(x):
    return other(x)


def memory():
    children = psutil.Process().children(recursive=True)
    return sum(child.memory_full_info().pss for child in children)


def main():
    with start() as pool:
        done = [pool.call(work, i) for i in range(10)]
        before = memory()
        done += [pool.call(work, i) for i in range(90)]
        return [int(sum(done)), memory() - before < 60 << 20]


if __name__ == "__main__":
    print(repr(main()))
