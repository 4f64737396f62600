"""Unseeded generators give other numbers in each worker."""

import os
import random
import time

import numpy as np
from benchmarks.side_by_side.pools import start

RIGHT = [True, True]


def draw(_):
    time.sleep(0.2)
    return os.getpid(), random.random(), np.random.random()


def main():
    random.random(), np.random.random()
    with start() as pool:
        found = pool.map(draw, range(8))
    return [len({x for _, x, _ in found}) == 8, len({x for _, _, x in found}) == 8]


if __name__ == "__main__":
    print(repr(main()))
