"""Many histories of masters with a journal, which die and of which the next one finds what is left.

`MASTERWORKER_SEEDS=20000 pytest tests/simulation/test_disk.py` lives through more of them.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import pytest

from masterworker.core.scheduler import Scheduler
from masterworker.journal import format as layout
from masterworker.journal import journal, opening, reading
from simulation import journal_bugs as bugs
from simulation.journaled import JournaledWorld
from simulation.oracle import Violation

FIRST = int(os.environ.get("MASTERWORKER_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("MASTERWORKER_SEEDS", "200"))
PART = 50
#: So many histories may pass before a bug must have been found.
MOST = 1000

#: Each with the first seed whose history shows it.
PLANTED: list[tuple[Any, Any, str, int]] = [
    (bugs.ToldBeforeKept, JournaledWorld, "core_class", 1),
    (bugs.ToldBeforeFlushed, journal, "Writing", 1),
    (bugs.FlushedAgain, journal, "Writing", 6),
    (bugs.NeverFlushedInTime, journal, "Writing", 1),
    (bugs.LeavesHalfAGroup, journal, "Writing", 36),
    (bugs.NamedBeforeFlushed, journal, "LargeFiles", 7),
    (bugs.WhatIsThereIsWhole, journal, "LargeFiles", 12),
    (bugs.FoldersAreNotFlushed, journal, "LargeFiles", 7),
    (bugs.ForgetsForItself, journal, "Journal", 6),
    (bugs.the_cache_is_believed, opening, "_go_on", 44),
    (bugs.torn_group_replayed, reading, "read_group", 155),
    (bugs.any_key_will_do, reading, "read_header", 5),
    (bugs.half_a_header_is_refused, layout, "is_unfinished", 4),
    (bugs.what_is_ahead_is_damage, reading, "were_ahead", 75),
]


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """What is said of thousands of crashes is not to be read."""
    logging.getLogger("masterworker").setLevel(logging.CRITICAL + 1)
    yield
    logging.getLogger("masterworker").setLevel(logging.NOTSET)


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, PART))
def test_told_means_kept(first: int) -> None:
    """Whatever a crash costs, nothing that was told is lost, and nothing wrong is recalled."""
    recalls = 0
    for seed in range(first, min(first + PART, FIRST + SEEDS)):
        world = JournaledWorld(seed)
        world.run()
        recalls += world.ledger.recalls
    assert recalls


def test_an_end_counts_for_its_own_run() -> None:
    """Worker and task had numbers in two runs: the end in the old one counted in the new one."""
    world = JournaledWorld(3883)
    world.run()
    assert len(world.oracles) > 1


def test_same_seed_same_history() -> None:
    for seed in range(10):
        one, other = JournaledWorld(seed, kept=None), JournaledWorld(seed, kept=None)
        one.run()
        other.run()
        assert one.history() == other.history()


def find(bug: Any, first: int) -> int | None:
    """Return the first seed whose history shows what is wrong; None: none does."""

    class Given(JournaledWorld):
        given = getattr(bug, "given", {})
        strengths = getattr(bug, "strengths", {})

    for seed in range(first, first + MOST):
        try:
            Given(seed).run()
        except Violation:
            return seed
    return None


@pytest.mark.parametrize(
    ("bug", "owner", "name", "seed"), PLANTED, ids=[each[0].__name__ for each in PLANTED]
)
def test_planted_bug_is_found(
    monkeypatch: pytest.MonkeyPatch, bug: Any, owner: Any, name: str, seed: int
) -> None:
    """Some history shows it."""
    monkeypatch.setattr(owner, name, bug)
    found = find(bug, seed)
    assert found is not None, f"{bug.__name__} survived {MOST} histories"


def test_every_bug_is_in_the_list() -> None:
    written = {
        name for name, bug in vars(bugs).items() if getattr(bug, "__module__", "") == bugs.__name__
    }
    assert written == {each[0].__name__ for each in PLANTED}
    assert issubclass(bugs.ToldBeforeKept, Scheduler)
