"""What the tests of guests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from masterworker import wire

if TYPE_CHECKING:
    from collections.abc import Iterator


from security.visitors import Job


@pytest.fixture
def job() -> Iterator[Job]:
    made = Job()
    yield made
    made.manager.check()
    made.manager.terminate()


@pytest.fixture
def data_job() -> Iterator[Job]:
    made = Job(wire.PLAIN)
    yield made
    made.manager.check()
    made.manager.terminate()
