"""Programs for `ProcessPoolExecutor`, as their users write them."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import csv
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import io
import itertools
import json
import math
import multiprocessing
import operator
import os
import pathlib
import re
import string
import sys
import tempfile
import threading
import time
import traceback
import uuid
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from running import execute, told

if sys.argv[1] == "masterworker":
    from masterworker import Executor
else:
    from concurrent.futures import ProcessPoolExecutor as Executor  # type: ignore[assignment]


def is_prime(number: int) -> bool:
    if number < 2:
        return False
    return all(number % each for each in range(2, math.isqrt(number) + 1))


def program_primes() -> None:
    """The example of the standard library's own documentation, with numbers that take less long."""
    numbers = [1000000007, 1000000009, 1000000021, 1000000033, 1000036000099]
    with Executor() as executor:
        for number, prime in zip(numbers, executor.map(is_prime, numbers), strict=True):
            print(f"{number} is prime: {prime}")


def digest(path: str) -> tuple[str, str]:
    return pathlib.Path(path).name, hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def program_digests_of_files() -> None:
    with tempfile.TemporaryDirectory() as folder, Executor(2) as executor:
        for number in range(5):
            pathlib.Path(folder, f"{number}.txt").write_text("x" * number)
        futures = [executor.submit(digest, str(path)) for path in pathlib.Path(folder).iterdir()]
        found = dict(f.result() for f in concurrent.futures.as_completed(futures))
        print(sorted(found.items()))


def count_words(text: str) -> collections.Counter[str]:
    return collections.Counter(re.findall(r"\w+", text.lower()))


def program_counted_words() -> None:
    texts = ["The cat sat on the mat", "the dog", "A cat and a dog", ""]
    with Executor(2) as executor:
        total = sum(executor.map(count_words, texts), collections.Counter())
    print(total.most_common(3), type(total).__name__)


@dataclass
class Order:
    name: str
    price: decimal.Decimal
    when: datetime.datetime
    tags: list[str] = field(default_factory=list)


def taxed(order: Order) -> Order:
    return Order(order.name, order.price * decimal.Decimal("1.19"), order.when, [*order.tags, "t"])


def program_records_go_and_come() -> None:
    when = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
    with Executor(1) as executor:
        found = executor.submit(taxed, Order("a", decimal.Decimal("10.00"), when)).result()
    print(found, isinstance(found, Order))


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Point(NamedTuple):
    x: float
    y: float = 0.0


def same(value: Any) -> Any:
    return value


def program_values_of_many_kinds() -> None:
    values = [
        Colour.BLUE, Point(1.5), fractions.Fraction(1, 3), uuid.UUID(int=7), 1 + 2j, b"\0\xff",
        frozenset((1, 2)), range(3, 9, 2), slice(1, None), datetime.timedelta(1), float("inf"),
        10**50, "\ud800", None, ..., collections.OrderedDict(a=1), collections.deque([1], 3),
        bytearray(b"x"), memoryview, int, math.sqrt, Colour, ValueError("x"), re.compile("a+"),
        pathlib.PurePosixPath("/a/b"), itertools.count, operator.itemgetter(1)([1, 2]), -0.0, True,
    ]  # fmt: skip
    with Executor(2) as executor:
        for value, back in zip(values, executor.map(same, values), strict=True):
            print(repr(back) == repr(value), type(back) is type(value), end=" ")
    print()


def slow_square(number: int) -> int:
    time.sleep(0.01 * (3 - number))
    return number * number


def program_as_they_complete() -> None:
    with Executor(2) as executor:
        jobs = {executor.submit(slow_square, number): number for number in range(4)}
        for future in concurrent.futures.as_completed(jobs):
            assert future.result() == jobs[future] ** 2
        print(sorted(future.result() for future in jobs))


def divide(a: int, b: int) -> float:
    return a / b


def program_errors_one_by_one() -> None:
    with Executor(2) as executor:
        futures = [executor.submit(divide, 6, number) for number in (3, 0, 2)]
        for future in futures:
            told(future.result)
        print([type(future.exception()).__name__ for future in futures])


class HttpError(Exception):
    def __init__(self, status: int, *, url: str) -> None:
        super().__init__(f"{status} at {url}")
        self.status, self.url = status, url

    def __reduce__(self) -> Any:
        return functools.partial(HttpError, self.status, url=self.url), ()


def fetch(url: str) -> str:
    raise HttpError(404, url=url)


def program_errors_of_the_script() -> None:
    with Executor(1) as executor:
        try:
            executor.submit(fetch, "http://x").result()
        except HttpError as error:
            print(error, error.status, error.url)


def chained() -> None:
    try:
        {}["missing"]
    except KeyError as error:
        raise RuntimeError("outer") from error


def program_the_traceback_of_the_worker() -> None:
    with Executor(1) as executor:
        error = executor.submit(chained).exception()
    text = "".join(traceback.format_exception(error))
    print("in chained" in text, "KeyError: 'missing'" in text, "RuntimeError: outer" in text)


def grouped() -> None:
    raise ExceptionGroup("two", [ValueError("a"), TypeError("b")])


def program_a_group_of_errors() -> None:
    with Executor(1) as executor:
        try:
            executor.submit(grouped).result()
        except* ValueError as values:
            print("values", values.exceptions)
        except* TypeError as types:
            print("types", types.exceptions)


_loaded: dict[str, Any] = {}


def load(name: str, size: int) -> None:
    _loaded[name] = list(range(size))


def use(name: str, index: int) -> Any:
    return _loaded[name][index]


