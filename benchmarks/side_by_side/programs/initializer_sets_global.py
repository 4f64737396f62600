"""An initializer sets a global, which tasks use."""

from benchmarks.side_by_side.pools import start

RIGHT = [11, 12, 13]
CONNECTION = None


def connect():
    global CONNECTION
    CONNECTION = 10


def use(x):
    return CONNECTION + x


def main():
    with start(initializer=connect) as pool:
        return pool.map(use, [1, 2, 3])


if __name__ == "__main__":
    print(repr(main()))
