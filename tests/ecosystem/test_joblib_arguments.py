"""Large arguments of other libraries' types, through joblib: as others have reported them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

np = pytest.importorskip("numpy")
joblib = pytest.importorskip("joblib")

import masterworker.joblib  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _two_workers() -> Iterator[None]:
    with joblib.parallel_config(backend="masterworker", n_jobs=2):
        yield
    masterworker.joblib.shutdown()


def total(array: Any, number: int) -> float:
    return float(array.sum()) + number


def totals(array: Any, depth: int) -> Any:
    """Calls inside of calls that all have the same array (joblib#959, joblib#1061)."""
    if depth == 0:
        return total(array, 1)
    inside = joblib.Parallel(n_jobs=2)(joblib.delayed(totals)(array, depth - 1) for _ in range(2))
    return sum(inside)


def change_sparse(matrix: Any, number: int) -> tuple[bool, float]:
    was_sorted = bool(matrix.has_sorted_indices)
    matrix.has_sorted_indices = number % 2 == 0
    own = matrix.copy()
    own.data[0] = number
    return was_sorted, float(own.data[0])


def write(value: Any, number: int) -> tuple[float, bool]:
    """What is there, and whether this call can change it."""
    numbers = value if isinstance(value, np.ndarray) else value.data
    before = float(numbers.ravel()[0])
    try:
        numbers[...] = -number
    except ValueError:
        return before, False
    return before, True


def add_column(table: Any, number: int) -> tuple[bool, int]:
    had = "new" in table.columns
    table["new"] = number
    return had, int(table["new"].iloc[0])


@pytest.mark.parametrize("nested", ["threads", "masterworker"])
def test_calls_inside_of_calls_with_one_array(nested: str) -> None:
    array = np.ones(10_000_000, dtype=np.uint8)
    with joblib.parallel_config(backend="masterworker", n_jobs=2, nested=nested):
        found = joblib.Parallel()(joblib.delayed(totals)(array, 2) for _ in range(3))
    assert found == [4 * 10_000_001.0] * 3


def test_large_arrays_that_are_made_as_the_loop_goes_on() -> None:
    """joblib#852 hung where an array was sent in a callback."""
    sizes = range(300_000, 300_030)
    found = joblib.Parallel()(joblib.delayed(total)(np.ones(size), 1) for size in sizes)
    assert found == [size + 1 for size in sizes]


def test_a_sparse_matrix() -> None:
    """What a call does to the object, no other call sees (its numbers cannot be written to)."""
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.random(2000, 2000, density=0.05, format="csr", random_state=1)
    assert matrix.has_sorted_indices
    parallel = joblib.Parallel(batch_size=1)
    found = parallel(joblib.delayed(change_sparse)(matrix, number) for number in range(8))
    assert found == [(True, number) for number in range(8)]


def test_views_that_are_not_whole() -> None:
    """Steps, columns, backwards, other axes: no call changes what another one reads, as in loky."""
    table = np.arange(1_000_000.0).reshape(100, 100, 100) + 1
    views = [table[::2], table[:, 1:], table[::-1], table.transpose(1, 0, 2), table.T]
    parallel = joblib.Parallel(batch_size=1, max_nbytes=1000)
    for view in views:
        found = parallel(joblib.delayed(write)(view, number) for number in range(1, 7))
        assert found == [(float(view.ravel()[0]), False)] * 6
    assert table.min() == 1


def test_a_sparse_matrix_of_parts_that_are_not_whole() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    numbers = np.arange(1, 400_001.0)
    matrix = sparse.csr_matrix((1000, 1000))
    matrix.data, matrix.indices = numbers[::2], np.arange(200_000, dtype=np.int32) % 1000
    matrix.indptr = np.arange(0, 200_001, 200, dtype=np.int32)
    parallel = joblib.Parallel(batch_size=1, max_nbytes=1000)
    found = parallel(joblib.delayed(write)(matrix, number) for number in range(1, 7))
    assert found == [(1.0, False)] * 6


def test_a_table_with_a_column_named_as_a_part_of_a_matrix() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"data": np.arange(200_000.0)})
    found = joblib.Parallel(batch_size=1)(joblib.delayed(total)(table.data, n) for n in range(2))
    assert found[1] == found[0] + 1
    rows = joblib.Parallel(batch_size=1)(joblib.delayed(len)(table) for _ in range(2))
    assert rows == [200_000] * 2


def test_a_table() -> None:
    """A column that a call adds, no other call sees."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": np.arange(300_000.0), "b": np.arange(300_000)})
    parallel = joblib.Parallel(batch_size=1)
    found = parallel(joblib.delayed(add_column)(table, number) for number in range(8))
    assert found == [(False, number) for number in range(8)]
    assert list(table.columns) == ["a", "b"]
