"""CPython's own tests of process pools, with ours: a program that prints what failed."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import sys
import unittest
from typing import Any

from masterworker import Pool

NAMES = "_TestPool", "_TestPoolWorkerErrors", "_TestPoolWorkerLifetime"


def cases(found: Any) -> list[type[unittest.TestCase]]:
    """Make test cases of the classes that are for pools of processes."""
    mixin = {"TYPE": "processes", "Pool": Pool}
    return [
        type(name, (getattr(found, name), unittest.TestCase), mixin)
        for name in NAMES
        if hasattr(found, name)
    ]


def main() -> None:
    """Execute them, and print what became of each."""
    found = importlib.import_module("test._test_multiprocessing")
    multiprocessing.Pool = Pool  # type: ignore[assignment]  # what some of them use
    suite = unittest.TestSuite()
    for case in cases(found):
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(case))
    result = unittest.TextTestRunner(sys.stderr, verbosity=2).run(suite)
    failed = {str(each).split()[0]: text for each, text in (*result.failures, *result.errors)}
    sys.stdout.write("\n" + json.dumps({"run": result.testsRun, "failed": failed}) + "\n")


if __name__ == "__main__":
    main()
