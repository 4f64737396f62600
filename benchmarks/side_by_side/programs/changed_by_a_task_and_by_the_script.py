"""A task sets a global in its worker; afterwards the script sets it: the newer value counts."""

from benchmarks.side_by_side.pools import start

RIGHT = [["task", "task"], "script"]
VALUE = "first"


def write(_):
    global VALUE
    VALUE = "task"
    return VALUE


def read(_):
    return VALUE


def main():
    global VALUE
    with start(workers=1) as pool:
        found = [pool.call(write, 0), pool.call(read, 0)]
        VALUE = "script"
        return [found, pool.call(read, 0)]


if __name__ == "__main__":
    print(repr(main()))
