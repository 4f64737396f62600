"""A lock in a global: it works, or the error names the variable."""

import threading

from benchmarks.side_by_side.pools import start

RIGHT = True
GUARD = threading.Lock()


def work(x):
    with GUARD:
        return x


def main():
    with start() as pool:
        try:
            return pool.call(work, 1) == 1
        except Exception as error:
            return "GUARD" in str(error)


if __name__ == "__main__":
    print(repr(main()))
