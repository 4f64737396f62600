"""How long workers from outside look for a master that is gone."""

from __future__ import annotations

import math
import os
from typing import Final

#: As a rule (seconds).
RECONNECT: Final = 20.0
#: Where the master has a journal: it may be started again (seconds).
COMES_BACK: Final = 600.0
#: What the environment may say in its place.
VARIABLE: Final = "MASTERWORKER_RECONNECT"


def patience() -> float:
    """Return for how many seconds to look for a master with a journal; 0: as for any other."""
    try:
        seconds = float(os.environ[VARIABLE])
    except (KeyError, ValueError):
        return COMES_BACK
    return seconds if seconds >= 0 and not math.isnan(seconds) else COMES_BACK
