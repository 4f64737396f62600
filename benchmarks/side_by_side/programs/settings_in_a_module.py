"""The script sets an attribute of a module that it has imported; tasks read it there."""

import decimal
import string

from benchmarks.side_by_side.pools import start

RIGHT = ["mine", 5]


def work(_):
    return [string.digits, decimal.DefaultContext.prec]


def main():
    string.digits = "mine"
    decimal.DefaultContext.prec = 5
    with start() as pool:
        return pool.call(work, 0)


if __name__ == "__main__":
    print(repr(main()))
