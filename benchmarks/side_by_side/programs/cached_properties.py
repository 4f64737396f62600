"""A cached property of an object in a global is computed once in each worker."""

import functools

from benchmarks.side_by_side.pools import start

RIGHT = [[1, 1], [42, 42]]


class Model:
    computed = 0

    @functools.cached_property
    def weight(self):
        Model.computed += 1
        return 42


MODEL = Model()


def work(_):
    return MODEL.weight, Model.computed


def main():
    with start(workers=1) as pool:
        found = [pool.call(work, i) for i in range(2)]
    return [[count for _, count in found], [weight for weight, _ in found]]


if __name__ == "__main__":
    print(repr(main()))
