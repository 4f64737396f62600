"""Versions and settings of a master, for those who look at its job later."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from masterworker.data.record import sendable
from masterworker.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Settings that need not be said: they are as they are by default.
_USUAL: Final = {"", "0", "False", "None", "any", "disk", "retry", "stop", "marked"}
#: Longest value (characters).
_TEXT: Final = 200


def about(settings: Mapping[str, str]) -> dict[str, str]:
    """Return versions, and settings that are not as by default, by what they are called."""
    system = os.uname()
    found = {
        "masterworker": __version__,
        "Python": sys.version.partition(" ")[0],
        "system": f"{system.sysname} {system.release} ({system.machine})",
        "program": sendable(os.path.basename(sys.argv[0] if sys.argv else "")),  # noqa: PTH119
    }
    return found | {name: value[:_TEXT] for name, value in settings.items() if value not in _USUAL}
