"""CPython's own tests of executors, with ours: a program that prints what failed."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any

from masterworker import Executor

#: Since 3.12 it is a package.
PARTS = "executor", "test_wait", "test_as_completed", "test_shutdown", "test_init", "util"


class Name(str):
    """What the scripts in the tests import from the standard library, and then call."""

    __slots__ = ()
    is_first = True

    def __format__(self, spec: str) -> str:
        is_first, Name.is_first = Name.is_first, False
        return "Executor; from masterworker import Executor" if is_first else "Executor"


class ExecutorType:
    """Stands for the class, with a name that finds it."""

    __name__ = Name("Executor")

    def __call__(self, *args: Any, **kwargs: Any) -> Executor:
        return Executor(*args, **kwargs)


class Event:
    """An event for processes: a file, which needs no process of a manager."""

    def __init__(self, path: str) -> None:
        self.path = path

    def set(self) -> None:
        Path(self.path).touch()

    def wait(self, timeout: float | None = None) -> bool:
        end = float("inf") if timeout is None else time.monotonic() + timeout
        pause = threading.Event()
        while not (is_set := Path(self.path).exists()) and time.monotonic() < end:
            pause.wait(0.01)
        return is_set


def tests() -> dict[str, Any]:
    """Find the classes of tests, by name."""
    package = "test.test_concurrent_futures"
    found = dict(vars(importlib.import_module(package)))
    if "ExecutorTest" not in found:
        for part in PARTS:
            found |= vars(importlib.import_module(f"{package}.{part}"))
    return found


def cases(found: dict[str, Any]) -> list[type[unittest.TestCase]]:
    """Make test cases of the classes that are for any executor."""

    class Mixin(found["ExecutorMixin"]):  # type: ignore[misc]
        executor_type = ExecutorType()

        def setUp(self) -> None:
            found["BaseTestCase"].setUp(self)
            self.t1 = time.monotonic()
            self.manager = None  # 3.14: of events for processes
            Name.is_first = True
            self.executor = Executor(self.worker_count, **self.executor_kwargs)
            self.executor.submit(abs, 0).result()  # tests with seconds do not count the start

        def create_event(self) -> Event:
            folder = tempfile.mkdtemp()
            self.addCleanup(shutil.rmtree, folder)
            return Event(f"{folder}/set")

        def _prime_executor(self) -> None:
            """Older tests let all workers begin first, which is not needed here."""

    class Initializers(found["InitializerMixin"], Mixin, found["BaseTestCase"]):  # type: ignore[misc]
        pass

    names = "ExecutorTest", "WaitTests", "AsCompletedTests", "ExecutorShutdownTest"
    made = [type(name, (Mixin, found[name], found["BaseTestCase"]), {}) for name in names]
    return [*made, Initializers]


def main() -> None:
    """Execute them, and print what became of each."""
    suite = unittest.TestSuite()
    for case in cases(tests()):
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(case))
    result = unittest.TextTestRunner(sys.stderr).run(suite)
    failed = {str(each): text for each, text in (*result.failures, *result.errors)}
    sys.stdout.write("\n" + json.dumps({"run": result.testsRun, "failed": failed}) + "\n")


if __name__ == "__main__":
    main()
