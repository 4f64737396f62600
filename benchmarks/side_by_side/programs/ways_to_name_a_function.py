"""Partial functions, bound methods, class methods, objects that can be called, lambdas."""

import functools
import operator

from benchmarks.side_by_side.pools import start

RIGHT = [5, 6, "Scale", 8, 9, 10, 3]


class Scale:
    def __init__(self, factor):
        self.factor = factor

    def apply(self, x):
        return self.factor * x

    @classmethod
    def name(cls, _):
        return cls.__name__

    @staticmethod
    def eight(_):
        return 8

    def __call__(self, x):
        return self.factor + x


def add(x, y):
    return x + y


def main():
    with start() as pool:
        return [
            pool.call(functools.partial(add, 2), 3),
            pool.call(Scale(2).apply, 3),
            pool.call(Scale.name, 0),
            pool.call(Scale.eight, 0),
            pool.call(Scale(4), 5),
            pool.call(lambda x: add(x, 1), 9),
            pool.call(operator.itemgetter(1), [2, 3]),
        ]


if __name__ == "__main__":
    print(repr(main()))
