"""Programs for joblib, as their users write them."""

from __future__ import annotations

import collections
import itertools
import math
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from joblib import Memory, Parallel, delayed, parallel_config
from running import execute, told

KIND = sys.argv[1]
if KIND == "masterworker":
    import masterworker.joblib  # noqa: F401  registers the name


def backend() -> Any:
    return parallel_config(backend=KIND, n_jobs=2)


def program_the_first_example() -> None:
    with backend():
        print(Parallel()(delayed(math.sqrt)(i**2) for i in range(10)))


def program_several_results() -> None:
    with backend():
        whole, part = zip(*Parallel()(delayed(math.modf)(i / 2.0) for i in range(4)), strict=True)
    print(whole, part)


def program_a_pool_that_is_used_again() -> None:
    with backend(), Parallel() as parallel:
        accumulator, counted = 0.0, 0
        while accumulator < 100:
            accumulator += sum(parallel(delayed(math.sqrt)(accumulator + i) for i in range(5)))
            counted += 1
    print(round(accumulator, 6), counted)


def fail(number: int) -> int:
    if number == 3:
        raise ValueError("three", number)
    return number


def program_an_error() -> None:
    with backend():
        told(lambda: Parallel()(delayed(fail)(n) for n in (1, 2, 3)))
        print(Parallel()(delayed(fail)(n) for n in (1, 2)))


def program_results_as_they_come() -> None:
    with backend():
        ordered = Parallel(return_as="generator")(delayed(fail)(n) for n in (2, 1, 0))
        print(type(ordered).__name__, list(ordered))
        free = Parallel(return_as="generator_unordered")(delayed(fail)(n) for n in (2, 1, 0))
        print(sorted(free))
        some = Parallel(return_as="generator")(delayed(fail)(n) for n in (2, 3, 0))
        told(lambda: list(some))


def program_a_generator_that_is_left() -> None:
    with backend():
        results = Parallel(return_as="generator")(delayed(fail)(n % 3) for n in range(100))
        print(next(results), next(results))
        results.close()
        print(list(Parallel()(delayed(fail)(n) for n in (1,))))


def total(array: Any) -> float:
    return float(array.sum())


def program_large_arrays() -> None:
    array = np.arange(300_000.0).reshape(300, 1000)
    with backend():
        print(Parallel()(delayed(total)(array[i::2]) for i in range(2)))
        print(Parallel()(delayed(total)(each) for each in (array, array.T)), total(array))


def change(array: Any) -> str:
    try:
        array[0] = 1
    except ValueError as error:
        return str(error)
    return "changed"


def program_arrays_are_read_only() -> None:
    with backend():
        large = np.zeros(500_000)
        print(Parallel()(delayed(change)(large) for _ in range(2)), large[0])
        print(Parallel(max_nbytes=None)(delayed(change)(large) for _ in range(2)), large[0])
        print(Parallel()(delayed(change)(np.zeros(3)) for _ in range(2)))


def fill(array: Any, index: int) -> None:
    array[index] = index * 10


def program_results_in_a_mapped_file() -> None:
    with tempfile.TemporaryDirectory() as folder, backend():
        path = os.path.join(folder, "out")
        out = np.memmap(path, dtype="float64", shape=5, mode="w+")
        Parallel()(delayed(fill)(out, index) for index in range(5))
        print(list(out))


def inner(number: int) -> int:
    return number + 1


def outer(number: int) -> list[int]:
    found: list[int] = Parallel(n_jobs=2)(delayed(inner)(number * 10 + i) for i in range(3))
    return found


def program_calls_inside_of_calls() -> None:
    with backend():
        print(Parallel()(delayed(outer)(n) for n in range(3)))


def slow(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def program_a_timeout() -> None:
    with backend():
        try:
            Parallel(timeout=0.3)(delayed(slow)(each) for each in (0.0, 20.0))
        except Exception as error:
            print(isinstance(error, TimeoutError), type(error).__name__)
        print(Parallel()(delayed(slow)(0.0) for _ in range(2)))


def program_numbers_of_jobs() -> None:
    with backend():
        told(lambda: Parallel(n_jobs=0)(delayed(inner)(1) for _ in range(1)))
        print(Parallel(n_jobs=1)(delayed(inner)(n) for n in range(3)))
        print(Parallel(n_jobs=-1)(delayed(inner)(n) for n in range(3)))
        print(joblib.effective_n_jobs(3), joblib.effective_n_jobs(None))
        print(Parallel()([]), list(Parallel(return_as="generator")([])))


def program_lambdas_and_closures() -> None:
    base = 7
    with backend():
        print(Parallel()(delayed(lambda x: x + base)(n) for n in range(3)))


class Estimator:
    def __init__(self, depth: int) -> None:
        self.depth = depth

    def fit(self, data: list[int]) -> Estimator:
        self.mean_ = sum(data) / len(data) * self.depth
        return self


def program_objects_that_learn() -> None:
    with backend():
        fitted = Parallel()(delayed(Estimator(n).fit)([1, 2, 3]) for n in range(3))
    print([each.mean_ for each in fitted], type(fitted[0]).__name__)


def program_items_on_demand() -> None:
    drawn: list[int] = []

    def items() -> Any:
        for number in itertools.count():
            if number == 40:
                return
            drawn.append(number)
            yield delayed(inner)(number)

    with backend():
        print(sum(Parallel(pre_dispatch="2*n_jobs", batch_size=1)(items())), len(drawn))
        told(lambda: Parallel()(delayed(inner)(1 // (2 - n)) for n in range(5)))


def cached(number: int) -> int:
    return number * 2


def program_a_cache_on_the_disk() -> None:
    with tempfile.TemporaryDirectory() as folder, backend():
        memory = Memory(folder, verbose=0)
        function = memory.cache(cached)
        print(Parallel()(delayed(function)(n) for n in (1, 2, 1, 2)))
        print(
            Parallel()(delayed(function)(n) for n in (1, 2)), len(list(Path(folder).rglob("*.pkl")))
        )


def program_needs_shared_memory() -> None:
    seen: list[int] = []
    with backend():
        Parallel(require="sharedmem")(delayed(seen.append)(n) for n in range(4))
    print(sorted(seen))


def program_counted() -> None:
    words = ["b", "a", "b"]
    with backend():
        print(
            sum(Parallel()(delayed(collections.Counter)(w) for w in words), collections.Counter())
        )


def program_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with backend():
            print(Parallel(batch_size=2)(delayed(inner)(n) for n in range(7)))


if __name__ == "__main__":
    execute(globals())
