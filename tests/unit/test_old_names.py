"""`Scientific.N`: NumPy under its old names, with its old defaults."""

from __future__ import annotations

import subprocess
import sys

import pytest

np = pytest.importorskip("numpy")
from Scientific import N  # noqa: E402

TABLE = [[1, 2, 3], [4, 5, 6]]


def same(found: object, expected: object) -> bool:
    return bool(np.array_equal(found, expected)) and np.asarray(found).dtype.kind != "O"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("N.sum(TABLE)", [5, 7, 9]),
        ("N.sum(TABLE, 1)", [6, 15]),
        ("N.sum(TABLE, axis=None)", 21),
        ("N.product(TABLE)", [4, 10, 18]),
        ("N.cumsum(TABLE)", [[1, 2, 3], [5, 7, 9]]),
        ("N.cumproduct(TABLE)", [[1, 2, 3], [4, 10, 18]]),
        ("N.sometrue([[0, 1], [0, 0]])", [False, True]),
        ("N.alltrue([[1, 1], [0, 1]])", [False, True]),
        ("N.take(TABLE, [1])", [[4, 5, 6]]),
        ("N.take(TABLE, [1], 1)", [[2], [5]]),
        ("N.repeat(TABLE, 2)", [[1, 2, 3], [1, 2, 3], [4, 5, 6], [4, 5, 6]]),
        ("N.compress([1, 0, 1], TABLE)", [[1, 3], [4, 6]]),
        ("N.argmax(TABLE)", [2, 2]),
        ("N.argmin(TABLE)", [0, 0]),
        ("N.average(TABLE)", [2.5, 3.5, 4.5]),
        ("N.int_sum([[True, True], [True, False]])", [2, 1]),
        ("N.nonzero([0, 3, 0, 5])", [1, 3]),
        ("N.arrayrange(3)", [0, 1, 2]),
        ("N.arange(1, 2, 0.5)", [1, 1.5]),
        ("N.matrixmultiply(TABLE, [1, 0, 1])", [4, 10]),
        ("N.outerproduct([1, 2], [3, 4])", [[3, 4], [6, 8]]),
        ("N.array([1, 2])[:, N.NewAxis]", [[1], [2]]),
        ("N.add.reduce(TABLE)", [5, 7, 9]),
        ("N.logical_and([1, 0], [1, 1])", [True, False]),
        ("N.fromfunction(lambda i, j: i + j, (2, 2))", [[0, 1], [1, 2]]),
    ],
)
def test_what_programs_call(call: str, expected: object) -> None:
    """Functions go along the first axis (or the last), where NumPy's go along all."""
    assert same(eval(call, {"N": N, "TABLE": TABLE}), expected)  # noqa: S307  the table above


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("N.zeros(3)", "int64"),
        ("N.zeros((2, 3), N.Float)", "float64"),
        ("N.zeros(3, dtype=N.Float32)", "float32"),
        ("N.ones(3)", "int64"),
        ("N.ones(3, N.Int16)", "int16"),
        ("N.empty(3, N.Complex)", "complex128"),
        ("N.identity(3)", "int64"),
        ("N.identity(3, N.Float)", "float64"),
        ("N.array([1, 2], N.Float)", "float64"),
        ("N.array([1., 2.])", "float64"),
        ("N.asarray([1, 2], N.Complex32)", "complex64"),
        ("N.arange(3, typecode=N.Float)", "float64"),
        ("N.zeros_st((2,), N.ones(1, N.Float32))", "float32"),
        ("N.zeros(2, N.PyObject)", "object"),
        ("N.zeros(2, N.UInt8)", "uint8"),
        ("N.array('abc', N.Character)", "bytes8"),
        ("N.sqrt(N.array([4, 9]))", "float64"),
    ],
)
def test_types(call: str, kind: str) -> None:
    """Whole numbers, unless another type is given by its old name."""
    assert eval(call, {"N": N}).dtype.name == kind  # noqa: S307  the table above


def test_an_array_is_copied_or_not() -> None:
    first = N.array([1, 2])
    assert N.array(first) is not first
    assert N.array(first, copy=0) is first
    assert N.asarray(first) is first
    assert isinstance(first, N.ArrayType)
    assert isinstance(N.add, N.UfuncType)
    assert N.ArrayType is N.array_type


def test_everything_else_is_numpys_own() -> None:
    assert N.linalg is np.linalg
    assert N.linspace is np.linspace
    assert N.pi == np.pi
    with pytest.raises(AttributeError, match=r"neither NumPy nor 'Scientific\.N' has 'nothing'"):
        _ = N.nothing
    with pytest.raises(ValueError, match="unpack"):
        N.nonzero(TABLE)


def test_star() -> None:
    """`from Scientific.N import *`, as old modules say."""
    names: dict[str, object] = {}
    exec("from Scientific.N import *", names)  # noqa: S102
    assert names["sum"] is N.sum
    assert names["Float"] == "d"
    assert names["linspace"] is np.linspace
    assert "np" not in names


def test_without_numpy() -> None:
    """The error says what is missing; nothing else of ours needs it."""
    program = (
        "import sys; sys.modules['numpy'] = None\n"
        "import Scientific.DistributedComputing.MasterSlave\n"
        "from Scientific import N\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "NumPy is not installed: pip install numpy" in done.stderr
