"""Context managers of the script, by `contextlib.contextmanager`, that set and restore a global."""

import contextlib

from benchmarks.side_by_side.pools import start

RIGHT = ["usual", "other", "usual"]
STATE = "usual"


@contextlib.contextmanager
def state(value):
    global STATE
    before, STATE = STATE, value
    try:
        yield
    finally:
        STATE = before


def look():
    return STATE


def work(_):
    found = [look()]
    with state("other"):
        found.append(look())
    return [*found, look()]


def main():
    with start() as pool:
        return pool.call(work, 0)


if __name__ == "__main__":
    print(repr(main()))
