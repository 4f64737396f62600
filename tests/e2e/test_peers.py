"""Programs of users of other pools print the same here; what they reported of theirs holds here.

The programs are in `peers`, a file for each of these. Its programs are executed, a few by each
process, once with what they were written for, and once with ours, and what they print is compared,
program by program: results, classes and arguments of errors, and output of tasks.
"""

from __future__ import annotations

import ast
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from e2e.peers.endings import BEGIN, ONLY_OURS, PROGRAMS
from e2e.peers.running import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: The first test of a file waits for all programs of that.
pytestmark = pytest.mark.timeout(600)

E2E: Final = Path(__file__).parent
PEERS: Final = E2E / "peers"
DOCS: Final = E2E.parents[1] / "docs"


class Different(NamedTuple):
    """A line that differs."""

    theirs: str
    ours: str
    #: Where that is documented: a page, and how a row of its table begins.
    page: str
    row: str


#: How many programs, or parts of files of them, are executed at a time.
AT_ONCE: Final = 6
#: How many programs of a file are executed by one process, one after the other.
PART: Final = 7
#: Each file, and what its programs are written for.
FILES: Final = {
    "executor_programs": "standard",
    "asyncio_programs": "standard",
    "pool_programs": "standard",
    "joblib_programs": "loky",
}
#: What others have reported, of pools, and of programs that differ in their workers.
REPORTED: Final = ("reported_programs", "reported_differences")
#: Where our programs print something else.
DIFFERENT: Final = {
    "a_map_in_time_and_late": Different(
        "raised TimeoutError ()",
        "raised TimeoutError ('a result of map has not come in time',)",
        "executor.md",
        "| texts of `TimeoutError` |",
    ),
    "items_that_fail": Different(
        """raised TypeError ("'NoneType' object is not callable",)""",
        "raised TypeError ('func must be a callable, not None',)",
        "pool.md",
        "| `map` of what cannot be called |",
    ),
}
#: What a text of an error may have in addition: which value was given.
INITIALIZERS: Final = {
    "raised TypeError ('initializer must be a callable, not 5',)",
    "raised TypeError ('initializer must be a callable, not 3',)",
}


def programs(file: str) -> list[str]:
    """The names of the programs of a file."""
    tree = ast.parse((PEERS / f"{file}.py").read_text())
    names = [each.name for each in tree.body if isinstance(each, ast.FunctionDef)]
    return [name.removeprefix("program_") for name in names if name.startswith("program_")]


