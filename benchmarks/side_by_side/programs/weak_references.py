"""A table of weak references, and an object that another global refers to weakly."""

import weakref

from benchmarks.side_by_side.pools import start

RIGHT = True


class Part:
    pass


PART = Part()
KNOWN = weakref.WeakValueDictionary(part=PART)


def work(_):
    return KNOWN["part"] is PART


def main():
    with start() as pool:
        try:
            return pool.call(work, 0)
        except Exception as error:
            return "KNOWN" in str(error)


if __name__ == "__main__":
    print(repr(main()))
