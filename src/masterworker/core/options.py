"""What a request may say about its task."""

from __future__ import annotations

from typing import Final

from masterworker.named import NamedTuple

#: No time is as long (seconds), and no number farther from 0.
LONGEST: Final = 1e9
FARTHEST: Final = 1_000_000


class Options(NamedTuple):
    """How a task is to be treated. All tasks of one request share one of these, which travels."""

    #: Seconds that one execution may take; None: as long as it wants.
    timeout: float | None = None
    #: Number of further attempts after failures that may be tried again.
    retries: int = 0
    #: Seconds before the first of them; doubled for each further one.
    delay: float = 0.0
    #: Higher ones are handed out first. Within one priority, first come, first served.
    priority: int = 0
    #: It has no side effects: a second copy may be executed while the first one is slow.
    pure: bool = False
    #: The exceptions after which it may be tried again, as pickled classes; empty: any.
    retry_on: bytes = b""


DEFAULT: Final = Options()

#: What of this a worker has to know: the time limit, and what may be tried again (None: nothing).
Terms = tuple[float | None, bytes | None]


def terms_of(options: Options | None) -> Terms | None:
    """Return what a worker has to know; None: nothing."""
    if options is None or (options.timeout is None and not options.retries):
        return None
    return options.timeout, options.retry_on if options.retries else None
