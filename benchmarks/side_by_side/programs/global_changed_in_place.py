"""A dictionary, a list and an array in globals are changed in place between two calls."""

import numpy as np
from benchmarks.side_by_side.pools import start

RIGHT = [(1, 1, 0.0), (2, 2, 5.0)]
SETTINGS = {"factor": 1}
ITEMS = ["a"]
DATA = np.zeros(100_000)


def look(_):
    return SETTINGS["factor"], len(ITEMS), float(DATA.sum())


def main():
    with start() as pool:
        first = pool.call(look, 0)
        SETTINGS["factor"] = 2
        ITEMS.append("b")
        DATA[77] = 5
        return [first, pool.call(look, 0)]


if __name__ == "__main__":
    print(repr(main()))
