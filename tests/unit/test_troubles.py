"""What keeps a job from going on is named: soon, once, and only while it holds."""

from __future__ import annotations

import pytest

from masterworker.conversation.troubles import NAMED_AFTER, SHOWN_FOR, Troubles
from masterworker.core.audit import HOW_TO_START
from masterworker.core.departure import Left
from masterworker.core.scheduler import Scheduler
from unit.acting import fetch, request, worker


@pytest.fixture
def log() -> list[str]:
    """What is said in the log."""
    return []


def test_no_workers_is_named_once(log: list[str]) -> None:
    """Not at once, since workers take a moment to come; and not again and again."""
    core, troubles = Scheduler(), Troubles(log.append)
    request(core, "ab")
    troubles.look(core, 0.0)
    troubles.look(core, NAMED_AFTER - 0.1)
    assert (troubles.lines(), log) == ([], [])
    for now in range(int(NAMED_AFTER), 100):
        troubles.look(core, float(now))
    told = f"2 tasks wait, and there are no workers{HOW_TO_START}"
    assert (troubles.lines(), log) == ([told], [told])


def test_trouble_that_has_passed_is_forgotten_and_named_when_it_comes_back(
    log: list[str],
) -> None:
    """Both times."""
    core, troubles = Scheduler(), Troubles(log.append)
    request(core, "a")
    for now in (0.0, 10.0):
        troubles.look(core, now)
    w = worker(core)
    troubles.look(core, 11.0)
    assert troubles.lines() == []
    core.on_departed(w, Left(), 12.0)
    for now in (12.0, 30.0):
        troubles.look(core, now)
    assert len(log) == 2


def test_tags_that_nobody_can_execute_are_named(log: list[str]) -> None:
    """With how many workers there are; calls by the function's name; a few of many."""
    core, troubles = Scheduler(), Troubles(log.append)
    worker(core, "a")
    core.on_requested("@compute", [b""])
    for n in range(7):
        core.on_requested(f"tag {n}", [b""])
    for now in (0.0, 10.0):
        troubles.look(core, now)
    (line,) = troubles.lines()
    assert line.startswith("the only worker cannot execute 'compute', 'tag 0'")
    assert line.endswith("and 3 more")
    assert log == [line]


def test_nothing_is_named_while_work_goes_on(log: list[str]) -> None:
    """Tasks that wait for their turn, and a job without tasks, are no trouble."""
    core, troubles = Scheduler(), Troubles(log.append)
    w = worker(core)
    troubles.look(core, 0.0)
    request(core, "aaa")
    fetch(core, w, 1)
    for now in range(1, 20):
        troubles.look(core, float(now))
    core.on_terminated()
    troubles.look(core, 100.0)
    assert (troubles.lines(), log) == ([], [])


def test_event_is_logged_once_and_shown_for_a_while(log: list[str]) -> None:
    """A worker that does not start, say; with its details in the log only."""
    core, troubles = Scheduler(), Troubles(log.append)
    for now in (0.0, 1.0, 2.0):
        troubles.note("start", "workers fail at start", now, "ImportError: x")
    troubles.look(core, 3.0)
    assert troubles.lines() == ["workers fail at start"]
    assert log == ["workers fail at start:\nImportError: x"]
    troubles.look(core, 2.0 + SHOWN_FOR)
    assert troubles.lines() == []
