"""A generator with a seed in a global: two tasks of one worker do not get the same numbers."""

import random

from benchmarks.side_by_side.pools import start

RIGHT = 4
GENERATOR = random.Random(1)


def draw(_):
    return GENERATOR.random()


def main():
    with start(workers=1) as pool:
        return len(set(pool.map(draw, range(4))))


if __name__ == "__main__":
    print(repr(main()))
