"""Settings are attributes of a class of the script, changed in place between calls."""

from benchmarks.side_by_side.pools import start

RIGHT = [(1, 1), (2, 5)]


class Settings:
    factor = 1
    limits = {"low": 1}


def work(_):
    return Settings.factor, Settings.limits["low"]


def main():
    with start() as pool:
        first = pool.call(work, 0)
        Settings.factor = 2
        Settings.limits["low"] = 5
        return [first, pool.call(work, 0)]


if __name__ == "__main__":
    print(repr(main()))
