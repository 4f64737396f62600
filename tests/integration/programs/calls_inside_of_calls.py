"""What a program does with calls inside of calls. Prints one line for each; `check` compares."""

import dataclasses
import itertools
import sys

from masterworker import Executor, Master, Pool, current_worker

OFFSET = 1


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


def square(x):
    return x * x + OFFSET - 1


def fibonacci(n):
    if n < 2:
        return n
    worker = current_worker()
    one, two = worker.submit(fibonacci, n - 1), worker.submit(fibonacci, n - 2)
    return one.result() + two.result()


def leaves(depth):
    return 1 if depth == 0 else sum(current_worker().map(leaves, [depth - 1] * 2))


def fails(x):
    if x == 3:
        raise ValueError(f"not {x}")
    return x


def fails_inside():
    results = current_worker().map(fails, range(6))
    seen = [next(results) for _ in range(3)]
    try:
        next(results)
    except ValueError as error:
        return seen, str(error)


def takes_some():
    squares = current_worker().map(square, itertools.count())
    first = list(itertools.islice(squares, 5))
    squares.close()
    return first


def moved(point, *, by):
    return Point(point.x + by, point.y)


def moves():
    return current_worker().submit(moved, Point(1), by=2).result()


def two_at_one_time():
    worker = current_worker()
    return list(zip(worker.map(square, range(9)), worker.map(fibonacci, range(9)), strict=True))


def drops():
    worker = current_worker()
    worker.submit(square, 3)
    return worker.submit(square, 4).result()


def by_executor(executor, count):
    return sum(executor.map(square, range(count))), executor.submit(square, 5).result()


def by_pool(pool, count):
    return (
        sum(pool.map(square, range(count))),
        pool.starmap(pow, [(2, 3), (3, 2)]),
        list(pool.imap(square, range(3))),
        sum(pool.imap_unordered(square, range(300))),
        pool(square, [2]),
    )


def refuses():
    try:
        current_worker().submit(square, current_worker().submit(square, 1)).result()
    except Exception as error:
        return type(error).__name__


def too_deep(depth):
    return 0 if depth == 0 else 1 + current_worker().submit(too_deep, depth - 1).result()


def main(workers):
    with Master(workers=workers) as master:
        print(master.submit(fibonacci, 8).result())
        print(list(master.map(leaves, range(5))))
        print(master.submit(fails_inside).result())
        print(master.submit(takes_some).result())
        print(master.submit(moves).result())
        print(master.submit(two_at_one_time).result()[-1])
        print(list(master.map(lambda _: drops(), range(3))))
        print(master.submit(too_deep, 30).result())
        print(master.submit(refuses).result())
    with Executor(workers) as executor:
        print(executor.submit(by_executor, executor, 10).result())
    with Pool(workers) as pool:
        print(pool.apply(by_pool, (pool, 10)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
