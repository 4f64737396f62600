"""What the tests of the original's failures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failures.jobs import memory_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.manager import Manager


@pytest.fixture
def manager() -> Iterator[Manager]:
    """The task manager of a job in memory."""
    with memory_job() as found:
        yield found
