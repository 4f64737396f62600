"""Programs for `multiprocessing.Pool`, as their users write them."""

from __future__ import annotations

import functools
import itertools
import math
import multiprocessing
import operator
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from running import execute, told

if sys.argv[1] == "masterworker":
    from masterworker import Pool
else:
    Pool = multiprocessing.get_context("fork").Pool  # type: ignore[misc]


def f(x: int) -> int:
    return x * x


def program_the_first_example() -> None:
    with Pool(5) as p:
        print(p.map(f, [1, 2, 3]))


def program_the_second_example() -> None:
    with Pool(processes=4) as pool:
        print(pool.map(f, range(10)))
        print(sorted(pool.imap_unordered(f, range(10))))
        res = pool.apply_async(f, (20,))
        print(res.get(timeout=60))
        several = [pool.apply_async(os.getpid, ()) for _ in range(4)]
        print(len({each.get(timeout=60) for each in several}) <= 4)
        late = pool.apply_async(time.sleep, (10,))
        try:
            late.get(timeout=0.2)
        except multiprocessing.TimeoutError:
            print("We lacked patience and got a multiprocessing.TimeoutError")


def inside(seed: int) -> int:
    rng = random.Random(seed)
    return sum(math.hypot(rng.random(), rng.random()) < 1 for _ in range(1000))


def program_pi() -> None:
    with Pool(2) as pool:
        print(sum(pool.map(inside, range(20))) / 20_000 * 4)


def work(args: tuple[str, int]) -> str:
    name, times = args
    return name * times


def program_arguments_in_tuples() -> None:
    jobs = [("a", 3), ("b", 2)]
    with Pool(2) as pool:
        print(pool.map(work, jobs), pool.starmap(operator.mul, jobs))
        print(pool.starmap(f, [(2,)]), pool.map(functools.partial(pow, 2), range(4)))
        told(pool.starmap, f, [1])
        told(pool.starmap, pow, [(1,)])


def program_a_progress_line() -> None:
    done = 0
    with Pool(2) as pool:
        for _ in pool.imap_unordered(f, range(50), chunksize=5):
            done += 1
    print(done)


def collatz(number: int) -> tuple[int, int]:
    steps, at = 0, number
    while at != 1:
        at = at // 2 if at % 2 == 0 else 3 * at + 1
        steps += 1
    return steps, number


def program_the_best_of_many() -> None:
    with Pool(2) as pool:
        print(max(pool.imap(collatz, range(1, 2000), chunksize=100)))


log: list[Any] = []


def program_callbacks_collect() -> None:
    log.clear()
    pool = Pool(3)
    for number in range(6):
        pool.apply_async(divided, (number,), callback=log.append, error_callback=log.append)
    pool.map_async(f, range(3), callback=log.append)
    pool.close()
    pool.join()
    print(sorted(map(repr, log)))


def divided(number: int) -> float:
    return 6 / (number % 3)


def program_an_error_in_a_map() -> None:
    with Pool(2) as pool:
        told(pool.map, divided, range(6))
        result = pool.map_async(divided, [1, 2])
        result.wait(60)
        print(result.ready(), result.successful(), result.get())
        told(pool.apply, divided, (3,))
        told(pool.apply, divided)


def program_errors_in_the_middle_of_imap() -> None:
    with Pool(2) as pool:
        results = pool.imap(divided, [1, 3, 2])
        told(next, results)
        told(next, results)
        told(next, results)
        told(results.next)


table: dict[str, int] = {}


def fill(**values: int) -> None:
    table.update(values)


def look(name: str) -> int | None:
    return table.get(name)


def program_state_from_an_initializer() -> None:
    table.clear()
    with Pool(2, initializer=functools.partial(fill, a=1, b=2)) as pool:
        print(pool.map(look, ["a", "b", "c"]), table)


def set_global(value: int) -> None:
    table["late"] = value


def program_initargs() -> None:
    with Pool(1, set_global, (42,)) as pool:
        print(pool.apply(look, ("late",)))


def program_a_worker_for_few_calls() -> None:
    with Pool(1, maxtasksperchild=1) as pool:
        pids = [pool.apply(os.getpid) for _ in range(3)]
    print(len(set(pids)))


