"""A function and a method of the script are replaced after the first call."""

from benchmarks.side_by_side.pools import start

RIGHT = [("old", "old", 1), ("new", "new", 2)]


def helper():
    return "old"


class Tool:
    level = 1

    def name(self):
        return "old"


def work(tool):
    return helper(), tool.name(), Tool.level


def main():
    global helper
    with start() as pool:
        first = pool.call(work, Tool())
        helper = lambda: "new"  # noqa: E731
        Tool.name = lambda self: "new"
        Tool.level = 2
        return [first, pool.call(work, Tool())]


if __name__ == "__main__":
    print(repr(main()))
