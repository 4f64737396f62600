"""What tests with other libraries share: an executor, and functions that may kill a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import support
from ecosystem.perilous import Perilous
from masterworker import Executor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    label = support.unique_label()
    support.lasting.add(label)  # a worker that takes a dead one's place is not left behind
    with Executor(2, label=label) as made:
        yield made


@pytest.fixture(params=["all live", "one dies"])
def exposed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Any], Any]]:
    """Makes of a function one that does the same; in one of two cases a worker dies of it."""
    if request.param == "all live":
        yield lambda function: function
        return
    marker = tmp_path / "killed"
    made: list[Perilous] = []

    def make(function: Any) -> Perilous:
        made.append(Perilous(function, marker))
        return made[-1]

    yield make
    assert marker.exists() or not made, "no worker was killed"  # none: the test was skipped
