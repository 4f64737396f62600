"""Default arguments and attributes of functions, changed in place between calls."""

from benchmarks.side_by_side.pools import start

RIGHT = [(1, "a"), (2, "b")]


def work(_, known=[1]):
    return len(known), work.label


work.label = "a"


def main():
    with start() as pool:
        first = pool.call(work, 0)
        work.__defaults__[0].append(2)
        work.label = "b"
        return [first, pool.call(work, 0)]


if __name__ == "__main__":
    print(repr(main()))
