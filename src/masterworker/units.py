"""Durations, sizes and times of the day, as people write them.

Nothing else reads texts like 12h or 1.5GiB, so they mean the same everywhere.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from masterworker.errors import UsageError

_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd])")
_IN_WORDS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?")
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_TIME_OF_DAY: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")


def duration(text: str) -> dt.timedelta:
    """Read a duration like 90s, 30m, 12h or 7d.

    Raises:
        UsageError: It is written otherwise.
    """
    if (found := _DURATION.fullmatch(text.strip())) is None:
        raise UsageError(f"{text!r} is not a duration: write one like 90s, 30m, 12h or 7d")
    return dt.timedelta(**{_IN_WORDS[found[2]]: int(found[1])})


def size(given: int | str) -> int:
    """Read a size of memory: bytes, or a text like 500M or 1.5GiB (M and MB are 10**6).

    Raises:
        UsageError: It is none.
    """
    found = _SIZE.fullmatch(str(given).strip().lower())
    if found is None or isinstance(given, bool):
        raise UsageError(f"not a size of memory: {given!r}; write it like 500M or 1.5GiB")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2]])


def seconds_until(text: str, now: dt.datetime | None = None) -> float:
    """Read a time of the day (14:30, 14:30:15: the next one) or an ISO date with time.

    Returns:
        How many seconds it is from now.

    Raises:
        UsageError: It is none, or has passed.
    """
    now = now or dt.datetime.now().astimezone()
    try:
        if _TIME_OF_DAY.fullmatch(text):
            at = dt.time.fromisoformat(text.zfill(8 if text.count(":") == 2 else 5))
            then = dt.datetime.combine(now.date(), at, now.tzinfo)
            if then <= now:
                then += dt.timedelta(days=1)
        else:
            then = dt.datetime.fromisoformat(text)
            then = then if then.tzinfo else then.astimezone()
    except ValueError:
        raise UsageError(f"not a time: {text!r}; write it like 14:30 or 2026-01-31T14:30") from None
    if then <= now:
        raise UsageError(f"that time has passed: {text}")
    return (then - now).total_seconds()
