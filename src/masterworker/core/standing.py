"""How things stand, for a snapshot of the job: copied in one go, put together later."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from masterworker.recorder.snapshot import Stand

if TYPE_CHECKING:
    from masterworker.core.filters import TagFilter
    from masterworker.core.scheduler import Scheduler


def stand(core: Scheduler, troubles: list[str]) -> Stand:
    """Note how things stand. What takes time for each worker is left for after the lock."""
    tally = core.tally
    members = list(core.members.values())
    lanes = core.dispatch.grain.under_way.in_hand()

    def heard() -> dict[int, float]:
        return {member.id: member.heard for member in members}

    def in_hand() -> dict[int, tuple[str, float]]:
        return {
            worker: (tag, portion.since)
            for tag, portions in lanes
            for worker, portion in portions.items()
        }

    @cache
    def workers() -> Counter[TagFilter]:
        return Counter(member.filter for member in members if member.filter is not None)

    def able(tag: str) -> int:
        return sum(number for wanted, number in workers().items() if wanted.accepts(tag))

    return Stand(
        asked=tally.submitted,
        done=tally.results,
        failed=tally.failures + tally.given_up,
        cancelled=tally.cancelled,
        repeated=tally.retried + tally.requeued,
        copies=tally.copies,
        duplicates=tally.duplicates,
        lost=tally.lost_members,
        waiting=core.waiting.count,
        ended=core.terminated,
        troubles=troubles,
        heard=heard,
        in_hand=in_hand,
        able=able,
    )