def program_an_initializer_that_loads() -> None:
    with Executor(2, initializer=load, initargs=("table", 100)) as executor:
        print(list(executor.map(use, itertools.repeat("table"), range(0, 100, 25))))
    print(_loaded)


def program_a_map_over_several_iterables() -> None:
    with Executor(2) as executor:
        print(list(executor.map(pow, (2, 3, 4), (5, 2, 3), chunksize=2)))
        print(list(executor.map(max, "abc", "bab", "aac")))
        print(list(executor.map(operator.add, range(3), itertools.count(10))))
        print(list(executor.map(same, [])), list(executor.map(same, {"k": 1})))


def program_a_map_in_time_and_late() -> None:
    with Executor(1) as executor:
        print(list(executor.map(same, range(3), timeout=60)))
        results = executor.map(time.sleep, [1.0], timeout=0.2)
        told(next, results)


def program_timeouts_of_futures() -> None:
    with Executor(1) as executor:
        future = executor.submit(time.sleep, 2.0)
        try:
            future.result(timeout=0.05)
        except concurrent.futures.TimeoutError as error:
            print("late", type(error).__name__, isinstance(error, TimeoutError))
        done, pending = concurrent.futures.wait([future], timeout=0.01)
        print(len(done), len(pending), future.result(timeout=60))


def program_callbacks() -> None:
    results: list[Any] = []
    ready = threading.Event()

    def collect(future: concurrent.futures.Future[Any]) -> None:
        results.append(future.exception() or future.result())
        if len(results) == 3:
            ready.set()

    with Executor(2) as executor:
        for number in (1, 2, 0):
            executor.submit(divide, 2, number).add_done_callback(collect)
        ready.wait(60)
    print(sorted(map(str, results)))


def program_callbacks_that_ask_for_more() -> None:
    found: list[int] = []
    ready = threading.Event()
    with Executor(1) as executor:

        def follow(future: concurrent.futures.Future[int]) -> None:
            found.append(future.result())
            if len(found) < 5:
                executor.submit(same, future.result() * 2).add_done_callback(follow)
            else:
                ready.set()

        executor.submit(same, 1).add_done_callback(follow)
        ready.wait(60)
    print(found)


def program_the_first_that_is_done() -> None:
    with Executor(2) as executor:
        futures = [executor.submit(time.sleep, seconds) for seconds in (0.4, 0.0)]
        done, rest = concurrent.futures.wait(
            futures, return_when=concurrent.futures.FIRST_COMPLETED
        )
        print(len(done) >= 1, done | rest == set(futures))


def program_after_shutdown() -> None:
    executor = Executor(1)
    future = executor.submit(same, 1)
    executor.shutdown()
    print(future.result(), future.done(), future.running(), future.cancelled(), future.cancel())
    told(executor.submit, same, 2)
    told(executor.map, same, [2])
    executor.shutdown()


def program_bad_arguments() -> None:
    for number in (0, -3):
        told(Executor, number)
    told(Executor, 1, initializer=5)
    with Executor(1) as executor:
        told(executor.map, same, [1], chunksize=0)
        told(executor.submit)
        told(executor.submit(same).result)
        told(executor.submit(same, 1, x=2).result)


class Model:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def predict(self, x: int) -> int:
        return self.factor * x

    @classmethod
    def named(cls, name: str) -> str:
        return f"{cls.__name__} {name}"

    @staticmethod
    def plain(x: int) -> int:
        return x + 1

    def __call__(self, x: int) -> int:
        return self.factor - x


def program_methods() -> None:
    model = Model(3)
    with Executor(2) as executor:
        print(list(executor.map(model.predict, range(4))))
        print(executor.submit(Model.named, "x").result(), executor.submit(Model.plain, 1).result())
        print(list(executor.map(model, range(2))), executor.submit(Model, 7).result().factor)
        print(list(executor.map(str.upper, ["a"])), executor.submit("a-b".split, "-").result())


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def program_tables_in_stages() -> None:
    texts = [f"a,b\n{n},{n * n}\n" for n in range(4)]
    with Executor(2) as executor:
        first = executor.map(rows, texts)
        second = executor.map(json.dumps, itertools.chain.from_iterable(first))
        print([json.loads(each)["b"] for each in second])


def environment(name: str) -> tuple[str | None, str, str]:
    return os.environ.get(name), os.getcwd(), sys.argv[1] and pathlib.Path(sys.argv[0]).name


def program_the_surroundings() -> None:
    os.environ["OF_THE_PROGRAM"] = "set"
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), Executor(1) as executor:
        value, here, script = executor.submit(environment, "OF_THE_PROGRAM").result()
        print(value, os.path.samefile(here, folder), script)


def program_several_at_once() -> None:
    with Executor(1) as first, Executor(1) as second:
        futures = [first.submit(same, "a"), second.submit(same, "b")]
        print([f.result() for f in futures])
        print(len({first.submit(os.getpid).result(), second.submit(os.getpid).result()}))


def step(queue: Any, number: int) -> Any:
    queue.put(number)
    return queue


def program_a_queue_of_progress() -> None:
    with multiprocessing.Manager() as manager, Executor(2) as executor:
        queue = manager.Queue()
        futures = [executor.submit(step, queue, number) for number in range(5)]
        seen = sorted(queue.get(timeout=60) for _ in futures)
        back = futures[0].result()  # a proxy comes back as one
        back.put("again")
        print(seen, queue.get(timeout=60))


def letters(number: int) -> str:
    print("task", number)
    return string.ascii_letters[number]


def program_tasks_that_print() -> None:
    with Executor(1) as executor:
        results = list(executor.map(letters, range(3)))
    print(results)


if __name__ == "__main__":
    execute(globals())
