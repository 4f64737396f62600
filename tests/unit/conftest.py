"""What the tests of the scheduler share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from masterworker.core import audit
from masterworker.core.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def core() -> Iterator[Scheduler]:
    """An empty scheduler; its invariants have to hold at the end of the test."""
    scheduler = Scheduler()
    yield scheduler
    audit.check(scheduler)
