"""Several threads ask, each for a function with a value of its own."""

import concurrent.futures

from benchmarks.side_by_side.pools import start

RIGHT = True


def task_for(number):
    values = list(range(number))

    def work(x):
        return number * x + len(values)

    return work


def main():
    with start() as pool, concurrent.futures.ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(pool.call, task_for(n), 10) for n in range(30)]
        return [each.result() for each in asked] == [11 * n for n in range(30)]


if __name__ == "__main__":
    print(repr(main()))
