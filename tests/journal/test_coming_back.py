"""Workers that outlive their master, and come back to its next run with what they have finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from journal.returns import Rig
from support import HANG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A job, whose workers are ended."""
    made = Rig(tmp_path, 100)
    yield made
    made.end()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("way", ["map", "submit"])
def test_what_a_worker_has_finished_is_not_executed_again(rig: Rig, way: str) -> None:
    rig.way = way
    master = rig.master()
    rig.worker(rig.label, "--wait")
    rig.until_executed(30, master)
    rig.kill(master)
    master = rig.master()
    assert master.wait(4 * HANG) == 0, master.told + rig.workers_said()
    told = rig.told()
    assert sorted(told) == list(range(rig.number))
    assert all(len(values) == 1 for values in told.values())
    assert rig.workers[0].wait(HANG) == 0, rig.workers_said()
    again = {x for x, times in rig.executed().items() if times > 1}
    assert again <= rig.asked_late(), rig.workers_said()
