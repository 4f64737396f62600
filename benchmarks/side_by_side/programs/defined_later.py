"""A global that a function uses is defined after the first call, which has failed."""

from benchmarks.side_by_side.pools import start

RIGHT = ["NameError", 5]


def work(_):
    return LATER


def main():
    global LATER
    with start() as pool:
        try:
            pool.call(work, 0)
        except NameError as error:
            name = type(error).__name__
        LATER = 5
        return [name, pool.call(work, 0)]


if __name__ == "__main__":
    print(repr(main()))
