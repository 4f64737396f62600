"""Bounds of one execution: its time limit, and which failures may be tried again."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from masterworker.data.pickling import loads
from masterworker.errors import TaskTimeout
from masterworker.launch import parent
from masterworker.launch.slot import AGAIN, DEADLINE

if TYPE_CHECKING:
    from masterworker.core.options import Terms

#: So many different choices of exceptions are kept ready.
KEPT_CHOICES = 64


def begin(terms: Terms) -> None:
    """A task with a time limit, perhaps, is about to be executed: note when its time is up."""
    timeout = terms[0]
    if timeout is not None:
        parent.shared[AGAIN] = may_be_tried_again(TaskTimeout, terms)
        parent.shared[DEADLINE] = time.monotonic_ns() + int(timeout * 1e9)


def may_be_tried_again(kind: type[BaseException], terms: Terms | None) -> bool:
    """Tell whether a failure with this exception may be followed by another attempt."""
    if terms is None or terms[1] is None or not issubclass(kind, Exception):
        return False
    return not terms[1] or issubclass(kind, _chosen(terms[1]))


@lru_cache(KEPT_CHOICES)
def _chosen(pickled: bytes) -> tuple[type[BaseException], ...]:
    chosen: Any = loads(pickled)
    return tuple(chosen)
