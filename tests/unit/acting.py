"""Short names for what the tests of the scheduler do again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.core.effects import Effects
from masterworker.core.reports import CURRENT
from masterworker.core.task import RESULT, Outcome

if TYPE_CHECKING:
    from masterworker.core.scheduler import Scheduler

NOTHING = Effects()


def worker(core: Scheduler, tags: str | None = None, heartbeat: float | None = None) -> int:
    info = f"w{len(core.members)}"
    return core.on_joined(info, None if tags is None else frozenset(tags), heartbeat, 0.0)


def client(core: Scheduler) -> int:
    return core.on_joined("client", frozenset(), None, 0.0)


def request(core: Scheduler, tags: str, *, direct: bool = False) -> list[int]:
    """One task for each letter, in this order."""
    return [core.on_requested(tag, [tag.encode()], direct=direct)[0] for tag in tags]


def fetch(core: Scheduler, member: int, count: int, tag: str | None = None) -> list[int]:
    """Hand out so many tasks, one by one: no share is applied to a wish for one."""
    got = []
    for _ in range(count):
        leases, claim = core.on_fetch(member, 1, 0.0, tag)
        assert claim is None
        got += [lease.task_id for lease in leases]
    return got


def report(
    core: Scheduler, member: int, *ids: int, kind: int = RESULT, attempt: int = CURRENT
) -> tuple[list[int], Effects]:
    outcomes = [Outcome(i, attempt, kind, [b"%d by %d" % (i, member)]) for i in ids]
    return core.on_reported(member, outcomes, 0.0)


def collected(core: Scheduler, member: int, tag: str | None = None) -> list[int]:
    return [done.task_id for done in core.on_collect(member, 1_000, tag)[0]]
