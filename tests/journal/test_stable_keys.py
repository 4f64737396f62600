"""Keys of values of many kinds with other hash seeds, another NumPy, and another Python."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from journal import files, other_numpys
from journal.other_numpys import NEW, OLD, OTHER
from masterworker import Master
from masterworker.journal.calls import CallDigests
from masterworker.journal.records import Began
from security.hosts import other_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "src"
#: Functions without a name are known by their code, which is another one in each Python.
BY_CODE = {"lambda", "closure", "another closure"}


def table(name: str, seed: str) -> dict[str, str]:
    """The keys of all values, as a process with this NumPy makes them."""
    if not other_numpys.is_made(name):
        pytest.skip("no other NumPy: PYTHONPATH=tests python tests/journal/other_numpys.py")
    if name == OTHER and not other_python.is_made(other_python.usual_folder()):
        pytest.skip("no other Python: python tests/security/hosts/other_python.py makes one")
    path = os.pathsep.join(map(str, (other_numpys.folder(name), SOURCES)))
    done = subprocess.run(
        [other_numpys.python(name), HERE / "values.py"],
        check=False,
        capture_output=True,
        text=True,
        env={"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": path},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split(" = ") for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def first() -> dict[str, str]:
    """The keys with the new NumPy and this Python."""
    found = table(NEW, "1")
    assert len(found) >= 65
    assert len(set(found.values())) == len(found), "two values have one key"
    return found


@pytest.mark.parametrize("seed", ["2", "77"])
def test_another_hash_seed(first: dict[str, str], seed: str) -> None:
    assert table(NEW, seed) == first


@pytest.mark.parametrize("seed", ["1", "2", "77"])
def test_another_numpy(first: dict[str, str], seed: str) -> None:
    found = table(OLD, seed)
    assert len(found) >= 55
    assert {name: key for name, key in first.items() if name in found} == found


@pytest.mark.parametrize("seed", ["1", "2", "77"])
def test_another_python(first: dict[str, str], seed: str) -> None:
    """All but functions without a name, which the log says where it matters."""
    found = table(OTHER, seed)
    assert found.keys() == first.keys()
    assert {name for name, key in first.items() if found[name] != key} == BY_CODE


ARRAYS = [
    lambda np: (np.zeros(3), np.zeros(3, "f4")),
    lambda np: (np.zeros(3, "i8"), np.zeros(3, "u8")),
    lambda np: (np.zeros((2, 3)), np.zeros((3, 2))),
    lambda np: (np.zeros(3, "f8"), np.zeros(3, ">f8")),
    lambda np: (np.array([0.0]), np.array([-0.0])),
    lambda np: (np.float64(1), 1.0),
    lambda np: (np.array([1, 2]), [1, 2]),
    lambda np: (np.array(["a"]), np.array(["a"], dtype=object)),
    lambda np: (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 0])),
    lambda np: (np.ma.array([1, 2]), np.array([1, 2])),
    lambda np: (np.ma.array([1], fill_value=3), np.ma.array([1], fill_value=4)),
    lambda np: (np.random.default_rng(1), np.random.default_rng(2)),
]


@pytest.mark.parametrize("pair", ARRAYS)
def test_arrays_that_differ(pair: Callable[[Any], tuple[Any, Any]]) -> None:
    one, other = pair(pytest.importorskip("numpy"))
    digests = CallDigests(lambda _: None)
    keys = digests.of("tag", [(one,), (other,), (one,)])
    assert keys[0] == keys[2] != keys[1]


def test_a_masked_array_that_was_printed() -> None:
    """What fills it is made then."""
    np = pytest.importorskip("numpy")
    digests = CallDigests(lambda _: None)
    array = np.ma.array([1, 2, 3], mask=[0, 1, 0])
    (before,) = digests.of("tag", [(array,)])
    assert str(array) == "[1 -- 3]"
    assert array.fill_value
    assert digests.of("tag", [(array,)]) == [before]


def opened_after(path: Path, versions: dict[str, str]) -> None:
    """Open a journal that was last written with these versions."""
    files.write(path, [[Began(1.0, "here", 7, "program.py", versions), files.done("one")]])
    for _ in range(2):
        Master(serial=True, journal=path).shutdown()


@pytest.mark.parametrize(
    ("versions", "says"),
    [
        ({"python": "3.9.1"}, "python 3.9.1 then"),
        ({"numpy": "1.0"}, "numpy 1.0 then"),
        ({"masterworker": "0"}, "masterworker 0 then"),
    ],
)
def test_another_version_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, versions: dict[str, str], says: str
) -> None:
    caplog.set_level("INFO", "masterworker.journal")
    pytest.importorskip("numpy")
    opened_after(tmp_path / "job.journal", versions)
    lines = [record for record in caplog.records if "outcomes of" in record.getMessage()]
    assert [says in record.getMessage() for record in lines] == [True, False]
    loud = "python" in versions
    assert [record.levelname for record in lines] == ["WARNING" if loud else "INFO", "INFO"]
    assert ("lambdas, closures" in lines[0].getMessage()) is loud


@pytest.fixture(autouse=True)
def fresh_program() -> Iterator[None]:
    """Each test is a program of its own."""
    from masterworker.journal import journal

    journal._programs.clear()
    yield
    journal._programs.clear()
