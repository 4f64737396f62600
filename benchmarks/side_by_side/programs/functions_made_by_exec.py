"""Functions that were made by `exec`, `eval` and in an `if`, and again with another text."""

from benchmarks.side_by_side.pools import start

RIGHT = [2, 10, 3, 4]
BASE = 1
exec("def made(x):\n    return BASE + x")
evaluated = eval("lambda x: 10 * x * BASE")
if BASE > 0:

    def chosen(x):
        return x + 2

else:

    def chosen(x):
        return x - 2


def main():
    with start() as pool:
        found = [pool.call(made, 1), pool.call(evaluated, 1), pool.call(chosen, 1)]
        exec("def made(x):\n    return BASE + 2 + x", globals())
        return [*found, pool.call(made, 1)]


if __name__ == "__main__":
    print(repr(main()))