def ended(kind: str, body: str) -> tuple[int, list[str], str]:
    """Return how a program ended, the lines that it printed, and the last one of its errors."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.py")
        script.write_text(BEGIN[kind] + body)
        done = subprocess.run(
            [sys.executable, script],
            capture_output=True,
            text=True,
            input="given",
            timeout=240,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    errors = [
        line
        for line in done.stderr.strip().splitlines()
        if "been starting for" not in line and "not ready after" not in line  # a slow machine
    ]
    last = errors[-1] if errors else ""
    if (
        kind == "standard" and "Bad file descriptor" in last
    ):  # theirs may close a pipe twice at the end
        last = ""
    return done.returncode, sorted(done.stdout.splitlines()), last


def parts(file: str) -> Iterator[tuple[str, ...]]:
    """The same, for one process after the other."""
    names = programs(file)
    for first in range(0, len(names), PART):
        yield tuple(names[first : first + PART])


def printed(file: str, kind: str, *names: str) -> dict[str, str]:
    """Execute programs of a file. Returns what each has printed."""
    done = subprocess.run(
        [sys.executable, PEERS / f"{file}.py", kind, *names],
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},  # children of the standard library
    )
    assert done.returncode == 0, done.stderr
    parts = done.stdout.split(MARK)[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


class Runs:
    """Executes what the selected tests need, some at a time: programs wait more than they work.

    Args:
        tests: The names of the tests.
    """

    def __init__(self, tests: Iterable[str]) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        self._known: dict[tuple[Any, ...], concurrent.futures.Future[Any]] = {}
        selected = [re.findall(r"\w+", test.partition("[")[2]) for test in tests]
        for file in dict.fromkeys(
            file for file in (*FILES, *REPORTED) for each in selected if file in each
        ):
            for kind in ("masterworker", *([FILES[file]] if file in FILES else [])):
                for names in parts(file):
                    self._begin(printed, file, kind, *names)
        for name, body in PROGRAMS.items():
            if [name] in selected:
                self._begin(ended, "standard", body)
                self._begin(ended, "masterworker", body)

    def _begin(self, run: Callable[..., Any], *args: str) -> concurrent.futures.Future[Any]:
        if (run, *args) not in self._known:
            self._known[(run, *args)] = self._pool.submit(run, *args)
        return self._known[(run, *args)]

    def printed(self, file: str, kind: str) -> dict[str, str]:
        """Return what each program of a file has printed."""
        found: dict[str, str] = {}
        for names in parts(file):
            found |= self._begin(printed, file, kind, *names).result()
        return found

    def ended(self, kind: str, body: str) -> tuple[int, list[str], str]:
        """Return what `ended` returns."""
        found: tuple[int, list[str], str] = self._begin(ended, kind, body).result()
        return found

    def wait(self) -> None:
        """Wait until all that has begun is done."""
        concurrent.futures.wait(self._known.values())

    def end(self) -> None:
        """Begin nothing more, and wait for what runs."""
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """What programs have done: each is executed once."""
    found = Runs(item.name for item in request.session.items if item.path == Path(__file__))
    found.wait()  # no process of one test may be there after another one
    yield found
    found.end()


def as_ours(text: str) -> str:
    """Return what the standard library's classes print as ours do."""
    return text.replace("ProcessPoolExecutor.", "Executor.")


def without_values(text: str) -> str:
    """Leave out which value was refused, where the standard library does not say it."""
    for line in INITIALIZERS:
        text = text.replace(line, "raised TypeError ('initializer must be a callable',)")
    return text


@pytest.mark.parametrize(
    ("file", "name"), [(file, name) for file in FILES for name in programs(file)]
)
def test_it_prints_the_same(runs: Runs, file: str, name: str) -> None:
    """But for what a page says."""
    theirs = as_ours(runs.printed(file, FILES[file])[name])
    ours = without_values(runs.printed(file, "masterworker")[name])
    difference = DIFFERENT.get(name)
    if difference is not None:
        assert difference.row in (DOCS / difference.page).read_text()
        assert difference.theirs in theirs.splitlines()
        theirs = theirs.replace(difference.theirs, difference.ours)
    assert ours == theirs


@pytest.mark.parametrize(
    ("file", "name"), [(file, name) for file in REPORTED for name in programs(file)]
)
def test_what_was_reported_holds(runs: Runs, file: str, name: str) -> None:
    """Each program asserts what it is about, and prints nothing."""
    assert runs.printed(file, "masterworker")[name] == ""


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_ends_the_same(runs: Runs, name: str) -> None:
    """With the same status, output, and last line of standard error."""
    theirs = runs.ended("standard", PROGRAMS[name])
    assert runs.ended("masterworker", PROGRAMS[name]) == theirs


@pytest.mark.parametrize("name", ONLY_OURS)
def test_it_ends(runs: Runs, name: str) -> None:
    """Where it does not with the standard library."""
    status, output, body = ONLY_OURS[name]
    found = runs.ended("masterworker", body)
    assert found == (status, sorted(output.splitlines()), "")


def test_a_program_that_differs_is_noticed(runs: Runs) -> None:
    """By what it prints, and by what it raises."""
    names = programs("executor_programs")
    assert len(names) == len(set(names)) > 20
    theirs = runs.printed("executor_programs", "standard")
    assert theirs["counted_words"] != theirs["primes"] != ""
