"""An object that is pickled to other bytes each time, and one whose state has an age."""

import itertools
import uuid

from benchmarks.side_by_side.pools import start

RIGHT = [[1, 1], [2, 1]]


class Strange:
    counter = itertools.count()

    def __init__(self):
        self.value = 1

    def __getstate__(self):
        return {"value": self.value, "id": uuid.uuid4().hex}


STRANGE = Strange()
WORDS = {"b", "a", "c", "d"}


def work(_):
    return [STRANGE.value, len(WORDS) // 4]


def main():
    with start() as pool:
        first = pool.call(work, 0)
        STRANGE.value = 2
        return [first, pool.call(work, 0)]


if __name__ == "__main__":
    print(repr(main()))
