"""Named tuples with methods and defaults, and one whose name differs from its variable's."""

import collections
import typing

from benchmarks.side_by_side.pools import start

RIGHT = [True, 5.0, "Pair(left=1, right=2)", True]


class Point(typing.NamedTuple):
    x: float
    y: float = 4.0

    def norm(self):
        return (self.x**2 + self.y**2) ** 0.5


Couple = collections.namedtuple("Pair", "left right")


def work(point):
    return Point(3.0), point.norm(), repr(Couple(1, 2)), isinstance(point, Point)


def main():
    with start() as pool:
        made, norm, text, same = pool.call(work, Point(3.0))
    return [type(made) is Point, norm, text, same]


if __name__ == "__main__":
    print(repr(main()))
