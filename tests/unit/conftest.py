"""What the tests of the scheduler share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from masterworker.core import audit
from masterworker.core.scheduler import Scheduler
from masterworker.data.items import single

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def core() -> Iterator[Scheduler]:
    """An empty scheduler; its invariants have to hold at the end of the test."""
    scheduler = Scheduler(single=single)
    yield scheduler
    audit.check(scheduler)
