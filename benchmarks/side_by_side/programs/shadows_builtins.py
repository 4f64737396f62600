"""A global shadows a builtin, and is deleted later: then the builtin counts again."""

from benchmarks.side_by_side.pools import start

RIGHT = ["mine", 3, "mine"]


def sum(items):
    return "mine"


def work(items):
    return sum(items)


def main():
    global sum
    with start() as pool:
        found, mine = [pool.call(work, [1, 2])], sum
        del sum
        found.append(pool.call(work, [1, 2]))
        sum = mine
        return [*found, pool.call(work, [1, 2])]


if __name__ == "__main__":
    print(repr(main()))
