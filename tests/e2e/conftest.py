"""What the tests of whole programs share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.desk import Desk, desk_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A folder for scripts, and a label of its own."""
    with desk_at(tmp_path, f"job {request.node.name[:60]}") as found:
        yield found
