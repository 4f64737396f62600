"""A global is deleted after the first call; the second one must not find it."""

from benchmarks.side_by_side.pools import start

RIGHT = [1, "name 'VALUE' is not defined"]
VALUE = 1


def work(_):
    return VALUE


def main():
    global VALUE
    with start() as pool:
        first = pool.call(work, 0)
        del VALUE
        try:
            return [first, pool.call(work, 0)]
        except NameError as error:
            return [first, str(error).splitlines()[0]]


if __name__ == "__main__":
    print(repr(main()))
