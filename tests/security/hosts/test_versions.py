"""B25: a worker with another Python is refused by rule; whoever only looks on is served."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from security.hosts.test_name_server import CLASSIC
from security.hosts.users import JOB, TICKET, complete, invite, one_line

if TYPE_CHECKING:
    from pathlib import Path

    from security.hosts.users import User

OURS = ".".join(map(str, sys.version_info[:2]))


@pytest.mark.parametrize("script", [JOB, CLASSIC], ids=["functions", "classic"])
def test_b25_another_python(users: list[User], other_python: Path, script: str) -> None:
    """It is told why, in one line; the job goes on with others. Who only looks on is served."""
    a, b, c = users
    job = a.job(1, script=script)
    (a.home / "go").touch()
    invite(a, b, c)
    told = one_line(b.run(f"{other_python} -m masterworker.cli worker --ticket {TICKET} -n 2"), 5)
    assert f"Python {version(b, other_python)}" in told
    assert f"the master runs {OURS}" in told
    shown = b.run(f"{other_python} -m masterworker.cli show --ticket {TICKET} -v").good().out
    assert "hostA" in shown
    worker = c.start(f"exec task_manager worker --ticket {TICKET}")
    assert complete(job) == {"hostC"}
    a.ends(job, worker)


def test_b25_the_master_says_it_once(users: list[User], other_python: Path) -> None:
    """However many come, and it is in `show`: whoever waits for workers wonders."""
    a, b, _ = users
    job = a.job(1)
    invite(a, b)
    theirs = version(b, other_python)
    for _ in range(2):
        b.run(f"{other_python} -m masterworker.cli worker --ticket {TICKET} -n 2")
    assert f"Python {theirs}" in a.run("task_manager show demo").good().out
    assert len([line for line in job.err.splitlines() if f"Python {theirs}" in line]) == 1


def version(user: User, python: Path) -> str:
    """Major and minor version of a Python."""
    told = user.run(f"{python} -c 'import sys; print(sys.version)'").good().out
    return ".".join(told.split(".")[:2])
