"""How long workers have at the end of a job: known before the parts of a master are imported."""

from __future__ import annotations

#: Seconds that `shutdown` waits for workers, and that the end of a program or Ctrl-C does.
GRACE = 10.0
GRACE_AT_EXIT = 2.0


def grace_after(kind: type[BaseException] | None) -> float:
    """Return how many seconds workers have when a `with` block is left by an exception, or not."""
    interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
    return GRACE_AT_EXIT if interrupted else GRACE