def program_nothing_to_do() -> None:
    with Pool(2) as pool:
        print(pool.map(f, []), pool.map(f, iter(())), list(pool.imap(f, ())), pool.starmap(f, []))
        empty = pool.map_async(f, [])
        empty.wait(60)
        print(empty.ready(), empty.get())


def program_items_that_fail() -> None:
    def items() -> Any:
        yield 1
        raise RuntimeError("no more")

    with Pool(2) as pool:
        told(pool.map, f, items())
        results = pool.imap(f, items())
        told(next, results)
        told(next, results)
        told(pool.map, f, 5)
        told(pool.map, None, [1])


def program_states_of_a_pool() -> None:
    pool = Pool(1)
    print(pool.map(f, [1]))
    told(pool.join)
    pool.close()
    told(pool.map, f, [1])
    told(pool.apply_async, f, (1,))
    told(pool.__enter__)
    pool.join()
    pool.close()
    pool.join()
    pool.terminate()
    told(Pool, 0)
    told(Pool, -1)
    told(Pool, 1, maxtasksperchild=0)
    told(Pool, 1, initializer=3)


def program_results_outlive_the_pool() -> None:
    with Pool(2) as pool:
        result = pool.map_async(f, range(5))
        result.wait(60)
        single = pool.apply_async(f, (3,))
        single.wait(60)
    print(result.get(), single.get(), single.successful())


def touch(path: str) -> None:
    Path(path).touch()


def program_left_to_itself() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pool = Pool(2)
        for number in range(10):
            pool.apply_async(touch, (f"{folder}/{number}",))
        pool.close()
        pool.join()
        print(sorted(path.name for path in Path(folder).iterdir()))


def matrix(size: int) -> list[list[int]]:
    return [[row * column for column in range(size)] for row in range(size)]


def dot(row: list[int], columns: list[list[int]]) -> list[int]:
    return [sum(map(operator.mul, row, column)) for column in columns]


def program_rows_of_a_matrix() -> None:
    columns = list(zip(*matrix(30), strict=True))
    with Pool(2) as pool:
        product = pool.map(functools.partial(dot, columns=columns), matrix(30))
    print(product[7][:3], sum(map(sum, product)))


def program_islice_of_imap() -> None:
    with Pool(2) as pool:
        print(list(itertools.islice(pool.imap(f, range(1000)), 3)))
        print(next(pool.imap_unordered(f, [4])))


def program_larger_values() -> None:
    with Pool(2) as pool:
        print([len(each) for each in pool.map(bytes, [10, 1_000_000, 3])])
        print(pool.map(len, [b"x" * 2_000_000, [0] * 100_000]))


def report(queue: Any, lock: Any, counts: Any, name: str) -> int:
    queue.put(name)
    with lock:
        counts[name] = counts.get(name, 0) + 1
    return len(name)


def program_a_manager() -> None:
    with multiprocessing.Manager() as manager, Pool(2) as pool:
        queue, lock, counts = manager.Queue(), manager.Lock(), manager.dict()
        print(pool.map(functools.partial(report, queue, lock, counts), ["a", "bb", "a"]))
        print(sorted(queue.get(timeout=60) for _ in range(3)), sorted(counts.items()))


counted: Any = None


def count(number: int) -> None:
    counted.append(number)


def program_a_manager_in_a_global() -> None:
    global counted
    with multiprocessing.Manager() as manager:
        counted = manager.list()
        with Pool(2) as pool:
            pool.map(count, range(5))
        print(sorted(counted))
    counted = None


shared: list[Any] = []


def keep(*values: Any) -> None:
    shared[:] = values


def append(number: int) -> int:
    shared[0].append(number)
    shared[1].total += number
    shared[2].wait(60)
    return len(shared)


def program_a_manager_for_an_initializer() -> None:
    with multiprocessing.Manager() as manager:
        numbers, space, gate = manager.list(), manager.Namespace(total=0), manager.Event()
        with Pool(1, keep, (numbers, space, gate)) as pool:
            result = pool.map_async(append, range(4))
            gate.set()
            print(result.get(60), list(numbers), space.total)


def shout(word: str) -> str:
    print("in a task:", word)
    return word.upper()


def program_calls_that_print() -> None:
    with Pool(1) as pool:
        result = pool.map(shout, ["a", "b"])
        pool.close()
        pool.join()
    print(result)


if __name__ == "__main__":
    execute(globals())
