"""Functions in a table in a global, as arguments, and as results."""

from benchmarks.side_by_side.pools import start

RIGHT = [4, 9, True, 5, 6]
OFFSET = 0


def double(x):
    return 2 * x + OFFSET


def square(x):
    return x * x + OFFSET


TABLE = {"double": double, "square": square}


def work(name, x):
    return TABLE[name](x)


def apply(function, x):
    return function(x)


def choose(name):
    return TABLE[name]


def main():
    global OFFSET
    with start() as pool:
        found = [
            pool.call(work, "double", 2),
            pool.call(work, "square", 3),
            pool.call(choose, "double") is double,
        ]
        OFFSET = 1
        return [*found, pool.call(work, "double", 2), pool.call(apply, TABLE["double"], 2) + 1]


if __name__ == "__main__":
    print(repr(main()))
