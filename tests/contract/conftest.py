"""What the contract tests share: the same manager behind each transport."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from contract.nets import KINDS, Net, make_net
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Threads of the system whose end is somebody's duty.
OURS = ("masterworker-connection", "masterworker-reception", "masterworker-timekeeper", "test-")


@pytest.fixture(params=KINDS)
def net(request: pytest.FixtureRequest) -> Iterator[Net]:
    """A manager behind one transport; in the end its invariants hold and no thread is left."""
    before = set(threading.enumerate())
    made = make_net(request.param)
    try:
        yield made
        made.manager.check()
    finally:
        made.close()

    def left() -> list[str]:
        fresh = [t for t in threading.enumerate() if t not in before]
        return [t.name for t in fresh if t.name.startswith(OURS)]

    wait_until(lambda: not left(), 10.0, "all threads have ended")
