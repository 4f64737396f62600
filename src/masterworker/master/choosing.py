"""Checking the options of tasks."""

from __future__ import annotations

from typing import Any

from masterworker.core.options import DEFAULT, Options
from masterworker.data.pickling import dumps
from masterworker.errors import UsageError

#: No priority is farther from 0.
FARTHEST = 1_000_000


def make_options(
    timeout: Any, retries: Any, retry_on: Any, delay: Any, priority: Any, pure: Any
) -> Options | None:
    """Make the options of tasks; None: all as usual.

    Raises:
        UsageError: Says which value cannot be used.
    """
    if timeout is not None and not (_is_number(timeout) and 0 < timeout < 1e9):
        raise UsageError(f"timeout must be a number of seconds above 0, not {timeout!r}")
    if not isinstance(retries, int) or not 0 <= retries <= FARTHEST:
        raise UsageError(f"retries must be a number, 0 or more, not {retries!r}")
    if not _is_number(delay) or not 0 <= delay < 1e9:
        raise UsageError(f"delay must be a number of seconds, 0 or more, not {delay!r}")
    if not isinstance(priority, int) or not -FARTHEST <= priority <= FARTHEST:
        raise UsageError(f"priority must be a whole number, not {priority!r}")
    chosen = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    for kind in chosen:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise UsageError(f"retry_on must be classes of exceptions, not {kind!r}")
    if chosen and not retries:
        raise UsageError("retry_on has no effect without retries=")
    pickled = dumps(chosen) if chosen else b""
    limit = None if timeout is None else float(timeout)
    options = Options(limit, retries, float(delay), int(priority), bool(pure), pickled)
    return None if options == DEFAULT else options


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
