"""The traceback of a failure in a task shows the line of the script."""

import traceback

from benchmarks.side_by_side.pools import start

RIGHT = [True, True]


def work(x):
    return 1 / x  # the line


def main():
    with start() as pool:
        try:
            pool.call(work, 0)
        except ZeroDivisionError as error:
            told = "".join(traceback.format_exception(error))
            told += "".join(getattr(error, "__notes__", ()))
            return ["return 1 / x  # the line" in told, __file__ in told]


if __name__ == "__main__":
    print(repr(main()))
