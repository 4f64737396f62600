"""One line about this process and its machine."""

from __future__ import annotations

import os
import platform


def process_info() -> str:
    """Return the process id, the host's name and the machine's type."""
    return f"pid {os.getpid()} on {platform.node()} ({platform.machine()})"
