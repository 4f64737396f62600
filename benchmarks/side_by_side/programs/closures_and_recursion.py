"""Closures that share a variable, a recursive closure, functions that call one another."""

from benchmarks.side_by_side.pools import start

RIGHT = [3, 120, True, 30]


def make_counter():
    count = 0

    def add():
        nonlocal count
        count += 1
        return count

    def value():
        return count

    return add, value


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def work(functions):
    add, value = functions
    for _ in range(3):
        add()
    return value()


def main():
    def factorial(n):
        return 1 if n == 0 else n * factorial(n - 1)

    factor = 2
    with start() as pool:
        found = [pool.call(work, make_counter()), pool.call(factorial, 5), pool.call(even, 100)]
        scaled = lambda x: factor * x  # noqa: E731
        factor = 3
        return [*found, pool.call(scaled, 10)]


if __name__ == "__main__":
    print(repr(main()))
