"""What `Master.status` returns: the counts of a job, and its snapshot."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import astuple

from masterworker.core.census import Census

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.recorder.shapes import Snapshot


class Status(Census, frozen=True, dict=True):
    """How many tasks are where, at one instant; and all that views show of the job."""

    @cached_property
    def snapshot(self) -> Snapshot:
        """All that is known of the job; its fields are those of docs/snapshot.md.

        Made when it is first asked for, of that moment. Costs about 1 ms, and some microseconds
        for each worker and tag, most of it without holding up the job.
        """
        look: Callable[[], Snapshot] = self.__dict__["look"]
        return look()


def status_of(census: Census, look: Callable[[], Snapshot]) -> Status:
    """Return the status of a job.

    Args:
        census: Its counts.
        look: Makes its snapshot.
    """
    status = Status(*astuple(census))
    status.__dict__["look"] = look
    return status
