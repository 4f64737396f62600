"""How much memory results may take that wait to be picked up."""

from __future__ import annotations

import os
from functools import cache
from typing import Final

from masterworker.data.segment import Segment

#: The bound, unless one is given, is the memory that may be used divided by this.
SHARE: Final = 4


@cache
def default_bound() -> int:
    """Return how many bytes of results are too many on this machine."""
    from masterworker.launch.resources import memory_limit

    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(there, memory_limit() or there) // SHARE


def as_segment(payload: bytes) -> Segment:
    """Return a payload as an object that reports when nothing refers to it any more."""
    return Segment(len(payload), data=payload)
