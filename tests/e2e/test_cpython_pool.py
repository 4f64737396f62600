"""CPython's own tests of process pools pass with ours; `docs/pool.md` has the deviations."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Final

import pytest

from e2e.test_cpython_executor import DEBIAN, interpreter

PROGRAM = Path(__file__).with_name("cpython_pool_tests.py")
#: What is different, with the reason; see `docs/pool.md`.
DEVIATIONS: Final = {
    "test_imap_handle_iterable_exception": "results before an error do not go with its chunk",
    "test_make_pool": "there is no list of processes",
    "test_map_unplicklable": "an UnpicklableError names the argument; its cause is the error",
    "test_pool_worker_lifetime": "there is no list of processes",
    "test_traceback": "the traceback is a note of the error, and not its cause",
    "test_unpickleable_result": "a lambda can be a result",
}


def has_tests() -> bool:
    """Does this interpreter come with them, or does the system have them?"""
    if importlib.util.find_spec("test") is None:
        return False
    found = importlib.util.find_spec("test._test_multiprocessing")
    return found is not None or (DEBIAN / "_test_multiprocessing.py").exists()


@pytest.mark.skipif(
    not has_tests(), reason="this Python has no tests of its own (Debian: libpython3.11-testsuite)"
)
@pytest.mark.timeout(300)
def test_the_tests_of_the_standard_library(tmp_path: Path) -> None:
    """Those of a pool, its errors, and the lifetime of workers."""
    command = [interpreter(tmp_path / "env"), PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["run"] >= 28
    unexpected = {name: text for name, text in found["failed"].items() if name not in DEVIATIONS}
    assert not unexpected, "\n".join(unexpected.values())
