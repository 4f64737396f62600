"""Durations as people write them."""

from __future__ import annotations

import datetime as dt
import re

from masterworker.errors import UsageError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")


def parse_duration(text: str) -> dt.timedelta:
    """Return a duration that is written like 90s, 30m, 12h or 7d.

    Raises:
        UsageError: It is written otherwise.
    """
    if (found := _DURATION.fullmatch(text.strip())) is None:
        raise UsageError(f"{text!r} is not a duration: write one like 90s, 30m, 12h or 7d")
    return dt.timedelta(**{_UNITS[found[2]]: int(found[1])})
