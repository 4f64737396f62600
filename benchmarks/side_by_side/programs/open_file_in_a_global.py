"""An open file in a global: it works, or the error names the variable."""

from benchmarks.side_by_side.pools import start

RIGHT = True
RESULTS = open(__file__)


def work(x):
    return x if RESULTS.readable() else 0


def main():
    with start() as pool:
        try:
            return pool.call(work, 1) == 1
        except Exception as error:
            return "RESULTS" in str(error)


if __name__ == "__main__":
    print(repr(main()))
