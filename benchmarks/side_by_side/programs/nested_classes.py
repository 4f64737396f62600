"""Classes inside classes, and a class inside a function, as results."""

from benchmarks.side_by_side.pools import start

RIGHT = [True, True, 3]


class Outer:
    class Inner:
        class Deepest:
            value = 3

    def __init__(self):
        self.inner = self.Inner()


def work(_):
    return Outer(), Outer.Inner.Deepest()


def main():
    with start() as pool:
        outer, deepest = pool.call(work, 0)
    return [type(outer.inner) is Outer.Inner, type(deepest) is Outer.Inner.Deepest, deepest.value]


if __name__ == "__main__":
    print(repr(main()))
