"""The whole picture of a job, which is kept up to date with what is new in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from masterworker.recorder import telling
from masterworker.recorder.shapes import Histories, History, Looked

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.recorder.shapes import Snapshot

#: Events and workers that are gone which are kept.
EVENTS: Final = 1000
GONE: Final = 500


class Picture:
    """What a viewer knows of a job.

    Args:
        look: Asks for a snapshot, or for what is new in it.
    """

    def __init__(self, look: Callable[[Looked], Snapshot]) -> None:
        self._look = look
        #: The latest whole snapshot; None: there was none yet.
        self.whole: Snapshot | None = None

    def update(self) -> Snapshot:
        """Ask for what is new, and return the whole.

        Raises:
            MasterworkerError: There is no answer, or none that can be read.
        """
        before = self.whole
        if before is None:
            self.whole = self._look(Looked())
            return self.whole
        latest = max((event.order for event in before.events), default=0)
        kept = before.histories
        new = self._look(Looked(before.number, kept.slots, kept.width, latest))
        if new.base and (new.base != before.number or new.instance != before.instance):
            new = self._look(Looked())  # of another run of the master, say
        self.whole = new if not new.base else put_together(before, new)
        return self.whole


def put_together(before: Snapshot, new: Snapshot) -> Snapshot:
    """Return the whole snapshot, from an earlier one and what is new since then."""
    workers = {each.id: each for each in before.worker_list}
    workers |= {each.id: each for each in new.worker_list}
    gone = [each.id for each in workers.values() if each.left is not None]
    for member_id in gone[:-GONE]:
        del workers[member_id]
    first, doublings = new.histories.first, 0
    if before.histories.width:
        doublings = telling.doublings(before.histories.width, new.histories.width)
    old = before.histories.tags
    tags = {
        name: History(*_columns(old.get(name), each, first))
        for name, each in new.histories.tags.items()
    }
    return replace(
        new,
        base=0,
        worker_list=list(workers.values()),
        events=[*before.events, *new.events][-EVENTS:],
        histories=Histories(new.histories.width, 0, new.histories.slots, tags),
        rows=telling.put_together(before.rows, new.rows, doublings),
    )


def _columns(old: History | None, new: History, first: int) -> list[list[float]]:
    """Return each history as it was up to a slot, and what is new from there on."""
    names = ("done", "failed", "busy", "waiting", "workers")
    none = [0.0] * first
    return [
        (none if old is None else getattr(old, name)[:first]) + getattr(new, name) for name in names
    ]
