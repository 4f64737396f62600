"""Two globals are views of one array; a task writes to one, and reads the other."""

import numpy as np
from benchmarks.side_by_side.pools import start

RIGHT = 5.0
DATA = np.zeros((100, 100))
ROW = DATA[7]


def work(_):
    ROW[3] = 5
    return float(DATA.sum())


def main():
    with start() as pool:
        return pool.call(work, 0)


if __name__ == "__main__":
    print(repr(main()))
