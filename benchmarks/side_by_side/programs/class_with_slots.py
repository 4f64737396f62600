"""Objects of a class with slots, with a private one and a weak reference, go and come back."""

from benchmarks.side_by_side.pools import start

RIGHT = [True, True, 7]


class Point:
    __slots__ = ("__hidden", "__weakref__", "x")

    def __init__(self, x, hidden):
        self.x = x
        self.__hidden = hidden

    def hidden(self):
        return self.__hidden

    def __getstate__(self):
        return self.x, self.__hidden

    def __setstate__(self, state):
        self.x, self.__hidden = state


def work(point):
    point.x += 1
    return point, hasattr(point, "__dict__")


def main():
    with start() as pool:
        point, has_dict = pool.call(work, Point(1, 7))
    return [type(point) is Point, not has_dict and point.x == 2, point.hidden()]


if __name__ == "__main__":
    print(repr(main()))
